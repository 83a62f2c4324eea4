"""Waiting for an engine: until it is ready to work, and until it has no more to do."""

from __future__ import annotations

import json

from enginehouse.converge.ask import Answer, ask
from enginehouse.converge.steps import BecomeReady, WaitIdle
from enginehouse.converge.work import Work
from enginehouse.errors import ConnectorError, ConvergeFailed, Unreachable
from enginehouse.render.templates import render

HEALTH_ANSWER_S = 5.0
FIRST_POLL_S, LONGEST_POLL_S = 0.1, 1.0
"""Small models load in a tenth of a second, large ones in minutes."""
COMPLETION_TOKENS = 8


def become_ready(work: Work, step: BecomeReady) -> None:
    """Wait for health 200, then for one real completion; both together within the step's time."""
    until = work.now() + step.within_s
    pid = _alive(work, step, None)
    poll_s = FIRST_POLL_S
    while (status := _health(work, step)) != 200:
        left = until - work.now()
        if left <= 0:
            raise _failed(work, step, f"it was not ready within {step.within_s} s (health: {status or 'no answer'})")
        work.tell(f"waiting for ready, {step.within_s - left:.0f} s of {step.within_s} s")
        work.pause(min(poll_s, left))
        poll_s = min(poll_s * 1.5, LONGEST_POLL_S)
        pid = _alive(work, step, pid)
    work.tell("asking for a first completion")
    _complete(work, step, max(1.0, until - work.now()))


def wait_idle(work: Work, step: WaitIdle) -> None:
    """Wait for the end of the requests in progress; those that outlast the step's time are cut, which is told."""
    script = render("host/idle.sh") + f"wait_idle {step.port} {step.within_s}\n"
    if work.run(script, deadline_s=step.within_s + 30).returncode != 0:
        work.notice(f"requests were still running after {step.within_s} s of draining and are cut off")


def _alive(work: Work, step: BecomeReady, pid: int | None) -> int:
    """The engine's process id. Raises `ConvergeFailed` if it ended, also if the supervisor has started it again."""
    info = work.supervisor.info(step.program)
    if info is None or info.state.has_ended() or pid not in (None, info.pid):
        raise _failed(work, step, "it exited while it was starting")
    return info.pid


def _health(work: Work, step: BecomeReady) -> int:
    """The status of the health request; 0 without an answer."""
    try:
        answer = _ask(work, step, "GET", step.health_path, None, HEALTH_ANSWER_S)
    except ConnectorError:
        return 0
    return answer.status


def _complete(work: Work, step: BecomeReady, within_s: float) -> None:
    request = {
        "model": step.model,
        "messages": [{"role": "user", "content": "Say hello."}],
        "max_tokens": COMPLETION_TOKENS,
        "stream": False,
    }
    body = json.dumps(request).encode()
    try:
        answer = work.patiently(lambda: _ask(work, step, "POST", "/v1/chat/completions", body, within_s))
    except ConnectorError as err:
        raise _failed(work, step, "it gave no answer to a first completion") from err
    if answer.status != 200 or not completion_text(answer):
        said = answer.body[:300].decode(errors="replace")
        raise _failed(work, step, f"its first completion was HTTP {answer.status}: {said}")


def completion_text(answer: Answer) -> str:
    """What a chat completion says, a reasoning part included; empty if it says nothing or is no completion."""
    data = answer.json()
    try:
        message = data["choices"][0]["message"]
        return str(message.get("content") or message.get("reasoning_content") or "")
    except (TypeError, KeyError, IndexError, AttributeError):
        return ""


def _ask(work: Work, step: BecomeReady, method: str, path: str, body: bytes | None, deadline_s: float) -> Answer:
    headers = {"Content-Type": "application/json"} if body else {}
    address = f"tcp:127.0.0.1:{step.port}"
    return ask(work.connector, address, method, path, body=body, headers=headers, deadline_s=deadline_s)


def _failed(work: Work, step: BecomeReady, what: str) -> ConvergeFailed:
    return ConvergeFailed(f"the engine did not start: {what}", reasons=_last_words(work, step))


def _last_words(work: Work, step: BecomeReady) -> tuple[str, ...]:
    try:
        return work.log_tail(step.log)
    except Unreachable:
        return ()
