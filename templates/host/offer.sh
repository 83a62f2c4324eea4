# Gives one file to one other machine, once: whoever comes from its address and knows the token. Lives until its stdin
# ends, and leaves nothing behind. Expects `file`, `address` and `token`.
# Needs: POSIX sh, coreutils, socat; Linux' /proc. Neither file nor token is in an argument list.

offer() { # PEER: tells port and size, and waits
    size=$(stat -L -c %s "$file")
    return=$(printf '\r')
    export file size token return
    case $address in
        *:*) listen="TCP6-LISTEN:0,bind=[$address],range=[$1]/128" ;;
        *) listen="TCP4-LISTEN:0,bind=$address,range=$1/32" ;;
    esac
    exec 3<&0
    { listen "$listen" & echo "process $!"; } </dev/null 2>&1 | attended
}

listen() { # ADDRESS of socat: becomes, for the first who comes, the shell that answers
    exec socat -d -d "$1" EXEC:'sh /proc/self/fd/5',nofork 5<<'END'
read -r _ path _ || exit
status='200 OK' from=0
while read -r line && line=${line%"$return"} && [ "$line" ]; do
    case $line in [Rr]ange:\ bytes=*-) status='206 Partial Content' from=${line##*=} from=${from%-} ;; esac
done
if [ "$path" != "/$token" ]; then
    printf 'HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n'
    exit
fi
case $from in '' | *[!0-9]*) status='200 OK' from=0 ;; esac # arithmetic of some shells would run what is there
printf 'HTTP/1.1 %s\r\nConnection: close\r\n' "$status"
printf 'Content-Length: %s\r\nContent-Range: bytes %s-%s/%s\r\n\r\n' $((size - from)) "$from" $((size - 1)) "$size"
exec tail -c "+$((from + 1))" "$file"
END
}

attended() { # reads who socat is and what it says, in either order
    port='' process='' said='socat does not start'
    while [ -z "$port" ] || [ -z "$process" ]; do
        read -r line || break
        case $line in
            'process '*) process=${line#process } ;;
            *' listening on '*) port=${line##*:} ;;
            *'] E '*) said=${line#*'] E '} ;;
        esac
    done
    if [ -z "$port" ]; then
        echo "$said" >&2
        exit 1
    fi
    echo "$port $size"
    read -r _ <&3 || :
    kill "$process" 2>/dev/null || :
}
