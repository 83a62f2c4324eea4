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
These verbs look and never change a machine; `pulumi up -s STACK` does."""

_EXIT_CODES = """\
exit codes:
  0    done, nothing to complain about
  1    the stack file or another input is wrong; nothing was touched
  2    the command line itself is wrong
  3    something on a machine failed
  4    what runs (status) or is locked (lock) is not what the plan says, or something is missing (doctor)
  130  interrupted with Ctrl-C"""

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
    for add in (_validate, _plan, _render, _status, _lock, _schema, _doctor):
        add(verbs)
    return root


class _Help(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=HELP_WIDTH)


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
    verb.add_argument("stack", metavar="STACK", nargs="?", help=f"{_STACK}; every stack of the folder if left out")
    _add_format(verb, "one line per stack")


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
    verb = _add(verbs, "doctor", "say what this machine has and lacks, and how to get it", "", "laptop --format json")
    verb.add_argument("stacks", metavar="STACK", nargs="*", help="also look whether the ports of these stacks are free")
    _add_format(verb, "the same findings")


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


def _add_format(verb: argparse.ArgumentParser, as_json: str) -> None:
    verb.add_argument(
        "--format",
        choices=[choice.value for choice in Format],
        default=Format.TEXT.value,
        help=f"text is for people and the default; json: {as_json}",
    )
