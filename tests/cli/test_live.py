"""`status` and `doctor` beside a stack that really runs: real supervisord and HAProxy, a stand-in engine."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from enginehouse.converge.preflight import preflight
from enginehouse.planner.needs import needs_of
from enginehouse.report.status import Load, PartStatus, State
from enginehouse.verbs.survey import survey
from tests.converge.conftest import running, shared, world  # noqa: F401  (fixtures)
from tests.converge.harness import World

IDLE = Load(running=0, queued=0)
GOOD = {
    "box": State.READY,
    "chat-weights-box": State.READY,
    "chat-box-0": State.SERVING,
    "gateway-box": State.SERVING,
    "endpoint": State.SERVING,
}


def parts(stack: World) -> dict[str, PartStatus]:
    """A survey without any secret."""
    stack.secrets = {}
    with ThreadPoolExecutor(4) as pool:
        return {part.part: part for part in survey(stack.plan(), stack.context(), pool).parts}


def states(stack: World) -> dict[str, State]:
    return {name: part.state for name, part in parts(stack).items()}


def test_a_running_stack_is_as_planned_and_looking_changes_nothing(running: World) -> None:  # noqa: F811
    """Every part good, load and time there, no file or process touched."""
    before, processes = running.snapshot(), running.processes()
    running.wait_until(lambda: parts(running)["gateway-box"].load == IDLE)  # of the proof it may not have let go yet
    seen = parts(running)
    assert {name: part.state for name, part in seen.items()} == GOOD
    assert all(part.reasons == () for part in seen.values())
    assert seen["chat-box-0"].load == seen["gateway-box"].load == IDLE
    assert seen["chat-box-0"].since is not None
    assert (before, processes) == (running.snapshot(), running.processes())


def test_an_edit_of_the_stack_file_shows_as_a_difference(running: World) -> None:  # noqa: F811
    running.settings["context"] = 4096
    replica = parts(running)["chat-box-0"]
    assert replica.state is State.DIFFERS
    assert 'args.ctx-size is "4096", the plan says "8192"' in replica.reasons


def test_a_stopped_gateway_is_said_and_nothing_answers(running: World) -> None:  # noqa: F811
    running.supervisor().stop("gateway-box")
    assert states(running) == {**GOOD, "gateway-box": State.STOPPED, "endpoint": State.MISSING}


def test_a_stopped_engine_is_said_and_the_endpoint_is_not_ready(running: World) -> None:  # noqa: F811
    running.supervisor().stop(running.engine)
    running.wait_until(lambda: states(running)["endpoint"] is not State.SERVING)
    assert states(running) == {**GOOD, "chat-box-0": State.STOPPED, "endpoint": State.UNHEALTHY}


def test_the_port_of_a_running_stack_is_its_own(running: World) -> None:  # noqa: F811
    """In use by this stack for itself, and by a stranger for a stack of another name."""
    host, needs, context = running.plan().hosts[0], needs_of(running.plan(), "box"), running.context()
    port = f"port {running.port}"
    mine = {check.what: check for check in preflight(host, context, needs)}
    assert (mine[port].ok, mine[port].found) == (True, "in use by this stack")
    assert all(check.ok for check in mine.values()), mine
    other = {check.what: check for check in preflight(replace(host, stack="other"), context, needs)}
    assert not other[port].ok
    assert f"{running.plan().stack}/gateway-box/gateway" in other[port].found
