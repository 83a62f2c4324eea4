"""What is run on a machine over SSH to run a script there. Pure.

A login shell may be any program, print what it likes, and be started by sshd or through `sudo`. So the command is one
constant line that every shell reads the same way: single quotes, no backslash or line end in them (tried with dash,
bash, ksh, zsh, fish and tcsh, 2026-11). The script, as everywhere, comes on stdin: every user of a machine can read its
process list.

The first line of stdin is a secret mark and the script's length. The mark is printed before and after the script's
output, so what a profile prints is told from it, and the end of both streams is known even if a daemon keeps them open.
A keeper beside the script looks once a second whether sshd's process for this connection lives, and ends the script
with all its children when it does not: sshd itself leaves them alone. Who closes a channel first, as the way to a
socket is closed, must not end the shell before it has ended its keeper.

At its end the shell reads on until we close the channel. If sshd closed it first, while we send, what is on the way
would be about a channel that it no longer knows, and it ends the whole connection for that (OpenSSH 9.2, measured).
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from enginehouse.connectors.base import SILENT
from enginehouse.connectors.environment import SYSTEM_PATH

MARK_SIGN = "\x1e"
"""What every mark begins with; rare in texts, so a stream seldom has to be held back."""

RELAY_OPEN = b"starting data transfer loop"
"""What socat notes on stderr when both ends are open (socat 1.7.4 and 1.8.0, read 2026-11); else it just ends."""

_SOCAT_SIGNS = "\\:,!'\"()[]{}"
"""What has a meaning in an address of socat (its manual page, 2026-11)."""

_BODY = "; ".join(
    (
        "umask 022",
        "LC_ALL=C",
        "watched=${1:-$PPID}",
        f'PATH="${{ENGINEHOUSE_CACHE:-${{XDG_CACHE_HOME:-$HOME/.cache}}/enginehouse}}/bin:$PATH:{SYSTEM_PATH}"',
        "export LC_ALL PATH",
        'IFS=" " read -r mark size',
        'script=$(dd bs="$size" count=1 iflag=fullblock status=none)',
        "read -r pid name state parent group rest </proc/$$/stat",
        'echo "$mark$group"',
        'echo "$mark" >&2',
        '{ (while kill -0 "$watched"; do sleep 1; done; trap "" TERM; kill -s TERM 0; sleep 2; kill -s KILL 0)'
        " </dev/null >/dev/null 2>&1 & }",
        "keeper=$!",
        '(eval "${script:?did not arrive}")',
        "code=$?",
        'trap "" PIPE',
        'echo "$mark$code"',
        'echo "$mark" >&2',
        "kill $keeper",
        "exec cat >/dev/null 2>&1",
    )
)
SUDO_ASKS = b"the password for sudo, please: "
"""What sudo is told to say when it asks (`-p`), so that its own words in any language need not be known."""
SUDO_READY = b"sudo has let us in\n"
"""What is said on stdout behind it: what comes on stdin now is for us."""
PLAIN = f"exec /bin/sh -c '{_BODY}' sh"
SUDO = f"""exec /bin/sh -c 'LC_ALL=C exec sudo -n /bin/sh -c "$1" sh $PPID' sh '{_BODY}'"""
SUDO_WITH_PASSWORD = (
    f"""exec /bin/sh -c 'LC_ALL=C exec sudo -S -p "$2" /bin/sh -c "$1" sh $PPID' sh """
    f"""'echo "{SUDO_READY.decode().strip()}"; {_BODY}' '{SUDO_ASKS.decode()}'"""
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A script made ready for the way."""

    mark: bytes
    head: bytes
    """What goes down the stream first; the script's own stdin follows directly."""


def pack(script: str, secret: str) -> Sent:
    """Pack `script`; `secret` is what nobody can guess. One that arrives in part is a syntax error and runs nothing.

    Raises `ValueError` for a script with a NUL character, which no shell can hold.
    """
    if "\0" in script:
        raise ValueError("a script can't hold a NUL character")
    body = f"{{ :; {script}\n}}\n".encode("utf-8", "surrogateescape")
    mark = f"{MARK_SIGN}{secret}"
    return Sent(mark=mark.encode(), head=f"{mark} {len(body)}\n".encode() + body)


def held(script: str) -> str:
    """`script`, which ends sshd's process for this connection when its holder has fallen silent.

    Nobody else would, for hours, when a cable was pulled; the keepers of other scripts then end those.
    """
    return f"""({script}
)
code=$?
[ $code != {SILENT} ] || kill "$watched"
exit $code"""


def ending(group: int) -> str:
    """A script that ends a process group as a local one is ended: SIGTERM, two seconds, SIGKILL."""
    return f"""kill -s TERM -- -{group} 2>/dev/null
tries=20
while [ $tries -gt 0 ] && kill -s 0 -- -{group} 2>/dev/null; do sleep 0.1; tries=$((tries - 1)); done
kill -s KILL -- -{group} 2>/dev/null
:"""


def ending_lost(group: int) -> str:
    """The same for a group that a broken connection left behind, if a shell of ours is still in it.

    Its keeper may have ended all others by now but those that take no SIGTERM.
    """
    return f"""for shell in $(grep -ls watched= /proc/[0-9]*/cmdline); do
[ "$(cut -d ' ' -f 5 "${{shell%cmdline}}stat" 2>/dev/null)" = {group} ] || continue
{ending(group)}
break
done"""


def unix_relay(path: str) -> str:
    """A script that joins its streams with a unix socket, and notes `RELAY_OPEN`."""
    escaped = "".join(f"\\{sign}" if sign in _SOCAT_SIGNS else sign for sign in path)
    return f"exec socat -d -d -t 0.01 - {shlex.quote(f'UNIX-CONNECT:{escaped}')}"
