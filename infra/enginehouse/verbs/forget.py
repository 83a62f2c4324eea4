"""`enginehouse forget`: takes a machine that will never answer again out of the Pulumi state."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable

from enginehouse.converge.adoption import standing
from enginehouse.errors import ConnectorError, EnginehouseError
from enginehouse.planner.parts import HostPart
from enginehouse.provider.resources import FORGET
from enginehouse.report.lines import line
from enginehouse.verbs import Answer, InvalidInput
from enginehouse.verbs.machines import looking
from enginehouse.verbs.plans import planned
from enginehouse.verbs.pulumi import pulumi_of
from enginehouse.verbs.stacks import stack_file

Ask = Callable[[str], str]
Progress = Callable[[str], None]


def forget(stack: str, host: str, *, yes: bool, ask: Ask | None, progress: Progress) -> Answer:
    """Let the state forget what it knows of `host`, by a refresh; whatever is on the machine stays there.

    Raises `SpecError` if the stack can't be used, `InvalidInput` if the machine answers and has the stack, if nobody
    agreed, or if there is no Pulumi project, and `EnginehouseError` if Pulumi fails.
    """
    made = planned(stack)
    part = next((one for one in made.hosts if one.name == host), None)
    why = _silence(part, stack, progress) if part else ""
    begin = pulumi_of(stack_file(stack))
    if begin is None:
        raise InvalidInput(
            f"there is no Pulumi project with {stack} here; where it is, "
            f"`{FORGET}={host} pulumi refresh -s {made.stack}` does the same"
        )
    if why:
        progress(why)
    if not yes and (ask is None or ask(f"forget all that {made.stack} has on {host}? (yes or no)") != "yes"):
        raise InvalidInput(f"nothing was changed; to forget {host}, say --yes")
    _refresh((*begin, "refresh", "--stack", made.stack, "--yes", "--skip-preview"), host, progress)
    still = f"{host} is still in the stack file: take it out, or `pulumi up` tries to bring everything there again"
    done = f"{host} is forgotten; whatever is on it stays there"
    return Answer(lines=(line(done), *([line(still)] if part else [])))


def _silence(part: HostPart, stack: str, progress: Progress) -> str:
    """Why the machine can't be asked: an agent without keys is no reason to forget it, and the person shall see that.

    One that answers and has nothing of the stack may be another machine: then Pulumi's provider knows.
    """
    try:
        with looking("forget", progress, stack) as context:
            found = standing(part, context)
    except ConnectorError as error:
        return str(error)
    if found.parts or found.damaged:
        raise InvalidInput(
            f"{part.name} answers and has {part.stack}; take it out of the stack file, "
            f"and `pulumi up -s {part.stack}` removes what is there"
        )
    return ""


def _refresh(words: tuple[str, ...], host: str, progress: Progress) -> None:
    """Who is asked about `host` lets go of it, if it does not answer there either."""
    with subprocess.Popen(
        words,
        env={**os.environ, FORGET: host},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout
        for told in process.stdout:
            progress(told.rstrip())
    if process.returncode != 0:
        raise EnginehouseError(f"`pulumi refresh` ended with code {process.returncode}; what it said is above")
