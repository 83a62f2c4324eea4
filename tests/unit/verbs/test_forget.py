"""A machine is forgotten only by Pulumi, only if it does not answer, and only if somebody said so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from enginehouse.converge.adoption import Standing
from enginehouse.errors import EnginehouseError, Unreachable
from enginehouse.report.lines import as_text
from enginehouse.verbs import InvalidInput
from enginehouse.verbs import forget as module
from enginehouse.verbs.forget import forget
from tests.unit.planner.test_each_host import planned

NOTHING = Standing(owner=None, frozen=None, parts=(), damaged=())


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Pulumi project whose program notes what it is asked. Of its machines, none answers."""
    (tmp_path / "Pulumi.yaml").touch()
    (tmp_path / "bin").mkdir()
    program(tmp_path, 'echo "$ENGINEHOUSE_FORGET: $*" >"${0%/*}/../asked"; echo "looked at everything"')
    monkeypatch.setattr(module, "planned", lambda stack: planned("shop-1", "shop-2"))
    monkeypatch.setattr(module, "stack_file", lambda stack: tmp_path / "stacks" / "demo.yaml")
    answers(monkeypatch, None)
    return tmp_path


def program(project: Path, script: str) -> None:
    file = project / "bin" / "pulumi"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def answers(monkeypatch: pytest.MonkeyPatch, found: Standing | None) -> None:
    def standing(*_: object) -> Standing:
        if found is None:
            raise Unreachable("shop-1: does not answer")
        return found

    monkeypatch.setattr(module, "standing", standing)


def call(host: str, *, yes: bool = True, ask: Callable[[str], str] | None = None) -> tuple[str, list[str]]:
    told: list[str] = []
    return as_text(forget("demo", host, yes=yes, ask=ask, progress=told.append).lines), told


def test_pulumi_looks_and_lets_go(project: Path) -> None:
    """Of that host alone; what it says is shown, and that the file still has the host."""
    out, told = call("shop-1")
    asked = f"shop-1: --cwd {project} --non-interactive refresh --stack demo --yes --skip-preview\n"
    assert (project / "asked").read_text() == asked
    assert told == ["shop-1: does not answer", "looked at everything"]
    assert out.startswith("shop-1 is forgotten; whatever is on it stays there\nshop-1 is still in the stack file")


def test_one_that_is_in_the_file_no_more_is_forgotten_without_a_word_about_that(project: Path) -> None:
    assert call("shop-9")[0] == "shop-9 is forgotten; whatever is on it stays there\n"


def test_one_that_answers_and_has_the_stack_is_refused(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its parts would run on unseen. One that answers and has nothing may be another machine."""
    answers(monkeypatch, Standing(owner=None, frozen=None, parts=(), damaged=("chat-shop-1-0",)))
    with pytest.raises(InvalidInput, match="shop-1 answers and has demo; take it out of the stack file"):
        call("shop-1")
    assert not (project / "asked").exists()
    answers(monkeypatch, NOTHING)
    call("shop-1")
    assert (project / "asked").exists()


def test_why_it_can_not_be_asked_is_told_before_somebody_agrees(project: Path) -> None:
    """It may run well, and only the person's keys or way be missing."""
    told: list[str] = []

    def ask(question: str) -> str:
        assert told == ["shop-1: does not answer"]
        return "no"

    with pytest.raises(InvalidInput):
        forget("demo", "shop-1", yes=False, ask=ask, progress=told.append)


@pytest.mark.parametrize("ask", [None, lambda question: "no", lambda question: "y"])
def test_nothing_is_forgotten_that_nobody_agreed_to(project: Path, ask: Callable[[str], str] | None) -> None:
    with pytest.raises(InvalidInput, match="nothing was changed"):
        call("shop-1", yes=False, ask=ask)
    assert not (project / "asked").exists()
    call("shop-1", yes=False, ask=lambda question: "yes")


def test_a_pulumi_that_fails_is_told(project: Path) -> None:
    program(project, "exit 255")
    with pytest.raises(EnginehouseError, match="ended with code 255"):
        call("shop-1")


def test_without_a_project_the_line_for_where_it_is_is_told(project: Path) -> None:
    (project / "Pulumi.yaml").unlink()
    with pytest.raises(InvalidInput, match="`ENGINEHOUSE_FORGET=shop-1 pulumi refresh -s demo` does the same"):
        call("shop-1")
