"""Waiting for an engine: until it is ready to work, and until it has no more to do."""

from __future__ import annotations

import json
import shlex

from enginehouse.catalog.explain import reasons
from enginehouse.converge import completion
from enginehouse.converge.ask import Answer, ask
from enginehouse.converge.steps import BecomeReady, WaitIdle
from enginehouse.converge.supervisor import Ending, SupervisorFault
from enginehouse.converge.work import Work
from enginehouse.errors import ConnectorError, ConvergeFailed, NotForwarded, explain
from enginehouse.render.templates import render

HEALTH_ANSWER_S = 5.0
KEY_S = 10.0
"""To read a small file."""
FIRST_POLL_S, LONGEST_POLL_S = 0.1, 1.0
"""Small models load in a tenth of a second, large ones in minutes."""
NOTICED_S = 5.0
"""The supervisor looks for ended processes once a second, and a busy machine lets it do so later."""
NOTICED_POLL_S = 0.05
SHOWN_CHARACTERS = 300
"""Of an answer that is none."""


def become_ready(work: Work, step: BecomeReady) -> None:
    """Wait for health 200, then for one real completion; both together within the step's time."""
    _Start(work, step).become_ready()


def wait_idle(work: Work, step: WaitIdle) -> None:
    """Wait for the end of the requests in progress; that some outlast the step's time is told."""
    script = render("host/idle.sh") + f"wait_idle {step.port} {step.within_s}\n"
    if work.run(script, deadline_s=step.within_s + 30).returncode != 0:
        fate = "are cut off" if step.cut else "go on"
        work.notice(f"requests were still running after {step.within_s} s of draining and {fate}")


class _Start:
    """One start of an engine. Its process is the one seen first: one that the supervisor started again is a failure."""

    def __init__(self, work: Work, step: BecomeReady) -> None:
        self._work = work
        self._step = step
        self._pid: int | None = None
        self._until = work.now() + step.within_s

    def become_ready(self) -> None:
        work, within_s = self._work, self._step.within_s
        poll_s = FIRST_POLL_S
        self._check_alive("while it was starting")
        while (status := self._health()) != 200:
            left = self._until - work.now()
            if left <= 0:
                raise self._failed(f"it was not ready within {within_s} s (health: {status or 'no answer'})")
            work.tell(f"waiting for ready, {within_s - left:.0f} s of {within_s} s")
            work.pause(min(poll_s, left))
            poll_s = min(poll_s * 1.5, LONGEST_POLL_S)
            self._check_alive("while it was starting")
        self._check_reached()
        work.tell("asking for a first completion")
        self._complete()
        self._check_alive("after its first completion")

    def _check_alive(self, when: str) -> None:
        """Raises `ConvergeFailed` if the process ended, also if the supervisor has started the program again."""
        if not self._is_alive():
            raise self._failed(f"{self._ending() or 'it exited'} {when}")

    def _is_alive(self) -> bool:
        info = self._work.supervisor.info(self._step.program)
        if info is None or info.state.has_ended() or self._pid not in (None, info.pid):
            return False
        self._pid = info.pid
        return True

    def _health(self) -> int:
        """The status of the health request; 0 without an answer."""
        try:
            return self._ask("GET", self._step.health_path, None, HEALTH_ANSWER_S, self._work).status
        except NotForwarded as error:
            raise ConvergeFailed(f"it can't be seen whether the engine is ready: {error}") from error
        except ConnectorError:
            return 0

    def _check_reached(self) -> None:
        """Raises `ConvergeFailed` if it is ready, and not for the machine that would send it requests."""
        if self._step.asked_from is None:
            return
        try:
            self._ask("GET", self._step.health_path, None, HEALTH_ANSWER_S, self._client)
        except NotForwarded as error:
            raise ConvergeFailed(f"it can't be seen whether the gateway reaches the engine: {error}") from error
        except ConnectorError as error:
            self._client.run(":", deadline_s=HEALTH_ANSWER_S)  # if nobody reaches that machine, it says so by itself
            raise ConvergeFailed(
                f"the engine is ready, but {self._step.asked_from}, where the gateway is, does not reach it at "
                f"{self._step.address}",
                reasons=(*explain(error), "both have to be in one network, and no firewall may close the port"),
            ) from error

    def _complete(self) -> None:
        """Raises `ConvergeFailed` unless the engine says something that a model may say."""
        wrong = said = ""
        for tokens in completion.TRIES:
            said = self._say(tokens)
            wrong = completion.nonsense(said) or ""
            if not wrong:
                return
        raise self._failed(f"its first completion {wrong}: {said[:SHOWN_CHARACTERS]!r}")

    def _say(self, tokens: int) -> str:
        body = json.dumps(completion.request(self._step.model, tokens)).encode()
        within_s = max(1.0, self._until - self._work.now())
        try:
            answer = self._work.patiently(lambda: self._ask("POST", completion.PATH, body, within_s, self._client))
        except ConnectorError as err:
            self._await_ending("at its first completion")
            raise self._failed("it gave no answer to a first completion") from err
        said = completion.text(answer.json()) if answer.status == 200 else None
        if said is None:
            body_text = answer.body[:SHOWN_CHARACTERS].decode(errors="replace")
            raise self._failed(f"its first completion was HTTP {answer.status}: {body_text}")
        return said

    def _await_ending(self, when: str) -> None:
        """`_check_alive` for a process that may just have died and not have been missed yet."""
        until = self._work.now() + NOTICED_S
        while self._work.now() < until:
            self._check_alive(when)
            self._work.pause(NOTICED_POLL_S)

    @property
    def _client(self) -> Work:
        """Where requests will come from."""
        return self._work.at(self._step.asked_from)

    def _ask(self, method: str, path: str, body: bytes | None, deadline_s: float, asker: Work) -> Answer:
        headers = {"Content-Type": "application/json", **self._key()} if body else {}
        address = f"tcp:{self._step.address}"
        return ask(asker.connector, address, method, path, body=body, headers=headers, deadline_s=deadline_s)

    def _key(self) -> dict[str, str]:
        """What lets a request in; nothing if the engine asks for no key. Its machine is asked, and nothing keeps it."""
        if self._step.keys is None:
            return {}
        script = f"head -n 1 {shlex.quote(self._step.keys)} 2>/dev/null || :"
        key = self._work.connector.run(script, deadline_s=KEY_S).stdout.strip()
        return {"Authorization": f"Bearer {key}"} if key else {}

    def _ending(self) -> Ending | None:
        try:
            return self._work.supervisor.ending(self._step.program, self._pid)
        except (ConnectorError, SupervisorFault):
            return None

    def _failed(self, what: str) -> ConvergeFailed:
        log = self._work.log(self._step.log, self._pid)
        return ConvergeFailed(f"the engine did not start: {what}", reasons=reasons(log, what, self._step.engine))
