"""From a file to a spec with everything that is wrong with it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from enginehouse.diagnostics import as_plain, as_text
from enginehouse.spec import Loaded, load, load_bytes, load_text
from tests.unit.spec.stacks import STACK, loaded

DEPLOYMENT = """\
  chat-{n}:
    engine: llama-cpp
    version: "b11434"
    runs_on: box
    model:
      source: upload://../models/m{n}.gguf
      sha256: ab{n:062x}
      served_name: model-{n}
    context_tokens: 2048
    slots: 2
    options: {{threads: 2, batch-size: 512}}
    health: {{ready_within_s: 90}}
endpoint:
"""


def code(result: Loaded) -> list[str]:
    return [str(d.code) for d in result.diagnostics]


def test_a_file_gives_its_name_path_and_text(tmp_path: Path) -> None:
    """The name is the file's, diagnostics call it as asked."""
    path = tmp_path / "demo.yaml"
    path.write_text(STACK)
    result = load(path, display="stacks/demo.yaml")
    assert (result.name, result.path, result.source.file, result.source.text) == (
        "demo",
        path,
        "stacks/demo.yaml",
        STACK,
    )
    assert result.spec is not None
    assert (result.spec.name, result.ok) == ("demo", True)


def test_file_bytes_and_text_are_read_alike(tmp_path: Path) -> None:
    """Three doors to the same."""
    path = tmp_path / "demo.yaml"
    path.write_text(STACK)
    specs = [
        load(path).spec,
        load_text(STACK, name="demo", display="d").spec,
        load_bytes(STACK.encode(), name="demo", display="d").spec,
    ]
    assert specs[0] == specs[1] == specs[2] is not None


@pytest.mark.parametrize("kind", ["missing", "folder", "below a file"])
def test_what_can_not_be_read_is_a_diagnostic(kind: str, tmp_path: Path) -> None:
    """Like everything else that is wrong with a stack."""
    (tmp_path / "file").write_text("")
    path = {"missing": tmp_path / "no.yaml", "folder": tmp_path, "below a file": tmp_path / "file" / "x.yaml"}[kind]
    result = load(path)
    assert (code(result), result.spec, result.ok) == (["unreadable-file"], None, False)
    assert as_text(result.diagnostics, {result.source.file: result.source.text})


def test_a_spec_is_there_only_if_the_shape_is_right() -> None:
    """With a wrong meaning it is still a spec; with a wrong shape there is none."""
    assert loaded(("runs_on: box\n  port", "runs_on: bix\n  port")).spec is not None
    assert loaded(("port: 8080", "port: x")).spec is None


def test_diagnostics_are_in_the_order_of_the_file() -> None:
    """Whichever part of the code found them."""
    result = loaded(("8080", "x"), ("enginehouse: 1", "enginehouse: 2\nenginehouse: 1"), ("tiny.gguf", "tiny"))
    assert [d.span.line for d in result.diagnostics] == sorted(d.span.line for d in result.diagnostics)
    assert code(result) == ["out-of-range", "duplicate-key", "wrong-file-type", "wrong-type"]


def test_both_renderings_say_the_same() -> None:
    """JSON for programs has the texts that people read."""
    result = loaded(("8080", "x"))
    text = as_text(result.diagnostics, {})
    assert all(str(entry["summary"]) in text and str(entry["code"]) in text for entry in as_plain(result.diagnostics))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(("[key-demo]", "[{0}]"), id="in place of a name"),
        pytest.param(("[key-demo]", "{0}"), id="in place of a list"),
        pytest.param(("      secrets: [key-demo]", "      api_key: {0}"), id="at an unknown key"),
        pytest.param(("endpoint:", "# my key: {0}\nendpoint: ["), id="in a file that is no YAML"),
        pytest.param(("upload://../models/tiny.gguf", "https://me:{0}@models.example/m.gguf"), id="in an address"),
    ],
)
def test_a_secret_in_the_file_is_not_repeated(change: tuple[str, str]) -> None:
    """Neither in a message nor in the line that is shown with it."""
    secret = "sk-proj-4f9A1b77c03dE58826aa91Zz"
    result = loaded((change[0], change[1].format(secret)))
    told = as_text(result.diagnostics, {result.source.file: result.source.text}) + str(as_plain(result.diagnostics))
    assert not result.ok
    assert secret not in told
    assert secret[8:] not in told


def test_five_hundred_deployments_load_in_under_a_second() -> None:
    """The promise is one second with everything around it; this is the part of it that grows with the file."""
    text = STACK
    for number in range(500):
        text = text.replace("endpoint:\n", DEPLOYMENT.format(n=number), 1)
    load_text(STACK, name="warm", display="warm.yaml")
    begun = time.process_time()
    result = load_text(text, name="demo", display="demo.yaml")
    assert time.process_time() - begun < 1
    assert result.diagnostics == ()
