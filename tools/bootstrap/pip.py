"""Everything asked of pip: always hash-checked, never with a dependency that is not pinned."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from bootstrap.commands import run
from bootstrap.errors import BootstrapError
from bootstrap.progress import Progress
from bootstrap.versions import Package

QUIET = ("--disable-pip-version-check", "--no-input", "--require-hashes", "--progress-bar", "off")
BLOCK = re.compile(r"^([\w.-]+)==(?:.*\\\n)*.*\n?", re.M)  # a pin and its continuation lines
HINT = "pip needs a Python package registry; behind a proxy or with a mirror of your own, set pip's own configuration"


def download(python: Path, package: Package, *, into: Path, log: Path, source: bool = False) -> Path:
    """Fetch one package file; returns it. With `source`, the source archive (no wheel is built, only metadata).

    Only this package is forced to come as source: `:all:` would also build cmake, for its version number alone.
    """
    pin = _write(into / "pin.txt", [package.line])
    kind = ("--no-binary", package.name) if source else ("--only-binary", ":all:")
    argv = (str(python), "-m", "pip", "download", *QUIET, "--no-deps", *kind, "-r", str(pin), "-d", str(into))
    run(argv, log=log, hint=HINT)
    pin.unlink()
    files = list(into.iterdir())
    if len(files) != 1:
        raise BootstrapError(f"pip left {len(files)} files for {package.requirement}, expected one")
    return files[0]


def install(python: Path, requirements: Path, *, log: Path, progress: Progress) -> None:
    """Install a hash-pinned requirements file into the environment of `python`."""
    _install(python, ("-r", str(requirements)), requirements, log=log, progress=progress)


def install_into(python: Path, folder: Path, requirements: Path, *, log: Path, progress: Progress) -> None:
    """Unpack exactly the pinned packages into a folder, with the pip of `python`, following no dependencies."""
    options = ("--no-deps", "--no-warn-script-location", "--target", str(folder), "-r", str(requirements))
    _install(python, options, requirements, log=log, progress=progress)


def select(requirements: str, wanted: Iterable[str]) -> str:
    """The blocks of a pip-compile file that pin the `wanted` packages; each of them has to be there."""
    blocks = {match.group(1): match.group() for match in BLOCK.finditer(requirements)}
    if missing := sorted(set(wanted) - set(blocks)):
        raise BootstrapError(f"requirements.txt does not pin {', '.join(missing)}")
    return "".join(blocks[name] for name in wanted)


def names(requirements: str) -> tuple[str, ...]:
    """Names of all packages that a pip-compile file pins."""
    return tuple(re.findall(r"^([\w.-]+)==", requirements, re.M))


def _install(python: Path, options: tuple[str, ...], requirements: Path, *, log: Path, progress: Progress) -> None:
    pins = len(names(requirements.read_text(encoding="utf-8")))
    run((str(python), "-m", "pip", "install", *QUIET, *options), log=log, on_line=_counter(progress, pins), hint=HINT)


def _counter(progress: Progress, pins: int) -> Callable[[str], None]:
    seen: set[str] = set()

    def on_line(text: str) -> None:
        if text.startswith("Collecting "):
            seen.add(text)
            progress.count(len(seen), pins, text.removeprefix("Collecting ").split(" (")[0])
        elif text.startswith("Installing collected"):
            progress.note("unpacking and compiling")

    return on_line


def _write(file: Path, lines: Iterable[str]) -> Path:
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return file
