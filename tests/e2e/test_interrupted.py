"""Runs of the real thing that are stopped, killed, or meet another run on the machine.

The tests share one deployment and run in file order.
"""

from __future__ import annotations

import os
import signal
import subprocess
from itertools import count

import pytest

from enginehouse.connectors.local import LocalConnector
from enginehouse.converge import Run, SystemClock
from enginehouse.converge.lease import Leases

from .client import Client
from .deployment import MODEL, Deployment

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]
THREADS = count(3)


def edit_at_work(deployed: Deployment) -> subprocess.Popen[str]:
    """An `up` of an edit that needs another release, at the moment its engine starts."""
    last = next(THREADS)
    deployed.edit(f"threads: {last - 1 if last > 3 else 2}\n", f"threads: {last}\n")
    update = deployed.start("up", "--yes", "--skip-preview")
    assert update.stdout is not None
    assert any("starting release" in line for line in update.stdout)
    return update


def assert_finished(deployed: Deployment, client: Client, wanted: str) -> str:
    """What one more `up` said: it went through, one engine runs with the edit, and nothing is left to do."""
    assert client.chat(MODEL, "hello").status == 200, "the release from before serves meanwhile"
    output = deployed.pulumi("up", "--yes", "--skip-preview")
    assert client.chat(MODEL, "hello").status == 200
    arguments = deployed.engine_arguments()
    assert arguments[arguments.index("--threads") + 1] == wanted
    assert sum(mark.startswith(f"{deployed.plan().stack}/chat-") for mark in deployed.processes().values()) == 1
    assert "9 unchanged" in deployed.pulumi("up", "--yes", "--skip-preview")
    return output


def test_ctrl_c_keeps_what_serves_and_the_next_up_finishes(deployed: Deployment, client: Client) -> None:
    """The new side is taken back, with our words."""
    update = edit_at_work(deployed)
    update.send_signal(signal.SIGINT)
    output, _ = update.communicate(timeout=200)
    assert update.returncode != 0
    assert "stopped on request; finished work is kept, the next run continues" in output
    assert_finished(deployed, client, "3")


def test_ctrl_c_twice_ends_at_once_and_the_next_up_finishes(deployed: Deployment, client: Client) -> None:
    """Whatever was half-done is found and put right."""
    update = edit_at_work(deployed)
    update.send_signal(signal.SIGINT)
    update.send_signal(signal.SIGINT)
    update.communicate(timeout=200)
    assert update.returncode != 0
    assert_finished(deployed, client, "4")


def test_a_provider_killed_in_the_middle_is_continued_and_told(deployed: Deployment, client: Client) -> None:
    """Its lease is free at once; the next run says whose work it took over."""
    update = edit_at_work(deployed)
    os.kill(deployed.provider(), signal.SIGKILL)
    update.communicate(timeout=200)
    assert update.returncode != 0
    assert "took over the lease of a run that died" in assert_finished(deployed, client, "5")


def test_the_second_of_two_runs_on_a_machine_is_told_who_is_at_work(deployed: Deployment, client: Client) -> None:
    """From another clone, with another state: who, since when, through which door, and what to do."""
    deployed.edit("threads: 5\n", "threads: 6\n")
    ada = Run(id="ada-1", who="ada@desk", door="pulumi")
    leases = Leases(SystemClock())
    with leases.hold(LocalConnector("laptop"), str(deployed.state), ada, lambda text: None):
        output = deployed.pulumi("up", "--yes", "--skip-preview", expect=None)
    assert "laptop: another run works on this machine: ada@desk, since 20" in output
    assert "through pulumi (run ada-1, process " in output
    assert "wait for its end, then run again" in output
    assert_finished(deployed, client, "6")
