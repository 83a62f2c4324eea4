"""One endpoint for two machines: an exchange under load, a machine that is cut off, reboots of either, and away."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from enginehouse.connectors import OPENERS, Connectors
from enginehouse.errors import EnginehouseError
from enginehouse.planner.parts import ConnectionKind, ReplicaPart
from tests.converge.load import load, wait_for_answers
from tests.hosts.lab import Lab, Machine
from tests.hosts.world import HostWorld, world_of

pytestmark = pytest.mark.hosts

SOON_S = 240.0
FAR = "far"
HOLDERS = """umask 077
cat >/dev/shm/key
grep -rlFf /dev/shm/key /var/lib/enginehouse /etc /tmp /root /home /var/log 2>/dev/null || :
grep -laFf /dev/shm/key /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null || :
rm /dev/shm/key"""
"""A script that prints which files and processes of the machine hold what is on its stdin."""


@dataclass(kw_only=True)
class Rack(HostWorld):
    """`box` with the gateway, which is what everything inherited is about, and `far` beside it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.connectors = Connectors(dict.fromkeys(ConnectionKind, self._way))

    def another_run(self) -> None:
        super().another_run()
        self.connectors = Connectors(dict.fromkeys(ConnectionKind, self._way))

    def yaml(self) -> str:
        stack = json.loads(super().yaml())
        hosts = {"box": {"address": self.bare.address}, FAR: {"address": far_address(self.bare)}}
        stack["machines"] = {"rack": {"ssh": {**self.login, "hosts": hosts}}}
        for deployment in stack["deployments"].values():
            deployment["runs_on"] = "rack"
        return json.dumps(stack)

    def on(self, host: str) -> ReplicaPart:
        return next(replica for replica in self.plan().replicas if replica.host == host)

    def usable(self) -> set[str]:
        """Hosts whose engines take requests."""
        return {row.server.split("-")[1] for row in self.traffic() if row.is_usable()}

    def traffic(self) -> Any:
        from enginehouse.gateway import RuntimeSocket

        socket = f"/var/lib/enginehouse/{self.stack}/gateway-box/run/admin.sock"
        return RuntimeSocket(self.connector, socket).servers()

    def _way(self, host: str, connection: Any) -> Any:
        return self.connector if host == "box" else OPENERS[connection.kind](host, connection)


def far_address(box: Machine) -> str:
    return f"{box.lab.network}.14"


@pytest.fixture(scope="module")
def far(lab: Lab, installed: str) -> Iterator[Machine]:
    with lab.machine(FAR, 4, image=installed) as machine:
        yield machine


@pytest.fixture(scope="module")
def rack(lab: Lab, far: Machine, installed: str) -> Iterator[Rack]:
    """Both machines up; they have the programs, whose installation is the business of other tests."""
    with lab.machine("front", 3, image=installed) as front, world_of(Rack, front) as world:
        world.install_standin()
        for path in ("/opt/standin.py", "/usr/local/bin/llama-server"):
            far.put(path, front.run(f"cat {path}").encode())
        world.up()
        yield world


@contextlib.contextmanager
def cut_off(machine: Machine) -> Iterator[None]:
    """Nobody reaches the machine, neither we nor the others."""
    rules = [
        (chain, *way, machine.address, "-j", "DROP")
        for chain, way in (("OUTPUT", ["-d"]), ("INPUT", ["-s"]), ("DOCKER-USER", ["-d"]), ("DOCKER-USER", ["-s"]))
    ]
    with contextlib.ExitStack() as stack:
        for rule in rules:
            subprocess.run(("iptables", "-w", "-I", *rule), check=True)
            stack.callback(subprocess.run, ("iptables", "-w", "-D", *rule), check=True)
        yield


def test_an_exchange_on_both_machines_fails_no_request(rack: Rack) -> None:
    """The engine of the other machine listens on its address only."""
    with load(rack) as count:
        wait_for_answers(count, 4)
        rack.settings["context"] = 4096
        rack.up()
        wait_for_answers(count, 4)
    assert count.failed == []
    assert rack.usable() == {"box", FAR}


def test_another_machine_in_the_network_can_t_use_the_engine(rack: Rack, far: Machine) -> None:
    """The gateway's machine is one for that, too, whoever is on it: without the key 401, with it an answer."""
    answers = {key: rack.bare.run(asking(rack, key)) for key in ("", "wrong", "$(head -n 1 $keys)")}
    assert [answer.strip() for answer in answers.values()] == ["401", "401", "200"]
    place = f"/var/lib/enginehouse/{rack.stack}"
    assert rack.bare.run(f"stat -c '%U %a' {place}/engine_keys").strip() == "root 600"
    key = rack.bare.run(f"head -n 1 {place}/engine_keys").strip()
    for machine in (rack.bare, far):
        held = machine.run(HOLDERS, stdin=f"{key}\n".encode()).split()
        assert {path.rpartition("/")[2] for path in held} <= {"engine_keys", "engine.keys", "engines.map"}
        assert held and machine.run(f"stat -c %a {' '.join(held)}").split() == ["600"] * len(held)


def test_what_holds_a_key_would_be_found(far: Machine) -> None:
    """Twin: a log, and a process with the key among its words."""
    words = "setsid sh -c 'sleep 600; :' 0123456789abcdef </dev/null >/dev/null 2>&1 & echo $!"
    pid = far.run(f"echo 0123456789abcdef >/var/log/leak; {words}").strip()
    try:
        held = far.run(HOLDERS, stdin=b"0123456789abcdef\n").split()
        assert {"/var/log/leak", f"/proc/{pid}/cmdline"} <= set(held)
    finally:
        far.run(f"rm /var/log/leak; kill -- -{pid}")


def asking(rack: Rack, key: str) -> str:
    """A command that asks the engine of the other machine, and prints the status."""
    port = next(row.port for row in rack.traffic() if row.is_usable() and FAR in row.server)
    url = f"http://{rack.on(FAR).address}:{port}/v1/chat/completions"
    body = '{"messages": [], "max_tokens": 1}'
    return (
        f"keys=/var/lib/enginehouse/{rack.stack}/engine_keys; printf 'Authorization: Bearer %s' \"{key}\" | "
        f"curl -s -o /dev/null -w '%{{http_code}}' -H @- -H 'Content-Type: application/json' -d '{body}' {url}"
    )


def test_a_machine_that_is_cut_off_costs_its_own_requests_and_comes_back(rack: Rack, far: Machine) -> None:
    """The others answer, its own parts fail in a sentence, and the next run finds nothing broken."""
    with cut_off(far):
        rack.wait_until(lambda: rack.usable() == {"box"})
        assert [rack.ask()[0] for _ in range(4)] == [200] * 4
        rack.another_run()
        with pytest.raises(EnginehouseError, match=FAR):
            rack.converge(rack.on(FAR))
    rack.another_run()
    rack.wait_until(lambda: rack.usable() == {"box", FAR})
    rack.up()


def test_after_a_reboot_of_the_gateways_machine_both_serve(rack: Rack) -> None:
    """Nobody does anything; the engine of the other machine is there at once."""
    rack.bare.reboot()
    serves(rack)
    rack.wait_until(lambda: rack.usable() == {"box", FAR}, SOON_S)
    rack.up()


def test_after_a_reboot_of_the_other_machine_its_engine_gets_nothing_while_it_loads(rack: Rack, far: Machine) -> None:
    """Its check says that it is not ready."""
    rack.write_model({"load_s": 4})
    rack.up()
    far.reboot()
    with load(rack) as count:
        wait_for_answers(count, 8)
        rack.wait_until(lambda: rack.usable() == {"box", FAR}, SOON_S)
        wait_for_answers(count, 8)
    assert count.failed == []
    rack.another_run()
    rack.up()


def test_destroy_leaves_nothing_that_runs_on_either_machine(rack: Rack, far: Machine) -> None:
    rack.down()
    for machine in (rack.bare, far):
        assert not machine.holds("grep -lsza ^ENGINEHOUSE_PROGRAM= /proc/[0-9]*/environ | grep .")


def serves(world: Rack) -> None:
    """Until the endpoint answers."""
    world.another_run()
    until = time.monotonic() + SOON_S
    while world.ask()[0] != 200 or world.heals():
        assert time.monotonic() < until
        time.sleep(0.2)
