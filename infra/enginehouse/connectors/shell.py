"""How a script and the bytes that are its stdin travel to a POSIX `sh` on one stream.

`sh -s` can't be used for that: dash reads its script in blocks and swallows what follows (measured 2026-11, 0.5.12).
So the machine runs a small constant command, which reads exactly the script's bytes and evaluates them. The script
itself is never an argument, because every user of a machine can read its process list. For a script of 10 KB the
reading costs 2 ms; with `dd bs=1` or the shell's own `read` it would be 21 ms and 5 to 12 ms (measured 2026-11,
dash 0.5.12 and bash 5.2).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """A script made ready for the way to a machine."""

    command: str
    """What `sh -c` is given. It depends on the script's length and nothing else."""
    head: bytes
    """What goes down the stream first; the script's own stdin follows directly."""


def parcel(script: str) -> Parcel:
    """Pack `script` so that a stream which ends too early runs none of it.

    The whole is one brace group: if its end is missing, that is a syntax error before the first command.
    Raises `ValueError` for a script with a NUL character, which no shell can hold.
    """
    if "\0" in script:
        raise ValueError("a script can't hold a NUL character")
    head = f"{{ :; {script}\n}}\n".encode("utf-8", "surrogateescape")
    read = f"dd bs={len(head)} count=1 iflag=fullblock status=none"
    return Parcel(command=f'umask 022; script=$({read}) && eval "${{script:?did not arrive}}"', head=head)
