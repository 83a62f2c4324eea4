"""One run works on a machine at a time; a dead one blocks nobody, its orphans are waited for. With real locks."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from enginehouse.connectors import base
from enginehouse.connectors.base import SILENT, Connector, Result
from enginehouse.connectors.fake import FakeConnector
from enginehouse.connectors.local import LocalConnector
from enginehouse.converge.lease import LEASE_LOST, SILENT_S, Leases, Note, keeper, mutating
from enginehouse.converge.run import Run, SystemClock
from enginehouse.errors import CommandFailed, ConvergeFailed, LeaseHeld
from tests.unit.connectors.conformance import SOON_S, eventually

HOLDER = Path(__file__).with_name("holder.py")
ADA = Run(id="ada-1", who="ada@desk", door="rollout")
BOB = Run(id="bob-1", who="bob@desk", door="pulumi")


class FixedClock(SystemClock):
    """It is always the same moment."""

    def now(self) -> datetime:
        return datetime(2026, 11, 24, 12, 30, tzinfo=UTC)


Spawn = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def state(tmp_path: Path) -> str:
    return str(tmp_path / "it's state")


@pytest.fixture
def connector() -> Iterator[Connector]:
    connector = LocalConnector("laptop")
    yield connector
    connector.close()


@pytest.fixture
def spawn(state: str, tmp_path: Path) -> Iterator[Spawn]:
    """`spawn(run id, script)` starts a process that holds the lease and runs the script under it."""
    with ExitStack() as started:
        started.callback((tmp_path / "go").touch)  # lets an orphan end, also when its test failed

        def start(*words: str) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [sys.executable, str(HOLDER), state, *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            )
            started.enter_context(process)
            started.callback(process.kill)
            assert process.stdout is not None
            assert process.stdout.readline() == "holding\n"
            return process

        yield start


def leases(**waits: int) -> Leases:
    """What another process would have: it shares no lock with the leases of a test but those of the machine."""
    return Leases(FixedClock(), **{"lease_wait_s": 1, **waits})


def silence(text: str) -> None:
    raise AssertionError(f"nobody expected a notice: {text}")


def note_file(state: str) -> Path:
    return Path(state, "host", "lease.note")


# one run at a time


def test_a_lease_is_signed_while_it_is_held(connector: Connector, state: str) -> None:
    """The note is there during the block and not after it; folder and files are for the owner's eyes."""
    with leases().hold(connector, state, ADA, silence):
        text = note_file(state).read_text()
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in Path(state, "host").iterdir()}
    assert '"run": "ada-1", "who": "ada@desk", "door": "rollout", "since": "2026-11-24T12:30:00+00:00"' in text
    assert f'"controller": "process {os.getpid()} on ' in text
    assert modes == {"lease": 0o600, "lease.note": 0o600, "busy": 0o600}
    assert stat.S_IMODE(Path(state).stat().st_mode) == 0o700
    assert stat.S_IMODE(Path(state, "host").stat().st_mode) == 0o700
    assert not note_file(state).exists()


def test_another_run_is_told_who_works(connector: Connector, state: str) -> None:
    """Person, moment and door are named, and what to do. Once the first is done, the second may."""
    with (
        leases().hold(connector, state, ADA, silence),
        pytest.raises(LeaseHeld) as caught,
        leases().hold(connector, state, BOB, silence),
    ):
        pass
    text = str(caught.value)
    assert text.startswith(
        "laptop: another run works on this machine: "
        "ada@desk, since 2026-11-24T12:30:00+00:00, through rollout (run ada-1, process "
    )
    assert text.endswith("wait for its end, then run again")
    with leases().hold(connector, state, BOB, silence):
        pass


def test_an_error_inside_gives_the_lease_back(connector: Connector, state: str) -> None:
    """However the block ends, the run ends well for the machine."""
    with pytest.raises(ConvergeFailed), leases().hold(connector, state, ADA, silence):
        raise ConvergeFailed("no")
    assert not note_file(state).exists()


def test_parts_of_a_run_share_the_lease(connector: Connector, state: str) -> None:
    """It is entered again and again, from many threads, and given back by the last to leave."""
    ours = leases()
    everybody_in = threading.Barrier(8, timeout=SOON_S)

    def work(_: int) -> None:
        with ours.hold(connector, state, ADA, silence), ours.hold(connector, state, ADA, silence):
            everybody_in.wait()
        assert note_file(state).exists(), "the main thread is still inside"

    with ours.hold(connector, state, ADA, silence), ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert not note_file(state).exists()


def test_another_run_of_this_process_is_refused_too(connector: Connector, state: str) -> None:
    """Sharing is by run, not by process."""
    ours = leases()
    with (
        ours.hold(connector, state, ADA, silence),
        pytest.raises(LeaseHeld, match="run ada-1 of this process"),
        ours.hold(connector, state, BOB, silence),
    ):
        pass


def test_many_runs_never_overlap(connector: Connector, state: str) -> None:
    """Each adds one to a number by reading and writing it; none is lost. Without leases some are."""
    number = 0

    def add(run: Run) -> None:
        nonlocal number
        seen = number
        time.sleep(0.01)  # makes the loss certain where nothing prevents it
        number = seen + 1

    def add_leased(run: Run) -> None:
        with leases(lease_wait_s=20).hold(connector, state, run, silence):
            add(run)

    runs = [Run(id=f"run-{n}", who="x", door="pulumi") for n in range(12)]
    for way, overlaps in ((add_leased, False), (add, True)):
        number = 0
        with ThreadPoolExecutor(12) as pool:
            list(pool.map(way, runs))
        assert (number != 12) == overlaps


@pytest.mark.parametrize("who", ['o\'hara \\n \\\\ "x"@desk', "zoë\n$(touch x)`id`", "", '{"run": "bob-1",'])
def test_a_holder_may_have_any_name(connector: Connector, state: str, who: str) -> None:
    """No name breaks the note, and each comes back as it was."""
    run = Run(id="any", who=who, door="pulumi")
    with leases().hold(connector, state, run, silence):
        with pytest.raises(LeaseHeld) as caught, leases().hold(connector, state, BOB, silence):
            pass
        connector.run(mutating("true", state_folder=state, run=run), deadline_s=SOON_S).check("the run itself")
        late = connector.run(mutating("true", state_folder=state, run=BOB), deadline_s=SOON_S)
    assert f"machine: {who}, since" in str(caught.value)
    assert late.returncode == LEASE_LOST


# dead runs


def test_a_killed_run_blocks_nobody(connector: Connector, state: str, spawn: Spawn) -> None:
    """After kill -9 the lease is free at once, not when its holder was silent for long; who held it is told, once."""
    process = spawn("eve-1")
    with pytest.raises(LeaseHeld, match="eve@desk"), leases().hold(connector, state, ADA, silence):
        pass
    process.kill()
    notices: list[str] = []
    with leases(lease_wait_s=SILENT_S - 10).hold(connector, state, ADA, notices.append):
        pass
    assert len(notices) == 1
    assert notices[0].startswith("laptop: took over the lease of a run that died: eve@desk, since ")
    assert notices[0].endswith(f"through pulumi (run eve-1, process {process.pid} on {os.uname().nodename})")
    with leases().hold(connector, state, ADA, silence):
        pass


def test_a_run_that_ends_well_leaves_no_notice(connector: Connector, state: str, spawn: Spawn) -> None:
    """The same process, not killed: nothing to tell."""
    process = spawn("eve-1")
    process.communicate("", timeout=SOON_S)
    with leases().hold(connector, state, ADA, silence):
        pass


def test_a_note_that_is_not_ours_is_told_too(connector: Connector, state: str) -> None:
    """Somebody's hand in the file stops nobody."""
    note_file(state).parent.mkdir(parents=True)
    note_file(state).write_text("garbage\n" * 3)
    notices: list[str] = []
    with leases().hold(connector, state, ADA, notices.append):
        pass
    assert notices == ["laptop: took over the lease of a run that died: its note is not readable"]


def test_a_lease_whose_keeper_was_killed_is_taken_again(connector: Connector, state: str) -> None:
    """The next part of the run notices, and holds a real lock again."""
    ours = leases()
    with ours.hold(connector, state, ADA, silence):
        holders = connector.run(open_files(f"{state}/host/lease", fd=9), deadline_s=SOON_S)
        os.kill(int(holders.stdout), signal.SIGKILL)
        eventually(lambda: connector.run(open_files(f"{state}/host/lease", fd=9), deadline_s=SOON_S).stdout == "")
        with (
            ours.hold(connector, state, ADA, silence),
            pytest.raises(LeaseHeld),
            leases().hold(connector, state, BOB, silence),
        ):
            pass


def test_a_holder_that_fell_silent_loses_its_lease(connector: Connector, state: str) -> None:
    """Its stdin is open, as behind a cable that was pulled, and says nothing any more."""
    note = Note(run="ada-1", who="ada@desk", door="rollout", since="now", controller="process 1 on desk")
    with subprocess.Popen(
        ["sh", "-c", keeper(state, note, 1, 1, 1)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as silent:
        assert silent.stdout is not None
        assert silent.stdout.readline() == "taken \n"
        assert silent.wait(SOON_S) == SILENT
    notices: list[str] = []
    with leases().hold(connector, state, BOB, notices.append):
        pass
    assert [notice.startswith("laptop: took over the lease of a run that died: ada@desk") for notice in notices] == [
        True
    ]


def test_a_holder_that_only_waits_keeps_its_lease(
    connector: Connector, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a script takes longer than anybody may be silent, there is a sign of life in the background."""
    monkeypatch.setattr(base, "ALIVE_EVERY_S", 0.1)
    with leases(silent_s=4).hold(connector, state, ADA, silence):
        connector.run("sleep 6", deadline_s=SOON_S)
        with pytest.raises(LeaseHeld), leases().hold(connector, state, BOB, silence):
            pass


# orphans


def test_an_orphaned_script_is_waited_for(connector: Connector, state: str, spawn: Spawn, tmp_path: Path) -> None:
    """The killed run's script still works: the next run starts when it has ended, not before."""
    process = spawn("eve-1", orphan(tmp_path))
    eventually((tmp_path / "started").exists)
    process.kill()
    notices: list[str] = []
    entered = threading.Event()

    def take_over() -> None:
        with leases(lease_wait_s=30, busy_wait_s=60).hold(connector, state, ADA, notices.append):
            entered.set()
            assert (tmp_path / "ended").exists()

    with ThreadPoolExecutor() as pool:
        taking = pool.submit(take_over)
        eventually(lambda: "ada-1" in note_file(state).read_text())
        assert not entered.wait(0.5)
        (tmp_path / "go").touch()
        taking.result(SOON_S)
    assert len(notices) == 1


def test_an_orphan_that_does_not_end_is_named(connector: Connector, state: str, spawn: Spawn, tmp_path: Path) -> None:
    """The wait is bounded; the dead run stays on the note, so that the one after still knows."""
    process = spawn("eve-1", orphan(tmp_path))
    eventually((tmp_path / "started").exists)
    process.kill()
    hasty = leases(lease_wait_s=30, busy_wait_s=1)
    with pytest.raises(LeaseHeld) as caught, hasty.hold(connector, state, ADA, silence):
        pass
    assert "commands of a run that died still work on this machine: eve@desk" in str(caught.value)
    assert f"fuser -v {state}/host/busy" in str(caught.value)
    assert "eve-1" in note_file(state).read_text()
    (tmp_path / "go").touch()
    notices: list[str] = []
    with leases(lease_wait_s=30).hold(connector, state, ADA, notices.append):
        pass
    assert len(notices) == 1


def test_a_late_script_of_a_dead_run_changes_nothing(connector: Connector, state: str, tmp_path: Path) -> None:
    """It was on its way when its run lost the lease; it finds another's note, or none, and stops."""
    late = mutating(f"touch {tmp_path}/changed", state_folder=state, run=ADA)
    with leases().hold(connector, state, ADA, silence):
        connector.run(late, deadline_s=SOON_S).check("in time")
    (tmp_path / "changed").unlink()
    with leases().hold(connector, state, BOB, silence):
        result = connector.run(late, deadline_s=SOON_S)
    after = connector.run(late, deadline_s=SOON_S)
    assert (result.returncode, after.returncode) == (LEASE_LOST, LEASE_LOST)
    assert "no longer held by this run" in result.stderr
    assert not (tmp_path / "changed").exists()


@pytest.mark.parametrize(("how", "blocks"), [("8>&-", False), ("", True)], ids=["closed", "inherited"])
def test_a_daemon_must_not_inherit_the_busy_lock(
    connector: Connector, state: str, tmp_path: Path, how: str, blocks: bool
) -> None:
    """Started with `8>&-` it is nobody's business; without, the next run waits for it."""
    start = f"setsid sleep 1000 </dev/null >/dev/null 2>&1 {how} & echo $!"
    with leases().hold(connector, state, ADA, silence):
        daemon = int(connector.run(mutating(start, state_folder=state, run=ADA), deadline_s=SOON_S).stdout)
    try:
        if blocks:
            with pytest.raises(LeaseHeld), leases(busy_wait_s=1).hold(connector, state, BOB, silence):
                pass
        else:
            with leases(busy_wait_s=1).hold(connector, state, BOB, silence):
                pass
    finally:
        os.kill(daemon, signal.SIGKILL)


def test_scripts_of_one_run_do_not_wait_for_each_other(connector: Connector, state: str, tmp_path: Path) -> None:
    """The busy lock is shared; code, streams and stdin of a wrapped script are its own."""

    def meet(me: str, other: str) -> Result:
        script = f"touch {tmp_path}/{me}; until [ -e {tmp_path}/{other} ]; do sleep 0.01; done; cat; exit 4"
        wrapped = mutating(script, state_folder=state, run=ADA)
        return connector.run(wrapped, stdin=[b"in"], deadline_s=SOON_S)

    with leases().hold(connector, state, ADA, silence), ThreadPoolExecutor(2) as pool:
        results = list(pool.map(meet, "ab", "ba"))
    assert results == [Result(returncode=4, stdout="in", stderr="")] * 2


# machines that can't


def test_a_machine_without_flock_is_told_what_to_install(state: str, tmp_path: Path) -> None:
    """The keeper finds out before it makes anything, and the error names the package."""
    note = Note(run="r", who="w", door="d", since="s", controller="c")
    programs = tmp_path / "bin"
    programs.mkdir()
    said = subprocess.run(
        [shutil.which("sh") or "/bin/sh", "-c", keeper(state, note, 1, 1, 1)],
        env={"PATH": str(programs)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert said.stdout == "no-flock\n"
    assert not Path(state).exists()
    fake = FakeConnector("box")
    fake.on("flock", said.stdout)
    hold = leases().hold(fake, state, ADA, silence)
    with pytest.raises(ConvergeFailed, match="box: `flock` is missing") as caught, hold:
        pass
    assert caught.value.reasons == ("install the package util-linux there",)


def test_a_folder_that_can_not_be_made_is_a_failed_command(connector: Connector, tmp_path: Path) -> None:
    """With the machine's own words."""
    (tmp_path / "file").touch()
    hold = leases().hold(connector, f"{tmp_path}/file/state", ADA, silence)
    with pytest.raises(CommandFailed) as caught, hold:
        pass
    assert "Not a directory" in caught.value.tail[0]


def test_a_keeper_that_speaks_nonsense_is_not_a_lease(state: str) -> None:
    """A shell's greeting, for instance."""
    fake = FakeConnector("box")
    fake.on("flock", "Welcome to box!")
    hold = leases().hold(fake, state, ADA, silence)
    with pytest.raises(ConvergeFailed, match="box: the lease could not be taken") as caught, hold:
        pass
    assert caught.value.reasons == ("the keeper said 'Welcome to box!'",)
    assert not fake.held[0].alive()


def orphan(folder: Path) -> str:
    """A script that works until it may go."""
    where = shlex.quote(str(folder))
    return f"touch {where}/started; until [ -e {where}/go ]; do sleep 0.02; done; touch {where}/ended"


def open_files(path: str, *, fd: int) -> str:
    """A script that prints the processes which have `path` open as `fd`."""
    return f'for f in /proc/[0-9]*/fd/{fd}; do [ "$f" -ef {shlex.quote(path)} ] && echo $f; done | cut -d / -f 3'
