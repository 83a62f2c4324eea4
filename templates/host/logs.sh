# The last lines of a log, and new ones as they come. Nothing here writes, and no file is read further than it is shown.
serving() { # PART_FOLDER SIDE...: the side that the manifest names, else the one that wrote last
    folder=$1
    shift
    side=$(sed -n 's/^ "side": "\([a-z]*\)",*$/\1/p' "$folder/manifest.json" 2>/dev/null)
    [ -n "$side" ] || side=$(cd "$folder/log" 2>/dev/null && ls -t $(printf '%s.log ' "$@") 2>/dev/null | head -n 1)
    echo "${side%.log}"
}

before() { # FILE LINES: what a file that was just begun lacks, from the one before it
    here=$(tail -n "$2" "$1" 2>/dev/null | wc -l)
    [ "$here" -ge "$2" ] || tail -n "$(($2 - here))" "$1.1" 2>/dev/null
}

last() { # FILE LINES
    before "$@"
    tail -n "$2" "$1" 2>/dev/null || :
}

before_hang() { # LOG_FOLDER LINES
    newest=$(ls "$1" 2>/dev/null | grep '^hang-.*\.log$' | sort | tail -n 1)
    [ -z "$newest" ] || tail -n "$2" "$1/$newest"
}

notices() { # FILE SHARED LINES: a HAProxy that was started when both went to one file says it there, between access lines
    if [ -e "$1" ] || [ ! -e "$2" ]; then last "$1" "$3"; else grep -v '^{' "$2" | tail -n "$3"; fi
}

follow() { # FILE LINES: by its name, so that the file that takes its place is followed, too
    before "$@"
    exec tail -n "$2" -F "$1" 2>/dev/null
}
