"""The verbs, with a machine made of rules."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from enginehouse.connectors import Connectors
from enginehouse.connectors.base import Result
from enginehouse.connectors.fake import FakeConnector
from enginehouse.converge import Context, Run, as_inputs, converge, destroy, observe
from enginehouse.converge.events import Event, Progress
from enginehouse.converge.execute import execute
from enginehouse.converge.manifest import Change, Manifest, to_json
from enginehouse.converge.places import Places
from enginehouse.converge.steps import Activation, Sh, Undo, WriteManifest
from enginehouse.converge.work import Work
from enginehouse.errors import Cancelled, ConvergeFailed, Unreachable, WrongMachine
from enginehouse.planner.parts import ConnectionKind
from tests.simulated.plans import PLANS

PART = PLANS[1024].weights[0]
CHANGE = Change(run="run-0", who="ada@desk", door="pulumi", at="2026-11-24T12:00:00+00:00")
MANIFEST = Manifest(part=PART, generation=3, machine="m", change=CHANGE)
SETTLED = {
    "state": "/s",
    "machine": "m",
    "memory_mib": "1000",
    "disk_mib": "1000",
    "manifest": to_json(MANIFEST),
    "stat": "9 9 9",
    "verified": f"{PART.sha256} 9 9 9",
}


@pytest.fixture
def machine() -> FakeConnector:
    """Weights that are there and verified."""
    connector = FakeConnector("box")
    connector.on("find_state", answer(SETTLED))
    return connector


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def context(machine: FakeConnector, events: list[Event]) -> Context:
    return Context(
        run=Run(id="run-1", who="ada@desk", door="test"),
        connectors=Connectors({ConnectionKind.LOCAL: lambda host, connection: machine}),
        listen=events.append,
        uploads_from=Path("/nowhere"),
    )


@pytest.fixture
def work(context: Context, machine: FakeConnector) -> Work:
    return Work(context, machine, PART.name, Places.of(PART, "/s"))


def answer(values: dict[str, str]) -> str:
    text = "".join(f"\0{key}\t{value}" for key, value in {**values, "": "end"}.items())
    return f"facts\t{base64.b64encode(text.encode()).decode()}\n"


def test_nothing_to_do_is_one_script_and_no_lease(machine: FakeConnector, context: Context) -> None:
    """The script is the probe; the outputs are those of the last change."""
    outputs = converge(PART, context)
    assert (len(machine.calls), machine.held) == (1, [])
    assert (outputs["generation"], outputs["changed_at"]) == (3, CHANGE.at)


def test_looking_takes_no_lease(machine: FakeConnector, context: Context) -> None:
    """One script, and what was found is what was planned."""
    observed = observe(PART, context)
    assert observed is not None
    assert (observed.inputs, observed.reasons) == (as_inputs(PART), ())
    assert (len(machine.calls), machine.held) == (1, [])


def test_a_damaged_manifest_is_observed_with_its_reason(machine: FakeConnector, context: Context) -> None:
    """Not as absent: the part would be created anew beside what is there."""
    machine.on("find_state", answer({**SETTLED, "manifest": "{"}))
    observed = observe(PART, context)
    assert observed is not None
    assert observed.inputs["drift"] == {"manifest": "damaged"}
    assert observed.reasons == ("the manifest on the machine is damaged: not JSON (line 1)",)


@pytest.mark.parametrize("verb", [converge, observe, destroy])
def test_another_machine_is_named_before_anything_else(context: Context, verb: Callable[..., object]) -> None:
    """By every verb; both ids are told."""
    with pytest.raises(WrongMachine, match=r"its id is m, expected x\); nothing was changed"):
        verb(PART, context, machine_id="x")


def test_a_machine_that_is_not_reached_is_untouched(machine: FakeConnector, context: Context) -> None:
    """And the error says so; one that breaks off later does not."""
    machine.break_at(1, Unreachable("box does not answer"))
    with pytest.raises(Unreachable) as caught:
        converge(PART, context)
    assert caught.value.untouched
    assert not Unreachable("later").untouched


def test_a_copied_disk_is_another_machine(machine: FakeConnector, context: Context) -> None:
    """The manifest itself knows which machine it was written on."""
    machine.on("find_state", answer({**SETTLED, "machine": "copy"}))
    with pytest.raises(WrongMachine):
        converge(PART, context)


def test_destroying_what_is_not_there_does_nothing(machine: FakeConnector, context: Context) -> None:
    """One look."""
    assert destroy(PART, context) == ()
    assert (len(machine.calls), machine.held) == (1, [])


def test_a_destroy_after_a_first_run_that_was_cut_off_finishes_its_installation(
    machine: FakeConnector, context: Context
) -> None:
    """Nothing of the stack is there but what the package manager was at."""
    bare = {name: SETTLED[name] for name in ("state", "machine", "memory_mib")}
    machine.on("find_state", answer({**bare, "installing": "haproxy.service\n"}))
    machine.on("set -eu", "")
    machine.on("exec 9<>lease\n", "taken \n")
    destroy(PLANS[1024].hosts[0], context)
    (call,) = (call for call in machine.calls if "\ninstall_packages /s/host/installing" in call.script)
    assert "dpkg --configure -a" in call.script


def step(name: str) -> Sh:
    return Sh(title=name, script=f"echo {name}\n")


def switch(*forward: str, old_serves: bool = True) -> Activation:
    """The way back undoes the last step first."""
    steps = tuple(step(name) for name in forward)
    back = tuple(Undo(of=of, step=step(f"undo-{of.title}")) for of in reversed(steps))
    return Activation(title="switching", forward=steps, back=back, old_serves=old_serves)


def run(work: Work, *steps: Sh | Activation) -> None:
    execute(steps, work, lambda record: MANIFEST)


def done(machine: FakeConnector) -> list[str]:
    """The names of the steps whose scripts were run."""
    return [call.script.rpartition("echo ")[2].strip() for call in machine.calls]


def test_a_failed_activation_is_undone_in_order_and_says_what_serves(machine: FakeConnector, work: Work) -> None:
    """What the script said is the reason; steps behind it are neither begun nor undone."""
    machine.on("echo", "")
    machine.on("echo two", result(1, "the disk is on fire"))
    with pytest.raises(ConvergeFailed, match="two failed; the release from before serves") as failure:
        run(work, switch("one", "two", "three"), step("after"))
    assert failure.value.reasons == ("the disk is on fire",)
    assert failure.value.old_serves
    assert done(machine) == ["one", "two", "undo-two", "undo-one"]


def test_an_undo_that_fails_serves_nothing_and_tells_both(machine: FakeConnector, work: Work) -> None:
    """Both causes are told."""
    machine.on("echo", "")
    machine.on("echo two", result(1, "first"))
    machine.on("echo undo-two", result(1, "second"))
    with pytest.raises(ConvergeFailed) as failure:
        run(work, switch("one", "two"))
    assert not failure.value.old_serves
    assert failure.value.reasons[0] == "first"
    assert failure.value.reasons[-1] == "second"


def test_a_wish_to_stop_is_heard_between_steps_and_undone_all_the_same(machine: FakeConnector, work: Work) -> None:
    """The undo is not stopped by the wish that caused it."""
    machine.on("echo", "")
    machine.on("echo one", lambda call: stop(work.context.cancelled))
    with pytest.raises(Cancelled):
        run(work, switch("one", "two"))
    assert done(machine) == ["one", "undo-one"]


def test_progress_counts_the_steps_of_activations(machine: FakeConnector, work: Work, events: list[Event]) -> None:
    """`[i/n] title`, in one count."""
    machine.on("echo", "")
    machine.on("put ", "")
    execute((step("one"), switch("two", "three"), WriteManifest(title="recording")), work, lambda record: MANIFEST)
    assert [event.text for event in events if isinstance(event, Progress)] == [
        "[1/4] one",
        "[2/4] two",
        "[3/4] three",
        "[4/4] recording",
    ]


def test_a_lost_lease_stops_everything(machine: FakeConnector, work: Work) -> None:
    """Another run took over: no further script, not even an undo, changes anything."""
    machine.on("echo", result(75, "the lease of this machine is no longer held by this run"))
    with pytest.raises(ConvergeFailed, match="another run took over this machine"):
        run(work, switch("one"))


def result(code: int, text: str) -> Result:
    return Result(returncode=code, stdout="", stderr=text)


def stop(cancelled: threading.Event) -> str:
    cancelled.set()
    return ""
