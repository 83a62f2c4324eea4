# Installs programs from the packages of Debian and its kin, and starts none of the services that are called like them.
# What is being installed is written down meanwhile, so that a run which is cut off is finished by the next one.
# Needs: root, apt, systemd.
# Parts of one run that need different packages take turns.
export DEBIAN_FRONTEND=noninteractive APT_LISTCHANGES_FRONTEND=none NEEDRESTART_SUSPEND=1

install_packages() { # MARK PACKAGE:LOWEST_VERSION...
    mark=$1 log=$1.log
    shift
    mkdir -p "$(dirname "$mark")"
    exec 6>"${mark%/*}/packages.lock"
    flock 6
    # One that works right now may be the one that is cut off; dpkg itself says so.
    [ ! -e "$mark" ] || patiently dpkg --configure -a
    if [ $# -gt 0 ]; then
        patiently apt-get update -q -o Acquire::Retries=3
        for wanted; do check_candidate "${wanted%%:*}" "${wanted#*:}"; done
        [ -e "$mark" ] || unknown_services "$@" >"$mark.new"
        [ -e "$mark" ] || mv -f "$mark.new" "$mark"
        for service in $(cat "$mark"); do systemctl mask -q "$service"; done
        for wanted; do set -- "$@" "${wanted%%:*}"; shift; done
        patiently apt-get install -q -y -o Acquire::Retries=3 --no-install-recommends --no-remove -o Dpkg::Options::=--force-confold "$@"
    fi
    for service in $(cat "$mark"); do
        systemctl unmask -q "$service"
        systemctl disable -q "$service" 2>/dev/null || :
    done
    rm -f "$mark" "$log"
}

patiently() { # COMMAND...: again while another package manager is at work
    tries=150
    while :; do
        "$@" >"$log" 2>&1 </dev/null &
        if attend $! last_line; then return 0; fi
        grep -q '/lock\|frontend lock' "$log" && [ $tries -gt 0 ] || break
        echo "progress waiting for another package manager"
        tries=$((tries - 1))
        sleep 2
    done
    grep '^E: \|error: ' "$log" >&2 || tail -n 5 "$log" >&2
    exit 1
}

last_line() {
    echo "progress $(tail -n 1 "$log" | tr -cd '[:print:]' | cut -c 1-100)"
}

check_candidate() { # PACKAGE LOWEST_VERSION
    found=$(apt-cache policy "$1" | sed -n 's/^ *Candidate: \(.*:\)\{0,1\}//p')
    case $found in
        '' | '(none)')
            grep '^[WE]: ' "$log" >&2 || :
            echo "the machine's package sources have no package $1" >&2
            exit 1
            ;;
    esac
    dpkg --compare-versions "$found" ge "$2" && return
    echo "the machine's package sources have $1 $found, at least $2 is needed; install a newer one by hand" >&2
    exit 1
}

unknown_services() { # PACKAGE:...: the services that come with packages; one that is there already is somebody's
    for wanted; do
        systemctl cat "${wanted%%:*}.service" >/dev/null 2>&1 || echo "${wanted%%:*}.service"
    done
}
