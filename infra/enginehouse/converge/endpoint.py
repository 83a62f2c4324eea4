"""The endpoint part: it has nothing of its own on the machine but the record of when it was proved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from enginehouse.converge.certificates import AUTHORITY
from enginehouse.converge.facts import Facts
from enginehouse.converge.steps import Effect, Prove, Steps, WriteManifest
from enginehouse.planner.parts import EndpointPart, ReplicaPart
from enginehouse.render.symbols import Secret


def steps(part: EndpointPart, facts: Facts, secrets: Mapping[str, Secret]) -> Steps:
    """A proof, unless exactly this endpoint was proved with exactly these parts behind it.

    A drained replica is behind nothing: whether it was proved counts when it gets requests again.
    """
    working = {name: manifest for name, manifest in facts.others.items() if name not in facts.drained_others}
    behind = {name: manifest.generation for name, manifest in working.items()}
    known = facts.manifest
    if known and known.records(part) and behind.items() <= known.seen.items():
        return Steps(reason=f"proved at {known.change.at}, nothing behind it has changed since")
    earlier = known.seen if known else {}
    return _proof(part, facts, {**earlier, **behind})


def foreseen(part: EndpointPart, facts: Facts, secrets: Mapping[str, Secret]) -> Steps:
    """A proof in any case: what is behind it changes before its turn comes."""
    return _proof(part, facts, {})


def as_it_is(part: EndpointPart, facts: Facts) -> EndpointPart:
    """The endpoint as its machine lets it be asked.

    Without the models whose replicas are all drained, and with the certificate of the authority that is there.
    """
    answers = _models(facts, drained=False)
    silent = _models(facts, drained=True) - answers
    there = replace(part, models=tuple(model for model in part.models if model not in silent))
    if part.seal is None or part.seal.anchor is not None:
        return there
    return replace(there, seal=replace(part.seal, anchor=authority(facts)))


def authority(facts: Facts) -> str:
    """The certificate of the stack's own authority, PEM; empty if it has none."""
    return facts.texts.get(AUTHORITY, "")


def _proof(part: EndpointPart, facts: Facts, seen: Mapping[str, int]) -> Steps:
    proof = Prove(title="asking the endpoint as a client would", part=as_it_is(part, facts))
    return Steps(
        activate=(proof, WriteManifest(title="recording the proof", seen=seen)),
        effect=Effect.PROOF,
        reason="the endpoint is asked as a client would; nothing on the machine changes",
    )


def _models(facts: Facts, *, drained: bool) -> set[str]:
    return {
        manifest.part.served_name
        for name, manifest in facts.others.items()
        if isinstance(manifest.part, ReplicaPart) and (name in facts.drained_others) == drained
    }
