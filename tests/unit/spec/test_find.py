"""Names to files and back."""

from __future__ import annotations

from pathlib import Path

import pytest

from enginehouse.errors import SpecError
from enginehouse.spec import find_stack, stack_names
from enginehouse.spec.find import name_problem, stack_name


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("laptop.yaml", "rack.yml", "rack.lock.yaml", "Pulumi.laptop.yaml", "notes.txt"):
        (tmp_path / name).write_text("")
    return tmp_path


def test_a_name_means_a_file_of_the_folder(folder: Path) -> None:
    """With either ending."""
    assert find_stack("laptop", folder) == folder / "laptop.yaml"
    assert find_stack("rack", folder) == folder / "rack.yml"


def test_a_path_is_itself(folder: Path) -> None:
    """Whether it exists or not: reading it tells."""
    assert find_stack(str(folder / "laptop.yaml"), Path("elsewhere")) == folder / "laptop.yaml"
    assert find_stack("gone/away.yaml", folder) == Path("gone/away.yaml")


def test_a_file_name_is_looked_for_in_the_folder_too(folder: Path) -> None:
    """`laptop.yaml` without its folder is what a person types who saw it there."""
    assert find_stack("laptop.yaml", folder) == folder / "laptop.yaml"


def test_a_name_without_a_file_is_told_with_those_that_have_one(folder: Path) -> None:
    """With what was probably meant."""
    with pytest.raises(SpecError) as caught:
        find_stack("labtop", folder)
    (problem,) = caught.value.diagnostics
    assert (problem.code, problem.summary) == ("no-such-stack", 'there is no stack "labtop"')
    assert problem.hint == 'did you mean "laptop"? (stacks: laptop, rack)'


@pytest.mark.parametrize("name", ["a" * 300, "", ".", "a/b", "a\nb", "rack.lock.yaml"])
def test_strange_names_are_no_surprise(name: str, folder: Path) -> None:
    """Either a path, which reading will complain about, or no stack."""
    try:
        assert find_stack(name, folder) == Path(name)
    except SpecError as error:
        assert [d.code for d in error.diagnostics] == ["no-such-stack"]


def test_only_stacks_are_listed(folder: Path) -> None:
    """Pulumi's files and locks stand beside them."""
    assert stack_names(folder) == ("laptop", "rack")
    assert stack_names(folder / "nowhere") == ()


def test_the_name_of_a_stack_is_that_of_its_file() -> None:
    """Without the ending."""
    assert [stack_name(Path(path)) for path in ("a/b.yaml", "b.yml", "b")] == ["b", "b", "b"]


@pytest.mark.parametrize(
    "name", ["Laptop", "a_b", "-a", "a" * 41, "", "a.b", "rack.lock", "Pulumi.laptop", "host", "weights"]
)
def test_not_every_file_name_is_a_stack_name(name: str) -> None:
    """It becomes part of names on machines."""
    problem = name_problem(name, "f.yaml")
    assert problem is not None
    assert problem.code == "not-a-stack"
