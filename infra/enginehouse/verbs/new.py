"""`enginehouse new`: a commented stack file from a few answers, given as flags or asked for on a terminal."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from enginehouse.connectors.environment import script_environment
from enginehouse.engines import engines
from enginehouse.report.lines import Line, line
from enginehouse.report.problems import problems_text, valid_text
from enginehouse.spec import load, stack_names
from enginehouse.spec.find import find_stack
from enginehouse.verbs import Answer, InvalidInput, WrongAnswers
from enginehouse.verbs.files import create
from enginehouse.verbs.needs import server
from enginehouse.verbs.programs import look
from enginehouse.verbs.questions import (
    DESCRIPTION,
    ENGINE,
    KEYS,
    MODEL,
    PORT,
    QUESTIONS,
    SERVED_NAME,
    SHA256,
    VERSION,
    Question,
    Value,
    checked,
    complaints,
    secret,
    stack_text,
)
from enginehouse.verbs.stacks import stacks_folder

Ask: TypeAlias = Callable[[str], str]
"""From a question to the line that the person writes."""
Tell: TypeAlias = Callable[[str], None]
Wrong: TypeAlias = Mapping[str, Sequence[str]]
"""Lines about what is wrong or missing, by flag."""

_FIRST_PORT = 8080
_UPLOAD = "upload://"
_CHUNK_BYTES = 1 << 20


def new(name: str, given: Mapping[str, Any], ask: Ask | None, tell: Tell) -> Answer:
    """Write `NAME.yaml` into the nearest `stacks` folder and say what comes next.

    `given` holds answers by question. The others are asked for; without `ask` they are what is usual. Raises
    `InvalidInput` if there is such a stack, `WrongAnswers` with all that is wrong or missing; then nothing is written.
    """
    folder = stacks_folder()
    file = folder / f"{name}.yaml"
    if name in stack_names(folder):
        raise _there(find_stack(name, folder))
    _refuse(file, {q.flag: ("is not UTF-8 text",) for q in QUESTIONS if not _is_text(given.get(q.name))})
    if ask:
        _refuse(file, complaints(checked(name, file, {}), {}))
    answers: dict[str, Value] = {}
    for question in QUESTIONS:
        value = _value(question, given.get(question.name), folder)
        if value is None and question is not SHA256:
            value = _choose(question, _usual(question, answers, folder), ask, folder, tell)
        if value is not None:
            answers[question.name] = value
    _refuse(file, _complete(name, file, answers, ask, tell))
    try:
        create(file, stack_text(answers, schema=(folder / "../schemas/stack.schema.json").is_file()))
    except FileExistsError as error:
        raise _there(file) from error
    return Answer(lines=tuple(_written(file, answers)))


def _is_text(written: str | Sequence[str] | None) -> bool:
    """False for bytes of the command line that Python could not decode."""
    return not re.search("[\ud800-\udfff]", "".join(written or ""))


def _there(file: Path) -> InvalidInput:
    return InvalidInput(f"{file} is there already and stays as it is; choose another name")


def _refuse(file: Path, wrong: Wrong) -> None:
    if wrong:
        lines = [text if text.startswith(" ") else f"{flag}: {text}" for flag, rows in wrong.items() for text in rows]
        raise WrongAnswers(f"{file} is not written; change what is given:", lines)


def _complete(name: str, file: Path, answers: dict[str, Value], ask: Ask | None, tell: Tell) -> Wrong:
    """Add the SHA-256, from the file if that is here, once nothing else is wrong. Returns what is."""
    wrong = dict(complaints(checked(name, file, answers), answers))
    if MODEL.name not in answers:
        wrong[MODEL.flag] = (f"is missing: {MODEL.asks}",)
    weights = _weights(answers, file.parent)
    if weights and weights.is_file():
        return wrong or _hashed(weights, answers, tell)
    if SHA256.name not in answers:
        value = _choose(SHA256, None, ask, file.parent, tell)
        if value is None:
            why = f"there is no file {weights} to take it from" if weights else "`sha256sum FILE` gives it"
            wrong[SHA256.flag] = (f"is missing: {why}",)
        else:
            answers[SHA256.name] = value
    return wrong


def _hashed(weights: Path, answers: dict[str, Value], tell: Tell) -> Wrong:
    found = _sha256(weights, tell)
    if answers.setdefault(SHA256.name, found) == found:
        return {}
    return {SHA256.flag: (f"{weights} has another one: {found}",)}


def _choose(question: Question, usual: Value | None, ask: Ask | None, folder: Path, tell: Tell) -> Value | None:
    """What the person answers as soon as that can be used; an empty answer, and no person, mean what is usual."""
    if ask is None:
        return usual
    shown = "" if usual is None else f" [{' '.join(usual) if isinstance(usual, tuple) else usual}]"
    while True:
        value = _value(question, ask(f"{question.asks}{shown}:") or None, folder) or usual
        wrong = () if value is None else _complaint(question, value)
        if value is not None and not wrong:
            return value
        for text in wrong:
            tell(f"  {text}")


def _complaint(question: Question, value: Value) -> Sequence[str]:
    answer = {question.name: value}
    found = complaints(checked("new", Path("new.yaml"), answer), answer)
    return [text for lines in found.values() for text in lines]


def _value(question: Question, written: str | Sequence[str] | None, folder: Path) -> Value | None:
    """An answer as the stack file has it: numbers as such, clients one by one, a path here as seen from `folder`."""
    if written is None:
        return None
    if question is KEYS:
        words = written.split() if isinstance(written, str) else written
        return tuple(dict.fromkeys(words)) or None
    text = str(written)
    if question is MODEL and "://" not in text:
        path = Path(text).expanduser().absolute()
        return _UPLOAD + os.path.relpath(path.parent.resolve() / path.name, folder.resolve())
    return int(text) if isinstance(question.example, int) and re.fullmatch("[0-9]{1,20}", text) else text


def _usual(question: Question, answers: Mapping[str, Value], folder: Path) -> Value | None:
    match question.name:
        case MODEL.name:
            return None
        case VERSION.name:
            return _version(str(answers[ENGINE.name]))
        case SERVED_NAME.name:
            return _model_name(str(answers.get(MODEL.name, "")))
        case PORT.name:
            return _port(folder)
        case DESCRIPTION.name:
            return f"{answers.get(SERVED_NAME.name)} on this machine"
        case _:
            return question.example


def _version(engine: str) -> str | None:
    """The one that is installed if its options are known, else the newest of those."""
    found = engines().get(engine)
    if found is None:
        return None
    installed = look(server(found), script_environment(os.environ))
    return installed.version if installed.health.is_good() else found.versions[-1]


def _model_name(source: str) -> str | None:
    """After the file: `upload://../models/Qwen3-4B-Q4_K_M.gguf` serves `qwen3-4b-q4_k_m`."""
    stem = re.split("[?#]", source)[0].rpartition("/")[2].rpartition(".")[0].lower()
    return re.sub(r"[^a-z0-9._-]+", "-", stem).strip("-._")[:96] or None


def _port(folder: Path) -> int:
    """The first one that no other stack of the folder has."""
    specs = [load(find_stack(name, folder)).spec for name in stack_names(folder)]
    used = {spec.endpoint.port for spec in specs if spec}
    return next(port for port in range(_FIRST_PORT, 65536) if port not in used)


def _weights(answers: Mapping[str, Value], folder: Path) -> Path | None:
    """The file to be uploaded, if that is what the source says."""
    source = str(answers.get(MODEL.name, ""))
    return Path(os.path.normpath(folder.resolve() / source[len(_UPLOAD) :])) if source.startswith(_UPLOAD) else None


def _sha256(weights: Path, tell: Tell) -> str:
    """Its digest; says after each GiB how far it is."""
    size, done, digest = weights.stat().st_size, 0, hashlib.sha256()
    tell(f"reading {weights} ({size / (1 << 30):.1f} GiB) for its SHA-256")
    with weights.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            done += len(chunk)
            if done % (1 << 30) == 0:
                tell(f"  {done * 100 // size} %")
    return digest.hexdigest()


def _written(file: Path, answers: Mapping[str, Value]) -> Iterator[Line]:
    loaded = load(file)
    name, weights = loaded.name, _weights(answers, file.parent)
    yield from problems_text(loaded.diagnostics, loaded.sources)
    yield line(f"{file}: written; edit it as you like, docs/stack-format.md explains every key")
    if loaded.spec:
        yield valid_text(loaded.spec)
    yield line("next:")
    if weights and not weights.is_file():
        yield line(f"  put the weights at {weights}")
    yield line(f"  pulumi stack init {name}")
    clients = answers[KEYS.name]
    for client in clients if isinstance(clients, tuple) else ():
        yield line(f"  pulumi config set --secret {secret(client)} -s {name}")
    yield line(f"  pulumi up -s {name}")
