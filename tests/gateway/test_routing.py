"""Which backend a request goes to, by the model in its body."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator

import pytest

from enginehouse.gateway.stats import parse_backends
from tests.gateway.conftest import InBackground, MakeUpstream, Start
from tests.gateway.harness import KEYS, Answer, RunningGateway, ports, wait_until
from tests.gateway.parts import gateway_part, route
from tests.standins.upstream import Upstream

HOSTILE = [
    '"',
    "\\",
    '"}], "x": [{"',
    "%[env(PATH)]",
    "\n\r\t\x00",
    "ä\u2028😀",
    "x" * 5000,
    "@{secret:key-demo}",
    "', '",
]
UNREADABLE = [
    {"messages": []},
    b"",
    b"not json",
    b"[]",
    b'{"model"',
    {"x": {"model": "org/chat:1"}},
    {"model": None},
    {"model": "\u2028"},
]
LIMIT = 256 * 1024


def completion(model: object, *, prompt: str = "hi") -> dict[str, object]:
    """As OpenAI's clients send it: the messages before the model."""
    return {"messages": [{"role": "user", "content": prompt}], "model": model}


def as_sent(body: object) -> bytes:
    """JSON with letters as they are, not as `\\u` escapes, which HAProxy reads for ASCII only."""
    return json.dumps(body, ensure_ascii=False).encode()


@pytest.fixture
def engine(upstream: MakeUpstream) -> Upstream:
    return upstream("chat")


@pytest.fixture
def one(engine: Upstream, start: Start) -> RunningGateway:
    gateway = start(gateway_part(("chat",), ports=ports(engine.port)))
    gateway.make_ready("chat-laptop-0-a")
    return gateway


@pytest.fixture
def two(engine: Upstream, upstream: MakeUpstream, start: Start) -> RunningGateway:
    gateway = start(gateway_part(("chat", "code"), ports=ports(engine.port, 1, upstream("code").port, 1)))
    gateway.make_ready("chat-laptop-0-a", "code-laptop-0-a")
    return gateway


@pytest.mark.parametrize("name", ["chat", "code"])
@pytest.mark.parametrize("length", [10, 20_000, 200_000])
def test_a_model_is_found_behind_a_long_prompt(two: RunningGateway, name: str, length: int) -> None:
    answer = two.ask(body=completion(f"org/{name}:1", prompt="y" * length))
    assert (answer.status, answer.json()) == (200, {"from": name})


@pytest.mark.parametrize("model", ["gpt-4o", "org/chat", "ORG/CHAT:1", "org/chat:1 ", "", 5, True, *HOSTILE])
def test_a_wrong_model_is_404_in_valid_json_with_one_model_and_with_two(
    one: RunningGateway, two: RunningGateway, engine: Upstream, model: object
) -> None:
    for gateway in (one, two):
        answer = gateway.ask(body=as_sent(completion(model)))
        assert (answer.status, answer.error_code()) == (404, "model_not_found")
    assert engine.seen == []


def test_the_refusal_names_the_model(two: RunningGateway) -> None:
    answer = two.ask(body=as_sent(completion('say "hi" ä')))
    assert answer.json()["error"]["message"].startswith('The model `say "hi" ä` is not served here')


@pytest.mark.parametrize("body", UNREADABLE)
def test_without_a_readable_model_two_models_mean_400_and_one_model_means_that_one(
    one: RunningGateway, two: RunningGateway, body: object
) -> None:
    answer = two.ask(body=body)
    assert (answer.status, answer.error_code()) == (400, "missing_model")
    assert one.ask(body=body).json() == {"from": "chat"}


def test_a_body_too_large_to_see_the_model_goes_to_the_only_one(one: RunningGateway, engine: Upstream) -> None:
    body = json.dumps(completion("any", prompt="y" * 3_000_000)).encode()
    assert one.ask(body=body).json() == {"from": "chat"}
    assert engine.seen[0].body == body


@pytest.mark.parametrize("length", [LIMIT, 3_000_000])
def test_with_two_models_a_body_above_the_limit_is_413_and_names_the_limit(
    two: RunningGateway, engine: Upstream, length: int
) -> None:
    answer = two.ask(body=completion("org/chat:1", prompt="y" * length))
    assert (answer.status, answer.error_code()) == (413, "request_too_large")
    assert str(LIMIT) in answer.json()["error"]["message"]
    assert engine.seen == []


def test_the_largest_allowed_body_is_routed(two: RunningGateway) -> None:
    frame = len(json.dumps(completion("org/code:1", prompt="")))
    body = json.dumps(completion("org/code:1", prompt="y" * (LIMIT - frame))).encode()
    assert len(body) == LIMIT
    assert two.ask(body=body).json() == {"from": "code"}


def chunked(gateway: RunningGateway, body: bytes, size: int) -> Answer:
    """The body in chunks of `size` bytes, without a length beforehand."""

    def pieces() -> Iterator[bytes]:
        yield from (body[start : start + size] for start in range(0, len(body), size))

    connection = http.client.HTTPConnection("127.0.0.1", gateway.part.port, timeout=10)
    headers = {"Authorization": f"Bearer {KEYS['key-demo']}"}
    connection.request("POST", "/v1/chat/completions", body=pieces(), headers=headers, encode_chunked=True)
    answer = connection.getresponse()
    return Answer(status=answer.status, headers={k.lower(): v for k, v in answer.getheaders()}, body=answer.read())


@pytest.mark.parametrize("size", [100, 16_000])
def test_a_chunked_body_is_routed_and_limited_like_any_other(two: RunningGateway, engine: Upstream, size: int) -> None:
    body = json.dumps(completion("org/code:1", prompt="y" * 200_000)).encode()
    assert chunked(two, body, size).json() == {"from": "code"}
    large = json.dumps(completion("org/chat:1", prompt="y" * LIMIT)).encode()
    assert chunked(two, large, size).error_code() == "request_too_large"
    assert engine.seen == []


def test_a_client_that_waits_for_leave_to_send_its_body_gets_it(two: RunningGateway) -> None:
    body = json.dumps(completion("org/code:1"))
    raw = two.raw(
        f"POST /v1/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\n"
        f"Authorization: Bearer {KEYS['key-demo']}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
    )
    assert raw.startswith(b"HTTP/1.1 100 Continue")
    assert raw.endswith(b'{"from": "code"}')


def test_every_model_is_listed(two: RunningGateway) -> None:
    assert [model["id"] for model in two.ask("GET", "/v1/models").json()["data"]] == ["org/chat:1", "org/code:1"]


def test_an_alias_leads_to_its_model_and_is_listed(engine: Upstream, upstream: MakeUpstream, start: Start) -> None:
    """With one model and with two; the engine gets the body as it came."""
    for models, more in ((("chat",), ()), (("chat", "code"), (upstream("code").port, 1))):
        routes = [route("chat", "gpt-4o", "org/other:2"), *(route(model) for model in models[1:])]
        gateway = start(gateway_part(models, routes=routes, ports=ports(engine.port, 1, *more)))
        gateway.make_ready(*(f"{model}-laptop-0-a" for model in models))
        for name in ("gpt-4o", "org/other:2"):
            assert gateway.ask(body=completion(name)).json() == {"from": "chat"}
        listed = [model["id"] for model in gateway.ask("GET", "/v1/models").json()["data"]]
        assert listed == ["org/chat:1", "gpt-4o", "org/other:2", *(f"org/{model}:1" for model in models[1:])]
        assert gateway.ask(body=completion("gpt-4")).error_code() == "model_not_found"


@pytest.fixture
def split(engine: Upstream, upstream: MakeUpstream, start: Start) -> RunningGateway:
    """One name, answered by two deployments in equal shares; a third deployment has a share of 0."""
    part = gateway_part(
        ("chat", "code", "old"),
        routes=[route("chat", "gpt-4o", chat=1, code=1), route("old")],
        ports=ports(engine.port, 1, upstream("code").port, 1, upstream("old").port, 1),
    )
    return start(part)


def answers(gateway: RunningGateway, model: str, count: int) -> set[str]:
    return {gateway.ask(body=completion(model)).json()["from"] for _ in range(count)}


def test_shares_are_drawn_anew_for_each_request(split: RunningGateway) -> None:
    """Both answer, under each name. That 60 fair draws are all alike happens once in 2^59."""
    split.make_ready("chat-laptop-0-a", "code-laptop-0-a", "old-laptop-0-a")
    assert answers(split, "org/chat:1", 60) == {"chat", "code"}
    assert answers(split, "gpt-4o", 60) == {"chat", "code"}
    assert answers(split, "org/old:1", 5) == {"old"}


@pytest.mark.parametrize("up", ["chat", "code"])
def test_a_share_that_is_down_goes_to_those_that_are_up(split: RunningGateway, up: str) -> None:
    split.make_ready(f"{up}-laptop-0-a")
    assert answers(split, "org/chat:1", 20) == {up}


def parked(gateway: RunningGateway) -> list[str]:
    """The backends that have a request."""
    stats = gateway.ask("GET", "/stats;csv", key=None, port=gateway.part.metrics_port).body.decode()
    return [row.backend for row in parse_backends(stats) if row.sessions]


def test_a_name_whose_shares_are_all_down_waits_for_the_first(
    split: RunningGateway, in_background: InBackground
) -> None:
    """It is parked as with one deployment, and answered as soon as that one can."""
    waiting = in_background(split.ask, body=completion("gpt-4o"))
    wait_until(lambda: parked(split) == ["be_chat"], "the request is parked")
    split.make_ready("chat-laptop-0-a")
    assert waiting.result().json() == {"from": "chat"}
