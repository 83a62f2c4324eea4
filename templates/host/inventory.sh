# Facts of a machine as a whole, beside `probe.sh`. Nothing here writes, and nothing that is missing stops it.
# Needs what busybox has; each function is one fact, or none where the machine has no such thing.

bounded() { # SIGNAL SECONDS COMMAND...
    command -v timeout >/dev/null 2>&1 && { timeout -s "$@"; return; }
    shift 2
    "$@"
}

within() { # SECONDS COMMAND...: what it prints and then `exit CODE`; without that line, it was given up
    # A program that waits for a driver that hangs does not even end when it is killed. So it is not waited for either:
    # it writes into a pipe, and whoever reads there gives up.
    ({ bounded KILL "$@" 2>&1 </dev/null; echo "exit $?"; } 2>/dev/null &) | bounded TERM $(($1 + 1)) cat
}

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

disk_of() { # FOLDER that may not exist yet
    folder=$1
    while [ ! -d "$folder" ]; do folder=$(dirname "$folder"); done
    key disk
    df -Pk "$folder"
}

init() {
    [ -d /run/systemd/system ] || return 0
    key systemd
    within 5 systemctl --version
    key systemd_state
    within 5 systemctl is-system-running
}

secure_boot() { # the last byte of the variable: 1 is on
    for variable in /sys/firmware/efi/efivars/SecureBoot-*; do
        [ -r "$variable" ] || continue
        key secure_boot
        od -An -tu1 "$variable"
    done
}

pci() { # vendor, device, driver of each display controller and accelerator
    key pci
    for device in /sys/bus/pci/devices/*; do
        read -r class 2>/dev/null <"$device/class" || continue
        case $class in 0x03* | 0x12*) ;; *) continue ;; esac
        read -r vendor <"$device/vendor"
        read -r model <"$device/device"
        driver=$(readlink "$device/driver" 2>/dev/null)
        printf '%s %s %s %s\n' "${device##*/}" "$vendor" "$model" "${driver##*/}"
    done
}

nvidia_module() {
    text_of nvidia_module /proc/driver/nvidia/version
}

nvidia() { # SECONDS each question may take
    command -v nvidia-smi >/dev/null 2>&1 || return 0
    fields=index,uuid,name,memory.total,memory.used,compute_cap,mig.mode.current,driver_version
    gpus=$(within "$1" nvidia-smi --query-gpu=$fields --format=csv)
    key gpus
    printf '%s\n' "$gpus"
    case $gpus in *"${newline}exit 0") ;; *) return 0 ;; esac
    key gpu_processes
    within "$1" nvidia-smi --query-compute-apps=gpu_uuid,pid,used_gpu_memory,process_name --format=csv
    key gpu_list
    within "$1" nvidia-smi -L
    key cuda
    within "$1" nvidia-smi -q -d COMPUTE
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

mark_of() { # PID: which program of ours it is
    tr '\000' '\n' 2>/dev/null <"/proc/$1/environ" | sed -n 's/^ENGINEHOUSE_PROGRAM=//p'
}

sizes() { # FILE...
    key sizes
    for file; do
        [ ! -f "$file" ] || echo "$(wc -c <"$file") $file"
    done
}
