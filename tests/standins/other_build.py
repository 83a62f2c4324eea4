"""A `llama-server` in place of the real one, which says that it is another build and is the same engine in all else.

It proves that converge looks at what a program says of itself, and that a swap of builds costs no request. It proves
nothing about the other build. Strict: a real engine that does not tell its build in the way we know is an error.
"""

from __future__ import annotations

from pathlib import Path

SCRIPT = """\
#!/bin/sh
# {engine}, which says that it is build {build}
case "$*" in
*--version*)
    said=$({engine} "$@" 2>&1) || exit
    case $said in
    "version: "*) ;;
    *) echo "no version in: $said" >&2; exit 1 ;;
    esac
    echo "version: {build} (stand-in)"
    ;;
*) exec {engine} "$@" ;;
esac
"""


def write_other_build(program: Path, engine: str, build: str) -> None:
    """Put it at `program`; `engine` is the real one's path, `build` a number."""
    program.write_text(SCRIPT.format(engine=engine, build=build))
    program.chmod(0o755)
