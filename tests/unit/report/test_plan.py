"""The plan as text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from enginehouse.converge.wire import short_digest
from enginehouse.engines.base import Args
from enginehouse.planner.codec import kind_of
from enginehouse.planner.parts import Become, Connection, ConnectionKind, Plan, Ssh
from enginehouse.report.lines import as_text
from enginehouse.report.plan import args_text, plan_text
from enginehouse.spec.lock import NOTHING_LOCKED, Lock, LockedGateway, LockedPorts, LockedReplica
from tests.unit.planner.test_each_host import planned
from tests.unit.report.plans import ENDPOINT, GATEWAY, PLAN, REPLICA


def shown(plan: Plan = PLAN, lock: Lock = NOTHING_LOCKED) -> str:
    return as_text(plan_text(plan, lock))


def ports_line(lock: Lock) -> str:
    return next(row for row in shown(lock=lock).splitlines() if row.startswith("ports "))


def test_ports_that_an_edit_could_move_are_said() -> None:
    """None locked, some locked, all locked."""
    name = PLAN.replicas[0].name
    entry = LockedReplica(ports=LockedPorts(**REPLICA.ports))
    some = Lock(enginehouse=1, replicas={name: entry})
    every = replace(
        some, gateway=LockedGateway(metrics_port=20000), replicas={part.name: entry for part in PLAN.replicas}
    )
    remedy = f"`enginehouse lock {PLAN.stack}` keeps them when the stack changes"
    assert ports_line(NOTHING_LOCKED) == f"ports          not pinned; {remedy}"
    loose = ", ".join(part.name for part in (*PLAN.replicas[1:], GATEWAY))
    assert ports_line(some) == f"ports          not pinned for {loose}; {remedy}"
    assert ports_line(every) == "ports          pinned by the lock file"


def test_the_whole_plan(golden: Callable[[str, Mapping[str, str]], None]) -> None:
    """Every part in order, with what it means."""
    public = replace(
        PLAN,
        description="",
        gateways=(replace(GATEWAY, public=True, clients=()),),
        endpoints=(replace(ENDPOINT, public=True, clients=()),),
    )
    golden("cli/plan", {"everything.txt": shown(), "public.txt": shown(public)})


def test_every_part_is_named_in_order() -> None:
    text = shown()
    places = [text.index(f"\n{kind_of(part)} {part.name}\n") for part in PLAN.parts()]
    assert places == sorted(places)


def test_what_is_alike_on_many_hosts_is_shown_once() -> None:
    """Each part with those that differ in their host alone; one that differs in more has a place of its own."""
    fleet = planned("shop-1", "shop-2", "shop-3")
    text = shown(fleet)
    assert "host shop-1\n" in text
    assert "  and          2 like it: shop-2, shop-3\n" in text
    assert "  and          2 like it: gateway-shop-2, gateway-shop-3\n" in text
    assert "host shop-2" not in text
    first, second, *others = fleet.replicas
    text = shown(replace(fleet, replicas=(first, second, *(replace(other, slots=9) for other in others))))
    slots = [row.split(": ")[1] for row in text.splitlines() if row.startswith("  serves")]
    assert [row.split(" requests")[0] for row in slots][-1] == "9"


def test_arguments_read_as_they_are_typed() -> None:
    args: Args = {
        "ctx-size": "4096",
        "no-webui": True,
        "lora": ("a b", "c"),
        "port": "@{port}",
        "chat-template": "{{ x }}",
    }
    expected = [
        "--ctx-size 4096",
        "--no-webui",
        "--lora 'a b'",
        "--lora c",
        "--port @{port}",
        "--chat-template '{{ x }}'",
    ]
    assert list(args_text(args)) == expected


def test_a_files_digest_is_the_one_that_diffs_show() -> None:
    """So that a plan and a preview can be compared by eye."""
    assert all(f"{file.path} {short_digest(file.content)}" in shown() for file in GATEWAY.files)


def test_a_changed_argument_changes_the_restart_digest_and_its_own_line_only() -> None:
    changed = shown(replace(PLAN, replicas=(replace(REPLICA, args={**REPLICA.args, "ctx-size": "8192"}),)))
    different = [(a, b) for a, b in zip(shown().splitlines(), changed.splitlines(), strict=True) if a != b]
    assert [a.split()[0] for a, _ in different] == ["--ctx-size", "restart"]


def test_the_way_to_a_machine_is_said_as_far_as_the_stack_says_it() -> None:
    """Address, and what else is given."""
    short, long = Ssh(address="gpu-1"), Ssh(address="10.1.0.11", port=2222, user="ops", jump="b", become=Become.SUDO)
    for ssh, said in {short: "ssh gpu-1", long: "ssh ops@10.1.0.11 port 2222 through b, as root by sudo"}.items():
        gateway = replace(GATEWAY, connection=Connection(kind=ConnectionKind.SSH, ssh=ssh))
        assert f"{gateway.host} ({said})" in shown(replace(PLAN, gateways=(gateway,)))
