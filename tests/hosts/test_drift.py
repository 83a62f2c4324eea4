"""What somebody changed on a machine is named by a look and put right by a run: what only a real machine has.

What does not need one is in `tests/converge/test_drift.py`; both take the same looks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

from enginehouse.errors import EnginehouseError, explain
from enginehouse.planner.parts import Side
from tests.converge.test_drift import heal, looks
from tests.hosts import census
from tests.hosts.lab import Lab, listens
from tests.hosts.world import HostWorld, host_world

pytestmark = pytest.mark.hosts

STACK = f"{census.STATE}/t8080"
UNIT = "$(cd /etc/systemd/system; ls enginehouse-*.service)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """`by` is a script; `seen`: some words of what is said, by part."""

    by: str
    seen: Mapping[str, str]


BREAKS = {
    "a stopped service": Break(
        by=f"systemctl stop {UNIT}", seen={"box": "running is false", "endpoint": "does not run"}
    ),
    "a service that is masked by hand": Break(
        by=f"cd /etc/systemd/system; unit={UNIT}; ln -sfn /dev/null $unit; systemctl daemon-reload",
        seen={"box": "unit: missing on the machine"},
    ),
    "a service that is disabled": Break(
        by=f"systemctl disable -q --now {UNIT}", seen={"box": "running is false", "gateway-box": "running is false"}
    ),
    "a unit that is gone": Break(
        by=f"unit={UNIT}; systemctl stop $unit; rm /etc/systemd/system/$unit; systemctl daemon-reload",
        seen={"box": "running is false"},
    ),
    "altered weights": Break(
        by=f"sed -i 's/}}/ /' {census.STATE}/weights/*/model.gguf",
        seen={"chat-weights-box": "altered", "chat-box-0": "altered"},
    ),
    "another engine's arguments": Break(
        by=f"sed -i 's/4096/8192/' {STACK}/chat-box-0/releases/*/start", seen={"chat-box-0": "start edited"}
    ),
    "keys that others can read": Break(
        by=f"chmod 644 $(readlink -f {STACK}/gateway-box/current)/keys.map", seen={"gateway-box": "mode 644"}
    ),
    "all folders open to others": Break(
        by=f"chmod -R go+rX {STACK}", seen={"box": "mode 755", "gateway-box": "mode 644", "chat-box-0": "mode"}
    ),
}


@pytest.fixture(scope="module")
def up(lab: Lab, equipped: str) -> Iterator[HostWorld]:
    with lab.machine("dora", 33, image=equipped) as machine, host_world(machine) as world:
        census.settle(machine)
        world.install_standin()
        world.up()
        yield world


@pytest.mark.parametrize("row", BREAKS.values(), ids=BREAKS.keys())
def test_what_somebody_changed_is_named_and_put_right(up: HostWorld, row: Break) -> None:
    """And nothing of others is touched by that; the second look finds nothing."""
    up.another_run()
    theirs = census.others(up.bare, up.our_ports)
    up.bare.run(row.by)
    seen = looks(up)
    for part, words in row.seen.items():
        assert words in "\n".join(seen.get(part, ())), seen
    heal(up, seen)
    assert looks(up) == {}
    assert up.ask()[0] == 200
    up.connector.runs = up.connector.holds = 0
    up.up()
    assert (up.connector.runs, up.connector.holds) == (len(up.plan().parts()), 0)
    assert census.others(up.bare, up.our_ports) == theirs
    up.another_run()
    census.assert_nothing_left(up.bare)


def test_a_port_of_the_endpoint_that_somebody_took_meanwhile_is_theirs(up: HostWorld) -> None:
    """Said with who they are; they go on, and once they are gone, so do we."""
    up.another_run()
    up.bare.run(f"systemctl stop {UNIT}; {_listener(up.port)}")
    with pytest.raises(EnginehouseError) as caught:
        heal(up, looks(up))
    said = "\n".join(explain(caught.value))
    assert str(up.port) in said
    assert "python3" in said
    up.bare.run("kill $(cat /run/theirs)")
    up.another_run()
    heal(up, looks(up))
    assert up.ask()[0] == 200


def test_a_port_of_a_replica_that_somebody_took_meanwhile_is_theirs(up: HostWorld) -> None:
    """They go on, and the engine starts on the other side."""
    up.another_run()
    side = up.bare.run(f'sed -n \'s/.*"side": "\\([ab]\\)".*/\\1/p\' {STACK}/chat-box-0/manifest.json').strip()
    up.bare.run(f"systemctl stop {UNIT}; {_listener(up.replica().ports[Side(side)])}")
    heal(up, looks(up))
    assert up.ask()[0] == 200
    up.bare.run("kill $(cat /run/theirs)")


def _listener(port: int) -> str:
    """A script that starts somebody's program on that port, and returns when it listens."""
    serve = f"setsid python3 -m http.server {port} --bind 127.0.0.1 --directory /srv >/dev/null 2>&1"
    return f"{serve} & echo $! >/run/theirs; {listens(port)}"
