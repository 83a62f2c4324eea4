"""A whole stack over SSH: up, up again, killed, altered, drained, cut off, edited, down."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from enginehouse.converge import as_inputs, orders
from enginehouse.errors import EnginehouseError, WrongMachine, explain
from enginehouse.render.symbols import Secret
from tests.ssh.world import SshWorld, ssh_world


@pytest.fixture(scope="module")
def shared() -> Iterator[SshWorld]:
    with ssh_world() as made:
        yield made


@pytest.fixture
def running(shared: SshWorld) -> SshWorld:
    """A stack that is up and as planned, whatever the test before did to it."""
    shared.reset()
    shared.up()
    shared.events.clear()
    return shared


def test_up_serves_behind_a_key(running: SshWorld) -> None:
    """The endpoint refuses a wrong key and answers with the right one; everything went over one connection."""
    assert [running.ask(key="wrong")[0], running.ask()[0]] == [401, 200]
    assert running.server.log.count("Accepted publickey") == 1


def test_a_second_up_looks_once_at_each_part_and_writes_nothing(running: SshWorld) -> None:
    """One round trip per part, no lease, no write, no process restarted."""
    before, processes = running.snapshot(), running.processes()
    running.connector.runs = running.connector.holds = 0
    running.up()
    assert (running.connector.runs, running.connector.holds) == (len(running.plan().parts()), 0), running.texts()
    assert (before, processes) == (running.snapshot(), running.processes())


def test_what_is_observed_is_what_was_planned(running: SshWorld) -> None:
    """A healthy stack has no difference and no complaint."""
    for part in running.plan().parts():
        observed = running.observe(part)
        assert observed is not None
        assert (observed.inputs, observed.reasons) == (as_inputs(part), ())


def test_what_was_killed_runs_again(running: SshWorld) -> None:
    """kill -9 of the supervisor and all it started is seen, and healed by the next `up`."""
    running.kill_all()
    observed = running.observe(running.plan().hosts[0])
    assert observed is not None
    assert observed.inputs["running"] is False
    running.up()
    assert running.ask()[0] == 200


def test_an_altered_file_is_named_and_healed(running: SshWorld) -> None:
    """Drift is what it is on this machine."""
    config = running.place("gateway-box", "current", "haproxy.cfg").resolve()
    written = config.read_text()
    config.write_text(written + "# edited\n")
    observed = running.observe(running.gateway())
    assert observed is not None
    assert "edited on the machine" in str(observed.inputs["files"])
    running.up()
    assert running.place("gateway-box", "current", "haproxy.cfg").read_text() == written


def test_a_drained_replica_gets_no_requests_until_it_is_undrained(running: SshWorld) -> None:
    """Orders go through HAProxy's socket on the machine."""
    running.settings["timeouts"] = {"queue_s": 1}
    running.up()
    orders.drain(running.replica(), running.context(), reason="a test", wait=False, force=True)
    assert running.ask()[0] == 503
    orders.undrain(running.replica(), running.context())
    running.wait_until(lambda: running.ask()[0] == 200)


@pytest.mark.parametrize("folder", ["/chat-box-0/", "/gateway-box/"])
def test_a_link_that_is_cut_in_a_script_is_one_sentence_and_the_next_run_finishes(
    running: SshWorld, folder: str
) -> None:
    """Requests are answered all the while, the script is ended on the machine, and the next run brings all of it."""
    running.write_model({"token_s": 0.001 * len(folder)})
    running.settings["secrets"] = ["key-demo", f"key-{len(folder)}"]
    running.secrets[f"key-{len(folder)}"] = Secret("sk-another-0123456789")
    cut = running.cut_in_script(folder)
    with pytest.raises(EnginehouseError) as caught:
        running.up()
    assert cut.is_set()
    assert "box: the connection broke off" in next(explain(caught.value))
    assert running.ask()[0] == 200
    running.another_run()
    running.up()
    assert [running.ask(key="sk-another-0123456789")[0], running.ask()[0]] == [200, 200]
    assert running.replica().weights == running.manifest("chat-box-0")["part"]["weights"]


def test_another_way_to_the_machine_changes_nothing_on_it(running: SshWorld) -> None:
    """Connection data differs in the inputs, and there is no step."""
    other = as_inputs(running.replica())
    before = running.snapshot()
    running.client.config.write_text(f"Host elsewhere\n  HostName 127.0.0.1\n{running.client.config.read_text()}")
    machine = running.machine()
    machine["ssh"]["hosts"]["box"] = {**machine["ssh"]["hosts"]["box"], "address": "elsewhere"}
    running.machine = lambda: machine  # type: ignore[method-assign]
    try:
        running.another_run()
        assert as_inputs(running.replica())["connection"] != other["connection"]
        running.up()
    finally:
        del running.machine
        running.another_run()
    assert running.snapshot() == before


def test_another_machine_behind_the_address_is_refused(running: SshWorld) -> None:
    """It is not overwritten, whatever is asked for."""
    before = running.snapshot()
    running.settings["context"] = 4096
    for act in (running.converge, running.destroy):
        with pytest.raises(WrongMachine, match="another machine answers"):
            act(running.replica(), machine_id="0" * 32)
    assert running.snapshot() == before


def test_down_leaves_the_weights(running: SshWorld) -> None:
    """Nothing runs, and it is said what stays."""
    said = running.down()
    assert running.processes() == {}
    assert any("the weights stay in" in line for line in said)
    assert running.down() == ()
