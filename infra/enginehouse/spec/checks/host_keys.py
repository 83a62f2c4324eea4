"""With `host_keys: pinned` every host has a host key in the file, and else none has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from enginehouse.planner.parts import HostKeys
from enginehouse.spec.codes import Code
from enginehouse.spec.host_keys import fault
from enginehouse.spec.hosts import Host, hosts_of
from enginehouse.spec.machines import Ssh
from enginehouse.spec.model import Spec
from enginehouse.spec.problems import Problem, shown
from enginehouse.spec.secrecy import looks_private, secret_value
from enginehouse.spec.source import KeyPath, Source

_MODE = "host_keys"
_KEY = "host_key"


def check(spec: Spec, _: Source) -> Iterator[Problem]:
    for group, machine in spec.machines.items():
        if machine.ssh:
            yield from _group(spec, group, machine.ssh)


def _group(spec: Spec, group: str, ssh: Ssh) -> Iterator[Problem]:
    mode: KeyPath = ("machines", group, "ssh", _MODE)
    pinned = ssh.host_keys is HostKeys.PINNED
    if pinned and ssh.hosts is not None and not isinstance(ssh.hosts, Mapping):
        yield Problem(
            path=mode,
            code=Code.MISSING_KEY,
            summary="hosts that are only named have no place for a host key",
            hint="write them as a mapping, also in a `hosts_file`: `gpu-1: {host_key: ssh-ed25519 AAAA…}`",
            related=((("machines", group, "ssh", "hosts"), "the hosts"),),
        )
        return
    for host in hosts_of(spec, group):
        yield from _host(host, mode, pinned=pinned)


def _host(host: Host, mode: KeyPath, *, pinned: bool) -> Iterator[Problem]:
    assert host.ssh is not None, "it is in a group of hosts reached over SSH"
    path = (*host.path, _KEY)
    if pinned and not host.ssh.host_keys:
        yield Problem(
            path=host.path,
            on_key=True,
            code=Code.MISSING_KEY,
            summary=f'host {shown(host.name)} has no "{_KEY}"',
            hint=f"`{_MODE}: pinned` needs it; on the machine, `cat /etc/ssh/ssh_host_ed25519_key.pub` prints it",
            related=((mode, "needed by this"),),
            rests_on=(path,),
        )
    if not pinned and host.ssh.host_keys:
        yield Problem(
            path=path,
            on_key=True,
            code=Code.BAD_HOST_KEY,
            summary=f'"{_KEY}" means nothing without `{_MODE}: pinned`',
            hint="write that beside `hosts`, or leave the key out",
            rests_on=(mode,),
        )
    one = isinstance(host.ssh.host_key, str)
    for index, key in enumerate(host.ssh.host_keys):
        if key is not None:  # as where the shape was wrong
            yield from _key(path if one else (*path, index), key)


def _key(path: KeyPath, key: str) -> Iterator[Problem]:
    if looks_private(key):
        hint = "write the public one, from the file that ends in .pub; the machine needs another private key now"
        yield secret_value(path, "this is a private host key", hint)
    elif wrong := fault(key):
        yield Problem(
            path=path,
            code=Code.BAD_HOST_KEY,
            summary=f"the host key {wrong}",
            hint=f"write `{_KEY}: ssh-ed25519 AAAA…` or `{_KEY}: SHA256:…`",
        )
