"""Python virtual environments: the clone's own, and small ones inside the store."""

import hashlib
import importlib.util
import sys
import venv
from pathlib import Path

from bootstrap import pip, system
from bootstrap.commands import run
from bootstrap.context import Context
from bootstrap.store import sha256

ENSUREPIP = "python3-venv"
MARKER = ".enginehouse"
# A shell line that Python reads as a string: a path with a space cannot stand in a #! line.
CONSOLE_SCRIPT = """\
#!/bin/sh
'''exec' "$(dirname "$(readlink -f "$0")")/python" "$0" "$@"
' '''
import sys

from enginehouse.cli import main

sys.exit(main())
"""


def interpreter() -> str:
    """What an environment depends on: version and place of the Python that made it."""
    return f"{sys.version_info.major}.{sys.version_info.minor} {sys.base_prefix}"


def create(folder: Path, context: Context) -> Path:
    """Make an environment with pip; returns its interpreter. An existing one of another Python is replaced.

    Debian ships the venv module without the wheel of pip that it needs, so that package may have to come first.
    """
    if importlib.util.find_spec("ensurepip") is None:
        need = system.Need(package=ENSUREPIP, files=("/nonexistent",))
        system.require((need,), why="creating a virtual environment", log=context.log("apt"), progress=context.progress)
    run((sys.executable, "-m", "venv", "--clear", str(folder)), log=context.log("venv"))
    return folder / "bin" / "python"


def create_bare(folder: Path, requirements: str, context: Context) -> None:
    """Make an environment without pip that holds exactly the pinned packages; it may be renamed afterwards.

    Packages are put there by the clone's pip. Start modules with `bin/python -I -m`: scripts would name the old folder.
    """
    venv.EnvBuilder(with_pip=False, symlinks=True).create(folder)
    pins = folder / "requirements.txt"
    pins.write_text(requirements, encoding="utf-8")
    pip.install_into(
        context.places.python, site_packages(folder), pins, log=context.log("venv"), progress=context.progress
    )


def site_packages(folder: Path) -> Path:
    """Where packages of an environment made by this Python lie."""
    return folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"


def install_project(context: Context, *, dev: bool) -> str:
    """Bring `.venv` to the pinned packages and make the package importable from the clone; a no-op when it is."""
    places = context.places
    wanted = places.root / ("requirements-dev.txt" if dev else "requirements.txt")
    if not _is_current(context, wanted):
        title = "Python packages for development" if dev else "Python packages"
        with context.progress.step(title, why="takes about half a minute: downloading and unpacking"):
            _fill(context, wanted, dev=dev)
    _expose(context)
    return "development" if dev else "runtime"


def _is_current(context: Context, wanted: Path) -> bool:
    marker = context.places.venv / MARKER
    return marker.is_file() and _stamp(wanted) in marker.read_text(encoding="utf-8").splitlines()


def _fill(context: Context, wanted: Path, *, dev: bool) -> None:
    places = context.places
    marker = places.venv / MARKER
    if not _made_by_this_python(marker):
        create(places.venv, context)
    pip.install(places.python, wanted, log=context.log("venv"), progress=context.progress)
    satisfied = [wanted, places.root / "requirements.txt"] if dev else [wanted]
    marker.write_text("".join(f"{line}\n" for line in [interpreter(), *map(_stamp, satisfied)]), encoding="utf-8")


def _made_by_this_python(marker: Path) -> bool:
    return marker.is_file() and marker.read_text(encoding="utf-8").splitlines()[:1] == [interpreter()]


def _stamp(requirements: Path) -> str:
    """One requirements file, installed by one Python into one folder (a moved clone needs a new environment)."""
    where = f"{interpreter()} {requirements.parent} {sha256(requirements)}"
    return f"{requirements.name} {hashlib.sha256(where.encode()).hexdigest()}"


def _expose(context: Context) -> None:
    """Make `import enginehouse` and the `enginehouse` command use the clone's sources."""
    places = context.places
    _write_if_other(site_packages(places.venv) / "enginehouse.pth", f"{places.root / 'infra'}\n")
    script = places.venv / "bin" / "enginehouse"
    _write_if_other(script, CONSOLE_SCRIPT)
    script.chmod(0o755)


def _write_if_other(file: Path, text: str) -> None:
    if not file.is_file() or file.read_text(encoding="utf-8") != text:
        file.write_text(text, encoding="utf-8")
