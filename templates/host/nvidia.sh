# Installs NVIDIA's driver and container toolkit, beside `packages.sh`, `probe.sh`, `gpus.sh` and `nvidia_facts.sh`.
# Needs: root, apt, systemd, curl. `mark` stands while anything is half done.

begin_nvidia() { # MARK
    mark=$1 log=$1.log
    mkdir -p "${mark%/*}"
    exec 6>"${mark%/*}/packages.lock"
    flock 6
    [ ! -e "$mark" ] || patiently dpkg --configure -a
    unheld=
    trap leave_nvidia EXIT
}

leave_nvidia() { # hold again what was held, after a failure, except what is half installed: the next run installs it
    rm -f "$mark.list"
    [ -n "$unheld" ] || return 0
    unheld=$(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' $unheld | sed -n 's/^ii *//p')
    [ -z "$unheld" ] || apt-mark hold $unheld >/dev/null
}

end_nvidia() {
    rm -f "$mark" "$log"
}

repository() { # NAME URL KEY_URL FINGERPRINT KNOWN: make it known to apt, whose only key for it is that one
    list=/etc/apt/sources.list.d/$1.list keys=/etc/apt/keyrings/$1.asc
    # One that is there already is the machine's own; the same one twice, with another key, breaks all of apt.
    if known_from_others "$5" "$list" /etc/apt/sources.list /etc/apt/sources.list.d; then
        patiently apt-get update -q
        return
    fi
    [ -e /etc/ssl/certs/ca-certificates.crt ] || {
        patiently apt-get update -q
        patiently apt-get install -q -y --no-install-recommends --no-remove ca-certificates
    }
    mkdir -p -m 755 /etc/apt/keyrings
    echo "progress asking $3 for the signing key"
    if ! said=$(curl -q -sSfL --max-time 120 --max-filesize 262144 -o "$keys.new" "$3" 2>&1); then
        echo "the signing key can't be fetched from $3: $said" >&2
        exit 1
    fi
    case $(head -c 36 "$keys.new") in
        '-----BEGIN PGP PUBLIC KEY BLOCK-----') ;;
        *)
            rm -f "$keys.new"
            echo "what is at $3 is no signing key in ASCII armour" >&2
            exit 1
            ;;
    esac
    chmod 644 "$keys.new"
    mv -f "$keys.new" "$keys"
    # Nobody else's apt sees it before its signature is proved.
    echo "deb [signed-by=$keys,$4] $2 /" >"$mark.list"
    patiently apt-get update -q -o Dir::Etc::sourcelist="$mark.list" -o Dir::Etc::sourceparts=- \
        -o APT::Get::List-Cleanup=0 -o APT::Update::Error-Mode=any
    chmod 644 "$mark.list"
    mv -f "$mark.list" "$list"
    patiently apt-get update -q
}

unhold_driver() { # PACKAGE...: until `hold_driver`, or the end
    unheld=$*
    apt-mark unhold "$@" >/dev/null
}

known_from_others() { # ADDRESS FILE PLACE...: whether any but that file has it, of those that apt reads
    address=$1 except=$2
    shift 2
    grep -HrsF --include='*.list' --include='*.sources' -e "$address" "$@" | grep -v '#' | grep -qv "^$except:"
}

install_driver() { # BRANCH PACKAGE...
    branch=$1 kernel=linux-headers-$(uname -r)
    shift
    # Any other branch loses, for all packages of the driver, also those that others depend on.
    printf '%s\n' "Package: *nvidia* cuda-drivers* libcuda1 libcudadebugger1 libnvcuvid1 libnvoptix1" \
        "Pin: version $branch.*" 'Pin-Priority: 999' >"$mark.list"
    chmod 644 "$mark.list"
    mv -f "$mark.list" /etc/apt/preferences.d/enginehouse-nvidia-driver
    case $(candidate "$kernel") in
        '' | '(none)')
            echo "the machine's package sources have no $kernel, for the kernel that runs: reboot into the newest" \
                "kernel that is installed, or bring its headers by hand" >&2
            exit 1
            ;;
    esac
    for package; do
        found=$(candidate "$package")
        case $found in "$branch".*) continue ;; esac
        echo "the package sources have no $package of branch $branch${found:+, but $found}" >&2
        exit 1
    done
    headers="$kernel $(headers_of_next_kernels)"
    removed=$(removed_by $headers "$@")
    if [ -n "$removed" ]; then
        echo "apt would remove" $removed "for $*, which is not done unasked:" \
            "\`sudo apt-get remove" $removed"\` there, unless something needs that, and run this again" >&2
        exit 1
    fi
    : >"$mark"
    patiently apt-get install -q -y --no-install-recommends --no-remove -o Dpkg::Options::=--force-confold \
        $headers "$@"
    version=$(dpkg-query -W -f '${Version}' "$1")
    version=${version#*:} version=${version%%[-~+]*}
    hold_driver "$version"
    load_driver "$version"
}

removed_by() { # PACKAGE...: what their installation would remove
    apt-get install -q -s --no-install-recommends "$@" 2>/dev/null </dev/null | sed -n 's/^Remv \([^ ]*\).*/\1/p'
}

headers_of_next_kernels() { # those that come along with the kernels of upgrades, for which the module is built then
    dpkg-query -W -f '${db:Status-Abbrev}\t${Package}\n' 'linux-image-*' 2>/dev/null |
        sed -n "s/^[ih]i *${tab}linux-image-\([a-z].*\)/linux-headers-\1/p" | while read -r headers; do
        case $(candidate "$headers") in '' | '(none)') ;; *) echo "$headers" ;; esac
    done
}

candidate() { # PACKAGE
    apt-cache policy "$1" | sed -n 's/^ *Candidate: \(.*:\)\{0,1\}//p'
}

hold_driver() { # VERSION: what moves under a module that is loaded breaks all that computes
    apt-mark hold $(dpkg-query -W -f '${db:Status-Abbrev}\t${Version}\t${Package}\n' | awk -F '\t' -v version="$1" '
        { sub(/^[0-9]+:/, "", $2) }
        $1 ~ /^[ih]i/ && $3 ~ /nvidia|cuda-drivers|libcuda|libnvcuvid|libnvoptix/ &&
            substr($2, 1, length(version)) == version && substr($2, length(version) + 1, 1) ~ /[-~+]/ { print $3 }
    ') >/dev/null
    unheld=
}

load_driver() { # VERSION: unless it is, or only a reboot can
    ! grep -qsF "  $1 " /proc/driver/nvidia/version || return 0
    ! pci | grep -qa ' 0x10de 0x[0-9a-f]* nouveau$' || return 0
    systemctl stop nvidia-persistenced 2>/dev/null || :
    [ ! -e /proc/driver/nvidia/version ] || modprobe -q -r nvidia_uvm nvidia_drm nvidia_modeset nvidia || return 0
    if ! said=$(modprobe nvidia 2>&1 && modprobe nvidia_uvm 2>&1); then
        printf '%s\n' "NVIDIA's driver $1 is installed, and the kernel does not load it: $said" \
            "$(command -v dkms >/dev/null && dkms status 2>&1)" "a reboot may help" >&2
        exit 1
    fi
    systemctl enable -q --now nvidia-persistenced 2>/dev/null || :
}

note_docker() { # FILE
    mkdir -p "${1%/*}"
    docker_identity >"$1"
}

install_toolkit() { # LOWEST_VERSION
    check_candidate nvidia-container-toolkit "$1"
    : >"$mark"
    patiently apt-get install -q -y --no-install-recommends --no-remove -o Dpkg::Options::=--force-confold \
        nvidia-container-toolkit
}

restart_docker() { # FILE with the identity of the one that has to be, SOCKET
    if [ -s "$1" ] && [ "$(cat "$1")" = "$(docker_identity)" ]; then
        names=$(running_in "$2") || {
            echo "Docker does not tell which containers run, so it is not restarted" >&2
            exit 1
        }
        if [ -n "$names" ]; then
            echo "Docker has to be restarted, and meanwhile containers have been started:" $names >&2
            exit 1
        fi
        echo "progress restarting Docker"
        systemctl restart docker
    fi
    rm -f "$1"
}
