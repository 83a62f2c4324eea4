"""What a machine remembers of a part."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from enginehouse.converge.manifest import Change, Damaged, Left, Manifest, from_json, to_json
from enginehouse.converge.wire import as_inputs, as_part
from enginehouse.planner.codec import kind_of
from enginehouse.planner.parts import Part, Side
from tests.simulated.plans import PLANS

PARTS = PLANS[1024].parts()
CHANGE = Change(run="r", who="ada@desk", door="pulumi", at="2026-11-24T12:00:00+00:00")


def manifest(part: Part) -> Manifest:
    left = (Left(program="old-a", port=20001, drain_s=60, folder="/s/demo/old"),)
    return Manifest(
        part=part, generation=3, machine="m", change=CHANGE, files={"a": "b"}, side=Side.B, left=left, seen={"x": 1}
    )


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_a_manifest_survives_its_file(part: Part) -> None:
    """to_json and from_json are inverse for every kind."""
    assert from_json(to_json(manifest(part))) == manifest(part)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not JSON (line 1)"),
        ('{\n"format": 1,\n', "not JSON (line 3)"),
        ("[]", "not a manifest (TypeError: "),
        ("{}", "not a manifest (KeyError: 'format')"),
        ('{"format": 2}', "not a manifest (ValueError: format 2, this version knows 1)"),
        ('{"format": 1, "kind": "moon"}', "not a manifest (KeyError: "),
    ],
)
def test_a_damaged_manifest_is_a_value(text: str, reason: str) -> None:
    """Cut, empty, of another format, or something else: said, never raised."""
    found = from_json(text)
    assert isinstance(found, Damaged)
    assert found.reason.startswith(reason)


def test_any_cut_of_a_manifest_is_recognised() -> None:
    """A disk that was full in the middle of a write of somebody else's."""
    text = to_json(manifest(PARTS[2]))
    assert all(isinstance(from_json(text[:length]), Damaged) for length in range(0, len(text) - 2, 7))


def test_how_a_machine_is_reached_is_no_fact_of_it() -> None:
    """A former name and the connection make no difference, anything else does."""
    part = PLANS[1024].replicas[0]
    assert manifest(part).records(replace(part, renamed_from="old"))
    assert not manifest(part).records(replace(part, drain_s=1))


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_a_part_survives_the_wire(part: Part) -> None:
    """Through JSON, with whole floats and with keys that only the provider knows."""
    inputs = json.loads(json.dumps({**as_inputs(part), "secrets": {}}), parse_int=float)
    assert as_part(kind_of(part), inputs) == part


def test_files_are_compared_by_digest_and_travel_apart() -> None:
    """A diff names a file and never prints it."""
    inputs = as_inputs(PLANS[1024].gateways[0])
    assert set(inputs["files"]) == {file["path"] for file in inputs["rendered"]}
    assert all(value.startswith("sha256 ") and len(value) == 19 for value in inputs["files"].values())
