"""The host part: folders, tools, a supervisor that inherits nothing, and orphans."""

from __future__ import annotations

import os
import re
import signal
import stat
import time
from dataclasses import replace
from pathlib import Path

import pytest

from enginehouse.converge import SystemClock, as_inputs, foresee
from enginehouse.converge.lease import Leases
from enginehouse.converge.steps import Effect
from enginehouse.errors import ConnectorError, ConvergeFailed, LeaseHeld
from enginehouse.gateway.runtime import Refused
from enginehouse.planner.parts import Part
from tests.converge.harness import World


def test_every_missing_tool_is_named_at_once(world: World) -> None:
    """One message, with how to get each; nothing was made on the machine."""
    part = replace(world.plan().hosts[0], tools={"no-such-tool": "1.0", "curl": "99.0", "flock": "2.34"})
    with pytest.raises(ConvergeFailed) as failure:
        world.converge(part)
    missing, old = failure.value.reasons
    assert missing == "no-such-tool (at least 1.0) is not on the PATH; get it from your system's package no-such-tool"
    assert "is too old, at least 99.0 is needed; get it from your system's package curl" in old
    assert not world.place().exists()


def test_a_state_folder_with_too_long_a_name_is_refused(world: World) -> None:
    """A unix socket's path is limited; better said before than failed later."""
    part = replace(world.plan().hosts[0], name="box", stack="s" * 100)
    with pytest.raises(ConvergeFailed, match="too long a name"):
        world.converge(part)


@pytest.mark.parametrize("mode", [0o755, 0o2770])
def test_a_state_folder_that_is_there_keeps_its_rights(world: World, mode: int) -> None:
    """It may belong to a group or hold more than ours; what is made inside is for its owner alone."""
    world.state.mkdir()
    world.state.chmod(mode)
    world.up()
    world.settings["context"] = 1024
    world.up()
    assert stat.S_IMODE(world.state.stat().st_mode) == mode
    inside = [path for path in world.state.rglob("*") if path.is_dir() and not path.is_symlink()]
    assert {oct(stat.S_IMODE(path.stat().st_mode) & 0o777) for path in inside} == {"0o700"}
    seen = world.observe(world.plan().hosts[0])
    assert seen is not None
    assert "drift" not in seen.inputs


def test_a_state_folder_that_is_made_is_for_its_owner_alone(world: World) -> None:
    """Under any umask."""
    before = os.umask(0)
    try:
        world.converge(world.plan().hosts[0])
    finally:
        os.umask(before)
    assert stat.S_IMODE(world.state.stat().st_mode) == 0o700


def test_a_state_folder_with_blanks_and_signs_works(world: World) -> None:
    """Everything that is not refused: up, nothing left to do, an edit, and away."""
    odd = replace(world, state_name="s a-é_.+=~")
    try:
        odd.up()
        before = odd.snapshot()
        odd.up()
        assert before == odd.snapshot()
        odd.settings["context"] = 1024
        odd.up()
        assert odd.ask()[0] == 200
        odd.down()
        assert odd.processes() == {}
    finally:
        odd.kill_all()


@pytest.mark.parametrize(
    "name",
    ["s'", 's"', "s%", "s $(touch x)", "s;x", "s ;x", "s\\", "s\nx", "s,x", "s*", "s#", "s{x}", "s`x`", "s&x", "s "],
)
def test_a_state_folder_with_other_signs_is_refused_in_one_sentence(world: World, name: str) -> None:
    """Before anything is made, whatever a shell or a configuration would read in it."""
    odd = replace(world, state_name=name)
    for verb in (odd.converge, odd.observe):
        with pytest.raises(ConvergeFailed) as failure:
            verb(odd.plan().hosts[0])
        assert "can't be the state folder" in str(failure.value)
        assert failure.value.reasons[0].startswith("set ENGINEHOUSE_STATE to an absolute path of letters, digits")
    assert not any(path.name.startswith("s") for path in world.folder.iterdir())


def test_a_machine_is_one_host_of_a_stack(world: World) -> None:
    """Under another name it is refused, at a preview, too, and what runs goes on: both would own all of it."""
    world.up()
    before = world.processes()
    renamed = replace(world.plan().hosts[0], name="desk", host="desk")
    assert foresee(renamed, world.context()).effect is Effect.FAILS
    with pytest.raises(ConvergeFailed, match=f"desk: this machine is host box of {world.stack} already"):
        world.converge(renamed)
    assert world.processes() == before
    assert not world.place("desk").exists()


def test_slashes_at_the_end_of_the_state_folder_mean_nothing(world: World) -> None:
    """The same folder, so the same processes."""
    world.converge(world.plan().hosts[0])
    before = world.snapshot()
    replace(world, state_name="s//").converge(world.plan().hosts[0])
    assert before == world.snapshot()


def test_the_supervisor_has_nothing_of_the_caller(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """No descriptor, no variable, no session: whoever started it may end, be signalled, or hold secrets."""
    monkeypatch.setenv("SECRET_OF_THE_CALLER", "poison")
    world.up()
    for pid, mark in world.processes().items():
        process = Path("/proc", str(pid))
        environ = (process / "environ").read_bytes()
        files = {str(link.readlink()) for link in (process / "fd").iterdir()}
        assert b"poison" not in environ
        assert not any(str(world.state / "host") in file for file in files), (mark, files)
        assert os.getsid(pid) != os.getsid(0)
    assert_no_pipes_to_us(world)


def assert_no_pipes_to_us(world: World) -> None:
    """The supervisor holds no pipe of the script that started it."""
    supervisor = next(pid for pid, mark in world.processes().items() if mark == "box/supervisor")
    standard = [str(Path(f"/proc/{supervisor}/fd/{number}").readlink()) for number in (0, 1, 2)]
    assert standard == ["/dev/null"] * 3


def test_kill_of_the_supervisor_is_seen_and_healed_without_a_second_engine(running: World) -> None:
    """A new supervisor would start a second copy beside the orphan: orphans end first."""
    running.kill("box/supervisor")
    running.wait_until(lambda: "box/supervisor" not in running.processes().values())
    orphans = set(running.processes())
    assert orphans
    observed = running.observe(running.plan().hosts[0])
    assert observed is not None
    assert observed.inputs == {**as_inputs(running.plan().hosts[0]), "running": False}
    running.up()
    marks = sorted(running.processes().values())
    assert marks == [
        "box/supervisor",
        "box/watchdog",
        f"chat-box-0/{running.side}",
        "gateway-box/gateway",
        "gateway-box/gateway",
    ]
    assert not orphans & set(running.processes())
    assert running.ask()[0] == 200


def test_a_new_supervisor_has_started_its_programs_and_the_gateway_uses_none_yet(running: World) -> None:
    """The look that follows finds them; an engine gets requests when it has proved itself, which is the replica's."""
    running.kill("box/supervisor")
    running.converge(running.plan().hosts[0])
    programs = (running.engine, "gateway-box")
    assert all(info and not info.state.has_ended() for info in map(running.supervisor().info, programs))
    running.wait_until(lambda: answers(running))
    assert {row.status for row in running.runtime().servers()} == {"MAINT"}
    running.converge(running.replica())
    assert running.ask()[0] == 200


def answers(world: World) -> bool:
    try:
        return world.runtime().worker() > 0
    except (ConnectorError, Refused):
        return False


def test_a_replica_without_a_supervisor_says_what_is_missing(running: World) -> None:
    """It does not start one itself: that is the host part's."""
    running.kill("box/supervisor")
    running.settings["context"] = 1024
    with pytest.raises(ConvergeFailed, match="the host part starts it"):
        running.converge(running.replica())


def test_a_supervisor_whose_socket_is_gone_is_started_again(running: World) -> None:
    """It could not be talked to any more."""
    running.place("box", "run", "supervisor.sock").unlink()
    running.up()
    assert running.ask()[0] == 200
    assert sorted(running.processes().values()).count("box/supervisor") == 1


def test_an_edited_supervisor_configuration_is_written_again_without_a_restart(running: World) -> None:
    """It takes effect at the next start; no engine is stopped for it."""
    file = running.place("box", "supervisord.conf")
    right, before = file.read_text(), running.processes()
    file.write_text(right + "; edited\n")
    observed = running.observe(running.plan().hosts[0])
    assert observed is not None
    assert observed.inputs["drift"]["files"]["supervisord.conf"].startswith("edited on the machine")
    running.up()
    assert (file.read_text(), running.processes()) == (right, before)


def test_logs_rotate(running: World) -> None:
    """No log of ours grows without end."""
    for file in running.place("box", "programs").glob("*.conf"):
        assert "stdout_logfile_maxbytes = 10MB" in file.read_text()


def test_a_second_run_is_told_who_works_here(running: World) -> None:
    """While the run of another process holds the lease, ours changes nothing."""
    running.settings["context"] = 1024
    before = running.snapshot()
    with Leases(SystemClock()).hold(running.connector, str(running.state), running.context().run, print):
        running.run_id = "run-2"
        running.impatient()
        with pytest.raises(LeaseHeld, match="ada@desk"):
            running.converge(running.replica())
    assert before == running.snapshot()


def test_a_probe_is_cheap(running: World) -> None:
    """A look at a part that is as it should be takes a small share of a second of processor time.

    The least of some: on a busy machine the same work takes more.
    """
    spent = {part.name: min(spent_on(running, part) for _ in range(5)) for part in running.plan().parts()[:4]}
    assert max(spent.values()) < 0.15, spent


def spent_on(world: World, part: Part) -> float:
    before = os.times()
    world.converge(part)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def test_time_on_the_wall_does_not_matter(running: World) -> None:
    """Another run at another time, with nothing changed, changes nothing."""
    before = running.snapshot()
    running.run_id = f"run-{time.monotonic()}"
    running.up()
    assert before == running.snapshot()


def test_a_supervisor_that_ends_stops_the_gateway_before_the_engines(running: World) -> None:
    """As at a reboot: no engine is told to end while it still gets requests, also one that came after the gateway."""
    running.settings["context"] = 1024
    running.up()
    log = running.place("box", "log", "supervisord.log")
    before = len(log.read_text())
    pid = next(pid for pid, program in running.processes().items() if program == "box/supervisor")
    os.kill(pid, signal.SIGTERM)
    running.wait_until(lambda: not running.processes())
    ended = re.findall(r"stopped: (\S+)", log.read_text()[before:])
    assert ended[0] == "gateway-box"
    assert len(ended) > 2
    running.up()
