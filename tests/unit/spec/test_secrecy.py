"""What looks like a secret, and what only looks like a name."""

from __future__ import annotations

import pytest

from enginehouse.spec.secrecy import looks_secret


@pytest.mark.parametrize(
    "text",
    [
        "sk-proj-4f9A1b77c03dE58826aa91Zz",
        "sk-4f9a1b77c03de588",
        "hf_AbCdEfGhIjKl0123456789",
        "ghp_0123456789abcdefghij",
        "0f3c6f1a9b7d4e2c8a5b0f3c6f1a9b7d",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.x123",
    ],
)
def test_keys_are_recognised(text: str) -> None:
    """Those of well-known services, and long words with digits."""
    assert looks_secret(text)


@pytest.mark.parametrize(
    "text",
    ["key-demo", "search-2026-11", "sk-production", "api-key-2", "a-rather-long-name-for-a-secret-of-team-7", ""],
)
def test_names_are_not(text: str) -> None:
    """A false alarm would refuse a good stack."""
    assert not looks_secret(text)
