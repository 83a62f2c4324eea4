"""Options of any shape: the check never fails, says each thing once, and what it accepts becomes words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enginehouse.catalog.flags import flag_list, history
from enginehouse.engines import engines
from tests.unit.engines.cases import argv, deployment

LLAMA = engines()["llama-cpp"]
KNOWN = sorted({*flag_list("llama-cpp", "b11434").flags, *history("llama-cpp")})

names = st.one_of(st.sampled_from(KNOWN), st.text(max_size=20), st.sampled_from(KNOWN).map(lambda n: f"--{n}".upper()))
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=10),
    st.sampled_from(["on", "off", "auto", "1", "q8_0", "a,b", "nan", "0x1", "１", "9" * 5000]),
)
values = st.one_of(scalars, st.lists(scalars, max_size=3), st.dictionaries(st.text(max_size=3), scalars, max_size=2))
versions = st.one_of(st.sampled_from(LLAMA.versions), st.integers(0, 10**6).map(lambda n: f"b{n}"))
options = st.dictionaries(names, values, max_size=6)


@given(options=options, version=versions, common=st.sets(st.sampled_from(["context_tokens", "slots", "model"])))
def test_the_check_answers_for_everything(options: dict[str, object], version: str, common: set[str]) -> None:
    """At most one problem for each option, in the file's order, at a key that is there, as one line of text."""
    found = deployment(version=version, options=options)
    problems = list(LLAMA.check_options(found, given=frozenset(common)))
    keys = [problem.path[1] for problem in problems]
    assert keys == [name for name in options if name in set(keys)]
    assert all(len(problem.path) == 2 and problem.summary.isprintable() and problem.code for problem in problems)


@given(options=options)
def test_accepted_options_become_words(options: dict[str, object]) -> None:
    """Nothing of an accepted option is lost on the command line: its flag is there, with texts a process can take."""
    found = deployment(options=options)
    wrong = {problem.path[1] for problem in LLAMA.check_options(found, given=frozenset())}
    accepted = {name: value for name, value in options.items() if name not in wrong}
    args = LLAMA.args(deployment(options=accepted), "/w")
    listed = flag_list("llama-cpp", "b11434").flags
    assert {listed[name].on_command_line(name) for name in accepted} <= set(args)
    assert all("\0" not in word for word in argv(args))


@pytest.mark.parametrize("name", ["threads", "jinja", "temp"])
def test_the_strategy_reaches_accepted_options(name: str) -> None:
    """Twin: the names drawn above include ones that are accepted."""
    value: object = True if name == "jinja" else 1
    assert name in KNOWN
    assert list(LLAMA.check_options(deployment(options={name: value}), given=frozenset())) == []
