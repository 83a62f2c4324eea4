"""The scripts that show logs, run on files that stand as a supervisor leaves them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from enginehouse.connectors.local import LocalConnector
from enginehouse.converge.logs import before_hang, following, has_logs, last_lines
from enginehouse.planner.parts import Part
from tests.unit.report.plans import GATEWAY, HOST, PLAN, REPLICA

SOON_S = 20.0
Shown = Callable[[Part, int], list[str]]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def shown(state: Path) -> Iterator[Shown]:
    yield from showing(state, last_lines)


@pytest.fixture
def shown_notices(state: Path) -> Iterator[Shown]:
    yield from showing(state, partial(last_lines, notices=True))


def showing(state: Path, script: Callable[[Part, int], str]) -> Iterator[Shown]:
    connector = LocalConnector("box", environment={**os.environ, "ENGINEHOUSE_STATE": str(state)})
    yield lambda part, lines: connector.run(script(part, lines), deadline_s=SOON_S).check("logs").stdout.splitlines()
    connector.close()


def write(state: Path, part: str, **logs: list[str]) -> None:
    folder = state / "demo" / part / "log"
    folder.mkdir(parents=True, exist_ok=True)
    for name, lines in logs.items():
        (folder / name.replace("_", ".")).write_text("".join(f"{line}\n" for line in lines))


def test_the_last_lines_are_shown(state: Path, shown: Shown) -> None:
    write(state, GATEWAY.name, gateway_log=["one", "two", "three"])
    write(state, HOST.name, supervisord_log=["started"])
    assert shown(GATEWAY, 2) == ["two", "three"]
    assert shown(GATEWAY, 9) == ["one", "two", "three"]
    assert shown(GATEWAY, 0) == []
    assert shown(HOST, 9) == ["started"]


def test_the_notices_of_a_gateway_are_a_log_of_their_own(state: Path, shown_notices: Shown) -> None:
    assert shown_notices(GATEWAY, 5) == []
    write(state, GATEWAY.name, gateway_log=["the gateway starts", '{"status":200}', "Proxy api stopped"])
    assert shown_notices(GATEWAY, 5) == ["the gateway starts", "Proxy api stopped"], "started by an older version"
    write(state, GATEWAY.name, notices_log=["one", "two", "three"])
    assert shown_notices(GATEWAY, 2) == ["two", "three"]
    assert "notices.log" in following(GATEWAY, 5, notices=True)[0]


def test_a_log_that_was_just_begun_is_filled_up_from_the_one_before(state: Path, shown: Shown) -> None:
    write(state, GATEWAY.name, gateway_log_1=["a", "b", "c"], gateway_log=["d"])
    assert shown(GATEWAY, 3) == ["b", "c", "d"]


def test_of_hangs_the_newest_is_shown(state: Path) -> None:
    """Whatever else is in the folder; nothing before the first one."""
    connector = LocalConnector("box", environment={**os.environ, "ENGINEHOUSE_STATE": str(state)})
    script = before_hang(REPLICA, 2)
    assert connector.run(script, deadline_s=SOON_S).check("logs").stdout == ""
    hangs = {"hang-20261124T120000Z_log": ["old"], "hang-20261124T130000Z_log": ["1", "2", "3"], "a_log": ["later"]}
    write(state, REPLICA.name, **hangs)
    assert connector.run(script, deadline_s=SOON_S).check("logs").stdout == "2\n3\n"
    connector.close()


@pytest.mark.parametrize("side", ["a", "b"])
def test_of_a_replica_the_side_in_its_manifest_is_shown(state: Path, shown: Shown, side: str) -> None:
    write(state, REPLICA.name, a_log=["side a"], b_log=["side b"])
    (state / "demo" / REPLICA.name / "manifest.json").write_text(f'{{\n "release": "x",\n "side": "{side}",\n}}\n')
    assert shown(REPLICA, 5) == [f"side {side}"]


def test_of_a_replica_that_never_served_the_side_that_wrote_last_is_shown(state: Path, shown: Shown) -> None:
    """A first start that fails is what one looks for in a log."""
    write(state, REPLICA.name, a_log=["side a"], b_log=["side b"])
    os.utime(state / "demo" / REPLICA.name / "log" / "a.log", (1, 1))
    assert shown(REPLICA, 5) == ["side b"]


def test_a_log_that_is_not_there_is_empty(shown: Shown) -> None:
    assert [shown(part, 5) for part in (REPLICA, GATEWAY, HOST)] == [[], [], []]


def test_parts_without_a_process_have_no_log() -> None:
    assert [part.name for part in PLAN.parts() if has_logs(part)] == ["box", REPLICA.name, GATEWAY.name]


def test_both_sides_of_a_replica_are_followed() -> None:
    assert [len(following(part, 5)) for part in (REPLICA, GATEWAY, HOST)] == [2, 1, 1]
