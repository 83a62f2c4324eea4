# The keys of engines on other machines than their gateway, which stay on its machine: one a line, the first is sent, the
# other one was sent before. No value is ever among the words of a command: what prints one here is the shell itself.
KEY_BYTES=32

keys_are_good() { # FILE: its first line is a key
    first=
    { read -r first; } 2>/dev/null <"$1" && [ "$(stat -c %s "$1")" -gt $((KEY_BYTES * 2)) ] && [ -n "$first" ]
}

is_for_owner() { # FILE
    [ "$(stat -c %a "$1" 2>/dev/null)" = 600 ]
}

# FILE GATEWAY: the file's digest, and which releases in the folder GATEWAY send its key; nothing if it has to be made.
engine_keys() {
    keys_are_good "$1" && is_for_owner "$1" || return 0
    key engine_keys
    sha256sum <"$1"
    key engine_maps
    for map in "$2"/releases/*/engines.map; do
        { read -r sent; } 2>/dev/null <"$map" && [ "$sent" = "engines Bearer $first" ] && is_for_owner "$map" || continue
        map=${map%/*}
        printf '%s\n' "${map##*/}"
    done
}

make_engine_keys() { # FILE GATEWAY: a new key, and after it the one that HAProxy sends until it is told the new one
    (
        flock 7
        if ! keys_are_good "$1"; then
            rm -f "$1.new"
            { od -An -v -tx1 -N$KEY_BYTES /dev/urandom | tr -d ' \n'; echo; } >"$1.new"
            sed -n 's/^engines Bearer //p' "$2/current/engines.map" >>"$1.new" 2>/dev/null || :
            keys_are_good "$1.new"
            mv -f "$1.new" "$1"
        fi
        chmod 600 "$1"
    ) 7>"$1.lock"
}

send_engine_key() { # FILE RELEASE: what HAProxy is to send
    keys_are_good "$1"
    mkdir -p "$2"
    rm -f "$2/engines.map.new"
    printf 'engines Bearer %s\n' "$first" >"$2/engines.map.new"
    mv -f "$2/engines.map.new" "$2/engines.map"
}
