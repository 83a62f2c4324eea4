
# ---- the program that renews it before it ends, and shows HAProxy what it has not read
#   certificates.sh STATE STACK GATEWAY NAMES, below the stack's supervisor
set -u
umask 077
LC_ALL=C
export LC_ALL
# A look at the machine finds it once: what it starts is no program of the stack.
unset ENGINEHOUSE_PROGRAM
LOOK_S=60
stack=$2 authority=$1/$2/own_ca home=$1/$2/$3 names=$4
socket=$home/run/admin.sock
name=$(printf %s "$home/tls/server.pem" | sed 's/ /\\ /g') # as HAProxy's commands need it

shows() { # whether HAProxy, if it runs, has read what there is
    [ -S "$socket" ] && told=$(speak "show ssl cert $name") || return 0
    case $told in *"$(fingerprint)"*) ;; *) return 1 ;; esac
}

fingerprint() {
    openssl x509 -in "$home/tls/server.pem" -noout -fingerprint -sha1 | sed 's/.*=//; s/://g'
}

show() { # no reload: connections and requests that wait are not touched
    speak "set ssl cert $name <<
$(sed 1d "$home/tls/server.pem")
"
    speak "commit ssl cert $name"
}

speak() { # what is said may hold the private key, which no list of processes shall show
    selector=$(printf %s "$1" | od -An -v -tx1 | tr -d '\n' | sed 's/ /%/g')
    echo "url = gopher://localhost/_$selector" | curl -q -s -m 5 --unix-socket "$socket" -K - ||
        printf '%s\n' "$1" | socat -t 5 - "UNIX-CONNECT:$socket"
}

tell() { # EVENT TEXT: in the journal, and in the program's own log
    printf '{"at": "%s", "event": "%s", "part": "%s", "who": "certificates@%s", "door": "supervisor", "run": "certificates-%s", "text": "%s"}\n' \
        "$(date -u +%Y-%m-%dT%H:%M:%S+00:00)" "$1" "${home##*/}" "$(uname -n)" "$$" "$2" >>"${home%/*}/events.jsonl"
    echo "$1: $2"
}

# Never the authority: its clients know no other, so that is for a run, and the person who tells them. Nor what is for
# other names: a run has made that a moment ago, and this program, which knows the names of before, is about to end.
renew() {
    ! authority_fault >/dev/null && (flock 8 && is_for_us && make_server) 8>"$authority/lock"
}

is_for_us() { # also if there is none
    [ ! -s "$home/tls/server.pem" ] || { read -r made _ <"$home/tls/server.pem" && [ "$made" = "$names" ]; }
}

said=
while [ -d "/proc/$PPID" ]; do
    fault=$(certificate_fault)
    if [ -n "$fault" ] && is_for_us; then
        if renew; then
            tell renewed "$fault"
        elif [ "$fault" != "$said" ]; then
            tell not-renewed "$fault; it is tried again, and the next run makes it anew"
        fi
    fi
    said=$fault
    shows || show
    sleep $LOOK_S
done
