"""One connection to a machine, through its jump hosts: opened, checked, logged in, kept alive."""

from __future__ import annotations

import base64
import contextlib
import logging
import select
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import paramiko

from enginehouse.connectors.ssh import auth, trust
from enginehouse.connectors.ssh.known_hosts import HostKey
from enginehouse.connectors.ssh.proxied import Proxied
from enginehouse.connectors.ssh.settings import Hop
from enginehouse.errors import ConnectorError, DeadlineExceeded, Unreachable

CONNECT_S = 20.0
"""From the first packet to the login, for each machine on the way."""
KEEP_ALIVE_S = 15
"""Below what routers forget idle connections after."""
DEAD_AFTER_S = 45
"""How long bytes may stay unconfirmed before the kernel calls the connection broken; else that takes 15 minutes."""
QUEUED_BYTES = 64 * 2**10
"""How much may stand in the kernel's queue. Whatever is sent next stands behind it, also the keep-alive: on a link of
1 Mbit/s for half a second. With the kernel's own limit, which is megabytes, an upload over a slow link keeps everything
else on its connection waiting for its end (measured 2026-12: 512 kB/s, a script took 0.8 s instead of 6 s)."""
SLOTS = 8
"""Scripts at once over one connection: sshd refuses more than 10 (`MaxSessions`)."""
BROKEN = (paramiko.SSHException, EOFError, OSError)
"""What paramiko raises when a connection breaks; also what it keeps and raises later, in another thread."""
_RSA = ("rsa-sha2-512", "rsa-sha2-256")

logging.getLogger("paramiko").addHandler(logging.NullHandler())
"""What goes wrong is said by our own errors; without a handler Python prints the library's tracebacks."""


@dataclass(slots=True, eq=False)
class Link:
    """An open connection. `used` of its `slots` run a script."""

    transports: tuple[paramiko.Transport, ...]
    slots: int = SLOTS
    used: int = 0

    @property
    def transport(self) -> paramiko.Transport:
        return self.transports[-1]

    def alive(self) -> bool:
        return bool(self.transport.is_active())

    def close(self) -> None:
        for transport in reversed(self.transports):
            transport.close()


def connect(host: str, route: tuple[Hop, ...]) -> Link:
    """Connect and log in along `route`. Raises `Unreachable` with one sentence, `DeadlineExceeded` for silence."""
    transports: list[paramiko.Transport] = []
    try:
        for number, hop in enumerate(route):
            who = host if number == len(route) - 1 else f"{host}: jump host {hop.hostname}"
            with _sentences(who, hop):
                transports.append(_through(transports[-1], who, hop) if transports else _first(who, hop))
                auth.authenticate(who, transports[-1], hop)
    except BaseException:
        for transport in reversed(transports):
            transport.close()
        raise
    return Link(transports=tuple(transports))


def await_output(channel: paramiko.Channel, within_s: float) -> None:
    """Until something comes or ends. (`select.select` knows no descriptor above 1023; a large fleet has more.)"""
    poll = select.poll()
    poll.register(channel, select.POLLIN)
    poll.poll(within_s * 1000)


def _first(who: str, hop: Hop) -> paramiko.Transport:
    """The connection to a machine that nothing of ours leads to."""
    if hop.proxy_command is None:
        return _shake_hands(who, hop, _direct(hop))
    proxied = Proxied(hop.proxy_command)
    try:
        return _shake_hands(who, hop, proxied)
    except BaseException as error:
        proxied.close()
        if isinstance(error, BROKEN) and proxied.ended:
            raise Unreachable(f"{who}: the ProxyCommand for {hop} {proxied.ended}") from None
        raise


def _direct(hop: Hop) -> socket.socket:
    connection = socket.create_connection((hop.hostname, hop.port), timeout=CONNECT_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_AFTER_S * 1000)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, QUEUED_BYTES)
    return connection


def _through(jump: paramiko.Transport, who: str, hop: Hop) -> paramiko.Transport:
    try:
        way = jump.open_channel("direct-tcpip", (hop.hostname, hop.port), ("127.0.0.1", 0), timeout=CONNECT_S)
    except paramiko.ChannelException as error:
        raise Unreachable(f"{who}: the jump host can't reach {hop} ({error.text})") from None
    return _shake_hands(who, hop, way)


def _shake_hands(who: str, hop: Hop, connection: socket.socket | paramiko.Channel) -> paramiko.Transport:
    """Agree on a cipher, and check the machine's key before anything about us is said."""
    transport = paramiko.Transport(connection)
    try:
        transport.auth_timeout = transport.channel_timeout = CONNECT_S
        transport.banner_timeout = 2 * CONNECT_S  # so that silence is ours to name
        options = transport.get_security_options()
        known = trust.known_kinds(hop)
        # The kind of key we know is asked for first; of another kind a server would only seem to be a new machine.
        options.key_types = sorted(options.key_types, key=lambda kind: not known & {kind, _family(kind)})
        transport.start_client(timeout=CONNECT_S)
        if not transport.initial_kex_done:
            raise TimeoutError
        key = transport.get_remote_server_key()
        text = base64.b64encode(key.asbytes()).decode()
        trust.check(who, hop, HostKey(type=key.get_name(), text=text))
        transport.set_keepalive(KEEP_ALIVE_S)
    except BaseException:
        transport.close()
        raise
    return transport


def _family(kind: str) -> str:
    """The name that known_hosts has for keys which sign by that algorithm."""
    return "ssh-rsa" if kind in _RSA else kind


@contextlib.contextmanager
def _sentences(who: str, hop: Hop) -> Iterator[None]:
    """What a failed connect means, as one sentence each."""
    try:
        yield
    except ConnectorError:
        raise
    except socket.gaierror as error:
        raise Unreachable(f"{who}: there is no machine called {hop.hostname} ({error.strerror})") from None
    except ConnectionRefusedError:
        raise Unreachable(f"{who}: {hop} refuses connections; does sshd run there, on port {hop.port}?") from None
    except TimeoutError:
        raise DeadlineExceeded(f"{who}: {hop} does not answer within {CONNECT_S:g} s") from None
    except paramiko.ssh_exception.IncompatiblePeer as error:
        raise Unreachable(f"{who}: sshd of {hop} and we have no cipher in common ({error})") from None
    except BROKEN as error:
        said = str(error) or "it hung up"
        raise Unreachable(f"{who}: {hop} does not speak SSH with us, port {hop.port} ({said})") from None
