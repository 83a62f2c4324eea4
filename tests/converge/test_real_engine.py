"""The real llama-server with a small model, through the same steps as the stand-in."""

from __future__ import annotations

import http.client
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from enginehouse.errors import ConvergeFailed
from tests.converge.conftest import new_world
from tests.converge.harness import World, install_real_engine
from tests.converge.load import load, wait_for_answers
from tests.converge.two_hosts import FAR, TwoHosts, direct, keys

CACHE = Path(os.environ.get("ENGINEHOUSE_CACHE") or Path.home() / ".cache" / "enginehouse")
W = TypeVar("W", bound=World)
MODEL = CACHE / "models" / "SmolLM2-135M-Instruct-Q4_1.gguf"


@pytest.fixture
def real(world: World) -> World:
    """A stack that is up, with the real engine and weights that are already on the machine."""
    return with_real_engine(world)


@pytest.fixture
def real_rack() -> Iterator[TwoHosts]:
    """The same on two hosts."""
    with new_world(TwoHosts) as made:
        with_real_engine(made)
        yield made


def with_real_engine(world: W) -> W:
    if not MODEL.exists():
        reason = f"{MODEL} is missing; `make setup` brings it"
        pytest.fail(reason) if os.environ.get("REQUIRE_ALL") == "1" else pytest.skip(reason)
    install_real_engine(world)
    world.model = MODEL.resolve()
    world.settings |= {"source": f"host://{world.model}", "ready_within_s": 90}
    world.up()
    return world


def test_an_edit_fails_no_request_of_the_real_engine(real: World) -> None:
    """Streams and other answers, while the context is changed."""
    with load(real, clients=2) as count:
        wait_for_answers(count, 4)
        real.settings["context"] = 1024
        real.converge(real.replica())
        wait_for_answers(count, 4)
    assert count.failed == []


@pytest.mark.parametrize(
    ("args", "line", "fix"),
    [
        ({"cache-type-k": "nonsense"}, "Unsupported cache type: nonsense", "Correct `options.cache-type-k`"),
        ({"batch-size": "0"}, "GGML_ASSERT(", "Take the last options you wrote out again"),
        ({"ctx-size": "100000000"}, "failed to allocate buffer for kv cache", "Lower `context_tokens`"),
    ],
    ids=["a value it refuses", "a value it aborts on", "more context than memory"],
)
def test_the_real_engines_own_words_are_explained(real: World, args: dict[str, str], line: str, fix: str) -> None:
    """Arguments it can't serve with: its message, the cause and the key to change; the old release serves on."""
    part = real.replica()
    with pytest.raises(ConvergeFailed) as failure:
        real.converge(replace(part, args={**part.args, **args}))
    assert failure.value.old_serves
    assert any(line in reason for reason in failure.value.reasons)
    assert failure.value.reasons[-1].startswith(f"fix: {fix}")
    assert real.ask(max_tokens=4)[0] == 200


@pytest.mark.parametrize(
    ("size", "cause"),
    [
        (1_000_000, "The model file ends too early"),
        (60_000_000, "The model file ends too early"),
        (0, "The file is no"),
    ],
    ids=["its tables are cut", "its tensors are cut", "a web page"],
)
def test_a_broken_model_does_not_get_the_traffic(real: World, size: int, cause: str) -> None:
    """Verified as what it is: the engine says why, the old release serves, and the right file goes through again."""
    whole, source = real.model, real.settings["source"]
    real.model = real.folder / "broken.gguf"
    real.model.write_bytes(whole.read_bytes()[:size] or b"<html>not found</html>")
    real.settings |= {"source": f"host://{real.model}", "context": 1024}
    real.converge(real.plan().weights[0])
    with pytest.raises(ConvergeFailed, match="exited with status 1 while it was starting; the release from") as failure:
        real.converge(real.replica())
    assert any("broken.gguf" in reason for reason in failure.value.reasons)
    assert failure.value.reasons[-2].startswith(f"cause: {cause}")
    assert real.ask(max_tokens=4)[0] == 200
    real.model, real.settings["source"] = whole, source
    real.converge(real.plan().weights[0])
    real.converge(real.replica())
    assert real.ask(max_tokens=4)[0] == 200


OPEN = ("/health", "/v1/health")
ASKED = ("/v1/chat/completions", "/v1/models", "/models", "/metrics", "/slots", "/props", "/tokenize", "/completion")


def test_the_real_engine_on_another_machine_answers_only_its_gateway(real_rack: TwoHosts) -> None:
    """But for health, each path answers 401 without its key. Another key fails no request, and both are accepted."""
    [key] = keys(real_rack)
    assert {direct(real_rack, None, path, method) for path in ASKED for method in ("GET", "POST")} == {401}
    assert {direct(real_rack, "wrong", path) for path in ASKED} == {401}
    assert [direct(real_rack, None, path, "GET") for path in OPEN] == [200] * len(OPEN)
    assert direct(real_rack, key) == 200
    real_rack.place("engine_keys").unlink()
    with load(real_rack, clients=2) as count:
        wait_for_answers(count, 4, within_s=60)
        real_rack.up()
        wait_for_answers(count, 4, within_s=60)
    assert count.failed == []
    assert [direct(real_rack, accepted) for accepted in keys(real_rack)] == [200, 200]
    observed = real_rack.observe(real_rack.on(FAR))
    assert observed is not None and observed.reasons == ()


def test_the_real_engine_with_an_empty_file_of_keys_would_answer_everybody(real_rack: TwoHosts) -> None:
    """Twin: what the start script refuses to start with."""
    [file] = real_rack.far_place("chat-far-0").glob("releases/*/engine.keys")
    start = file.with_name("start")
    file.write_text("")
    start.write_text(start.read_text().replace("exit 1", ":"))
    real_rack.kill(f"chat-far-0/{real_rack.far_manifest('chat-far-0')['side']}")
    real_rack.wait_until(lambda: _answers_everybody(real_rack))


def _answers_everybody(rack: TwoHosts) -> bool:
    """Not while it is down, or loads."""
    try:
        return direct(rack, None) == 200
    except (OSError, http.client.HTTPException):
        return False
