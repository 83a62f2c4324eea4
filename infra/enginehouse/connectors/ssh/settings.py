"""How OpenSSH would reach a machine: its own client is asked (`ssh -G`), so that every file and rule of it counts."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from enginehouse.errors import Unreachable
from enginehouse.planner.parts import HostKeys, Ssh

CONFIG_VARIABLE = "ENGINEHOUSE_SSH_CONFIG"
"""Names a file that is read instead of `~/.ssh/config` and `/etc/ssh/ssh_config`."""
ASK_S = 20.0
"""`ssh -G` takes milliseconds, but a `Match exec` of the person's own may run anything."""
MOST_JUMPS = 8
DEFAULT_PORT = 22
_ONE_WORD = re.compile(r"%|[A-Za-z0-9_./:@\[\]+][A-Za-z0-9_./:@%\[\]+-]*")
"""What a shell reads as it is, and no command as an option. OpenSSH refuses the same, and did not always."""
_JUMP = re.compile(r"(?:(?P<user>[^@]+)@)?(?P<host>\[[^\]]+\]|[^:\[\]]+)(?::(?P<port>\d+))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One machine on the way, the last of them the one that is meant."""

    hostname: str
    port: int
    user: str
    identity_files: tuple[Path, ...]
    identities_only: bool
    agent: str | None
    """The agent's socket."""
    known_hosts: tuple[Path, ...]
    """The person's own files first."""
    new_hosts: Path | None
    """Where a new key is written: the first of the person's own."""
    key_name: str
    """What the machine is called in them."""
    hash_names: bool = False
    """Whether a name is hidden where it is written down."""
    jump: str | None = None
    revoked: str | None = None
    """A file of keys that must not be believed."""
    proxy_command: str | None = None
    """A shell command whose stdin and stdout are the connection, if it is not a socket or a jump host's."""
    passes_socket: bool = False
    """Whether that command hands over a socket instead."""
    accept_new: bool = False
    """Whether a first key is believed and written down."""
    pinned: tuple[str, ...] | None = None
    """The only keys that are believed, whatever files say."""

    def __str__(self) -> str:
        return self.hostname if self.port == DEFAULT_PORT else f"{self.hostname} port {self.port}"


def route(host: str, ssh: Ssh) -> tuple[Hop, ...]:
    """Every machine on the way to `ssh`, in order. Raises `Unreachable` if OpenSSH can't be asked or the way is odd."""
    last = _ask(host, ssh.address, _options(user=ssh.user, port=ssh.port, jump=ssh.jump))
    if ssh.host_keys is HostKeys.PINNED:
        last = replace(last, pinned=ssh.pinned or ())
    last = replace(last, accept_new=ssh.host_keys is HostKeys.ACCEPT_NEW)
    if ssh.key_file:
        file = at_home(ssh.key_file, Path.home())
        if not file.is_file():
            raise Unreachable(f"{host}: there is no key file {file} on this machine")
        last = replace(last, identity_files=(file,), identities_only=True)
    hops = [last]
    while hops[0].jump:
        if len(hops) > MOST_JUMPS:
            raise Unreachable(f"{host}: more than {MOST_JUMPS} jump hosts; does one of them lead back to itself?")
        hops.insert(0, _jump(host, hops[0].jump))
    if hops[0].proxy_command and hops[0].passes_socket:
        raise Unreachable(f"{host}: ProxyUseFdpass in OpenSSH's configuration of {hops[0].hostname} is not supported")
    if odd := next((hop for hop in hops if hop.revoked), None):
        raise Unreachable(
            f"{host}: RevokedHostKeys in OpenSSH's configuration of {odd.hostname} is not supported; "
            "use lines that begin with @revoked in known_hosts"
        )
    return tuple(hops)


def at_home(path: str, home: Path) -> Path:
    """`path` with `~/` at its start filled in."""
    return home / path[2:] if path.startswith("~/") else Path(path)


def parse(text: str, *, environment: Mapping[str, str], home: Path) -> Hop:
    """What `ssh -G` printed. Pure. Raises `Unreachable` for a name that a shell would not take as one word."""
    values: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        values.setdefault(name, []).append(value)

    def one(name: str) -> str | None:
        found = values.get(name, [""])[0]
        return None if found in ("", "none") else found

    hostname, port, user = one("hostname") or "", int(one("port") or DEFAULT_PORT), one("user") or ""
    tokens = {"%": "%", "d": str(home), "h": hostname, "n": one("host") or hostname, "p": str(port), "r": user}

    def path(written: str) -> Path:
        return at_home(re.sub(r"%(.)", lambda found: tokens.get(found[1], found[0]), written), home)

    def files(name: str) -> tuple[Path, ...]:
        return tuple(path(file) for file in (one(name) or "").split())

    mine = files("userknownhostsfile")
    alias = one("hostkeyalias")
    return Hop(
        hostname=hostname,
        port=port,
        user=user,
        identity_files=tuple(path(file) for file in values.get("identityfile", []) if file != "none"),
        identities_only=one("identitiesonly") == "yes",
        agent=_agent(values.get("identityagent", ["SSH_AUTH_SOCK"])[0], environment, path),
        known_hosts=(*mine, *files("globalknownhostsfile")),
        new_hosts=mine[0] if mine else None,
        key_name=alias or (hostname.lower() if port == DEFAULT_PORT else f"[{hostname.lower()}]:{port}"),
        hash_names=one("hashknownhosts") == "yes",
        jump=one("proxyjump"),
        revoked=one("revokedhostkeys"),
        proxy_command=_command(one("proxycommand"), {**tokens, "k": alias or tokens["n"]}),
        passes_socket=one("proxyusefdpass") == "yes",
    )


def _command(written: str | None, tokens: Mapping[str, str]) -> str | None:
    """A ProxyCommand with its tokens filled in. The command is the person's own; names may be somebody else's."""
    if written is None:
        return None

    def filled(found: re.Match[str]) -> str:
        value = tokens.get(found[1], found[0])
        if found[1] in tokens and not _ONE_WORD.fullmatch(value):
            raise Unreachable(f"{tokens['n']}: {value!r} can't be a word of OpenSSH's ProxyCommand")
        return value

    return re.sub(r"%(.)", filled, written)


def _agent(written: str, environment: Mapping[str, str], path: Callable[[str], Path]) -> str | None:
    if written in ("none", ""):
        return None
    if written == "SSH_AUTH_SOCK":
        return environment.get("SSH_AUTH_SOCK") or None
    if written.startswith("$"):
        return environment.get(written[1:].strip("{}")) or None
    return str(path(written))


def _jump(host: str, written: str) -> Hop:
    """The last of several comma-separated jump hosts; the others lead to it."""
    before, _, last = written.rpartition(",")
    found = _JUMP.fullmatch(last.removeprefix("ssh://"))
    if found is None:
        raise Unreachable(f"{host}: {last!r} is not a jump host; write USER@HOST:PORT")
    port = int(found["port"]) if found["port"] else None
    return _ask(host, found["host"].strip("[]"), _options(user=found["user"], port=port, jump=before or None))


def _options(*, user: str | None, port: int | None, jump: str | None) -> tuple[str, ...]:
    given = {"-l": user, "-p": port, "-J": jump}
    return tuple(str(word) for flag, value in given.items() if value is not None for word in (flag, value))


def _ask(host: str, address: str, options: tuple[str, ...]) -> Hop:
    config = os.environ.get(CONFIG_VARIABLE)
    argv = ("ssh", "-G", *(("-F", config) if config else ()), *options, "--", address)
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=ASK_S, check=False
        )
    except FileNotFoundError:
        raise Unreachable(
            f"{host}: OpenSSH's client `ssh` is missing here; install the package openssh-client"
        ) from None
    except subprocess.TimeoutExpired as error:
        raise Unreachable(f"{host}: `ssh -G {address}` took longer than {ASK_S:g} s") from error
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or ["no reason given"]
        raise Unreachable(f"{host}: OpenSSH's configuration can't be used: {said[-1]}")
    return parse(done.stdout, environment=os.environ, home=Path.home())
