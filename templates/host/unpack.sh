# Makes an executable of a verified file. Beside change.sh it needs packages.sh, and `tree_of` of probe.sh.
unpack() { # FILE SHA256 FOLDER PROGRAM MARK: all of it or nothing; the folder's record is written last
    file=$1 sha256=$2 folder=$3 program=$4 mark=$5 copy=$3.new/copy
    rm -rf "$folder.new" "$folder.verified"
    mkdir -p "$folder.new/files"
    # The file may be somebody else's, who can change it after it was verified, but not our copy.
    cp "$file" "$copy"
    [ "$(sha256sum <"$copy" | cut -c 1-64)" = "$sha256" ] || fail "$file was altered after it was verified"
    case $file in
        *.[tT][gG][zZ] | *.[tT][aA][rR].[gG][zZ])
            tar -xzf "$copy" -C "$folder.new/files" --no-same-owner --no-same-permissions
            rm -f "$copy"
            ;;
        *) mv "$copy" "$folder.new/files/$program" ;;
    esac
    chmod -R u+rwX,go= "$folder.new"
    found=$(cd "$folder.new" && find files -name "$program" \( -type f -o -type l \))
    case $found in
        '') fail "there is no $program in $file" ;;
        *"
"*) fail "there are several files called $program in $file" ;;
    esac
    chmod u+x "$folder.new/$found"
    ln -s "$found" "$folder.new/$program"
    bring_libraries "$folder.new/$program" "$mark"
    rm -rf "$folder"
    mv "$folder.new" "$folder"
    tree_of "$folder" >"$folder.verified.new"
    mv -f "$folder.verified.new" "$folder.verified"
}

fail() {
    rm -rf "$folder.new"
    echo "$1" >&2
    exit 1
}

bring_libraries() { # PROGRAM MARK: from the distribution's packages, if there is a mark and we may
    lacking=$(ldd "$1" 2>/dev/null | awk '/not found/ { print $1 }' | sort -u)
    [ -n "$lacking" ] || return 0
    lacking=$(echo $lacking)
    [ -n "$2" ] && [ "$(id -u)" = 0 ] && [ -d /run/systemd/system ] && command -v apt-get >/dev/null ||
        fail "$program needs shared libraries that the machine lacks: $lacking"
    set -- "$2"
    for library in $lacking; do
        case $library in
            libgomp.so.1) set -- "$@" libgomp1:0 ;;
            libssl.so.3 | libcrypto.so.3) set -- "$@" libssl3:0 ;;
            libcurl.so.4) set -- "$@" libcurl4:0 ;;
            libstdc++.so.6) set -- "$@" libstdc++6:0 ;;
            *) fail "$program needs shared libraries that the machine lacks: $lacking" ;;
        esac
    done
    install_packages "$@"
}
