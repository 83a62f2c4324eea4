"""The committed lists hold together: names, history, and what the adapter says about them."""

from __future__ import annotations

import importlib.resources
import json
from typing import Any

import pytest

from enginehouse.catalog.flags import Value, flag_list, history, is_before, nearest, versions
from enginehouse.engines.llama_cpp import ENGINE, RULES
from tests.unit.engines.cases import deployment

LISTS = pytest.mark.parametrize("version", versions("llama-cpp"))


def file(name: str) -> dict[str, Any]:
    text = (importlib.resources.files("enginehouse.catalog") / "llama-cpp" / f"{name}.json").read_text()
    found: dict[str, Any] = json.loads(text)
    return found


@pytest.mark.parametrize("name", [*versions("llama-cpp"), "history"])
def test_every_file_names_its_source_and_date(name: str) -> None:
    assert file(name)["engine"] == "llama-cpp"
    assert file(name)["source"]
    assert file(name)["read"] >= "2026-11"


@LISTS
def test_a_name_belongs_to_one_flag(version: str) -> None:
    """Without dashes too: `-c` and `--c` would be the same word in a stack file."""
    flags = [{n.lstrip("-") for n in (*flag["names"], *flag.get("off", ()))} for flag in file(version)["flags"]]
    names = [name for flag in flags for name in flag]
    assert sorted(set(names)) == sorted(names)


@LISTS
def test_flags_stand_for_a_long_name(version: str) -> None:
    """The command line is built with `--`, so a flag's own name and its first opposite are long."""
    for flag in file(version)["flags"]:
        assert flag["names"][0].startswith("--")
        assert not flag.get("off") or flag["off"][0].startswith("--")


@LISTS
def test_only_switches_have_opposites(version: str) -> None:
    flags = flag_list("llama-cpp", version).flags.values()
    assert {flag.value for flag in flags if flag.off} == {Value.SWITCH}


@LISTS
def test_history_and_list_agree(version: str) -> None:
    """What the history calls gone or not yet there is not in the list; what it calls there is."""
    listed = flag_list("llama-cpp", version).flags
    for name, change in history("llama-cpp").items():
        gone = change.gone is not None and not is_before(version, change.gone)
        assert (name in listed) == (not gone and not is_before(version, change.since)), name


def test_replacements_exist() -> None:
    """A message must not send people to a flag that the newest version lacks; `*` stands for several."""
    listed = flag_list("llama-cpp", versions("llama-cpp")[-1]).flags
    named = {text.split(" ")[0] for change in history("llama-cpp").values() for text in change.instead}
    assert {name for name in named if name not in listed and "*" not in name} == set()


@LISTS
def test_rules_speak_of_flags_that_exist(version: str) -> None:
    """And by the name that stands for the flag, or they would never apply."""
    own_names = {flag.name for flag in flag_list("llama-cpp", version).flags.values()}
    assert {*RULES.common, *RULES.reserved} - own_names == set()


@LISTS
def test_what_enginehouse_sets_is_nobody_elses(version: str) -> None:
    """Each of our own flags is reserved, a common word, or a default that an option may replace."""
    replaceable = {"fit", "cache-ram", "sse-ping-interval"}
    listed = flag_list("llama-cpp", version).flags
    ours = {listed[flag].name for flag in ENGINE.args(deployment(version=version), "/w")}
    assert ours - {*RULES.common, *RULES.reserved} == replaceable


@LISTS
def test_the_memory_of_every_cache_type_is_known(version: str) -> None:
    for kind in flag_list("llama-cpp", version).flags["cache-type-k"].choices:
        assert ENGINE.memory_mib(deployment(version=version, options={"cache-type-k": kind}), 0) > 0


@pytest.mark.parametrize(
    ("version", "expected"),
    [("b11434", "b11434"), ("b11500", "b11434"), ("b99999", "b11549"), ("b1", "b11149"), ("b" + "9" * 5000, "b11549")],
    ids=lambda value: value[:8],
)
def test_the_nearest_list(version: str, expected: str) -> None:
    """Its own, else the newest older one, else the oldest."""
    assert nearest("llama-cpp", version) == expected


def test_versions_are_sorted_by_number() -> None:
    assert is_before("b9000", "b11149")
    assert versions("llama-cpp") == tuple(sorted(versions("llama-cpp"), key=lambda v: int(v[1:])))


def test_an_engine_without_lists_has_no_versions() -> None:
    assert versions("none-such") == ()
