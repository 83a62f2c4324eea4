"""The gateway's files as a function of its part."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from enginehouse.gateway import files
from enginehouse.planner.parts import Client, GatewayPart, OnChange
from enginehouse.render.symbols import names
from tests.gateway.parts import DEMO, elsewhere, gateway_part

CLIENTS = (
    Client(name="search", secrets=("search-2", "search-1"), requests_per_minute=600, concurrent=40),
    Client(name="batch", secrets=("batch",), concurrent=8),
    DEMO,
)
CASES = {
    "one-model": gateway_part(),
    "one-model-two-replicas": gateway_part(replicas=2),
    "two-models": gateway_part(("chat", "code")),
    "two-models-two-replicas-limits": gateway_part(("chat", "code"), replicas=2, clients=CLIENTS),
    "public": gateway_part(public=True),
    "engines-elsewhere": elsewhere(gateway_part(("chat", "code"), replicas=2)),
    "ipv6": replace(gateway_part(), address="::1"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_files_are_the_golden_ones(case: str, golden: Callable[[str, Mapping[str, str]], None]) -> None:
    golden(f"gateway/{case}", {file.path: file.content for file in files(CASES[case])})


@pytest.mark.parametrize("part", CASES.values(), ids=CASES)
def test_every_file_takes_effect_by_a_reload_and_hashes_are_for_the_owner(part: GatewayPart) -> None:
    modes = {file.path: (file.on_change, file.mode) for file in files(part)}
    assert modes.pop("keys.map") == (OnChange.RELOAD, 0o600)
    assert set(modes.values()) == {(OnChange.RELOAD, 0o640)}


def test_only_what_has_engines_elsewhere_is_sent_with_their_key() -> None:
    """And their hangs, which this machine does not know, are not told."""
    made = {file.path: file.content for file in files(CASES["engines-elsewhere"])}
    backends = made["haproxy.cfg"].split("\nbackend ")
    assert [text.split("\n")[0] for text in backends if "engines.map" in text] == ["be_chat"]
    replicas = [f"{model}-laptop-{index}" for model in ("chat", "code") for index in (0, 1)]
    assert [name for name in replicas if name not in made["engines.lua"]] == ["chat-laptop-1"]
    assert all("engines.map" not in text for case in ("two-models", "public") for text in texts(case))


def texts(case: str) -> list[str]:
    return [file.content for file in files(CASES[case])]


def test_keys_appear_as_symbols_for_hashes_and_nothing_else_is_secret() -> None:
    symbols = {file.path: names(file.content) for file in files(CASES["two-models-two-replicas-limits"])}
    assert {path: found for path, found in symbols.items() if found} == {
        "haproxy.cfg": {"part"},
        "engines.lua": {"part"},
        "keys.map": {"sha256:search-1", "sha256:search-2", "sha256:batch", "sha256:key-demo"},
    }


def test_equal_parts_give_equal_files() -> None:
    assert files(gateway_part(replicas=3)) == files(gateway_part(replicas=3))


def test_a_change_of_keys_leaves_the_configuration_alone() -> None:
    before, after = (
        {file.path: file.content for file in files(gateway_part(clients=clients))} for clients in ((DEMO,), CLIENTS)
    )
    assert {path for path in before if before[path] != after[path]} == {"keys.map", "rate.map", "concurrent.map"}


def test_a_served_name_survives_json() -> None:
    odd = 'a"\\ü%[env(HOME)]'
    part = gateway_part()
    part = replace(part, routes=(replace(part.routes[0], names=(odd,)),))
    content = next(file.content for file in files(part) if file.path == "models.json")
    assert [model["id"] for model in json.loads(content)["data"]] == [odd]


def test_every_server_is_born_disabled_and_on_loopback() -> None:
    config = files(gateway_part(("chat", "code"), replicas=2))[0].content
    lines = [line.split() for line in config.splitlines()]
    assert [line[2].split(":")[0] for line in lines if line[:1] == ["server"] and line[1] != "successor"] == [
        "127.0.0.1"
    ] * 8
    assert [line[-1] for line in lines if line[:1] == ["default-server"]] == ["disabled"] * 2
