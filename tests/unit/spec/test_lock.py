"""The lock file: its text, and what is read from it with its stack."""

from __future__ import annotations

from pathlib import Path

import pytest

from enginehouse.planner.plan import plan
from enginehouse.spec import Loaded, load
from enginehouse.spec.lock import (
    NOTHING_LOCKED,
    Lock,
    LockedGateway,
    LockedPorts,
    LockedReplica,
    lock_text,
)
from tests.unit.spec.stacks import STACK

LOCK = Lock(
    enginehouse=1,
    gateway=LockedGateway(metrics_port=20000),
    replicas={
        "code-box-0": LockedReplica(ports=LockedPorts(a=20003, b=20004)),
        "chat-box-0": LockedReplica(ports=LockedPorts(a=20001, b=20002)),
    },
)


def loaded(folder: Path, lock: str | bytes | None, stack: str = STACK) -> Loaded:
    """A stack `demo` with that lock file beside it."""
    (folder / "demo.yaml").write_text(stack)
    if lock is not None:
        (folder / "demo.lock.yaml").write_bytes(lock if isinstance(lock, bytes) else lock.encode())
    return load(folder / "demo.yaml", display="demo.yaml")


def test_the_text_is_small_sorted_and_says_what_it_is() -> None:
    """One line for each replica, by name."""
    assert lock_text(LOCK, "demo") == (
        "# Written by `enginehouse lock demo`. It belongs in Git: without it, an edit of the stack may move ports.\n"
        "enginehouse: 1\n"
        "gateway: {metrics_port: 20000}\n"
        "replicas:\n"
        "  chat-box-0: {ports: {a: 20001, b: 20002}}\n"
        "  code-box-0: {ports: {a: 20003, b: 20004}}\n"
    )


@pytest.mark.parametrize("lock", [LOCK, NOTHING_LOCKED], ids=["full", "empty"])
def test_what_is_written_is_read_again(tmp_path: Path, lock: Lock) -> None:
    found = loaded(tmp_path, lock_text(lock, "demo"))
    assert (found.lock, found.diagnostics) == (lock, ())


def test_without_a_lock_file_nothing_is_locked(tmp_path: Path) -> None:
    assert (loaded(tmp_path, None).lock, loaded(tmp_path, None).ok) == (NOTHING_LOCKED, True)


@pytest.mark.parametrize(
    ("lock", "code"),
    [
        (b"", "empty-file"),
        (b"\xff\xfe", "not-utf8"),
        (b"a\x00b", "control-character"),
        ("[", "yaml-syntax"),
        ("enginehouse: 1\n---\n", "several-documents"),
        ("[1]\n", "wrong-type"),
        ("enginehouse: 2\n", "out-of-range"),
        ("enginehouse: 1\nreplicas: {x: {ports: {a: 70000, b: 20000}}}\n", "out-of-range"),
        ("enginehouse: 1\nreplicas: {x: {}}\n", "missing-key"),
        ("enginehouse: 1\nports: {}\n", "unknown-key"),
        ("enginehouse: 1\ngateway: {metrics_port: 8080}\n", "port-of-endpoint"),
        ("enginehouse: 1\nreplicas: {x: {ports: {a: 20000, b: 20000}}}\n", "port-twice"),
    ],
)
def test_a_damaged_lock_file_stops_the_stack_and_is_named(tmp_path: Path, lock: str | bytes, code: str) -> None:
    """With its own file name and place; the stack file itself is fine."""
    found = loaded(tmp_path, lock)
    assert not found.ok
    assert [(d.code, d.span.file) for d in found.diagnostics] == [(code, "demo.lock.yaml")]
    assert found.spec is not None


def test_a_lock_file_that_is_a_folder_is_a_diagnostic(tmp_path: Path) -> None:
    (tmp_path / "demo.lock.yaml").mkdir()
    assert [d.code for d in loaded(tmp_path, None).diagnostics] == ["unreadable-file"]


def test_both_files_are_judged_at_once(tmp_path: Path) -> None:
    """And each diagnostic has its source line."""
    found = loaded(
        tmp_path, "enginehouse: 1\nports: {}\n", STACK.replace("runs_on: box\n  port", "runs_on: bux\n  port")
    )
    assert {d.span.file for d in found.diagnostics} == {"demo.yaml", "demo.lock.yaml"} == found.sources.keys()


def test_a_secret_in_a_lock_file_is_not_shown(tmp_path: Path) -> None:
    secret = "sk-abcdefghijklmnop0123456789"
    found = loaded(tmp_path, f"enginehouse: {secret}\n")
    assert secret not in "".join(found.sources.values())
    assert not any(secret in d.summary + d.hint for d in found.diagnostics)


def test_the_lock_file_of_another_spelling_of_the_ending_is_the_same(tmp_path: Path) -> None:
    """`demo.yml` has `demo.lock.yaml`, too."""
    (tmp_path / "demo.yml").write_text(STACK)
    (tmp_path / "demo.lock.yaml").write_text(lock_text(LOCK, "demo"))
    assert load(tmp_path / "demo.yml").lock == LOCK


def test_a_plan_obeys_what_was_loaded(tmp_path: Path) -> None:
    found = loaded(tmp_path, lock_text(LOCK, "demo"))
    assert found.spec is not None
    assert dict(plan(found.spec, found.lock).replicas[0].ports) == {"a": 20001, "b": 20002}
