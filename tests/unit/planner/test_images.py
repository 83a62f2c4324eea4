"""Names of images are read as Docker reads them."""

from __future__ import annotations

import pytest

from enginehouse.planner.images import at_mirror, login_of, registry_of

DIGEST = f"sha256:{'0' * 64}"


@pytest.mark.parametrize(
    ("image", "registry", "copy"),
    [
        ("ghcr.io/ggml-org/llama.cpp", "ghcr.io", "m.example/r/ggml-org/llama.cpp"),
        ("ghcr.io/ggml-org/llama.cpp:server-b11434", "ghcr.io", "m.example/r/ggml-org/llama.cpp"),
        ("127.0.0.1:5000/llama.cpp:b1", "127.0.0.1:5000", "m.example/r/llama.cpp"),
        ("localhost/llama.cpp", "localhost", "m.example/r/llama.cpp"),
        ("ollama/ollama:0.12", "docker.io", "m.example/r/ollama/ollama"),
        ("docker.io/ollama/ollama", "docker.io", "m.example/r/ollama/ollama"),
        ("haproxy:2.8", "docker.io", "m.example/r/library/haproxy"),
    ],
)
def test_the_registry_and_the_copy_at_a_mirror(image: str, registry: str, copy: str) -> None:
    """A tag beside a digest means nothing, and is left out."""
    named = f"{image}@{DIGEST}"
    assert (registry_of(named), at_mirror(named, "m.example/r")) == (registry, f"{copy}@{DIGEST}")


def test_the_client_calls_docker_hub_by_an_older_name() -> None:
    assert login_of(f"ollama/ollama@{DIGEST}") == "https://index.docker.io/v1/"
    assert login_of(f"m.example:5000/r/x@{DIGEST}") == "m.example:5000"
