"""The stack's file, or all that is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pulumi
from components.stop import stop
from enginehouse.diagnostics import as_text
from enginehouse.errors import SpecError
from enginehouse.spec import find_stack, load
from enginehouse.spec.model import Spec

STACKS = "stacks"


def spec_of(stack: str, project: Path) -> Spec:
    """The spec in `project`/stacks/STACK.yaml; its warnings are shown.

    Stops with every diagnostic, in the words of `enginehouse validate`, if it can't be deployed.
    """
    try:
        path = find_stack(stack, project / STACKS)
    except SpecError as error:
        stop(f"{error}\n{as_text(error.diagnostics, {})}")
    loaded = load(path, display=str(path.relative_to(project)))
    text = as_text(loaded.diagnostics, {loaded.source.file: loaded.source.text})
    if loaded.spec is None or not loaded.ok:
        stop(f"{SpecError(loaded.diagnostics)}\n{text}")
    if text:
        pulumi.log.warn(text)
    return loaded.spec
