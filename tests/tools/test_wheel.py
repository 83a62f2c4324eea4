"""The wheel is complete: it must work on a machine that has no clone."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_wheel_brings_code_templates_and_schemas(tmp_path: Path) -> None:
    """Every file of the package, of templates/ and of schemas/ is in it, and the command is declared."""
    argv = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(argv, cwd=ROOT, capture_output=True, timeout=120, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (entry_points,) = (name for name in names if name.endswith("/entry_points.txt"))
        assert "enginehouse = enginehouse.cli:main" in archive.read(entry_points).decode()
    assert {name for name in _expected() if name not in names} == set()


def _expected() -> set[str]:
    folders = (
        ("infra/enginehouse", "enginehouse", "*.py"),
        ("templates", "enginehouse/data/templates", "*"),
        ("schemas", "enginehouse/data/schemas", "*"),
    )
    return {
        f"{inside}/{file.relative_to(ROOT / source).as_posix()}"
        for source, inside, pattern in folders
        for file in (ROOT / source).rglob(pattern)
        if file.is_file() and "__pycache__" not in file.parts
    }
