"""Differences in words: what a history and a journal say about a change."""

from __future__ import annotations

from enginehouse.planner.diff import LONGEST_VALUE, in_words

OLD = {"args": {"ctx-size": "2048", "metrics": True}, "slots": 2, "models": ["a", "b"], "rendered": "x"}


def test_a_change_is_named_with_both_values() -> None:
    """Texts as they are, everything else as JSON; what is not compared is not named."""
    new = {"args": {"ctx-size": "4096", "lora": ["x"]}, "slots": 4, "models": ["a"], "rendered": "y"}
    assert in_words(OLD, new) == (
        "args.ctx-size: 2048 => 4096",
        'args.lora: not set => ["x"]',
        "args.metrics: true => not set",
        "slots: 2 => 4",
        "models[1]: b => not set",
    )


def test_nothing_is_said_about_nothing() -> None:
    """None is as good as absent."""
    assert in_words(OLD, {**OLD, "later": None}) == ()


def test_a_long_value_is_cut() -> None:
    """It is there to be recognised."""
    (words,) = in_words({"a": "x" * 100}, {"a": "y"})
    assert words == f"a: {'x' * (LONGEST_VALUE - 1)}… => y"
