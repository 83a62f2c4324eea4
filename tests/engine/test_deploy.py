"""`pulumi up`, `preview`, `refresh` and `destroy` with the real CLI, as a person meets them."""

from __future__ import annotations

import pytest

from tests.engine.project import POISON, Project

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]

PARTS = ["box", "chat-weights-box", "chat-box-0", "chat-box-1", "gateway-box", "endpoint"]


def test_up_brings_every_part_after_those_it_needs(project: Project) -> None:
    """Host, weights, replicas, gateway, endpoint; the stack's outputs are what a client needs."""
    output = project.up()
    changed = [call["part"] for call in project.calls() if call["verb"] == "changed"]
    assert sorted(changed) == sorted(PARTS)
    assert [changed[0], changed[1], *sorted(changed[2:4]), *changed[4:]] == PARTS
    assert "[1/2] staging chat-box-0" in output
    assert project.outputs() == {
        "url": "http://127.0.0.1:18080",
        "models": ["tiny"],
        "key_names": ["demo"],
        "hosts": ["box"],
    }


def test_a_second_up_changes_nothing(deployed: Project) -> None:
    """Each part is looked at once and converged not at all."""
    assert "10 unchanged" in deployed.up()
    assert sorted((call["verb"], call["part"]) for call in deployed.calls()) == sorted(("observe", p) for p in PARTS)


def test_ids_hold_stack_part_and_machine(deployed: Project) -> None:
    assert {name: state["id"] for name, state in deployed.resources().items()} == {p: f"box/{p}@m-1" for p in PARTS}


def test_the_state_holds_no_file_contents_in_outputs(deployed: Project) -> None:
    gateway = deployed.resources()["gateway-box"]
    assert gateway["inputs"]["rendered"], "the contents travel as an input"
    assert set(gateway["outputs"]) == {"generation", "machine_id"}


def test_an_edit_is_previewed_as_what_was_edited(deployed: Project) -> None:
    """The option, its old and its new value; not the files that follow from it."""
    deployed.edit_stack("slots: 2", "slots: 2\n    options: {threads: 3}")
    text = deployed.preview("--diff")
    assert '+ threads: "3"' in text
    assert "chat-box-0: restart: as scripted" in text
    assert "chat-box-0: restart: as scripted" in deployed.preview(), "also where properties are not shown"
    assert "rendered" not in text
    steps = deployed.planned()
    assert steps["chat-box-0"]["op"] == "update"
    assert steps["chat-box-0"]["detailedDiff"] == {"args.threads": {"kind": "add", "inputDiff": True}}
    assert "chat-weights-box" not in steps


def test_a_changed_option_shows_its_old_and_new_value(project: Project) -> None:
    project.edit_stack("slots: 2", "slots: 2\n    options: {threads: 3}")
    project.up()
    project.edit_stack("threads: 3", "threads: 5")
    text = project.preview("--diff")
    assert '~ threads: "3" => "5"' in text
    steps = project.planned()
    assert steps["chat-box-1"]["detailedDiff"] == {"args.threads": {"kind": "update", "inputDiff": True}}


def test_a_change_of_any_part_behind_it_proves_the_endpoint_again(deployed: Project) -> None:
    deployed.edit_stack("slots: 2", "slots: 2\n    options: {threads: 3}")
    deployed.forget_calls()
    deployed.up()
    changed = [call["part"] for call in deployed.calls() if call["verb"] == "converge"]
    assert changed[-1] == "endpoint"
    assert deployed.resources()["endpoint"]["inputs"]["generations"] == {
        "chat-box-0": 2,
        "chat-box-1": 2,
        "gateway-box": 1,
    }


def test_destroy_takes_parts_away_in_the_opposite_order(deployed: Project) -> None:
    """What stays on purpose is said."""
    output = deployed.run("destroy", "--yes", "--skip-preview")
    gone = [call["part"] for call in deployed.calls() if call["verb"] == "destroy"]
    assert [*gone[:2], *sorted(gone[2:4]), *gone[4:]] == [*PARTS[:3:-1], *PARTS[2:4], *PARTS[1::-1]]
    assert deployed.parts() == {}
    assert "the weights of chat-weights-box stay" in output


def test_a_rename_replaces_nothing(deployed: Project) -> None:
    deployed.edit_stack("  chat:\n", "  talk:\n    renamed_from: chat\n")
    assert {step["op"] for step in deployed.planned().values()} <= {"same", "update"}
    deployed.forget_calls()
    output = deployed.up()
    assert "replace" not in output
    assert not [call for call in deployed.calls() if call["verb"] == "destroy"]
    assert set(deployed.parts()) == {"box", "talk-weights-box", "talk-box-0", "talk-box-1", "gateway-box", "endpoint"}
    assert "10 unchanged" in deployed.up()


def test_a_rename_can_be_forgotten_once_it_has_happened(deployed: Project) -> None:
    deployed.edit_stack("  chat:\n", "  talk:\n    renamed_from: chat\n")
    deployed.up()
    deployed.edit_stack("    renamed_from: chat\n", "")
    assert "10 unchanged" in deployed.up()


def test_a_name_without_a_history_is_another_deployment(deployed: Project) -> None:
    """The twin of the rename: without `renamed_from` the old parts go and new ones come."""
    deployed.edit_stack("  chat:\n", "  talk:\n")
    steps = deployed.planned()
    assert (steps["chat-box-0"]["op"], steps["talk-box-0"]["op"]) == ("delete", "create")


def test_hosts_with_endpoints_of_their_own_come_and_go_alone(deployed: Project) -> None:
    """One endpoint becomes one on each host: only the proof is another. A host more or less is that host's parts."""
    deployed.edit_stack("  port: 18080", "  scope: each_host\n  port: 18080")
    assert _ops(deployed) == {"endpoint": "delete", "endpoint-box": "create"}
    deployed.edit_stack("local: {}", "ssh: {hosts: [box, a.example]}")
    deployed.up()
    assert deployed.outputs() == {
        "urls": {"box": "http://127.0.0.1:18080", "a.example": "http://127.0.0.1:18080"},
        "models": ["tiny"],
        "key_names": ["demo"],
        "hosts": ["box", "a.example"],
    }
    deployed.edit_stack("[box, a.example]", '["a.example", "b[1:2]"]')
    kinds = ("{}", "chat-weights-{}", "chat-{}-0", "chat-{}-1", "gateway-{}", "endpoint-{}")
    assert _ops(deployed) == {
        **{kind.format("box"): "delete" for kind in kinds},
        **{kind.format(host): "create" for kind in kinds for host in ("b1", "b2")},
    }


def _ops(project: Project) -> dict[str, str]:
    """What a preview would do, resource by resource, except nothing; a component and its resource have one name."""
    return {name: step["op"] for name, step in project.planned().items() if step["op"] != "same"}


def test_no_secret_is_in_state_or_output(project: Project) -> None:
    """Poison in the configuration shows up nowhere: previews, update, state, stack export, stack output."""
    texts = [project.preview(), project.preview("--diff"), project.preview("--json"), project.up()]
    project.run("config", "set", "--secret", "key-demo", f"{POISON}-changed")
    changed = project.preview("--diff")
    texts += [changed, project.up(), project.run("stack", "export"), project.run("stack", "output", "--json")]
    texts += [file.read_text(errors="replace") for file in project.state.rglob("*") if file.is_file()]
    assert not [text for text in texts if POISON in text]
    assert "key-demo" in changed, "a diff names the secret"


def test_the_poison_would_be_found(deployed: Project) -> None:
    """Twin: asking for secrets in plain text does show the poison, so the test above looks in the right places."""
    assert POISON in deployed.run("stack", "export", "--show-secrets")


@pytest.mark.parametrize("value", ["", "two words", "caf\u00e9", "a\nb"])
def test_a_key_that_no_client_could_send_is_refused_before_anything(project: Project, value: str) -> None:
    """By name, never by value, and nothing is touched."""
    project.run("config", "set", "--secret", "key-demo", value)
    output = project.up(expect=1)
    assert "no client could send key-demo" in output
    assert not value or value not in output
    assert project.calls() == []


def test_all_missing_secrets_are_named_at_once(project: Project) -> None:
    project.edit_stack("secrets: [key-demo]", "secrets: [key-demo, key-new, key-newer]")
    output = project.preview(expect=1)
    assert "2 secrets have no value" in output
    assert "pulumi config set --stack box --secret key-new\n" in output
    assert "pulumi config set --stack box --secret key-newer\n" in output
    assert "Traceback" not in output


def test_a_wrong_spec_stops_the_preview_with_every_diagnostic(project: Project) -> None:
    """The text of `enginehouse validate`: place, line, mark, hint; no traceback, and no machine is asked anything."""
    project.edit_stack("slots: 2", "slotz: 2")
    project.edit_stack("port: 18080", "port: 180800")
    output = project.preview(expect=1)
    assert "stacks/box.yaml:16:5: " in output
    assert 'did you mean "slots"?' in output
    assert "         |     ^~~~~" in output
    assert "[unknown-key]" in output
    assert 'stacks/box.yaml:19:9: "port" must be' in output
    assert "Traceback" not in output
    assert output.partition("Diagnostics:")[2].count("error:") == 1, "nothing about exit codes or unhandled errors"
    assert project.calls() == []


def test_a_stack_without_a_file_says_which_there_are(project: Project) -> None:
    (project.root / "stacks" / "box.yaml").rename(project.root / "stacks" / "boxes.yaml")
    output = project.preview(expect=1)
    assert "boxes" in output
    assert "Traceback" not in output
