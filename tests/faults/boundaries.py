"""The steps of a run, by names that are the same in every run."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

from enginehouse.converge.events import Event

_STEP = re.compile(r"\[(\d+)/\d+\] (.*)")
_VARIES = (
    (re.compile(r"\S+@sha256:[0-9a-f]{64}"), "IMAGE"),
    (re.compile(r"\b[0-9a-f]{12}\b"), "RELEASE"),
    (re.compile(r"\bside [ab]\b"), "side S"),
    (re.compile(r"\b(chat-box-0)-[ab]\b"), r"\1-S"),
    (re.compile(r"\b\d+ MiB needed, \d+ free"), "N MiB needed, M free"),
    (re.compile(r"\(\d+ processes\)"), "(N processes)"),
    (re.compile(r"weights-[\w-]+"), "weights"),
)


class Boundaries:
    """Listens to a run and calls `at` with each step's name, just before the step is carried out."""

    def __init__(self, at: Callable[[str], None]) -> None:
        self._at = at
        self._begun: set[tuple[str, str]] = set()
        self._names: Counter[str] = Counter()

    def __call__(self, event: Event) -> None:
        step = _STEP.fullmatch(event.text)
        if step is None or (event.part, step[1]) in self._begun:
            return
        self._begun.add((event.part, step[1]))
        self._at(self._name(event.part, step[2]))

    def _name(self, part: str, title: str) -> str:
        """The same title again gets a number."""
        name = f"{part}: {title}"
        for varies, word in _VARIES:
            name = varies.sub(word, name)
        self._names[name] += 1
        return name if self._names[name] == 1 else f"{name} #{self._names[name]}"
