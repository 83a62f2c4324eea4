"""What really is against what is planned, as sentences."""

from __future__ import annotations

from typing import Any

import pytest

from enginehouse.report.differences import differences


@pytest.mark.parametrize(
    ("real", "planned", "sentence"),
    [
        ({"args": {"a": "1"}}, {"args": {"a": "2"}}, 'args.a is "1", the plan says "2"'),
        ({}, {"slots": 2}, "slots is not set, the plan says 2"),
        ({"slots": 2}, {}, "slots is 2, the plan does not set it"),
        ({"drift": {"weights": "altered on the machine"}}, {}, "weights: altered on the machine"),
        ({"drift": {"servers": {"x-a": "not ready"}, "current": "gone"}}, {}, "servers: x-a not ready; current: gone"),
    ],
)
def test_a_difference_is_one_sentence(real: dict[str, Any], planned: dict[str, Any], sentence: str) -> None:
    """Drift has no wanted value, so none is told."""
    assert list(differences(real, planned)) == [sentence]
