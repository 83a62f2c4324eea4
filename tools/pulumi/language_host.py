"""A Pulumi language host for Python programs, for a CLI that was built without the official one.

The Pulumi engine starts it with its own address as last argument and reads the gRPC port from the first line of
stdout. The host answers LanguageRuntime calls; `Run` starts the program through `pulumi-language-python-exec`, which
lies beside it. Supported: the `pip` toolchain with a virtual environment, and everything that preview, up, refresh,
destroy, import, about and the automation API ask for. Not supported: code generation, `pulumi package add`, plugins
that are Python projects, debuggers.

The engine ends its plugins with SIGINT to the process group and waits up to five seconds for them, twice per update;
so the host exits at once. The program runs in a session of its own: it would answer that SIGINT with a traceback.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import types
from collections.abc import Iterator, Mapping
from concurrent import futures
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

import grpc


def _skip_sdk_start() -> None:
    """Import only the SDK's messages: empty parents in sys.modules save the whole SDK's import time (0.2 s)."""
    if "pulumi" in sys.modules:
        return
    spec = util.find_spec("pulumi")
    if spec is None or spec.origin is None:
        raise SystemExit("the Python package `pulumi` is missing beside the language host")
    folder = Path(spec.origin).parent
    for name, path in (("pulumi", folder), ("pulumi.runtime", folder / "runtime")):
        module = types.ModuleType(name)
        module.__path__ = [str(path)]
        sys.modules[name] = module


_skip_sdk_start()

from google.protobuf.empty_pb2 import Empty  # noqa: E402
from google.protobuf.json_format import MessageToDict  # noqa: E402
from pulumi.runtime.proto import language_pb2 as pb  # noqa: E402
from pulumi.runtime.proto import language_pb2_grpc as rpc  # noqa: E402
from pulumi.runtime.proto import plugin_pb2  # noqa: E402

EXECUTOR = "pulumi-language-python-exec"
ALREADY_EXPLAINED = 32  # exit code of the executor once it has shown the error itself
DEFAULT_VIRTUALENV = ".venv"
ORPHAN_CHECK_S = 5.0  # how long a host may outlive a Pulumi engine that was killed
MAX_MESSAGE_BYTES = 400 * 1024 * 1024  # the limit the Pulumi engine uses itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """The interpreter a program runs with; `virtualenv` is None outside of a virtual environment."""

    python: Path
    virtualenv: Path | None

    def variables(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Variables of an activated environment, on top of `environ`."""
        if self.virtualenv is None:
            return dict(environ)
        path = f"{self.virtualenv / 'bin'}{os.pathsep}{environ.get('PATH', os.defpath)}"
        kept = {name: value for name, value in environ.items() if name != "PYTHONHOME"}
        return {**kept, "VIRTUAL_ENV": str(self.virtualenv), "PATH": path}


class NoEnvironment(Exception):
    """The project names a virtual environment that is not there."""


def find_environment(root: Path, options: Mapping[str, object]) -> Environment:
    """The environment that Pulumi.yaml's runtime options ask for; a relative one counts from the project's root."""
    virtualenv = options.get("virtualenv")
    if not virtualenv and options.get("toolchain") in ("uv", "poetry"):
        virtualenv = DEFAULT_VIRTUALENV
    if not virtualenv:
        return Environment(python=Path(sys.executable), virtualenv=None)
    folder = root / str(virtualenv)
    python = folder / "bin" / "python"
    if not python.exists():
        raise NoEnvironment(f"{python} does not exist; create the virtual environment first (here: `make setup`)")
    return Environment(python=python, virtualenv=folder)


def command(request: pb.RunRequest, environment: Environment, *, executor: Path, engine: str) -> tuple[str, ...]:
    """The command line that runs the program of a request; `engine` is the Pulumi engine's address."""
    info = request.info
    return (
        *(str(environment.python), "-u", str(executor)),
        *("--monitor", request.monitor_address),
        *("--engine", engine),
        *("--project", request.project),
        *("--stack", request.stack),
        *("--pwd", request.pwd),
        *("--dry_run", "true" if request.dryRun else "false"),
        *("--parallel", str(request.parallel)),
        *("--tracing", ""),
        *("--organization", request.organization),
        *("--root_directory", info.root_directory),
        str(Path(info.program_directory) / info.entry_point),
        *request.args,
    )


def program_variables(request: pb.RunRequest, environment: Environment, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of the program: its configuration travels here, not on the command line."""
    return {
        **environment.variables(environ),
        "PULUMI_CONFIG": json.dumps(dict(request.config)),
        "PULUMI_CONFIG_SECRET_KEYS": json.dumps(list(request.configSecretKeys)),
    }


def run_response(returncode: int) -> pb.RunResponse:
    """What the Pulumi engine is told about a program that has ended."""
    if returncode == 0:
        return pb.RunResponse()
    if returncode == ALREADY_EXPLAINED:
        return pb.RunResponse(bail=True)
    reason = f"signal {-returncode}" if returncode < 0 else f"exit code {returncode}"
    return pb.RunResponse(error=f"Program ended with {reason}; its output is above")


class Programs:
    """The programs that run right now, so that they can be stopped."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopped = False

    def run(self, argv: tuple[str, ...], *, variables: Mapping[str, str]) -> int:
        """Run one program to its end, its output being the host's; returns its exit code (negative: a signal)."""
        with self._lock:
            if self._stopped:
                return -signal.SIGTERM
            process = subprocess.Popen(argv, env=variables, stdin=subprocess.DEVNULL, start_new_session=True)
            self._running.add(process)
        try:
            return process.wait()
        finally:
            with self._lock:
                self._running.discard(process)

    def stop(self) -> None:
        """Ask all programs to end, and start no more."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                process.terminate()


class LanguageHost(rpc.LanguageRuntimeServicer):
    """LanguageRuntime for Python; method names are the protocol's. What is missing here answers "unimplemented"."""

    def __init__(self, engine: str, programs: Programs, *, executor: Path) -> None:
        self._engine = engine
        self._programs = programs
        self._executor = executor

    def Handshake(  # noqa: N802
        self, request: pb.LanguageHandshakeRequest, context: grpc.ServicerContext
    ) -> pb.LanguageHandshakeResponse:
        """Nothing to negotiate."""
        return pb.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: Empty, context: grpc.ServicerContext) -> plugin_pb2.PluginInfo:  # noqa: N802
        """The host carries the SDK's version."""
        return plugin_pb2.PluginInfo(version=metadata.version("pulumi"))

    def GetRequiredPlugins(  # noqa: N802
        self, request: pb.GetRequiredPluginsRequest, context: grpc.ServicerContext
    ) -> pb.GetRequiredPluginsResponse:
        """None in advance: plugins are looked up when a resource needs one."""
        return pb.GetRequiredPluginsResponse()

    def GetRequiredPackages(  # noqa: N802
        self, request: pb.GetRequiredPackagesRequest, context: grpc.ServicerContext
    ) -> pb.GetRequiredPackagesResponse:
        """None in advance, see GetRequiredPlugins."""
        return pb.GetRequiredPackagesResponse()

    def Run(self, request: pb.RunRequest, context: grpc.ServicerContext) -> pb.RunResponse:  # noqa: N802
        """Run the program to its end."""
        try:
            environment = _environment_of(request.info)
        except NoEnvironment as err:
            return pb.RunResponse(error=str(err))
        argv = command(request, environment, executor=self._executor, engine=self._engine)
        variables = program_variables(request, environment, os.environ)
        return run_response(self._programs.run(argv, variables=variables))

    def About(self, request: pb.AboutRequest, context: grpc.ServicerContext) -> pb.AboutResponse:  # noqa: N802
        """Which interpreter runs the program."""
        python = _environment_or_abort(request.info, context).python
        version = subprocess.run([python, "-V"], capture_output=True, text=True, timeout=30, check=False).stdout
        return pb.AboutResponse(executable=str(python), version=version.strip().removeprefix("Python "))

    def GetProgramDependencies(  # noqa: N802
        self, request: pb.GetProgramDependenciesRequest, context: grpc.ServicerContext
    ) -> pb.GetProgramDependenciesResponse:
        """What is installed in the program's environment."""
        environment = _environment_or_abort(request.info, context)
        found = [pb.DependencyInfo(name=name, version=version) for name, version in installed(environment)]
        return pb.GetProgramDependenciesResponse(dependencies=found)

    def InstallDependencies(  # noqa: N802
        self, request: pb.InstallDependenciesRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.InstallDependenciesResponse]:
        """Not this host's job: the project's own setup installs pinned packages."""
        yield pb.InstallDependenciesResponse(stdout=b"Python packages are installed by the project's own setup.\n")

    def RuntimeOptionsPrompts(  # noqa: N802
        self, request: pb.RuntimeOptionsRequest, context: grpc.ServicerContext
    ) -> pb.RuntimeOptionsResponse:
        """No questions."""
        return pb.RuntimeOptionsResponse()

    def Cancel(self, request: Empty, context: grpc.ServicerContext) -> Empty:  # noqa: N802
        """Stop what runs; `Run` then answers with an error."""
        self._programs.stop()
        return Empty()


def installed(environment: Environment) -> list[tuple[str, str]]:
    """Names and versions of the packages in an environment, sorted."""
    if environment.virtualenv is None:
        found = metadata.distributions()
    else:
        folders = environment.virtualenv.glob("lib/python*/site-packages")
        found = metadata.distributions(path=[str(folder) for folder in folders])
    return sorted((package.name, package.version) for package in found)


def serve(engine: str) -> None:
    """Serve until SIGINT, SIGTERM, or the death of the Pulumi engine that started us."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, frame: stop.set())
    parent = os.getppid()
    programs = Programs()
    limits = [
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ]
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8), options=limits)
    host = LanguageHost(engine, programs, executor=Path(__file__).with_name(EXECUTOR))
    rpc.add_LanguageRuntimeServicer_to_server(host, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    while not stop.wait(ORPHAN_CHECK_S) and os.getppid() == parent:
        pass
    programs.stop()


def engine_address(argv: list[str]) -> str:
    """The Pulumi engine's address: the last argument that is not a flag."""
    positional = [word for word in argv if not word.startswith("-")]
    if not positional:
        raise SystemExit("usage: pulumi-language-python [flags] ENGINE_ADDRESS (the Pulumi engine starts this program)")
    return positional[-1]


def _environment_of(info: pb.ProgramInfo) -> Environment:
    return find_environment(Path(info.root_directory), MessageToDict(info.options))


def _environment_or_abort(info: pb.ProgramInfo, context: grpc.ServicerContext) -> Environment:
    try:
        return _environment_of(info)
    except NoEnvironment as err:
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(err))
        raise


if __name__ == "__main__":
    serve(engine_address(sys.argv[1:]))
    os._exit(0)  # no waiting for gRPC's threads: the Pulumi engine is waiting for us
