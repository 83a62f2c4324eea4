# The weights in a state folder, and which parts of its stacks need them.
stored() { # STATE [only-unused]: a line for each, name TAB kB TAB parts with blanks TAB files with slashes between them
    for folder in "$1"/weights/*/; do
        folder=${folder%/}
        name=${folder##*/}
        # Anything else was put there by somebody else.
        case $name in *[!0-9a-f]*) continue ;; esac
        files=$(files "$folder")
        # Only a record is there of a file that belongs to somebody else.
        [ -n "$files" ] || continue
        used=$(users "$1" "$name") || return
        [ $# = 1 ] || [ -z "$used" ] || continue
        printf '%s\t%s\t%s\t%s\n' "$name" "$(du -sk "$folder" | cut -f 1)" "$used" "$files"
        [ $# = 1 ] || rm -rf "$folder"
    done
}

users() { # STATE NAME: parts of which a manifest has that SHA-256, or a kept release that path; fails if one can't be read
    manifests=$(naming -E "\"$2[0-9a-f]{48}\"" "$1"/*/*/manifest.json) || return
    releases=$(naming -F "/weights/$2/" "$1"/*/*/releases/*/*) || return
    printf '%s\n' "$manifests" "$releases" | while read -r file; do
        file=${file#"$1"/}
        stack=${file%%/*} file=${file#*/}
        [ -z "$file" ] || echo "$stack/${file%%/*}"
    done | sort -u | tr '\n' ' '
}

naming() { # KIND PATTERN FILE...: the files with it; without files there is only a pattern that matched none
    [ -e "$3" ] || return 0
    grep -l "$@" || [ $? = 1 ]
}

files() { # FOLDER: without the records of what was verified
    ls -A "$1" 2>/dev/null | { grep -v '\.verified$' || :; } | tr '\n' /
}
