"""Ports: what is allocated stays, the rest gets what is free."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from enginehouse.planner.allocate import HostAllocation
from enginehouse.planner.allocate import allocate as allocated
from enginehouse.spec import load_text
from enginehouse.spec.lock import Lock, LockedGateway, LockedPorts, LockedReplica
from enginehouse.spec.model import Deployment, Spec
from tests.unit.planner.test_plan import STACK

_BASE = load_text(STACK, name="demo", display="demo.yaml").spec
assert _BASE is not None
BASE: Spec = _BASE
CHAT: Deployment = BASE.deployments["chat"]
FIRST = allocated(BASE).hosts["box"].metrics_port
PORTS = st.integers(min_value=FIRST, max_value=FIRST + 12)
"""Few, and around those that are given anyway, so that they often meet."""
NAMES = ("ahead", "chat", "code", "talk")


def spec(*names: str, port: int = 8080, **changes: object) -> Spec:
    """A stack with these deployments of two replicas, in this order."""
    deployments = {name: replace(CHAT, **changes) for name in names}
    return replace(BASE, deployments=deployments, endpoint=replace(BASE.endpoint, port=port))


def allocate(made: Spec, *known: Lock) -> HostAllocation:
    """The ports on the one machine."""
    return allocated(made, *known).hosts["box"]


def every_port(found: HostAllocation) -> list[int]:
    return [found.metrics_port, *(port for ports in found.replicas.values() for port in ports.values())]


@st.composite
def locks(draw: st.DrawFn) -> Lock:
    """Any lock, also with ports that collide and with entries of replicas that no stack here has."""
    entries = st.builds(lambda a, b: LockedReplica(ports=LockedPorts(a=a, b=b)), PORTS, PORTS)
    names = st.sampled_from([f"{name}-box-{index}" for name in (*NAMES, "gone") for index in (0, 1)])
    return Lock(
        enginehouse=1,
        gateway=LockedGateway(metrics_port=draw(st.none() | PORTS)),
        replicas=draw(st.dictionaries(names, entries, max_size=6)),
    )


ORDERS = st.permutations(NAMES).flatmap(lambda names: st.integers(1, len(names)).map(lambda n: tuple(names[:n])))


@given(order=ORDERS, known=st.lists(locks(), max_size=3), port=PORTS)
def test_no_port_is_ever_given_twice(order: tuple[str, ...], known: list[Lock], port: int) -> None:
    """Whatever is known already; nor is the endpoint's own, and every side of every replica has one."""
    made = spec(*order, port=port)
    ports = every_port(allocate(made, *known))
    assert len({*ports, port}) == len(ports) + 1 == 2 + 4 * len(order)


@given(before=ORDERS, after=ORDERS)
def test_what_is_locked_never_moves(before: tuple[str, ...], after: tuple[str, ...]) -> None:
    """Insert, remove, reorder: a replica that stays keeps its ports, and so does the gateway."""
    first = allocate(spec(*before))
    then = allocate(spec(*after), allocated(spec(*before)).lock())
    assert then.metrics_port == first.metrics_port
    for name in set(first.replicas) & set(then.replicas):
        assert then.replicas[name] == first.replicas[name]


def test_without_a_lock_the_same_edit_moves_ports() -> None:
    """Twin of the above."""
    assert allocate(spec("ahead", "chat")).replicas["chat-box-0"] != allocate(spec("chat")).replicas["chat-box-0"]


@given(order=ORDERS)
def test_a_lock_that_was_written_changes_nothing(order: tuple[str, ...]) -> None:
    made = spec(*order)
    assert allocate(made, allocated(made).lock()) == allocate(made)


@given(known=locks(), other=locks())
def test_of_two_allocations_the_first_wins(known: Lock, other: Lock) -> None:
    alone = allocate(spec("chat"), known)
    for name, ports in allocate(spec("chat"), known, other).replicas.items():
        entry = known.replicas.get(name)
        if entry and alone.replicas[name] == {"a": entry.ports.a, "b": entry.ports.b}:
            assert ports == alone.replicas[name]


def test_entries_of_replicas_that_are_gone_keep_nothing() -> None:
    lock = allocated(spec("gone")).lock()
    assert allocate(spec("chat"), lock).replicas["chat-box-0"] == allocate(spec("gone")).replicas["gone-box-0"]


def test_a_former_names_entry_counts_until_there_is_one_of_the_present_name() -> None:
    former = allocated(spec("ahead", "assistant")).lock()
    renamed = spec("chat", renamed_from="assistant")
    assert allocate(renamed, former).replicas == {
        f"chat-box-{index}": allocate(spec("ahead", "assistant")).replicas[f"assistant-box-{index}"] for index in (0, 1)
    }
    both = replace(former, replicas={**former.replicas, **allocated(spec("chat")).lock().replicas})
    assert allocate(renamed, both).replicas == allocate(spec("chat")).replicas
