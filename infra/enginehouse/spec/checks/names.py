"""Names fit together: no two parts share one, and no socket path becomes longer than Linux allows."""

from __future__ import annotations

from collections.abc import Iterator

from enginehouse.spec.codes import Code
from enginehouse.spec.hosts import Host, every_host
from enginehouse.spec.model import Spec
from enginehouse.spec.names import part_names
from enginehouse.spec.problems import Problem, shown
from enginehouse.spec.source import KeyPath, Source

MOST_TOGETHER = 31
"""Letters of a stack's and a machine's name together. HAProxy takes socket paths of at most 97 letters (measured
2026-11, 2.8.25). In `STATE/STACK/gateway-MACHINE/run/admin.sock` the fixed part takes 25, which leaves 41 for the state
folder: enough for `/home/TEN-LETTERS/.local/state/enginehouse`."""
MOST_AS_ROOT = 52
"""The same where the state folder is root's, `/var/lib/enginehouse`."""
TAKEN = frozenset({"events.jsonl", "frozen.json", "owner.json"})
"""Files that stand beside the parts' folders; of all parts only a host may have a dot in its name."""


def check(spec: Spec, _: Source) -> Iterator[Problem]:
    yield from _too_long(spec)
    yield from _clashes(spec)


def _too_long(spec: Spec) -> Iterator[Problem]:
    longest: dict[KeyPath, Host] = {}
    for host in every_host(spec):
        longest[host.path] = max(longest.get(host.path, host), host, key=lambda h: len(h.name))
    for path, host in longest.items():
        length, most = len(spec.name) + len(host.name), MOST_AS_ROOT if _is_root(spec, host) else MOST_TOGETHER
        if length > most:
            yield Problem(
                path=path,
                on_key=True,
                code=Code.NAMES_TOO_LONG,
                summary=f"stack {shown(spec.name)} and machine {shown(host.name)} have {length} letters together",
                hint=f"at most {most} fit into the path of a socket on the machine"
                + ("" if most == MOST_AS_ROOT else f", and {MOST_AS_ROOT} as root"),
            )


def _is_root(spec: Spec, host: Host) -> bool:
    ssh = spec.machines[host.group].ssh
    return ssh is not None and (ssh.become is not None or ssh.user == "root")


def _clashes(spec: Spec) -> Iterator[Problem]:
    first: dict[str, KeyPath] = {}
    for name, path in part_names(spec):
        if name in TAKEN:
            yield Problem(
                path=path,
                on_key=True,
                code=Code.NAMES_CLASH,
                summary=f"a machine can't be called {shown(name)}, like a file of the stack on it",
                hint="`hosts` as a mapping gives an address another name",
            )
        other = first.setdefault(name, path)
        if other != path:
            yield Problem(
                path=path,
                on_key=True,
                code=Code.NAMES_CLASH,
                summary=f"two parts of the stack would be called {shown(name)}",
                hint="rename one of the two",
                related=((other, "the other one"),),
            )
