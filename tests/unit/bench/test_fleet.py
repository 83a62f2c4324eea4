"""What bench/fleet.py does with times, and the job it gives to every tool, without machines."""

from __future__ import annotations

import io
import subprocess
import tarfile

from bench.contest.figures import OURS, YARDSTICK, Case, Times, in_turns, table, verdicts
from bench.contest.job import Job, present, read_off, script

NEAR, FAR = Case(1, 0), Case(4, 50)
UNIT = "enginehouse-edge-00000000.service"
STATE = "var/lib/enginehouse"
TREE = {
    f"{STATE}/host": None,
    f"{STATE}/host/lease": "",
    f"{STATE}/edge": None,
    f"{STATE}/edge/events.jsonl": "{}",
    f"{STATE}/edge/box": None,
    f"{STATE}/edge/box/log": None,
    f"{STATE}/edge/box/log/supervisord.log": "started",
    f"{STATE}/edge/box/manifest.json": "{}",
    f"{STATE}/edge/box/supervisord.conf": "[supervisord]\n",
    f"{STATE}/edge/chat-box-0": None,
    f"{STATE}/edge/chat-box-0/history": None,
    f"{STATE}/edge/chat-box-0/history/1.json": "{}",
    f"{STATE}/edge/chat-box-0/watch": "a 9001 120 60 gateway-box chat/chat-box-0-a /health /metrics n\n{}\n",
    f"{STATE}/edge/endpoint-box": None,
    f"{STATE}/edge/endpoint-box/manifest.json": "{}",
    f"etc/systemd/system/{UNIT}": "[Service]\n",
}


def times(**seconds: list[float]) -> Times:
    """Of second runs, near."""
    made = Times()
    for tool, taken in seconds.items():
        for one in taken:
            made.add(NEAR, {"raw": YARDSTICK, "ours": OURS}.get(tool, tool), "second", one)
    return made


def archive() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, text in TREE.items():
            member = tarfile.TarInfo(name)
            member.mode = 0o700 if text is None else 0o600
            member.type = tarfile.DIRTYPE if text is None else tarfile.REGTYPE
            member.size = len(text or "")
            tar.addfile(member, io.BytesIO((text or "").encode()))
    return packed.getvalue()


def test_tools_take_turns() -> None:
    """Never one of them several times in a row."""
    assert list(in_turns("ABC", 2)) == [(0, "A"), (0, "B"), (0, "C"), (1, "A"), (1, "B"), (1, "C")]


def test_a_ratio_is_that_of_the_medians() -> None:
    """One slow round changes nothing."""
    made = times(raw=[1.0, 1.0, 100.0], ours=[1.5, 0.1, 1.5])
    assert made.ratio(NEAR, OURS, "second") == 1.5
    assert made.ratio(NEAR, OURS, "first") is None
    assert made.ratio(FAR, OURS, "second") is None


def test_the_table_has_a_row_for_each_tool_and_says_who_is_missing() -> None:
    """Also who was measured less often."""
    made = times(raw=[1.0, 1.0], ours=[1.1, 1.1], pyinfra=[4.0])
    assert table(made, {"ansible, mitogen": "it could not be installed"}).splitlines() == [
        "| tool | 1 machine: second |",
        "| --- | --- |",
        "| ssh, one script | 1.00 s (1.0) |",
        "| enginehouse | 1.10 s (1.1) |",
        "| pyinfra | 4.00 s (4.0) |",
        "| ansible, mitogen | - |",
        "",
        "pyinfra had 1 of 2 rounds with 1 machine, because it takes so long.",
        "ansible, mitogen left: it could not be installed.",
    ]


def test_targets_are_met_or_missed() -> None:
    """Each with its number; those without their tools are not judged."""
    assert list(verdicts(times(raw=[1.0], ours=[1.5], pyinfra=[4.5]))) == [
        "1 machine, second run: 1.50 x ssh, one script, target 1.2: missed",
        "1 machine, second run: 3.0 x faster than pyinfra, target 3: met",
    ]


def test_the_job_is_what_a_stack_needs_and_not_what_we_write_down() -> None:
    """And it survives being written for another process."""
    job = read_off(archive(), UNIT)
    folder = f"/{STATE}/edge"
    assert [path for path, _ in job.folders] == [folder, f"{folder}/box", f"{folder}/box/log", f"{folder}/chat-box-0"]
    assert [file.path.rpartition("/")[2] for file in job.files] == ["supervisord.conf", "watch", UNIT]
    assert (job.engines, job.socket) == ((("chat/chat-box-0-a", 9001),), f"{folder}/gateway-box/run/admin.sock")
    assert Job.of(job.text()) == job


def test_the_script_is_one_that_a_shell_can_read() -> None:
    """And what it asks for is not on this machine."""
    job = read_off(archive(), UNIT)
    assert subprocess.run(("sh", "-n"), input=script(job).encode()).returncode == 0
    assert subprocess.run(("sh", "-c", present(job)), capture_output=True).returncode != 0
