"""The plan: a pure function of the spec, with stable names, ports and digests."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from enginehouse.planner.codec import from_plain, kind_of, to_plain
from enginehouse.planner.digests import digest, release_id, restart_digest
from enginehouse.planner.parts import Connection, ConnectionKind, File, OnChange, Part, Plan, Ssh
from enginehouse.planner.plan import plan
from enginehouse.render.symbols import names
from enginehouse.spec import load_text
from enginehouse.spec.lock import NOTHING_LOCKED

STACK = """\
enginehouse: 1
machines: {box: {local: {}}}
deployments:
  chat:
    engine: llama-cpp
    version: "b11434"
    runs_on: box
    model:
      source: upload://m.gguf
      sha256: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
      served_name: tiny
    replicas_per_host: 2
    context_tokens: 2048
    slots: 2
    options: {threads: 1}
endpoint:
  runs_on: box
  port: 8080
  keys: [{name: demo, secrets: [key-demo]}]
"""


def planned(text: str = STACK, name: str = "demo") -> Plan:
    loaded = load_text(text, name=name, display=f"{name}.yaml")
    assert loaded.spec is not None, loaded.diagnostics
    return plan(loaded.spec, NOTHING_LOCKED)


def test_equal_specs_give_equal_plans() -> None:
    """plan = f(spec)."""
    assert planned() == planned()


def test_parts_come_after_those_they_need() -> None:
    """Host, weights, replicas, gateway, endpoint; names are identities."""
    assert [(kind_of(p), p.name) for p in planned().parts()] == [
        ("host", "box"),
        ("weights", "chat-weights-box"),
        ("replica", "chat-box-0"),
        ("replica", "chat-box-1"),
        ("gateway", "gateway-box"),
        ("endpoint", "endpoint"),
    ]


def test_every_port_is_used_once() -> None:
    """Sides of all replicas, metrics and endpoint never share a port."""
    result = planned()
    ports = [port for r in result.replicas for port in r.ports.values()]
    ports += [result.gateways[0].metrics_port, result.gateways[0].port]
    assert len(set(ports)) == len(ports) == 6


def test_the_endpoints_own_port_is_not_given_away() -> None:
    """An endpoint inside the stack's block of ports moves the others."""
    inside = planned().replicas[0].ports["a"]
    moved = planned(STACK.replace("port: 8080", f"port: {inside}"))
    assert inside not in [port for r in moved.replicas for port in r.ports.values()]


def test_context_is_per_request() -> None:
    """llama-server divides its context among its slots (facts: engines, llama.cpp, context arithmetic)."""
    assert planned().replicas[0].args["ctx-size"] == "4096"


def test_an_option_cannot_name_a_symbol() -> None:
    """A user's text is data, even if it looks like a secret's symbol."""
    text = STACK.replace("{threads: 1}", '{chat-template: "@{secret:key-demo}"}')
    value = planned(text).replicas[0].args["chat-template"]
    assert isinstance(value, str)
    assert names(value) == frozenset()


@pytest.mark.parametrize("part", planned().parts(), ids=lambda p: p.name)
def test_a_part_survives_json(part: object) -> None:
    """to_plain and from_plain are inverse, through JSON and through whole floats."""
    plain = json.loads(json.dumps(to_plain(part)), parse_int=float)
    assert from_plain(type(part), plain) == part


def test_digests_do_not_depend_on_key_order() -> None:
    """Only content counts."""
    assert digest({"a": 1, "b": {"c": 2, "d": 3}}) == digest({"b": {"d": 3, "c": 2}, "a": 1})


def test_a_file_that_needs_no_restart_begins_no_release() -> None:
    """A comment in a template never restarts a fleet; its twin, a file that needs one, does."""
    part = planned().replicas[0]
    quiet = replace(part, files=(File(path="note", content="x", on_change=OnChange.NONE),))
    loud = replace(part, files=(File(path="note", content="x", on_change=OnChange.RESTART),))
    assert restart_digest(quiet) == restart_digest(part) != restart_digest(loud)
    assert release_id(quiet) == release_id(part) != release_id(loud)


def test_the_plan_of_a_stack_is_as_recorded(pytestconfig: pytest.Config) -> None:
    """Golden: a changed plan is a changed promise to every running stack."""
    expected = Path(__file__).parents[2] / "golden" / "plans" / "demo.json"
    actual = json.dumps(to_plain(planned()), indent=2) + "\n"
    if pytestconfig.getoption("--update-golden"):
        expected.write_text(actual)
    assert actual == expected.read_text()


def test_a_machine_over_ssh_gives_its_parts_its_own_name() -> None:
    """The group's name is in no part; the way there is as it is written, and is in no digest."""
    way = "rack: {ssh: {user: ops, key_file: ~/.ssh/ops, hosts: {gpu-1: {address: 10.1.0.11}}}}"
    over = planned(STACK.replace("box: {local: {}}", way).replace("runs_on: box", "runs_on: rack"))
    assert [part.name for part in over.parts()] == [
        "gpu-1",
        "chat-weights-gpu-1",
        "chat-gpu-1-0",
        "chat-gpu-1-1",
        "gateway-gpu-1",
        "endpoint",
    ]
    assert {part.host for part in over.parts()} == {"gpu-1"}
    assert {part.connection for part in over.parts()} == {
        Connection(kind=ConnectionKind.SSH, ssh=Ssh(address="10.1.0.11", user="ops", key_file="~/.ssh/ops"))
    }
    assert over.hosts[0].tools.keys() - planned().hosts[0].tools.keys() == {"socat"}
    assert release_id(over.replicas[0]) == release_id(planned().replicas[0])
    assert all(from_plain(type(part), to_plain(part)) == part for part in over.parts())


def test_only_a_private_address_that_is_written_says_that_machines_reach_each_other() -> None:
    """An address alone does not. It is a part's own, so that another host changes no part of this one."""

    def weights(*more: str) -> set[Part]:
        hosts = ", ".join(
            ("gpu-1: {address: 10.1.0.11, private_address: 10.9.0.11}", "gpu-2: {address: 10.1.0.12}", *more)
        )
        text = STACK.replace("local: {}", f"ssh: {{hosts: {{{hosts}}}}}")
        return set(planned(text.replace("endpoint:", "endpoint:\n  scope: each_host")).weights)

    two, three = weights(), weights("gpu-3: {private_address: 10.9.0.13}")
    addresses = {part.host: part.connection.ssh and part.connection.ssh.private_address for part in two}
    assert addresses == {"gpu-1": "10.9.0.11", "gpu-2": None}
    assert {part.host for part in three - two} == {"gpu-3"}


def test_a_host_without_an_address_is_reached_by_its_name() -> None:
    """As `ssh gpu-1` would."""
    text = STACK.replace("box: {local: {}}", "box: {ssh: {hosts: {gpu-1: {}}}}")
    assert planned(text).gateways[0].connection.ssh == Ssh(address="gpu-1")
