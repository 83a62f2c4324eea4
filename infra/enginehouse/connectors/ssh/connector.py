"""A machine over SSH as a connector."""

from __future__ import annotations

import contextlib
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial

import paramiko

from enginehouse.connectors.base import TAIL_LINES, Held, Result
from enginehouse.connectors.ssh import command
from enginehouse.connectors.ssh.held import SshHeld
from enginehouse.connectors.ssh.link import BROKEN, Link, connect
from enginehouse.connectors.ssh.links import REFUSED_S, Links
from enginehouse.connectors.ssh.marked import Marked
from enginehouse.connectors.ssh.relay import READ_BYTES, as_socket
from enginehouse.connectors.ssh.session import BROKE_OFF, Session, after
from enginehouse.connectors.ssh.settings import route
from enginehouse.connectors.ssh.sudo import Sudo
from enginehouse.errors import Cancelled, CommandFailed, DeadlineExceeded, EnginehouseError, NotForwarded, Unreachable
from enginehouse.planner.parts import Become, Ssh
from enginehouse.render.symbols import Secret

CLOSING_POLL_S = 0.02
"""Between two looks whether the threads that run something have ended it."""
END_S = 10.0
"""For ending what runs on a machine: SIGTERM, the grace, SIGKILL, and the way there and back."""


class SshConnector:
    """See `connectors.base.Connector` for what the methods promise. Connects when it is first used.

    `on_line` is called, and `stdin` is read, in the thread that called `run`. What runs when the connection breaks is
    ended on the machine by its keeper; the call raises `Unreachable`. Unix sockets need `socat` on the machine.
    """

    def __init__(self, host: str, ssh: Ssh, password: Secret | None = None) -> None:
        """`password` is what sudo is given, if it needs one."""
        self._host = host
        self._ssh = ssh
        self._sudo = Sudo(host, self._user, ssh.sudo_password, password) if ssh.sudo_password and password else None
        self._command = _command(ssh, self._sudo)
        self._closed = threading.Event()
        self._links = Links(host, self._connect, self._refuse_if_closed)
        self._lock = threading.Lock()
        self._running = 0
        self._held: tuple[SshHeld, ...] = ()
        self._left_behind: set[int] = set()
        """Process groups of scripts whose connection broke: their keeper may not know it yet."""
        self._ending = threading.Lock()

    @property
    def host(self) -> str:
        return self._host

    def run(
        self,
        script: str,
        *,
        stdin: Iterable[bytes] = (),
        deadline_s: float,
        on_line: Callable[[str], None] | None = None,
    ) -> Result:
        ends = time.monotonic() + deadline_s

        def check() -> None:
            self._refuse_if_closed()
            if time.monotonic() >= ends:
                raise self._too_slow(deadline_s, session.tail(TAIL_LINES))

        with self._counted(), self._links.session(deadline_s) as channel:
            self._end_left_behind(channel.get_transport())
            session = self._session(
                channel, script, stdin, check=check, within_s=ends - time.monotonic(), on_line=on_line
            )
            with self._ended_on_error(session):
                result = session.run()
                self._refuse_if_closed()
        return result

    def dial(self, address: str, *, deadline_s: float) -> socket.socket:
        self._refuse_if_closed()
        kind, _, where = address.partition(":")
        if kind == "unix":
            return self._dial_unix(address, where, deadline_s)
        name, _, port = where.rpartition(":")
        if kind != "tcp" or not port.isdecimal():
            raise ValueError(f"not an address: {address!r}; write tcp:HOST:PORT or unix:PATH")
        transport = self._links.transport(deadline_s)
        try:
            channel = transport.open_channel(
                "direct-tcpip", (name.strip("[]"), int(port)), ("127.0.0.1", 0), timeout=deadline_s
            )
        except paramiko.ChannelException as error:
            if error.code == 1:
                raise NotForwarded(
                    f"{self._host}: sshd does not lead us to {address}; it needs `AllowTcpForwarding local`, "
                    "and no `PermitOpen` or `restrict` against it"
                ) from None
            raise Unreachable(f"nothing answers at {address}") from error
        except BROKEN as error:
            broken = f"nothing answers at {address}" if transport.is_active() else f"{self._host}: {BROKE_OFF}"
            raise Unreachable(broken) from error
        return as_socket(channel, timeout_s=deadline_s)

    def hold(self, script: str, *, deadline_s: float) -> Held:
        slot = contextlib.ExitStack()
        channel = slot.enter_context(self._links.session(deadline_s))
        with contextlib.ExitStack() as undo:
            undo.push(slot)

            def session(hear: Callable[[str], None], pulse: Callable[[], None]) -> Session:
                return self._session(
                    channel,
                    command.held(script),
                    check=pulse,
                    within_s=deadline_s + END_S,
                    on_line=hear,
                    keep_stdin_open=True,
                )

            held = SshHeld(session, end=self._end, after=slot.close)
            undo.pop_all()
        if not held.spoke(deadline_s):
            silent = self._never_spoke(held, deadline_s)
            held.stop()
            self._refuse_if_closed()
            raise silent
        with self._lock:
            self._held = (*(other for other in self._held if other.alive()), held)
        if self._closed.is_set():
            held.release()
        self._refuse_if_closed()
        return held

    def close(self) -> None:
        """What runs is ended by the threads that run it, within the time of `ended_on_error`."""
        self._closed.set()
        with self._lock:
            held = self._held
        by = time.monotonic() + END_S
        while self._running and time.monotonic() < by:
            time.sleep(CLOSING_POLL_S)
        for script in held:
            script.release()
        self._links.close()

    def _connect(self) -> Link:
        return connect(self._host, route(self._host, self._ssh))

    def _session(
        self,
        channel: paramiko.Channel,
        script: str,
        stdin: Iterable[bytes] = (),
        *,
        check: Callable[[], None],
        within_s: float,
        on_line: Callable[[str], None] | None = None,
        keep_stdin_open: bool = False,
    ) -> Session:
        return Session(
            channel,
            self._command,
            script,
            stdin,
            about=self._about,
            check=check,
            within_s=within_s,
            on_line=on_line,
            keep_stdin_open=keep_stdin_open,
            sudo=self._sudo,
        )

    @property
    def _user(self) -> str:
        """As sentences call who logs in."""
        return self._ssh.user or "the user"

    def _about(self, what: str) -> str:
        """A sentence about a start that failed, with what may be the matter."""
        if not what.startswith("no shell"):
            return f"{self._host}: {what}"
        if self._ssh.become is Become.SUDO:
            return (
                f"{self._host}: {what}; `become: sudo` needs sudo without a password: "
                f"a line such as `{self._user} ALL=(ALL) NOPASSWD: ALL` in a file of /etc/sudoers.d; "
                "or give it one: `become: {sudo: {password: {secret: NAME}}}`"
            )
        return (
            f"{self._host}: {what}; {self._user} needs a login shell that runs commands, and a key without `command=`"
        )

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        with self._lock:
            self._running += 1
        try:
            yield
        finally:
            with self._lock:
                self._running -= 1

    @contextlib.contextmanager
    def _ended_on_error(self, session: Session) -> Iterator[None]:
        try:
            yield
        except BaseException:
            session.wait_for_group(END_S / 5)
            self._end(session)
            raise

    def _end(self, session: Session) -> None:
        """End what still runs on the machine. If the connection is gone, its keeper does it, or who comes next."""
        group = session.group
        if session.ended or group is None:
            return
        try:
            self._run_beside(session.transport(), command.ending(group))
        except EnginehouseError:
            self._left_behind.add(group)
            session.transport().close()

    def _end_left_behind(self, transport: paramiko.Transport) -> None:
        """Nothing begins beside a script that this run has lost: it may undo what that one does."""
        with self._ending:
            for group in tuple(self._left_behind):
                self._run_beside(transport, command.ending_lost(group))
                self._left_behind.discard(group)

    def _run_beside(self, transport: paramiko.Transport, script: str) -> None:
        """Run a script that ends others, in a session that is not counted."""
        by = time.monotonic() + END_S

        def check() -> None:
            if time.monotonic() >= by:
                raise DeadlineExceeded(f"{self._host}: ending a script took too long")

        try:
            with contextlib.closing(_one_more(transport, check)) as channel:
                self._session(channel, script, check=check, within_s=END_S).run()
        except BROKEN as error:
            raise Unreachable(f"{self._host}: {BROKE_OFF}") from error

    def _dial_unix(self, address: str, path: str, deadline_s: float) -> socket.socket:
        """Through `socat`, also because only it can be run with `sudo`."""
        slot = contextlib.ExitStack()
        channel = slot.enter_context(self._links.session(deadline_s))
        with contextlib.ExitStack() as undo:
            undo.push(slot)
            relayed = _Relayed(channel, self._command, path, self._sudo)
            try:
                opened = relayed.open(deadline_s)
            except TimeoutError:
                raise DeadlineExceeded(f"{self._host}: {address} did not open within {deadline_s:g} s") from None
            except BROKEN as error:
                raise Unreachable(f"{self._host}: {BROKE_OFF}") from error
            if not opened:
                raise Unreachable(f"nothing answers at {address}")
            undo.pop_all()
        return as_socket(channel, timeout_s=deadline_s, received=relayed.take, over=relayed.over, closed=slot.close)

    def _refuse_if_closed(self) -> None:
        if self._closed.is_set():
            raise Cancelled(f"{self._host}: stopped")

    def _never_spoke(self, held: SshHeld, deadline_s: float) -> Exception:
        if held.error is not None:
            return held.error
        if held.result is None:
            return self._too_slow(deadline_s, ())
        lines = held.result.stderr.splitlines()[-TAIL_LINES:]
        return CommandFailed(f"{self._host}: a script that was to stay ended at once", held.result.returncode, lines)

    def _too_slow(self, deadline_s: float, tail: tuple[str, ...]) -> DeadlineExceeded:
        return DeadlineExceeded(f"{self._host}: a script took longer than {deadline_s:g} s", tail=tail)


class _Relayed:
    """A script's streams as those of a unix socket."""

    def __init__(self, channel: paramiko.Channel, shell: str, path: str, sudo: Sudo | None) -> None:
        self._channel = channel
        self._shell = shell
        self._sudo = sudo
        self._sent = command.pack(command.unix_relay(path), secrets.token_hex(16))
        self._got, self._notes = bytearray(), bytearray()
        self._out = Marked(self._sent.mark, self._got.extend)
        self._err = Marked(self._sent.mark, self._notes.extend)

    def open(self, deadline_s: float) -> bool:
        """Whether somebody listens there."""
        self._channel.settimeout(deadline_s)
        start = partial(self._start, deadline_s)
        if self._sudo:
            self._sudo.let_in(self._channel, start, lambda: None)
        else:
            start()
        self._channel.sendall(self._sent.head)
        while command.RELAY_OPEN not in self._notes:
            if self._err.ended is not None or not (data := self._channel.recv_stderr(READ_BYTES)):
                return False
            self._err.add(data)
        return True

    def _start(self, deadline_s: float) -> None:
        until = time.monotonic() + deadline_s
        try:
            with after(deadline_s, self._channel.close):
                self._channel.exec_command(self._shell)
        except BROKEN:
            if time.monotonic() >= until:
                raise TimeoutError from None
            raise

    def take(self, data: bytes) -> bytes:
        """What came from the socket."""
        self._out.add(data)
        got = bytes(self._got)
        self._got.clear()
        return got

    def over(self) -> bool:
        return self._out.ended is not None


def _command(ssh: Ssh, sudo: Sudo | None) -> str:
    if sudo:
        return command.SUDO_WITH_PASSWORD
    return command.SUDO if ssh.become is Become.SUDO else command.PLAIN


def _one_more(transport: paramiko.Transport, check: Callable[[], None]) -> paramiko.Channel:
    """A session that is not counted: sshd lets more run than we do, or does when another one has ended."""
    while True:
        check()
        try:
            return transport.open_session(timeout=END_S)
        except paramiko.SSHException:
            if not transport.is_active():
                raise
            time.sleep(REFUSED_S)
