"""GPUs: every replica has its own, and a stack is refused only if there is no way to share them out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from enginehouse.planner.allocate import allocate
from enginehouse.planner.digests import restart_digest
from enginehouse.planner.parts import DOCKER, TOOLKIT, ReplicaPart
from enginehouse.planner.plan import plan
from enginehouse.spec import Loaded, load_text
from enginehouse.spec.codes import Code
from enginehouse.spec.lock import NOTHING_LOCKED, Lock, LockedPorts, LockedReplica, lock_text
from enginehouse.spec.model import Spec

REFUSALS = (Code.TOO_FEW_GPUS, Code.BAD_GPUS)
NAMES = ("chat", "code", "embed")
Wish = tuple[int, dict[str, Any] | None]
"""Replicas, and what the stack file says of their GPUs."""


def loaded(count: int | None, wishes: Mapping[str, Wish], **more: Any) -> Loaded:
    deployments = {
        name: {
            "engine": "llama-cpp",
            "version": "b11434",
            "runs_on": "box",
            "model": {"source": f"upload://{name}.gguf", "sha256": f"{number:064x}"[::-1], "served_name": name},
            "replicas_per_host": replicas,
            **({"gpus": gpus} if gpus else {}),
            **more,
        }
        for number, (name, (replicas, gpus)) in enumerate(wishes.items(), 1)
    }
    machine = {"local": {}, **({"gpus": {"model": "l40s", "count": count}} if count else {})}
    stack = {
        "enginehouse": 1,
        "machines": {"box": machine},
        "deployments": deployments,
        "endpoint": {"runs_on": "box", "port": 8080, "keys": "public"},
    }
    return load_text(json.dumps(stack), name="demo", display="demo.yaml")


def spec(count: int | None, wishes: Mapping[str, Wish], **more: Any) -> Spec:
    found = loaded(count, wishes, **more)
    assert found.spec is not None, found.diagnostics
    return found.spec


def shared_out(made: Spec, *known: Lock) -> Mapping[str, tuple[int, ...]]:
    return allocate(made, *known).hosts["box"].gpus


def is_possible(count: int, wishes: Mapping[str, Wish]) -> bool:
    """By trying every way to give each replica GPUs."""
    wanted = [gpus for replicas, gpus in wishes.values() for _ in range(replicas) if gpus and "count" in gpus]
    named = [int(text) for _, gpus in wishes.values() if gpus for text in gpus.get("devices", ())]
    if len({*named}) < len(named) or any(index >= count for index in named):
        return False
    if any(len(gpus["devices"]) % replicas for replicas, gpus in wishes.values() if gpus and "devices" in gpus):
        return False
    return _fits({*range(count)} - {*named}, [gpus["count"] for gpus in wanted])


def _fits(free: set[int], counts: list[int]) -> bool:
    if not counts:
        return True
    return any(_fits(free - {*chosen}, counts[1:]) for chosen in combinations(sorted(free), counts[0]))


COUNTS = st.integers(1, 4).map(lambda count: {"count": count})
DEVICES = st.lists(st.integers(0, 4), min_size=1, max_size=3).map(lambda found: {"devices": [*map(str, found)]})
WISHES = st.dictionaries(st.sampled_from(NAMES), st.tuples(st.integers(1, 2), st.none() | COUNTS | DEVICES), min_size=1)
LOCKS = st.dictionaries(
    st.sampled_from([f"{name}-box-{index}" for name in NAMES for index in (0, 1)]),
    st.lists(st.integers(0, 5), max_size=3).map(
        lambda found: LockedReplica(ports=LockedPorts(a=1024, b=1025), gpus=tuple(found))
    ),
).map(lambda replicas: Lock(enginehouse=1, replicas=replicas))


@given(count=st.integers(1, 4), wishes=WISHES, known=st.lists(LOCKS, max_size=2))
def test_every_replica_has_its_own_and_a_refusal_means_that_there_is_no_way(
    count: int, wishes: dict[str, Wish], known: list[Lock]
) -> None:
    """Whatever is locked: as many as it asked for, those that are declared, named ones only to whom they are named."""
    found = loaded(count, wishes)
    refused = any(diagnostic.code in REFUSALS for diagnostic in found.diagnostics)
    assert refused is not is_possible(count, wishes)
    if refused or found.spec is None:
        return
    given = shared_out(found.spec, *known)
    every = [gpu for gpus in given.values() for gpu in gpus]
    assert len({*every}) == len(every)
    assert {*every} <= {*range(count)}
    for name, (replicas, gpus) in wishes.items():
        of_it = [given.get(f"{name}-box-{index}", ()) for index in range(replicas)]
        each = (gpus or {}).get("count") or len((gpus or {}).get("devices", ())) // replicas
        assert [len(one) for one in of_it] == [each] * replicas
        if gpus and "devices" in gpus:
            assert {str(gpu) for one in of_it for gpu in one} == {*gpus["devices"]}


@given(before=st.permutations(NAMES), after=st.permutations(NAMES), kept=st.integers(1, 3))
def test_what_is_locked_never_moves(before: list[str], after: list[str], kept: int) -> None:
    """Insert, remove, reorder: a replica that stays keeps its GPUs."""
    wish: Wish = (1, {"count": 1})
    first = spec(4, dict.fromkeys(before[:kept], wish))
    then = shared_out(spec(4, dict.fromkeys(after, wish)), allocate(first).lock())
    assert {name: then[name] for name in shared_out(first)} == shared_out(first)


def test_without_a_lock_the_same_edit_moves_them() -> None:
    """Twin of the above."""
    wish: Wish = (1, {"count": 1})
    assert shared_out(spec(2, {"chat": wish})) != {
        "chat-box-0": shared_out(spec(2, {"code": wish, "chat": wish}))["chat-box-0"]
    }


def test_named_ones_are_nobody_elses() -> None:
    """Also not those of a deployment that stands before."""
    given = shared_out(spec(4, {"chat": (2, {"count": 1}), "code": (1, {"devices": ["0", "2"]})}))
    assert given == {"chat-box-0": (1,), "chat-box-1": (3,), "code-box-0": (0, 2)}


def test_a_lock_file_names_them() -> None:
    made = spec(2, {"chat": (1, {"count": 2}), "code": (1, None)})
    assert "  chat-box-0: {ports: {a: " in (text := lock_text(allocate(made).lock(), "demo"))
    assert [line.endswith(", gpus: [0, 1]}") for line in text.splitlines() if "box-0" in line] == [True, False]


def replica(wish: Wish, **more: Any) -> ReplicaPart:
    return plan(spec(2, {"chat": wish}, **more), NOTHING_LOCKED).replicas[0]


def test_a_replica_without_gpus_is_the_release_that_it_was() -> None:
    """Other GPUs are another release, and so is the first one with any; declared ones alone are not."""
    plain = replica((1, None))
    assert restart_digest(plain) == restart_digest(plan(spec(None, {"chat": (1, None)}), NOTHING_LOCKED).replicas[0])
    digests = {restart_digest(replica((1, {"devices": [index]}))) for index in ("0", "1")} | {restart_digest(plain)}
    assert len(digests) == 3
    with_gpus = replica((1, {"count": 1}))
    assert "gpu-layers" not in plain.args
    assert (with_gpus.args["gpu-layers"], with_gpus.args["fit"]) == ("all", "off")
    assert restart_digest(replace(with_gpus, gpus=None)) != restart_digest(with_gpus)


def test_a_part_of_a_model_may_stay_in_memory() -> None:
    assert replica((1, {"count": 1}), options={"n-gpu-layers": 20}).args["gpu-layers"] == "20"


def test_containers_with_gpus_need_the_toolkit() -> None:
    container = {"runtime": "docker", "image": f"reg.example/llama@sha256:{'0' * 64}"}
    tools = [
        plan(spec(2, {"chat": (1, gpus)}, **more), NOTHING_LOCKED).hosts[0].tools
        for gpus, more in (({"count": 1}, container), (None, container), ({"count": 1}, {}))
    ]
    assert [(DOCKER in found, TOOLKIT in found) for found in tools] == [(True, True), (True, False), (False, False)]
