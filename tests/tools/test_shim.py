"""`bin/pulumi` sets defaults for this clone and respects everything the user has decided."""

import json
import os
import platform
import shutil
import stat
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

FakeProgram = Callable[[Path, str], Path]
SHIM = Path(__file__).parents[2] / "bin" / "pulumi"
SHOW = 'env | grep ^PULUMI_ | sort; echo "ARGS=$*"; echo "CWD=$(pwd -P)"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Clone:
    """A copy of the shim in an empty clone, with a fake CLI in the cache of an empty home."""

    root: Path
    home: Path

    def lock(self, *, pid: int, hostname: str = platform.node(), stack: str = "laptop") -> Path:
        """A lock as the CLI's file backend writes it (read 2026-11, 3.259.0)."""
        file = self.root / ".pulumi/state/.pulumi/locks/organization/enginehouse-infra" / stack / f"{pid}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        owner = {"pid": pid, "username": "ada", "hostname": hostname, "timestamp": "2026-11-24T12:00:00Z"}
        file.write_text(json.dumps(owner, separators=(",", ":")))
        return file

    def run(self, *args: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> dict[str, str]:
        """What the CLI sees: its PULUMI_ variables, ARGS and CWD."""
        done = subprocess.run(
            [str(self.root / "bin" / "pulumi"), *args],
            cwd=cwd or self.root,
            env={"HOME": str(self.home), **(env or {})},
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        return dict(line.split("=", 1) for line in done.stdout.splitlines())

    @property
    def backend(self) -> str:
        """The backend the shim chooses by itself."""
        return f"file://{self.root}/.pulumi/state"


@pytest.fixture
def clone(tmp_path: Path, fake_program: FakeProgram) -> Clone:
    """An empty clone; its path has a space, as on many desktops."""
    root, home = tmp_path / "my clone", tmp_path / "home"
    (root / "bin").mkdir(parents=True)
    shutil.copy2(SHIM, root / "bin" / "pulumi")
    fake_program(home / ".cache" / "enginehouse" / "bin" / "pulumi", SHOW)
    return Clone(root=root, home=home)


def test_defaults_in_an_empty_environment(clone: Clone) -> None:
    """`env -i HOME=...` is enough: own home, own backend, own passphrase."""
    seen = clone.run("up", "-s", "laptop")
    assert {name: value for name, value in seen.items() if name.startswith("PULUMI")} == {
        "PULUMI_BACKEND_URL": clone.backend,
        "PULUMI_CONFIG_PASSPHRASE_FILE": f"{clone.root}/.pulumi/passphrase",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_HOME": f"{clone.root}/.pulumi",
        "PULUMI_PARALLEL": "64",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }
    assert seen["ARGS"] == "up -s laptop"
    assert (clone.root / ".pulumi" / "state").is_dir()


@pytest.fixture
def dead() -> int:
    """The id of a process that has ended."""
    ended = subprocess.Popen(["true"])
    ended.wait()
    return ended.pid


def test_the_lock_of_a_dead_run_is_removed_and_told(clone: Clone, dead: int) -> None:
    """In one line, on stderr, with the stack and the process."""
    lock = clone.lock(pid=dead)
    shim = [str(clone.root / "bin" / "pulumi")]
    done = subprocess.run(shim, env={"HOME": str(clone.home)}, capture_output=True, text=True, timeout=120, check=True)
    assert done.stderr == f"pulumi: removed the lock of a run of laptop that died (process {dead})\n"
    assert not lock.exists()


def test_a_lock_whose_process_number_was_given_to_another_program_is_removed(clone: Clone) -> None:
    """After a restart of the machine the number may be anybody's: this test's, for example."""
    lock = clone.lock(pid=os.getpid())
    clone.run()
    assert not lock.exists()


def test_the_lock_of_a_living_run_stays(clone: Clone, fake_program: FakeProgram, tmp_path: Path) -> None:
    """A process that is called pulumi may be that run."""
    name = tmp_path / "pulumi"
    name.symlink_to(shutil.which("sleep") or "")
    with subprocess.Popen([str(name), "60"]) as living:
        lock = clone.lock(pid=living.pid)
        clone.run()
        living.kill()
    assert lock.exists()


def test_the_lock_of_another_machine_stays(clone: Clone, dead: int) -> None:
    """Whether that process lives can't be seen from here. One that is being written right now stays, too."""
    locks = [clone.lock(pid=dead, hostname="elsewhere"), clone.lock(pid=dead, stack="other")]
    locks[1].write_text("")
    clone.run()
    assert all(lock.exists() for lock in locks)


def test_locks_of_a_backend_of_the_user_stay(clone: Clone, dead: int) -> None:
    """Only the clone's own backend is ours to look into."""
    lock = clone.lock(pid=dead)
    clone.run(env={"PULUMI_BACKEND_URL": "s3://states"})
    assert lock.exists()


def test_a_refresh_does_not_ask_about_creates_that_were_interrupted(clone: Clone) -> None:
    """The next `up` continues them. What the user says about them wins, and other verbs are left alone."""
    assert clone.run("refresh", "--yes")["ARGS"] == "refresh --yes --skip-pending-creates"
    assert clone.run("refresh", "--clear-pending-creates")["ARGS"] == "refresh --clear-pending-creates"
    assert clone.run("up", "--refresh")["ARGS"] == "up --refresh"


def test_the_passphrase_is_private_and_stays(clone: Clone) -> None:
    """Mode 0600, long enough, and never replaced."""
    clone.run()
    file = clone.root / ".pulumi" / "passphrase"
    first = file.read_text(encoding="utf-8")
    clone.run()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert (len(first), file.read_text(encoding="utf-8")) == (48, first)
    assert [entry.name for entry in file.parent.iterdir() if "passphrase" in entry.name] == ["passphrase"]


def test_a_sub_folder_makes_no_difference(clone: Clone) -> None:
    """The clone is found from the shim's own place; the CLI runs where the user is."""
    deep = clone.root / "infra" / "deep"
    deep.mkdir(parents=True)
    seen = clone.run(cwd=deep)
    assert (seen["PULUMI_BACKEND_URL"], seen["CWD"]) == (clone.backend, str(deep))


def test_a_link_to_the_shim_works(clone: Clone, tmp_path: Path) -> None:
    """`ln -s clone/bin/pulumi ~/bin/` still finds the clone."""
    at = tmp_path / "pulumi"
    at.symlink_to(clone.root / "bin" / "pulumi")
    done = subprocess.run(
        [str(at)], env={"HOME": str(clone.home)}, capture_output=True, text=True, timeout=120, check=True
    )
    assert f"PULUMI_BACKEND_URL={clone.backend}" in done.stdout


def test_a_backend_of_the_user_is_left_alone(clone: Clone) -> None:
    """Neither home nor passphrase is touched then."""
    seen = clone.run(env={"PULUMI_BACKEND_URL": "s3://states"})
    assert seen["PULUMI_BACKEND_URL"] == "s3://states"
    assert not {"PULUMI_HOME", "PULUMI_CONFIG_PASSPHRASE_FILE"} & seen.keys()
    assert not (clone.root / ".pulumi").exists()


@pytest.mark.parametrize("env", [{}, {"PULUMI_HOME": "{home}/elsewhere"}])
def test_a_login_of_the_user_is_left_alone(clone: Clone, env: dict[str, str]) -> None:
    """Who has run `pulumi login` keeps that backend."""
    env = {name: value.format(home=clone.home) for name, value in env.items()}
    folder = Path(env.get("PULUMI_HOME", clone.home / ".pulumi"))
    folder.mkdir()
    (folder / "credentials.json").write_text('{\n  "current": "https://api.example",\n  "accounts": {}\n}')
    seen = clone.run(env=env)
    assert "PULUMI_BACKEND_URL" not in seen
    assert seen.get("PULUMI_HOME") == env.get("PULUMI_HOME")


def test_an_access_token_is_a_login(clone: Clone) -> None:
    """CI jobs for Pulumi Cloud set only that."""
    assert "PULUMI_BACKEND_URL" not in clone.run(env={"PULUMI_ACCESS_TOKEN": "pul-1"})


def test_a_logged_out_user_gets_the_defaults(clone: Clone) -> None:
    """`pulumi logout` leaves a file with an empty `current`."""
    (clone.home / ".pulumi").mkdir()
    (clone.home / ".pulumi" / "credentials.json").write_text('{"current": "", "accounts": {}}')
    assert clone.run()["PULUMI_BACKEND_URL"] == clone.backend


@pytest.mark.parametrize("name", ["PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"])
def test_a_passphrase_of_the_user_is_left_alone(clone: Clone, name: str) -> None:
    """Also an empty one, which is a valid passphrase."""
    seen = clone.run(env={name: ""})
    assert {key for key in seen if "PASSPHRASE" in key} == {name}
    assert not (clone.root / ".pulumi" / "passphrase").exists()


def test_settings_of_the_user_win(clone: Clone) -> None:
    """Parallelism and the update check are only defaults."""
    seen = clone.run(env={"PULUMI_PARALLEL": "4", "PULUMI_SKIP_UPDATE_CHECK": "false"})
    assert (seen["PULUMI_PARALLEL"], seen["PULUMI_SKIP_UPDATE_CHECK"]) == ("4", "false")


def test_two_first_runs_agree_on_one_passphrase(clone: Clone) -> None:
    """Neither run may work with a passphrase that is then overwritten."""
    env = {"HOME": str(clone.home)}
    argv = [str(clone.root / "bin" / "pulumi")]
    runs = [subprocess.Popen(argv, env=env, stdout=subprocess.DEVNULL) for _ in range(8)]
    assert [run.wait(timeout=120) for run in runs] == [0] * 8
    assert len((clone.root / ".pulumi" / "passphrase").read_text(encoding="utf-8")) == 48


def test_the_cli_on_path_is_used_when_nothing_is_set_up(
    clone: Clone, tmp_path: Path, fake_program: FakeProgram
) -> None:
    """The shim itself, being first on PATH, is passed over."""
    real = fake_program(tmp_path / "usr" / "pulumi", "echo FROM=path")
    path = f"{clone.root}/bin:{real.parent}:{os.environ['PATH']}"
    assert clone.run(env={"PATH": path, "ENGINEHOUSE_CACHE": str(tmp_path / "empty")}) == {"FROM": "path"}


def test_without_any_cli_it_says_what_to_do(clone: Clone, tmp_path: Path) -> None:
    """Exit code 127, like a missing command, and the command to run."""
    done = subprocess.run(
        [str(clone.root / "bin" / "pulumi")],
        env={"HOME": str(clone.home), "ENGINEHOUSE_CACHE": str(tmp_path / "empty"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, f"make -C '{clone.root}' setup" in done.stderr) == (127, True)
