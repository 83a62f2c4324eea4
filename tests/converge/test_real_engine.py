"""The real llama-server with a small model, through the same steps as the stand-in."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from enginehouse.errors import ConvergeFailed
from tests.converge.harness import World
from tests.converge.load import load, wait_for_answers
from tests.tools_available import require_tool

CACHE = Path(os.environ.get("ENGINEHOUSE_CACHE") or Path.home() / ".cache" / "enginehouse")
MODEL = CACHE / "models" / "SmolLM2-135M-Instruct-Q4_1.gguf"


@pytest.fixture
def real(world: World) -> World:
    """A stack that is up, with the real engine and weights that are already on the machine."""
    engine = require_tool("llama-server")
    if not MODEL.exists():
        reason = f"{MODEL} is missing; `make tools` brings it"
        pytest.fail(reason) if os.environ.get("REQUIRE_ALL") == "1" else pytest.skip(reason)
    (world.tools / "llama-server").unlink()
    (world.tools / "llama-server").symlink_to(engine)
    world.model = MODEL.resolve()
    world.settings |= {"source": f"host://{world.model}", "options": {"threads": 1}, "ready_within_s": 90}
    world.up()
    return world


def test_an_edit_fails_no_request_of_the_real_engine(real: World) -> None:
    """Streams and other answers, while the context is changed."""
    with load(real, clients=2) as count:
        wait_for_answers(count, 4, within_s=60)
        real.settings["context"] = 1024
        real.converge(real.replica())
        wait_for_answers(count, 4, within_s=60)
    assert count.failed == []


def test_the_real_engines_own_words_are_the_reasons(real: World) -> None:
    """A value it refuses: the old release serves on, and its message is told."""
    part = real.replica()
    with pytest.raises(ConvergeFailed) as failure:
        real.converge(replace(part, args={**part.args, "cache-type-k": "nonsense"}))
    assert failure.value.old_serves
    assert any("Unsupported cache type: nonsense" in reason for reason in failure.value.reasons)
    assert real.ask(max_tokens=4)[0] == 200


def test_a_broken_model_does_not_get_the_traffic(real: World) -> None:
    """A file that is no GGUF, verified as what it is: the engine says why, and the old release serves."""
    real.model = real.folder / "broken.gguf"
    real.model.write_bytes(b"GGUF and then nothing that makes sense")
    real.settings["source"] = f"host://{real.model}"
    real.converge(real.plan().weights[0])
    with pytest.raises(ConvergeFailed, match="exited while it was starting; the release from before serves") as failure:
        real.converge(real.replica())
    assert any("broken.gguf" in reason for reason in failure.value.reasons)
    assert real.ask(max_tokens=4)[0] == 200
