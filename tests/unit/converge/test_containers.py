"""The start script of a container, run by a real shell with a client that only writes down what it is told."""

from __future__ import annotations

import base64
import csv
import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

import enginehouse.converge.engine_keys as engine_keys
import enginehouse.converge.memory_limit as memory_limit
from enginehouse.converge.containers import bring, start_script
from enginehouse.converge.journal import parse
from enginehouse.converge.places import Places
from enginehouse.planner.container import Registry
from enginehouse.planner.parts import Side
from enginehouse.render.symbols import Secret
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
    image) cat "$here/images" ;;
    pull)
        cat "$DOCKER_CONFIG/config.json" "$DOCKER_CONFIG/config.json" >"$here/login"
        [ ! -e "$here/killer" ] || kill -KILL "$PPID"
        ;;
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
        mirrored: bool = False,
        images: str = "",
        keys: str | None = None,
    ) -> None:
        """`left`: ids of containers from before. `away`: how many questions fail first. `images`: digests and ids.
        `keys`: what is in the file of an engine that asks for a key."""
        client = folder / "docker"
        client.write_text(CLIENT)
        client.chmod(0o755)
        for name, content in {"status": status, "left": left, "away": away, "asked": "", "images": images}.items():
            (folder / name).write_text(str(content))
        (folder / "oom").write_text(str(oom).lower())
        (folder / "state" / REPLICA.stack).mkdir(parents=True)
        self.keys = Path(engine_keys.file(Places.of(REPLICA, str(folder / "state")), "r1", Side.A))
        if keys is not None:
            self.keys.parent.mkdir(parents=True)
            self.keys.write_text(keys)
        (script,) = start_script(
            replace(
                REPLICA,
                image=IMAGE,
                memory_limit_mib=limit_mib,
                registry=Registry(mirror="m.example") if mirrored else None,
                args=REPLICA.args if keys is None else {**REPLICA.args, "api-key-file": "@{keys}"},
            ),
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
        journal = folder / "state" / REPLICA.stack / "events.jsonl"
        self.events = [entry.event for entry in parse(journal.read_text())] if journal.exists() else []
        ran = (folder / "run").exists()
        self.words = (folder / "run").read_text().split("\0")[:-1] if ran else []
        self.value = (folder / "value").read_text() if ran else ""


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


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("oom", [True, False])
def test_a_container_with_a_limit_is_asked_whether_that_ended_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, oom: bool, version: int
) -> None:
    """It stays until then; how it ended is what the supervisor is told all the same.

    With control groups of version 2 Docker answers the same where the whole machine was out of memory.
    """
    monkeypatch.setattr(memory_limit, "CGROUPS", str(tmp_path))
    if version == 2:
        (tmp_path / "cgroup.controllers").touch()
    started = Started(tmp_path, limit_mib=2048, oom=oom, status=137)
    assert {"--memory=2048m", "--memory-swap=2048m"} < set(started.words)
    run, inspect = "run --memory=2048m", "inspect --format={{.State.OOMKilled}}"
    assert started.asked == ["container ls", run, "container ls", inspect, "rm --force"]
    assert started.events == ["out-of-memory"] * oom
    said = started.done.stdout.decode()
    assert ("took more than its memory limit of 2048 MiB" in said) is oom
    assert ("or the machine had no more" in said) is (oom and version == 2)
    assert started.done.returncode == -signal.SIGKILL


def test_it_waits_for_docker_and_says_so_once(tmp_path: Path) -> None:
    """Each question is one that could be answered; the second of a failed pair is asked for its words."""
    started = Started(tmp_path, away=4)
    assert started.done.stderr.decode() == "Cannot connect\n"
    assert started.asked == [*["container ls"] * 5, "run --rm"]


def test_the_script_of_a_container_that_runs_stays_as_it_is() -> None:
    """Another one would restart what runs: a container that uses nothing new has the script that it always had."""
    (script,) = start_script(
        replace(REPLICA, image=f"ghcr.io/a/b@sha256:{'0' * 64}"),
        Places.of(REPLICA, "/state"),
        Side.A,
        release="r1",
        weights="/w",
        greeting="hi",
        command=("/usr/bin/docker", "--x", "y z"),
        env={"A": "b c"},
    )
    assert script.sha256 == "70b5500e6866c8b9da15d85764f297d9c84784e4de0ad1dba0a5679a2f74a8d4"


def test_containers_are_told_apart_by_state_folder_and_side(tmp_path: Path) -> None:
    """Two clones, and two sides, may have the same names for everything else."""
    words = Started(tmp_path).words
    labels = [word for word in words if word.startswith("--label=")]
    assert {f"--label=enginehouse.state={tmp_path}/state", f"--label=enginehouse.program={_mark()}"} < set(labels)
    assert f"--env=ENGINEHOUSE_PROGRAM={_mark()}/container" in words


def test_an_image_of_a_mirror_is_run_by_what_has_its_digest(tmp_path: Path) -> None:
    """Whatever its name is here; the label tells what the stack calls it."""
    images = f"sha256:{'1' * 64} sha256:other\nsha256:{'0' * 64} sha256:this\nsha256:{'0' * 64} sha256:this\n<none> x\n"
    started = Started(tmp_path, mirrored=True, images=images, arguments=("--x",))
    assert started.words[-2:] == ["sha256:this", "--x"]
    assert f"--label=enginehouse.image={IMAGE}" in started.words


def test_an_image_of_a_mirror_that_is_gone_is_named(tmp_path: Path) -> None:
    """It is not fetched from elsewhere instead."""
    started = Started(tmp_path, mirrored=True, images=f"sha256:{'1' * 64} sha256:other\n")
    assert started.words == []
    assert started.done.returncode == 1
    assert started.done.stderr.decode().startswith(f"the image sha256:{'0' * 64} is not on this machine any more")


@pytest.mark.parametrize("killed", [False, True])
def test_a_login_is_there_for_the_client_alone(tmp_path: Path, killed: bool) -> None:
    """It can be read as often as the client wants, and has no name in any folder, also when the script is killed."""
    client = tmp_path / "docker"
    client.write_text(CLIENT)
    client.chmod(0o755)
    for name in ("asked", "images", *(["killer"] if killed else [])):
        (tmp_path / name).touch()
    part = replace(REPLICA, image=IMAGE, registry=Registry(mirror="m.example/r", username="me", password="reg"))
    step = bring(part, Places.of(REPLICA, f"{tmp_path}/state"), str(client), {"reg": Secret("poison\n")})
    done = subprocess.run(["sh", "-c", step.script], input=step.stdin.encode(), capture_output=True, check=False)
    assert done.returncode == (-signal.SIGKILL if killed else 0)
    assert (tmp_path / "asked").read_text().splitlines()[-1] == f"pull m.example/r/llama.cpp@sha256:{'0' * 64}"
    login = json.dumps({"auths": {"m.example": {"auth": base64.b64encode(b"me:poison").decode()}}})
    assert (tmp_path / "login").read_text() == login * 2
    left = [path for path in (tmp_path / "state").rglob("*") if path.name == "config.json"]
    assert [str(path.readlink()) for path in left] == (["/proc/self/fd/7"] if killed else [])
    assert "poison" not in step.script + repr(step)


def _mark() -> str:
    return f"{REPLICA.stack}/{REPLICA.name}/a"


def test_a_container_sees_the_file_with_its_key_and_no_word_has_it(tmp_path: Path) -> None:
    """Read-only, at the path that its arguments name."""
    started = Started(tmp_path, keys="5ec7e7\n")
    assert f"--mount=type=bind,source={started.keys},target={started.keys},readonly" in started.words
    assert "5ec7e7" not in str(started.words)


def test_without_its_key_no_container_starts(tmp_path: Path) -> None:
    """With an empty file the engine would let everybody in."""
    started = Started(tmp_path, keys="")
    assert (started.done.returncode, started.words) == (1, [])
    assert b"its key is missing" in started.done.stderr
