"""What a reload, a restart and a staged release keep."""

from __future__ import annotations

import http.client
import select
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from enginehouse.gateway import ServerState
from enginehouse.planner.parts import Client
from tests.gateway.conftest import InBackground, MakeUpstream, Start
from tests.gateway.harness import DEADLINE_S, Edit, RunningGateway, ports, replacing, wait_until
from tests.gateway.parts import gateway_part
from tests.gateway.test_waiting import backend
from tests.ports import free_port
from tests.standins.upstream import Upstream

NAMES = ("chat-laptop-0-a", "chat-laptop-0-b", "chat-laptop-1-a", "chat-laptop-1-b")


@pytest.fixture
def engine(upstream: MakeUpstream) -> Upstream:
    return upstream("a")


def states(gateway: RunningGateway) -> Mapping[str, str]:
    return {row.server: row.status for row in gateway.runtime.servers()}


def mixed(start: Start, engine: Upstream) -> RunningGateway:
    """One server ready, one drained, one set to maintenance after it was ready, one never touched."""
    gateway = start(gateway_part(replicas=2, ports=ports(engine.port, engine.port, engine.port, engine.port)))
    gateway.make_ready(*NAMES[:3])
    gateway.set_state(NAMES[1], ServerState.DRAIN)
    gateway.set_state(NAMES[2], ServerState.MAINT)
    return gateway


EXPECTED = dict(zip(NAMES, ("UP", "DRAIN", "MAINT", "MAINT"), strict=True))


def test_every_server_is_after_a_reload_what_it_was_before(start: Start, engine: Upstream) -> None:
    gateway = mixed(start, engine)
    assert states(gateway) == EXPECTED
    gateway.reload(replace(gateway.part, clients=(Client(name="other", secrets=("key-other",)),)))
    assert states(gateway) == EXPECTED
    assert (gateway.ask(key="key-other").status, gateway.ask().status) == (200, 401)


def test_every_server_is_after_a_restart_what_it_was_before_and_the_ready_one_answers_at_once(
    start: Start, engine: Upstream
) -> None:
    gateway = mixed(start, engine)
    gateway.save_state()
    gateway.restart()
    assert states(gateway) == EXPECTED
    assert gateway.ask().status == 200


def test_the_twin_without_the_saved_state_a_reload_forgets_which_servers_are_ready(
    start: Start, engine: Upstream
) -> None:
    gateway = mixed(start, engine)
    gateway.save_state = lambda: None  # type: ignore[method-assign]
    gateway.reload(gateway.part)
    assert set(states(gateway).values()) == {"MAINT"}


def test_a_paused_server_is_paused_after_a_reload_and_can_be_ready_again(start: Start, engine: Upstream) -> None:
    gateway = start(gateway_part(ports=ports(engine.port)))
    gateway.make_ready(NAMES[0])
    gateway.runtime.pause("be_chat", NAMES[0])
    gateway.reload(gateway.part)
    assert not gateway.runtime.servers()[0].is_usable()
    gateway.make_ready(NAMES[0])
    assert gateway.ask().status == 200


def test_a_new_model_starts_without_servers_and_the_old_one_goes_on(start: Start, upstream: MakeUpstream) -> None:
    chat, code = upstream("chat"), upstream("code")
    given = ports(chat.port, 1, code.port, 1)
    gateway = start(gateway_part(("chat",), ports=given))
    gateway.make_ready(NAMES[0])
    more = gateway_part(
        ("chat", "code"), ports=iter((gateway.part.port, gateway.part.metrics_port, chat.port, 1, code.port, 1))
    )
    gateway.reload(more)
    assert gateway.ask().json() == {"from": "chat"}
    gateway.make_ready("code-laptop-0-a")
    assert gateway.ask(body={"model": "org/code:1"}).json() == {"from": "code"}


def test_a_request_in_progress_survives_a_reload(start: Start, engine: Upstream, in_background: InBackground) -> None:
    gateway = start(gateway_part(ports=ports(engine.port)))
    gateway.make_ready(NAMES[0])
    engine.open_gate.clear()
    running = in_background(gateway.ask, body={"model": "org/chat:1", "stream": True})
    wait_until(lambda: engine.in_progress == 1, "the engine works")
    gateway.reload(gateway.part)
    engine.open_gate.set()
    answer = running.result()
    assert (answer.status, answer.body.count(b"data:")) == (200, 2)


def test_requests_all_through_a_reload_are_answered(
    start: Start, engine: Upstream, in_background: InBackground
) -> None:
    gateway = start(gateway_part(ports=ports(engine.port)))
    gateway.make_ready(NAMES[0])
    statuses: list[int] = []
    done = False

    def keep_asking() -> None:
        while not done:
            statuses.append(gateway.ask().status)

    askers = [in_background(keep_asking) for _ in range(4)]
    for _ in range(3):
        before = len(statuses)
        gateway.reload(gateway.part)
        wait_until(lambda before=before: len(statuses) > before + 8, "requests are answered")  # type: ignore[misc]
    done = True
    for asker in askers:
        asker.result()
    assert set(statuses) == {200}


def test_a_kept_connection_lives_through_reloads_and_meets_what_is_true_now(
    start: Start, upstream: MakeUpstream
) -> None:
    """New keys, new servers, one line in the log: the worker that was replaced decides nothing any more."""
    old, new = upstream("old"), upstream("new")
    gateway = start(gateway_part(ports=ports(old.port, new.port)))
    gateway.make_ready(NAMES[0])
    kept = gateway.connect()
    assert gateway.ask(connection=kept).json() == {"from": "old"}
    kept_socket = kept.sock
    for _ in range(2):
        gateway.reload(replace(gateway.part, clients=(Client(name="other", secrets=("key-other",)),)))
    gateway.make_ready(NAMES[1])
    gateway.set_state(NAMES[0], ServerState.MAINT)
    assert kept.sock is kept_socket
    answer = gateway.ask(connection=kept, key="key-other")
    assert (answer.status, answer.json(), answer.headers["connection"]) == (200, {"from": "new"}, "close")
    wait_until(lambda: gateway.log.read_text().count(answer.headers["x-request-id"]) == 1, "the request is logged")
    assert gateway.ask(connection=kept).status == 401


def test_a_kept_connection_to_the_old_port_is_answered_once_more_and_closed(start: Start, engine: Upstream) -> None:
    """The new port serves at once; by the old one nobody gets in any more."""
    gateway, kept = moved(start, engine)
    answer = gateway.ask(connection=kept)
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert gateway.ask().status == 200
    with pytest.raises(ConnectionRefusedError):
        gateway.ask(connection=kept)


def test_the_twin_that_looks_for_its_successor_at_its_own_port_does_not_find_it(start: Start, engine: Upstream) -> None:
    by_port = replacing_line("    server successor ", lambda config: f"    server successor {bound(config)}")
    gateway, kept = moved(start, engine, by_port)
    assert gateway.ask(connection=kept).status == 503
    assert gateway.ask().status == 200


def moved(start: Start, engine: Upstream, edit: Edit = str) -> tuple[RunningGateway, http.client.HTTPConnection]:
    """A gateway that was reloaded with another port, and a connection to the old one."""
    gateway = start(gateway_part(ports=ports(engine.port)), edit=edit)
    gateway.make_ready(NAMES[0])
    kept = gateway.connect()
    assert gateway.ask(connection=kept).status == 200
    gateway.reload(replace(gateway.part, port=free_port()))
    return gateway, kept


def bound(config: str) -> str:
    """The address of the endpoint."""
    return next(line.split()[1] for line in config.splitlines() if line.startswith("    bind "))


def replacing_line(start: str, new: Callable[[str], str]) -> Edit:
    """A change of the first line that starts so."""

    def edit(config: str) -> str:
        old = next(line for line in config.splitlines() if line.startswith(start))
        return config.replace(old, new(config))

    return edit


def test_the_twin_without_the_option_a_reload_closes_kept_connections(start: Start, engine: Upstream) -> None:
    """A client that sends its next request in that moment gets no answer."""
    gateway = start(gateway_part(ports=ports(engine.port)), edit=replacing("option idle-close-on-response", ""))
    gateway.make_ready(NAMES[0])
    kept = gateway.connect()
    assert gateway.ask(connection=kept).status == 200
    gateway.reload(gateway.part)
    wait_until(lambda: select.select([kept.sock], [], [], 0)[0], "the connection is closed")
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        gateway.ask(connection=kept)


def test_a_request_held_by_the_old_worker_is_sent_away_soon_since_nothing_can_free_it(
    start: Start, engine: Upstream, in_background: InBackground
) -> None:
    """It could be held for longer than the client waits for an answer."""
    gateway = start(gateway_part(ports=ports(engine.port), queue_s=10 * int(DEADLINE_S)))
    held = in_background(gateway.ask)
    wait_until(lambda: backend(gateway).sessions == 1, "the request is held")
    gateway.reload(gateway.part)
    answer = held.result()
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
