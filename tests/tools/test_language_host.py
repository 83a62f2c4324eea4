"""The language host's pieces, and the whole process without a Pulumi engine."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime.proto import language_pb2 as pb
from pulumi.runtime.proto import language_pb2_grpc as rpc

import pulumi  # noqa: F401  (before the host: it stands in for the parts of the SDK that it does not need)

SOURCE = Path(__file__).parents[2] / "tools" / "pulumi" / "language_host.py"


@pytest.fixture(scope="module")
def host() -> ModuleType:
    """The host as a module; it is a script, so it is loaded by its path."""
    spec = importlib.util.spec_from_file_location("language_host", SOURCE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["language_host"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project's root with a virtual environment that only looks like one."""
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").symlink_to(sys.executable)
    return tmp_path


def run_request(root: Path) -> pb.RunRequest:
    options = Struct()
    options.update({"toolchain": "pip", "virtualenv": ".venv"})
    info = pb.ProgramInfo(
        root_directory=str(root), program_directory=str(root / "infra"), entry_point=".", options=options
    )
    return pb.RunRequest(
        project="demo",
        stack="dev",
        pwd=str(root / "infra"),
        config={"demo:key": "secret"},
        configSecretKeys=["demo:key"],
        dryRun=True,
        parallel=64,
        monitor_address="127.0.0.1:1",
        organization="organization",
        info=info,
    )


def test_a_relative_environment_counts_from_the_project(host: ModuleType, project: Path) -> None:
    """`main: infra/` does not change where `.venv` is looked for."""
    found = host.find_environment(project, {"toolchain": "pip", "virtualenv": ".venv"})
    assert (found.python, found.virtualenv) == (project / ".venv/bin/python", project / ".venv")


def test_an_absolute_environment_is_taken_as_it_is(host: ModuleType, project: Path, tmp_path: Path) -> None:
    """The project's root does not matter then."""
    found = host.find_environment(tmp_path / "other", {"virtualenv": str(project / ".venv")})
    assert found.virtualenv == project / ".venv"


def test_without_an_environment_the_hosts_interpreter_runs_the_program(host: ModuleType, project: Path) -> None:
    """No `virtualenv` option means the Python at hand."""
    assert host.find_environment(project, {}).virtualenv is None


def test_a_missing_environment_is_explained(host: ModuleType, tmp_path: Path) -> None:
    """The message names the folder and what creates it."""
    with pytest.raises(host.NoEnvironment, match=r"\.venv/bin/python does not exist; .*make setup"):
        host.find_environment(tmp_path, {"virtualenv": ".venv"})


def test_configuration_travels_in_the_environment_only(host: ModuleType, project: Path) -> None:
    """A command line is readable by every user of the machine."""
    request = run_request(project)
    environment = host.find_environment(project, {"virtualenv": ".venv"})
    argv = host.command(request, environment, executor=Path("/bin/exec"), engine="127.0.0.1:2")
    variables = host.program_variables(request, environment, {"PATH": "/bin", "PYTHONHOME": "/wrong"})
    assert "secret" not in " ".join(argv)
    assert json.loads(variables["PULUMI_CONFIG"]) == {"demo:key": "secret"}
    assert json.loads(variables["PULUMI_CONFIG_SECRET_KEYS"]) == ["demo:key"]
    assert (variables["PATH"], variables["VIRTUAL_ENV"]) == (f"{project}/.venv/bin:/bin", f"{project}/.venv")
    assert "PYTHONHOME" not in variables


def test_the_command_line_is_the_executors(host: ModuleType, project: Path) -> None:
    """Every option that the executor knows, then the program."""
    environment = host.find_environment(project, {"virtualenv": ".venv"})
    argv = host.command(run_request(project), environment, executor=Path("/x/exec"), engine="127.0.0.1:2")
    assert argv == (
        *(f"{project}/.venv/bin/python", "-u", "/x/exec"),
        *("--monitor", "127.0.0.1:1", "--engine", "127.0.0.1:2", "--project", "demo", "--stack", "dev"),
        *("--pwd", f"{project}/infra", "--dry_run", "true", "--parallel", "64", "--tracing", ""),
        *("--organization", "organization", "--root_directory", str(project), f"{project}/infra"),
    )


@pytest.mark.parametrize(
    ("returncode", "bail", "error"),
    [(0, False, ""), (32, True, ""), (1, False, "exit code 1"), (-15, False, "signal 15")],
)
def test_exit_codes_become_answers(host: ModuleType, returncode: int, bail: bool, error: str) -> None:
    """32 means that the user has seen the reason already."""
    response = host.run_response(returncode)
    assert (response.bail, error in response.error, bool(response.error)) == (bail, True, bool(error))


def test_the_engine_address_is_the_last_word(host: ModuleType) -> None:
    """Flags before it are the Pulumi engine's business."""
    assert host.engine_address(["-logflow", "-v=9", "127.0.0.1:5"]) == "127.0.0.1:5"
    with pytest.raises(SystemExit, match="usage"):
        host.engine_address(["-v=9"])


def test_stopping_ends_the_program_and_starts_no_more(host: ModuleType, tmp_path: Path) -> None:
    """The running one gets SIGTERM; one that would start afterwards does not."""
    programs, ended = host.Programs(), []
    fifo = tmp_path / "started"
    os.mkfifo(fifo)
    argv = ("/bin/sh", "-c", f"echo > {fifo}; exec cat {fifo}")  # waits for a writer that never comes
    runner = threading.Thread(target=lambda: ended.append(programs.run(argv, variables={"PATH": "/usr/bin:/bin"})))
    runner.start()
    fifo.read_text(encoding="utf-8")
    programs.stop()
    runner.join(timeout=120)
    assert ended == [-signal.SIGTERM]
    assert programs.run(("/bin/sh", "-c", "exit 0"), variables={}) == -signal.SIGTERM


@contextmanager
def started() -> Iterator["subprocess.Popen[str]"]:
    """The host as its own process; the engine's address leads nowhere, which it must not mind."""
    argv = [sys.executable, "-u", str(SOURCE), "-v=1", "127.0.0.1:1"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, start_new_session=True) as running:
        yield running
        running.kill()


@pytest.fixture
def process() -> Iterator["subprocess.Popen[str]"]:
    with started() as running:
        yield running


def test_the_process_announces_its_port_and_answers(process: "subprocess.Popen[str]", project: Path) -> None:
    """One line with the port, then calls: version, required packages, a program that cannot run."""
    assert process.stdout is not None
    port = int(process.stdout.readline())
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = rpc.LanguageRuntimeStub(channel)
        assert stub.GetPluginInfo(Empty(), timeout=120).version == "3.259.0"
        assert not stub.GetRequiredPackages(pb.GetRequiredPackagesRequest(), timeout=120).packages
        answer = stub.Run(run_request(project / "nowhere"), timeout=120)
        assert "does not exist" in answer.error


def test_sigint_ends_the_process_at_once() -> None:
    """The Pulumi engine waits for its plugins at the end of each update; half a second is already too long.

    On a busy machine one of several has to manage it: a wait of its own would be in each of them.
    """
    assert any(_ends_within(0.5) for _ in range(30))


def _ends_within(seconds: float) -> bool:
    with started() as process:
        assert process.stdout is not None
        process.stdout.readline()
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0
        return time.monotonic() - begun < seconds
