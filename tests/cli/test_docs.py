"""`docs/cli.md` tells the truth: help, examples, exit codes and every verb are compared with what the command does."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from enginehouse.errors import ExitCode
from tests.cli.conftest import Told
from tests.cli.harness import DEMO
from tests.cli.test_process import VERBS
from tests.conftest import GOLDEN

Call = Callable[..., Told]

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "cli.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
EXAMPLES = [text for kind, text in BLOCKS if kind == "console"]


def calls(example: str) -> list[tuple[str, str]]:
    """Each call of an example with the output that it shows."""
    parts = re.split(r"^\$ (.+)\n", example, flags=re.MULTILINE)[1:]
    return list(zip(parts[::2], parts[1::2], strict=True))


def agrees(shown: str, real: str) -> bool:
    """Equal, line by line; a line `...` stands for any number of lines."""
    escaped = re.sub(r"([\[\]*?])", r"[\1]", shown)
    return fnmatchcase(real, re.sub(r"^\.\.\.$", "*", escaped, flags=re.MULTILINE))


def test_the_demo_stack_is_the_one_in_the_text() -> None:
    assert ("yaml", DEMO) in BLOCKS


@pytest.mark.parametrize("example", EXAMPLES, ids=[example.splitlines()[0][2:] for example in EXAMPLES])
def test_examples_give_what_they_show(folder: Path, call: Call, example: str) -> None:
    """Every call in the text, with its output and, where it is asked for, its exit code."""
    code = 0
    for command, shown in calls(example):
        if command == "echo $?":
            assert shown == f"{code}\n"
            continue
        program, *words = shlex.split(command)
        assert program == "enginehouse"
        code, out, err = call(*words)
        assert agrees(shown, err + out), err + out


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_a_chapter_with_its_help_and_an_example(verb: str) -> None:
    chapter = re.split(r"^## ", TEXT.partition(f"\n## enginehouse {verb}\n")[2], flags=re.MULTILINE)[0]
    assert f"```text\n{(GOLDEN / 'cli' / 'help' / f'{verb}.txt').read_text()}```" in chapter
    assert f"$ enginehouse {verb}" in chapter


def test_every_exit_code_is_explained_where_help_explains_it() -> None:
    """The table and the help name the same codes with the same words."""
    table = dict(re.findall(r"^\| (\d+) \| (.+) \|$", TEXT, re.MULTILINE))
    assert {int(code) for code in table} == {int(code) for code in ExitCode}
    help_text = (GOLDEN / "cli" / "help" / "enginehouse.txt").read_text()
    told = dict(re.findall(r"^  (\d+) +(.+)$", help_text, re.MULTILINE))
    assert {code: meaning.replace("`", "") for code, meaning in table.items()} == told


@pytest.mark.parametrize(
    "golden",
    [
        "status/serving.txt", "status/ordered.txt", "facts/three.txt", "doctor/bad.txt", "history/two-parts.txt",
        "events/three.txt", "rollback/before.txt", "rollback/after.txt",
    ],
)  # fmt: skip
def test_what_depends_on_a_machine_is_shown_as_the_renderer_shows_it(golden: str) -> None:
    assert ("text", (GOLDEN / "cli" / golden).read_text()) in BLOCKS


def test_the_check_can_fail() -> None:
    """Twin: a wrong line, a missing line and a glob character in the text are noticed."""
    assert agrees("a\n...\nz [x]\n", "a\nb\nc\nz [x]\n")
    assert not agrees("a\n", "b\n")
    assert not agrees("a\n", "a\nb\n")
    assert not agrees("a*\n", "abc\n")
