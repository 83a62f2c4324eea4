"""An endpoint with a certificate: shown, exchanged without a failed request, found altered, its key nowhere else."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from enginehouse.converge import foresee
from enginehouse.converge.steps import Effect
from enginehouse.errors import ConvergeFailed
from enginehouse.planner.codec import to_plain
from enginehouse.render.symbols import Secret
from tests.certificates import ENDS, Pair, authority, issue
from tests.converge.harness import KEY, World
from tests.converge.load import load, wait_for_answers

HOSTNAME = "llm.example"
METRIC = "enginehouse_certificate_end_timestamp_seconds"
NAMES = (HOSTNAME, "127.0.0.1")
ROOT = authority()
MIDDLE = authority("Test intermediate CA", issuer=ROOT)
FIRST, SECOND = issue(MIDDLE, *NAMES), issue(MIDDLE, *NAMES)


@pytest.fixture
def sealed(shared: World) -> World:
    """A stack that is up with the first certificate, whatever the test before did to it."""
    shared.reset()
    give(shared, FIRST)
    shared.up()
    shared.events.clear()
    return shared


def give(world: World, pair: Pair) -> None:
    """Certificate and key as a person changes them."""
    file = world.folder / "llm.pem"
    file.write_text(pair.pem + MIDDLE.pem)
    tls = {"mode": "files", "certificate": str(file), "private_key": {"secret": "tls-key"}}
    world.settings["endpoint"] = {"hostname": HOSTNAME, "tls": tls}
    world.secrets["tls-key"] = Secret(pair.key_pem)
    world.trusted = ssl.create_default_context(cadata=ROOT.pem)


def shown(world: World) -> bytes:
    """The certificate that a client gets, once it has verified it by the root alone, with the name in its hello."""
    assert world.trusted
    plain = socket.create_connection(("127.0.0.1", world.port), timeout=60)
    with plain, world.trusted.wrap_socket(plain, server_hostname=HOSTNAME) as connection:
        found = connection.getpeercert(binary_form=True)
    assert found is not None
    return found


def der(pair: Pair) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pair.pem)


def test_the_endpoint_is_proved_over_tls(sealed: World) -> None:
    """Chain and name are verified on the way; nothing is answered without TLS."""
    assert sealed.plan().endpoints[0].url == f"https://{HOSTNAME}:{sealed.port}"
    assert sealed.manifest("endpoint")["seen"]
    assert sealed.ask()[0] == 200
    assert shown(sealed) == der(FIRST)
    with pytest.raises((http.client.HTTPException, OSError)):
        plain(sealed)


def test_it_listens_for_others(sealed: World) -> None:
    """A name says nothing about the machine's addresses, so it is all of them; `listen` chooses one."""
    assert (sealed.gateway().address, answers(sealed, "127.0.0.2")) == ("0.0.0.0", True)
    sealed.settings["endpoint"]["listen"] = "127.0.0.1"
    sealed.up()
    assert sealed.gateway().address == "127.0.0.1"
    sealed.wait_until(lambda: not answers(sealed, "127.0.0.2"))  # the worker from before ends by and by
    assert answers(sealed, "127.0.0.1")


def test_another_certificate_is_a_reload_that_fails_no_request(sealed: World) -> None:
    """The preview calls it that and names it, and the next handshake shows it."""
    give(sealed, SECOND)
    with load(sealed) as count:
        wait_for_answers(count, 4)
        assert foresee(sealed.gateway(), sealed.context()).effect is Effect.RELOAD
        sealed.converge(sealed.gateway())
        wait_for_answers(count, 4)
    assert count.failed == []
    assert shown(sealed) == der(SECOND)
    assert "tls.certificate" in sealed.journal("changed")[-1].text


def test_another_key_of_the_same_certificate_is_refused(sealed: World) -> None:
    """Before anything is touched, and already in the preview."""
    give(sealed, issue(MIDDLE, *NAMES))
    sealed.secrets["tls-key"] = Secret(FIRST.key_pem)
    assert foresee(sealed.gateway(), sealed.context()).effect is Effect.FAILS
    with pytest.raises(ConvergeFailed, match="'tls-key' is not the endpoint's private key: it belongs to another"):
        sealed.converge(sealed.gateway())
    assert shown(sealed) == der(FIRST)


def test_without_the_value_of_its_key_a_gateway_is_brought_back(sealed: World) -> None:
    """As a rollback does, also if the secret is the next certificate's key by now."""
    before = sealed.gateway()
    give(sealed, SECOND)
    sealed.up()
    sealed.converge(before)
    assert shown(sealed) == der(FIRST)


@pytest.mark.parametrize("name", ["certificate.pem", "certificate.pem.key"])
def test_what_was_altered_on_the_machine_is_found_and_healed(sealed: World, name: str) -> None:
    """The file is named, and HAProxy is made to read it again."""
    file = sealed.place("gateway-box", "current", name)
    right = file.read_text()
    for alter in (lambda: file.write_text(SECOND.key_pem), file.unlink):
        alter()
        observed = sealed.observe(sealed.gateway())
        assert observed is not None
        assert observed.inputs["files"][name] != sealed.gateway().files
        assert foresee(sealed.gateway(), sealed.context()).effect is Effect.RELOAD
        sealed.converge(sealed.gateway())
        assert file.read_text() == right
    assert shown(sealed) == der(FIRST)


def test_the_proof_refuses_a_certificate_of_others(sealed: World) -> None:
    """One that leads elsewhere, one for another name: no key of ours is sent."""
    endpoint = sealed.plan().endpoints[0]
    assert endpoint.seal
    for seal, words in (
        (replace(endpoint.seal, anchor=authority("Other CA").pem), "unable to get local issuer certificate"),
        (replace(endpoint.seal, hostname="shop.example"), "certificate is not valid for 'shop.example'"),
    ):
        with pytest.raises(ConvergeFailed) as failure:
            sealed.converge(replace(endpoint, seal=seal))
        (reason,) = failure.value.reasons
        assert "its certificate is refused" in reason
        assert words in reason


def test_the_proof_refuses_a_certificate_that_has_ended(sealed: World) -> None:
    """Twin of the good one: the same in everything but its time."""
    ends = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)
    give(sealed, issue(MIDDLE, *NAMES, ends=ends))
    sealed.converge(sealed.gateway())
    with pytest.raises(ConvergeFailed) as failure:
        sealed.converge(sealed.plan().endpoints[0])
    assert "its certificate is refused: certificate has expired" in failure.value.reasons[0]


def test_the_controller_proves_what_clients_see(sealed: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the public name, over the network of this side, and not through the machine. That changes nothing there."""
    sealed.settings["endpoint"] |= {"hostname": "127.0.0.1", "listen": "0.0.0.0", "verify_from": "controller"}
    sealed.up()
    before, dialled = sealed.snapshot(), count_dials(sealed, monkeypatch)
    observed = sealed.observe(sealed.plan().endpoints[0])
    assert observed is not None
    assert (observed.reasons, dialled, sealed.snapshot()) == ((), [], before)
    sealed.settings["endpoint"] |= {"verify_from": "gateway"}
    sealed.converge(sealed.plan().endpoints[0])
    assert dialled != []


@pytest.mark.parametrize(
    ("hostname", "told"),
    [(HOSTNAME, f"nobody is called {HOSTNAME} here"), ("127.0.0.1", "nothing answers at 127.0.0.1")],
)
def test_a_controller_that_does_not_get_there_is_told_from_a_gateway_that_is_down(
    sealed: World, hostname: str, told: str
) -> None:
    """Where the machine itself reaches the gateway, the sentence has the way out; where it does not, it has none."""
    sealed.settings["endpoint"] |= {"hostname": hostname, "listen": "127.0.0.2", "verify_from": "controller"}
    sealed.converge(sealed.gateway())
    endpoint = sealed.plan().endpoints[0]
    with pytest.raises(ConvergeFailed) as failure:
        sealed.converge(endpoint)
    (reason,) = failure.value.reasons
    assert told in reason
    assert "but the gateway's own machine reaches it; if clients have a way" in reason
    assert "write `verify_from: gateway`" in reason
    assert endpoint.seal
    nowhere = replace(endpoint, seal=replace(endpoint.seal, at=f"127.0.0.3:{sealed.port}"))
    with pytest.raises(ConvergeFailed) as failure:
        sealed.converge(nowhere)
    assert "verify_from" not in failure.value.reasons[0]


def test_its_end_is_a_metric_and_in_what_is_observed(sealed: World) -> None:
    """Of the endpoint's own certificate; without TLS there is none."""
    observed = sealed.observe(sealed.gateway())
    assert observed is not None
    assert observed.certificate_ends == ENDS
    assert f"\n{METRIC} {int(ENDS.timestamp())}\n" in sealed.metrics()
    sealed.settings["endpoint"] = {}
    sealed.up()
    observed = sealed.observe(sealed.gateway())
    assert observed is not None
    assert (observed.certificate_ends, METRIC in sealed.metrics()) == (None, False)


def test_the_private_key_is_nowhere_but_in_its_file(sealed: World) -> None:
    """Not in plan, manifest, journal, logs, progress, process lists or environments."""
    line = FIRST.key_pem.splitlines()[1]
    plan = json.dumps(to_plain(sealed.plan()))
    told = "\n".join([plan, *sealed.texts(), *processes(sealed)])
    assert line not in told
    assert "llm.example" in told
    holding = [file for file in sealed.state.rglob("*") if file.is_file() and line in file.read_text(errors="replace")]
    assert [(file.name, file.stat().st_mode & 0o777) for file in holding] == [("certificate.pem.key", 0o600)]


def count_dials(world: World, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that are dialled through the machine from now on."""
    dialled: list[str] = []
    dial = world.connector.dial

    def noted(address: str, *, deadline_s: float) -> socket.socket:
        dialled.append(address)
        return dial(address, deadline_s=deadline_s)

    monkeypatch.setattr(world.connector, "dial", noted)
    return dialled


def plain(world: World) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", world.port, timeout=60)
    connection.request("GET", "/v1/models", headers={"Authorization": f"Bearer {KEY}"})
    return connection.getresponse().status


def answers(world: World, address: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((address, world.port)) == 0


def processes(world: World) -> Iterator[str]:
    for pid in world.processes():
        for name in ("cmdline", "environ"):
            yield Path(f"/proc/{pid}/{name}").read_text()
