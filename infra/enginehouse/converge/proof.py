"""The endpoint as a client sees it: keys refused and accepted, models listed, real answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from typing import Any

from enginehouse.connectors.base import Connector
from enginehouse.converge import completion
from enginehouse.converge.ask import Answer, Kept, Shown, ask
from enginehouse.converge.reach import reach
from enginehouse.converge.work import Work
from enginehouse.errors import ConnectorError, ConvergeFailed
from enginehouse.planner.parts import EndpointPart
from enginehouse.render.symbols import Secret

REFUSAL_S = 10.0
"""Answers that need no engine."""
ANSWER_S = 120.0
"""A few tokens from a busy engine."""
SETTLE_S = 3.0
"""After a reload HAProxy's old worker accepts connections for some milliseconds more, with the old keys (measured
2026-11, 2.8.25)."""
SETTLE_POLL_S = 0.1
WRONG_KEY = Secret("enginehouse-proof-that-a-wrong-key-is-refused")
STREAMED_TOKENS = 8
REFUSALS = ("a request without a key", "a request with a wrong key")
"""Asked first; who does not refuse these is not our gateway, and gets no key of ours."""

ASKED_AT_ONCE = 4
"""By a look: a machine that has little is not kept busy with it."""

Check = Callable[[], str | None]
"""None, or what is wrong."""
Asking = Callable[[str, str, Secret | None, dict[str, Any] | None, float], Answer]
"""Method, path, key, body and deadline to an answer."""


def prove(part: EndpointPart, work: Work) -> None:
    """Everything a client relies on. Raises `ConvergeFailed` with one reason for each thing that is wrong."""
    problems, send = [], partial(ask, reach(part, work.connector), part.address, shown=shown_by(part))
    for what, check in _checks(part, send, work.context.secrets, thorough=True):
        work.tell(what)
        if problem := _lasting(check, work):
            problems.append(f"{what}: {problem}")
            if what in REFUSALS:
                break
    if problems:
        raise ConvergeFailed(f"{part.url} does not do what it should", reasons=problems)


def _lasting(check: Check, work: Work) -> str | None:
    """What is still wrong after the time that a gateway may take to end its old worker."""
    until = work.now() + SETTLE_S
    while (problem := work.patiently(check)) and work.now() < until:
        work.pause(SETTLE_POLL_S)
    return problem


def look(part: EndpointPart, connector: Connector, secrets: Mapping[str, Secret]) -> tuple[str, ...]:
    """The same proof with one token per model and no stream: what is wrong, as sentences."""
    with closing(Kept(reach(part, connector), part.address, shown_by(part))) as kept:
        checks = dict(_checks(part, kept.ask, secrets, thorough=False))
        refusals = {what: checks.pop(what) for what in REFUSALS if what in checks}
        return _at_once(refusals) or _at_once(checks)


def _at_once(checks: Mapping[str, Check]) -> tuple[str, ...]:
    """What is wrong, in order. Far away, a machine's every answer takes a while."""
    if not checks:
        return ()
    with ThreadPoolExecutor(min(len(checks), ASKED_AT_ONCE)) as pool:
        problems = zip(checks, pool.map(lambda check: check(), checks.values()), strict=True)
        return tuple(f"{what}: {problem}" for what, problem in problems if problem)


def _checks(
    part: EndpointPart, send: Callable[..., Answer], secrets: Mapping[str, Secret], *, thorough: bool
) -> Iterator[tuple[str, Check]]:
    asking = partial(_ask, send)
    if not part.public:
        yield from zip(REFUSALS, (partial(_is_refused, asking, key) for key in (None, WRONG_KEY)), strict=True)
    keys = _keys(part, secrets)
    if not keys:
        yield "a request with a key", lambda: "no key has a value here"
        return
    for name, key in keys.items():
        yield f"the list of models for {name}", partial(_lists_models, part, asking, key)
    key = next(iter(keys.values()))
    for model in part.models:
        yield f"an answer of {model}", partial(_speaks if thorough else _answers, asking, key, model)
        if thorough:
            yield f"a stream of {model}", partial(_streams, asking, key, model)


def shown_by(part: EndpointPart) -> Shown | None:
    """The certificate that a client has to see before it sends a key; None without TLS."""
    return Shown(hostname=part.seal.hostname, anchor=part.seal.anchor or "") if part.seal else None


def _keys(part: EndpointPart, secrets: Mapping[str, Secret]) -> Mapping[str, Secret | None]:
    """Every key that has a value here, by client and secret; a public endpoint asks for none."""
    if part.public:
        return {"everybody": None}
    return {f"{c.name} ({name})": secrets[name] for c in part.clients for name in c.secrets if name in secrets}


def _is_refused(asking: Asking, key: Secret | None) -> str | None:
    answer = asking("GET", "/v1/models", key, None, REFUSAL_S)
    return None if answer.status == 401 else f"expected 401, got {_said(answer)}"


def _lists_models(part: EndpointPart, asking: Asking, key: Secret | None) -> str | None:
    answer = asking("GET", "/v1/models", key, None, REFUSAL_S)
    if answer.status != 200:
        return f"expected 200, got {_said(answer)}"
    data = answer.json()
    listed = {entry.get("id") for entry in data.get("data", [])} if isinstance(data, dict) else set()
    missing = [name for name in part.names if name not in listed]
    return f"it lacks {', '.join(missing)}" if missing else None


def _speaks(asking: Asking, key: Secret | None, model: str) -> str | None:
    """Whether an answer is one that a working model may give."""
    wrong: str | None = None
    for tokens in completion.TRIES:
        answer, said = _complete(asking, key, model, tokens)
        if said is None:
            return f"expected a completion, got {_said(answer)}"
        wrong = completion.nonsense(said)
        if wrong is None:
            return None
    return f"it {wrong}: {_said(answer)}"


def _answers(asking: Asking, key: Secret | None, model: str) -> str | None:
    """Whether a completion comes; one token is too little to judge what it says."""
    answer, said = _complete(asking, key, model, 1)
    return None if said is not None else f"expected a completion, got {_said(answer)}"


def _complete(asking: Asking, key: Secret | None, model: str, tokens: int) -> tuple[Answer, str | None]:
    """The answer and what it says; None if it is no completion."""
    answer = asking("POST", completion.PATH, key, completion.request(model, tokens), ANSWER_S)
    return answer, completion.text(answer.json()) if answer.status == 200 else None


def _streams(asking: Asking, key: Secret | None, model: str) -> str | None:
    request = completion.request(model, STREAMED_TOKENS, stream=True)
    answer = asking("POST", completion.PATH, key, request, ANSWER_S)
    if answer.status != 200:
        return f"expected a stream, got {_said(answer)}"
    events = [line[6:] for line in answer.body.decode(errors="replace").splitlines() if line.startswith("data: ")]
    if not events or events[-1] != "[DONE]":
        return "it did not end with [DONE]"
    return None if len(events) > 1 else "it was empty"


def _ask(
    send: Callable[..., Answer],
    method: str,
    path: str,
    key: Secret | None,
    request: dict[str, Any] | None,
    within_s: float,
) -> Answer:
    """One request; a connection that fails is an answer with status 0, whose body says how."""
    headers = {"Authorization": f"Bearer {key.reveal()}"} if key else {}
    if request is not None:
        headers["Content-Type"] = "application/json"
    body = json.dumps(request).encode() if request else None
    try:
        return send(method, path, body=body, headers=headers, deadline_s=within_s)
    except ConnectorError as err:
        return Answer(status=0, body=f"no answer ({err})".encode())
    except ValueError as err:  # whose text may hold a header, and so the key
        return Answer(status=0, body=f"no answer ({type(err).__name__})".encode())


def _said(answer: Answer) -> str:
    text = answer.body[:200].decode(errors="replace").strip()
    return f"HTTP {answer.status}: {text}" if answer.status else text
