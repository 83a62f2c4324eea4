# Brings the image of a container. Needs: docker.

bring_image() { # DOCKER IMAGE LOG
    ! "$1" image inspect "$2" >/dev/null 2>&1 || return 0
    mkdir -p "$(dirname "$3")"
    log=$3
    "$1" pull "$2" >"$log" 2>&1 </dev/null &
    if ! attend $! pulled; then
        tail -n 3 "$log" >&2
        exit 1
    fi
    rm -f "$log"
}

pulled() {
    echo "progress $(tail -n 1 "$log" | tr -cd '[:print:]' | cut -c 1-100)"
}
