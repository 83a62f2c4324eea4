"""What a machine has and lacks, as text and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from enginehouse.report.doctor import Finding, Health, doctor_plain, doctor_text
from enginehouse.report.lines import as_text

FINDINGS = (
    Finding(name="python", health=Health.OK, version="3.11.7", where="/usr/bin/python3", needed="3.11 or newer"),
    Finding(
        name="haproxy",
        health=Health.OLD,
        version="2.4.1",
        where="/usr/sbin/haproxy",
        needed="2.6 or newer",
        remedy="`make setup`",
    ),
    Finding(name="llama-server", health=Health.MISSING, needed="llama.cpp b11434", remedy="`make setup`"),
    Finding(
        name="cache",
        health=Health.WRONG,
        version="0.1 GiB free",
        where="/cache",
        needed="5 GiB free",
        remedy="make room",
    ),
)


def test_findings_as_text(golden: Callable[[str, Mapping[str, str]], None]) -> None:
    """A table of everything, then what to do about each thing that is not right."""
    golden("cli/doctor", {"bad.txt": as_text(doctor_text(FINDINGS)), "good.txt": as_text(doctor_text(FINDINGS[:1]))})


def test_json_has_the_same_findings() -> None:
    plain = doctor_plain(FINDINGS)
    assert plain["ok"] is False
    assert [(f["name"], f["health"]) for f in plain["findings"]] == [(f.name, f.health.value) for f in FINDINGS]
    assert doctor_plain(FINDINGS[:1])["ok"] is True
