"""The llama.cpp adapter: context arithmetic, precedence of options, memory, version."""

from __future__ import annotations

import pytest

from enginehouse.engines import engines
from tests.unit.engines.cases import deployment

LLAMA = engines()["llama-cpp"]


@pytest.mark.parametrize(
    ("context_tokens", "slots", "expected"),
    [(4096, 4, "16384"), (1000, 3, "3072"), (256, 1, "256"), (257, 2, "1024")],
)
def test_ctx_size_is_the_padded_context_times_the_slots(context_tokens: int, slots: int, expected: str) -> None:
    """Each request gets at least `context_tokens`, since the engine divides ctx-size by the slots."""
    args = LLAMA.args(deployment(context_tokens=context_tokens, slots=slots), "/w")
    assert (args["ctx-size"], args["parallel"]) == (expected, str(slots))


def test_an_option_takes_the_place_of_a_default() -> None:
    plain = LLAMA.args(deployment(), "/w")
    args = LLAMA.args(deployment(options={"cram": 64, "sse-ping-interval": 30}), "/w")
    assert list(args) == list(plain)
    assert (args["cache-ram"], args["sse-ping-interval"]) == ("64", "30")


def test_threads_are_left_to_the_engine() -> None:
    """Enginehouse doesn't know what else the machine has to do."""
    assert "threads" not in LLAMA.args(deployment(), "/w")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"t": 2}, {"threads": "2"}),
        ({"nkvo": True}, {"no-kv-offload": True}),
        ({"n-gpu-layers": "all"}, {"gpu-layers": "all"}),
        ({"temperature": 0.5}, {"temp": "0.5"}),
        ({"lora": ["/a.gguf", "/b.gguf"]}, {"lora": "/a.gguf,/b.gguf"}),
        ({"reverse-prompt": ["a,b", "c"]}, {"reverse-prompt": ("a,b", "c")}),
        ({"reverse-prompt": "a,b"}, {"reverse-prompt": "a,b"}),
    ],
)
def test_options_become_long_flags(options: dict[str, object], expected: dict[str, object]) -> None:
    args = LLAMA.args(deployment(options=options), "/w")
    assert {flag: args[flag] for flag in expected} == expected


def test_smaller_cache_types_need_less_memory() -> None:
    """q8_0 holds a number in 8.5 bits instead of 16."""
    plain = LLAMA.memory_mib(deployment(context_tokens=8192, slots=4), 0)
    small = LLAMA.memory_mib(deployment(context_tokens=8192, slots=4, options={"ctk": "q8_0", "ctv": "q8_0"}), 0)
    assert (plain, small) == (4096 + 128, 2176 + 128)


def test_weights_count_in_full() -> None:
    assert LLAMA.memory_mib(deployment(), 2**30) - LLAMA.memory_mib(deployment(), 0) == 1024


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("version: 11434 (a1b2c3d)\nbuilt with GNU 12.2.0 for Linux x86_64\n", "b11434"),
        ("version: 0.5.0-dev (build 11434, commit unknown)\nbuilt with GNU 12.2.0 for Linux x86_64\n", "b11434"),
        ("ggml_cuda_init: found 1 device\nversion: 11549 (0c1e570)\n", "b11549"),
        ("version: 0.5.0\n", None),
        ("llama-server: version: many (x)\n", None),
    ],
)
def test_the_installed_version_is_read(output: str, expected: str | None) -> None:
    assert LLAMA.installed_version(output) == expected


def test_a_persons_own_configuration_is_not_read() -> None:
    assert LLAMA.env(deployment()) == {"XDG_CONFIG_HOME": "@{release}"}
