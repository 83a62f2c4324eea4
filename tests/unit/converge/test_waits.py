"""Waiting for an engine, where waiting is of no use."""

from __future__ import annotations

from pathlib import Path

import pytest

from enginehouse.connectors import Connectors
from enginehouse.connectors.fake import FakeConnector
from enginehouse.converge import Context, Run, waits
from enginehouse.converge.places import Places
from enginehouse.converge.steps import BecomeReady
from enginehouse.converge.work import Work
from enginehouse.errors import ConvergeFailed, NotForwarded, Unreachable
from enginehouse.planner.parts import ConnectionKind
from tests.simulated.plans import PLANS

PART = PLANS[1024].weights[0]
STEP = BecomeReady(
    title="",
    engine="llama-cpp",
    program="chat",
    address="127.0.0.1:9",
    health_path="/health",
    model="chat",
    within_s=9,
    log="/log",
)


def test_an_engine_that_sshd_hides_is_told_at_once() -> None:
    """It is not taken for one that needs more time; one that does not listen yet is."""
    machine = FakeConnector("box")
    context = Context(
        run=Run(id="run-1", who="ada@desk", door="test"),
        connectors=Connectors({ConnectionKind.LOCAL: lambda host, connection: machine}),
        listen=lambda event: None,
        uploads_from=Path("/nowhere"),
    )
    start = waits._Start(Work(context, machine, PART.name, Places.of(PART, "/s")), STEP)
    machine.listen("tcp:127.0.0.1:9", Unreachable("nothing answers"))
    assert start._health() == 0
    machine.listen("tcp:127.0.0.1:9", NotForwarded("box: it needs `AllowTcpForwarding local`"))
    with pytest.raises(ConvergeFailed, match="it needs `AllowTcpForwarding local`"):
        start._health()
