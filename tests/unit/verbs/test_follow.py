"""Several scripts are heard at once, and end together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from enginehouse.connectors import Connectors
from enginehouse.connectors.base import Result
from enginehouse.connectors.fake import FakeConnector
from enginehouse.converge import Context, Run
from enginehouse.errors import CommandFailed, Unreachable
from enginehouse.planner.parts import ConnectionKind
from enginehouse.verbs.follow import Source, follow
from tests.unit.report.plans import HOST


def context(connector: FakeConnector) -> Context:
    connectors = Connectors({ConnectionKind.LOCAL: lambda host, connection: connector})
    run = Run(id="r", who="ada@desk", door="logs")
    return Context(run=run, connectors=connectors, listen=lambda event: None, uploads_from=Path())


def test_lines_come_one_by_one_until_the_script_ends() -> None:
    """Which it never does by itself: then something is wrong, and its last words are told."""
    connector, heard = FakeConnector("box"), []
    connector.on("tail", Result(returncode=1, stdout="a\nb\n", stderr="gone\n"))
    with pytest.raises(CommandFailed) as error:
        follow([Source(part=HOST, script="tail", hear=heard.append)], context(connector))
    assert (heard, error.value.tail) == (["a", "b"], ("gone",))


def test_a_machine_that_is_lost_is_told_and_the_others_go_on() -> None:
    """Only when the last one is lost, too, there is nothing left to follow; then the first one's error is raised."""
    connector, heard, told = FakeConnector("box"), [], []
    connector.on("lost", Unreachable("box: no connection"))
    connector.on("tail", Result(returncode=1, stdout="a\n", stderr="gone\n"))
    sources = [Source(part=HOST, script=script, hear=heard.append) for script in ("lost", "tail")]
    with pytest.raises((Unreachable, CommandFailed)):
        follow(sources, replace(context(connector), listen=lambda event: told.append(event.text)))
    assert heard == ["a"]
    assert len(told) == 1


def test_a_hearer_that_has_enough_ends_all() -> None:
    """What it raises is what `follow` raises; nothing can be started through the context any more."""
    connector = FakeConnector("box")
    connector.on("tail", "a\nb\n")
    over = context(connector)

    def hear(line: str) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        follow([Source(part=HOST, script="tail", hear=hear)], over)
    with pytest.raises(Exception, match="stopped"):
        over.connectors.connect(HOST)
