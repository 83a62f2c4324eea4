"""The start script of an engine's unit, run by a real shell with a systemd that only writes down what it is told."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

import enginehouse.converge.engine_keys as engine_keys
import enginehouse.converge.engine_unit as engine_unit
import enginehouse.converge.memory_limit as memory_limit
from enginehouse.catalog.explain import explain
from enginehouse.converge import symptoms
from enginehouse.converge.facts import Facts, Process
from enginehouse.converge.journal import parse
from enginehouse.converge.manifest import Change, Manifest
from enginehouse.converge.places import Places
from enginehouse.converge.steps import Placed
from enginehouse.planner.parts import ReplicaPart, Runtime, Side
from tests.unit.report.plans import REPLICA

SYSTEMD_RUN = """\
#!/bin/sh
here=$(dirname "$0")
echo run >>"$here/asked"
printf '%s\\0' "$@" >"$here/run"
if [ -e "$here/told" ]; then kill -TERM "$PPID"; until [ -e "$here/stopped" ]; do sleep 0.05; done; fi
[ ! -e "$here/says" ] || cp "$here/says" "$here/$(cat "$here/unit").ended"
exit 1
"""
SYSTEMCTL = """\
#!/bin/sh
here=$(dirname "$0")
echo "$1" >>"$here/asked"
[ ! -s "$here/run" ] || : >"$here/stopped"
"""


class Started:
    """One run of the script in a state folder of its own."""

    def __init__(
        self,
        folder: Path,
        *,
        weights: str = "",
        arguments: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        says: str = "exited 0 ",
        limit_mib: int | None = None,
        told: bool = False,
        keys: str | None = None,
    ) -> None:
        """`says`: what the unit leaves when the engine has ended. `told`: the script is told to end once it runs.
        `keys`: what is in the file of an engine that asks for a key."""
        state = folder / "state"
        (state / REPLICA.stack).mkdir(parents=True)
        self.weights = Path(weights or f"{state}/weights/0123456789abcdef/m.gguf")
        if not weights:
            self.weights.parent.mkdir(parents=True)
            self.weights.write_text("{}")
            self.weights.chmod(0o600)
        for name, content in {"systemd-run": SYSTEMD_RUN, "systemctl": SYSTEMCTL}.items():
            (folder / name).write_text(content)
            (folder / name).chmod(0o755)
        if told:
            (folder / "told").touch()
        unit = engine_unit.name(REPLICA.stack, REPLICA.name, Side.A, str(state))
        for name, content in {"says": f"{says}\n", "unit": unit, "asked": "", "run": ""}.items():
            (folder / name).write_text(content)
        part = replace(REPLICA, runtime=Runtime.SYSTEMD, memory_limit_mib=limit_mib)
        self.keys = Path(engine_keys.file(Places.of(part, str(state)), "r1", Side.A))
        if keys is not None:
            part = replace(part, args={**part.args, "api-key-file": "@{keys}"})
            self.keys.parent.mkdir(parents=True)
            self.keys.write_text(keys)
        self.environment, self.script = (file.content for file in _files(part, state, self.weights, arguments, env))
        self.done = subprocess.run(
            ["sh"],
            input=self.script.encode(),
            capture_output=True,
            check=False,
            env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"},
        )
        self.asked = (folder / "asked").read_text().split()
        self.words = (folder / "run").read_text().split("\0")[:-1]
        journal = state / REPLICA.stack / "events.jsonl"
        self.events = list(parse(journal.read_text())) if journal.exists() else []
        self.properties = [word.removeprefix("--property=") for word in self.words if word.startswith("--property=")]


def _files(
    part: ReplicaPart, state: Path, weights: Path, arguments: Sequence[str], env: Mapping[str, str] | None
) -> tuple[Placed, ...]:
    return engine_unit.start_script(
        part,
        Places.of(part, str(state)),
        Side.A,
        release="r1",
        weights=str(weights),
        greeting="hello",
        command=("/usr/bin/llama-server", *arguments),
        env=env or {},
    )


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_unit, "RUNTIME", str(tmp_path))


@pytest.mark.parametrize(
    "value", ["plain", "two words", "it's", '"quoted"', "a;b", "$(id)", "$HOME ${X} $$", "per%cent", ""]
)
def test_every_argument_arrives_as_it_is(tmp_path: Path, value: str) -> None:
    """systemd would replace variables; a doubled sign is one."""
    started = Started(tmp_path, arguments=("--x", value))
    assert started.words[started.words.index("--") + 1 :] == ["/usr/bin/llama-server", "--x", value.replace("$", "$$")]


def test_values_of_variables_are_in_a_file_and_on_no_command_line(tmp_path: Path) -> None:
    started = Started(tmp_path, env={"A": 'x "y" \\ `id` $HOME\nz', "B": ""})
    assert 'A="x \\"y\\" \\\\ \\`id\\` \\$HOME\nz"\nB=""\n' in started.environment
    assert "id" not in " ".join(word for word in started.words if "EnvironmentFile" not in word and "state" not in word)
    mark = f"{REPLICA.stack}/{REPLICA.name}/a/unit"
    assert f'ENGINEHOUSE_PROGRAM="{mark}"\n' in started.environment


def test_weights_are_shown_and_made_readable_and_nothing_else_is(tmp_path: Path) -> None:
    """Their folder is for root alone, so that opens them to nobody but who is shown them."""
    started = Started(tmp_path)
    assert started.weights.stat().st_mode & 0o777 == 0o644
    assert f'TemporaryFileSystem="{tmp_path}/state:ro"' in started.properties
    shown = [text for text in started.properties if text.startswith("BindReadOnlyPaths=")]
    start = f"{tmp_path}/state/{REPLICA.stack}/{REPLICA.name}/releases/r1-a/start"
    assert shown == [f'BindReadOnlyPaths="{path}"' for path in (started.weights, start)]


def test_weights_of_somebody_else_are_left_as_they_are(tmp_path: Path) -> None:
    """If the engine could not read them it is said what helps, and nothing is started."""
    theirs = tmp_path / 'their "model".gguf'
    theirs.write_text("{}")
    theirs.chmod(0o640)
    started = Started(tmp_path, weights=str(theirs))
    assert (started.done.returncode, started.words) == (1, [])
    assert f"{theirs} is not for everybody to read" in started.done.stdout.decode()
    assert theirs.stat().st_mode & 0o777 == 0o640


def test_a_closed_folder_on_the_way_to_weights_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that everybody may read is no use behind it. Below a folder that is hidden, as /tmp is, none is closed."""
    tmp_path.chmod(0o700)
    theirs = tmp_path / "model.gguf"
    theirs.write_text("{}")
    theirs.chmod(0o644)
    assert Started(tmp_path / "hidden", weights=str(theirs)).words
    monkeypatch.setattr(engine_unit, "HIDDEN", ())
    started = Started(tmp_path / "seen", weights=str(theirs))
    assert (started.done.returncode, started.words) == (1, [])
    assert " lets not everybody through, and the engine has a user of its own" in started.done.stdout.decode()


def test_weights_of_somebody_else_are_shown(tmp_path: Path) -> None:
    theirs = tmp_path / 'their "model".gguf'
    theirs.write_text("{}")
    theirs.chmod(0o644)
    quoted = str(theirs).replace('"', '\\"')
    assert f'BindReadOnlyPaths="{quoted}"' in Started(tmp_path, weights=str(theirs)).properties


@pytest.mark.parametrize(
    ("says", "ending"),
    [
        ("exited 0 ", 0),
        ("exited 3 ", 3),
        ("exited 203 ", 203),
        ("killed KILL ", -signal.SIGKILL),
        ("dumped SEGV ", -signal.SIGSEGV),
        ("  ", 1),
    ],
)
def test_it_ends_as_the_engine_ended(tmp_path: Path, says: str, ending: int) -> None:
    """Also when systemd could not even begin; whatever is left of the unit is stopped before and after."""
    started = Started(tmp_path, says=says)
    assert started.done.returncode == ending
    assert started.asked == ["stop", "run", "stop"]
    assert not list(tmp_path.glob("*.ended"))


def test_it_ends_the_engine_when_it_is_told_to(tmp_path: Path) -> None:
    """And takes away what the unit leaves."""
    started = Started(tmp_path, says="killed TERM ", told=True)
    assert (started.done.returncode, started.asked[:3]) == (0, ["stop", "run", "stop"])
    assert not list(tmp_path.glob("*.ended"))


def test_a_memory_limit_is_none_unless_it_is_asked_for(tmp_path: Path) -> None:
    assert not any("Memory" in text for text in Started(tmp_path).properties)


@pytest.mark.parametrize(
    ("lack", "text"),
    [
        ("limit", "the engine took more than its memory limit of 2048 MiB and was ended"),
        (
            "machine",
            "the machine ran out of memory and ended the engine, which was within its memory limit of 2048 MiB",
        ),
        (
            "either",
            "memory ran out and the engine was ended: it took more than its memory limit of 2048 MiB, or the machine "
            "had no more",
        ),
    ],
)
def test_whose_memory_ran_out_is_told_in_log_and_journal(tmp_path: Path, lack: str, text: str) -> None:
    """And no one else is told of: an engine that is killed by somebody ends the same way. Each has its explanation."""
    started = Started(tmp_path, limit_mib=2048, says=f"killed KILL {lack}")
    assert {"MemoryMax=2048M", "MemorySwapMax=0"} < set(started.properties)
    assert text in started.done.stdout.decode()
    (event,) = started.events
    assert (event.event, event.part, event.text) == ("out-of-memory", REPLICA.name, text)
    known = {"limit": "memory-limit", "machine": "machine-memory", "either": "memory-limit-or-machine"}
    explained = explain([text], REPLICA.engine)
    assert explained
    assert explained.row.id == known[lack]


@pytest.mark.parametrize(
    ("counters", "lack"),
    [
        ({"memory.events": "low 0\nhigh 0\nmax 9\noom 1\noom_kill 1\noom_group_kill 0\n"}, "limit"),
        ({"memory.events": "low 0\nhigh 0\nmax 9\noom 0\noom_kill 1\noom_group_kill 0\n"}, "machine"),
        ({"memory.events": "low 0\nhigh 0\nmax 9\noom 1\noom_kill 0\noom_group_kill 0\n"}, ""),
        ({}, ""),
        ({"memory.oom_control": "under_oom 0\noom_kill 1\n", "memory.failcnt": "77\n"}, "either"),
        ({"memory.oom_control": "under_oom 0\noom_kill 1\n", "memory.failcnt": "0\n"}, "machine"),
        ({"memory.oom_control": "under_oom 0\noom_kill 0\n", "memory.failcnt": "77\n"}, ""),
    ],
)
def test_the_counters_of_a_control_group_say_whose_memory_ran_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counters: dict[str, str], lack: str
) -> None:
    """The kernel counts a kill in the group of whom it ended, also where the whole machine had no memory left.

    Only version 2 counts what could not be had under the group's own limit. A unit's group has the controllers of one
    version, or of both.
    """
    versions = {"memory.oom_control": "9:memory:/u", "memory.failcnt": "9:memory:/u", "memory.events": "0::/u"}
    own = tmp_path / "own"
    own.write_text("".join(f"{line}\n" for line in dict.fromkeys(["2:cpu:/", *(versions[name] for name in counters)])))
    for name, content in counters.items():
        group = tmp_path / ("cgroup" if name == "memory.events" else "cgroup/memory") / "u"
        group.mkdir(parents=True, exist_ok=True)
        (group / name).write_text(content)
    monkeypatch.setattr(memory_limit, "CGROUPS", str(tmp_path / "cgroup"))
    monkeypatch.setattr(memory_limit, "OWN_CGROUP", str(own))
    started = Started(tmp_path, limit_mib=2048)
    ended = {**os.environ, "EXIT_CODE": "killed", "EXIT_STATUS": "KILL"}
    subprocess.run(["sh", "-s", "ended"], input=started.script.encode(), env=ended, check=True)
    (left,) = tmp_path.glob("*.ended")
    assert left.read_text().split() == ["killed", "KILL", *filter(None, [lack])]


def test_who_was_killed_for_another_reason_is_not_said_to_take_too_much(tmp_path: Path) -> None:
    started = Started(tmp_path, limit_mib=2048, says="killed KILL ")
    assert (started.done.returncode, started.events) == (-signal.SIGKILL, [])


@pytest.mark.parametrize(
    ("rows", "drift"),
    [
        ("a 50-MemoryMax.conf\n", {"drift": {"unit": "changed on the machine (50-MemoryMax.conf)"}}),
        ("b 50-MemoryMax.conf\n", {}),
        ("", {}),
    ],
)
def test_what_was_changed_of_the_unit_that_serves_is_drift(rows: str, drift: dict[str, object]) -> None:
    """What was changed of the other side's is gone with it."""
    change = Change(run="r", who="ada@desk", door="pulumi", at="2026-11-24T12:00:00+00:00")
    serving = Manifest(part=REPLICA, generation=1, machine="m", change=change, release="r1", side=Side.A)
    runs = Process(pid=2, parent=1, age_s=1, program=f"{REPLICA.name}/a", release="r1")
    supervisor = Process(pid=1, parent=0, age_s=1, program="box/supervisor", release="")
    weights = {"weights": "9 9 9\n", "verified": f"{REPLICA.weights} 9 9 9\n"}
    facts = Facts(
        state="/s",
        machine="m",
        memory_mib=1000,
        manifest=serving,
        processes=(supervisor, runs),
        texts={**weights, "altered": rows},
    )
    assert symptoms.differences(replace(REPLICA, runtime=Runtime.SYSTEMD), facts) == drift


def test_an_engine_among_what_is_hidden_is_shown_with_its_folder(tmp_path: Path) -> None:
    """Such as one that `make setup` built for root."""
    part = replace(REPLICA, runtime=Runtime.SYSTEMD)
    _, start = engine_unit.start_script(
        part,
        Places.of(part, "/state"),
        Side.A,
        release="r1",
        weights="/w/m.gguf",
        greeting="hello",
        command=("/root/my tools/llama-server",),
        env={},
    )
    assert "'--property=BindReadOnlyPaths=\"/root/my tools\"'" in start.content


def test_systemd_gives_a_unit_its_key_and_the_file_stays_roots(tmp_path: Path) -> None:
    """For the unit's own user alone, where its arguments say; neither readable by others nor shown at its path."""
    started = Started(tmp_path, keys="5ec7e7\n")
    mode = started.keys.stat().st_mode & 0o777
    assert f"LoadCredential=keys:{started.keys}" in started.properties
    assert [text for text in started.properties if str(started.keys) in text] == [f"LoadCredential=keys:{started.keys}"]
    assert started.keys.stat().st_mode & 0o777 == mode
    assert "5ec7e7" not in str(started.words)
    unit = engine_unit.name(REPLICA.stack, REPLICA.name, Side.A, "/s")
    assert engine_unit.key_file(REPLICA, Side.A, "/s") == f"{tmp_path}/credentials/{unit}/keys"


def test_without_its_key_no_unit_starts(tmp_path: Path) -> None:
    """With an empty file the engine would let everybody in."""
    started = Started(tmp_path, keys="")
    assert (started.done.returncode, started.words) == (1, [])
    assert b"its key is missing" in started.done.stderr
