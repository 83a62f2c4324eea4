"""What a preview says about every kind of edit: which lines differ, what `up` will do to each part, and why."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from enginehouse.converge import as_inputs, replica
from enginehouse.converge.facts import Facts, parse
from enginehouse.converge.kinds import kind_of
from enginehouse.converge.probe import answers, probe, questions
from enginehouse.converge.steps import Effect, Steps
from enginehouse.errors import ConvergeFailed
from enginehouse.planner.parts import Part, Plan, ReplicaPart
from enginehouse.planner.plan import plan
from enginehouse.provider.diff import Kind, diff
from enginehouse.provider.wire import Hidden
from enginehouse.render.symbols import Secret
from enginehouse.spec import load_text
from enginehouse.spec.lock import NOTHING_LOCKED
from tests.simulated import looks
from tests.simulated.world import OneRun, World

OLD_SHA, NEW_SHA = (hashlib.sha256(text).hexdigest() for text in (b"first", b"second"))
STACK = f"""\
enginehouse: 1
description: before
machines: {{box: {{local: {{}}}}}}
deployments:
  chat:
    engine: llama-cpp
    version: "b11434"
    runs_on: box
    model: {{source: upload://first.gguf, sha256: {OLD_SHA}, served_name: tiny}}
    replicas_per_host: 2
    context_tokens: 2048
    slots: 2
    options: {{threads: 2}}
    health: {{ready_within_s: 60, drain_s: 30}}
endpoint:
  runs_on: box
  port: 8080
  keys:
    - {{name: demo, secrets: [key-demo]}}
    - {{name: search, secrets: [key-search]}}
  timeouts: {{queue_s: 30}}
rollout: {{max_unavailable: 1}}
"""
VALUES = {"key-demo": "d", "key-search": "s", "key-next": "n"}
REPLICAS, GATEWAY, ENDPOINT, WEIGHTS = ("chat-box-0", "chat-box-1"), "gateway-box", "endpoint", "chat-weights-box"


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A change of the stack file, and what it means for each part it differs for."""

    old: str = ""
    new: str = ""
    replicas: Effect = Effect.NOTHING
    gateway: Effect = Effect.NOTHING
    weights: Effect = Effect.NOTHING
    values: Mapping[str, str] = field(default_factory=lambda: VALUES)
    """Secrets after the edit."""

    @property
    def effects(self) -> dict[str, Effect]:
        """By part; the endpoint is proved again whenever something differs."""
        found = {**dict.fromkeys(REPLICAS, self.replicas), GATEWAY: self.gateway, WEIGHTS: self.weights}
        return {name: effect for name, effect in found.items() if effect is not Effect.NOTHING}


EDITS = {
    "context": Edit(
        old="context_tokens: 2048",
        new="context_tokens: 4096",
        replicas=Effect.RESTART_BESIDE,
        gateway=Effect.RECORD,
    ),
    "slots": Edit(old="slots: 2", new="slots: 3", replicas=Effect.RESTART_BESIDE, gateway=Effect.RELOAD),
    "an option": Edit(old="threads: 2", new="threads: 3", replicas=Effect.RESTART_BESIDE),
    "an option removed": Edit(old="{threads: 2}", new="{}", replicas=Effect.RESTART_BESIDE),
    "the model": Edit(old=OLD_SHA, new=NEW_SHA, replicas=Effect.UNDECIDED, weights=Effect.FETCH),
    "another place of the same model": Edit(old="upload://first", new="upload://x/first", weights=Effect.RECORD),
    "the engine's build": Edit(old="b11434", new="b11435", replicas=Effect.RESTART_BESIDE),
    "the served name": Edit(
        old="served_name: tiny", new="served_name: small", replicas=Effect.RESTART_BESIDE, gateway=Effect.RELOAD
    ),
    "a client added": Edit(
        old="keys:\n", new="keys:\n    - {name: new, secrets: [key-next]}\n", gateway=Effect.RELOAD
    ),
    "a client removed": Edit(
        old="    - {name: search, secrets: [key-search]}\n", new="", gateway=Effect.RELOAD
    ),
    "a second secret while rotating": Edit(old="[key-demo]", new="[key-next, key-demo]", gateway=Effect.RELOAD),
    "a secret's value": Edit(values={**VALUES, "key-demo": "other"}, gateway=Effect.RELOAD),
    "a client's limit": Edit(
        old="secrets: [key-demo]", new="secrets: [key-demo], concurrent: 3", gateway=Effect.RELOAD
    ),
    "the port": Edit(old="port: 8080", new="port: 8081", gateway=Effect.RELOAD),
    "a timeout of the gateway": Edit(old="queue_s: 30", new="queue_s: 31", gateway=Effect.RELOAD),
    "how long it may drain": Edit(old="drain_s: 30", new="drain_s: 31", replicas=Effect.RECORD),
    "how long it may start": Edit(old="ready_within_s: 60", new="ready_within_s: 61", replicas=Effect.RECORD),
    "how long it may hang": Edit(old="drain_s: 30", new="drain_s: 30, hang_after_s: 60", replicas=Effect.RECORD),
    "the rollout": Edit(old="max_unavailable: 1", new="max_unavailable: 2", replicas=Effect.RECORD),
    "the description": Edit(old="description: before", new="description: after"),
    "a comment": Edit(old="endpoint:\n", new="# why\nendpoint:\n"),
    "the order of keys": Edit(old="enginehouse: 1\ndescription: before", new="description: before\nenginehouse: 1"),
}  # fmt: skip


def planned(text: str) -> Plan:
    loaded = load_text(text, name="demo", display="demo.yaml")
    assert loaded.spec is not None, loaded.diagnostics
    return plan(loaded.spec, NOTHING_LOCKED)


def secrets(values: Mapping[str, str]) -> dict[str, Secret]:
    return {name: Secret(value) for name, value in values.items()}


@pytest.fixture
def world() -> World:
    """The stack as it was before the edit, at rest; the new model has not been brought."""
    world = World()
    world.machine.memory_mib = 9000
    run = run_with(world, VALUES)
    for part in planned(STACK).parts():
        run.converge(part)
    return world


def run_with(world: World, values: Mapping[str, str]) -> OneRun:
    run = world.run()
    run.context = replace(run.context, secrets=secrets(values))
    return run


def inputs(part: Part, values: Mapping[str, str]) -> dict[str, Any]:
    """As the program declares them."""
    uses = part.name in (GATEWAY, ENDPOINT)
    return {**as_inputs(part), **({"secrets": {n: Hidden(v) for n, v in values.items()}} if uses else {})}


def after(edit: Edit) -> Plan:
    return planned(STACK.replace(edit.old, edit.new) if edit.old else STACK)


def differences(edit: Edit) -> dict[str, list[str]]:
    """Part name to what a preview marks as changed."""
    before = {part.name: part for part in planned(STACK).parts()}
    found = {
        part.name: diff(inputs(before[part.name], VALUES), inputs(part, edit.values)) for part in after(edit).parts()
    }
    marks = {Kind.ADD: "+", Kind.DELETE: "-", Kind.UPDATE: "~"}
    return {name: [f"{marks[c.kind]} {c.text}" for c in changes] for name, changes in found.items() if changes}


def foreseen(world: World, edit: Edit) -> dict[str, Steps]:
    """What is foreseen for each part that the Pulumi engine would ask about."""
    asked = differences(edit)
    return {
        part.name: kind_of(part).foreseen(part, facts(world, part), secrets(edit.values))
        for part in after(edit).parts()
        if part.name in asked
    }


def facts(world: World, part: Part) -> Facts:
    """With the engine in the version that the part wants."""
    if isinstance(part, ReplicaPart):
        world.machine.versions["llama-server"] = f"version: {part.version.removeprefix('b')} (x)\n"
    return seen(world, part)


def seen(world: World, part: Part) -> Facts:
    asked = questions(part)
    return parse(answers(looks.facts(world.machine, probe(asked)), asked)[0], part.stack)


@pytest.mark.parametrize("edit", EDITS.values(), ids=list(EDITS))
def test_an_edit_does_what_it_must_and_no_more(world: World, edit: Edit) -> None:
    """A restart only where the engine has to read something anew."""
    effects = {name: steps.effect for name, steps in foreseen(world, edit).items()}
    proofs = [effects.pop(ENDPOINT)] if ENDPOINT in effects else []
    assert effects == edit.effects
    assert set(proofs) <= {Effect.PROOF}


def test_the_sentences_of_every_edit(world: World, golden: Callable[[str, Mapping[str, str]], None]) -> None:
    """As a person reads them below the lines that differ; the names of releases are left out."""
    lines: list[str] = []
    for name, edit in EDITS.items():
        lines.append(f"# {name}")
        changes = differences(edit)
        for part, steps in foreseen(world, edit).items():
            lines += [f"{part}: {', '.join(changes[part])}", f"    {steps.effect}: {steps.reason}"]
        lines.append("" if changes else "no part differs\n")
    text = re.sub(r"(release|configuration) [0-9a-f]{12}", r"\1 ID", "\n".join(lines))
    golden("foresight", {"edits.txt": text})


def test_without_room_the_pause_is_told_with_its_numbers(world: World) -> None:
    """And what the numbers are."""
    world.machine.memory_mib = 20
    steps = foreseen(world, EDITS["context"])["chat-box-0"]
    assert steps.effect is Effect.RESTART_PAUSED
    assert re.match(
        r"no room for a second engine \(\d+ MiB needed, 20 free\); requests wait at the gateway until", steps.reason
    )


def test_lost_weights_of_the_release_that_runs_exchange_nothing(world: World) -> None:
    """They are brought again for the next start; only new weights mean another engine."""
    world.machine.files.remove("/s/weights")
    part = planned(STACK).replicas[0]
    assert replica.foreseen(part, facts(world, part), secrets(VALUES)).effect is Effect.NOTHING


def test_a_version_that_is_not_installed_is_told_before_anything(world: World) -> None:
    """A preview names it; `up` would fail."""
    part = after(EDITS["the engine's build"]).replicas[0]
    with pytest.raises(ConvergeFailed) as caught:
        kind_of(part).foreseen(part, seen(world, part), secrets(VALUES))
    assert "b11435" in " ".join(caught.value.reasons)


@pytest.mark.parametrize("name", [name for name, edit in EDITS.items() if edit.weights is Effect.NOTHING])
def test_what_is_foreseen_is_what_is_done(world: World, name: str) -> None:
    """An engine that is foreseen to stay keeps its process; one that is exchanged does not."""
    edit, before = EDITS[name], {engine.pid for engine in world.machine.engines()}
    for part in after(edit).replicas:
        effect = kind_of(part).foreseen(part, facts(world, part), secrets(edit.values)).effect
        run_with(world, edit.values).converge(part)
        mine = {engine.pid for engine in world.machine.engines() if engine.mark.startswith(f"demo/{part.name}/")}
        assert (mine <= before) is not effect.exchanges()
