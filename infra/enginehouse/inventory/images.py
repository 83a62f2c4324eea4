"""How much of container images a machine has to fetch, as Docker's client reads it in their registries."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from enginehouse.inventory.answers import Values, said

_ARCHITECTURES: Mapping[str, str] = {"x86_64": "amd64", "aarch64": "arm64"}
"""What images call the kernel's names."""
_MANIFESTS = ("SchemaV2Manifest", "OCIManifest")
_DECODER = json.JSONDecoder()


def missing_mib(values: Values, architecture: str) -> int:
    """Each layer once, packed as it travels; nothing for images that are there or whose registry did not tell."""
    answer = said(values, "manifests")
    entries = _entries(answer.text) if answer else ()
    try:
        layers = {digest: size for entry in entries if _is_for(entry, architecture) for digest, size in _layers(entry)}
        return sum(layers.values()) >> 20
    except (AttributeError, KeyError, RecursionError, TypeError):  # a manifest of a kind that nobody knows
        return 0


def _entries(text: str) -> Iterator[Mapping[str, Any]]:
    """What is told of each image for each platform; a document that was cut off ends them."""
    rest = text.lstrip()
    while rest:
        try:
            found, end = _DECODER.raw_decode(rest)
        except ValueError:
            return
        yield from (found if isinstance(found, list) else [found])
        rest = rest[end:].lstrip()


def _is_for(entry: Mapping[str, Any], architecture: str) -> bool:
    """Whether the machine would take this one. An image for one platform alone may not say for which."""
    platform = entry.get("Descriptor", {}).get("platform", {})
    meant = platform.get("architecture")
    return meant in (None, _ARCHITECTURES.get(architecture, architecture)) and platform.get("os") in (None, "linux")


def _layers(entry: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    manifest: Mapping[str, Any] = next((entry[name] for name in _MANIFESTS if name in entry), {})
    yield from ((layer["digest"], layer["size"]) for layer in manifest.get("layers", ()))
