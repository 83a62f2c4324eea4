"""The open connections to one machine, shared by all threads: nearly always one."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterator

import paramiko

from enginehouse.connectors.ssh.link import BROKEN, Link
from enginehouse.errors import ConnectorError, DeadlineExceeded, Unreachable

MOST_LINKS = 4
PATIENCE_S = 2.0
"""How long a script waits for others to end before a further connection is opened for it; a login costs 0.3 s."""
REFUSED_S = 0.05
"""After sshd refused a session, before it is asked again."""
OPEN_S = 20.0
"""From asking for a channel to having it."""


class Links:
    """Opens a connection when one is needed, and anew when it broke. Who asks while that fails shares the failure."""

    def __init__(self, host: str, connect: Callable[[], Link], check: Callable[[], None]) -> None:
        """`check` raises when nobody may begin anew."""
        self._host = host
        self._connect = connect
        self._check = check
        self._changed = threading.Condition()
        self._links: list[Link] = []
        self._connecting = False
        self._failed: tuple[float, ConnectorError] | None = None

    @contextlib.contextmanager
    def session(self, deadline_s: float) -> Iterator[paramiko.Channel]:
        """A channel for one command, closed at the end of the block. A connection that proves dead is replaced once."""
        by = time.monotonic() + deadline_s
        link, channel = self._session(by)
        try:
            yield channel
        finally:
            with contextlib.suppress(*BROKEN):
                channel.close()
            with self._changed:
                link.used -= 1
                self._changed.notify_all()

    def transport(self, deadline_s: float) -> paramiko.Transport:
        """An open connection, for channels that are no sessions: sshd does not count them."""
        return self._link(time.monotonic() + deadline_s, session=False).transport

    def close(self) -> None:
        with self._changed:
            links, self._links = self._links, []
        for link in links:
            link.close()

    def _session(self, by: float) -> tuple[Link, paramiko.Channel]:
        dead, refused = 0, math.inf
        while True:
            link = self._link(by, session=True)
            asked = time.monotonic()
            within = min(OPEN_S, max(by - asked, REFUSED_S))
            try:
                return link, link.transport.open_session(timeout=within)
            except BROKEN as error:
                late = time.monotonic() - asked >= within
                if late and within < OPEN_S:
                    self._give_back(link, full=False)
                    raise DeadlineExceeded(f"{self._host}: the machine opened no session in time") from None
                # paramiko mixes up the reasons of several threads, so only these tell refused from dead
                if link.alive() and not late:
                    # A session counts until its shell is gone, a moment after we have let go of it.
                    refused = min(refused, time.monotonic())
                    self._give_back(link, full=time.monotonic() - refused > PATIENCE_S)
                    time.sleep(REFUSED_S)
                    continue
                self._give_back(link, full=False)
                link.close()
                dead += 1
                if dead > 1:
                    raise Unreachable(f"{self._host}: the connection broke off") from error
            except BaseException:
                self._give_back(link, full=False)
                raise

    def _give_back(self, link: Link, *, full: bool) -> None:
        """`full`: sshd opens no more sessions than there are on it. Raises `Unreachable` if that is none."""
        with self._changed:
            link.used -= 1
            if full:
                link.slots = link.used
            self._changed.notify_all()
        if full and link.slots == 0:
            link.close()
            raise Unreachable(
                f"{self._host}: sshd opens no session (MaxSessions, or a key that is for forwarding only)"
            )

    def _link(self, by: float, *, session: bool) -> Link:
        """A link with a free slot, which is then taken; any link if it is not for a session."""
        arrived = time.monotonic()
        with self._changed:
            while True:
                self._check()
                self._links = [link for link in self._links if link.alive()]
                free = next((link for link in self._links if not session or link.used < link.slots), None)
                if free is not None:
                    free.used += session
                    return free
                if self._failed and self._failed[0] > arrived:
                    raise type(self._failed[1])(str(self._failed[1]))
                if not self._connecting and self._may_open(arrived):
                    self._connecting = True
                    break
                if time.monotonic() >= by:
                    raise DeadlineExceeded(f"{self._host}: no connection was free in time")
                self._changed.wait(0.1)
        return self._open(session=session)

    def _may_open(self, arrived: float) -> bool:
        count = len(self._links)
        return count == 0 or (count < MOST_LINKS and time.monotonic() - arrived > PATIENCE_S)

    def _open(self, *, session: bool) -> Link:
        link: Link | None = None
        try:
            link = self._connect()
            link.used += session
        except ConnectorError as error:
            self._failed = time.monotonic(), error
            raise
        finally:
            with self._changed:
                self._connecting = False
                if link is not None:
                    self._links.append(link)
                self._changed.notify_all()
        return link
