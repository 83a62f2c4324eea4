"""Which stack a person means: by name in the nearest `stacks` folder, or by path."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from enginehouse.diagnostics import Diagnostic
from enginehouse.errors import SpecError
from enginehouse.spec import Loaded, find_stack, load, stack_names
from enginehouse.spec.lock import Lock
from enginehouse.spec.model import Spec
from enginehouse.verbs import InvalidInput

FOLDER = "stacks"
_CHECKOUT = Path(__file__).resolve().parents[3]


class InvalidStack(SpecError):
    """A stack that can't be used, with the texts that its diagnostics quote, by file name."""

    def __init__(self, diagnostics: Sequence[Diagnostic], sources: Mapping[str, str]) -> None:
        self.sources = dict(sources)
        super().__init__(diagnostics)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidStack:
    """A stack that can be deployed: its file, and what is in it and in its lock file."""

    path: Path
    spec: Spec
    lock: Lock


def stacks_folder() -> Path:
    """The nearest `stacks` at or above the working folder, else the one beside this code; `stacks` if there is none."""
    return next((folder for folder in _candidates() if folder.is_dir()), Path(FOLDER))


def every_stack() -> tuple[str, ...]:
    """The names of all stacks in the folder, sorted. Raises `InvalidInput` if there are none."""
    folder = stacks_folder()
    names = stack_names(folder)
    if not names:
        raise InvalidInput(f"there is no stack in {folder}; name one by the path of its file")
    return names


def stacks_from_here() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The stacks of the folder that Pulumi has a configuration for, and the others; all if it has one for none.

    Raises `InvalidInput` if there are no stacks.
    """
    names, folder = every_stack(), stacks_folder()
    known = tuple(name for name in names if (folder / f"Pulumi.{name}.yaml").is_file())
    return (known, tuple(name for name in names if name not in known)) if known else (names, ())


def stack_file(name_or_path: str) -> Path:
    """The file of a stack. Raises `SpecError` if there is no such stack."""
    return find_stack(name_or_path, stacks_folder())


def read_stack(name_or_path: str) -> Loaded:
    """The stack with its diagnostics. Raises `SpecError` only if there is no such stack."""
    return load(stack_file(name_or_path))


def valid_stack(name_or_path: str, *, despite: Collection[str] = ()) -> ValidStack:
    """A stack that can be deployed. Raises `SpecError` with every problem of one that can't.

    `despite`: codes of problems that stand in nobody's way here.
    """
    loaded = read_stack(name_or_path)
    if loaded.spec is None or any(d.severity.is_error() and d.code not in despite for d in loaded.diagnostics):
        raise InvalidStack(loaded.diagnostics, loaded.sources)
    return ValidStack(path=loaded.path, spec=loaded.spec, lock=loaded.lock)


def _candidates() -> Iterator[Path]:
    """Relative where possible, so that diagnostics name files as a person would type them."""
    for up in range(len(Path.cwd().parts)):
        yield Path(*[".."] * up, FOLDER)
    yield _CHECKOUT / FOLDER
