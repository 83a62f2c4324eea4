"""Meaning: which modules there are, and that nothing is concluded from what is wrong already.

What each check finds is in tests/golden/diagnostics.
"""

from __future__ import annotations

import pkgutil

import pytest

from enginehouse.diagnostics import Severity
from enginehouse.spec import checks
from enginehouse.spec.codes import Code
from tests.unit.spec.stacks import codes, loaded, only

CHAT = "    runs_on: box\n"
MORE = """\
  more:
    engine: llama-cpp
    version: "b11434"
    runs_on: box
    model:
      source: upload://more.gguf
      sha256: 6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b
      served_name: more
endpoint:
"""


def test_every_module_is_called() -> None:
    """A check that is not in the tuple would never run."""
    names = {module.name for module in pkgutil.iter_modules(checks.__path__)}
    assert {check.__module__.rpartition(".")[2] for check in checks.CHECKS} == names


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param([("\nmachines:", "\nmachine:")], id="no groups, so no group is unknown"),
        pytest.param([("box: {local: {}}", "box: {local: []}")], id="a group is wrong, but it is there"),
        pytest.param([("llama-cpp", "7"), ('"b11434"', "latest")], id="versions of no engine"),
        pytest.param([('"b11434"', "1.2"), (CHAT, CHAT + "    options: {thread: 1}\n")], id="options of no version"),
        pytest.param([("endpoint:\n", MORE), ("served_name: tiny", "served_name: 1")], id="one served name"),
        pytest.param([("  port", "  hostname: 0.0.0.0\n  tls: {mode: acm}\n  port")], id="TLS of some kind is wanted"),
    ],
)
def test_nothing_is_concluded_from_a_wrong_value(changes: list[tuple[str, str]]) -> None:
    """Where the shape is wrong, only that is told: what would follow from it may not be true."""
    shape = {"unknown-key", "wrong-type", "needs-quotes", "unknown-value", "missing-key"}
    found = set(codes(*changes)) - {"malformed-version"}
    assert found
    assert found <= shape


def test_shape_and_meaning_are_told_together() -> None:
    """A person who fixes all of it is done; nothing waits behind something else."""
    found = codes(("port: 8080", "port: high"), ("runs_on: box\n    model", "runs_on: bix\n    model"))
    assert found == ["unknown-machines", "wrong-type"]


def test_warnings_leave_a_stack_deployable() -> None:
    """A version whose options are not listed is no error."""
    result = loaded(("b11434", "b11999"))
    assert ([d.severity for d in result.diagnostics], result.ok) == ([Severity.WARNING], True)


def test_an_option_knows_which_common_words_are_written() -> None:
    """Defaults don't clash, what came by a merge does."""
    options = "    options: {parallel: 2}\n"
    merged = ("machines:", "x-a: &a {slots: 2}\nmachines:"), (CHAT, f"{CHAT}    <<: *a\n{options}")
    assert codes((CHAT, CHAT + options)) == ["option-of-common-word"]
    assert codes(*merged) == ["option-and-common-word"]


def test_what_a_merge_brings_twice_is_told_once() -> None:
    """With every place that brings it in."""
    result = loaded(
        ("machines:", "x-a: &a {runs_on: bix}\nmachines:"),
        ("    runs_on: box\n", "    <<: *a\n"),
        ("endpoint:\n", MORE),
        ("    runs_on: box\n", "    <<: *a\n"),
    )
    (problem,) = result.diagnostics
    assert (problem.code, len(problem.related)) == (Code.UNKNOWN_MACHINES, 2)


@pytest.mark.parametrize("hostname", ["127.0.0.1", "127.8.4.2", '"::1"', "localhost"])
def test_loopback_needs_no_tls(hostname: str) -> None:
    """All of 127/8, ::1 and the name."""
    assert codes(("  port", f"  hostname: {hostname}\n  port")) == []


@pytest.mark.parametrize("hostname", ["10.0.0.1", '"::"', "128.0.0.1", "localhost.example", "127.0.0.1.example", "*"])
def test_everything_else_needs_tls(hostname: str) -> None:
    """Also names that only look like loopback."""
    assert codes(("  port", f'  hostname: "{hostname.strip(chr(34))}"\n  port')) == ["tls-needed"]


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("upload:///srv/m.gguf", ""),
        ("upload://m.GGUF", ""),
        ("host:///srv/big-00001-of-00003.gguf", ""),
        ("https://models.example/m.gguf?download=true", ""),
        ("https://[::1]:8443/m.gguf", ""),
        ("https://models.example/m.gguf?X-Amz-Signature=0a", "secret-in-file"),
        ("https://token@models.example/m.gguf", "secret-in-file"),
        ("https://models.example", "bad-source"),
        ("https://models.example/a b.gguf", "bad-source"),
        ("https://[::1/m.gguf", "bad-source"),
        ("host:///", "bad-source"),
        ("upload://models/..", "wrong-file-type"),
        ("upload://m.gguf.part", "wrong-file-type"),
    ],
)
def test_sources(source: str, code: str) -> None:
    """Which forms can work."""
    assert code in (codes(("upload://../models/tiny.gguf", source)) or [""])


def test_a_check_points_to_the_value() -> None:
    """By path, through the source."""
    assert str(only(("runs_on: box\n    model", "runs_on: bix\n    model")).span) == "demo.yaml:8:14"
