"""`enginehouse new`: a file that can be deployed at once, or nothing and every reason why not."""

from __future__ import annotations

import hashlib
import os
import pty
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enginehouse.errors import ExitCode
from enginehouse.spec.loader import parse
from enginehouse.verbs import WrongAnswers
from enginehouse.verbs.new import new
from enginehouse.verbs.questions import stack_text
from tests.cli.conftest import Told
from tests.cli.harness import environment

Call = Callable[..., Told]

WEIGHTS = b"GGUF and so on"
DIGEST = hashlib.sha256(WEIGHTS).hexdigest()


def names(folder: Path) -> set[str]:
    return {path.name for path in (folder / "stacks").iterdir()}


@pytest.fixture
def weights(folder: Path) -> Path:
    path = folder / "models" / "My Tiny.gguf"
    path.parent.mkdir()
    path.write_bytes(WEIGHTS)
    return path


@pytest.fixture
def written(folder: Path) -> Callable[[], set[str]]:
    before = names(folder)
    return lambda: names(folder) - before


def test_a_path_is_enough(
    folder: Path, call: Call, weights: Path, golden: Callable[[str, Mapping[str, str]], None]
) -> None:
    """The rest is what is usual, nothing of it clashes, and what comes next is told."""
    code, out, err = call("new", "mine", "--model", "models/My Tiny.gguf", "--version", "b11434")
    assert code == ExitCode.OK, err
    assert err == f"reading {weights} (0.0 GiB) for its SHA-256\n"
    golden("cli/new", {"answer.txt": out, "mine.yaml": (folder / "stacks" / "mine.yaml").read_text()})
    assert call("validate", "mine") == (ExitCode.OK, out.splitlines()[1] + "\n", "")
    assert call("plan", "mine")[0] == ExitCode.OK


def test_every_flag_arrives_where_it_belongs(folder: Path, call: Call) -> None:
    words = "--model https://models.example/m.gguf --sha256 {} --served-name a/b:c --engine llama-cpp --version b11149"
    more = "--context 512 --slots 7 --port 9000 --key search --key chat --description"
    code, _, err = call("new", "mine", *words.format(DIGEST).split(), *more.split(), 'a "b": #c')
    assert code == ExitCode.OK, err
    data = parse((folder / "stacks" / "mine.yaml").read_text(), "mine")[0].root.data
    chat, endpoint = data["deployments"]["chat"], data["endpoint"]
    assert data["description"] == 'a "b": #c'
    assert chat["model"] == {"source": "https://models.example/m.gguf", "sha256": DIGEST, "served_name": "a/b:c"}
    assert (chat["engine"], chat["version"], chat["context_tokens"], chat["slots"]) == ("llama-cpp", "b11149", 512, 7)
    assert endpoint["port"] == 9000
    assert endpoint["keys"] == [
        {"name": "search", "secrets": ["key-search"]},
        {"name": "chat", "secrets": ["key-chat"]},
    ]


def test_without_a_terminal_everything_wrong_and_missing_is_told_at_once(
    call: Call, written: Callable[[], set[str]]
) -> None:
    code, out, err = call(
        "new", "My_Stack", "--port", "99999", "--context", "x", "--sha256", "12", "--key", "ok", "--key", "b c"
    )  # fmt: skip
    assert (code, out) == (ExitCode.USAGE, "")
    told = [row.split(": ")[0].strip() for row in err.splitlines()[1:] if not row.startswith("    ")]
    assert told == ["NAME", "--sha256", "--context", "--port", '--key "b c"', "--model"]
    assert '"port" must be a whole number from 1 to 65535, not 99999 [out-of-range]' in err
    assert written() == set()


@pytest.mark.parametrize(
    ("name", "word"),
    [("a" * 40, "names-too-long"), ("host", "not-a-stack"), ("../x", "not-a-stack"), ("x\ny", "not-a-stack")],
)
def test_a_name_that_no_stack_can_have_is_refused(
    call: Call, weights: Path, written: Callable[[], set[str]], name: str, word: str
) -> None:
    code, _, err = call("new", name, "--model", str(weights))
    assert code == ExitCode.USAGE
    assert "  NAME: " in err
    assert f"[{word}]" in err
    assert written() == set()


@pytest.mark.parametrize("ending", ["yaml", "yml"])
def test_a_stack_that_is_there_stays_as_it_is(folder: Path, call: Call, weights: Path, ending: str) -> None:
    there = folder / "stacks" / f"mine.{ending}"
    there.write_text("# mine\n")
    code, _, err = call("new", "mine", "--model", str(weights))
    assert code == ExitCode.INVALID
    assert f"stacks/mine.{ending} is there already and stays as it is" in err
    assert there.read_text() == "# mine\n"


def test_a_wrong_hash_of_a_file_that_is_here_is_noticed(
    call: Call, weights: Path, written: Callable[[], set[str]]
) -> None:
    code, _, err = call("new", "mine", "--model", str(weights), "--sha256", "ab" * 32)
    assert code == ExitCode.USAGE
    assert f"--sha256: {weights} has another one: {DIGEST}" in err
    assert written() == set()


def test_a_file_may_come_later_if_its_hash_is_known(folder: Path, call: Call) -> None:
    later = folder / "later.gguf"
    assert f"there is no file {later} to take it from" in call("new", "mine", "--model", "later.gguf")[2]
    code, out, _ = call("new", "mine", "--model", "later.gguf", "--sha256", DIGEST)
    assert code == ExitCode.OK
    assert f"  put the weights at {later}\n" in out


def test_the_path_leads_to_the_file_from_wherever_it_was_given(
    folder: Path, call: Call, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(weights.parent)
    (folder / "link.gguf").symlink_to(weights)
    for name, path in (("one", weights.name), ("two", "../link.gguf"), ("three", str(weights))):
        assert call("new", name, "--model", path)[0] == ExitCode.OK
        data = parse((folder / "stacks" / f"{name}.yaml").read_text(), name)[0].root.data
        source = data["deployments"]["chat"]["model"]["source"]
        assert (folder / "stacks" / source.removeprefix("upload://")).read_bytes() == WEIGHTS
    assert source == "upload://../models/My Tiny.gguf"


def test_each_port_is_one_that_no_other_stack_has(folder: Path, call: Call, weights: Path) -> None:
    ports = []
    for name in ("one", "two"):
        call("new", name, "--model", str(weights))
        ports.append(parse((folder / "stacks" / f"{name}.yaml").read_text(), name)[0].root.data["endpoint"]["port"])
    assert ports == [8080, 8081]


def test_a_wrong_answer_is_asked_again(folder: Path, weights: Path) -> None:
    """Only what flags did not say is asked; an empty answer is what is usual."""
    answers = iter([str(weights), "70000", "", "a B", "a b", ""])
    asked: list[str] = []
    told: list[str] = []

    def ask(question: str) -> str:
        asked.append(question)
        return next(answers)

    given = {"engine": "llama-cpp", "version": "b11434", "served_name": "m", "context": "512", "slots": "1"}
    new("mine", given, ask, told.append)
    assert [question.split(" [")[0].rstrip(":") for question in asked] == [
        "the weights, as the path of a file here, host:///PATH or https://ADDRESS",
        "port of the endpoint", "port of the endpoint",
        "names of the clients, with blanks between", "names of the clients, with blanks between",
        "what the stack is for",
    ]  # fmt: skip
    assert '  "port" must be a whole number from 1 to 65535, not 70000 [out-of-range]' in told
    data = parse((folder / "stacks" / "mine.yaml").read_text(), "mine")[0].root.data
    assert [client["name"] for client in data["endpoint"]["keys"]] == ["a", "b"]
    assert data["deployments"]["chat"]["model"]["sha256"] == DIGEST


def test_nobody_is_asked_about_a_stack_that_can_not_be(folder: Path) -> None:
    with pytest.raises(WrongAnswers):
        new("My_Stack", {}, lambda question: pytest.fail(question), lambda text: None)


@pytest.mark.parametrize("end", [b"\x03", b"\x04"], ids=["ctrl-c", "end of input"])
def test_who_leaves_leaves_nothing(folder: Path, end: bytes) -> None:
    """On a real terminal, in the middle of the questions."""
    child, terminal = pty.fork()
    if child == 0:
        os.execve(sys.executable, [sys.executable, "-m", "enginehouse", "new", "mine"], environment(folder))
    for answer in (b"\n", end):
        shown = b""
        while not shown.endswith(b"]: "):
            shown += os.read(terminal, 1)
        os.write(terminal, answer)
    while not shown.endswith(b"interrupted\r\n"):
        shown += os.read(terminal, 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == ExitCode.INTERRUPTED
    os.close(terminal)
    assert names(folder) == {"demo.yaml", "wrong.yaml"}


def test_bytes_that_are_no_text_are_refused(call: Call, written: Callable[[], set[str]]) -> None:
    code, _, err = call("new", "mine", "--model", "a\udcff.gguf", "--description", "\udcff")
    assert code == ExitCode.USAGE
    assert "  --model: is not UTF-8 text\n  --description: is not UTF-8 text\n" in err
    assert written() == set()


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60) | st.sampled_from(
    ["", "no", "y", "~", "1e5", "0x1", "1:30", "a: b", "a #b", "- a", "}", "'", '"', "\\", "\n  x: 1", "{{ 1 }}", "…:"]
)


@given(TEXT, TEXT, TEXT, st.lists(TEXT, unique=True, max_size=3))
def test_every_text_arrives_as_the_data_it_is(description: str, source: str, served: str, clients: list[str]) -> None:
    """Quotes, line ends, `#` and `: ` change nothing but their own value."""
    text = stack_text(
        {"description": description, "model": source, "served_name": served, "version": served, "keys": tuple(clients)}
    )
    source_map, problems = parse(text, "mine")
    assert problems == ()
    data = source_map.root.data
    chat = data["deployments"]["chat"]
    assert data["description"] == description
    assert (chat["model"]["source"], chat["model"]["served_name"], chat["version"]) == (source, served, served)
    assert [client["name"] for client in data["endpoint"]["keys"] or []] == clients
    assert set(data) == {"enginehouse", "description", "machines", "deployments", "endpoint"}
