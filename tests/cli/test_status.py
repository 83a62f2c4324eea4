"""`enginehouse status` of stacks that run nowhere: what is missing, without a secret and without touching anything."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from enginehouse.errors import ExitCode
from tests.cli.conftest import Told
from tests.cli.harness import DEMO, workplace

DIAGNOSTICS = Path(__file__).parents[1] / "golden" / "diagnostics"
Call = Callable[..., Told]


def test_a_stack_that_is_not_there_differs(folder: Path, call: Call) -> None:
    code, out, err = call("status", "demo")
    assert code == ExitCode.DIFFERS
    assert "box   chat        chat-box-0  missing" in out
    assert "`pulumi up -s demo`" in out
    assert err == "demo: asking box about 5 parts\n"


def test_json_has_every_part(call: Call) -> None:
    code, out, _ = call("status", "demo", "--format", "json")
    status = json.loads(out)
    assert (code, status["stack"], status["ok"]) == (ExitCode.DIFFERS, "demo", False)
    assert {part["state"] for part in status["parts"]} == {"missing"}
    assert [part["kind"] for part in status["parts"]] == ["host", "weights", "replica", "gateway", "endpoint"]


def test_without_a_name_every_stack_of_the_folder_is_looked_at(folder: Path, call: Call) -> None:
    (folder / "stacks" / "wrong.yaml").unlink()
    workplace(folder, second=DEMO.replace("8123", "8124"))
    assert [json.loads(row)["stack"] for row in call("status", "--format", "json")[1].splitlines()] == [
        "demo",
        "second",
    ]
    assert call("status")[1].startswith("stack ")


def test_stacks_that_were_not_deployed_from_here_are_not_asked(folder: Path, call: Call) -> None:
    """Such as examples of hundreds of hosts. What was has a configuration beside it, which Pulumi makes."""
    workplace(folder, second=DEMO.replace("8123", "8124"))
    (folder / "stacks" / "Pulumi.second.yaml").touch()
    _, out, err = call("status", "--format", "json")
    assert [json.loads(row)["stack"] for row in out.splitlines()] == ["second"]
    assert err.startswith("not deployed from here, so not asked: demo, wrong; name one to ask it all the same\n")


def test_a_stack_is_looked_at_when_its_certificate_has_ended(folder: Path, call: Call) -> None:
    """It ended while the stack ran; only who would deploy it is refused."""
    (folder / "stacks" / "ended.pem").write_text((DIAGNOSTICS / "certificates" / "ended.pem").read_text())
    tls = "tls: {mode: files, certificate: ended.pem, private_key: {secret: tls-key}}"
    workplace(folder, demo=DEMO.replace("  port", f"  hostname: llm.example\n  {tls}\n  port"))
    assert call("plan", "demo")[0] == ExitCode.INVALID
    code, out, _ = call("status", "demo")
    assert code == ExitCode.DIFFERS
    assert "chat-box-0  missing" in out


def test_one_wrong_stack_stops_before_anything_is_asked(call: Call) -> None:
    code, out, err = call("status")
    assert (code, out) == (ExitCode.INVALID, "")
    assert "[unknown-key]" in err
    assert "asking" not in err


def test_a_folder_without_stacks_is_said(folder: Path, call: Call) -> None:
    for path in (folder / "stacks").iterdir():
        path.unlink()
    code, out, err = call("status")
    assert (code, out) == (ExitCode.INVALID, "")
    assert err == "error: there is no stack in stacks; name one by the path of its file\n"


def test_looking_leaves_no_trace(folder: Path, call: Call) -> None:
    call("status", "demo")
    assert not (folder / "state").exists()


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_secret_is_needed(folder: Path, call: Call, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    monkeypatch.delenv("ENGINEHOUSE_SECRET_KEY_DEMO", raising=False)
    assert call("status", "demo", "--format", form)[0] == ExitCode.DIFFERS
