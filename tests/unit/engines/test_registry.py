"""The registry takes ENGINE from each module and refuses what is missing, doubled or misnamed."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType

import pytest

from enginehouse.engines import collect, engines


def module(name: str, **names: object) -> ModuleType:
    made = ModuleType(f"enginehouse.engines.{name}")
    vars(made).update(names)
    return made


LLAMA = engines()["llama-cpp"]


def test_llama_cpp_is_found() -> None:
    assert engines()["llama-cpp"].program == "llama-server"


def test_the_registry_is_made_once_and_read_only() -> None:
    assert engines() is engines()
    with pytest.raises(TypeError):
        engines()["other"] = LLAMA  # type: ignore[index]


def test_a_module_without_engine_is_refused() -> None:
    with pytest.raises(TypeError, match=r"enginehouse\.engines\.vllm defines no ENGINE"):
        collect([module("vllm")])


def test_an_engine_of_another_type_is_refused() -> None:
    with pytest.raises(TypeError, match="defines no ENGINE of type Engine"):
        collect([module("vllm", ENGINE="vllm")])


def test_a_misnamed_engine_is_refused() -> None:
    """`llama_cpp` holds `llama-cpp`; anything else could not be found by its name."""
    with pytest.raises(ValueError, match="'llama-cpp' instead of 'vllm'"):
        collect([module("vllm", ENGINE=LLAMA)])


def test_a_name_used_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="two modules define the engine 'llama-cpp'"):
        collect([module("llama_cpp", ENGINE=LLAMA), module("llama_cpp", ENGINE=replace(LLAMA, title="copy"))])


def test_what_is_right_is_collected_by_name() -> None:
    other = replace(LLAMA, name="vllm")
    assert dict(collect([module("llama_cpp", ENGINE=LLAMA), module("vllm", ENGINE=other)])) == {
        "llama-cpp": LLAMA,
        "vllm": other,
    }
