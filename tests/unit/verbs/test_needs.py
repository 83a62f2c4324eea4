"""What a machine needs is said once: the same versions and packages as in the files that install them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from bootstrap.versions import pinned
from enginehouse.engines import engines
from enginehouse.planner.plan import REQUIRED_TOOLS
from enginehouse.verbs.doctor import PACKAGES, PYTHON
from enginehouse.verbs.needs import PULUMI_LOWEST, builders, programs

PROJECT = tomllib.loads((Path(__file__).resolve().parents[3] / "pyproject.toml").read_text())["project"]


def test_the_packages_are_the_projects_dependencies() -> None:
    assert list(PACKAGES) == [re.split(r"[=<>~!; \[]", line)[0] for line in PROJECT["dependencies"]]


def test_python_is_as_old_as_the_project_allows() -> None:
    assert PROJECT["requires-python"] == f">={PYTHON}"


def test_the_installer_has_the_same_rule_for_pulumi() -> None:
    assert pinned().pulumi.minimum == PULUMI_LOWEST


def test_everything_a_host_part_asks_for_is_looked_at() -> None:
    assert {program.name for program in programs(engines())} >= {"pulumi", "llama-server", *REQUIRED_TOOLS}


def test_everything_says_how_to_get_it() -> None:
    everything = [*programs(engines()), *builders({"pulumi", "llama-server"}, engines())]
    assert all(program.remedy and program.needed for program in everything)


def test_builders_are_asked_for_only_if_something_has_to_be_built() -> None:
    assert [p.name for p in builders(set(), engines())] == []
    assert [p.name for p in builders({"pulumi"}, engines())] == ["go"]
    assert [p.name for p in builders({"llama-server"}, engines())] == ["cmake", "g++"]
