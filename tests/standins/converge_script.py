"""A converge that keeps its machine in one folder and does what a script says; one that it can't follow is an error.

machine.json   what is on the machine: its id, and each part's inputs and generation
script.json    {part name: {"takes_s": 5, "fails": "why", "old_serves": true, "sick": "why", "unreachable": true,
               "drift": {"what": "how it differs"}, "deaf": true, "owned": true}}: a deaf one hears no wish to stop,
               an owned one is another state's
calls.jsonl    every call: verb, part, process, and for a converge whether it changed something
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from enginehouse.converge import Context, Foresight, Observed, as_inputs
from enginehouse.converge.owner import Claim
from enginehouse.converge.steps import Effect
from enginehouse.errors import ChangedElsewhere, ConvergeFailed, Owned, Unreachable, WrongMachine
from enginehouse.planner.parts import EndpointPart, Part, ReplicaPart
from enginehouse.rollout.gate import Exchange

ALLOWED = {"takes_s", "fails", "old_serves", "sick", "unreachable", "drift", "deaf", "owned"}
TICK_S = 0.05


class ScriptedConverge:
    """The three verbs, on a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self.claims: list[Claim | None] = []
        """For what each call was made."""

    def converge(
        self, part: Part, context: Context, *, seen_generation: int | None = None, machine_id: str | None = None
    ) -> Mapping[str, Any]:
        script = self._follow("converge", part, context, machine_id)
        if "unreachable" in script:
            error = Unreachable(f"{part.host} does not answer")
            error.untouched = True
            raise error
        inputs = as_inputs(part)
        with self._machine() as machine:
            old = machine["parts"].get(_place(machine, part))
            if old and seen_generation not in (None, old["generation"]):
                raise ChangedElsewhere(f"{part.name} was changed by ada@desk at 12:00 through rollout; run again")
            if old and old["inputs"] == inputs:
                return _outputs(part, machine, old)
        with self._gate(part, context, exchanged=old is not None):
            self._work(part, context, script)
            if "fails" in script:
                raise ConvergeFailed(
                    f"{part.name} did not become ready",
                    reasons=(script["fails"],),
                    old_serves=bool(old) and script.get("old_serves", False),
                )
        with self._machine() as machine:
            machine["parts"].pop(part.renamed_from, None)
            now = {"inputs": inputs, "generation": old["generation"] + 1 if old else 1}
            machine["parts"][part.name] = now
        self._note("changed", part)
        return _outputs(part, machine, now)

    def foresee(self, part: Part, context: Context, *, machine_id: str | None = None) -> Foresight:
        script = self._follow("foresee", part, context, machine_id)
        if "unreachable" in script:
            raise Unreachable(f"{part.host} does not answer")
        with self._machine() as machine:
            stands = _place(machine, part) in machine["parts"]
        effect = Effect.RESTART_BESIDE if stands else Effect.START
        return Foresight(effect=effect, reason="as scripted", stands=stands)

    def observe(self, part: Part, context: Context, *, machine_id: str | None = None) -> Observed | None:
        script = self._follow("observe", part, context, machine_id)
        if "unreachable" in script:
            raise Unreachable(f"{part.host} does not answer")
        with self._machine() as machine:
            found = machine["parts"].get(_place(machine, part))
        if found is None:
            return None
        reasons = (script["sick"],) if "sick" in script else ()
        drift = {"drift": script["drift"]} if "drift" in script else {}
        return Observed(inputs={**found["inputs"], **drift}, outputs=_outputs(part, machine, found), reasons=reasons)

    def destroy(self, part: Part, context: Context, *, machine_id: str | None = None) -> tuple[str, ...]:
        if "unreachable" in self._follow("destroy", part, context, machine_id):
            raise Unreachable(f"{part.host} does not answer")
        with self._machine() as machine:
            machine["parts"].pop(_place(machine, part), None)
        return (f"the weights of {part.name} stay",) if "weights" in part.name else ()

    def _follow(self, verb: str, part: Part, context: Context, machine_id: str | None) -> Mapping[str, Any]:
        self.claims.append(context.claim)
        self._note(verb, part)
        with self._machine() as machine:
            if machine_id not in (None, machine["id"]):
                raise WrongMachine(f"{part.host}: {machine['id']} answers, but {part.name} is on {machine_id}")
        file = self._folder / "script.json"
        script: Mapping[str, Any] = json.loads(file.read_text()).get(part.name, {}) if file.exists() else {}
        if "owned" in script:
            raise Owned(f"{part.stack} belongs to another Pulumi state")
        if unknown := set(script) - ALLOWED:
            raise AssertionError(f"the script of {part.name} has {unknown}, allowed are {ALLOWED}")
        return script

    def _gate(self, part: Part, context: Context, *, exchanged: bool) -> AbstractContextManager[object]:
        """The product's own gates, for replicas that are there already."""
        if not isinstance(part, ReplicaPart) or not exchanged:
            return nullcontext()
        wanted, tell = Exchange(name=part.name), partial(context.progress, part.name)
        return context.gates.passing(part, wanted, lambda: wanted, tell, context.check_cancelled)

    def _work(self, part: Part, context: Context, script: Mapping[str, Any]) -> None:
        context.progress(part.name, f"[1/2] staging {part.name}")
        end = context.clock.monotonic() + script.get("takes_s", 0)
        while context.clock.monotonic() < end:
            context.clock.wait(threading.Event() if script.get("deaf") else context.cancelled, TICK_S)
            if not script.get("deaf"):
                context.check_cancelled()
        context.progress(part.name, "[2/2] activating")

    @contextmanager
    def _machine(self) -> Iterator[dict[str, Any]]:
        file = self._folder / "machine.json"
        with self._lock:
            machine = json.loads(file.read_text()) if file.exists() else {"id": "m-1", "parts": {}}
            yield machine
            fresh = file.with_suffix(".new")
            fresh.write_text(json.dumps(machine, indent=1))
            fresh.replace(file)

    def _note(self, verb: str, part: Part) -> None:
        line = json.dumps({"verb": verb, "part": part.name, "pid": os.getpid()})
        with self._lock, (self._folder / "calls.jsonl").open("a") as calls:
            calls.write(line + "\n")


def _place(machine: Mapping[str, Any], part: Part) -> str:
    """The name the part is known under; its former one until it has been converged under the new one."""
    renamed = part.name not in machine["parts"] and part.renamed_from in machine["parts"]
    return str(part.renamed_from) if renamed else part.name


def _outputs(part: Part, machine: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    more = {"url": part.url, "models": list(part.models)} if isinstance(part, EndpointPart) else {}
    return {"generation": found["generation"], "machine_id": machine["id"], **more}
