"""Converge as a whole on a simulated machine: whatever people, runs and machines do, no rule is broken, and a run that
is let through brings everything to rest.

`ENGINEHOUSE_EXAMPLES=5000 pytest tests/property/test_simulated.py` looks longer, and each time elsewhere.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from enginehouse.converge import foresee, observe, orders
from enginehouse.converge.records import history
from enginehouse.errors import ConvergeFailed, EnginehouseError
from enginehouse.planner.digests import restart_digest
from enginehouse.planner.parts import ReplicaPart
from tests.simulated import shell
from tests.simulated.faults import Fault, Interrupt, Kind, hurt
from tests.simulated.link import Killed
from tests.simulated.machine import PLENTY_MIB, STATE
from tests.simulated.processes import Mood, Stranger
from tests.simulated.world import OneRun, World

EXAMPLES = int(os.environ.get("ENGINEHOUSE_EXAMPLES", "0"))
LOOK = settings(
    max_examples=EXAMPLES or 100,
    stateful_step_count=12,
    deadline=None,
    derandomize=not EXAMPLES,
    print_blob=True,
)
CONTEXTS = (1024, 2048, 4096)
FAULTS = st.builds(Fault, st.sampled_from(Kind), st.integers(1, 160))
OTHERS = f"{STATE}/other/box/manifest.json"


class Life(RuleBasedStateMachine):
    """A stack's life. Edits change what is wanted; runs bring it about, if they are let."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.machine = self.world.machine
        self.machine.files.make_folder(OTHERS.rpartition("/")[0])
        self.machine.files.write(OTHERS, "somebody else's")
        self.late: list[tuple[str, tuple[bytes, ...]]] = []

    @rule(context=st.sampled_from(CONTEXTS))
    def edit_context(self, context: int) -> None:
        self.edit(context=context)

    @rule(batch=st.sampled_from([None, 128, 256]))
    def edit_option(self, batch: int | None) -> None:
        self.edit(batch=batch)

    @rule(weights=st.sampled_from(["first", "second"]))
    def edit_weights(self, weights: str) -> None:
        self.edit(weights=weights)

    @rule(key=st.sampled_from(["key-1", "key-2"]), alias=st.sampled_from([None, "gpt"]))
    def edit_gateway(self, key: str, alias: str | None) -> None:
        self.edit(key=key, alias=alias)

    @rule(port=st.sampled_from([8080, 8081]))
    def edit_port(self, port: int) -> None:
        self.edit(port=port)

    @rule(replicas=st.integers(1, 2), max_unavailable=st.integers(1, 2))
    def edit_replicas(self, replicas: int, max_unavailable: int) -> None:
        self.edit(replicas=replicas, max_unavailable=max_unavailable)

    @rule()
    def rename(self) -> None:
        now = self.world.settings.deployment
        self.edit(deployment="talk" if now == "chat" else "chat", renamed_from=now)

    @rule(fault=st.none() | FAULTS)
    def up(self, fault: Fault | None) -> None:
        lets = self.clean() and fault is None
        self.go(self.world.up, fault)
        if lets:
            self.assert_at_rest()

    @rule(mood=st.sampled_from([Mood.ENDS, Mood.NEVER_READY, Mood.NONSENSE]), fault=st.none() | FAULTS)
    def up_with_engines_that_fail(self, mood: Mood, fault: Fault | None) -> None:
        self.machine.moods[str(4 * self.world.settings.context)] = mood
        self.go(self.world.up, fault)
        self.machine.moods.clear()

    @rule(fault=st.none() | FAULTS)
    def down(self, fault: Fault | None) -> None:
        self.go(self.world.down, fault)

    @rule()
    def preview(self) -> None:
        run, before = self.world.run(), self.everything()
        for part in (*self.world.plan().parts(), *self.world.deployed.values()):
            foresee(part, run.context)
            with run.network():
                observe(part, run.context)
        assert (self.everything(), run.link.holds) == (before, 0)

    @rule(index=st.integers(0, 1), wait=st.booleans(), force=st.booleans(), fault=st.none() | FAULTS)
    def drain(self, index: int, wait: bool, force: bool, fault: Fault | None) -> None:
        part = self.replica(index)
        self.go(lambda run: orders.drain(part, run.context, reason="a test", wait=wait, force=force), fault, bold=True)

    @rule(index=st.integers(0, 1), fault=st.none() | FAULTS)
    def undrain(self, index: int, fault: Fault | None) -> None:
        part = self.replica(index)
        self.go(lambda run: orders.undrain(part, run.context), fault, bold=True)

    @rule()
    def freeze(self) -> None:
        self.go(lambda run: orders.freeze(self.world.plan().hosts[0], run.context, reason="a test"), None, bold=True)

    @precondition(lambda self: self.frozen())
    @rule()
    def unfreeze(self) -> None:
        self.go(lambda run: orders.unfreeze(self.world.plan().hosts[0], run.context), None, bold=True)

    @rule(index=st.integers(0, 1), back=st.integers(1, 3), fault=st.none() | FAULTS)
    def roll_back(self, index: int, back: int, fault: Fault | None) -> None:
        part = self.replica(index)
        kept = history(part, self.world.run().context)
        if len(kept) > back:
            self.go(lambda run: run.converge(kept[back].part), fault, bold=True)

    @rule(kind=st.sampled_from([Kind.ENGINE, Kind.HAPROXY, Kind.SUPERVISOR, Kind.REBOOT]))
    def hurt(self, kind: Kind) -> None:
        hurt(self.world, kind)

    @rule(seconds=st.sampled_from([0.1, 1.0, 5.0]))
    def time_passes(self, seconds: float) -> None:
        self.machine.clock.advance(seconds)

    @rule(data=st.data(), how=st.sampled_from(["edit", "remove", "rights"]))
    def edit_a_file(self, data: st.DataObject, how: str) -> None:
        """By hand. Standing orders are left to those who gave them; without the port of the gateway's statistics a
        replica does not see that it has the traffic."""
        left_alone = ("drained.json", "frozen.json", "metrics.port")
        files = [path for path in sorted(self.machine.files.files) if path.startswith(f"{STATE}/demo/")]
        if files := [path for path in files if not path.endswith(left_alone)]:
            path = data.draw(st.sampled_from(files))
            self.world.rules.disturbed = True
            entry = self.machine.files.files[path]
            if how == "remove":
                self.machine.files.remove(path)
            elif how == "edit":
                self.machine.files.write(path, f"{entry.content}# edited\n", entry.mode)
            else:
                entry.mode = 0o644

    @rule(data=st.data(), damaged=st.booleans())
    def lose_a_manifest(self, data: st.DataObject, damaged: bool) -> None:
        if manifests := sorted(self.world.rules.manifests()):
            path = f"{STATE}/demo/{data.draw(st.sampled_from(manifests))}/manifest.json"
            if damaged:
                self.machine.files.write(path, "{")
            else:
                self.machine.files.remove(path)

    @rule(data=st.data())
    def lose_weights(self, data: st.DataObject) -> None:
        files = [path for path in sorted(self.machine.files.files) if path.startswith(f"{STATE}/weights/")]
        if files:
            self.machine.files.remove(data.draw(st.sampled_from(files)))

    @rule(data=st.data())
    def somebody_listens(self, data: st.DataObject) -> None:
        ports = {port for part in self.world.plan().replicas for port in part.ports.values()}
        ports |= {8080, 8081, self.world.plan().gateways[0].metrics_port}
        if free := sorted(port for port in ports if self.machine.listener(port) is None):
            pid, port = self.machine.next_pid(), data.draw(st.sampled_from(free))
            self.machine.processes[pid] = Stranger(pid, 1, "nginx", self.machine.clock.seconds, port=port)

    @rule()
    def nobody_listens(self) -> None:
        for process in [p for p in self.machine.processes.values() if isinstance(p, Stranger)]:
            self.machine.kill(process)

    @rule(room=st.booleans())
    def memory(self, room: bool) -> None:
        self.machine.memory_mib = PLENTY_MIB if room else 10

    @precondition(lambda self: self.late)
    @rule()
    def a_late_script_runs(self) -> None:
        script, stdin = self.late.pop()
        if "exec 8<>" in script:
            shell.run(self.machine, script, stdin)

    def teardown(self) -> None:
        """Whatever it was, one run that is let through brings everything to rest."""
        self.machine.moods.clear()
        self.nobody_listens()
        if self.frozen():
            self.unfreeze()
            assert not self.frozen()
        if not self.clean():  # an engine that a dead run left and that never gets ready is ended by the first
            self.go(self.world.up, None)
        self.go(self.world.up, None)
        self.assert_at_rest()

    def edit(self, **changes: object) -> None:
        self.world.settings = replace(self.world.settings, **changes)  # type: ignore[arg-type]

    def go(self, verb: Callable[[OneRun], object], fault: Fault | None, *, bold: bool = False) -> None:
        """One run; only a `bold` one may fail without a fault or a reason in the world."""
        world, run = self.world, self.world.run()
        world.rules.begin(most_missing=world.settings.max_unavailable)
        clean, frozen, before, served = self.clean(), self.frozen(), self.everything(), set(world.rules.usable())
        interrupt = Interrupt(world, run, fault) if fault else None
        error: BaseException | None = None
        try:
            verb(run)
        except (EnginehouseError, Killed) as caught:
            error = caught
        finally:
            self.machine.interrupt = lambda what: None
            self.machine.files.full = False
            self.late += run.link.late
        if run.link.broken:
            self.machine.holder = None
        assert self.machine.holder is None
        harmless = fault is None or not (interrupt and interrupt.happened)
        if harmless and clean and not bold and error:
            raise error
        if frozen and harmless and not bold:
            assert self.everything() == before
        if harmless and isinstance(error, ConvergeFailed) and error.old_serves:
            assert served <= set(world.rules.usable())

    def clean(self) -> bool:
        strangers = any(isinstance(process, Stranger) for process in self.machine.processes.values())
        unwell = any(engine.mood is not Mood.WELL for engine in self.machine.engines())
        return not (strangers or unwell or self.machine.moods or self.frozen())

    def frozen(self) -> bool:
        return f"{STATE}/demo/frozen.json" in self.machine.files.files

    def replica(self, index: int) -> ReplicaPart:
        replicas = self.world.plan().replicas
        return replicas[index % len(replicas)]

    def everything(self) -> object:
        """All that a change could change."""
        haproxy = self.machine.haproxy()
        servers = [(s.name, s.admin, s.weight, s.checked) for s in haproxy.config.servers] if haproxy else None
        return self.machine.files.snapshot(), set(self.machine.processes), servers

    def assert_at_rest(self) -> None:
        machine, plan = self.machine, self.world.plan()
        machine.clock.advance(3)
        wanted = {(f"demo/{part.name}", restart_digest(part)[:12]) for part in plan.replicas}
        assert sorted((e.mark.rpartition("/")[0], e.release) for e in machine.engines()) == sorted(wanted)
        drained = {p.name for p in plan.replicas if f"{STATE}/demo/{p.name}/drained.json" in machine.files.files}
        assert sorted(self.world.rules.usable()) == sorted({part.name for part in plan.replicas} - drained)
        folders = {path.split("/")[3] for path in machine.files.folders if path.startswith(f"{STATE}/demo/")}
        assert folders == {part.name for part in plan.parts()}
        supervisor = machine.supervisor()
        assert supervisor
        running = {
            "gateway-box",
            "watchdog",
            *(e.mark.removeprefix("demo/").replace("/", "-") for e in machine.engines()),
        }
        assert set(supervisor.groups) == running
        assert {name.removesuffix(".conf") for name in machine.files.names_in(f"{STATE}/demo/box/programs")} == running
        run, before = self.world.run(), self.everything()
        self.world.up(run)
        assert (self.everything(), run.link.holds) == (before, 0)
        assert run.link.calls == len(plan.parts())


TestLife = Life.TestCase
TestLife.settings = LOOK
