"""The grammar of the command line. Documentation and its tests read the help from here."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from enginehouse import __version__
from enginehouse.verbs import Format

HELP_WIDTH = 100
"""Fixed, so that help is the same on every terminal and the documentation can quote it."""

_DESCRIPTION = """\
One YAML file per stack, from there to a verified OpenAI-compatible endpoint.
`pulumi up -s STACK` brings machines to what the file says. Of these verbs, rollback, drain,
cordon, undrain, freeze, unfreeze, adopt and weights prune change something on a machine; the
others only look."""

_EXIT_CODES = """\
exit codes:
  0    done, nothing to complain about
  1    the stack file or another input is wrong; nothing was touched
  2    the command line itself is wrong
  3    something on a machine failed
  4    what runs (status) or is locked (lock) is not what the plan says, or something is missing (doctor)
  130  interrupted with Ctrl-C"""

_NO_REASON = "no reason was given"
_LINES = 50
"""A screen or two."""
_STACK = "a stack's name in the nearest `stacks` folder, or the path of its file"

if TYPE_CHECKING:
    Verbs: TypeAlias = argparse._SubParsersAction[argparse.ArgumentParser]


def parser() -> argparse.ArgumentParser:
    """Parses to a namespace with the verb in `verb`. Exits with 0 after help or version, with 2 for wrong usage."""
    root = argparse.ArgumentParser(
        prog="enginehouse", description=_DESCRIPTION, epilog=_EXIT_CODES, formatter_class=_Help, allow_abbrev=False
    )
    root.add_argument(
        "--version", action="version", version=f"enginehouse {__version__}", help="show the version and exit"
    )
    verbs = root.add_subparsers(title="verbs", metavar="VERB", dest="verb", required=True)
    for add in (_new, _validate, _plan, _render, _status, _facts, _lock, _schema, _doctor, *_OPERATING):
        add(verbs)
    return root


class _Help(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=HELP_WIDTH)


def _new(verbs: Verbs) -> None:
    verb = _add(
        verbs,
        "new",
        "write a commented stack file from a few answers",
        "demo",
        "demo --model models/tiny.gguf --key search --key chat",
    )
    verb.add_argument(
        "name", metavar="NAME", help="how the stack is called, and its file in the nearest `stacks` folder"
    )
    for flag, metavar, text in (
        ("--model", "SOURCE", "the path of a file here, or a source as in a stack file"),
        ("--sha256", "HEX", "of the weights; left out, that of the file if it is here"),
        ("--served-name", "NAME", "what clients write in `model`; left out, after the file"),
        ("--engine", "ENGINE", "llama-cpp if left out"),
        ("--version", "VERSION", "of the engine; left out, the installed or the newest known one"),
        ("--context", "TOKENS", "what a request and its answer may have together; 4096 if left out"),
        ("--slots", "N", "requests it works on at once; 4 if left out"),
        ("--port", "PORT", "of the endpoint; left out, the first from 8080 that no stack here has"),
        ("--description", "TEXT", "what the stack is for"),
    ):
        verb.add_argument(flag, metavar=metavar, help=text)
    verb.add_argument(
        "--key", dest="keys", metavar="NAME", action="append", help="a client; again for more; `demo` if left out"
    )


def _validate(verbs: Verbs) -> None:
    verb = _add(
        verbs, "validate", "report every problem of stack files, offline", "laptop", "stacks/*.yaml --format json"
    )
    verb.add_argument("stacks", metavar="STACK", nargs="+", help=_STACK)
    _add_format(verb, "one line per stack")


def _plan(verbs: Verbs) -> None:
    verb = _add(
        verbs,
        "plan",
        "show what a stack becomes, part by part, offline",
        "laptop",
        "laptop --format json | jq .replicas",
    )
    verb.add_argument("stack", metavar="STACK", help=_STACK)
    _add_format(verb, "every field of every part")


def _render(verbs: Verbs) -> None:
    verb = _add(
        verbs,
        "render",
        "write every file that a stack places on its machines into a folder, offline",
        "laptop --out rendered",
        "laptop --out rendered && git diff rendered",
    )
    verb.add_argument("stack", metavar="STACK", help=_STACK)
    verb.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        required=True,
        help="gets DIR/HOST/PART/...; new, empty, or from an earlier render",
    )


def _status(verbs: Verbs) -> None:
    verb = _add(
        verbs, "status", "ask the machines what runs and compare it with the plan", "", "laptop --format json | jq .ok"
    )
    verb.add_argument(
        "stack", metavar="STACK", nargs="?", help=f"{_STACK}; every stack that was deployed from here if left out"
    )
    _add_format(verb, "one line per stack")


def _facts(verbs: Verbs) -> None:
    verb = _add(
        verbs,
        "facts",
        "show what the machines of a stack are and have",
        "laptop",
        "laptop --format json | jq '.machines[].facts.memory'",
    )
    verb.add_argument("stack", metavar="STACK", help=_STACK)
    _add_format(verb, "everything that was found")


def _lock(verbs: Verbs) -> None:
    verb = _add(
        verbs,
        "lock",
        "pin the ports of a stack, so that an edit never moves what stays",
        "laptop",
        "laptop --offline --check",
    )
    verb.add_argument("stack", metavar="STACK", help=_STACK)
    verb.add_argument(
        "--offline", action="store_true", help="ask no machine; go by the plan and the existing lock file alone"
    )
    verb.add_argument("--check", action="store_true", help="write nothing; exit with 4 if the file would change")


def _schema(verbs: Verbs) -> None:
    verb = _add(verbs, "schema", "print the JSON Schema of stack files", "", "--out stack.schema.json")
    verb.add_argument("--out", metavar="FILE", type=Path, help="write it there instead")


def _doctor(verbs: Verbs) -> None:
    verb = _add(
        verbs,
        "doctor",
        "say what is missing here, and on the machines of a stack, and how to get it",
        "",
        "laptop --format json",
    )
    verb.add_argument(
        "stacks", metavar="STACK", nargs="*", help="also look whether the machines of these stacks can carry them"
    )
    _add_format(verb, "the same findings")


def _logs(verbs: Verbs) -> None:
    verb = _add(
        verbs,
        "logs",
        "show what the programs of a stack wrote last",
        "laptop",
        "laptop chat -f -n 0",
        "laptop --notices",
    )
    _add_stack_and_part(verb, "of this part, or of all replicas of this deployment; of every part if left out")
    _add_follow(verb, "line")
    verb.add_argument(
        "-n",
        "--lines",
        metavar="LINES",
        type=count,
        default=_LINES,
        help=f"how many of each part to begin with; {_LINES} if left out",
    )
    which = verb.add_mutually_exclusive_group()
    which.add_argument("--hung", action="store_true", help="what engines wrote before they hung and were restarted")
    which.add_argument("--notices", action="store_true", help="what HAProxy says itself, in place of its access log")


def _history(verbs: Verbs) -> None:
    verb = _add(verbs, "history", "show who changed what and when, newest first", "laptop", "laptop chat-laptop-0")
    _add_stack_and_part(verb, "of this part, or of all replicas of this deployment; of every part if left out")
    _add_format(verb, "every generation with its changes")


def _events(verbs: Verbs) -> None:
    verb = _add(verbs, "events", "show the journal of a stack, oldest first", "laptop -f", "laptop --format jsonl")
    verb.add_argument("stack", metavar="STACK", help=_STACK)
    _add_follow(verb, "event")
    _add_format(verb, "one event per line", Format.JSONL)


def _rollback(verbs: Verbs) -> None:
    verb = _add(
        verbs,
        "rollback",
        "bring back what replicas and gateway were before",
        "laptop --dry-run",
        "laptop chat-laptop-0 --to 3",
    )
    _add_stack_and_part(
        verb, "only this part, or all replicas of this deployment; else all that the newest run changed"
    )
    verb.add_argument("--to", metavar="GENERATION", type=count, help="of the part; else the content before the present")
    verb.add_argument("--dry-run", action="store_true", help="only show the differences")


def _drain(verbs: Verbs) -> None:
    verb = _add(
        verbs,
        "drain",
        "send a replica no more requests, and wait until it has finished those it has",
        "laptop chat-laptop-1",
        'laptop chat --force --reason "new memory"',
    )
    verb.add_argument("--no-wait", dest="wait", action="store_false", help="don't wait; the same as cordon")
    _add_drained(verb)


def _cordon(verbs: Verbs) -> None:
    verb = _add(
        verbs, "cordon", "send a replica no more requests, and let it finish those it has", "laptop chat-laptop-1"
    )
    verb.set_defaults(wait=False)
    _add_drained(verb)


def _undrain(verbs: Verbs) -> None:
    verb = _add(verbs, "undrain", "send a drained replica requests again", "laptop chat-laptop-1")
    _add_replica(verb)


def _freeze(verbs: Verbs) -> None:
    verb = _add(
        verbs, "freeze", "let nothing change or heal a stack until unfreeze", 'laptop --reason "the audit is on"'
    )
    verb.add_argument("stack", metavar="STACK", help=_STACK)
    verb.add_argument("--reason", metavar="TEXT", required=True, help="told to everybody who is refused")


def _unfreeze(verbs: Verbs) -> None:
    verb = _add(verbs, "unfreeze", "let runs change a frozen stack again", "laptop")
    verb.add_argument("stack", metavar="STACK", help=_STACK)


def _adopt(verbs: Verbs) -> None:
    verb = _add(
        verbs,
        "adopt",
        "make machines ready for a Pulumi state that knows nothing of what is there",
        "laptop",
        "laptop --yes --take-over",
    )
    verb.add_argument("stack", metavar="STACK", help=_STACK)
    verb.add_argument("--yes", action="store_true", help="do not ask before parts are ended")
    verb.add_argument("--take-over", action="store_true", help="a stack that another state owns, too")


def _forget(verbs: Verbs) -> None:
    verb = _add(
        verbs, "forget", "take a machine that will never answer again out of the Pulumi state", "shops shop-017 --yes"
    )
    verb.add_argument("stack", metavar="STACK", help=_STACK)
    verb.add_argument("host", metavar="HOST", help="the machine's name in the stack file, or what it was")
    verb.add_argument("--yes", action="store_true", help="do not ask before")


def _weights(verbs: Verbs) -> None:
    verb = _add(
        verbs,
        "weights",
        "list the weights that machines of a stack keep, or remove those that no stack needs",
        "list laptop",
        "prune laptop",
    )
    verb.add_argument("action", choices=["list", "prune"], help="prune looks at all stacks of the machine")
    verb.add_argument("stack", metavar="STACK", help=_STACK)
    _add_format(verb, "the same by machine")


_OPERATING = (
    _logs,
    _history,
    _events,
    _rollback,
    _drain,
    _cordon,
    _undrain,
    _freeze,
    _unfreeze,
    _adopt,
    _forget,
    _weights,
)


def _add(verbs: Verbs, name: str, summary: str, *examples: str) -> argparse.ArgumentParser:
    shown = "\n".join(f"  enginehouse {name} {example}".rstrip() for example in examples)
    return verbs.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog=f"examples:\n{shown}",
        formatter_class=_Help,
        allow_abbrev=False,
    )


def _add_format(verb: argparse.ArgumentParser, meaning: str, other: Format = Format.JSON) -> None:
    verb.add_argument(
        "--format",
        choices=[Format.TEXT.value, other.value],
        default=Format.TEXT.value,
        help=f"text is for people and the default; {other.value}: {meaning}",
    )


def _add_stack_and_part(verb: argparse.ArgumentParser, part: str) -> None:
    verb.add_argument("stack", metavar="STACK", help=_STACK)
    verb.add_argument("part", metavar="PART", nargs="?", help=part)


def _add_follow(verb: argparse.ArgumentParser, what: str) -> None:
    verb.add_argument("-f", "--follow", action="store_true", help=f"go on with each new {what}, until Ctrl-C")


def _add_replica(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("stack", metavar="STACK", help=_STACK)
    verb.add_argument("part", metavar="PART", help="a replica, or a deployment for all of its replicas")


def _add_drained(verb: argparse.ArgumentParser) -> None:
    _add_replica(verb)
    verb.add_argument("--reason", metavar="TEXT", default=_NO_REASON, help="shown by status until undrain")
    verb.add_argument("--force", action="store_true", help="also if no other replica can take its requests")


def count(text: str) -> int:
    """A number of things. Its name is what argparse calls it in "invalid ... value"."""
    number = int(text)
    if number < 0:
        raise ValueError(text)
    return number
