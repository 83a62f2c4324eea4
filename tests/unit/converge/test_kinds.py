"""Decisions of single kinds that need no running machine."""

from __future__ import annotations

import re
import shlex
import subprocess
from dataclasses import replace
from typing import Any

import pytest

from enginehouse.converge import endpoint, host, unit, weights
from enginehouse.converge.facts import Facts, Tool
from enginehouse.converge.manifest import Change, Manifest
from enginehouse.converge.places import Places
from enginehouse.converge.programs import choose_tool, start_script, words
from enginehouse.converge.steps import Placed, Prove, Sh, Steps, Upload, WriteManifest
from enginehouse.errors import ConvergeFailed
from enginehouse.planner.parts import Connection, ConnectionKind, HostPart, Part, Ssh
from tests.simulated.plans import ORDER, PLANS

CHANGE = Change(run="r", who="ada@desk", door="pulumi", at="2026-11-24T12:00:00+00:00")


def machine(**more: Any) -> Facts:
    return Facts(state="/s", machine="m", memory_mib=1000, disk_mib=500, **more)


def remembered(part: Part, **more: Any) -> Manifest:
    return Manifest(part=part, generation=1, machine="m", change=CHANGE, **more)


@pytest.mark.parametrize(
    ("args", "line"),
    [
        ({"ctx-size": "4096", "metrics": True, "jinja": False}, ["x", "--ctx-size", "4096", "--metrics"]),
        ({"lora": ("a.gguf", "b.gguf")}, ["x", "--lora", "a.gguf", "--lora", "b.gguf"]),
        ({}, ["x"]),
    ],
)
def test_arguments_become_words(args: dict[str, Any], line: list[str]) -> None:
    """True is a bare flag, a tuple repeats it."""
    assert list(words("x", args)) == line


@pytest.mark.parametrize(
    "value", ["plain", "two words", "it's", '"quoted"', "a;b ;c", "$(id)", "per%cent", "line\nend", ""]
)
def test_a_start_script_hands_on_any_value(value: str) -> None:
    """Words and variables arrive as they are, whatever the shell or the supervisor's file would make of them."""
    script = start_script("/f", "demo/x/a", "hello", ["printf", "%s|%s", value, "end"], {"VALUE": value})
    said = subprocess.run(["sh"], input=script.content.encode(), capture_output=True, check=True).stdout.decode()
    assert re.fullmatch(r"hello, process \d+", said.partition("\n")[0])
    assert said.partition("\n")[2] == f"{value}|end"
    assert f"export VALUE={shlex.quote(value)}" in script.content


def test_a_file_with_a_secret_does_not_show_it() -> None:
    """A step may be printed."""
    assert "hush" not in repr(Placed(path="/x", content="hush", mode=0o600))


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("HAProxy version 2.6.12-1+deb12u4 2026/10/17", "2.6.12"),
        ("curl 7.88.1 (x86_64)", "7.88.1"),
        ("4.3.0\n", "4.3.0"),
        ("flock from util-linux 2.38.1", "2.38.1"),
        ("none", ""),
    ],
)
def test_a_version_is_found_in_what_programs_say(text: str, version: str) -> None:
    """The first dotted number."""
    assert host.version_of(text) == version


@pytest.mark.parametrize(
    ("found", "lowest", "enough"), [("2.10", "2.9", True), ("2.6", "2.6.1", False), ("", "1", False)]
)
def test_versions_compare_by_numbers(found: str, lowest: str, enough: bool) -> None:
    """Not by letters."""
    assert host.is_at_least(found, lowest) is enough


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ({"user": "ops\n"}, "`become: sudo` in the stack file would let Enginehouse install them"),
        ({"user": "root\n", "os": "Fedora 40\n"}, "this is Fedora 40, so do it by hand"),
        ({"user": "root\n", "apt": "yes\n"}, None),
    ],
)
def test_it_is_said_why_nothing_can_be_installed(texts: dict[str, str], said: str | None) -> None:
    """Behind the names of all that is missing; where it can be, that is the first step, and the only one."""
    connection = Connection(kind=ConnectionKind.SSH, ssh=Ssh(address="box"))
    part = HostPart(name="box", stack="demo", host="box", connection=connection, tools={"haproxy": "2.6"})
    if said is None:
        (step,) = host.steps(part, machine(texts=texts), {}).all()
        assert step.title == "installing haproxy from the distribution's packages"
        return
    with pytest.raises(ConvergeFailed) as failure:
        host.steps(part, machine(texts=texts), {})
    missing, hindrance = failure.value.reasons
    assert missing == "haproxy (at least 2.6) is not on the PATH; get it from your system's package haproxy"
    assert hindrance.endswith(said)


@pytest.mark.parametrize(("texts", "finishes"), [({}, False), ({"installing": "haproxy.service\n"}, True)])
def test_a_destroy_finishes_an_installation_that_was_cut_off(texts: dict[str, str], finishes: bool) -> None:
    """Nobody may come any more who needs it, and what it masked would stay so."""
    titles = [step.title for step in host.leave(PLANS[1024].hosts[0], machine(texts=texts))]
    assert ("finishing an installation of packages" in titles) is finishes


@pytest.mark.parametrize(
    ("state", "writes"),
    [
        ("/var/lib/enginehouse", None),
        ("/usrlocal/x", None),
        ("/usr/local/a state", "/usr/local/a state"),
        ("/etc/x", "/etc/x"),
    ],
)
def test_a_unit_writes_where_its_state_folder_is(state: str, writes: str | None) -> None:
    """Also where systemd keeps it from writing else; other units are as they ever were."""
    part, facts = PLANS[1024].hosts[0], replace(machine(texts={"systemd": "yes\n"}), state=state)
    (step,) = unit.install(part, Places.of(part, state), facts)
    lines = [line for line in step.script.splitlines() if line.startswith("ReadWritePaths=")]
    assert lines == ([f'ReadWritePaths="{writes}"'] if writes else [])


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ({"user": "root\n"}, "systemd does not run the machine; `runtime: supervisor` does without"),
        (
            {"user": "ops\n", "booted": "yes\n"},
            "only root may tell systemd to, and this is ops; `become: sudo` in the stack file helps, and "
            "`runtime: supervisor` does without",
        ),
        (
            {"user": "root\n", "booted": "yes\n", "systemd": "yes\n"},
            "systemd has no message bus; get it from your system's package dbus",
        ),
    ],
)
def test_it_is_said_why_no_engine_can_have_a_unit(texts: dict[str, str], said: str) -> None:
    """Before it is said what is missing, and in one sentence."""
    connection = Connection(kind=ConnectionKind.SSH, ssh=Ssh(address="box"))
    part = HostPart(name="box", stack="demo", host="box", connection=connection, tools={"systemd-run": "241"})
    with pytest.raises(ConvergeFailed, match="no engine can have a unit of its own here") as failure:
        host.steps(part, machine(texts=texts), {})
    assert failure.value.reasons == (said,)


def test_the_program_of_before_is_kept_while_it_is_there() -> None:
    """A newer copy on the PATH does not restart an engine; one of the wrong version is passed over."""
    kept, found = (
        Tool(name="x", path=path, stat="1", version=version) for path, version in (("/old", "1"), ("/new", "2"))
    )
    facts = machine(tools={"x": found}, kept_tools={"x": kept})

    def chosen(version: str) -> str:
        return choose_tool(facts, "x", host="box", wanted=version, fits=lambda tool: tool.version == version).path

    assert (chosen("1"), chosen("2")) == ("/old", "/new")
    with pytest.raises(ConvergeFailed) as failure:
        chosen("3")
    assert failure.value.reasons == ("wanted: 3", "found: /new, which says '2'")


WEIGHTS = PLANS[1024].weights[0]
VERIFIED = {"stat": "9 9 9\n", "verified": f"{WEIGHTS.sha256} 9 9 9\n"}


@pytest.mark.parametrize(
    ("source", "kind", "text"),
    [
        ("upload://m.gguf", Upload, "m.gguf"),
        ("host:///models/m.gguf", Sh, "check_in_place"),
        ("https://x.example/m.gguf?a=b&c=d", Sh, "bring 'https://x.example/m.gguf?a=b&c=d'"),
    ],
)
def test_each_source_has_its_way(source: str, kind: type, text: str) -> None:
    """Sent, checked where it is, or fetched by the machine."""
    (step,) = weights.steps(replace(WEIGHTS, source=source), machine(), {}).stage
    assert isinstance(step, kind)
    assert text in (step.source if isinstance(step, Upload) else getattr(step, "script", ""))


def test_verified_weights_need_nothing() -> None:
    """With the reason."""
    facts = machine(manifest=remembered(WEIGHTS), texts=VERIFIED)
    assert weights.steps(WEIGHTS, facts, {}) == Steps(
        reason="the weights are there and unchanged since they were verified"
    )


@pytest.mark.parametrize("stat", ["9 9 8", "8 9 9", ""])
def test_weights_that_look_otherwise_are_not_verified(stat: str) -> None:
    """Another inode, another size, or nothing."""
    assert not weights.is_verified(WEIGHTS.sha256, machine(texts={**VERIFIED, "stat": stat}), "stat")


def test_a_change_behind_the_endpoint_asks_for_a_new_proof() -> None:
    """The generations that were proved are remembered."""
    part, behind = PLANS[1024].endpoints[0], PLANS[1024].gateways[0]
    known = remembered(part, seen={behind.name: 1})
    rest = machine(manifest=known, others={behind.name: remembered(behind)})
    assert endpoint.steps(part, rest, {}).all() == ()
    moved = machine(manifest=known, others={behind.name: replace(remembered(behind), generation=2)})
    assert isinstance(endpoint.steps(part, moved, {}).all()[0], Prove)


def test_a_model_without_a_working_replica_is_not_asked() -> None:
    """Drained by order: no answer can come; the other checks stay, and what was proved before stays proved."""
    part, replica = PLANS[1024].endpoints[0], PLANS[1024].replicas[0]
    others = {replica.name: remembered(replica)}
    proved = remembered(replace(part, public=not part.public), seen={replica.name: 1})
    drained = machine(manifest=proved, others=others, drained_others={replica.name: ORDER})
    proof, record = endpoint.steps(part, drained, {}).all()
    assert isinstance(proof, Prove)
    assert isinstance(record, WriteManifest)
    assert (proof.part.models, part.models, record.seen) == ((), ("tiny",), {replica.name: 1})
    again = machine(manifest=remembered(part, seen=record.seen), others=others)
    assert endpoint.steps(part, again, {}).all() == ()
    moved = replace(again, others={replica.name: replace(remembered(replica), generation=2)})
    assert endpoint.steps(part, moved, {}).all() != ()
    assert endpoint.steps(part, replace(moved, drained_others={replica.name: ORDER}), {}).all() == ()
