"""Whatever is in a stack file, loading it answers with diagnostics: no traceback, no waiting."""

from __future__ import annotations

import itertools
import time
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from enginehouse.diagnostics import as_text
from enginehouse.planner.plan import plan
from enginehouse.spec import Loaded, load_bytes
from enginehouse.spec.lock import NOTHING_LOCKED
from tests.fuzz.mutations import generated, mutated

FILES = 20_000
AT_ONCE = 1000
SLOWEST_S = 1.0
"""CPU time, so that a busy machine doesn't fail the test; nothing in loading waits. It is the least of some, because
the same work takes more where others work."""
TRIES = 4
TESTS = Path(__file__).parents[1]
EXAMPLES = TESTS / "examples" / "positive"
GOOD = tuple(path.read_bytes() for path in sorted(EXAMPLES.glob("*.yaml")))
WRONG = tuple(path.read_bytes() for path in sorted((TESTS / "golden" / "diagnostics").glob("*.yaml")))


HEAVY = {
    "a list": b"a: [" + b"1," * 250_000 + b"]",
    "a list in lines": b"- \n" * 170_000,
    "the same key": b"a: 1\n" * 100_000,
    "unknown keys": b"".join(b"k%d: 1\n" % n for n in range(40_000)),
    "long unknown keys": b"".join(b"%s%d: 1\n" % (b"k" * 1000, n) for n in range(500)),
    "free keys with anchors": b"".join(b"x-%d: &a%d 1\n" % (n, n) for n in range(25_000)),
    "merges of merges": b"x0: &a0 {k: 1}\n"
    + b"".join(b"x%d: &a%d {<<: *a%d, k%d: 1}\n" % (n, n, n - 1, n) for n in range(1, 300)),
    "a long text many times": b"x: &a '" + b"y" * 60_000 + b"'\nmachines: [" + b",".join([b"*a"] * 40_000) + b"]\n",
    "a deployment many times": GOOD[-1]
    .replace(b"  chat:", b"  chat: &a")
    .replace(b"endpoint:", b"".join(b"  d%d: *a\n" % n for n in range(2_000)) + b"endpoint:"),
    "comments": b"# c\n" * 130_000,
}


def files(batch: int) -> Iterator[bytes]:
    """Wounded good files, wounded wrong files, and files made of the format's words, by turns."""
    random = Random(batch)
    makers = (lambda: mutated(random, GOOD), lambda: mutated(random, WRONG), lambda: generated(random))
    for number in range(AT_ONCE):
        yield makers[number % len(makers)]()


def answer(data: bytes) -> Loaded:
    """As if it stood beside the good ones, which name other files."""
    return load_bytes(data, name="fuzz", display=str(EXAMPLES / "fuzz.yaml"))


def flaws(data: bytes, load: Callable[[bytes], Loaded] = answer) -> str:
    """What is wrong with the answer to a file; empty if it is a good one."""
    for _ in range(TRIES):
        begun = time.process_time()
        loaded = load(data)
        text = as_text(loaded.diagnostics, {loaded.source.file: loaded.source.text})
        if time.process_time() - begun <= SLOWEST_S:
            break
    else:
        return "it took too long"
    lines = max(1, len(loaded.source.text.splitlines()))
    if any(not 1 <= d.span.line <= lines or d.span.column < 1 for d in loaded.diagnostics):
        return "a place is outside of the file"
    if any(unicodedata.category(char) == "Cc" and char not in "\n\t" for char in text):
        return "the text would control a terminal"
    if loaded.ok:
        if loaded.spec is None:
            return "it is fine, but there is no spec"
        plan(loaded.spec, NOTHING_LOCKED)
    return ""


@pytest.mark.slow
@pytest.mark.parametrize("batch", range(FILES // AT_ONCE))
def test_no_file_is_too_strange(batch: int) -> None:
    """No exception, a place inside the file for each problem, no wait; and what is found good can be planned."""
    for number, data in enumerate(files(batch)):
        assert flaws(data) == "", f"file {number} of batch {batch}: {data!r}"


@pytest.mark.parametrize("name", HEAVY)
def test_no_file_is_too_heavy(name: str) -> None:
    """As much as fits under the limits, of everything that could grow faster than the file."""
    assert flaws(HEAVY[name]) == ""


def test_the_files_are_worth_loading() -> None:
    """Twin: among the files are good ones, many kinds of bad ones, and the same ones every time."""
    loaded = [answer(data) for data in files(0)]
    assert sum(one.ok for one in loaded) > AT_ONCE // 500
    assert len({d.code for one in loaded for d in one.diagnostics}) > 30
    assert list(files(1)) == list(files(1))
    assert list(files(1)) != list(files(2))


def test_a_traceback_would_be_noticed() -> None:
    """Twin: a loader that fails on one rare thing is caught."""

    def fragile(data: bytes) -> Loaded:
        if b"*a" in data:
            raise KeyError("a")
        return answer(data)

    with pytest.raises(KeyError):
        for data in files(0):
            flaws(data, fragile)


def test_a_slow_answer_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twin: the limit is on the clock."""
    monkeypatch.setattr(time, "process_time", itertools.count(0.0, SLOWEST_S + 0.1).__next__)
    assert flaws(b"") == "it took too long"
