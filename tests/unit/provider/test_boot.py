"""What the Pulumi engine starts answers fast: nothing heavy is imported before the port is printed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from enginehouse.provider.__main__ import project_folder

HEAVY = ("pulumi.output", "fabric", "paramiko", "jinja2", "jsonschema", "enginehouse.converge")


def test_boot_imports_nothing_heavy() -> None:
    script = (
        "import sys; from enginehouse.provider.__main__ import skip_sdk; skip_sdk(); "
        "import enginehouse.provider.server, enginehouse.connectors; "
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert result.stdout.strip() == "[]"


def test_the_project_is_found_from_the_programs_folder(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").touch()
    deep = tmp_path / "infra" / "deep"
    deep.mkdir(parents=True)
    assert project_folder(deep) == tmp_path


def test_without_a_project_the_folder_itself_counts(tmp_path: Path) -> None:
    assert project_folder(tmp_path) == tmp_path
