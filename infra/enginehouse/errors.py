"""The exception tree, the process exit codes, and the one printer that walks a chain of causes.

EnginehouseError
├── SpecError            the stack file is wrong; carries every diagnostic
├── ConnectorError       a machine could not be talked to
│   ├── Unreachable      no connection
│   │   └── NotForwarded sshd does not lead to addresses of the machine
│   └── DeadlineExceeded a command or an answer took longer than it may
├── CommandFailed        a command on a machine ended with a non-zero code
├── ConvergeFailed       a part is not what the plan says; carries reasons and what serves now
├── GateClosed           another replica failed, or too few would be left; this one was left as it is
├── LeaseHeld            another run works on this machine; names who and since when
├── ChangedElsewhere     the generation moved since it was last seen; names who moved it
├── Frozen               a standing order keeps the stack as it is; names who gave it, when and why
├── Owned                the stack on this machine belongs to another Pulumi state; names whose, and the ways out
├── WrongMachine         another machine answers at this address
└── Cancelled            the person asked to stop
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from enginehouse.diagnostics import Diagnostic


class ExitCode(IntEnum):
    """What a command-line call ends with; stable, scripts depend on it."""

    OK = 0
    INVALID = 1
    """The stack file or another input is wrong; nothing was touched."""
    USAGE = 2
    """The command line itself is wrong."""
    FAILED = 3
    """Something on a machine failed."""
    DIFFERS = 4
    """What runs or is locked is not what the plan says (`status`, `lock`), or something is missing (`doctor`)."""
    INTERRUPTED = 130


class EnginehouseError(Exception):
    """Root of all errors that are told to a person as one sentence."""


class SpecError(EnginehouseError):
    """A stack file that can't be used; `diagnostics` holds every problem, sorted."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        count = len(self.diagnostics)
        super().__init__(f"{count} problem{'s' if count != 1 else ''} in the stack file")


class ConnectorError(EnginehouseError):
    """A machine could not be talked to."""

    untouched = False
    """Whether that was found before anything was begun there."""


class Unreachable(ConnectorError):
    """No connection to the machine or to an address on it."""


class NotForwarded(Unreachable):
    """sshd is set up not to lead to an address of its machine; waiting does not help."""


class DeadlineExceeded(ConnectorError):
    """A command or an answer took longer than it may; `tail` holds the last lines that came, if any did."""

    def __init__(self, message: str, *, tail: Sequence[str] = ()) -> None:
        self.tail = tuple(tail)
        super().__init__(message)


class CommandFailed(EnginehouseError):
    """A command on a machine ended with a non-zero code; `tail` holds its last lines."""

    def __init__(self, title: str, returncode: int, tail: Sequence[str]) -> None:
        self.returncode = returncode
        self.tail = tuple(tail)
        super().__init__(f"{title}: exit code {returncode}")


class ConvergeFailed(EnginehouseError):
    """A part could not be brought to its plan.

    `reasons`: sentences for a person, most telling first (engine log lines included).
    `old_serves`: the release from before runs again (or still).
    """

    def __init__(self, message: str, *, reasons: Sequence[str] = (), old_serves: bool = False) -> None:
        self.reasons = tuple(reasons)
        self.old_serves = old_serves
        super().__init__(message)


class GateClosed(EnginehouseError):
    """Another replica of the deployment failed, or too few would be left, so this one was left as it is."""


class LeaseHeld(EnginehouseError):
    """Another run works on this machine right now."""


class ChangedElsewhere(EnginehouseError):
    """The part's generation moved since this run last saw it."""


class Frozen(EnginehouseError):
    """A standing order says that nothing of the stack changes."""


class Owned(EnginehouseError):
    """The stack on this machine belongs to another Pulumi state."""


class WrongMachine(EnginehouseError):
    """Another machine answers at this address than the one the state knows."""


class Cancelled(EnginehouseError):
    """The person asked to stop; finished work is kept."""


def explain(error: BaseException) -> Iterator[str]:
    """Yield one line for each error of the chain, outermost first, without repeating a text."""
    seen: set[str] = set()
    current: BaseException | None = error
    while current is not None:
        text = str(current) or type(current).__name__
        if text not in seen:
            seen.add(text)
            yield text
        for reason in getattr(current, "reasons", ()) or getattr(current, "tail", ()):
            if reason not in seen:
                seen.add(reason)
                yield reason
        current = current.__cause__
