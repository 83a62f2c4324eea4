"""A script on a machine that is kept: started, heard once, and let go when its holder says so."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from enginehouse.connectors.base import Pulse, Result
from enginehouse.connectors.process import GRACE_S
from enginehouse.connectors.ssh.session import TICK_S, Session
from enginehouse.errors import EnginehouseError


class SshHeld:
    """See `connectors.base.Held`. A thread takes what the script prints later, so that it never blocks.

    Its stdin ends when this process dies or the connection drops, and its keeper ends it then, too. When the machine
    can't know that, because no word of it comes through, it hears no `ALIVE` any more.
    """

    def __init__(
        self,
        session: Callable[[Callable[[str], None], Callable[[], None]], Session],
        *,
        end: Callable[[Session], None],
        after: Callable[[], None],
    ) -> None:
        """`session` makes the session of who listens, `end` ends one on the machine, `after` gives its channel back."""
        self.first_line = ""
        self.result: Result | None = None
        """What the script left; None while it runs."""
        self.error: EnginehouseError | None = None
        self._spoke = False
        self._session = session(self._hear, Pulse(self._say))
        self._end = end
        self._after = after
        self._spoke_or_ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="held script", daemon=True)
        self._thread.start()

    def spoke(self, timeout_s: float) -> bool:
        """Wait for the first line; False if the script ended without one or `timeout_s` went by."""
        self._spoke_or_ended.wait(timeout_s)
        return self._spoke

    def alive(self) -> bool:
        return self._thread.is_alive() and self._session.transport().is_active()

    def release(self) -> None:
        if self._thread.is_alive():
            self._session.send(b"\n")
            self._session.end_stdin()
            self._thread.join(GRACE_S)
            self.stop()

    def stop(self) -> None:
        """End it, whatever it does."""
        if self._thread.is_alive():
            until = time.monotonic() + GRACE_S
            while self._session.group is None and self._thread.is_alive() and time.monotonic() < until:
                self._thread.join(TICK_S)  # it alone takes what comes
            self._end(self._session)
            self._thread.join(GRACE_S)
            if self._thread.is_alive():
                self._session.abandon()

    def _say(self, line: bytes) -> None:
        if self._session.group is not None:  # else what went first is still on its way
            self._session.send(line)

    def _hear(self, line: str) -> None:
        if not self._spoke:
            self.first_line, self._spoke = line, True
            self._spoke_or_ended.set()

    def _serve(self) -> None:
        try:
            self.result = self._session.run()
        except EnginehouseError as error:
            self.error = error
        finally:
            self._after()
            self._spoke_or_ended.set()
