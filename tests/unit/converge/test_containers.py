"""The start script of a container, run by a real shell with a client that only writes down what it is told."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from enginehouse.converge.containers import start_script
from enginehouse.converge.journal import parse
from enginehouse.converge.places import Places
from enginehouse.planner.parts import Side
from tests.unit.report.plans import REPLICA

IMAGE = f"reg.example/llama.cpp@sha256:{'0' * 64}"
CLIENT = """\
#!/bin/sh
here=$(dirname "$0")
echo "$1 $2" >>"$here/asked"
case $1 in
    container)
        [ "$(wc -l <"$here/asked")" -gt "$(cat "$here/away")" ] || { echo "Cannot connect" >&2; exit 1; }
        cat "$here/left"
        ;;
    rm) : >"$here/left" ;;
    inspect) cat "$here/oom" ;;
    run)
        printf '%s\\0' "$@" >"$here/run"
        printf '%s' "$VALUE" >"$here/value"
        case " $* " in *" --rm "*) ;; *) echo 4f2a >"$here/left" ;; esac
        exit "$(cat "$here/status")"
        ;;
esac
"""


class Started:
    """One run of the script."""

    def __init__(
        self,
        folder: Path,
        *,
        weights: str = "/w/m.gguf",
        arguments: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        status: int = 0,
        left: str = "",
        away: int = 0,
        limit_mib: int | None = None,
        oom: bool = False,
    ) -> None:
        """`left`: ids of containers from before. `away`: how many questions fail first."""
        client = folder / "docker"
        client.write_text(CLIENT)
        client.chmod(0o755)
        for name, content in {"status": status, "left": left, "away": away, "asked": ""}.items():
            (folder / name).write_text(str(content))
        (folder / "oom").write_text(str(oom).lower())
        (folder / "state" / REPLICA.stack).mkdir(parents=True)
        (script,) = start_script(
            replace(REPLICA, image=IMAGE, memory_limit_mib=limit_mib),
            Places.of(REPLICA, str(folder / "state")),
            Side.A,
            release="r1",
            weights=weights,
            greeting="hello",
            command=(str(client), *arguments),
            env=env or {},
        )
        self.done = subprocess.run(["sh"], input=script.content.encode(), capture_output=True, check=False)
        self.asked = (folder / "asked").read_text().splitlines()
        self.words = (folder / "run").read_text().split("\0")[:-1]
        journal = folder / "state" / REPLICA.stack / "events.jsonl"
        self.events = [entry.event for entry in parse(journal.read_text())] if journal.exists() else []
        self.value = (folder / "value").read_text()


@pytest.mark.parametrize("value", ["plain", "two words", "it's", '"quoted"', "a;b,c:d", "$(id)", "per%cent", "", "—"])
def test_every_word_arrives_as_it_is(tmp_path: Path, value: str) -> None:
    """Arguments, the path of the weights, and variables, whose values are on no command line."""
    started = Started(tmp_path, weights=f"/w/{value}.gguf", arguments=("--x", value), env={"VALUE": f"{value}\n!"})
    image = started.words.index(IMAGE)
    assert started.words[image:] == [IMAGE, "--x", value]
    (mount,) = (word for word in started.words if word.startswith("--mount="))
    assert next(csv.reader([mount.removeprefix("--mount=")])) == [
        "type=bind",
        f"source=/w/{value}.gguf",
        f"target=/w/{value}.gguf",
        "readonly",
    ]
    assert "--env=VALUE" in started.words
    assert started.value == f"{value}\n!"
    assert f"--user={os.getuid()}:{os.getgid()}" in started.words
    assert started.asked == ["container ls", "run --rm"]


@pytest.mark.parametrize(("status", "ending"), [(0, 0), (1, 1), (125, 125), (137, -signal.SIGKILL), (255, 255)])
def test_it_ends_as_the_engine_ended(tmp_path: Path, status: int, ending: int) -> None:
    """A status from 129 on is a signal, as shells and Docker write it; the supervisor then tells of the signal."""
    assert Started(tmp_path, status=status).done.returncode == ending


def test_what_was_left_behind_ends_first(tmp_path: Path) -> None:
    assert Started(tmp_path, left="4f2a\n").asked == ["container ls", "rm --force", "container ls", "run --rm"]


@pytest.mark.parametrize("oom", [True, False])
def test_a_container_with_a_limit_is_asked_whether_that_ended_it(tmp_path: Path, oom: bool) -> None:
    """It stays until then; how it ended is what the supervisor is told all the same."""
    started = Started(tmp_path, limit_mib=2048, oom=oom, status=137)
    assert {"--memory=2048m", "--memory-swap=2048m"} < set(started.words)
    run, inspect = "run --memory=2048m", "inspect --format={{.State.OOMKilled}}"
    assert started.asked == ["container ls", run, "container ls", inspect, "rm --force"]
    assert started.events == ["out-of-memory"] * oom
    assert ("took more than its memory limit of 2048 MiB" in started.done.stdout.decode()) is oom
    assert started.done.returncode == -signal.SIGKILL


def test_it_waits_for_docker_and_says_so_once(tmp_path: Path) -> None:
    """Each question is one that could be answered; the second of a failed pair is asked for its words."""
    started = Started(tmp_path, away=4)
    assert started.done.stderr.decode() == "Cannot connect\n"
    assert started.asked == [*["container ls"] * 5, "run --rm"]


def test_containers_are_told_apart_by_state_folder_and_side(tmp_path: Path) -> None:
    """Two clones, and two sides, may have the same names for everything else."""
    words = Started(tmp_path).words
    labels = [word for word in words if word.startswith("--label=")]
    assert {f"--label=enginehouse.state={tmp_path}/state", f"--label=enginehouse.program={_mark()}"} < set(labels)
    assert f"--env=ENGINEHOUSE_PROGRAM={_mark()}/container" in words


def _mark() -> str:
    return f"{REPLICA.stack}/{REPLICA.name}/a"
