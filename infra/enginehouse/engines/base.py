"""What an engine adapter is: a frozen value with data and a few pure functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:  # the checks of `spec` ask the registry, so importing an engine must not import `spec`
    from enginehouse.spec.model import Deployment

Args: TypeAlias = Mapping[str, str | bool | tuple[str, ...]]
"""Long flags without dashes, in command-line order; True is a bare flag, a tuple repeats the flag."""

LISTENS_ON = "@{address}"
"""In arguments and environment: the address that the engine listens on."""

KEY_FILE = "@{keys}"
"""In arguments: the file that `Engine.key_file_flag` names, where the engine reads it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionProblem:
    """A wrong entry of `options`. `path` is below the deployment, such as ("options", "ctx-size")."""

    path: tuple[str, ...]
    on_key: bool
    """The key is wrong (unknown, removed, clashing), not its value."""
    code: str
    summary: str
    hint: str = ""
    related: tuple[tuple[str, ...], ...] = ()
    """Other paths below the deployment that explain it, such as the common word that is also given."""


class CheckOptions(Protocol):
    def __call__(self, deployment: Deployment, *, given: frozenset[str]) -> Iterable[OptionProblem]:
        """`given`: the deployment's keys that the file really has (defaults are not in it)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """One inference engine."""

    name: str
    title: str
    program: str
    """Executable name."""
    version_pattern: str
    """Full-match pattern of a version in the stack file."""
    version_hint: str
    versions: tuple[str, ...]
    """Versions whose options are known, oldest first."""
    version_args: tuple[str, ...]
    """Words that make the program print its version."""
    installed_version: Callable[[str], str | None]
    """From that output to a version as the stack file writes it; None if it can't be read."""
    args: Callable[[Deployment, str], Args]
    """(deployment, path of the weights) to arguments; the port is `@{port}`, the address `LISTENS_ON`."""
    env: Callable[[Deployment], Mapping[str, str]]
    memory_mib: Callable[[Deployment, int], int]
    """(deployment, size of the weights in bytes or 0 if unknown) to an estimate of the memory one replica needs."""
    check_options: CheckOptions
    image: str
    """Where its container images are, with `{version}` in the tag: what a person may look a digest up for."""
    gpu_image: str
    """The same of those that compute on GPUs of NVIDIA."""
    weights_suffixes: tuple[str, ...] = ()
    """Endings of the files it loads, in lower case; empty if it loads folders or by content."""
    health_path: str
    """Answers 200 only when the model is loaded."""
    metrics_path: str | None
    key_file_flag: str | None = None
    """The flag that names a file with the keys it accepts, one a line; without one of them it then answers 401, but to
    health requests. None: it asks for none, also where others than its gateway may reach it."""
    progress_metric: str | None = None
    """A number among the metrics that moves with every step of work: it tells one that is busy from one that hangs."""
