# Facts of a machine as a whole, beside `probe.sh` and `gpus.sh`. Nothing here writes, and nothing that is missing stops it.
# Needs what busybox has; each function is one fact, or none where the machine has no such thing.

clock() {
    key clock
    date +%s
}

system() {
    text_of os_release /etc/os-release
    key kernel
    uname -rm
}

login() {
    key user
    id -un
    key root
    id -u
    key lowest_port
    cat /proc/sys/net/ipv4/ip_unprivileged_port_start 2>/dev/null
    key capabilities
    PATH=$PATH:/usr/sbin:/sbin
    getcap "$(readlink -f "$(command -v haproxy)")" 2>/dev/null
}

cpu() { # the first of them is like the others
    key cpu
    sed '/^[[:space:]]*$/q' /proc/cpuinfo
    key threads
    grep -c '^processor' /proc/cpuinfo
    [ ! -r /proc/device-tree/model ] || { key board; tr -d '\000' </proc/device-tree/model; }
}

memory() {
    key memory
    grep -E '^Mem(Total|Available):' /proc/meminfo
}

disk_of() { # KEY FOLDER that may not exist yet
    folder=$2
    while [ ! -d "$folder" ]; do folder=$(dirname "$folder"); done
    key "$1"
    df -Pk "$folder"
}

images_disk() { # where Docker keeps images, which containerd may do for it
    command -v docker >/dev/null 2>&1 || return 0
    where=$(bounded TERM 10 docker info --format '{{ "{{.DockerRootDir}} {{.DriverStatus}}" }}' 2>/dev/null </dev/null)
    case $where in
        *io.containerd.snapshotter*) images=/var/lib/containerd ;;
        /*) images=${where%% *} ;;
        *) return 0 ;;
    esac
    key images
    printf %s "$images"
    disk_of images_disk "$images"
}

init() {
    [ -d /run/systemd/system ] || return 0
    key systemd
    within 5 systemctl --version
    key systemd_state
    within 5 systemctl is-system-running
}

runtimes() {
    for name in docker podman nvidia-ctk; do
        command -v "$name" >/dev/null 2>&1 || continue
        key "runtime.$name"
        within 10 "$name" --version
    done
    command -v docker >/dev/null 2>&1 || return 0
    key docker_server
    within 10 docker version
}

# What Docker's client reads of images in their registries. Not of those that are there, in any version: it may have
# most of their layers already.
manifests() { # IMAGE...
    command -v docker >/dev/null 2>&1 || return 0
    key manifests
    within 20 sh -c '
        for image; do
            name=${image%@*}
            [ -n "$(docker image ls --quiet "${name%:"${name##*[:/]}"}")" ] ||
                docker manifest inspect --verbose "$image" 2>/dev/null || :
        done
    ' sh "$@"
}

all_ports() { # each that is listened on, as the kernel lists it, then whose it is as far as we may know
    key ports
    cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk '$4 == "0A" { print $2, $10 }'
    key port_owners
    ls -l /proc/[0-9]*/fd 2>/dev/null | awk '
        BEGIN {
            while ((getline line <"/proc/net/tcp") > 0) note(line)
            while ((getline line <"/proc/net/tcp6") > 0) note(line)
        }
        function note(line, field) { split(line, field, " "); if (field[4] == "0A") wanted["socket:[" field[10] "]"] }
        /^\/proc\// { split($0, path, "/"); pid = path[3]; next }
        $NF in wanted && !((pid, $NF) in told) { told[pid, $NF]; print pid, substr($NF, 9, length($NF) - 9) }
    ' | while read -r pid inode; do
        name=
        read -r name 2>/dev/null <"/proc/$pid/comm"
        # The last line is that of the newer of two kinds of groups.
        group=$(tail -n 1 "/proc/$pid/cgroup" 2>/dev/null)
        printf '%s\n' "$inode$tab$pid$tab$name$tab${group##*:}$tab$(mark_of "$pid")"
    done
}

sizes() { # FILE...
    key sizes
    for file; do
        [ ! -f "$file" ] || echo "$(wc -c <"$file") $file"
    done
}
