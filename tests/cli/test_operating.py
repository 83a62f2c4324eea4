"""The verbs that operate a stack, beside one that really runs: real supervisord and HAProxy, a stand-in engine."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from enginehouse.cli import main
from enginehouse.converge.owner import Claim
from enginehouse.errors import ExitCode
from enginehouse.verbs.secrets import variable
from tests.cli.conftest import Told
from tests.cli.harness import COMMAND, INFRA
from tests.converge.conftest import running, shared, world  # noqa: F401  (fixtures)
from tests.converge.harness import KEY, MODEL, World
from tests.converge.load import load, wait_for_answers

Call = Callable[..., Told]
PATIENCE_S = 100.0


@pytest.fixture
def place(tmp_path: Path, running: World, monkeypatch: pytest.MonkeyPatch) -> Path:  # noqa: F811
    """The working folder, whose only stack is the one that runs; the same machine for the CLI as for the world."""
    (tmp_path / "stacks").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENGINEHOUSE_STATE", str(running.state))
    monkeypatch.setenv("ENGINEHOUSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{running.tools}:{os.environ['PATH']}")
    monkeypatch.setenv(variable("key-demo"), KEY)
    write(tmp_path, running)
    return tmp_path


@pytest.fixture
def call(place: Path, running: World, capsys: pytest.CaptureFixture[str]) -> Call:  # noqa: F811
    """A call of the command line about the running stack."""

    def one(verb: str, *words: str) -> Told:
        code = main((verb, running.stack, *words))
        return (code, *capsys.readouterr())

    return one


def write(place: Path, stack: World) -> None:
    """The stack file as the person has it now."""
    (place / "stacks" / f"{stack.stack}.yaml").write_text(stack.yaml())


def edit(place: Path, stack: World, run: str, **settings: object) -> None:
    """An edit of the file, and an `up` of its own."""
    stack.settings |= settings
    stack.run_id = run
    write(place, stack)
    stack.up()


def context_of(stack: World) -> str:
    """What the engine that answers was started with."""
    status, body = stack.ask()
    assert status == 200, body
    return str(json.loads(body)["served_by"])


def manifest(stack: World, part: str) -> Any:
    return json.loads(stack.place(part, "manifest.json").read_text())


def test_an_edit_is_undone_without_a_lost_request_and_without_staging(
    place: Path,
    running: World,  # noqa: F811
    call: Call,
) -> None:
    """The old context serves again; its release was still there; the answer says that the file disagrees."""
    before = context_of(running)
    edit(place, running, "run-edit", context=4096)
    assert context_of(running) != before
    with load(running) as count:
        wait_for_answers(count, 4)
        code, out, err = call("rollback")
        wait_for_answers(count, 4)
    assert (code, count.failed) == (ExitCode.OK, [])
    assert context_of(running) == before
    assert "staging" not in err
    assert "args.ctx-size: 8192 => 4096" in err
    assert re.search(r"chat-box-0: release \w+ on side [ab], the content of generation \d+ as generation \d+", out)
    assert f"endpoint: proved at http://127.0.0.1:{running.port}" in out
    assert f"stacks/{running.stack}.yaml still says otherwise: put it back" in out
    assert KEY not in out + err
    assert manifest(running, "chat-box-0")["change"]["door"] == "rollback"


def test_a_change_of_replica_and_gateway_goes_back_as_one(place: Path, running: World, call: Call) -> None:  # noqa: F811
    """A second rollback undoes the first, and then the file says the same again."""
    edit(place, running, "run-slots", slots=4)
    assert call("rollback")[0] == ExitCode.OK
    assert [manifest(running, name)["part"]["slots"] for name in ("chat-box-0",)] == [2]
    assert manifest(running, "gateway-box")["part"]["backends"][0]["slots"] == 2
    code, out, _ = call("rollback")
    assert (code, manifest(running, "gateway-box")["part"]["backends"][0]["slots"]) == (ExitCode.OK, 4)
    assert "says the same" in out
    assert running.ask()[0] == 200


def test_a_dry_run_shows_the_differences_and_changes_nothing(place: Path, running: World, call: Call) -> None:  # noqa: F811
    edit(place, running, "run-dry", context=4096)
    before = running.snapshot()
    code, out, err = call("rollback", "--dry-run")
    assert (code, err) == (ExitCode.OK, "")
    assert "args.ctx-size: 8192 => 4096" in out
    assert running.snapshot() == before


def test_one_part_goes_back_to_a_generation(place: Path, running: World, call: Call) -> None:  # noqa: F811
    """Older releases are staged again; the present generation is no way back."""
    first = manifest(running, "chat-box-0")["generation"]
    context = context_of(running)
    for number, size in enumerate((4096, 8192, 1024)):
        edit(place, running, f"run-{number}", context=size)
    code, _, err = call("rollback", "chat-box-0", "--to", str(first))
    assert (code, context_of(running)) == (ExitCode.OK, context)
    assert "staging" in err
    present = manifest(running, "chat-box-0")["generation"]
    code, out, _ = call("rollback", "chat", "--to", str(present))
    assert (code, "nothing: it is that already" in out) == (ExitCode.OK, True)
    assert manifest(running, "chat-box-0")["generation"] == present


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("chat-box-0", "--to", "999"), "chat-box-0 has no generation 999; kept are "),
        (("endpoint",), "endpoint can't be rolled back; replicas and gateways can"),
        (("chta",), 'did you mean "chat"?'),
        (("--to", "1"), "--to needs one part"),
    ],
)
def test_what_can_not_go_back_is_said_in_one_sentence(call: Call, words: tuple[str, ...], said: str) -> None:
    code, out, err = call("rollback", *words)
    assert (code, out, len(err.splitlines())) == (ExitCode.INVALID, "", 1)
    assert said in err


def test_what_is_still_staged_goes_back_without_keys(
    place: Path,
    running: World,  # noqa: F811
    call: Call,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Replica and gateway serve as before; only the proof needs a key, and both ways to give one are named."""
    edit(place, running, "run-keyless", slots=4)
    monkeypatch.delenv(variable("key-demo"))
    code, out, _ = call("rollback")
    assert (code, manifest(running, "gateway-box")["part"]["backends"][0]["slots"]) == (ExitCode.OK, 2)
    assert running.ask()[0] == 200
    assert "endpoint: not proved, no key has a value here; set ENGINEHOUSE_SECRET_KEY_DEMO" in out


def test_a_gateway_that_has_to_be_staged_does_not_go_back_without_its_keys(
    place: Path,
    running: World,  # noqa: F811
    call: Call,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing is touched, and both ways to give the value are named."""
    first = manifest(running, "gateway-box")["generation"]
    for slots in (4, 6):
        edit(place, running, f"run-{slots}", slots=slots)
    monkeypatch.delenv(variable("key-demo"))
    before = running.snapshot()
    code, _, err = call("rollback", "gateway-box", "--to", str(first))
    assert (code, running.snapshot()) == (ExitCode.INVALID, before)
    assert "set ENGINEHOUSE_SECRET_KEY_DEMO, or run `pulumi config set --stack" in err


def test_a_rollback_that_fails_leaves_what_serves(place: Path, running: World, call: Call) -> None:  # noqa: F811
    """The old release's weights are gone from the machine: that is said, and the present one serves on."""
    old = running.plan().weights[0]
    running.write_model({"text": "hullo"})
    edit(place, running, "run-model")
    (running.state / "weights" / old.sha256[:16] / old.file_name).unlink()
    code, out, err = call("rollback", "chat")
    assert (code, out) == (ExitCode.FAILED, "")
    assert "the weights of chat are missing or altered" in err
    assert b"hullo" in running.ask()[1]


def test_ctrl_c_puts_the_present_release_back(place: Path, running: World) -> None:  # noqa: F811
    """The first one is a wish: the side that was starting is stopped, and the one that served serves."""
    loads = running.folder / "loads"
    loads.touch()
    running.write_model({"loads_with": str(loads)})
    edit(place, running, "run-slow")
    running.write_model({})
    edit(place, running, "run-quick")
    loads.unlink()
    generation = manifest(running, "chat-box-0")["generation"]
    with process_of(running, "rollback") as process:
        assert process.stderr
        told = []
        while "waiting for ready" not in (told or [""])[-1]:
            told.append(process.stderr.readline())
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
        assert process.wait(PATIENCE_S) == ExitCode.INTERRUPTED
    assert "stopping; Ctrl-C again ends it at once" in rest
    assert "finished work is kept" in rest
    assert (manifest(running, "chat-box-0")["generation"], running.ask()[0]) == (generation, 200)
    assert sum(mark.startswith("chat-box-0/") for mark in running.processes().values()) == 1


def test_orders_are_given_shown_and_ended(running: World, call: Call) -> None:  # noqa: F811
    """Drain and freeze stand in status with their reason, refuse what they must, and end."""
    code, _, err = call("drain", "chat")
    assert (code, "--force" in err) == (ExitCode.FAILED, True)
    assert call("cordon", "chat", "--force", "--reason", "new memory")[0] == ExitCode.OK
    shown = call("status")[1]
    assert re.search(r"chat-box-0 +drained", shown)
    assert re.search(r"chat-box-0: drained by \S+ since \S+ through cordon: new memory", shown)
    assert call("freeze", "--reason", "the audit is on")[0] == ExitCode.OK
    assert f"{running.stack} on box: frozen by" in call("status")[1]
    code, _, err = call("undrain", "chat")
    assert code == ExitCode.FAILED
    assert "the audit is on" in err
    assert "no longer frozen" in call("unfreeze")[1]
    assert "no longer drained" in call("undrain", "chat-box-0")[1]
    assert call("status")[0] == ExitCode.OK
    assert [call(verb, *words)[:2] for verb, *words in (("unfreeze",), ("undrain", "chat"))] == [
        (ExitCode.OK, f"{running.stack} on box: was not frozen\n"),
        (ExitCode.OK, "chat-box-0: was not drained\n"),
    ]


def test_a_whole_deployment_is_drained_only_by_force(place: Path, running: World, call: Call) -> None:  # noqa: F811
    """Refused before the first replica is touched; one of two needs no force."""
    edit(place, running, "run-two", replicas=2)
    code, _, err = call("drain", "chat")
    assert (code, "chat would have no replica left" in err) == (ExitCode.INVALID, True)
    assert not running.place("chat-box-0", "drained.json").exists()
    assert call("drain", "chat-box-1")[0] == ExitCode.OK
    assert call("undrain", "chat")[0] == ExitCode.OK
    running.destroy(running.replica(1))


def test_history_tells_every_change_newest_first(place: Path, running: World, call: Call) -> None:  # noqa: F811
    edit(place, running, "run-history", context=4096)
    code, out, err = call("history", "chat")
    heading, newest, *_ = out.splitlines()
    assert (code, err) == (ExitCode.OK, "")
    assert heading.split() == ["part", "generation", "when", "who", "door", "what", "changed"]
    assert re.search(r"ada@desk +test +args.ctx-size: 4096 => 8192$", newest)
    assert "first deployed" in out
    told = json.loads(call("history", "--format", "json")[1])
    assert {row["part"] for row in told["history"]} == {part.name for part in running.plan().parts()}
    assert [row["at"] for row in told["history"]] == sorted((row["at"] for row in told["history"]), reverse=True)


def test_events_are_the_journal(running: World, call: Call) -> None:  # noqa: F811
    """Line by line the same in both forms."""
    call("cordon", "chat", "--force", "--reason", "a look")
    call("undrain", "chat")
    text, jsonl = call("events")[1].splitlines(), call("events", "--format", "jsonl")[1].splitlines()
    assert [json.loads(row)["event"] for row in jsonl] == [entry.event for entry in running.journal()]
    assert len(text) == len(jsonl)
    assert "drained           chat-box-0: a look  (" in text[-2]


def test_logs_are_the_serving_side_gateway_and_supervisor(running: World, call: Call) -> None:  # noqa: F811
    """Each line behind its part, unless there is only one; access lines are the JSON that HAProxy wrote."""
    running.ask()
    code, out, err = call("logs", "-n", "5")
    assert (code, err) == (ExitCode.OK, "")
    assert {row.split()[0] for row in out.splitlines()} == {"box", "chat-box-0", "gateway-box"}
    starts = re.findall(r"^enginehouse: release \w+ starts on side (\w)", call("logs", "chat")[1], re.MULTILINE)
    assert set(starts) == {running.side}
    running.wait_until(lambda: any(json.loads(row)["model"] == MODEL for row in access_lines(call)))


def access_lines(call: Call) -> list[str]:
    return [row for row in call("logs", "gateway-box")[1].splitlines() if row.startswith("{")]


def test_a_log_that_is_not_there_yet_is_said(running: World, call: Call) -> None:  # noqa: F811
    running.destroy(running.gateway())
    code, out, err = call("logs", "gateway-box")
    assert (code, out, err) == (ExitCode.OK, "", "gateway-box: no log on box yet\n")


@contextmanager
def process_of(stack: World, verb: str, *words: str, stdout: int = subprocess.PIPE) -> Iterator[subprocess.Popen[str]]:
    """A call as a process of its own, ended with the block."""
    process = subprocess.Popen(
        [*COMMAND, verb, stack.stack, *words],
        env={**os.environ, "PYTHONPATH": str(INFRA)},
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def followed(stack: World, verb: str, *words: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """A call that goes on, and the lines it has shown so far."""
    lines: list[str] = []
    with process_of(stack, verb, *words, "-f") as process:
        output = process.stdout
        assert output
        reader = threading.Thread(target=lambda: lines.extend(iter(output.readline, "")), daemon=True)
        reader.start()
        yield process, lines
    reader.join()


def test_followed_logs_go_on_across_a_switch_of_sides_until_ctrl_c(place: Path, running: World) -> None:  # noqa: F811
    """What the other side writes comes, too; no script is left on the machine."""
    with followed(running, "logs", "chat", "-n", "1") as (process, lines):
        running.wait_until(lambda: len(lines) == 1)
        edit(place, running, "run-follow", context=4096)
        running.wait_until(lambda: any(f"starts on side {running.side}" in line for line in lines[1:]))
        running.wait_until(lambda: "main: model loaded\n" in lines[1:])
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == ExitCode.INTERRUPTED
        assert process.stderr
        assert process.stderr.read() == "interrupted\n"
    running.wait_until(lambda: not [x for x in command_lines() if "tail" in x and str(running.state) in x])


def test_followed_logs_survive_rotation(place: Path, running: World) -> None:  # noqa: F811
    """The supervisor renames a full log and begins a new one."""
    log = running.place("chat-box-0", "log", f"{running.side}.log")
    with followed(running, "logs", "chat", "-n", "0") as (_, lines):
        running.wait_until(lambda: is_read(log))
        log.rename(log.with_name(f"{log.name}.1"))
        log.write_text("first of the new file\n")
        running.wait_until(lambda: lines == ["first of the new file\n"])
        with log.open("a") as file:
            file.write("second\n")
        running.wait_until(lambda: lines == ["first of the new file\n", "second\n"])


def test_a_reader_of_followed_logs_may_go_away(place: Path, running: World) -> None:  # noqa: F811
    """As in `enginehouse logs STACK -f | head -1`: no message, exit code 0."""
    log = running.place("chat-box-0", "log", f"{running.side}.log")
    reader, writer = os.pipe()
    with process_of(running, "logs", "chat", "-f", stdout=writer) as process:
        os.close(writer)
        os.read(reader, 1)
        os.close(reader)
        with log.open("a") as file:
            file.write("one more\n")
        _, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, err) == (ExitCode.OK, "")


def test_followed_events_come_once_also_when_the_journal_was_cut(running: World, call: Call) -> None:  # noqa: F811
    journal = running.place("events.jsonl")
    with followed(running, "events") as (_, lines):
        running.wait_until(lambda: len(lines) == len(running.journal()))
        call("cordon", "chat", "--force", "--reason", "once")
        running.wait_until(lambda: any("chat-box-0: once" in line for line in lines))
        journal.with_name("new").write_text("".join(journal.read_text().splitlines(keepends=True)[-2:]))
        journal.with_name("new").rename(journal)
        call("undrain", "chat")
        running.wait_until(lambda: any("undrained" in line for line in lines))
        assert len(lines) == len(set(lines))


def is_read(log: Path) -> bool:
    """Whether a `tail` has it open."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            opened = [str(file.readlink()) for file in (folder / "fd").iterdir()]
            if str(log) in opened and (folder / "comm").read_text() == "tail\n":
                return True
    return False


def command_lines() -> list[str]:
    """Of every process on this machine."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            found.append((folder / "cmdline").read_bytes().decode(errors="replace").replace("\0", " "))
    return found


def test_weights_are_listed_with_who_needs_them_and_the_rest_is_removed(
    running: World,  # noqa: F811
    place: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    used = running.plan().weights[0].sha256[:16]
    unused = running.state / "weights" / "0123456789abcdef"
    unused.mkdir()
    (unused / "old.gguf").write_bytes(b" " * 9000)
    assert main(("weights", "list", running.stack)) == ExitCode.OK
    listed = capsys.readouterr().out
    assert f"{running.stack}/chat-box-0, {running.stack}/chat-weights-box" in listed
    assert re.search(r"0123456789abcdef +16 kB  old\.gguf  unused", listed)
    assert main(("weights", "prune", running.stack)) == ExitCode.OK
    pruned = capsys.readouterr().out
    assert re.search(r"removed 0123456789abcdef +16 kB  old\.gguf", pruned)
    assert used not in pruned
    assert not unused.exists()
    assert main(("weights", "prune", running.stack)) == ExitCode.OK
    assert "nothing to remove" in capsys.readouterr().out


def test_the_numbers_of_another_stacks_gateway_are_not_shown(
    running: World,  # noqa: F811
    place: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A stack that is not up, at whose ports another one answers: it has no requests, and was never ready."""
    stacks = place / "stacks"
    assert main(("lock", running.stack, "--offline")) == ExitCode.OK
    for ending in ("yaml", "lock.yaml"):
        shutil.copy(stacks / f"{running.stack}.{ending}", stacks / f"other.{ending}")
    capsys.readouterr()
    main(("status", "other"))
    row = next(row for row in capsys.readouterr().out.splitlines() if "chat-box-0" in row)
    assert row.split()[3:] == ["missing", "-", "-", "-"]


@pytest.fixture
def orphaned(place: Path, running: World) -> World:  # noqa: F811
    """Ada's stack, of which the file has one deployment less than its machine; her state was lost."""
    running.place("owner.json").unlink(missing_ok=True)
    running.claim = Claim(id="ada-state")
    running.settings["behind"] = {"old": {}}
    running.up()
    running.settings["behind"] = {}
    write(place, running)
    return running


def test_a_stack_is_adopted_only_with_both_words(orphaned: World, call: Call) -> None:
    """Each is asked for by what it would do; until then nothing is changed."""
    before = orphaned.snapshot()
    for words, missing in ((), "--yes --take-over"), (("--yes",), "--take-over"), (("--take-over",), "--yes"):
        code, out, err = call("adopt", *words)
        assert (code, out, orphaned.snapshot()) == (ExitCode.INVALID, "", before)
        assert "belongs to a Pulumi state since" in err
        assert "old-box-0: not in the stack file; last changed by" in err
        assert err.endswith(
            "nothing was changed; to end 2 parts that the stack file has no more and to take the stack from its owner "
            f"on 1 machine, say {missing}\n"
        )


def test_an_adopted_stack_has_nothing_that_nobody_knows_and_no_owner(orphaned: World, call: Call) -> None:
    """What the file has is not touched; the next state takes it over, and the orphans are gone. Twice is once."""
    assert "old-box-0/a" in orphaned.processes().values()
    kept = {pid: name for pid, name in orphaned.processes().items() if not name.startswith("old-")}
    code, out, _ = call("adopt", "--yes", "--take-over")
    assert code == ExitCode.OK
    assert "ended old-box-0, old-weights-box" in out
    assert "belongs to nobody now" in out
    assert orphaned.processes() == kept
    assert not orphaned.place("old-box-0").exists()
    assert not orphaned.place("owner.json").exists()
    assert "is nobody's any more; it belonged to a Pulumi state since" in orphaned.journal("taken-over")[-1].text
    before = orphaned.snapshot()
    code, out, _ = call("adopt")
    assert (code, orphaned.snapshot()) == (ExitCode.OK, before)
    assert "parts, belongs to nobody\n" in out
    orphaned.claim = Claim(id="bob-state")
    orphaned.up()
    assert orphaned.ask()[0] == 200
    engines = {pid: name for pid, name in kept.items() if name.startswith("chat-")}
    assert engines.items() <= orphaned.processes().items()


def test_a_machine_that_was_another_host_is_not_adopted(orphaned: World, call: Call, place: Path) -> None:
    """Addresses of two hosts that were exchanged must not end what runs on either."""
    file = place / "stacks" / f"{orphaned.stack}.yaml"
    file.write_text(file.read_text().replace("box", "crate"))
    before = orphaned.snapshot()
    code, out, _ = call("adopt", "--yes", "--take-over")
    assert (code, orphaned.snapshot()) == (ExitCode.OK, before)
    assert "box: the machine was this host; call it so again, or remove the stack there" in out
    assert "\nnot adopted: crate; put right what is said above" in out
    write(place, orphaned)


def test_a_frozen_stack_is_not_adopted(orphaned: World, call: Call) -> None:
    """A standing order stands for everybody."""
    call("freeze", "--reason", "exams")
    before = orphaned.processes()
    code, _, err = call("adopt", "--yes", "--take-over")
    assert code == ExitCode.FAILED
    assert "  frozen by" in err
    assert "is frozen by" in err
    assert orphaned.processes() == before
    assert orphaned.place("owner.json").exists()
    call("unfreeze")
