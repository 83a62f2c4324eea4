"""llama-server: taken from PATH when it is the pinned build, else compiled from the source archive.

There is no download of the official release: it publishes no checksums file, and none is pinned here.
"""

import os
import re
import shutil
import tarfile
import tempfile
from pathlib import Path

from bootstrap import pip, system
from bootstrap.commands import gentle, output, run
from bootstrap.context import Context
from bootstrap.errors import CommandFailed
from bootstrap.store import Recipe, link, sha256

NAME = "llama-server"
WHY = "takes 5 to 20 minutes: no package registry has a usable binary, so about 200 C++ files are compiled"


def install(context: Context) -> str:
    """Put `llama-server` into the cache's bin folder; returns where it comes from."""
    at = context.places.bin / NAME
    version = context.versions.llama_server.version
    if found := on_path(version):
        link(found, at)
        return f"b{version} from {found}"
    entry = context.store.ensure(recipe(context), lambda draft: _build_step(context, draft))
    link(entry / "bin" / NAME, at)
    return f"b{version} built from source"


def on_path(version: str) -> Path | None:
    """The `llama-server` on PATH, if it is exactly this build."""
    program = shutil.which(NAME)
    if program is None:
        return None
    try:
        text = output((program, "--version"))
    except CommandFailed:
        return None
    return Path(program) if build_number(text) == version else None


def build_number(text: str) -> str:
    """The build number in the output of `llama-server --version`, or an empty string.

    Older builds print `version: 6000 (1a2b3c)`, newer ones `version: 0.6.0 (build 11434, commit 1a2b3c)`.
    """
    found = re.search(r"^version: (?:.*\(build )?(\d+)(?=[ ,)])", text, re.M)
    return found.group(1) if found else ""


def recipe(context: Context) -> Recipe:
    """What the compiled program depends on."""
    pinned = context.versions.llama_server
    return Recipe(
        name=NAME,
        version=f"b{pinned.version}",
        inputs={
            "source": pinned.source.line,
            "cmake": " ".join(pinned.cmake),
            "launcher": sha256(_launcher(context)),
            "machine": os.uname().machine,
        },
    )


def _build_step(context: Context, draft: Path) -> None:
    with context.progress.step(f"llama-server b{context.versions.llama_server.version}: building", why=WHY):
        system.require(system.COMPILER, why="building llama-server", log=context.log("apt"), progress=context.progress)
        with tempfile.TemporaryDirectory(prefix="enginehouse-llama-") as work:
            binary = _compile(context, _unpack(context, Path(work)), Path(work) / "build")
            _keep(binary, draft)


def _unpack(context: Context, work: Path) -> Path:
    """Download the source archive and unpack it; returns the folder of llama.cpp."""
    downloads = work / "download"
    downloads.mkdir()
    package = context.versions.llama_server.source
    archive = pip.download(context.places.python, package, into=downloads, log=context.log(NAME), source=True)
    context.progress.note(f"source: {archive.name}, checksum verified")
    with tarfile.open(archive) as tar:
        tar.extractall(work / "source", filter="data")
    archive.unlink()
    (top,) = (work / "source").iterdir()
    return top / "llama.cpp"


def _compile(context: Context, source: Path, build: Path) -> Path:
    """Configure and compile; returns the finished program."""
    log = context.log(NAME)
    options = (*context.versions.llama_server.cmake, f"-DCMAKE_CXX_COMPILER_LAUNCHER={_launcher(context)}")
    run(("cmake", "-S", str(source), "-B", str(build), "-G", "Ninja", *options), log=log)
    jobs = str(os.cpu_count() or 1)
    argv = gentle(("cmake", "--build", str(build), "--target", NAME, "-j", jobs))

    def on_line(text: str) -> None:
        if found := re.match(r"\[(\d+)/(\d+)\]", text):
            context.progress.count(int(found.group(1)), int(found.group(2)), "files compiled")

    run(argv, log=log, env={"NINJA_STATUS": "[%f/%t] "}, on_line=on_line, hint=f"the whole output is in {log}")
    return build / "bin" / NAME


def _keep(binary: Path, draft: Path) -> None:
    (draft / "bin").mkdir()
    if shutil.which("strip"):
        output(("strip", str(binary)))
    shutil.copy2(binary, draft / "bin" / NAME)
    output((str(draft / "bin" / NAME), "--version"))


def _launcher(context: Context) -> Path:
    return context.places.tools / "llama" / "cxx_launcher.sh"
