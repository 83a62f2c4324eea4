"""Differences are named by the smallest thing that changed, and only real ones are named."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enginehouse.provider.diff import Kind, diff, path_text
from enginehouse.provider.wire import UNKNOWN, Hidden

REPLICA: dict[str, Any] = {
    "name": "chat-laptop-0",
    "stack": "laptop",
    "host": "laptop",
    "connection": {"kind": "local"},
    "args": {"ctx-size": "4096", "parallel": "2", "lora": ["a", "b"], "metrics": True},
    "env": {"LLAMA_ARG_X": "1"},
    "files": {"run.sh": "sha256 aaaaaaaaaaaa", "etc/engine.yaml": "sha256 bbbbbbbbbbbb"},
    "rendered": [{"path": "run.sh", "content": "old", "mode": 488, "on_change": "restart"}],
    "secrets": {"key-demo": Hidden("one")},
    "running": True,
}
CASES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "an option": ({"args": {**REPLICA["args"], "ctx-size": "8192"}}, ["update args.ctx-size"]),
    "an option more": ({"args": {**REPLICA["args"], "threads": "2"}}, ["add args.threads"]),
    "an option less": ({"args": {"ctx-size": "4096", "parallel": "2", "lora": ["a", "b"]}}, ["delete args.metrics"]),
    "one of a repeated option": ({"args": {**REPLICA["args"], "lora": ["a", "c"]}}, ["update args.lora[1]"]),
    "a repeated option more": ({"args": {**REPLICA["args"], "lora": ["a", "b", "c"]}}, ["add args.lora[2]"]),
    "a flag that gets a value": ({"args": {**REPLICA["args"], "metrics": "on"}}, ["update args.metrics"]),
    "two things": (
        {"args": {**REPLICA["args"], "ctx-size": "8192"}, "env": {}},
        ["update args.ctx-size", "delete env.LLAMA_ARG_X"],
    ),
    "a template": ({"files": {**REPLICA["files"], "run.sh": "sha256 cccccccccccc"}}, ['update files["run.sh"]']),
    "a template and what explains it": (
        {
            "files": {**REPLICA["files"], "run.sh": "sha256 cccccccccccc"},
            "args": {**REPLICA["args"], "ctx-size": "8192"},
        },
        ["update args.ctx-size"],
    ),
    "contents alone": ({"rendered": [], "renamed_from": "old"}, []),
    "absent written out": ({"env": {"LLAMA_ARG_X": "1", "GONE": None}, "later": None}, []),
    "the way to the machine": ({"connection": {"kind": "ssh"}}, ["update connection.kind"]),
    "a secret's value": ({"secrets": {"key-demo": Hidden("two")}}, ["update secrets.key-demo"]),
    "a value that became secret": ({"env": {"LLAMA_ARG_X": Hidden("1")}}, []),
    "a value not known yet": ({"env": {"LLAMA_ARG_X": UNKNOWN}}, ["update env.LLAMA_ARG_X"]),
    "a whole map not known yet": ({"env": UNKNOWN}, ["update env"]),
    "a stopped process": ({"running": False}, ["update running"]),
    "another machine": ({"host": "desk"}, ["update host (replace)"]),
    "another name": ({"name": "talk-laptop-0"}, ["update name (replace)"]),
    "a declared rename": ({"name": "talk-laptop-0", "renamed_from": "chat-laptop-0"}, ["update name"]),
    "a rename of something else": ({"name": "talk-laptop-0", "renamed_from": "x"}, ["update name (replace)"]),
}


def shown(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    return [f"{c.kind} {c.text}{' (replace)' if c.replaces else ''}" for c in diff(old, new)]


@pytest.mark.parametrize("case", CASES)
def test_a_change_is_named_by_what_changed(case: str) -> None:
    new, expected = CASES[case]
    assert shown(REPLICA, {**REPLICA, **new}) == expected


def test_another_machine_id_is_another_thing() -> None:
    assert shown({"machine_id": "aaa"}, {"machine_id": "bbb"}) == ["update machine_id (replace)"]


def test_a_machine_id_not_known_yet_replaces_nothing() -> None:
    """In a preview the id of a host that is about to change may be unknown; that alone announces no replacement."""
    assert shown({"machine_id": "aaa"}, {"machine_id": UNKNOWN}) == ["update machine_id"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
inputs = st.dictionaries(st.text(max_size=5), json_values, max_size=4)


@given(inputs)
def test_equal_inputs_have_no_difference(same: dict[str, Any]) -> None:
    assert diff(same, dict(reversed(same.items()))) == ()


@given(inputs, inputs)
def test_the_way_back_has_the_same_paths(old: dict[str, Any], new: dict[str, Any]) -> None:
    """What is added one way is deleted the other way."""
    mirrored = {Kind.ADD: Kind.DELETE, Kind.DELETE: Kind.ADD, Kind.UPDATE: Kind.UPDATE}
    there = {(change.path, change.kind) for change in diff(old, new)}
    back = {(change.path, mirrored[change.kind]) for change in diff(new, old)}
    assert there == back


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("args", "ctx-size"), "args.ctx-size"),
        (("env", 1), "env[1]"),
        (("files", "etc/haproxy.cfg"), 'files["etc/haproxy.cfg"]'),
        (("args", 'a"b'), 'args["a\\"b"]'),
        (("args", ""), 'args[""]'),
        (("",), '[""]'),
    ],
)
def test_paths_are_written_as_pulumi_reads_them(path: tuple[str | int, ...], text: str) -> None:
    assert path_text(path) == text
