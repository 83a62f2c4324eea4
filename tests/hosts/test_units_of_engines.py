"""An engine in a unit of systemd of its own: it may do little, is kept to its memory, and is never left behind."""

from __future__ import annotations

import hashlib
import json
import shlex
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from enginehouse.converge import foresee
from enginehouse.converge.engine_unit import name
from enginehouse.errors import ConvergeFailed
from enginehouse.planner.parts import Side
from tests.converge.load import load, wait_for_answers
from tests.hosts.lab import Machine
from tests.hosts.test_unit import drift, serves
from tests.hosts.world import HostWorld, world_of
from tests.standins.tiny_model import write_tiny_model
from tests.tools_available import require_tool

pytestmark = pytest.mark.hosts

STATE = "/var/lib/enginehouse"
LIMIT_MIB, TOO_MUCH_MIB = 1024, 1200
POISON = '$poison-7f3a "quoted" `id` back\\slash'


class UnitWorld(HostWorld):
    """A world that looks into the units of its engine."""

    def manifest(self, part: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.bare.run(f"cat {STATE}/{self.stack}/{part}/manifest.json"))
        return found

    def unit(self) -> str:
        return name(self.stack, "chat-box-0", self.side, STATE)

    def pid(self) -> str:
        """Of the engine."""
        return self.bare.run(f"systemctl show -p MainPID --value {self.unit()}").strip()

    def inside(self, script: str) -> str:
        """What a script says that has the engine's user, rights and view of the machine."""
        pid = self.pid()
        user = self.bare.run(f"stat -c '--setuid %u --setgid %g' /proc/{pid}").strip()
        return self.bare.run(f"nsenter --target {pid} --mount {user} sh -c {shlex.quote(script)} 2>&1 || :")

    def units(self) -> list[str]:
        """All that systemd knows of the engines of the stack."""
        found = self.bare.run("systemctl list-units --all --plain --no-legend 'enginehouse-*_*'")
        return [line.split()[0] for line in found.splitlines()]


@pytest.fixture(scope="module")
def up(shared_machine: Machine) -> Iterator[UnitWorld]:
    """A stack that is up."""
    with world_of(UnitWorld, shared_machine) as world:
        world.install_standin()
        world.settings["container"] = {"runtime": "systemd", "memory_gib": LIMIT_MIB // 1024}
        world.up()
        yield world
        world.down()


def test_an_engine_has_a_user_of_its_own_that_may_do_little(up: UnitWorld) -> None:
    """It sees its weights, and nothing else that is ours or a secret; the second run is one look."""
    assert up.ask()[0] == 200
    pid = up.pid()
    status = up.bare.run(f"cat /proc/{pid}/status")
    facts = dict(line.split(":\t", 1) for line in status.splitlines())
    assert facts["Uid"].split()[0] not in ("0", "65534")
    assert {facts[key] for key in ("CapEff", "CapPrm", "CapBnd")} == {"0" * 16}
    assert (facts["NoNewPrivs"], facts["Seccomp"]) == ("1", "2")
    weights = up.replica().weights_path.replace("@{state}", STATE)
    folder = f"{STATE}/{up.stack}/chat-box-0/releases"
    assert up.inside(f"find {STATE} -type f | grep -v ^{folder}/.*/start") == f"{weights}\n"
    assert up.inside(f"head -c 1 {weights}") == "{"
    hidden = ("/etc/shadow", f"{folder}/*/start", f"{folder}/*/environment", "/root/.profile", "/home/ops/.profile")
    reads = (f"cat {path}" for path in hidden)
    writes = (f"echo >>{path}" for path in (weights, "/etc/x", "/usr/x", f"{STATE}/x", "/run/x", "/var/x"))
    for forbidden in (*reads, *writes):
        assert not up.inside(f"{forbidden} && echo it may").endswith("it may\n"), forbidden
    up.connector.runs = up.connector.holds = 0
    up.up()
    assert (up.connector.runs, up.connector.holds) == (len(up.plan().parts()), 0), up.texts()


def test_values_of_variables_are_for_nobody_else(up: UnitWorld) -> None:
    """They arrive as they are, and no user can ask systemd for them, nor read them from a command line."""
    part = replace(up.replica(), env={**up.replica().env, "POISON": POISON})
    up.converge(part)
    environment = up.bare.run(f"tr '\\0' '\\n' </proc/{up.pid()}/environ")
    assert f"POISON={POISON}\n" in environment
    look = f"systemctl show --all {up.unit()}; systemctl cat {up.unit()}; cat /proc/[0-9]*/cmdline; cat {STATE}/*/*"
    seen = up.bare.run(f"su ops -s /bin/sh -c {shlex.quote(look)} 2>/dev/null | tr '\\0' ' ' || :")
    assert "DynamicUser=yes" in seen and "--ctx-size" in seen  # it sees something
    assert "poison-7f3a" not in seen
    up.converge(up.replica())


def test_an_edit_fails_no_request_and_leaves_one_unit(up: UnitWorld) -> None:
    """The next release starts beside the running one; a limit alone is a change, and reads as one."""
    with load(up, clients=2) as count:
        wait_for_answers(count, 2)
        up.settings["container"] = {"runtime": "systemd", "memory_gib": 2}
        assert str(foresee(up.replica(), up.context())).startswith("restart")
        up.converge(up.replica())
        wait_for_answers(count, 2)
        up.settings["container"] = {"runtime": "supervisor"}
        up.converge(up.replica())
        up.wait_until(lambda: up.units() == [])
        up.settings["container"] = {"runtime": "systemd", "memory_gib": 1}
        up.converge(up.replica())
        wait_for_answers(count, 2)
    assert count.failed == []
    up.wait_until(lambda: up.units() == [up.unit()])
    changes = [entry.text for entry in up.journal("changed") if entry.part == "chat-box-0"]
    assert any("memory_limit_mib: 1024 => 2048" in text for text in changes), changes


def test_an_engine_that_takes_too_much_memory_is_ended_and_comes_back(up: UnitWorld) -> None:
    """By itself, and the journal says why it was away."""
    before = up.pid()
    assert up.ask(take_mib=TOO_MUCH_MIB)[0] != 200
    serves(up)
    assert up.pid() != before
    (event,) = up.journal("out-of-memory")
    assert event.part == "chat-box-0"
    assert f"took more than its memory limit of {LIMIT_MIB} MiB" in event.text
    assert up.ask(take_mib=LIMIT_MIB // 4)[0] == 200


def test_a_start_that_takes_too_much_memory_says_so(up: UnitWorld) -> None:
    """With what to change; the release from before serves."""
    up.write_model({"takes_mib": TOO_MUCH_MIB})
    with pytest.raises(ConvergeFailed, match="the release from before serves") as failure:
        up.up()
    reasons = "\n".join(failure.value.reasons)
    assert f"took more than its memory limit of {LIMIT_MIB} MiB" in reasons
    assert "fix: Raise `memory_gib`" in reasons
    assert up.ask()[0] == 200
    up.write_model({})
    up.up()


@pytest.mark.parametrize(
    "harm",
    [
        "kill -9 $(grep -lszx ENGINEHOUSE_PROGRAM={mark} /proc/[0-9]*/environ | cut -d / -f 3) || :",
        "systemctl kill -s KILL {unit}",
        "systemctl stop {unit}",
        "kill -9 $(systemctl show -p MainPID --value {supervisor})",
    ],
)
def test_an_engine_that_is_lost_comes_again_by_itself(up: UnitWorld, harm: str) -> None:
    """Also one whose start script was killed, which is ended first: there is one engine."""
    before, unit = up.pid(), up.unit()
    mark = f"{up.stack}/chat-box-0/{up.side}"
    supervisor = up.bare.run("cd /etc/systemd/system; ls enginehouse-*.service").strip()
    up.bare.run(harm.format(mark=mark, unit=unit, supervisor=supervisor))
    up.wait_until(lambda: up.pid() not in (before, "0"))
    serves(up)
    up.wait_until(lambda: up.units() == [unit])
    assert up.bare.run(f"grep -lszx ENGINEHOUSE_PROGRAM={mark}/unit /proc/[0-9]*/environ | wc -l") == "1\n"
    up.up()
    assert drift(up) is None


def test_a_unit_that_is_altered_is_drift_and_healed(up: UnitWorld) -> None:
    """By an engine beside it, whose unit is as it shall be."""
    unit = up.unit()
    up.bare.run(f"systemctl set-property {unit} MemoryMax=infinity")
    observed = up.observe(up.replica())
    assert observed is not None
    assert observed.inputs["drift"] == {"unit": "changed on the machine (50-MemoryMax.conf)"}
    with load(up, clients=2) as count:
        up.up()
        wait_for_answers(count, 2)
    assert count.failed == []
    assert up.unit() != unit
    assert up.bare.run(f"systemctl show -p MemoryMax {up.unit()}") == f"MemoryMax={LIMIT_MIB << 20}\n"
    assert drift(up) is None


def test_a_file_that_changes_the_unit_is_drift_and_set_aside(up: UnitWorld) -> None:
    """Named with its path, for the side that serves and for the one that is next; nothing of it is deleted."""
    folders = [f"/etc/systemd/system/{name(up.stack, 'chat-box-0', side, STATE)}.d" for side in Side]
    for folder in folders:
        up.bare.run(f"mkdir {folder}; printf '[Service]\nLimitNOFILE=999\n' >{folder}/limit.conf")
    up.bare.run("systemctl daemon-reload")
    serving = f"/etc/systemd/system/{up.unit()}.d/limit.conf"
    observed = up.observe(up.replica())
    assert observed is not None
    assert observed.inputs["drift"] == {"unit": f"changed on the machine ({serving})"}
    with load(up, clients=2) as count:
        up.up()
        wait_for_answers(count, 2, within_s=60)
    assert count.failed == []
    assert up.bare.run(f"systemctl show -p LimitNOFILE {up.unit()}") != "LimitNOFILE=999\n"
    assert up.bare.run(f"cd {folders[0]}; ls; cd {folders[1]}; ls") == "limit.conf.off\n" * 2
    assert drift(up) is None
    up.bare.run(f"rm -r {' '.join(folders)}")


def test_a_reboot_brings_it_back(up: UnitWorld) -> None:
    up.bare.reboot()
    serves(up)
    up.up()


def test_the_real_engine_runs_so_from_its_release(up: UnitWorld) -> None:
    """Which is in a folder for root alone; a second run finds nothing altered, and too long a context is explained."""
    release = up.folder / "llama.tar.gz"
    with tarfile.open(release, "w:gz", compresslevel=1) as archive:
        archive.add(Path(require_tool("llama-server")).resolve(), "llama-b11434/llama-server")
    write_tiny_model(up.model)
    sha256 = hashlib.sha256(release.read_bytes()).hexdigest()
    up.settings |= {"binary": {"source": f"upload://{release.name}", "sha256": sha256}, "ready_within_s": 90}
    up.settings["options"] = {"threads": 1}
    up.up()
    status, answer = up.ask(max_tokens=8)
    assert (status, json.loads(answer)["choices"][0]["message"]["content"]) == (200, "abcdefgh")
    up.connector.runs = up.connector.holds = 0
    up.up()
    assert (up.connector.runs, up.connector.holds) == (len(up.plan().parts()), 0), up.texts()
    up.settings |= {"context": 4_000_000, "slots": 1}
    with pytest.raises(ConvergeFailed) as failure:
        up.converge(up.replica())
    assert f"took more than its memory limit of {LIMIT_MIB} MiB" in "\n".join(failure.value.reasons)
    assert up.ask(max_tokens=8)[0] == 200


def test_destroy_leaves_no_unit(up: UnitWorld) -> None:
    up.down()
    assert up.units() == []
    assert not up.bare.holds(
        "ls /run/enginehouse-* || systemctl list-units --failed --no-legend 'enginehouse-*' | grep ."
    )
    assert not up.bare.holds("grep -lsza ^ENGINEHOUSE_PROGRAM= /proc/[0-9]*/environ | grep .")
