"""Shell functions of an installation of NVIDIA's software, with stand-ins for the machine's programs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from enginehouse.converge import scripts
from enginehouse.render.templates import render

SAME_DOCKER = 'docker_identity() { echo "boot 7 1"; }\n'
"""The dockerd that runs is the one that began without the toolkit."""
RESTARTS = 'systemctl() { echo "systemctl $*"; }\n'
FAILS = "echo theirs\nexit 1"
GIVEN_UP = "exit 124"
"""As `timeout` ends when it has ended Docker's program."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "before").write_text("boot 7 1\n")
    return tmp_path


def put_docker(folder: Path, ps: str) -> None:
    """One that keeps no containers; `ps` is what it does when it is asked for them."""
    put_program(folder, "docker", f"case $1 in\n    info) echo false ;;\n    ps)\n{ps}\n;;\nesac\n")


def put_program(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}")
    (folder / name).chmod(0o755)


def run(folder: Path, command: str, *, changes: bool = True) -> subprocess.CompletedProcess[str]:
    """With all functions that change something, or only with those of a look."""
    names = ("probe", "gpus", "nvidia_facts", "packages", "nvidia") if changes else ("probe", "gpus", "nvidia_facts")
    libraries = [render(f"host/{name}.sh") for name in names]
    script = scripts.change(*libraries, command) if changes else "\n".join((*libraries, command))
    environ = {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "HOME": "/nowhere",
        "before": f"{folder}/before",
        "mark": f"{folder}/mark",
    }
    return subprocess.run(["sh"], input=script, env=environ, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("ps", [FAILS, GIVEN_UP])
def test_a_docker_that_does_not_tell_what_runs_is_not_restarted(folder: Path, ps: str) -> None:
    """Whether it says something before it fails or not. The file stays, which says that a restart is due."""
    put_docker(folder, ps)
    done = run(folder, f"{SAME_DOCKER}{RESTARTS}restart_docker $before unix:///there")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Docker does not tell which containers run, so it is not restarted\n"
    assert (folder / "before").exists()


def test_a_docker_with_no_container_is_restarted(folder: Path) -> None:
    """Twin: nothing runs, and it says so. With a container it is not, and the container is named."""
    put_docker(folder, "printf 'a\\nb\\n'")
    done = run(folder, f"{SAME_DOCKER}{RESTARTS}restart_docker $before unix:///there")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("meanwhile containers have been started: a b\n")
    put_docker(folder, ":")
    done = run(folder, f"{SAME_DOCKER}{RESTARTS}restart_docker $before unix:///there")
    assert (done.returncode, done.stdout) == (0, "progress restarting Docker\nsystemctl restart docker\n")
    assert not (folder / "before").exists()


@pytest.mark.parametrize(("ps", "silent"), [(FAILS, True), (GIVEN_UP, True), ("echo theirs", False), (":", False)])
def test_a_look_tells_whether_docker_told_what_runs(folder: Path, ps: str, silent: bool) -> None:
    """Nothing said is not the same as nothing there."""
    put_docker(folder, ps)
    done = run(folder, f"{SAME_DOCKER}docker_restart $before unix:///there", changes=False)
    facts = done.stdout.split("\0")
    assert "docker_began_without\tyes\n" in facts
    assert ("docker_silent\tyes\n" in facts) == silent
    assert ("docker_running\ttheirs\n" in facts) == ("theirs" in ps)


APT_MARK = 'echo "$*" >>"${0%/*}/marks"'
DPKG_QUERY = """
case $* in
    *Status-Abbrev*) printf 'ii  libcuda1\\niU  nvidia-driver-cuda\\nii  nvidia-kernel-dkms\\n' ;;
    *Version*) echo 580.82.07-1 ;;
esac
"""
BEGIN = "begin_nvidia $mark\nunhold_driver libcuda1 nvidia-driver-cuda nvidia-kernel-dkms\n"


@pytest.fixture
def apt(folder: Path) -> Path:
    """A machine whose package manager does what it is told, unless a test says otherwise."""
    put_program(folder, "apt-mark", APT_MARK)
    put_program(folder, "dpkg-query", DPKG_QUERY)
    return folder


def marks(folder: Path) -> list[str]:
    return (folder / "marks").read_text().splitlines()


def test_what_was_held_is_held_again_when_an_exchange_fails(apt: Path) -> None:
    """Except what is half installed: the next run installs it anew, which a hold would forbid."""
    done = run(apt, f"{BEGIN}exit 1")
    assert (done.returncode, done.stderr) == (1, "")
    assert marks(apt) == ["unhold libcuda1 nvidia-driver-cuda nvidia-kernel-dkms", "hold libcuda1 nvidia-kernel-dkms"]


def test_what_the_exchange_has_held_is_not_held_once_more(apt: Path) -> None:
    """Twin: it ends well. Held is what the new driver consists of, which may be other packages."""
    put_program(apt, "dpkg-query", "printf 'ii \\t580.82.07-1\\tlibcuda1\\n'")
    done = run(apt, f"{BEGIN}hold_driver 580.82.07\nend_nvidia")
    assert (done.returncode, done.stderr) == (0, "")
    assert marks(apt) == ["unhold libcuda1 nvidia-driver-cuda nvidia-kernel-dkms", "hold libcuda1"]


def put_apt(folder: Path, simulated: str) -> None:
    """One whose `install -s` prints that; what it really installs is written down."""
    put_program(folder, "apt-cache", "echo '  Candidate: 580.82.07-1'")
    real = 'echo "$*" >>"${0%/*}/installed"'
    put_program(folder, "apt-get", f"case \" $* \" in *' -s '*) printf '%s' '{simulated}' ;; *) {real} ;; esac")


# Nothing of it is where apt of this machine would read it.
ELSEWHERE = "mv() { :; }\nload_driver() { :; }\n"
INSTALL = f"{ELSEWHERE}{BEGIN}install_driver 580 nvidia-driver-cuda nvidia-kernel-open-dkms"


def test_an_exchange_that_would_remove_a_package_changes_none(apt: Path) -> None:
    """It is named with what to do, and the hold is as it was."""
    put_apt(apt, "Remv nvidia-kernel-dkms [535.216.03-1]\nInst nvidia-kernel-open-dkms (580.82.07-1 NVIDIA)\n")
    done = run(apt, INSTALL)
    assert done.returncode == 1
    assert done.stderr == (
        "apt would remove nvidia-kernel-dkms for nvidia-driver-cuda nvidia-kernel-open-dkms, which is not done "
        "unasked: `sudo apt-get remove nvidia-kernel-dkms` there, unless something needs that, and run this again\n"
    )
    assert not (apt / "installed").exists() and not (apt / "mark").exists()
    assert marks(apt)[-1] == "hold libcuda1 nvidia-kernel-dkms"


def test_an_exchange_that_removes_nothing_goes_on(apt: Path) -> None:
    """Twin: the same without the line that removes something."""
    put_apt(apt, "Inst nvidia-kernel-open-dkms (580.82.07-1 NVIDIA)\n")
    done = run(apt, INSTALL)
    assert (done.returncode, done.stderr) == (0, "")
    assert (apt / "installed").read_text().endswith("nvidia-driver-cuda nvidia-kernel-open-dkms\n")


@pytest.mark.parametrize(
    ("name", "text", "known"),
    [
        ("cuda.list", "deb http://m.example/cuda /", True),
        ("cuda.sources", "Types: deb\nURIs: http://m.example/cuda\nSuites: /", True),
        ("cuda.list.distUpgrade", "deb http://m.example/cuda /", False),
        ("cuda.list.save", "deb http://m.example/cuda /", False),
        ("cuda.list", "# deb http://m.example/cuda /", False),
        ("ours.list", "deb http://m.example/cuda /", False),
        ("sources.list", "deb http://m.example/cuda /", True),
    ],
)
def test_only_what_apt_reads_makes_a_repository_known(folder: Path, name: str, text: str, known: bool) -> None:
    """An upgrade of the distribution renames what it switches off, and apt reads no other names than these two."""
    places = folder / "sources.list", folder / "sources.list.d"
    places[1].mkdir()
    ((folder if name == "sources.list" else places[1]) / name).write_text(f"{text}\n")
    ours = places[1] / "ours.list"
    done = run(folder, f"known_from_others http://m.example/cuda {ours} {places[0]} {places[1]} || echo unknown")
    assert (done.stdout, done.stderr) == ("" if known else "unknown\n", "")


@pytest.mark.parametrize("rest", ["-1", "~rc1-1", "+b1-1", "-0ubuntu0.22.04.1"])
def test_all_packages_of_the_version_are_held(apt: Path, rest: str) -> None:
    """Whatever comes after it; a version that only begins alike is another one, and other packages are nobody's."""
    there = {
        "libcuda1": f"580.82.07{rest}",
        "nvidia-driver-cuda": f"1:580.82.07{rest}",
        "nvidia-settings": f"580.82.071{rest}",
        "bash": f"580.82.07{rest}",
    }
    lines = "".join(f"ii \\t{version}\\t{name}\\n" for name, version in there.items())
    put_program(apt, "dpkg-query", f"printf '{lines}'")
    done = run(apt, "hold_driver 580.82.07")
    assert (done.returncode, done.stderr) == (0, "")
    assert marks(apt) == ["hold libcuda1 nvidia-driver-cuda"]
