"""What `enginehouse new` has to know, and what is wrong with an answer: what is wrong with the file it would make."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from enginehouse.diagnostics import Diagnostic
from enginehouse.render.templates import render
from enginehouse.spec import Loaded, load_text
from enginehouse.spec.problems import shown
from enginehouse.spec.source import KeyPath, Source

Value: TypeAlias = str | int | tuple[str, ...]
Answers: TypeAlias = Mapping[str, Value]
"""By question. What is missing is not in it; what is there may be wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """`name` is its name in the template; `path` is where the answer stands in the file."""

    name: str
    flag: str
    path: KeyPath
    asks: str
    example: Value
    """Stands for an answer that is missing, so that the others can be checked; often what is usual."""


def _question(name: str, path: KeyPath, asks: str, example: Value, *, flag: str | None = None) -> Question:
    return Question(name=name, flag=flag or f"--{name.replace('_', '-')}", path=path, asks=asks, example=example)


_DEPLOYMENT: KeyPath = ("deployments", "chat")
ENGINE = _question("engine", (*_DEPLOYMENT, "engine"), "engine", "llama-cpp")
VERSION = _question("version", (*_DEPLOYMENT, "version"), "its version", "b11434")
MODEL = _question(
    "model",
    (*_DEPLOYMENT, "model", "source"),
    "the weights, as the path of a file here, host:///PATH or https://ADDRESS",
    "host:///models/model.gguf",
)
SHA256 = _question("sha256", (*_DEPLOYMENT, "model", "sha256"), "their SHA-256", "12" * 32)
SERVED_NAME = _question("served_name", (*_DEPLOYMENT, "model", "served_name"), "the model's name in requests", "model")
CONTEXT = _question(
    "context", (*_DEPLOYMENT, "context_tokens"), "tokens that a request and its answer may have together", 4096
)
SLOTS = _question("slots", (*_DEPLOYMENT, "slots"), "requests it works on at once", 4)
PORT = _question("port", ("endpoint", "port"), "port of the endpoint", 8080)
KEYS = _question("keys", ("endpoint", "keys"), "names of the clients, with blanks between", ("demo",), flag="--key")
DESCRIPTION = _question("description", ("description",), "what the stack is for", "")

QUESTIONS = (ENGINE, VERSION, MODEL, SHA256, SERVED_NAME, CONTEXT, SLOTS, PORT, KEYS, DESCRIPTION)
"""In the order in which they are asked: what is usual may follow from answers before it."""

_NAME = "NAME"
"""The stack's own name, in the place of a flag."""
_NOTHING = ""
"""No flag was given."""


def secret(client: str) -> str:
    """What the secret of a client is called."""
    return f"key-{client}"


def stack_text(answers: Answers, *, schema: bool = False) -> str:
    """The stack file. `schema`: whether the JSON Schema is where a clone has it."""
    values = {question.name: answers.get(question.name, question.example) for question in QUESTIONS}
    names = values[KEYS.name]
    clients = [(name, secret(name)) for name in names] if isinstance(names, tuple) else []
    return render("stack/stack.yaml.j2", **{**values, KEYS.name: clients}, schema=schema)


def checked(name: str, file: Path, answers: Answers) -> Loaded:
    """The stack as `enginehouse validate` would read it from the file."""
    return load_text(stack_text(answers), name=name, display=str(file))


def complaints(loaded: Loaded, answers: Answers) -> Mapping[str, Sequence[str]]:
    """Lines about each wrong answer, by its flag; none about what has no answer."""
    places = tuple(_places(answers))
    found: dict[str, list[str]] = {}
    for diagnostic in loaded.diagnostics:
        about = next((flag for flag, path in places if _is_within(diagnostic, loaded.source, path)), _NAME)
        if diagnostic.severity.is_error() and about not in found:  # what else is wrong with it follows from the first
            found[about] = list(_lines(diagnostic))
    return {flag: lines for flag, lines in found.items() if flag != _NOTHING}


def _places(answers: Answers) -> Iterator[tuple[str, KeyPath]]:
    """The flag that stands for each place of the file; every client has one."""
    for question in QUESTIONS:
        value = answers.get(question.name)
        if isinstance(value, tuple):
            yield from ((f"{question.flag} {shown(name)}", (*question.path, n)) for n, name in enumerate(value))
        else:
            yield question.flag if value is not None else _NOTHING, question.path


def _is_within(diagnostic: Diagnostic, source: Source, path: KeyPath) -> bool:
    """Whether it is about the key or the value at the path, or something below."""
    key, value, place = source.key_span(path), source.value_span(path), diagnostic.span
    return (key.line, key.column) <= (place.line, place.column) <= (value.end_line, value.end_column)


def _lines(diagnostic: Diagnostic) -> Iterator[str]:
    yield f"{diagnostic.summary} [{diagnostic.code}]"
    if diagnostic.hint:
        yield f"  hint: {diagnostic.hint}"
