# Facts of one machine. Nothing here writes.
# Needs: POSIX sh, coreutils, grep with -z and -o, find with -printf, awk, curl; Linux' /proc.
# A new process costs more than what most of them do here, so the shell itself does what it can.
LC_ALL=C
export LC_ALL
tab='	'
newline='
'
# What several questions need is found once: our processes, who listens, our sockets, who we are, our units' mark.
pids= sockets= ours= uid= unit_mark= docker_hangs=

key() { # NAME: what is written from now on is its value
    printf '\0%s\t' "$1"
}

answer() { # NUMBER: what is written from now on answers the question of that number
    printf '\0\t%s' "$1"
}

yes() { # NAME
    key "$1"
    echo yes
}

find_state() { # sets `state`
    if [ -n "${ENGINEHOUSE_STATE:-}" ]; then
        state=${ENGINEHOUSE_STATE%"${ENGINEHOUSE_STATE##*[!/]}"}
    elif is_root; then
        state=/var/lib/enginehouse
    else
        state=${XDG_STATE_HOME:-$HOME/.local/state}/enginehouse
    fi
    key state
    printf '%s' "$state"
}

is_root() {
    : "${uid:=$(id -u)}"
    [ "$uid" = 0 ]
}

machine() {
    seed=
    [ ! -r /etc/machine-id ] || read -r seed </etc/machine-id
    if [ -n "$seed" ]; then
        key machine
        printf 'enginehouse:%s' "$seed" | sha256sum
    elif [ -s "$state/host/machine-id" ]; then
        text_of machine "$state/host/machine-id"
    fi
    while read -r name size _; do
        [ "$name" != MemAvailable: ] || { key memory_mib; echo $((size / 1024)); break; }
    done </proc/meminfo
}

system() { # STACK: the system's name, whether its packages can be installed, and its unit for our supervisor
    key os
    [ ! -r /etc/os-release ] || while IFS= read -r line; do
        case $line in PRETTY_NAME=*) line=${line#*=} line=${line#\"} && echo "${line%\"}" ;; esac
    done </etc/os-release
    [ -d /run/systemd/system ] && is_root || return 0
    yes systemd
    ! command -v apt-get >/dev/null || yes apt
    find_unit_mark
    unit=enginehouse-$1-$unit_mark.service
    text_of unit "/etc/systemd/system/$unit"
    [ ! -L "/etc/systemd/system/multi-user.target.wants/$unit" ] || yes unit_enabled
}

altered_units() { # STACK PART: what was changed of the units of its engines while they run: side, file
    find_unit_mark
    key altered
    for side in a b; do
        for file in "/run/systemd/transient/enginehouse-$1_$2_$side-$unit_mark.service.d"/*.conf; do
            [ ! -e "$file" ] || echo "$side ${file##*/}"
        done
    done
}

find_unit_mark() { # sets `unit_mark`, which stands for the state folder
    [ -z "$unit_mark" ] || return 0
    unit_mark=$(printf %s "$state" | sha256sum)
    unit_mark=${unit_mark%"${unit_mark#????????}"}
}

drop_ins() { # UNIT, with `?` for what is known only here: the files by which somebody changes units of that name
    key drop_ins
    for where in /etc/systemd/system /etc/systemd/system.control /run/systemd/system /run/systemd/system.control; do
        for file in "$where/"$1.d/*.conf; do
            [ ! -e "$file" ] || echo "$file"
        done
    done
}

drained_in() { # FOLDER of a stack: the order of each of its parts that has one
    for file in "$1"/*/drained.json; do
        [ -e "$file" ] || continue
        part=${file%/*}
        text_of "drained.${part##*/}" "$file"
    done
}

claims_in() { # FOLDER of all stacks: what each part has claimed
    key claims
    for file in "$1"/*/*/claims; do
        part=${file#"$1"/} part=${part%/claims}
        case $part in weights/*) continue ;; esac
        [ ! -f "$file" ] || while read -r claim; do printf '%s\n' "$part$tab$claim"; done <"$file"
    done
}

other_host() { # FOLDER of a stack, HOST: another host part that this machine is, too
    for file in "$1"/*/supervisord.conf; do
        name=${file%/*} name=${name##*/}
        [ ! -e "$file" ] || [ "$name" = "$2" ] || { key other_host; echo "$name"; return; }
    done
}

newest_generation() { # FOLDER of files named after generations
    newest=0
    for file in "$1"/*.json; do
        number=${file##*/} number=${number%.json}
        case $number in *[!0-9]*) continue ;; esac
        [ "$number" -le "$newest" ] || newest=$number
    done
    [ "$newest" = 0 ] || { key newest_generation; echo "$newest"; }
}

each_of() { # FOLDER of files named after generations: each as a fact, in order
    for number in $(ls "$1" 2>/dev/null | sed -n 's/^\([0-9]*\)\.json$/\1/p' | sort -n); do
        key "$number"
        cat "$1/$number.json"
    done
}

manifests_of() { # FOLDER of a stack: the manifest of each of its parts
    for file in "$1"/*/manifest.json; do
        part=${file%/*}
        text_of "manifest.${part##*/}" "$file"
    done
}

text_of() { # KEY FILE
    [ ! -f "$2" ] || { key "$1"; cat "$2"; }
}

files_below() { # FOLDER...: digest, and mode, of every file except logs, old manifests and what changes while running
    key files
    find "$@" -type d \( -name log -o -name run -o -name history \) ! -path "$1" -prune -o \
        -type f -printf 'mode %m %p\n' -exec sha256sum {} + 2>/dev/null
}

processes() { # STACK: pid, parent, seconds since start, program mark, release of its processes here; adds to `pids`
    table=$(grep -EHszoa '^ENGINEHOUSE_(PROGRAM|RELEASE|STATE)=.*' /proc/[0-9]*/environ | tr '\0' '\n' |
        state=$state awk -v stack="$1/" '
            { colon = index($0, ":"); equals = index($0, "=")
              split($0, path, "/"); pid = path[3]
              value[pid, substr($0, colon + 13, equals - colon - 13)] = substr($0, equals + 1); pids[pid] }
            END {
                getline uptime <"/proc/uptime"
                for (pid in pids) {
                    if (value[pid, "STATE"] != ENVIRON["state"] || index(value[pid, "PROGRAM"], stack) != 1) continue
                    file = "/proc/" pid "/stat"
                    if ((getline stat <file) < 1) continue
                    close(file)
                    # The name of the command, which may hold blanks and brackets, ends at the last bracket.
                    sub(/.*\) /, "", stat); split(stat, field, " ")
                    # Start times count in hundredths on every machine that Linux runs engines on (USER_HZ).
                    age = int(uptime) - int(field[20] / 100)
                    print pid "\t" field[2] "\t" age "\t" value[pid, "PROGRAM"] "\t" value[pid, "RELEASE"]
                } }')
    key processes
    [ -z "$table" ] || printf '%s\n' "$table"
    IFS=$newline
    set -f
    for line in $table; do pids="$pids ${line%%"$tab"*}"; done
    unset IFS
    set +f
}

sockets() { # PORT...; sets `sockets`. Comes before `processes`, so that whoever listens here is among them there.
    sockets=$(awk -v wanted=" $* " '
        BEGIN { for (i = 0; i < 16; i++) digit[substr("0123456789ABCDEF", i + 1, 1)] = i }
        $4 == "0A" {
            hex = substr($2, length($2) - 3); port = 0
            for (i = 1; i <= 4; i++) port = port * 16 + digit[substr(hex, i, 1)]
            if (index(wanted, " " port " ") && !(port in seen)) { seen[port] = 1; print port "/" $10 }
        }' /proc/net/tcp /proc/net/tcp6 2>/dev/null)
}

# Loops, since `${text#*word}` of a long text takes a shell a hundred times as long.
listeners() { # PORT...: port, pid, program name of whoever listens there
    key listeners
    for socket in $sockets; do
        case " $* " in *" ${socket%/*} "*) ;; *) continue ;; esac
        owner_of "${socket#*/}"
        # One that has ended since listens no more.
        [ -n "$owner" ] || grep -qs " ${socket#*/} " /proc/net/tcp /proc/net/tcp6 || continue
        name=
        [ -z "$owner" ] || read -r name 2>/dev/null <"/proc/$owner/comm"
        printf '%s\n' "${socket%/*}$tab$owner$tab$name"
    done
}

owner_of() { # INODE; sets `owner`, our own programs first, because a search through every process is slow
    [ -n "$ours" ] || find_ours
    set -f # brackets stand for files otherwise
    for link in $ours; do
        case $link in
            "socket:[$1]/"*)
                set +f
                owner=${link#*/proc/} owner=${owner%/fd}
                return
                ;;
        esac
    done
    set +f
    owner=$(find /proc/[0-9]*/fd -lname "socket:\[$1\]" 2>/dev/null | head -n 1 | cut -d / -f 3)
}

find_ours() { # sets `ours`: the sockets of `pids`
    set --
    for pid in $pids; do set -- "$@" "/proc/$pid/fd"; done
    ours=none
    [ $# = 0 ] || ours=$(find "$@" -lname 'socket:*' -printf '%l%h\n' 2>/dev/null)
}

# Asked at once, so that engines that hang do not add up; a curl from before 7.66 (2019) can't and ends with 2.
answers() { # URL...: each with its HTTP status, 000 if nothing answers
    key health
    for url; do
        set -- "$@" -o /dev/null "$url"
        shift
    done
    ask -Z "$@" || [ $? != 2 ] || ask "$@"
}

ask() { # WORD... for curl
    curl -q -s -g -m 3 --noproxy '*' -w '%{url_effective} %{http_code}\n' "$@" 2>/dev/null
}

gateway_stats() { # FILE with the metrics port
    [ -f "$1" ] || return 0
    read -r port <"$1"
    key stats
    curl -q -s -m 3 --noproxy '*' "http://127.0.0.1:$port/stats;csv" | tr -d '\000' # whoever has that port now
}

stat_of() { # FILE...: what changes when its content does
    stat -L -c '%s %Y %i' "$@" 2>/dev/null
}

tree_of() { # FOLDER: what changes when a file below it does, or what a link means, but not when others may read it, too
    [ ! -d "$1" ] || find "$1" ! -type d -exec stat -c '%s %Y %i %a %N' {} + |
        sed 's/^\(\([0-9]* \)\{3\}[67]\)\(44\|55\) /\100 /' | sort | sha256sum
}

# FOLDER is where to look instead of the PATH, with a slash at its end, or empty. The program is asked only if the cache
# does not know exactly this file.
tool() { # CACHE FOLDER NAME VERSION_ARG...: path, stat, version
    cache=$1 name=$3
    path=$(command -v "$2$3" 2>/dev/null) && path=$(readlink -f "$path") || return 0
    shift 3
    stat=$(stat_of "$path")
    version=
    [ ! -f "$cache" ] || while IFS=$tab read -r n p s v; do
        [ "$n$tab$p$tab$s" != "$name$tab$path$tab$stat" ] || version=$v
    done <"$cache"
    [ -n "$version" ] || version=$(timeout 20 "$path" "$@" 2>&1 </dev/null | head -n 40 | base64 -w 0)
    key "tool.$name"
    printf '%s\t%s\t%s\t%s\n' "$name" "$path" "$stat" "$version"
}

kept_tools() { # CACHE: the lines whose file is still exactly the same
    [ -f "$1" ] || return 0
    key kept_tools
    cache=$1
    set --
    while IFS=$tab read -r name path _; do set -- "$@" "$path"; done <"$cache"
    now=$newline$(stat -L -c "%n$tab%s %Y %i" "$@" 2>/dev/null)$newline
    while IFS=$tab read -r name path stat version; do
        case $now in
            *"$newline$path$tab$stat$newline"*) printf '%s\t%s\t%s\t%s\n' "$name" "$path" "$stat" "$version" ;;
        esac
    done <"$cache"
}

docker_of() { # SOCKET: why that Docker does not answer, if it does not
    command -v docker >/dev/null || return 0
    said=$(DOCKER_HOST=$1 timeout 10 docker version 2>&1 >/dev/null </dev/null) && return
    key docker_error
    printf '%s' "${said:-it does not answer within 10 s}"
}

disk() { # FOLDER that may not exist yet
    folder=$1
    while [ ! -d "$folder" ]; do folder=$(dirname "$folder"); done
    # Blocks that we may still use, and the size of those that are counted (GNU stat: not that of transfers, `%s`).
    set -- $(stat -f -c '%a %S' "$folder")
    key disk_mib
    echo $(($1 * $2 / 1048576))
    [ -w "$folder" ] || yes read_only
}

containers_as_are() { # SOCKET NAME...: of those that there are, what `docker update` can change
    key containers
    [ -z "$docker_hangs" ] || return 0
    docker=$1
    shift
    for name; do
        set -- "$@" "http://docker/containers/$name/json"
        shift
    done
    told=$(curl -q -s -g -m 3 --noproxy '*' --unix-socket "$docker" "$@") || [ $? != 28 ] || docker_hangs=yes
    # No more of the answer than is needed: it also holds the values of variables.
    printf '%s' "$told" | grep -Eo \
        -e '"Name":"/[^"]*"' -e '"RestartPolicy":\{"Name":"[^"]*"' -e '"Cpuset(Cpus|Mems)":"[^"]*"' \
        -e '"(Memory|MemorySwap|MemoryReservation|NanoCpus|Cpu[A-Z][A-Za-z]*|BlkioWeight|PidsLimit)":(-?[0-9]+|null)'
}
