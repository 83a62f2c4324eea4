# Restarts engines that hang: that neither get on with what they have nor answer a tiny completion for `hang_after_s`.
#   watchdog.sh STATE STACK                          keeps a watcher for each replica that has a file `watch`
#   watchdog.sh STATE STACK watch PART SUPERVISOR    is one; the engine is a child of the process SUPERVISOR
# A replica's `run/hung` is written before anything is done and removed when all is well again: whoever finds one
# finishes what another watchdog began. Times are hundredths of a second, as in /proc/uptime.
# Needs: POSIX sh, coreutils, grep with -z, flock, curl with gopher (or socat beside it); Linux' /proc.
set -u
umask 077
LC_ALL=C
export LC_ALL
# A look at the machine finds the watchdog once: what it starts is no program of the stack.
unset ENGINEHOUSE_PROGRAM
state=$1 stack=$2
folder=$state/$stack
newline='
'
ROUND_S=2           # between two looks for replicas that came or went
TERM_S=2            # from SIGTERM to SIGKILL; an engine that hangs seldom hears the first
KILL_S=10           # from SIGKILL to giving up for now
FIRST_PAUSE=100     # between two restarts of an engine; each pause is twice the one before
LONGEST_PAUSE=30000
CALM=60000          # without a restart for so long, pauses begin anew
LOG_LINES=500       # of a hung engine's log are kept,
KEPT_LOGS=5         # so many times

now() { # sets `now`
    read -r now _ </proc/uptime
    now=$((${now%.*} * 100 + 1${now#*.} - 100))
}

seconds() { # HUNDREDTHS, as sleep and curl take them
    printf '%d.%02d' $(($1 / 100)) $(($1 % 100))
}

moment() {
    date -u +%Y-%m-%dT%H:%M:%S+00:00
}

put() { # FILE: from stdin, complete or not at all
    cat >"$1.new" && mv -f "$1.new" "$1"
}

tell() { # EVENT TEXT: in the journal, and in the watchdog's own log
    printf '{"at": "%s", "event": "%s", "part": "%s", "who": "watchdog@%s", "door": "supervisor", "run": "%s", "text": "%s"}\n' \
        "$(moment)" "$1" "$part" "$(uname -n)" "watchdog-$$" "$2" >>"$folder/events.jsonl"
    echo "$(moment) $part: $1: $2"
}

# ---- the replica, its engine, and time

configure() { # what converge says of the replica, and the process of its engine; fails if nobody is to watch it
    { read -r side port hang_s ready_s gateway place health metrics counter address keys && read -r request; } \
        2>/dev/null <"$home/watch" || return
    hang=$((hang_s * 100)) tick=$((hang_s * 10))
    socket=$folder/$gateway/run/admin.sock
    find_engine
}

find_engine() { # sets `engine`: process id and start time; empty without a process
    if is_child "${engine% *}" && [ "$child" = "$engine" ]; then return; fi
    engine=
    for file in $(grep -lszxF "ENGINEHOUSE_PROGRAM=$stack/$part/$side" /proc/[0-9]*/environ); do
        file=${file#/proc/}
        if is_child "${file%/environ}"; then engine=$child; fi
    done
}

is_child() { # PID: whether the supervisor has that child; sets `child`
    [ -n "$1" ] && { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return
    child=$1
    # The command's name, which may hold blanks and brackets, ends at the last bracket.
    set -- ${stat##*) }
    child="$child ${20}"
    [ "$2" = "$supervisor" ]
}

pass() { # until the next tick; time that nobody watched, as while the machine slept, is no time without progress
    now
    [ "$now" -ge "$due" ] || sleep "$(seconds $((due - now)))"
    now
    passed=$((now - last)) last=$now due=$((now + tick))
    [ $passed -le $((2 * tick)) ] || passed=$((2 * tick))
    clock=$((clock + passed))
}

ask() { # PATH HUNDREDTHS [curl's words]
    url=http://${address:-127.0.0.1}:$port$1 limit=$(seconds "$2")
    shift 2
    if [ -z "$keys" ]; then
        ${exec-} curl -q -fs -g -m "$limit" --noproxy '*' "$@" "$url"
        return
    fi
    # By a descriptor: nobody reads it among the words of a command.
    value=
    { read -r value; } 2>/dev/null <"$keys"
    ${exec-} curl -q -fs -g -m "$limit" --noproxy '*' -H @- "$@" "$url" <<EOT
Authorization: Bearer $value
EOT
}

complete() { # HUNDREDTHS: a tiny completion; nobody keeps what it says
    ask /v1/chat/completions "$1" -o /dev/null -H 'Content-Type: application/json' -d "$request"
}

# ---- judging: `clock` at the last progress is `seen`; `owing` is since when an answer is owed, empty if none is

look() { # one tick
    progress=
    if [ "$engine" != "$known" ]; then
        forget
        known=$engine count= began=$clock seen=$clock loading=yes
    fi
    [ -n "$engine" ] || return 0
    if [ -n "$loading" ]; then
        ask "$health" "$tick" -o /dev/null || [ $((clock - began)) -ge $((ready_s * 100)) ] || return 0
        loading= seen=$clock
    fi
    if moves || answered; then
        progress=yes seen=$clock owing=${asked:+$clock}
    elif [ -z "$asked" ] && [ $((clock - seen)) -ge $((2 * tick)) ]; then
        { exec=exec && complete $((2 * hang)); } &
        asked=$! owing=${owing:-$clock}
    fi
}

moves() { # whether the engine's counter of steps is another than a tick ago
    [ "$counter" != - ] && text=$newline$(ask "$metrics" "$tick") || return
    value=${text#*"$newline$counter "}
    [ "$value" != "$text" ] || return
    before=$count count=${value%%"$newline"*}
    [ -n "$before" ] && [ "$before" != "$count" ]
}

answered() { # whether the completion came that was asked for; after one that failed another may be asked for
    [ -n "$asked" ] || return
    process=Z # a child that ended is a zombie until it is waited for
    { read -r _ _ process _ <"/proc/$asked/stat"; } 2>/dev/null
    [ "$process" = Z ] || return
    wait "$asked"
    set -- $?
    asked=
    return "$1"
}

forget() { # the completion that was asked for
    [ -z "$asked" ] || kill "$asked" 2>/dev/null
    asked= owing=
}

hangs() {
    [ -n "$engine" ] && [ -n "$owing" ] && [ $((clock - owing)) -ge $hang ]
}

# ---- healing

mark() { # WHY: the engine hangs
    at=$(moment) why=$1 times=0 fresh=yes
    [ ! -s "$home/run/hangs" ] || read -r times _ <"$home/run/hangs"
    mkdir -p "$home/run"
    remember
    echo "$((times + 1)) $at" | put "$home/run/hangs"
    tell hung "$why"
}

remember() { # ["traffic taken"]: which process hangs, since when, why
    printf '%s\n' "${engine:-0 0} $at $why" "$@" | put "$home/run/hung"
}

is_taken() { # whether its traffic was taken, so that it has to be given back
    { read -r _ && read -r _; } <"$home/run/hung"
}

unmark() { # HOW; who finds no mark finds all of it in the journal
    tell recovered "$1"
    rm -f "$home/run/hung"
}

heal() { # under the machine's lease, or not at all: a run may be at work
    may_heal && take_lease || return
    # A child must not keep the lease of a watchdog that died: the shell's own copy closes when a program starts.
    ! may_heal || finish 9>&-
    drop_lease
}

may_heal() { # also in a frozen stack an engine that was started anew, as after a reboot, gets its requests back
    [ ! -e "$folder/frozen.json" ] || { read -r hung _ <"$home/run/hung" && [ "$hung" = 0 ]; } 2>/dev/null
}

take_lease() { # as `converge/lease.py` does, without waiting; shared with other watchers: what hangs may be the GPU
    note=$state/host/lease.note former=
    exec 9<>"$state/host/lease"
    if flock -s -n 9; then
        [ ! -s "$note" ] || read -r former <"$note"
        printf '{"run": "watchdog-%s", "who": "the watchdog, which restarts %s", "door": "supervisor", "since": "%s", "controller": "process %s on %s"}\n' \
            "$$" "$part" "$(moment)" "$$" "$(uname -n)" | put "$note"
        # Whoever holds this is a script of a run that died, and still changes something.
        if flock -n "$state/host/busy" true; then return; fi
        printf '%s\n' "$former" | put "$note"
    fi
    exec 9>&-
    return 1
}

drop_lease() { # the note of a run that died is the next run's to read
    case $former in *'"watchdog-'*) former= ;; esac
    read -r mine <"$note" && case $mine in
        *'"watchdog-'"$$"'"'*) if [ -n "$former" ]; then printf '%s\n' "$former" | put "$note"; else rm -f "$note"; fi ;;
    esac
    exec 9>&-
}

finish() { # what `run/hung` is about, as things are under the lease
    configure && [ -s "$home/run/hung" ] || return 0
    read -r pid start at why <"$home/run/hung"
    hung="$pid $start"
    take_traffic
    [ "$clock" -ge "$not_before" ] || return 0
    ended=yes
    # One that was seen to hang just now; at a later try it may only have been slow to get ready.
    if [ "$engine" = "$hung" ] && { [ -n "$fresh" ] || ! works; }; then
        keep_log
        end_engine || ended=
    fi
    fresh=
    if [ -n "$ended" ] && await_ready; then
        give_traffic
        unmark "the engine answers again"
    elif [ -n "$ended" ]; then
        remember "traffic taken"
        tell not-recovered "the engine was not ready within $ready_s s; it is restarted again"
    else
        tell not-recovered "the engine's process does not end, not even by SIGKILL; it is tried again"
    fi
    pause=$((pause * 2))
    if [ $pause = 0 ] || [ $((clock - restarted)) -ge $CALM ]; then pause=$FIRST_PAUSE; fi
    [ $pause -le $LONGEST_PAUSE ] || pause=$LONGEST_PAUSE
    restarted=$clock not_before=$((clock + pause))
    # What that took is no part of the pause.
    now
    last=$now due=$((now + tick))
}

works() {
    ask "$health" 500 -o /dev/null && complete $((5 * tick))
}

keep_log() {
    tail -n $LOG_LINES "$home/log/$side.log" | put "$home/log/hang-$(date -u +%Y%m%dT%H%M%SZ).log"
    ls "$home/log" | grep '^hang-.*\.log$' | sort -r | tail -n +$((KEPT_LOGS + 1)) |
        while read -r name; do rm -f "$home/log/$name"; done
}

end_engine() { # the supervisor starts it again; fails if it does not end, as one that waits for a dead device
    tries=$((TERM_S * 10))
    kill -TERM "${hung% *}"
    while find_engine && [ "$engine" = "$hung" ]; do
        is_wanted
        [ $tries -gt $((-KILL_S * 10)) ] || return
        [ $tries -gt 0 ] || kill -KILL "${hung% *}"
        tries=$((tries - 1))
        sleep 0.1
    done
}

is_wanted() { # ends this watcher, and with it the lease, once its watchdog is gone; the mark is for the next one
    [ -d "/proc/$PPID" ] || exit
}

await_ready() { # a real completion, within the time that a start may take
    now
    until=$((now + ready_s * 100))
    while [ "$now" -lt $until ]; do
        is_wanted
        find_engine
        [ -n "$engine" ] || start_engine
        ask "$health" 500 -o /dev/null && now && complete $((until - now)) && return
        sleep 0.5
        now
    done
    find_engine
    return 1
}

start_engine() { # the supervisor gives up one that crashed too often; if it runs or is about to, nothing changes
    curl -q -fs -m 10 -o /dev/null --unix-socket run/supervisor.sock -H 'Content-Type: text/xml' -d "
        <methodCall><methodName>supervisor.startProcess</methodName><params>
        <param><value><string>$part-$side</string></value></param>
        <param><value><boolean>0</boolean></value></param></params></methodCall>" http://localhost/RPC2
}

# ---- traffic, at HAProxy's runtime socket as in `gateway/runtime.py`; without a gateway there is none

take_traffic() { # requests wait at the gateway, or another replica takes them
    is_taken || remember "traffic taken"
    order "set server $place weight 0%; disable health $place"
}

give_traffic() { # unless a standing order keeps it away; the gateway may be starting, too
    [ ! -e "$home/drained.json" ] || return 0
    tries=20
    until order "set server $place state ready; set server $place weight 100%; enable health $place"; do
        is_wanted
        [ $tries -gt 0 ] || return
        tries=$((tries - 1))
        sleep 0.5
    done
}

order() { # and keep what HAProxy then knows for its next start; one watcher at a time
    [ -d "$folder/$gateway" ] || return 0
    saved=$folder/$gateway/run/servers.state
    (
        flock 7
        said=$(speak "$1") || exit
        [ -z "$said" ] || echo "$(moment) $part: the gateway says: $said"
        speak "show servers state" >"$saved.watchdog" && mv -f "$saved.watchdog" "$saved"
    ) 7>"$saved.lock"
}

speak() {
    selector=$(printf %s "$1" | sed 's/%/%25/g; s/ /%20/g; s/;/%3B/g')
    curl -q -s -m 5 --unix-socket "$socket" "gopher://localhost/_$selector" ||
        printf '%s\n' "$1" | socat -t 5 - "UNIX-CONNECT:$socket"
}

# ---- the two programs

watch() { # PART SUPERVISOR: until nobody is to watch it any more, or the watchdog is gone
    part=$1 supervisor=$2
    home=$folder/$part
    engine= known= asked= owing= fresh= clock=0 pause=0 restarted=0 not_before=0
    now
    last=$now due=$now
    while [ -d "/proc/$PPID" ] && configure; do
        pass
        look
        if [ ! -s "$home/run/hung" ]; then
            hangs || continue
            mark "no progress and no answer for $hang_s s"
            heal
        elif [ -n "$progress" ] && ! is_taken; then
            unmark "the engine went on by itself"
        else
            heal
        fi
    done
    forget
}

keep_watchers() { # until the supervisor is gone
    watched=
    while [ -d "/proc/$PPID" ]; do
        before=$watched watched=
        for file in "$folder"/*/watch; do
            [ -f "$file" ] || continue
            part=${file%/watch} part=${part##*/}
            pid=${before##* "$part":} pid=${pid%% *}
            if [ "$pid" = "$before" ] || ! kill -0 "$pid" 2>/dev/null; then
                sh "$0" "$state" "$stack" watch "$part" "$PPID" &
                pid=$!
            fi
            watched="$watched $part:$pid"
        done
        sleep $ROUND_S
    done
}

if [ $# = 2 ]; then keep_watchers; else watch "$4" "$5"; fi
