# Weights are known by their SHA-256 and get their name only after it was checked.
# Expects `file`, `sha256`, `record`. Prints `progress ...` lines a few times a second: so progress is
# seen, and a wish to stop is heard.

size_of() {
    stat -L -c %s "$1" 2>/dev/null || echo 0
}

digest() { # FILE; sets `found`
    size=$(size_of "$1")
    sha256sum <"$1" >"$record.sum" &
    attend $! digest_progress || exit # also where a failure is only asked about: it says nothing about the file
    found=$(cut -c 1-64 "$record.sum")
    rm -f "$record.sum"
}

digest_progress() { # how far the child has read
    { read -r _ at <"/proc/$child/fdinfo/0"; } 2>/dev/null || return 0
    echo "progress $at $size checking the SHA-256"
}

keep() { # remember what the verified file looks like, so that the next look is a stat
    printf '%s %s\n' "$sha256" "$(stat -L -c '%s %Y %i' "$file")" >"$record.new"
    mv -f "$record.new" "$record"
}

present() { # whether the file is there and right; one that is not right is removed
    [ -f "$file" ] || return 1
    digest "$file"
    if [ "$found" = "$sha256" ]; then
        keep
        return 0
    fi
    rm -f "$file" "$record"
    return 1
}

refuse() { # WHAT_HAPPENS EXIT_CODE
    echo "the file's SHA-256 is $found, expected $sha256; $1" >&2
    exit "$2"
}

judge() { # sets `found`; a partial file that is right becomes the file, one that is wrong is removed
    digest "$file.part"
    if [ "$found" = "$sha256" ]; then
        mv -f "$file.part" "$file"
        keep
    else
        rm -f "$file.part"
    fi
}

finish() { # BYTES that were there before this try: if they may be what is wrong, that is another exit code
    judge
    [ "$found" != "$sha256" ] || return 0
    [ "$1" = 0 ] || refuse "what was there before or what came now is wrong; the partial file was removed" 76
    refuse "the partial file was removed" 1
}

check_in_place() { # a file of somebody else: read, never changed
    if [ ! -f "$file" ]; then
        echo "$file is not on the machine" >&2
        exit 1
    fi
    digest "$file"
    [ "$found" = "$sha256" ] || refuse "it is left as it is" 1
    keep
}

bring() { # URL: continues a partial file; if the whole is wrong then, it is downloaded from the beginning, once
    before=$(size_of "$file.part")
    download "$1"
    if [ "$before" != 0 ]; then
        judge
        [ "$found" != "$sha256" ] || return 0
        echo "progress what was there before was wrong: once more, from the beginning"
        download "$1"
    fi
    finish 0
}

download() { # URL; continues a partial file
    url=$1
    total=$(curl -q -g -fsSIL --proto =https --proto-redir =https --max-time 60 "$url" 2>/dev/null | tr -d '\r' |
        awk 'tolower($1) == "content-length:" { size = $2 } END { printf "%.0f", size }')
    check_room
    # A server answers 416 to a request for what lies behind the end of a complete file.
    [ "$total" -gt 0 ] && [ "$missing" -le 0 ] && return 0
    fetch && return 0
    # 33: the server can't send the rest of a file, so it is all or nothing.
    [ $? = 33 ] || return 1
    rm -f "$file.part"
    fetch
}

check_room() { # for `total` bytes; sets `missing`
    free=$(df -Pk "$(dirname "$file")" | awk 'NR == 2 { printf "%.0f", $4 * 1024 }')
    missing=$((total - $(size_of "$file.part")))
    if [ "$missing" -gt "$free" ]; then
        echo "the disk has $((free / 1048576)) MiB free, the download needs $((missing / 1048576)) MiB" >&2
        exit 1
    fi
}

fetch() {
    curl -q -g -fsSL --proto =https --proto-redir =https --retry 3 --connect-timeout 30 --speed-limit 1024 \
        --speed-time 60 -C - -o "$file.part" "$url" &
    attend $! download_progress
}

copy() { # SIZE URL ADDRESS NAME: what the machine of that name offers to our address; continues a partial file
    total=$1 from=$4 before=$(size_of "$file.part")
    check_room
    [ "$missing" -gt 0 ] || return 0
    # The URL is the secret, so it is in no argument list.
    printf 'url = "%s"\n' "$2" | curl -q -g -fsS --proto =http --noproxy '*' --interface "$3" --connect-timeout 5 \
        --speed-limit 500000 --speed-time 30 -C - -o "$file.part" -K - &
    attend $! download_progress
}

download_progress() {
    echo "progress $(size_of "$file.part") $total${from:+ from $from}"
}
