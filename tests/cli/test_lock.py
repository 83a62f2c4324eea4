"""`enginehouse lock`: what it writes, what it says, and when it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from enginehouse.connectors import Connectors
from enginehouse.connectors.base import Connector
from enginehouse.errors import ExitCode, Unreachable
from enginehouse.planner.parts import Connection
from tests.cli.conftest import Told
from tests.cli.harness import DEMO, workplace
from tests.converge.conftest import running, shared  # noqa: F401  (fixtures)
from tests.converge.harness import World

Call = Callable[..., Told]

TWO = DEMO.replace(
    "endpoint:", "  code:\n{}endpoint:".format(DEMO.split("  chat:\n")[1].split("endpoint:")[0])
).replace("served_name: tiny", "served_name: code", 1)
"""The demo stack with a second deployment, `code`, behind the first."""


def locked(folder: Path) -> str:
    return (folder / "stacks" / "demo.lock.yaml").read_text()


def test_the_file_has_every_port_and_the_answer_says_what_was_pinned(folder: Path, call: Call) -> None:
    code, out, err = call("lock", "demo")
    assert (code, err) == (ExitCode.OK, "demo: asking box which ports are in use\n")
    assert out == (
        "stacks/demo.lock.yaml: written:\ngateway     pinned  metrics 29600\nchat-box-0  pinned  a 29601, b 29602\n"
    )
    assert locked(folder).splitlines()[1:] == [
        "enginehouse: 1",
        "gateway: {metrics_port: 29600}",
        "replicas:",
        "  chat-box-0: {ports: {a: 29601, b: 29602}}",
    ]


def test_a_second_time_there_is_nothing_to_change(folder: Path, call: Call) -> None:
    """Not even a new file; both doors of the check agree."""
    call("lock", "demo")
    before = (folder / "stacks" / "demo.lock.yaml").stat().st_ino
    for words in ((), ("--offline",), ("--check",), ("--check", "--offline")):
        assert call("lock", "demo", *words)[:2] == (ExitCode.OK, "stacks/demo.lock.yaml: nothing to change\n")
    assert (folder / "stacks" / "demo.lock.yaml").stat().st_ino == before


def test_check_writes_nothing_and_has_its_own_code(folder: Path, call: Call) -> None:
    code, out, _ = call("lock", "demo", "--check", "--offline")
    assert code == ExitCode.DIFFERS
    assert out.startswith("stacks/demo.lock.yaml: would be written:\n")
    assert not (folder / "stacks" / "demo.lock.yaml").exists()


def test_an_edit_changes_only_what_it_must(folder: Path, call: Call) -> None:
    """New replicas are pinned, gone ones taken out, the rest is not even mentioned."""
    call("lock", "demo", "--offline")
    workplace(folder, demo=TWO)
    assert call("lock", "demo", "--offline")[1] == (
        "stacks/demo.lock.yaml: written:\ncode-box-0  pinned  a 29603, b 29604\n"
    )
    workplace(folder, demo=DEMO)
    assert call("lock", "demo", "--offline")[1] == (
        "stacks/demo.lock.yaml: written:\ncode-box-0  gone  a 29603, b 29604\n"
    )


def test_words_that_a_person_added_are_no_change_of_ports(folder: Path, call: Call) -> None:
    call("lock", "demo", "--offline")
    wanted = locked(folder)
    (folder / "stacks" / "demo.lock.yaml").write_text(f"{wanted}# mine\n")
    assert call("lock", "demo", "--offline")[1] == "stacks/demo.lock.yaml: written, the same ports in other words\n"
    assert locked(folder) == wanted


def test_every_verb_obeys_the_file(folder: Path, call: Call) -> None:
    call("lock", "demo", "--offline")
    (folder / "stacks" / "demo.lock.yaml").write_text(locked(folder).replace("29602", "27777"))
    assert "b on 127.0.0.1:27777" in call("plan", "demo")[1]
    call("render", "demo", "--out", "out")
    assert "127.0.0.1:27777" in (folder / "out" / "box" / "gateway-box" / "haproxy.cfg").read_text()


@pytest.mark.parametrize("verb", ["plan", "status", "render", "lock", "doctor"])
def test_a_wrong_lock_file_stops_every_verb(folder: Path, call: Call, verb: str) -> None:
    """Before anything is asked or written; the file stays as it is."""
    (folder / "stacks" / "demo.lock.yaml").write_text("enginehouse: 1\nreplicas: [")
    more = ("--out", "out") if verb == "render" else ()
    code, out, err = call(verb, "demo", *more)
    assert (code, out) == (ExitCode.INVALID, "")
    assert err.startswith("stacks/demo.lock.yaml:2:")
    assert "[yaml-syntax]" in err
    assert locked(folder) == "enginehouse: 1\nreplicas: ["


def test_a_machine_that_does_not_answer_is_an_error_that_names_the_way_out(
    folder: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is written, and the reason is told."""

    def lost(host: str, connection: Connection) -> Connector:
        raise Unreachable(f"{host}: no route")

    monkeypatch.setattr(Connectors, "connect", lambda self, part, _: lost(part.host, part.connection))
    code, out, err = call("lock", "demo")
    assert (code, out) == (ExitCode.FAILED, "")
    assert "`--offline`" in err
    assert "box: no route" in err
    assert not (folder / "stacks" / "demo.lock.yaml").exists()
    assert call("lock", "demo", "--offline")[0] == ExitCode.OK


def test_a_link_stays_a_link(folder: Path, call: Call) -> None:
    """What it points to is replaced."""
    (folder / "kept.yaml").write_text("enginehouse: 1\n")
    (folder / "stacks" / "demo.lock.yaml").symlink_to("../kept.yaml")
    call("lock", "demo", "--offline")
    assert (folder / "stacks" / "demo.lock.yaml").is_symlink()
    assert (folder / "kept.yaml").read_text() == locked(folder)


def test_ports_in_use_come_before_those_of_the_file_and_of_the_plan(
    running: World,  # noqa: F811
    tmp_path: Path,
    call: Call,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A deployment was inserted in front, and the lock file is wrong about the one that runs: the machine is right."""
    used = running.replica().ports
    running.settings["front"] = {"ahead": {"context": 1024}}
    assert running.plan().replicas[1].ports != used
    monkeypatch.setenv("ENGINEHOUSE_STATE", str(running.state))
    name = running.stack
    workplace(tmp_path, **{name: running.yaml()})
    call("lock", name, "--offline")
    file = tmp_path / "stacks" / f"{name}.lock.yaml"
    assert f"chat-box-0: {{ports: {{a: {used['a']}, b: {used['b']}}}}}" not in file.read_text()
    code, out, _ = call("lock", name)
    assert code == ExitCode.OK
    assert f"chat-box-0: {{ports: {{a: {used['a']}, b: {used['b']}}}}}" in file.read_text()
    assert f"chat-box-0   changed  a {used['a']}, b {used['b']}" in out
    assert "in use" in out
