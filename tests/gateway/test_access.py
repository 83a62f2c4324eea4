"""Who and what gets past the gateway, and what reaches the engine."""

from __future__ import annotations

from dataclasses import replace

import pytest

from enginehouse.planner.parts import Client
from tests.gateway.conftest import MakeUpstream, Start
from tests.gateway.harness import KEYS, RunningGateway, ports
from tests.gateway.parts import gateway_part
from tests.standins.upstream import Upstream

KEY = KEYS["key-demo"]


@pytest.fixture
def engine(upstream: MakeUpstream) -> Upstream:
    return upstream("a")


@pytest.fixture
def gateway(engine: Upstream, start: Start) -> RunningGateway:
    """One model, one ready engine."""
    gateway = start(gateway_part(ports=ports(engine.port)))
    gateway.make_ready("chat-laptop-0-a")
    return gateway


def test_the_right_key_gets_an_answer(gateway: RunningGateway) -> None:
    answer = gateway.ask()
    assert (answer.status, answer.json()) == (200, {"from": "a"})


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer demo"},
        {"Authorization": f"Bearer {KEYS['key-other']}"},
        {"Authorization": f"Bearer {KEY}x"},
        {"Authorization": f"Bearer x {KEY}"},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": KEY},
        {"X-Api-Key": KEY},
    ],
)
def test_anything_but_the_right_key_is_401(gateway: RunningGateway, engine: Upstream, headers: dict[str, str]) -> None:
    answer = gateway.ask(key=None, headers=headers)
    assert (answer.status, answer.error_code()) == (401, "invalid_api_key")
    assert answer.headers["www-authenticate"] == 'Bearer realm="enginehouse"'
    assert engine.seen == []


def test_the_stored_hash_is_not_a_key(gateway: RunningGateway) -> None:
    stored, client = (gateway.folder / "current" / "keys.map").read_text().split()
    assert (len(stored), client) == (64, "demo")
    assert gateway.ask(key=None, headers={"Authorization": f"Bearer {stored}"}).status == 401


def test_a_key_is_nowhere_on_the_disk_or_in_the_process_list(gateway: RunningGateway) -> None:
    gateway.ask()
    gateway.log_entries(1)
    gateway.save_state()
    kept = [path for path in gateway.folder.rglob("*") if path.is_file()]
    kept += [place for name in ("cmdline", "environ") if (place := gateway.proc(name)).exists()]
    assert len(kept) > 8
    assert [path for path in kept if KEY.encode() in path.read_bytes()] == []


def test_only_the_owner_can_use_the_socket_and_read_the_hashes(gateway: RunningGateway) -> None:
    modes = {name: (gateway.folder / name).stat().st_mode & 0o777 for name in ("run/admin.sock", "current/keys.map")}
    assert modes == {"run/admin.sock": 0o600, "current/keys.map": 0o600}


def test_a_rotated_key_works_beside_the_old_one_until_that_is_taken_away(gateway: RunningGateway) -> None:
    keys = ("key-demo", "key-next")
    assert [gateway.ask(key=key).status for key in keys] == [200, 401]
    gateway.reload(replace(gateway.part, clients=(Client(name="demo", secrets=("key-next", "key-demo")),)))
    assert [gateway.ask(key=key).status for key in keys] == [200, 200]
    gateway.reload(replace(gateway.part, clients=(Client(name="demo", secrets=("key-next",)),)))
    assert [gateway.ask(key=key).status for key in keys] == [401, 200]


def test_without_any_client_nobody_gets_in(engine: Upstream, start: Start) -> None:
    gateway = start(gateway_part(ports=ports(engine.port), clients=()))
    assert gateway.ask().status == 401


def test_a_public_gateway_asks_for_no_key(engine: Upstream, start: Start) -> None:
    gateway = start(gateway_part(ports=ports(engine.port), public=True))
    gateway.make_ready("chat-laptop-0-a")
    assert gateway.ask(key=None).status == 200
    assert gateway.log_entries(1)[0]["client"] == "public"


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/props",
        "/slots",
        "/metrics",
        "/stats",
        "/completion",
        "/v1/embeddings",
        "/v1/models/org%2Fchat:1",
        "/V1/chat/completions",
        "//v1/chat/completions",
        "/v1/chat/completions/",
        "/v1/chat//completions",
        "/v1/./chat/completions",
        "/v1/chat/completions/../../../props",
        "/props/../v1/chat/completions",
        "/v1/chat%2Fcompletions",
        "/v1/chat/completions%00",
        "/v1/chat/completions;x=/props",
        "http://engine.example/props",
        "*",
    ],
)
def test_a_path_that_is_not_listed_is_404_and_never_reaches_the_engine(
    gateway: RunningGateway, engine: Upstream, path: str
) -> None:
    answer = gateway.ask(path=path)
    assert (answer.status, answer.error_code()) == (404, "unknown_url")
    assert engine.seen == []


@pytest.mark.parametrize(
    "path", ["/v1/completions", "/v1/chat/completions?api-version=1", "http://other.example/v1/completions"]
)
def test_a_listed_path_gets_through_also_with_a_query_or_an_absolute_address(
    gateway: RunningGateway, path: str
) -> None:
    assert gateway.ask(path=path).status == 200


def test_without_a_key_even_an_unknown_path_is_401(gateway: RunningGateway) -> None:
    assert gateway.ask(path="/props", key=None).status == 401


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/chat/completions", "POST"),
        ("OPTIONS", "/v1/chat/completions", "POST"),
        ("DELETE", "/v1/completions", "POST"),
        ("POST", "/v1/models", "GET, HEAD"),
        ("POST", "/health", "GET, HEAD"),
    ],
)
def test_the_wrong_method_is_405_and_names_the_right_one(
    gateway: RunningGateway, method: str, path: str, allowed: str
) -> None:
    answer = gateway.ask(method, path)
    assert (answer.status, answer.headers["allow"], answer.error_code()) == (405, allowed, "method_not_allowed")


def test_the_models_are_listed_by_the_gateway_itself(gateway: RunningGateway, engine: Upstream) -> None:
    answer = gateway.ask("GET", "/v1/models")
    assert answer.json() == {
        "object": "list",
        "data": [{"id": "org/chat:1", "object": "model", "created": 0, "owned_by": "enginehouse"}],
    }
    assert gateway.ask("GET", "/v1/models", key=None).status == 401
    head = gateway.ask("HEAD", "/v1/models")
    assert (head.status, head.body) == (200, b"")


def test_keys_and_the_clients_host_stay_outside_and_the_request_id_goes_both_ways(
    gateway: RunningGateway, engine: Upstream
) -> None:
    answer = gateway.ask(headers={"X-Api-Key": KEY, "X-Request-Id": "mine", "Host": "evil.example", "X-Kept": "1"})
    seen = engine.seen[0]
    assert [seen.header(name) for name in ("Authorization", "X-Api-Key")] == [None, None]
    assert [seen.header(name) for name in ("Host", "X-Kept")] == ["localhost", "1"]
    assert [value for name, value in seen.headers if name.lower() == "x-request-id"] == [answer.headers["x-request-id"]]
    assert answer.headers["x-request-id"] not in ("", "mine")
    assert KEY not in repr(seen)
    assert "server" not in answer.headers


def test_health_is_open_and_says_whether_every_model_has_a_usable_server(upstream: MakeUpstream, start: Start) -> None:
    one, two = upstream("one"), upstream("two")
    gateway = start(gateway_part(("chat", "code"), ports=ports(one.port, 1, two.port, 1)))

    def health() -> tuple[int, object]:
        answer = gateway.ask("GET", "/health", key=None)
        return answer.status, answer.json().get("status") or answer.error_code()

    assert health() == (503, "unavailable")
    gateway.make_ready("chat-laptop-0-a")
    assert health() == (503, "unavailable")
    gateway.make_ready("code-laptop-0-a")
    assert health() == (200, "ok")
