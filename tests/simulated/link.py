"""A run's way to a simulated machine, which may break at any moment, and with it the run."""

from __future__ import annotations

import shlex
import socket
from collections.abc import Callable, Iterable

from enginehouse.connectors.base import Held, Result
from enginehouse.errors import CommandFailed, Unreachable
from tests.simulated import shell
from tests.simulated.lines import line
from tests.simulated.machine import Machine


class Killed(BaseException):
    """kill -9: no handler of the run hears of it."""


class Link:
    """See `connectors.base.Connector`. `moment` is told before and after each call; what it raises breaks the call.

    `broken`, once set, is raised by every further call.
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.host = "box"
        self.broken: BaseException | None = None
        self.moment: Callable[[str], None] = lambda what: None
        self.calls = 0
        self.holds = 0
        self.late: list[tuple[str, tuple[bytes, ...]]] = []
        """Scripts that were sent and have not begun: a machine that was cut off may run them at any later time."""

    def run(
        self,
        script: str,
        *,
        stdin: Iterable[bytes] = (),
        deadline_s: float,
        on_line: Callable[[str], None] | None = None,
    ) -> Result:
        self.calls += 1
        chunks = tuple(stdin)
        try:
            self._begin("a script is sent")
        except BaseException:
            self.late.append((script, chunks))
            raise
        result = shell.run(self.machine, script, chunks)
        self._begin("a script has ended")
        for said in result.stdout.splitlines() if on_line else ():
            on_line and on_line(said)
        return result

    def dial(self, address: str, *, deadline_s: float) -> socket.socket:
        self._begin(f"{address} is dialled")
        answer = self.machine.dial(address)
        if answer is None:
            raise Unreachable(f"nothing answers at {address}")
        return line(answer)

    def hold(self, script: str, *, deadline_s: float) -> Held:
        self.holds += 1
        self._begin("the lease is asked for")
        if self.machine.files.full:
            raise CommandFailed("a script that was to stay ended at once", 1, ["No space left on device"])
        return Keeper(self, script)

    def close(self) -> None:
        pass

    def _begin(self, what: str) -> None:
        if self.broken:
            raise self.broken
        self.moment(what)
        if self.broken:
            raise self.broken


class Keeper:
    """The lease's keeper script (`converge.lease.keeper`)."""

    def __init__(self, link: Link, script: str) -> None:
        self._link = link
        self._machine = link.machine
        lines = [one for one in script.splitlines() if one.startswith("write_note '")]
        note = shlex.split(lines[0])[1]
        folder = shlex.split(next(one for one in script.splitlines() if one.startswith("cd ")))[1]
        self._file = f"{folder}/lease.note"
        before = (self._machine.files.read(self._file) or "").strip()
        if self._machine.holder is not None:
            self.first_line = f"held {before}"
            return
        self._machine.files.make_folder(folder)
        self._machine.files.write(self._file, f"{note}\n")
        self._machine.holder = self
        self.first_line = f"taken {before}"

    def alive(self) -> bool:
        return self._machine.holder is self

    def release(self) -> None:
        """A dead run can't; its lease is free all the same, and its note stays."""
        if self._machine.holder is self:
            self._machine.holder = None
            if not self._link.broken:
                self._machine.files.remove(self._file)
