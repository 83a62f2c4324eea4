# Starts every script that changes something on a machine.
set -eu
LC_ALL=C
export LC_ALL
umask 077

put() { # MODE SIZE PATH: a file from stdin; mode before content, complete or not at all
    mkdir -p "$(dirname "$3")"
    rm -f "$3.new"
    : >"$3.new"
    chmod "$1" "$3.new"
    [ "$2" = 0 ] || dd bs="$2" count=1 iflag=fullblock status=none >"$3.new" || :
    if [ "$(stat -c %s "$3.new")" != "$2" ]; then
        rm -f "$3.new"
        echo "$3 did not arrive completely" >&2
        exit 1
    fi
    mv -f "$3.new" "$3"
}

keep_newest() { # FOLDER COUNT: of files named after generations
    ls "$1" | sort -rn | tail -n "+$(($2 + 1))" | while read -r name; do rm -f "$1/$name"; done
}

note() { # FILE LARGEST_BYTES LINE: append; a file that grew too large loses its older half
    printf '%s\n' "$3" >>"$1" || return
    [ "$(stat -c %s "$1")" -gt "$2" ] || return 0
    tail -c "$(($2 / 2))" "$1" | sed 1d >"$1.new"
    mv -f "$1.new" "$1"
}

attend() { # PID REPORT...: until that child ends
    child=$1
    shift
    sleep 0.05
    while kill -0 "$child" 2>/dev/null; do
        "$@"
        sleep 0.2
    done
    wait "$child"
}

end_processes() { # STACK PID...: SIGTERM, 10 s, SIGKILL; a process id that means something else by now is left alone
    stack=$1
    shift
    for pid; do ! ours "$stack" "$pid" || kill -TERM "$pid" 2>/dev/null || :; done
    tries=100
    while [ $tries -gt 0 ] && any_left "$stack" "$@"; do
        sleep 0.1
        tries=$((tries - 1))
    done
    for pid; do ! ours "$stack" "$pid" || kill -KILL "$pid" 2>/dev/null || :; done
}

any_left() {
    stack=$1
    shift
    for pid; do ! ours "$stack" "$pid" || return 0; done
    return 1
}

ours() { # STACK PID
    grep -qsza "^ENGINEHOUSE_PROGRAM=$1/" "/proc/$2/environ"
}

await_unit() { # UNIT SOCKET: until somebody listens there, whose unit was just started
    tries=200
    until awk -v path=" $2" '$4 == "00010000" && index($0, path) { found = 1 } END { exit !found }' /proc/net/unix; do
        if [ $tries = 0 ] || systemctl is-failed -q "$1"; then
            systemctl status --no-pager -n 10 "$1" >&2 || :
            exit 1
        fi
        tries=$((tries - 1))
        sleep 0.1
    done
}
