"""Before a stack comes to a machine, everything in its way is told at once, and nothing is changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from enginehouse.connectors import Connectors
from enginehouse.connectors.base import Result
from enginehouse.converge import Context, converge, foresee
from enginehouse.converge.preflight import preflight
from enginehouse.converge.steps import Effect
from enginehouse.errors import ConvergeFailed
from enginehouse.planner.needs import Needs, needs_of
from enginehouse.planner.parts import ConnectionKind, HostPart
from tests.simulated.link import Link
from tests.simulated.machine import STATE
from tests.simulated.world import OneRun, World
from tests.unit.inventory.captures import answer

QUESTION = "facts | base64 | tr"
FIT = {"memory": "MemTotal: 16777216 kB\n", "disk": "F B U A C M\n/dev/vda 9000000 1 8000000 1% /\n"}
TAKEN = {"ports": "0100007F:1F90 7\n", "port_owners": "7\t42\tnginx\t/system.slice/nginx.service\t\n"}


@dataclass
class Site:
    """A simulated machine that says of itself what `values` say."""

    world: World = field(default_factory=World)
    values: Mapping[str, str] = field(default_factory=lambda: FIT)
    asked: list[str] = field(default_factory=list)

    @property
    def host(self) -> HostPart:
        return self.world.plan().hosts[0]

    @property
    def needs(self) -> Needs:
        return needs_of(self.world.plan(), self.host.name)

    def context(self, run: OneRun) -> Context:
        run.link = _Asked(self)
        now = int(run.context.clock.now().timestamp())
        self.values = {"clock": str(now), **self.values}
        connectors = Connectors({ConnectionKind.LOCAL: lambda host, connection: run.link})
        return replace(run.context, connectors=connectors, needs=self.needs)


class _Asked(Link):
    def __init__(self, site: Site) -> None:
        super().__init__(site.world.machine)
        self.site = site

    def run(self, script: str, **more: Any) -> Result:
        if QUESTION not in script:
            return super().run(script, **more)
        self.site.asked.append(script)
        return Result(returncode=0, stdout=answer(**{**self.site.values, "state": STATE}), stderr="")


def refused(site: Site) -> ConvergeFailed:
    with pytest.raises(ConvergeFailed) as caught:
        converge(site.host, site.context(site.world.run()))
    return caught.value


def test_a_fit_machine_is_asked_once_and_never_again() -> None:
    """What is there later is the business of each part, and a run with nothing to do is one round trip."""
    site = Site()
    for _ in range(2):
        converge(site.host, site.context(site.world.run()))
    assert len(site.asked) == 1


def test_everything_is_told_at_once_and_nothing_is_changed() -> None:
    """What the machine lacks, what others have, and programs that are too old."""
    site = Site(values={**TAKEN, "disk": "F B U A C M\n/dev/vda 9 1 9 1% /\n"})
    site.values = {**site.values, "clock": "5"}
    site.world.machine.versions["haproxy"] = "HA-Proxy version 1.8.0"
    error = refused(site)
    assert str(error) == "box is not ready for demo; nothing was changed"
    told = "\n".join(error.reasons)
    for words in ("clock: ", "disk: ", "in use by nginx (process 42, nginx.service)", "haproxy"):
        assert words in told, told
    assert not site.world.machine.files.has_folder(f"{STATE}/demo")
    assert not site.world.machine.processes


def test_a_preview_says_the_same() -> None:
    site = Site(values={**FIT, **TAKEN})
    seen = foresee(site.host, site.context(site.world.run()))
    assert seen.effect is Effect.FAILS
    assert [reason for reason in refused(site).reasons if reason not in seen.reason] == []


def test_a_machine_that_was_put_right_is_taken() -> None:
    """The twin: the same run, once the port is free."""
    site = Site(values={**FIT, **TAKEN})
    refused(site)
    site.values = FIT
    assert converge(site.host, site.context(site.world.run()))["generation"] == 1


def test_weights_that_are_missing_on_this_side_are_told_before_anything_is_begun() -> None:
    site = Site()
    context = replace(site.context(site.world.run()), uploads_from=Path("/nowhere"))
    wrong = [check for check in preflight(site.host, context, site.needs) if not check.ok]
    assert [check.what for check in wrong] == ["file"]
    assert wrong[0].found == "/nowhere/first.gguf can't be read on this side"


def test_weights_that_are_on_the_machine_need_nothing_on_this_side() -> None:
    """Those of an earlier stack, those that belong to the machine, and, as the twin, one that is not there."""
    site = Site(values={**FIT, "sizes": f"4096 {STATE}/kept.gguf\n4096 /models/own.gguf\n"})
    context = replace(site.context(site.world.run()), uploads_from=Path("/nowhere"))
    weights = {"@{state}/kept.gguf": "upload://kept.gguf", "/models/own.gguf": "host:///models/own.gguf"}
    there = replace(site.needs, weights=weights)
    assert all(check.ok for check in preflight(site.host, context, there))
    gone = replace(site.needs, weights={"/models/gone.gguf": "host:///models/gone.gguf"})
    wrong = [check.found for check in preflight(site.host, context, gone) if not check.ok]
    assert wrong == ["/models/gone.gguf can't be read on box"]
