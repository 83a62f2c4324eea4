"""The access log: one JSON object for each request, whatever the client sends."""

from __future__ import annotations

import json
import re
from urllib.parse import quote

import pytest

from tests.gateway.conftest import MakeUpstream, Start
from tests.gateway.harness import KEYS, RunningGateway, ports
from tests.gateway.parts import gateway_part
from tests.gateway.test_routing import HOSTILE, as_sent, completion

KEY = KEYS["key-demo"]


@pytest.fixture
def gateway(upstream: MakeUpstream, start: Start) -> RunningGateway:
    gateway = start(gateway_part(("chat", "code"), ports=ports(upstream("a").port)))
    gateway.make_ready("chat-laptop-0-a")
    return gateway


def test_a_line_says_who_used_which_model_where_and_how_long_it_took(gateway: RunningGateway) -> None:
    answer = gateway.ask()
    entry = gateway.log_entries(1)[0]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", entry.pop("time"))
    times = {name: entry.pop(name) for name in ("queue_ms", "first_byte_ms", "total_ms")}
    assert all(isinstance(value, int) and 0 <= value < 60_000 for value in times.values())
    assert entry.pop("bytes_out") > len(answer.body)
    assert entry.pop("bytes_in") > 20
    assert entry == {
        "id": answer.headers["x-request-id"],
        "client": "demo",
        "method": "POST",
        "path": "/v1/chat/completions",
        "model": "org/chat:1",
        "backend": "be_chat",
        "server": "chat-laptop-0-a",
        "status": 200,
        "end": "--",
    }


def test_a_refused_request_is_logged_too_and_health_checks_are_not(gateway: RunningGateway) -> None:
    gateway.ask("GET", "/health", key=None)
    gateway.ask(key=None)
    entry = gateway.log_entries(1)[0]
    assert [entry[name] for name in ("status", "client", "model", "path")] == [401, "-", "-", "/v1/chat/completions"]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_anywhere_gives_one_line_that_parses(gateway: RunningGateway, text: str) -> None:
    gateway.ask(body=as_sent(completion(text)))
    gateway.ask(path=f"/{quote(text)}?{quote(text)}")
    header = text.encode().translate(None, b"\r\n\0").decode("latin-1")
    gateway.ask(headers={"User-Agent": header, "X-Request-Id": header, "Referer": header})
    entries = gateway.log_entries(3)
    assert sorted(entry["status"] for entry in entries) == [200, 404, 404]
    assert all(len(json.dumps(entry)) < 2500 for entry in entries)


@pytest.mark.parametrize("byte", [b'"', b"\\", b"{", b"\x01", b"\x7f", b"\x80", b"\xff", b"\xe2\x80\xa8", b"%00", b"'"])
def test_raw_bytes_in_path_and_method_give_a_line_that_parses(gateway: RunningGateway, byte: bytes) -> None:
    authorization = b"\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer " + KEY.encode() + b"\r\n\r\n"
    gateway.raw(b"GET /x" + byte * 300 + b" HTTP/1.1" + authorization)
    gateway.raw(b"G" + byte + b" / HTTP/1.1" + authorization)
    assert len(gateway.log_entries(2)) == 2


def test_neither_key_nor_body_nor_query_is_ever_logged(gateway: RunningGateway) -> None:
    gateway.ask(body=completion("org/chat:1", prompt="poison-prompt"), path=f"/v1/completions?api_key={KEY}")
    gateway.ask(headers={"X-Api-Key": KEY, "Cookie": KEY})
    gateway.raw(f"GET / HTTP/1.1\r\nBad Header {KEY}\r\n\r\n".encode())
    gateway.log_entries(3)
    log = gateway.log.read_text()
    assert (KEY in log, "poison-prompt" in log) == (False, False)
