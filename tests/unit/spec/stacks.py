"""A small stack and ways to change it, for the tests of this folder."""

from __future__ import annotations

from enginehouse.diagnostics import Diagnostic
from enginehouse.spec import Loaded, load_text

STACK = """\
enginehouse: 1
machines:
  box: {local: {}}
deployments:
  chat:
    engine: llama-cpp
    version: "b11434"
    runs_on: box
    model:
      source: upload://../models/tiny.gguf
      sha256: b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
      served_name: tiny
endpoint:
  runs_on: box
  port: 8080
  keys:
    - name: demo
      secrets: [key-demo]
"""


def loaded(*changes: tuple[str, str], name: str = "demo") -> Loaded:
    """The stack with each `(old, new)` replaced once."""
    text = STACK
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    return load_text(text, name=name, display=f"{name}.yaml")


def codes(*changes: tuple[str, str], name: str = "demo") -> list[str]:
    return [str(d.code) for d in loaded(*changes, name=name).diagnostics]


def only(*changes: tuple[str, str]) -> Diagnostic:
    """The one diagnostic that the changes bring."""
    (diagnostic,) = loaded(*changes).diagnostics
    return diagnostic
