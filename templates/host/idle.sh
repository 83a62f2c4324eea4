# Waits until nobody is connected to a local port: exit code 0, or 1 when the time is up. Reads only.
connections() { # PORT: established connections whose near end it is
    awk -v port="$(printf ':%04X' "$1")" '
        $4 == "01" && substr($2, length($2) - 4) == port { count++ }
        END { print count + 0 }' /proc/net/tcp /proc/net/tcp6 2>/dev/null
}

wait_idle() { # PORT SECONDS
    calm=0 tries=$(($2 * 10))
    # Twice in a row: a request may be on its way from the gateway at the first look.
    while [ $calm -lt 2 ]; do
        open=$(connections "$1")
        if [ "$open" = 0 ]; then
            calm=$((calm + 1))
        else
            calm=0
            [ $tries -gt 0 ] || return 1
            echo "progress $open requests left"
        fi
        tries=$((tries - 1))
        sleep 0.1
    done
}
