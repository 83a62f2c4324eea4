"""What an image of the real engine is made of, like its official ones."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.tools_available import require_tool

CONFIG = {
    "Entrypoint": ["/app/llama-server"],
    "Env": ["LLAMA_ARG_HOST=0.0.0.0", "PATH=/usr/bin"],
    "Healthcheck": {"Test": ["CMD", "curl", "-f", "http://localhost:8080/health"]},
}
"""As in the engine's official images (llama.cpp, .devops/cuda.Dockerfile, read 2026-10)."""


def files() -> dict[str, Path]:
    """The engine and what it is linked to, by their paths in the image."""
    program = require_tool("llama-server")
    linked = subprocess.run(("ldd", program), check=True, capture_output=True, text=True).stdout
    libraries = re.findall(r"(/\S+) \(", linked)
    return {"/app/llama-server": Path(program), **{path: Path(path) for path in libraries}}
