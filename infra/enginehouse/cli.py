"""The command line: one verb is called, its answer printed, one exit code returned.

What a verb needs is imported when it is called, so that a quick verb stays quick.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable, Iterator, Sequence

from enginehouse.errors import Cancelled, EnginehouseError, ExitCode, SpecError, explain
from enginehouse.report.lines import Line, Style, line, piece
from enginehouse.report.terminal import Terminal
from enginehouse.verbs import Answer, Format, InvalidInput, WrongAnswers
from enginehouse.verbs.arguments import parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line (the process's own without `argv`) and return its exit code.

    Wrong usage, `--help` and `--version` end in argparse's `SystemExit`.
    """
    for stream in (sys.stdout, sys.stderr):
        _accept_every_character(stream)
    try:
        return _run(argv, Terminal(out=sys.stdout, err=sys.stderr, environ=os.environ, keyboard=sys.stdin))
    except (KeyboardInterrupt, EOFError):
        sys.stderr.write("interrupted\n")
        return ExitCode.INTERRUPTED


def _run(argv: Sequence[str] | None, terminal: Terminal) -> int:
    answer = Answer(lines=())
    try:
        arguments = _parse(argv)
        answer = _answer(arguments, terminal)
        terminal.show(answer.lines)
    except BrokenPipeError:
        _forget(sys.stdout)
    except (EnginehouseError, OSError) as error:
        terminal.tell(*_told(error))
        return _code(error)
    return answer.code


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    try:
        return parser().parse_args(argv)
    finally:
        sys.stdout.flush()


def _answer(arguments: argparse.Namespace, terminal: Terminal) -> Answer:
    match arguments.verb:
        case "validate":
            from enginehouse.verbs.validate import validate

            return validate(arguments.stacks, Format(arguments.format))
        case "new":
            from enginehouse.verbs.new import new

            return new(arguments.name, vars(arguments), terminal.ask if terminal.asks() else None, terminal.progress)
        case "plan":
            from enginehouse.verbs.plan import plan

            return plan(arguments.stack, Format(arguments.format))
        case "render":
            from enginehouse.verbs.render import render

            return render(arguments.stack, arguments.out)
        case "lock":
            from enginehouse.verbs.lock import lock

            return lock(arguments.stack, offline=arguments.offline, check=arguments.check, progress=terminal.progress)
        case "schema":
            from enginehouse.verbs.schema import schema

            return schema(arguments.out)
        case "doctor":
            from enginehouse.verbs.doctor import doctor

            return doctor(arguments.stacks, Format(arguments.format), terminal.progress)
        case "weights":
            from enginehouse.verbs.weights import list_weights, prune_weights

            verb = list_weights if arguments.action == "list" else prune_weights
            return verb(arguments.stack, Format(arguments.format), terminal.progress)
        case "status" | "facts" | "logs" | "history" | "events":
            return _look(arguments, terminal)
        case "adopt":
            from enginehouse.verbs.adopt import adopt

            return adopt(
                arguments.stack,
                yes=arguments.yes,
                take_over=arguments.take_over,
                ask=terminal.ask if terminal.asks() else None,
                progress=terminal.progress,
            )
        case "forget":
            from enginehouse.verbs.forget import forget

            return forget(
                arguments.stack,
                arguments.host,
                yes=arguments.yes,
                ask=terminal.ask if terminal.asks() else None,
                progress=terminal.progress,
            )
        case _:
            return _change(arguments, terminal.progress)


def _look(arguments: argparse.Namespace, terminal: Terminal) -> Answer:
    """What machines are asked for."""
    match arguments.verb:
        case "status":
            from enginehouse.verbs.status import status

            return status(arguments.stack, Format(arguments.format), terminal.progress)
        case "facts":
            from enginehouse.verbs.facts import facts

            return facts(arguments.stack, Format(arguments.format), terminal.progress)
        case "logs":
            from enginehouse.verbs.logs import logs

            return logs(
                arguments.stack,
                arguments.part,
                lines=arguments.lines,
                forever=arguments.follow,
                hung=arguments.hung,
                notices=arguments.notices,
                show=terminal.show,
                progress=terminal.progress,
            )
        case "history":
            from enginehouse.verbs.history import history

            return history(arguments.stack, arguments.part, Format(arguments.format), terminal.progress)
        case _:
            from enginehouse.verbs.events import events

            output = Format(arguments.format)
            return events(
                arguments.stack, output, forever=arguments.follow, show=terminal.show, progress=terminal.progress
            )


def _change(arguments: argparse.Namespace, progress: Callable[[str], None]) -> Answer:
    """What changes machines."""
    match arguments.verb:
        case "rollback":
            from enginehouse.verbs.rollback import rollback

            return rollback(
                arguments.stack, arguments.part, to=arguments.to, dry_run=arguments.dry_run, progress=progress
            )
        case "drain" | "cordon":
            from enginehouse.verbs.orders import drain

            return drain(
                arguments.stack,
                arguments.part,
                reason=arguments.reason,
                wait=arguments.wait,
                force=arguments.force,
                door=arguments.verb,
                progress=progress,
            )
        case "undrain":
            from enginehouse.verbs.orders import undrain

            return undrain(arguments.stack, arguments.part, progress=progress)
        case "freeze":
            from enginehouse.verbs.orders import freeze

            return freeze(arguments.stack, reason=arguments.reason, progress=progress)
        case _:
            from enginehouse.verbs.orders import unfreeze

            return unfreeze(arguments.stack, progress=progress)


def _told(error: Exception) -> Iterator[Line]:
    """The diagnostics of a wrong stack, or each error of the chain on its line."""
    if isinstance(error, SpecError):
        from enginehouse.report.problems import problems_text
        from enginehouse.verbs.stacks import InvalidStack

        yield from problems_text(error.diagnostics, error.sources if isinstance(error, InvalidStack) else {})
        return
    first, *rest = explain(error)
    yield line(piece("error: ", Style.BAD), first)
    yield from (line("  ", text) for text in rest)


def _code(error: Exception) -> ExitCode:
    match error:
        case SpecError() | InvalidInput():
            return ExitCode.INVALID
        case WrongAnswers():
            return ExitCode.USAGE
        case Cancelled():
            return ExitCode.INTERRUPTED
        case _:
            return ExitCode.FAILED


def _accept_every_character(stream: object) -> None:
    """Show what the terminal's encoding lacks as an escape instead of failing."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")


def _forget(stream: object) -> None:
    """Let the interpreter's flush at exit succeed when a reader such as `head` has gone (Python manual, SIGPIPE)."""
    if isinstance(stream, io.TextIOWrapper):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
