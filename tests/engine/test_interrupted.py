"""Runs that are stopped, killed, or meet another run, with the real CLI: the next `pulumi up` finishes the work."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from tests.engine.project import DEADLINE_S, Project, wait_for
from tests.engine.terminal import on_a_terminal

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]
PATIENT = {"takes_s": 600}
DEAF = {"takes_s": 600, "deaf": True}


def provider_at_work(project: Project, *parts: str) -> int:
    """Wait until the parts are being converged; the provider's process id."""

    def look() -> int | None:
        calls = {call["part"]: call["pid"] for call in project.calls() if call["verb"] == "converge"}
        return calls[parts[0]] if set(parts) <= set(calls) else None

    return wait_for(f"the converge of {parts}", look)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def assert_finished_by(project: Project, up: Callable[[], str]) -> None:
    """One `up` brings every part, and another has nothing to do."""
    project.script()
    up()
    assert len(project.parts()) == 6
    assert "10 unchanged" in project.up()


def test_ctrl_c_stops_at_once_and_leaves_nothing_pending(project: Project) -> None:
    """One interrupt to the CLI during a create: the converge ends itself, finished parts stay, the next up goes on."""
    project.script(chat_box_0=PATIENT, chat_box_1=PATIENT)
    update = project.start("up", "--yes", "--skip-preview")
    provider_at_work(project, "chat-box-0", "chat-box-1")
    update.send_signal(signal.SIGINT)
    output, _ = update.communicate(timeout=DEADLINE_S)
    assert update.returncode != 0
    assert "stopped on request; finished work is kept, the next run continues" in output
    assert project.pending() == []
    assert set(project.parts()) == {"box", "chat-weights-box"}
    assert_finished_by(project, project.up)


def interrupt_twice(project: Project) -> None:
    """Ctrl-C, and again because the converge does not hear the first one."""
    project.script(chat_box_0=DEAF, chat_box_1=DEAF)
    update = project.start("up", "--yes", "--skip-preview")
    provider = provider_at_work(project, "chat-box-0", "chat-box-1")
    assert update.stdout is not None
    update.send_signal(signal.SIGINT)
    wait_for("the CLI's answer", lambda: "press ^C again" in update.stdout.readline())
    update.send_signal(signal.SIGINT)
    update.communicate(timeout=DEADLINE_S)
    assert update.returncode != 0
    wait_for("the provider's end", lambda: not is_alive(provider))
    assert project.pending() == ["chat-box-0", "chat-box-1"]


def test_ctrl_c_twice_ends_at_once_and_the_next_up_needs_no_help(project: Project) -> None:
    """The state has unfinished creates then; nobody has to clear them, with or without a terminal."""
    interrupt_twice(project)
    project.preview()
    assert_finished_by(project, lambda: on_a_terminal(project, "up", "--yes"))


def test_a_refresh_after_ctrl_c_twice_asks_nothing(project: Project) -> None:
    """On a terminal the CLI would ask what to do about each unfinished create."""
    interrupt_twice(project)
    on_a_terminal(project, "refresh", "--yes")
    assert_finished_by(project, project.up)


def test_the_cli_itself_would_ask(project: Project) -> None:
    """Twin: without what `bin/pulumi` adds, a person has to answer."""
    interrupt_twice(project)
    output = on_a_terminal(project, "refresh", "--yes", "--skip-pending-creates=false", expect=None)
    assert "edit your stack's state directly. Confirm?" in output


def test_a_provider_killed_in_the_middle_is_continued_by_the_next_up(project: Project) -> None:
    project.script(chat_box_0=PATIENT, chat_box_1=PATIENT)
    update = project.start("up", "--yes", "--skip-preview")
    os.kill(provider_at_work(project, "chat-box-0"), signal.SIGKILL)
    update.communicate(timeout=DEADLINE_S)
    assert update.returncode != 0
    assert_finished_by(project, project.up)


def kill_cli(project: Project) -> None:
    update = project.start("up", "--yes", "--skip-preview")
    provider = provider_at_work(project, "chat-box-0")
    update.kill()
    update.communicate()
    wait_for("the provider's end", lambda: not is_alive(provider))


def test_a_killed_cli_takes_its_provider_and_its_lock_with_it(project: Project) -> None:
    """The provider would work on, unseen; the lock would need `pulumi cancel`. The next run says what it found."""
    project.script(chat_box_0={"takes_s": 600})
    kill_cli(project)
    assert list(project.state.rglob("locks/**/*.json")), "the killed CLI has left its lock"
    said: list[str] = []
    assert_finished_by(project, lambda: said.append(project.up()) or said[0])
    assert "pulumi: removed the lock of a run of box that died" in said[0]


def test_a_cli_killed_in_the_middle_of_an_edit_is_continued(deployed: Project) -> None:
    """An update that never ended is no obstacle either, and nothing of it stays pending."""
    deployed.edit_stack("slots: 2", "slots: 2\n    options: {threads: 3}")
    deployed.script(chat_box_0={"takes_s": 600}, chat_box_1={"takes_s": 600})
    kill_cli(deployed)
    assert_finished_by(deployed, deployed.up)
    assert deployed.pending() == []
    assert deployed.parts()["chat-box-0"]["inputs"]["args"]["threads"] == "3"


def test_the_second_of_two_runs_is_told_who_is_at_work(project: Project) -> None:
    """Who, since when, and what to do; the first one is not disturbed."""
    project.script(chat_box_0=PATIENT)
    update = project.start("up", "--yes", "--skip-preview")
    provider_at_work(project, "chat-box-0")
    output = project.up(expect=1)
    assert "the stack is currently locked" in output
    assert f"(pid {update.pid}) at 20" in output
    assert "wait for the other process(es) to end" in output
    assert "removed the lock" not in output
    assert update.poll() is None
    update.send_signal(signal.SIGINT)
    update.communicate(timeout=DEADLINE_S)
