"""The endpoint part: it has nothing of its own on the machine but the record of when it was proved."""

from __future__ import annotations

from collections.abc import Mapping

from enginehouse.converge.facts import Facts
from enginehouse.converge.steps import Effect, Prove, Steps, WriteManifest
from enginehouse.planner.parts import EndpointPart
from enginehouse.render.symbols import Secret


def steps(part: EndpointPart, facts: Facts, secrets: Mapping[str, Secret]) -> Steps:
    """A proof, unless exactly this endpoint was proved with exactly these parts behind it."""
    behind = {name: manifest.generation for name, manifest in facts.others.items()}
    known = facts.manifest
    if known and known.records(part) and known.seen == behind:
        return Steps(reason=f"proved at {known.change.at}, nothing behind it has changed since")
    return _proof(part, behind)


def foreseen(part: EndpointPart, facts: Facts, secrets: Mapping[str, Secret]) -> Steps:
    """A proof in any case: what is behind it changes before its turn comes."""
    return _proof(part, {})


def _proof(part: EndpointPart, behind: Mapping[str, int]) -> Steps:
    proof = Prove(title="asking the endpoint as a client would", part=part)
    return Steps(
        activate=(proof, WriteManifest(title="recording the proof", seen=behind)),
        effect=Effect.PROOF,
        reason="the endpoint is asked as a client would; nothing on the machine changes",
    )
