"""What a start waits for: each module here takes a tenth of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

INFRA = Path(__file__).parents[3] / "infra"


@pytest.mark.parametrize(
    ("needed", "spared"),
    [
        ("enginehouse.converge", "jsonschema"),
        ("enginehouse.converge", "paramiko"),
        ("enginehouse.connectors.ssh", "invoke"),
    ],
)
def test_a_provider_imports_nothing_that_it_does_not_need(needed: str, spared: str) -> None:
    """The checker of stack files, the SSH library of a stack on this machine, and a task runner."""
    said = subprocess.run(
        (sys.executable, "-c", f"import sys, {needed}; print('{spared}' in sys.modules)"),
        env={"PYTHONPATH": str(INFRA)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert said.stdout == "False\n"


def test_what_was_imported_before_stays() -> None:
    """Whoever has fabric as well has all of it."""
    code = "import invoke, sys, enginehouse.connectors.ssh; print(sys.modules['invoke'] is invoke)"
    said = subprocess.run(
        (sys.executable, "-c", code), env={"PYTHONPATH": str(INFRA)}, capture_output=True, text=True, check=True
    )
    assert said.stdout == "True\n"
