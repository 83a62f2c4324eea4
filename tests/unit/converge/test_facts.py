"""The probe's lines as facts, and the scripts that print them."""

from __future__ import annotations

import base64
import re
import subprocess
from collections.abc import Mapping

import pytest

from enginehouse.converge.facts import BadProbe, Facts, Listener, Stored, Tool, parse
from enginehouse.converge.probe import probe, questions
from enginehouse.converge.standing import to_json
from enginehouse.inventory.answers import values_of
from enginehouse.planner.parts import Part
from tests.simulated.plans import ORDER, PLANS

PARTS = PLANS[1024].parts()


def lines(values: Mapping[str, str]) -> str:
    known = {"state": "/s", "machine": "abc\n", "memory_mib": "1000\n"}
    text = "".join(f"\0{key}\t{value}" for key, value in {**known, **values}.items())
    return f"facts\t{base64.b64encode(text.encode()).decode()}\n"


def facts(**values: str) -> Facts:
    return parse(values_of(lines({key.replace("__", "."): value for key, value in values.items()})), "demo")


def test_what_is_absent_is_absent() -> None:
    """A bare machine has a state folder, memory and nothing else."""
    found = facts()
    assert (found.state, found.machine, found.memory_mib) == ("/s", "abc", 1000)
    assert (found.manifest, found.damaged, found.servers, found.disk_mib) == (None, None, None, None)
    assert (found.files, found.processes, found.tools) == ({}, (), {})


@pytest.mark.parametrize("text", ["facts", "facts\t%%%", "no tab here\n", "state\tYQ==", "facts\tYQ=="])
def test_what_is_no_probe_is_refused(text: str) -> None:
    """A login banner, a cut line, an answer without a state folder."""
    with pytest.raises(BadProbe):
        parse(values_of(text), "demo")


def test_files_have_digest_and_mode() -> None:
    """Names may hold blanks; a file that vanished between the two looks is left out."""
    found = facts(files="aa  /s/demo/x y\nbb  /s/demo/gone\nmode 600 /s/demo/x y\n")
    assert found.files == {"/s/demo/x y": Stored(sha256="aa", mode=0o600)}


def test_processes_are_supervised_or_orphans() -> None:
    """A program counts as running only under its living supervisor; its own children are no orphans."""
    table = (
        "10\t1\t99\tdemo/box/supervisor\t\n"
        "11\t10\t98\tdemo/chat-box-0/a\tr1\n"
        "12\t11\t97\tdemo/chat-box-0/a\tr1\n"
        "13\t1\t5\tdemo/chat-box-0/b\tr0\n"
    )
    found = facts(processes=table)
    running = found.running("chat-box-0/a")
    assert running is not None
    assert (running.pid, running.release, running.age_s) == (11, "r1", 98)
    assert found.running("chat-box-0/b") is None
    assert [process.pid for process in found.orphans()] == [13]


@pytest.mark.parametrize("turn", [1, -1])
def test_a_child_that_the_supervisor_has_only_forked_is_not_taken_for_it(turn: int) -> None:
    """Until it becomes the program to be started it has the supervisor's mark, and may come first in the table."""
    table = ["10\t1\t99\tdemo/box/supervisor\t\n", "14\t10\t0\tdemo/box/supervisor\t\n"][::turn]
    found = facts(processes="".join((*table, "11\t10\t98\tdemo/chat-box-0/a\tr1\n")))
    assert found.supervisor == 10
    assert found.running("chat-box-0/a")
    assert found.orphans() == ()


@pytest.mark.parametrize(("script", "orphans"), [("11\t10\t98\tdemo/chat-box-0/a\tr1\n", []), ("", [20])])
def test_what_is_in_a_container_belongs_to_its_start_script(script: str, orphans: list[int]) -> None:
    """It is a child of Docker's. Without a supervised script, its first process is lost; it ends the rest."""
    table = f"10\t1\t99\tdemo/box/supervisor\t\n{script}"
    table += "20\t7\t97\tdemo/chat-box-0/a/container\tr1\n21\t20\t97\tdemo/chat-box-0/a/container\tr1\n"
    found = facts(processes=table)
    assert [process.pid for process in found.orphans()] == orphans
    assert [process.pid for process in found.processes if process.belongs_to("chat-box-0/a")][-2:] == [20, 21]


def test_without_a_supervisor_everything_is_an_orphan() -> None:
    """What kill -9 of the supervisor leaves."""
    found = facts(processes="11\t1\t98\tdemo/chat-box-0/a\tr1\n12\t11\t98\tdemo/chat-box-0/a\tr1\n")
    assert found.supervisor is None
    assert found.running("chat-box-0/a") is None
    assert [process.pid for process in found.orphans()] == [11]


def test_a_listener_of_another_user_has_no_name() -> None:
    """Its process can't be looked into."""
    found = facts(listeners="80\t\t\n81\t7\tnginx\n")
    assert [str(listener) for listener in found.listeners.values()] == [
        "a process of another user",
        "nginx (process 7)",
    ]
    assert found.listeners[81] == Listener(port=81, pid=7, command="nginx")


def test_health_of_silence_is_zero() -> None:
    """curl prints 000."""
    assert facts(health="http://127.0.0.1:20001/health 200\nhttp://127.0.0.1:20002/health 000\n").health == {
        20001: 200,
        20002: 0,
    }


def test_a_tool_survives_the_probes_cache() -> None:
    """What a manifest step writes is what the next probe reads."""
    tool = Tool(name="haproxy", path="/opt/x y/haproxy", stat="1 2 3", version="HAProxy version 2.8.25\n\twith tabs\n")
    assert facts(kept_tools=tool.line(), tool__haproxy=tool.line()).tools == {"haproxy": tool}
    assert facts(kept_tools=tool.line()).kept_tools == {"haproxy": tool}


def test_a_gateway_that_answers_something_else_has_no_servers() -> None:
    """Another program may have taken its metrics port."""
    assert facts(stats="<html>").servers is None


def test_a_damaged_manifest_is_recognised() -> None:
    """With the reason, never a traceback."""
    found = facts(manifest='{"format": 1')
    assert found.manifest is None
    assert found.damaged is not None
    assert found.damaged.reason.startswith("not JSON")


def test_standing_orders_are_told_apart() -> None:
    """The stack's, the part's own (also under its former name), and those of others."""
    order = to_json(ORDER)
    found = facts(frozen=order, drained=order, drained__chat_box_1=order)
    assert (found.frozen, found.drained, found.drained_others) == (ORDER, ORDER, {"chat_box_1": ORDER})
    assert facts(former_drained=order).drained == ORDER
    assert (facts().frozen, facts().drained, facts().drained_others) == (None, None, {})


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_every_probe_is_a_script_that_writes_nothing(part: Part) -> None:
    """sh accepts it, it redirects into nothing but /dev/null, and no command of it changes files."""
    script = probe(questions(part))
    subprocess.run(["sh", "-n"], input=script.encode(), check=True)
    commands = re.sub(r"#.*|'[^']*'", "", script)
    targets = set(re.findall(r"(?<![<=-])>+ ?(&?[^\s)|;&]+)", commands))
    assert targets <= {"/dev/null", "&1"}, targets
    assert not re.search(r"^\s*(rm|mv|mkdir|touch|chmod|ln|tee|install|dd|cp) ", script, re.MULTILINE)


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_no_probe_asks_the_supervisors_client(part: Part) -> None:
    """`supervisorctl` costs 0.3 s of processor time a call."""
    assert "supervisorctl" not in probe(questions(part))
