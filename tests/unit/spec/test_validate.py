"""Shape: everything that is wrong, said once, at the right place."""

from __future__ import annotations

import pytest

from enginehouse.spec import load_text
from enginehouse.spec.problems import MOST_PROBLEMS
from tests.unit.spec.stacks import STACK, codes, loaded, only

CHAT = "    runs_on: box\n"


def test_a_misspelt_key_is_not_missing_as_well() -> None:
    """One mistake, one diagnostic."""
    assert codes(("    engine:", "    engin:")) == ["unknown-key"]


def test_a_missing_key_is_told_at_its_parent() -> None:
    """Where it would have to be written."""
    problem = only(("  port: 8080\n", ""))
    assert (problem.code, str(problem.span), problem.summary) == (
        "missing-key",
        "demo.yaml:13:1",
        'endpoint has no "port"',
    )


def test_every_missing_key_is_told() -> None:
    """Not only the first of a mapping."""
    bare = loaded(("    engine: llama-cpp\n", ""), ('    version: "b11434"\n', ""))
    assert [d.summary for d in bare.diagnostics] == [
        'deployments.chat has no "engine"',
        'deployments.chat has no "version"',
    ]


def test_a_key_of_another_place_is_sent_there() -> None:
    """A right word in the wrong mapping."""
    assert "it is a key of endpoint.keys[]" in only((CHAT, CHAT + "    concurrent: 3\n")).hint


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("4", ""),
        ("0x4", ""),
        ("4.0", "wrong-type"),
        ("4e0", "wrong-type"),
        ("true", "wrong-type"),
        ("null", "wrong-type"),
        ("[4]", "wrong-type"),
        ("four", "wrong-type"),
        ('"4"', "needs-no-quotes"),
        ('"4.0"', "wrong-type"),
        ('""', "wrong-type"),
        ("0", "out-of-range"),
        ("4097", "out-of-range"),
        ("-.inf", "wrong-type"),
        ("9" * 5000, "wrong-type"),
    ],
)
def test_whole_numbers(written: str, code: str) -> None:
    """Neither 4.0 nor true nor "4" is silently a 4."""
    assert codes((CHAT, f"{CHAT}    slots: {written}\n")) == ([code] if code else [])


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("text", ""),
        ('"1.20"', ""),
        ("no", ""),
        ("2026-11-24", ""),
        ("1.20", "needs-quotes"),
        ("12", "needs-quotes"),
        ("true", "needs-quotes"),
        (".nan", "needs-quotes"),
        ("0x1F", "needs-quotes"),
        ("~", "wrong-type"),
        ("{}", "wrong-type"),
    ],
)
def test_texts(written: str, code: str) -> None:
    """What YAML reads as something else is never converted back: it would not be what was written."""
    assert codes(("enginehouse: 1\n", f"enginehouse: 1\ndescription: {written}\n")) == ([code] if code else [])


def test_the_hint_has_the_text_as_written() -> None:
    """`1.20` and not `1.2`."""
    assert only(('"b11434"', "1.20")).hint == 'write `version: "1.20"`'


def test_alternatives_complain_about_the_one_that_was_meant() -> None:
    """A list of clients with a mistake is told about the mistake, not that it isn't "public"."""
    problem = only(("secrets: [key-demo]", "secrets: [key-demo, {}]"))
    assert (problem.code, str(problem.span)) == ("wrong-type", "demo.yaml:18:27")


def test_a_newline_does_not_slip_through_a_pattern() -> None:
    """Python's `$` would let it."""
    assert codes(("runs_on: box\n    model", 'runs_on: "box\\n"\n    model')) == ["malformed-value"]


def test_free_keys_may_hold_anything() -> None:
    """At the top and in every mapping with fixed keys."""
    assert (
        codes((CHAT, f"{CHAT}    x-note: {{1: [2]}}\n".replace("1:", "a:")), ("machines:", "x-a: 1.20\nmachines:"))
        == []
    )


def test_the_list_of_problems_ends() -> None:
    """A thousand mistakes are told by the first hundred and a word about the rest."""
    many = "".join(f"k{number}: 1\n" for number in range(1000))
    result = load_text(STACK + many, name="demo", display="demo.yaml")
    assert len(result.diagnostics) == MOST_PROBLEMS + 1
    assert [d.code for d in result.diagnostics].count("too-many-problems") == 1


def test_the_first_problems_are_those_of_the_first_lines() -> None:
    """In the order of the file, the same in every run: the library goes through a set."""
    many = "".join(f"  d{number}: wrong\n" for number in range(150))
    result = load_text(STACK.replace("endpoint:\n", many + "endpoint:\n"), name="demo", display="demo.yaml")
    assert [d.span.line for d in result.diagnostics[1:]] == list(range(13, 13 + MOST_PROBLEMS))
