"""Options and what is said about them, from `options.yaml`: input and exact messages side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from enginehouse.engines import engines
from enginehouse.engines.base import OptionProblem
from tests.unit.engines.cases import deployment

CASES: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("options.yaml").read_text())


def shown(problem: OptionProblem) -> str:
    place = "key" if problem.on_key else "value"
    text = f"{'.'.join(problem.path[1:])} ({place}): {problem.summary} [{problem.code}]"
    text += f" | {problem.hint}" if problem.hint else ""
    return text + "".join(f" | see {'.'.join(path)}" for path in problem.related)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_options_and_their_messages(case: dict[str, Any]) -> None:
    found = deployment(version=case.get("version", "b11434"), options=case["options"])
    problems = engines()["llama-cpp"].check_options(found, given=frozenset(case.get("given", ())) | {"options"})
    assert [shown(problem) for problem in problems] == case["says"]


def test_names_of_cases_are_unique() -> None:
    names = [case["name"] for case in CASES]
    assert sorted(set(names)) == sorted(names)


def test_every_code_has_a_case() -> None:
    """A code nobody has seen in a message is a code nobody can rely on."""
    said = "\n".join(line for case in CASES for line in case["says"])
    codes = {
        "unknown-option",
        "removed-option",
        "option-too-new",
        "reserved-option",
        "option-of-common-word",
        "option-and-common-word",
        "option-twice",
        "option-needs-value",
        "option-takes-no-value",
        "option-takes-one-value",
        "option-false",
        "option-choice",
        "option-type",
    }
    assert {code for code in codes if f"[{code}]" not in said} == set()
