"""The Pulumi CLI with a Python language host, from the first source that works.

1. PATH, if recent enough: an official installation brings its own language host.
2. The official release archive, checked against the publisher's checksums.
3. The Go module, built here. The Go module proxy does not serve the official Python language host, so the one in
   tools/pulumi/ goes beside it; the CLI looks for its hosts in the folder of its own executable.
"""

import os
import shutil
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path

from bootstrap import download, environments, pip
from bootstrap.commands import gentle, output, run
from bootstrap.context import Context
from bootstrap.errors import BootstrapError, CommandFailed
from bootstrap.store import Recipe, link, sha256
from bootstrap.versions import at_least, first_version

NAME = "pulumi"
HOST = "pulumi-language-python"
EXECUTOR = "pulumi-language-python-exec"
PLATFORMS = {"x86_64": "linux-x64", "aarch64": "linux-arm64"}
WHY_BUILD = "takes 4 to 10 minutes: the CLI links the SDKs of all backends, about 2000 Go packages"
HOST_LAUNCHER = """\
#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
exec "$here/../venv/bin/python" -I -u "$here/language_host.py" "$@"
"""


def install(context: Context) -> str:
    """Put `pulumi` into the cache's bin folder; returns where it comes from."""
    at, pinned = context.places.bin / NAME, context.versions.pulumi
    if found := on_path(pinned.minimum, skip=context.places.root / "bin"):
        link(found, at)
        return f"{version_of(found)} from {found}"
    if released := _released(context):
        link(released / NAME / NAME, at)
        return f"{pinned.version} from the official release"
    link(_assembled(context) / "bin" / NAME, at)
    return f"{pinned.version} built from its Go module"


def on_path(minimum: str, *, skip: Path, search: str | None = None) -> Path | None:
    """The first `pulumi` on PATH, if it is at least `minimum`; the shim in `skip` does not count."""
    folders = (search if search is not None else os.environ.get("PATH", "")).split(os.pathsep)
    others = [folder for folder in folders if folder and Path(folder).resolve() != skip.resolve()]
    program = shutil.which(NAME, path=os.pathsep.join(others))
    return Path(program) if program and at_least(version_of(Path(program)), minimum) else None


def version_of(program: Path) -> str:
    """The version a CLI reports, or an empty string when it does not run."""
    try:
        return first_version(output((str(program), "version"), env={"PULUMI_SKIP_UPDATE_CHECK": "true"}))
    except CommandFailed:
        return ""


# The official release


def _released(context: Context) -> Path | None:
    """The official archive's content, or None when this machine cannot get it."""
    recipe = Recipe(name="pulumi-release", version=context.versions.pulumi.version, inputs={"machine": _machine()})
    if context.store.has(recipe):
        return context.store.path(recipe)
    if context.store.has(_cli(context)) or _machine() not in PLATFORMS:
        return None
    archive, checksums = (_release_url(context, kind) for kind in ("archive", "checksums"))
    listed = download.try_text(checksums, timeout_s=context.versions.pulumi.release.timeout_s)
    digest = download.listed_checksum(listed or "", archive.rpartition("/")[2])
    if not digest:
        context.progress.note("pulumi: the official release's checksums cannot be had from here; building instead")
        return None
    try:
        return context.store.ensure(recipe, _unpack_release(context, archive, digest))
    except _Unreachable:
        context.progress.note("pulumi: the official release cannot be downloaded from here; building instead")
        return None


class _Unreachable(Exception):
    """The archive could not be fetched; leaves the store as it was."""


def _release_url(context: Context, kind: str) -> str:
    pinned = context.versions.pulumi
    template = pinned.release.archive if kind == "archive" else pinned.release.checksums
    return template.format(version=pinned.version, platform=PLATFORMS[_machine()])


def _unpack_release(context: Context, url: str, digest: str) -> Callable[[Path], None]:
    def build(draft: Path) -> None:
        with context.progress.step("pulumi: downloading the official release", why="about 100 MB"):
            archive = draft / "archive.tar.gz"
            if not download.try_file(url, archive, timeout_s=context.versions.pulumi.release.timeout_s):
                raise _Unreachable
            download.verify(archive, digest)
            with tarfile.open(archive) as tar:
                tar.extractall(draft, filter="data")
            archive.unlink()

    return build


# Built from the Go module


def _assembled(context: Context) -> Path:
    """CLI, language host and executor side by side."""
    recipe = _assembly(context)
    if context.store.has(recipe):
        return context.store.path(recipe)
    cli = context.store.ensure(_cli(context), lambda draft: _build_cli(context, draft))
    return context.store.ensure(recipe, lambda draft: _assemble(context, cli, draft))


def _cli(context: Context) -> Recipe:
    pinned, module = context.versions.pulumi, context.places.tools / NAME
    return Recipe(
        name="pulumi-cli",
        version=pinned.version,
        inputs={
            "go.mod": sha256(module / "go.mod"),
            "go.sum": sha256(module / "go.sum"),
            "build": " ".join((pinned.package, pinned.go_tags, pinned.version_variable)),
            "machine": _machine(),
        },
    )


def _assembly(context: Context) -> Recipe:
    return Recipe(
        name="pulumi",
        version=context.versions.pulumi.version,
        inputs={
            "cli": _cli(context).entry,
            "host": sha256(_host_source(context)),
            "launcher": HOST_LAUNCHER,
            "packages": _host_requirements(context),
            "python": environments.interpreter(),
        },
    )


def _build_cli(context: Context, draft: Path) -> None:
    """Compile the CLI and copy the executor script out of the SDK's module, both checked against go.sum."""
    if shutil.which("go") is None:
        raise BootstrapError(
            "there is no Pulumi CLI on PATH, its release cannot be downloaded, and building it needs Go",
            hint="install Pulumi (https://www.pulumi.com/docs/install/), or Go 1.25.11 or newer (https://go.dev/dl/)",
        )
    pinned, module = context.versions.pulumi, context.places.tools / NAME
    with context.progress.step(f"pulumi {pinned.version}: building the CLI", why=WHY_BUILD):
        _go_build(context, module, draft / NAME)
        sdk = output(("go", "list", "-m", "-f", "{{.Dir}}", pinned.sdk_module), cwd=module, timeout_s=600.0).strip()
        shutil.copyfile(Path(sdk.splitlines()[-1]) / "python" / "cmd" / EXECUTOR, draft / EXECUTOR)
        (draft / EXECUTOR).chmod(0o755)
        context.progress.note("Go's own caches keep about 3 GB; `go clean -cache -modcache` frees them")


def _go_build(context: Context, module: Path, to: Path) -> None:
    pinned, log = context.versions.pulumi, context.log(NAME)
    hint = f"the whole output is in {log}; Go needs a Go module proxy (see `go help goproxy`)"
    total, done = _count_packages(context, module, hint), 0

    def on_line(text: str) -> None:
        nonlocal done
        if _is_package(text):
            done += 1
            context.progress.count(min(done, total), total, "packages compiled")

    flags = f"-w -s -X {pinned.version_variable}=v{pinned.version}"
    argv = ("go", "build", "-v", "-trimpath", "-mod=readonly", "-tags", pinned.go_tags, "-ldflags", flags)
    run(gentle((*argv, "-o", str(to), pinned.package)), cwd=module, log=log, on_line=on_line, hint=hint)


def _count_packages(context: Context, module: Path, hint: str) -> int:
    """How many packages the CLI has. Fetches their modules, and only those: some others are not served anywhere."""
    pinned, seen = context.versions.pulumi, {"modules": 0, "packages": 0}

    def on_line(text: str) -> None:
        seen["modules"] += text.startswith("go: downloading ")
        seen["packages"] += _is_package(text)

    context.progress.note("fetching Go modules")
    argv = ("go", "list", "-deps", "-mod=readonly", "-tags", pinned.go_tags, pinned.package)
    run(argv, cwd=module, log=context.log(NAME), on_line=on_line, hint=hint)
    context.progress.note(f"{seen['modules']} modules fetched, {seen['packages']} packages to compile")
    return seen["packages"]


def _is_package(line: str) -> bool:
    return bool(line) and " " not in line


def _assemble(context: Context, cli: Path, draft: Path) -> None:
    with context.progress.step("pulumi: language host for Python"):
        folder = draft / "bin"
        folder.mkdir()
        _share(cli / NAME, folder / NAME)
        shutil.copy2(cli / EXECUTOR, folder / EXECUTOR)
        shutil.copyfile(_host_source(context), folder / "language_host.py")
        launcher = folder / HOST
        launcher.write_text(HOST_LAUNCHER, encoding="utf-8")
        launcher.chmod(launcher.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
        environments.create_bare(draft / "venv", _host_requirements(context), context)


def _share(source: Path, to: Path) -> None:
    """A hard link instead of a second copy of 100 MB; the CLI must find its host in its own folder, so no symlink."""
    try:
        os.link(source, to)
    except OSError:
        shutil.copy2(source, to)


def _host_source(context: Context) -> Path:
    return context.places.tools / NAME / "language_host.py"


def _host_requirements(context: Context) -> str:
    text = (context.places.root / "requirements.txt").read_text(encoding="utf-8")
    return pip.select(text, context.versions.pulumi.host_packages)


def _machine() -> str:
    return os.uname().machine
