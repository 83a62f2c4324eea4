"""Who may import what. Pure code decides and never touches a machine, a clock or a terminal."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

INFRA = Path(__file__).resolve().parents[1] / "infra"
PACKAGE = INFRA / "enginehouse"
MACHINES = {"pulumi", "pulumi_aws", "pulumi_docker", "fabric", "paramiko", "subprocess", "socket"}
EFFECTS = MACHINES | {"time", "random", "rich", "threading"}
PURE_CONVERGE = (
    "facts", "manifest", "owner", "signed", "standing", "journal", "places", "probe", "logs", "steps", "scripts",
    "programs", "wire", "completion", "hangs", "watch", "host", "packages", "unit", "weights", "replica",
    "symptoms", "runners", "sides", "gateway", "endpoint", "certificates",
)  # fmt: skip
"""What decides; the rest of converge does."""
PURE = [
    *(
        path
        for folder in ("spec", "engines", "catalog", "planner", "render", "inventory")
        for path in sorted((PACKAGE / folder).rglob("*.py"))
    ),
    PACKAGE / "diagnostics.py",
    PACKAGE / "errors.py",
    *(PACKAGE / "converge" / f"{name}.py" for name in PURE_CONVERGE),
    PACKAGE / "gateway" / "config.py",
    PACKAGE / "gateway" / "stats.py",
    PACKAGE / "rollout" / "gate.py",
    PACKAGE / "verbs" / "undo.py",
]


def imports(source: str) -> Iterator[str]:
    """Every module that the source imports when it runs, also inside functions; not those for type checkers alone."""
    tree = ast.parse(source)
    skipped = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and ast.unparse(branch.test).endswith("TYPE_CHECKING")
        for node in ast.walk(branch)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def effects(source: str) -> set[str]:
    """The forbidden top-level modules among the imports."""
    return {name.split(".")[0] for name in imports(source)} & EFFECTS


def reached(path: Path) -> dict[Path, Path]:
    """Every module of the package that `path` imports, directly or not, with the one it was first reached from."""
    found: dict[Path, Path] = {path: path}
    waiting = [path]
    while waiting:
        current = waiting.pop()
        for name in imports(current.read_text()):
            target = INFRA / Path(*name.split("."))
            for candidate in (target.with_suffix(".py"), target / "__init__.py"):
                if candidate.is_file() and candidate not in found:
                    found[candidate] = current
                    waiting.append(candidate)
    return found


@pytest.mark.parametrize("path", PURE, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_pure_modules_reach_no_effects(path: Path) -> None:
    """Neither a pure module nor anything it imports talks to a machine, a clock, chance or a terminal."""
    found = {
        f"{module.relative_to(PACKAGE)} (from {source.relative_to(PACKAGE)}) imports {name}"
        for module, source in reached(path).items()
        for name in effects(module.read_text())
    }
    assert found == set()


def test_the_check_can_fail() -> None:
    """Twin: hidden imports of forbidden modules are found."""
    assert effects("def f():\n    from subprocess import run\n    import rich.table\n") == {"subprocess", "rich"}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_only_the_provider_and_the_program_know_pulumi(path: Path) -> None:
    """`pulumi` is imported in infra/components, infra/__main__.py and the provider, nowhere else."""
    known = "provider" in path.parts or not any(name.split(".")[0] == "pulumi" for name in imports(path.read_text()))
    assert known


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_modules_stay_small(path: Path) -> None:
    """A module beyond 400 lines has two jobs."""
    assert len(path.read_text().splitlines()) <= 400
