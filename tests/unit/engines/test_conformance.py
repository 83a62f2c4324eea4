"""What every engine has to keep, and its golden command lines. A new engine is found by itself; add its cases."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from enginehouse.engines import engines
from enginehouse.engines.base import LISTENS_ON, Engine
from tests.unit.engines.cases import HOW_TO_ADD, WEIGHTS, argv, argv_text, cases, deployment, read

ALL = pytest.mark.parametrize("engine", engines().values(), ids=list(engines()))
CASES = pytest.mark.parametrize(
    ("engine", "case"),
    [pytest.param(e, case, id=f"{e.name}-{case.stem}") for e in engines().values() for case in cases(e.name)],
)


@ALL
def test_every_engine_has_golden_cases(engine: Engine) -> None:
    """Without a case nobody sees what an edit of the adapter does to a command line."""
    assert cases(engine.name), HOW_TO_ADD.format(name=engine.name)


@CASES
def test_golden_command_lines(engine: Engine, case: Path, pytestconfig: pytest.Config) -> None:
    """The command line of a deployment is what the case says."""
    expected = case.with_suffix(".argv")
    if pytestconfig.getoption("--update-golden"):
        expected.write_text(argv_text(engine, case))
    assert expected.is_file(), HOW_TO_ADD.format(name=engine.name)
    assert expected.read_text() == argv_text(engine, case)


@CASES
def test_golden_cases_are_valid(engine: Engine, case: Path) -> None:
    """A case shows what a user may write, so its options have no problem and its version is known."""
    found = read(case)
    assert (found.engine, found.version in engine.versions) == (engine.name, True)
    assert list(engine.check_options(found, given=frozenset({"options"}))) == []


@CASES
def test_arguments_are_words(engine: Engine, case: Path) -> None:
    """Flags have no dashes in front; values are texts, True or tuples of texts."""
    for flag, value in engine.args(read(case), WEIGHTS).items():
        assert re.fullmatch(r"[a-z0-9][a-z0-9.-]*", flag)
        assert value is True or isinstance(value, str) or all(isinstance(item, str) for item in value)  # type: ignore[union-attr]


@CASES
def test_the_port_is_a_symbol_given_once(engine: Engine, case: Path) -> None:
    """Which port a side has is decided on the host; it is nowhere else on the command line."""
    words = argv(engine.args(read(case), WEIGHTS))
    assert [word for word in words if "@{port}" in word] == ["@{port}"]


@CASES
def test_the_engine_listens_where_it_is_told(engine: Engine, case: Path) -> None:
    """Loopback, or the address at which a gateway on another machine reaches it; nowhere else."""
    found = read(case)
    hosts = [*_values(engine.args(found, WEIGHTS), "host"), *_values(engine.env(found), "HOST")]
    assert hosts
    assert all(host.removesuffix(":@{port}") == LISTENS_ON for host in hosts)


@CASES
def test_weights_and_served_name_are_on_the_command_line(engine: Engine, case: Path) -> None:
    found = read(case)
    words = argv(engine.args(found, WEIGHTS))
    assert (words.count(WEIGHTS), words.count(found.model.served_name)) == (1, 1)


@CASES
def test_order_of_options_means_nothing(engine: Engine, case: Path) -> None:
    """Two files that differ only in the order of their options give the same command line."""
    found = read(case)
    turned = replace(found, options=dict(reversed(list(found.options.items()))))
    assert argv(engine.args(turned, WEIGHTS)) == argv(engine.args(found, WEIGHTS))


@CASES
def test_more_slots_never_need_less_memory(engine: Engine, case: Path) -> None:
    found = read(case)
    more = replace(found, slots=found.slots + 1)
    assert 0 < engine.memory_mib(found, 0) <= engine.memory_mib(more, 0) <= engine.memory_mib(more, 2**30)


@ALL
def test_paths_begin_with_a_slash(engine: Engine) -> None:
    assert engine.health_path.startswith("/")
    assert engine.metrics_path is None or engine.metrics_path.startswith("/")


@ALL
def test_known_versions_match_the_pattern(engine: Engine) -> None:
    assert engine.versions
    assert all(re.fullmatch(engine.version_pattern, version) for version in engine.versions)


@ALL
def test_foreign_output_is_no_version(engine: Engine) -> None:
    """What is not the engine's own line is told as unknown, never guessed."""
    assert engine.installed_version("") is None
    assert engine.installed_version("bash: line 1: no such file 12 (x)") is None


@ALL
def test_an_unknown_option_is_one_problem_at_its_key(engine: Engine) -> None:
    wrong = deployment(engine.name, version=engine.versions[-1], options={"no-such-option-at-all": 1})
    problems = list(engine.check_options(wrong, given=frozenset()))
    assert [(p.path, p.on_key, p.code) for p in problems] == [
        (("options", "no-such-option-at-all"), True, "unknown-option")
    ]


def _values(settings: object, ending: str) -> list[str]:
    assert isinstance(settings, dict)
    return [str(value) for name, value in settings.items() if str(name).endswith(ending)]
