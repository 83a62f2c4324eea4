# GPUs and their drivers, beside `probe.sh`. Nothing here writes, and a driver that hangs stops nothing.

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

secure_boot() { # the last byte of the variable: 1 is on
    for variable in /sys/firmware/efi/efivars/SecureBoot-*; do
        [ -r "$variable" ] || continue
        key secure_boot
        od -An -tu1 "$variable"
    done
}

gpus() { # SECONDS it may take
    command -v nvidia-smi >/dev/null 2>&1 || return 0
    fields=index,uuid,name,memory.total,memory.used,compute_cap,mig.mode.current,driver_version
    gpus=$(within "$1" nvidia-smi --query-gpu=$fields --format=csv)
    key gpus
    printf '%s\n' "$gpus"
}

gpus_and_users() { # SECONDS each question may take
    gpus "$1"
    case ${gpus:-} in *"${newline}exit 0") ;; *) return 0 ;; esac
    users=$(within "$1" nvidia-smi --query-compute-apps=gpu_uuid,pid,used_gpu_memory,process_name --format=csv)
    key gpu_processes
    printf '%s\n' "$users"
    key gpu_programs
    printf '%s\n' "$users" | awk -F ', ' '$2 ~ /^[0-9]+$/ { print $2 }' | while read -r pid; do
        printf '%s\n' "$pid$tab$(mark_of "$pid")"
    done
    key gpu_list
    within "$1" nvidia-smi -L
    key cuda
    within "$1" nvidia-smi -q -d COMPUTE
}

mark_of() { # PID: which program of ours it is; that of another state folder is told with its folder
    # Line ends inside of values become other characters, so that a line is a variable.
    tr '\000\n' '\n\001' 2>/dev/null <"/proc/$1/environ" | state=$state awk '
        index($0, "ENGINEHOUSE_PROGRAM=") == 1 { program = substr($0, 21) }
        index($0, "ENGINEHOUSE_STATE=") == 1 { folder = substr($0, 19) }
        END { if (program) print (folder == ENVIRON["state"] ? "" : folder ": ") program }'
}
