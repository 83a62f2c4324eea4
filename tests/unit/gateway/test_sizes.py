"""Buffers and limits of the gateway."""

from __future__ import annotations

from dataclasses import replace

import pytest

from enginehouse.gateway.sizes import (
    BUFFER_BUDGET_BYTES,
    FEWEST_CONNECTIONS,
    FEWEST_HELD,
    HEADROOM_BYTES,
    LARGEST_BODY_BYTES,
    SMALLEST_BODY_BYTES,
    USUAL_CONNECTIONS,
    held,
    sizes,
)
from enginehouse.planner.parts import GatewayPart
from tests.gateway.parts import gateway_part


def with_context(part: GatewayPart, *tokens: int) -> GatewayPart:
    pairs = zip(part.backends, tokens, strict=True)
    return replace(part, backends=tuple(replace(backend, context_tokens=count) for backend, count in pairs))


def test_with_one_model_no_body_is_too_large_and_buffers_are_haproxys_own() -> None:
    size = sizes(with_context(gateway_part(), 1_000_000))
    assert (size.routable_bytes, size.buffer_bytes) == (None, 16384)


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [((256, 2048), SMALLEST_BODY_BYTES), ((2048, 131072), 786432), ((16_777_216, 1), LARGEST_BODY_BYTES)],
)
def test_with_several_models_a_body_of_the_largest_context_fits_a_buffer(
    tokens: tuple[int, int], expected: int
) -> None:
    size = sizes(with_context(gateway_part(("chat", "code")), *tokens))
    assert (size.routable_bytes, size.buffer_bytes) == (expected, expected + HEADROOM_BYTES)


def test_connections_follow_the_slots_but_not_beyond_the_memory_for_buffers() -> None:
    assert sizes(gateway_part()).connections == USUAL_CONNECTIONS
    assert sizes(gateway_part(replicas=10, slots=160)).connections == 4 * 1600
    large = sizes(with_context(gateway_part(("chat", "code"), replicas=10, slots=160), 131072, 1))
    assert large.connections * 2 * large.buffer_bytes <= BUFFER_BUDGET_BYTES
    assert sizes(with_context(gateway_part(("chat", "code")), 16_777_216, 1)).connections == FEWEST_CONNECTIONS


def test_more_slots_hold_more_requests() -> None:
    assert (held(1, 1), held(160, 3)) == (FEWEST_HELD, 16 * 480)
