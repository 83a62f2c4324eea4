"""The result of checking a stack, as text and as JSON."""

from __future__ import annotations

import json

import pytest

from enginehouse.diagnostics import Diagnostic, Related, Severity, Span
from enginehouse.planner.addresses import host_and_port
from enginehouse.report.lines import Style, as_text
from enginehouse.report.problems import problems_count, problems_json, problems_text


def diagnostic(line: int, severity: Severity = Severity.ERROR) -> Diagnostic:
    span = Span(file="stacks/demo.yaml", line=line, column=3, end_line=line, end_column=11)
    return Diagnostic(
        code="unknown-key",
        summary=f'unknown key "replicaz" in line {line}',
        span=span,
        severity=severity,
        hint='did you mean "replicas"?',
        related=(Related(span=span, text="here"),),
    )


ERROR, WARNING = diagnostic(2), diagnostic(1, Severity.WARNING)
SOURCES = {"stacks/demo.yaml": "a: 1\n  replicaz: \x1b[2J\n"}


def test_text_and_json_carry_the_same_diagnostics() -> None:
    """Same order, same texts."""
    text = as_text(problems_text([ERROR, WARNING], SOURCES))
    plain = json.loads(as_text(problems_json("demo", [ERROR, WARNING])))
    assert [d["line"] for d in plain["diagnostics"]] == [1, 2]
    places = [text.index(f"{d['file']}:{d['line']}:{d['column']}: ") for d in plain["diagnostics"]]
    assert places == sorted(places)
    for d in plain["diagnostics"]:
        assert all(said in text for said in (d["summary"], f"[{d['code']}]", d["hint"], d["related"][0]["text"]))


def test_several_stacks_are_json_lines() -> None:
    assert as_text(problems_json("demo", [ERROR])).count("\n") == 1


@pytest.mark.parametrize(("diagnostics", "ok"), [([], True), ([WARNING], True), ([WARNING, ERROR], False)])
def test_warnings_alone_are_fine(diagnostics: list[Diagnostic], ok: bool) -> None:
    assert json.loads(as_text(problems_json("demo", diagnostics)))["ok"] is ok


@pytest.mark.parametrize(
    ("diagnostics", "said"),
    [
        ([], "no problems"),
        ([ERROR], "1 error"),
        ([WARNING, ERROR, diagnostic(3)], "2 errors, 1 warning"),
        ([WARNING], "1 warning"),
    ],
)
def test_problems_are_counted_in_words(diagnostics: list[Diagnostic], said: str) -> None:
    assert problems_count(diagnostics) == said


def test_the_first_line_of_each_stands_out_by_its_severity() -> None:
    lines = problems_text([ERROR, WARNING], {})
    assert [row[0].style for row in lines if row[0].style is not Style.PLAIN] == [Style.WARNING, Style.BAD]


def test_a_source_line_can_not_paint_the_terminal() -> None:
    assert "\x1b" not in as_text(problems_text([ERROR], SOURCES))


@pytest.mark.parametrize(("host", "shown"), [("127.0.0.1", "127.0.0.1:80"), ("::1", "[::1]:80")])
def test_an_ipv6_address_is_in_brackets(host: str, shown: str) -> None:
    assert host_and_port(host, 80) == shown
