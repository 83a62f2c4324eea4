# Facts of one machine, one `key<TAB>base64` line each. Nothing here writes.
# Needs: POSIX sh, coreutils, grep with -z, awk, curl; Linux' /proc.
LC_ALL=C
export LC_ALL
tab=$(printf '\t')
newline='
'

fact() { # KEY, value on stdin
    printf '%s\t' "$1"
    base64 -w 0
    echo
}

find_state() { # sets `state`
    if [ -n "${ENGINEHOUSE_STATE:-}" ]; then
        state=$ENGINEHOUSE_STATE
    elif [ "$(id -u)" = 0 ]; then
        state=/var/lib/enginehouse
    else
        state=${XDG_STATE_HOME:-$HOME/.local/state}/enginehouse
    fi
}

machine() {
    printf '%s' "$state" | fact state
    seed=$(cat /etc/machine-id 2>/dev/null)
    if [ -n "$seed" ]; then
        printf 'enginehouse:%s' "$seed" | sha256sum | cut -c 1-32 | fact machine
    elif [ -s "$state/host/machine-id" ]; then
        fact machine <"$state/host/machine-id"
    fi
    awk '$1 == "MemAvailable:" { print int($2 / 1024) }' /proc/meminfo | fact memory_mib
}

text_of() { # KEY FILE
    [ ! -f "$2" ] || fact "$1" <"$2"
}

files_below() { # FOLDER...: digest and mode of every file except logs and what changes while running
    find "$@" -type d \( -name log -o -name run \) ! -path "$1" -prune -o -type f -exec sha256sum {} + 2>/dev/null | fact files
    find "$@" -type d \( -name log -o -name run \) ! -path "$1" -prune -o -type f -exec stat -c '%a %n' {} + 2>/dev/null | fact modes
}

processes() { # STACK: pid, parent, seconds since start, program mark, release; sets `pids`
    read -r uptime _ </proc/uptime
    ticks=$(getconf CLK_TCK)
    pids= table=
    for file in $(grep -lsza "^ENGINEHOUSE_PROGRAM=$1/" /proc/[0-9]*/environ); do
        pid=${file#/proc/}
        pid=${pid%/environ}
        marks=$newline$(tr '\0' '\n' 2>/dev/null <"$file" | grep '^ENGINEHOUSE_')$newline
        case $marks in *"${newline}ENGINEHOUSE_STATE=$state$newline"*) ;; *) continue ;; esac
        read -r line 2>/dev/null <"/proc/$pid/stat" || continue
        program=${marks#*"${newline}ENGINEHOUSE_PROGRAM="}
        case $marks in
            *"${newline}ENGINEHOUSE_RELEASE="*) release=${marks#*"${newline}ENGINEHOUSE_RELEASE="} ;;
            *) release= ;;
        esac
        # The command's name, which may hold blanks and brackets, ends at the last bracket.
        set -- ${line##*) }
        pids="$pids $pid"
        table="$table$pid$tab$2$tab$((${uptime%.*} - ${20} / ticks))$tab${program%%"$newline"*}$tab${release%%"$newline"*}$newline"
    done
    printf '%s' "$table" | fact processes
}

listeners() { # PORT...: port, pid, program name of whoever listens there
    awk -v wanted=" $* " '
        BEGIN { for (i = 0; i < 16; i++) digit[substr("0123456789ABCDEF", i + 1, 1)] = i }
        $4 == "0A" {
            hex = substr($2, length($2) - 3); port = 0
            for (i = 1; i <= 4; i++) port = port * 16 + digit[substr(hex, i, 1)]
            if (index(wanted, " " port " ") && !(port in seen)) { seen[port] = 1; print port, $10 }
        }' /proc/net/tcp /proc/net/tcp6 2>/dev/null |
    while read -r port inode; do
        owner=$(socket_owner "$inode")
        printf '%s\t%s\t%s\n' "$port" "$owner" "$(cat "/proc/$owner/comm" 2>/dev/null)"
    done
}

socket_owner() { # INODE: our own programs first, because a search through every process is slow
    for pid in $pids; do
        if ls -l "/proc/$pid/fd" 2>/dev/null | grep -qF "socket:[$1]"; then
            echo "$pid"
            return
        fi
    done
    find /proc/[0-9]*/fd -lname "socket:\[$1\]" 2>/dev/null | head -n 1 | cut -d / -f 3
}

answers() { # HEALTH_PATH PORT...: port and HTTP status of each, 000 if nothing answers
    path=$1
    shift
    for port; do
        set -- "$@" -o /dev/null "http://127.0.0.1:$port$path"
        shift
    done
    curl -q -s -m 3 --noproxy '*' -w '%{url_effective} %{http_code}\n' "$@" | sed 's|^http://[^:]*:\([0-9]*\)[^ ]*|\1|'
}

gateway_stats() { # FILE with the metrics port
    [ -f "$1" ] || return 0
    curl -q -s -m 3 --noproxy '*' "http://127.0.0.1:$(cat "$1")/stats;csv"
}

stat_of() { # FILE: what changes when its content does
    stat -L -c '%s %Y %i' "$1" 2>/dev/null
}

tool() { # CACHE NAME VERSION_ARG...: path, stat, version; the program is asked only if the cache does not know exactly this file
    cache=$1 name=$2
    shift 2
    path=$(command -v "$name" 2>/dev/null) && path=$(readlink -f "$path") || return 0
    stat=$(stat_of "$path")
    version=
    if [ -f "$cache" ]; then
        version=$(awk -F "$tab" -v n="$name" -v p="$path" -v s="$stat" '$1 == n && $2 == p && $3 == s { print $4 }' "$cache")
    fi
    [ -n "$version" ] || version=$(timeout 20 "$path" "$@" 2>&1 </dev/null | head -n 40 | base64 -w 0)
    printf '%s\t%s\t%s\t%s\n' "$name" "$path" "$stat" "$version" | fact "tool.$name"
}

kept_tools() { # CACHE: the lines whose file is still exactly the same
    [ -f "$1" ] || return 0
    while IFS=$tab read -r name path stat version; do
        [ "$(stat_of "$path")" != "$stat" ] || printf '%s\t%s\t%s\t%s\n' "$name" "$path" "$stat" "$version"
    done <"$1"
}

free_mib() { # FOLDER that may not exist yet
    folder=$1
    while [ ! -d "$folder" ]; do folder=$(dirname "$folder"); done
    df -Pk "$folder" | awk 'NR == 2 { print int($4 / 1024) }'
}
