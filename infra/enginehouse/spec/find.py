"""Which file a stack's name means, and which name a stack's file gives."""

from __future__ import annotations

import re
from pathlib import Path

from enginehouse.diagnostics import Diagnostic, Span
from enginehouse.errors import SpecError
from enginehouse.spec.codes import Code
from enginehouse.spec.fields import NAME_PATTERN, PATTERNS
from enginehouse.spec.wording import did_you_mean

SUFFIXES = (".yaml", ".yml")
LOCK_SUFFIX = ".lock.yaml"
RESERVED = frozenset({"host", "weights"})
"""Folders on a machine that belong to all its stacks; a stack's own folder stands beside them."""
_OTHER_FILES = re.compile(r"Pulumi\..*|.*\.(lock|hosts)(\.ya?ml)?")
"""What stands beside stacks without being one: Pulumi's own files, what `enginehouse lock` writes, lists of hosts."""


def find_stack(name_or_path: str, folder: Path) -> Path:
    """The file of a stack given by its name in `folder`, or by a path. Raises `SpecError` if there is none."""
    path, files = Path(name_or_path), _files(folder)
    named = files.get(stack_name(path)) if len(path.parts) == 1 else None
    if path.suffix in SUFFIXES or len(path.parts) != 1:
        return named if named and not path.is_file() else path
    if named is None:
        raise SpecError([_missing(name_or_path, folder)])
    return named


def stack_names(folder: Path) -> tuple[str, ...]:
    """Names of the stacks in `folder`, sorted; none if there is no such folder."""
    return tuple(_files(folder))


def stack_name(path: Path) -> str:
    """The name of the stack in a file: the file's name without its ending."""
    return path.stem if path.suffix in SUFFIXES else path.name


def name_problem(name: str, display: str) -> Diagnostic | None:
    """What is wrong with a stack's name."""
    if _OTHER_FILES.fullmatch(name):
        hint = (
            "Pulumi.* belongs to Pulumi; NAME.lock.yaml belongs to the stack NAME; NAME.hosts.yaml is a list of hosts"
        )
        return _about(display, Code.NOT_A_STACK, f'"{name}" is not a stack', hint)
    if name in RESERVED:
        hint = f"not allowed: {', '.join(sorted(RESERVED))}"
        return _about(display, Code.NOT_A_STACK, f'"{name}" is a name that all stacks of a machine share', hint)
    if not re.fullmatch(NAME_PATTERN, name):
        return _about(
            display, Code.NOT_A_STACK, f'"{name}" can\'t be the name of a stack', f"allowed: {PATTERNS[NAME_PATTERN]}"
        )
    return None


def stands_beside(path: Path) -> bool:
    """Whether a file only belongs to stacks, by its name: Pulumi's configuration, a list of hosts."""
    return bool(_OTHER_FILES.fullmatch(path.name)) and not path.name.endswith(LOCK_SUFFIX)


def stack_of_lock(path: Path) -> Path | None:
    """The stack file that a lock file stands beside; None if there is none."""
    beside = _files(path.parent).get(path.name.removesuffix(LOCK_SUFFIX))
    return path.with_name(beside.name) if beside else None


def lock_without_stack(display: str) -> Diagnostic:
    """What is wrong with a lock file that is alone."""
    name = Path(display).name.removesuffix(LOCK_SUFFIX)
    hint = "delete it, or give it back its stack file; a renamed stack needs `enginehouse lock` again"
    return _about(display, Code.LOCK_WITHOUT_STACK, f'there is no stack "{name}" beside this lock file', hint)


def _files(folder: Path) -> dict[str, Path]:
    """The stacks in `folder` by name, sorted; of two files with the same name the one with the usual ending."""
    found = sorted(folder.glob("*"), reverse=True) if folder.is_dir() else ()
    stacks = [path for path in found if path.suffix in SUFFIXES and not _OTHER_FILES.fullmatch(path.name)]
    return dict(sorted((stack_name(path), path) for path in stacks))


def _missing(name: str, folder: Path) -> Diagnostic:
    hint = did_you_mean(name, stack_names(folder), "stacks")
    return _about(str(folder / f"{name}.yaml"), Code.NO_SUCH_STACK, f'there is no stack "{name}"', hint)


def _about(file: str, code: Code, summary: str, hint: str) -> Diagnostic:
    return Diagnostic(
        code=code, summary=summary, hint=hint, span=Span(file=file, line=1, column=1, end_line=1, end_column=2)
    )
