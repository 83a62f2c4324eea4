"""Two clones, each with a backend of its own, and one stack name on one machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from .client import Client
from .deployment import MODEL, POISON, STACK, Deployment

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]

REFUSED = "belongs to another Pulumi state since"


@pytest.fixture
def second(deployed: Deployment, tmp_path: Path) -> Deployment:
    """The same stack file with another, empty state."""
    backend = tmp_path / "backend"
    backend.mkdir()
    clone = replace(deployed, env={**deployed.env, "PULUMI_BACKEND_URL": f"file://{backend}"})
    (deployed.project / "stacks" / f"Pulumi.{STACK}.yaml").rename(tmp_path / "config")
    clone.pulumi("stack", "init")
    clone.pulumi("config", "set", "--secret", "key-demo", stdin=POISON)
    return clone


def test_the_second_state_takes_over_only_when_told_to(
    deployed: Deployment, second: Deployment, client: Client
) -> None:
    """What runs is not touched by any of it, and the way back is the same."""
    engines = deployed.pid_of("llama-server")
    for words in (
        ("preview",),
        ("up", "--yes", "--skip-preview"),
        ("up", "--yes", "--skip-preview", "--refresh=false"),
    ):
        output = second.pulumi(*words, expect=None)
        assert REFUSED in output
        assert f"ENGINEHOUSE_ADOPT={STACK} pulumi up -s {STACK}" in output
    assert "unchanged" in deployed.pulumi("up", "--yes", "--skip-preview")

    output = second.adopting().pulumi("up", "--yes", "--skip-preview")
    assert "is taken over; it belonged to another Pulumi state since" in output
    assert "9 unchanged" in second.pulumi("up", "--yes", "--skip-preview")
    assert "taken-over" in second.enginehouse("events", second.stack_file)

    config = deployed.project / "stacks" / f"Pulumi.{STACK}.yaml"
    config.unlink()
    (Path(second.env["PULUMI_BACKEND_URL"].removeprefix("file://")).parent / "config").rename(config)
    for words in (("preview",), ("up", "--yes", "--skip-preview"), ("destroy", "--yes", "--skip-preview")):
        output = deployed.pulumi(*words, expect=None)
        assert output.partition("Diagnostics:")[2].count(REFUSED) == 1, "not once for every part"
    assert client.chat(MODEL, "hello").status == 200

    assert "is taken over" in deployed.adopting().pulumi("up", "--yes", "--skip-preview")
    assert "9 unchanged" in deployed.pulumi("up", "--yes", "--skip-preview")
    assert deployed.pid_of("llama-server") == engines
