# What of NVIDIA's software is installed, beside `probe.sh` and `gpus.sh`. Nothing here writes.

nvidia_driver() { # BRANCH
    text_of os_release /etc/os-release
    key kernel
    uname -rm
    secure_boot
    nvidia_module
    key nvidia_packages
    dpkg-query -W -f '${db:Status-Abbrev}\t${Version}\t${Package}\n' 2>/dev/null |
        grep -E "$tab[0-9.:]+[-~+].*$tab.*(nvidia|cuda-drivers|libcuda|libnvcuvid|libnvoptix)"
    enrolled
    nvidia_users "$1"
}

enrolled() { # whether a firmware that loads only what is signed knows the key that modules built here are signed with
    command -v mokutil >/dev/null 2>&1 || return 0
    for public in /var/lib/dkms/mok.pub /var/lib/shim-signed/mok/MOK.der; do
        [ -e "$public" ] || continue
        case $(within 5 mokutil --test-key "$public") in *"already enrolled"*) yes enrolled ;; esac
    done
}

nvidia_users() { # BRANCH: who has its devices open while another branch is loaded
    [ -r /proc/driver/nvidia/version ] || return 0
    read -r version </proc/driver/nvidia/version
    case $version in *"  $1."*) return 0 ;; esac
    key nvidia_users
    find /proc/[0-9]*/fd -lname '/dev/nvidia*' 2>/dev/null | cut -d / -f 3 | sort -u | while read -r pid; do
        read -r name 2>/dev/null <"/proc/$pid/comm" || continue
        [ "$name" = nvidia-persiste ] || printf '%s (process %s)\n' "$name" "$pid"
    done
}

docker_identity() { # of the dockerd that runs: nothing else ever has the same
    dockerd= # there is no line end in its file, which `read` takes for a failure
    { read -r dockerd </run/docker.pid; } 2>/dev/null || [ -n "$dockerd" ] || return 0
    { read -r stat <"/proc/$dockerd/stat"; } 2>/dev/null || return 0
    set -- ${stat##*) }
    read -r boot </proc/sys/kernel/random/boot_id
    echo "$boot $dockerd ${20}"
}

docker_restart() { # FILE with the identity of a dockerd that began without the toolkit, SOCKET: what a restart would end
    before=
    [ ! -s "$1" ] || read -r before <"$1"
    [ -z "$before" ] || [ "$before" != "$(docker_identity)" ] || yes docker_began_without
    [ -n "$before" ] || ! command -v nvidia-ctk >/dev/null || return 0
    key docker_running
    running_in "$2" || yes docker_silent
}

running_in() { # SOCKET: names of the containers that a restart of Docker would end; fails if Docker does not tell
    command -v docker >/dev/null || return 0
    kept=$(within 10 env DOCKER_HOST="$1" docker info --format '{{ '{{.LiveRestoreEnabled}}' }}')
    # An engine of ours ends with its `docker run`, which a restart ends in any case.
    case $kept in true*) set -- "$1" --filter=label=enginehouse.program ;; esac
    address=$1
    shift
    DOCKER_HOST=$address timeout 10 docker ps "$@" --format '{{ '{{.Names}}' }}' 2>/dev/null </dev/null
}
