"""`enginehouse doctor` on machines made of small scripts."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from enginehouse.errors import ExitCode
from enginehouse.verbs import doctor
from tests.cli.conftest import Told
from tests.cli.harness import DEMO, workplace
from tests.ports import free_port

Call = Callable[..., Told]

PROGRAMS = {
    "pulumi": "echo v3.259.0",
    "pulumi-language-python": "exit 9",
    "haproxy": "echo 'HAProxy version 2.8.25'; echo 'Built with Lua version : Lua 5.4.6'",
    "supervisord": "echo 4.3.0",
    "curl": "echo 'curl 7.88.1 (x86_64-pc-linux-gnu)'",
    "flock": "echo 'flock from util-linux 2.38.1'",
    "llama-server": "echo 'version: 11434 (abcdef0)' >&2",
}


@pytest.fixture
def machine(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts programs into the cache's `bin`, which is looked at first; those given as None are nowhere."""

    def make(**other: str | None) -> None:
        programs = folder / "cache" / "bin"
        programs.mkdir(parents=True)
        for name, script in {**PROGRAMS, **{name.replace("_", "-"): said for name, said in other.items()}}.items():
            if script is not None:
                (programs / name).write_text(f"#!/bin/sh\n{script}\n")
                (programs / name).chmod(0o755)
        monkeypatch.setattr(doctor, "script_environment", lambda _: {"PATH": str(programs)})

    return make


def findings(call: Call, *words: str) -> dict[str, dict[str, Any]]:
    return {
        finding["name"]: finding for finding in json.loads(call("doctor", "--format", "json", *words)[1])["findings"]
    }


def test_a_machine_that_has_everything(machine: Callable[..., None], call: Call) -> None:
    machine()
    code, out, err = call("doctor")
    assert (code, err) == (ExitCode.OK, "")
    assert "everything that is needed is here" in out
    found = findings(call)
    assert {name: found[name]["version"] for name in ("pulumi", "haproxy", "supervisord", "curl", "flock")} == {
        "pulumi": "3.259.0",
        "haproxy": "2.8.25",
        "supervisord": "4.3.0",
        "curl": "7.88.1",
        "flock": "2.38.1",
    }
    assert found["llama-server"]["version"] == "b11434"


@pytest.mark.parametrize(
    ("other", "name", "health"),
    [
        ({"haproxy": "echo HAProxy version 2.8.25"}, "haproxy", "wrong"),
        ({"haproxy": "echo HAProxy version 2.4.1; echo Built with Lua"}, "haproxy", "too old"),
        ({"llama_server": "echo 'version: 4000 (abc)'"}, "llama-server", "wrong"),
        ({"pulumi": "echo v3.90.0"}, "pulumi", "too old"),
        ({"curl": None}, "curl", "missing"),
        ({"pulumi_language_python": None}, "pulumi-language-python", "missing"),
    ],
)
def test_what_is_not_right_is_named_with_a_remedy(
    machine: Callable[..., None], call: Call, other: dict[str, str | None], name: str, health: str
) -> None:
    machine(**other)
    code, out, _ = call("doctor")
    found = findings(call)[name]
    assert (code, found["health"]) == (ExitCode.DIFFERS, health)
    assert f"{name}: {health}; needed: {found['needed']}\n  {found['remedy']}" in out


def test_what_builds_a_program_is_looked_at_only_if_it_is_missing(machine: Callable[..., None], call: Call) -> None:
    machine(pulumi=None, llama_server=None)
    assert {"go", "cmake", "g++"} <= findings(call).keys()


def test_nothing_is_built_on_a_machine_that_has_everything(machine: Callable[..., None], call: Call) -> None:
    machine()
    assert not {"go", "cmake", "g++"} & findings(call).keys()


def test_a_missing_package_is_named(machine: Callable[..., None], call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    machine()
    monkeypatch.setattr(doctor, "PACKAGES", ("rich", "no-such-package"))
    found = findings(call)["python packages"]
    assert (found["health"], found["version"], found["needed"]) == ("missing", "1 of 2", "no-such-package")


def test_a_full_disk_is_wrong(machine: Callable[..., None], call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    machine()
    monkeypatch.setattr(doctor, "FREE_GIB", 10**9)
    assert findings(call)["cache"]["health"] == "wrong"


def test_the_machines_of_a_stack_are_looked_at(machine: Callable[..., None], call: Call, folder: Path) -> None:
    """A port that something else has is named with whose it is, and weights that are missing on this side are told."""
    machine()
    port = free_port()
    workplace(folder, demo=DEMO.replace("8123", str(port)))
    (folder / "stacks" / "tiny.gguf").write_bytes(b"tiny")
    found = findings(call, "demo")
    assert {f"{what} on box" for what in ("architecture", "clock", "memory", "disk", f"port {port}")} <= found.keys()
    assert (found[f"port {port} on box"]["health"], found[f"port {port} on box"]["where"]) == ("ok", "demo")
    (folder / "stacks" / "tiny.gguf").unlink()
    with socket.create_server(("127.0.0.1", port)):
        found = findings(call, "demo")
    assert found[f"port {port} on box"]["health"] == found["file on box"]["health"] == "wrong"
    assert f"(process {os.getpid()}" in found[f"port {port} on box"]["version"]


def test_a_wrong_stack_is_said(machine: Callable[..., None], call: Call) -> None:
    machine()
    assert call("doctor", "wrong")[0] == ExitCode.INVALID
