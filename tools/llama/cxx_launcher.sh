#!/bin/sh
# Compiler launcher for cmake. Only tensor code (ggml, libllama) earns -O3; for the HTTP server, the argument
# parser and the bundled libraries -O0 gives the same program in a fraction of the compile time.
for word in "$@"; do
    case "$word" in
        */llama.cpp/ggml/*.c | */llama.cpp/ggml/*.cpp | */llama.cpp/src/llama-*.cpp | */llama.cpp/src/unicode*.cpp) exec "$@" ;;
    esac
done
left=$#
while [ "$left" -gt 0 ]; do
    word=$1
    shift
    [ "$word" = -O3 ] && word=-O0
    set -- "$@" "$word"
    left=$((left - 1))
done
exec "$@"
