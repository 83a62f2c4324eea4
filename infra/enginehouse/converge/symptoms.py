"""What a look sees of a replica that is not as it should be. Pure; `replica` computes what helps."""

from __future__ import annotations

import enginehouse.converge.container_drift as container_drift
import enginehouse.converge.engine_keys as engine_keys
import enginehouse.converge.engine_unit as engine_unit
import enginehouse.converge.gpus as gpus
from enginehouse.converge.facts import Facts
from enginehouse.converge.weights import is_verified
from enginehouse.converge.wire import DRIFT
from enginehouse.planner.parts import ReplicaPart


def differences(part: ReplicaPart, facts: Facts) -> dict[str, object]:
    """Inputs that differ on the machine."""
    found: dict[str, object] = {}
    if facts.manifest and not facts.running(f"{part.name}/{facts.manifest.side}"):
        found["running"] = False
    drift: dict[str, object] = {"engine": f"hung since {facts.hung.at}"} if facts.hung else {}
    if lost := gpus.differences(part, facts):
        drift["gpus"] = lost
    if not is_verified(part.weights, facts, "weights"):
        drift["weights"] = "missing or altered on the machine"
    if wrong := engine_keys.difference(part, facts):
        drift["key"] = wrong
    if facts.manifest and (altered := engine_unit.altered(part, facts, facts.manifest.side)):
        drift["unit"] = f"changed on the machine ({altered})"
    if facts.manifest and (altered := container_drift.altered(part, facts, facts.manifest.side)):
        drift["container"] = f"changed while it runs ({altered})"
    return {**found, DRIFT: drift} if drift else found


def complaints(part: ReplicaPart, facts: Facts) -> tuple[str, ...]:
    """Why the replica can't do its work right now, as sentences."""
    if facts.hung:
        return (f"the engine {facts.hung}",)
    side = facts.manifest.side if facts.manifest else None
    if side is None or not facts.running(f"{part.name}/{side}"):
        return ("the engine does not run",)
    status = facts.health.get(part.ports[side], 0)
    if status != 200:
        return (f"the engine is not ready (health: {status or 'no answer'})",)
    server = part.gateway.servers[side]
    row = next((row for row in facts.servers or () if row.server == server), None)
    if part.elsewhere and row and row.status == "DOWN":
        return (
            f"the gateway on {part.gateway.host} does not reach the engine at {row.where} (its check says {row.check})",
        )
    return ()
