"""`enginehouse validate`: every problem, in text and in JSON, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from enginehouse.errors import ExitCode
from tests.cli.conftest import Told
from tests.cli.harness import DEMO, workplace

Call = Callable[..., Told]


def test_what_a_person_sees(call: Call, golden: Callable[[str, Mapping[str, str]], None]) -> None:
    """One line for a stack that can be deployed, every problem of one that can't."""
    golden(
        "cli/validate",
        {
            "ok.txt": call("validate", "demo")[1],
            "wrong.txt": call("validate", "wrong")[1],
            "both.txt": call("validate", "demo", "wrong")[1],
            "both.jsonl": call("validate", "demo", "wrong", "--format", "json")[1],
            "missing.txt": call("validate", "demmo")[1],
        },
    )


def test_exit_codes(call: Call) -> None:
    assert call("validate", "demo")[0] == ExitCode.OK
    assert call("validate", "demo", "wrong")[0] == ExitCode.INVALID
    assert call("validate", "nothing-like-it")[0] == ExitCode.INVALID


def test_text_and_json_carry_the_same_diagnostics(call: Call) -> None:
    """The same problems in the same order, whichever way they are asked for."""
    text = call("validate", "wrong")[1]
    (result,) = map(json.loads, call("validate", "wrong", "--format", "json")[1].splitlines())
    assert (result["stack"], result["ok"]) == ("wrong", False)
    assert len(result["diagnostics"]) >= 2
    heads = [f"{d['file']}:{d['line']}:{d['column']}: {d['summary']} [{d['code']}]" for d in result["diagnostics"]]
    assert [line for line in text.splitlines() if line in heads] == heads


def test_results_alone_are_on_standard_output(call: Call) -> None:
    assert call("validate", "demo", "wrong")[2] == ""


def test_a_stack_is_found_by_name_from_below_its_folder(
    folder: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The nearest `stacks` at or above the working folder; files are named as a person there would type them."""
    inner = folder / "stacks" / "deep" / "down"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    code, out, _ = call("validate", "demo", "wrong")
    assert code == ExitCode.INVALID
    assert out.startswith("demo: ok")
    assert "\n../../../stacks/wrong.yaml:" in out


def test_a_stack_is_found_by_path(folder: Path, call: Call) -> None:
    (folder / "elsewhere.yaml").write_text(DEMO)
    assert call("validate", "elsewhere.yaml")[1].startswith("elsewhere: ok")
    assert call("validate", str(folder / "elsewhere.yaml"))[0] == ExitCode.OK


def test_an_unknown_stack_is_answered_with_the_nearest_name_and_all_names(call: Call) -> None:
    out = call("validate", "demmo")[1]
    assert 'did you mean "demo"?' in out
    assert "wrong" in out


def test_a_secret_in_a_stack_file_is_not_printed(folder: Path, call: Call) -> None:
    workplace(folder, leaky=DEMO.replace("key-demo", "sk-abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGH"))
    for form in ("text", "json"):
        out = call("validate", "leaky", "--format", form)[1]
        assert "sk-abcdefghijklmnop" not in out


def test_all_files_of_a_folder_can_be_given(folder: Path, call: Call) -> None:
    """A lock file stands for its stack: one line for each stack, not one for each file."""
    call("lock", "demo", "--offline")
    files = ("stacks/demo.lock.yaml", "stacks/demo.yaml")
    assert call("validate", *files) == call("validate", "stacks/demo.yaml") == call("validate", files[0])
    for name in ("Pulumi.demo.yaml", "shops.hosts.yaml"):
        (folder / "stacks" / name).write_text("shop-1: {}\n")
        files = (*files, f"stacks/{name}")
    assert call("validate", *files) == call("validate", "stacks/demo.yaml")
    assert "[not-a-stack]" in call("validate", files[-1])[1], "alone it is a mistake"


def test_a_lock_file_without_its_stack_is_wrong(folder: Path, call: Call) -> None:
    """Left over when a stack was deleted or renamed."""
    call("lock", "demo", "--offline")
    (folder / "stacks" / "demo.yaml").unlink()
    code, out, _ = call("validate", "stacks/demo.lock.yaml")
    assert code == ExitCode.INVALID
    assert out.startswith('stacks/demo.lock.yaml:1:1: there is no stack "demo" beside this lock file')
    assert "[lock-without-stack]" in out
    assert "demo" not in call("validate", "nothing")[1].partition("stacks:")[2]
