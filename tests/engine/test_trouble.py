"""When something goes wrong, with the real CLI: failures, drift, somebody else's changes."""

from __future__ import annotations

import json
import re

import pytest

from tests.engine.project import Project

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]


def test_one_failed_replica_leaves_the_others_and_the_next_up_goes_on(project: Project) -> None:
    project.script(chat_box_1={"fails": "ggml: out of memory"})
    output = project.up(expect=1)
    assert "ggml: out of memory" in output
    assert set(project.parts()) == {"box", "chat-weights-box", "chat-box-0"}
    failed = project.resources()["chat-box-1"]
    assert failed["initErrors"] == ["chat-box-1 did not become ready", "ggml: out of memory"]
    project.script()
    project.forget_calls()
    project.up()
    converged = [call["part"] for call in project.calls() if call["verb"] == "converge"]
    assert converged == ["chat-box-1", "gateway-box", "endpoint"]
    assert "initErrors" not in project.resources()["chat-box-1"]


def test_a_failed_create_is_cleaned_up_by_destroy(project: Project) -> None:
    """Its leftovers on the machine are taken away, although it never worked."""
    project.script(chat_box_1={"fails": "ggml: out of memory"})
    project.up(expect=1)
    project.forget_calls()
    project.run("destroy", "--yes", "--skip-preview")
    assert "chat-box-1" in [call["part"] for call in project.calls() if call["verb"] == "destroy"]


def test_a_failed_update_that_went_back_is_offered_again(deployed: Project) -> None:
    """The old release serves, so the state holds the old inputs and the next preview shows the same edit."""
    deployed.edit_stack("slots: 2", "slots: 2\n    options: {threads: 3}")
    deployed.script(chat_box_0={"fails": "unknown option", "old_serves": True})
    assert "unknown option" in deployed.up(expect=1)
    assert "threads" not in deployed.resources()["chat-box-0"]["inputs"]["args"]
    steps = deployed.planned()
    assert steps["chat-box-0"]["detailedDiff"] == {"args.threads": {"kind": "add", "inputDiff": True}}
    deployed.script()
    deployed.up()
    assert deployed.resources()["chat-box-0"]["inputs"]["args"]["threads"] == "3"


def test_drift_is_shown_and_healed(deployed: Project) -> None:
    """A plain preview looks at the machine first; a plain up puts it right."""
    machine = deployed.machine / "machine.json"
    machine.write_text(machine.read_text().replace('"running": true', '"running": false'))
    assert "running" in deployed.preview("--diff")
    deployed.up()
    assert deployed.parts()["chat-box-0"]["inputs"]["running"] is True


def test_a_canary_that_fails_leaves_the_other_replica_as_it_is(deployed: Project) -> None:
    """Whichever came first. The other one says whom it waited for and why it was left alone; its state is the old."""
    deployed.edit_stack("slots: 2", "slots: 2\n    options: {threads: 3}")
    broken = {"fails": "unknown option", "old_serves": True, "takes_s": 5}
    deployed.script(chat_box_0=broken, chat_box_1=broken)
    output = deployed.up(expect=1)
    assert output.count("unknown option") == 1
    assert re.search(r"waiting for chat-box-\d, the canary", output)
    assert re.search(
        r"chat-box-\d was not exchanged, because chat-box-\d, the canary, failed; nothing was changed on it", output
    )
    deployed.script()
    deployed.up()
    assert [deployed.parts()[f"chat-box-{index}"]["inputs"]["args"]["threads"] for index in (0, 1)] == ["3", "3"]


ALTERED = {"drift": {"weights": "altered on the machine"}}


def test_drift_that_a_refresh_has_stored_is_shown_and_healed_all_the_same(deployed: Project) -> None:
    """`pulumi refresh` writes what it saw into the state. Previews go on showing it, and `up` puts it right."""
    deployed.script(chat_weights_box=ALTERED)
    shown = deployed.planned()["chat-weights-box"]["detailedDiff"]
    for _ in range(2):
        deployed.run("refresh", "--yes", "--skip-preview")
        assert deployed.planned()["chat-weights-box"]["detailedDiff"] == shown
    deployed.forget_calls()
    deployed.up()
    assert "chat-weights-box" in [call["part"] for call in deployed.calls() if call["verb"] == "converge"]
    deployed.script()
    assert "10 unchanged" in deployed.up()


def test_drift_that_went_away_by_itself_is_forgotten(deployed: Project) -> None:
    """Somebody mended it by hand after the refresh that saw it."""
    deployed.script(chat_weights_box=ALTERED)
    deployed.run("refresh", "--yes", "--skip-preview")
    deployed.script()
    assert "10 unchanged" in deployed.up()


def test_a_part_that_is_gone_is_brought_back(deployed: Project) -> None:
    machine = json.loads((deployed.machine / "machine.json").read_text())
    del machine["parts"]["chat-box-0"]
    (deployed.machine / "machine.json").write_text(json.dumps(machine))
    deployed.up()
    assert "chat-box-0" in deployed.parts()


def test_a_machine_that_does_not_answer_keeps_its_parts(deployed: Project) -> None:
    """They are unhealthy, never deleted, and heal when the machine is back."""
    deployed.script(chat_box_0={"unreachable": True})
    assert "box does not answer" in deployed.run("refresh", "--yes", "--skip-preview")
    assert deployed.resources()["chat-box-0"]["initErrors"] == ["box does not answer"]
    deployed.script()
    deployed.up()
    assert "initErrors" not in deployed.resources()["chat-box-0"]


def test_an_endpoint_that_fails_its_proof_is_unhealthy_with_the_reason(deployed: Project) -> None:
    deployed.script(endpoint={"sick": "401 for a key that should work"})
    assert "401 for a key that should work" in deployed.run("refresh", "--yes", "--skip-preview")
    assert "endpoint" in deployed.resources()


def test_another_machine_behind_the_address_is_refused(deployed: Project) -> None:
    """By refresh too, which keeps what it knows, so that all is well as soon as the right one answers."""
    right = (deployed.machine / "machine.json").read_text()
    (deployed.machine / "machine.json").write_text(json.dumps({"id": "m-2", "parts": {}}))
    deployed.forget_calls()
    assert "m-2 answers, but box is on m-1" in deployed.up(expect=1)
    assert deployed.parts() == {}
    assert "m-2 answers, but box is on m-1" in deployed.run("refresh", "--yes", "--skip-preview")
    (deployed.machine / "machine.json").write_text(right)
    deployed.up()
    assert not any("initErrors" in resource for resource in deployed.resources().values())


def test_a_change_through_another_door_is_not_overwritten(deployed: Project) -> None:
    """With the look at the machine switched off, the state is older than the machine; the generation tells."""
    machine = json.loads((deployed.machine / "machine.json").read_text())
    machine["parts"]["chat-box-0"]["generation"] = 7
    (deployed.machine / "machine.json").write_text(json.dumps(machine))
    deployed.edit_stack("slots: 2", "slots: 2\n    options: {threads: 3}")
    assert "changed by ada@desk at 12:00 through rollout; run again" in deployed.up("--refresh=false", expect=1)
    assert "threads" not in deployed.parts()["chat-box-0"]["inputs"]["args"]
    deployed.up()
    assert deployed.parts()["chat-box-0"]["inputs"]["args"]["threads"] == "3"


@pytest.mark.parametrize("verb", ["destroy", "refresh"])
def test_a_machine_that_is_lost_for_ever_is_let_go_of(
    deployed: Project, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    """Nothing can be removed from it, which stops a destroy with the way out; that way leaves an empty state.

    `enginehouse forget` is the refresh.
    """
    deployed.script(**{name.replace("-", "_"): {"unreachable": True} for name in deployed.parts()})
    assert "ENGINEHOUSE_FORGET=box" in deployed.run("destroy", "--yes", "--skip-preview", expect=1)
    monkeypatch.setenv("ENGINEHOUSE_FORGET", "box")
    deployed.run(verb, "--yes", "--skip-preview")
    assert deployed.resources() == {}
