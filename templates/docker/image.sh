# Brings the image of a container. Needs: docker.

is_here() { # DIGEST: an image that has it, whatever its name
    {{ images }} | grep -q "^$1 "
}

bring_image() { # DOCKER IMAGE FOLDER SIZE ASKED: with the login of SIZE bytes on stdin; ASKED is told of a failure
    mkdir -p "$3"
    log=$3/image.log
    [ "$4" = 0 ] || log_in "$3/docker" "$4"
    "$1" pull "$2" >"$log" 2>&1 </dev/null &
    if ! attend $! pulled; then
        [ "$4" = 0 ] || rm -rf "$3/docker"
        tail -n 3 "$log" >&2
        echo "$5" >&2
        exit 1
    fi
    [ "$4" = 0 ] || rm -rf "$3/docker"
    rm -f "$log"
}

log_in() { # FOLDER SIZE: for this script's commands. The file of the login has no name, so it ends with them, whatever ends them
    rm -rf "$1"
    mkdir -p "$1"
    exec 7<>"$1/config.json"
    rm -f "$1/config.json"
    dd bs="$2" count=1 iflag=fullblock status=none >&7
    ln -s /proc/self/fd/7 "$1/config.json"
    export DOCKER_CONFIG="$1"
}

pulled() {
    echo "progress $(tail -n 1 "$log" | tr -cd '[:print:]' | cut -c 1-100)"
}
