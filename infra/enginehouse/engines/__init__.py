"""The registry of engines: one module of this package each.

A module `some_name` defines `ENGINE = Engine(name="some-name", ...)`. Nothing registers itself; a module that can't be
imported is an error, never "engine unavailable".
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType, ModuleType

from enginehouse.engines.base import Engine

_NOT_ENGINES = frozenset({"base"})
"""Modules of this package that hold what all engines share."""


@lru_cache(maxsize=1)
def engines() -> Mapping[str, Engine]:
    """All engines by name, sorted; read-only, the same value on every call."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name not in _NOT_ENGINES)
    return collect(importlib.import_module(f"{__name__}.{name}") for name in names)


def collect(modules: Iterable[ModuleType]) -> Mapping[str, Engine]:
    """The engines of `modules` by name, read-only.

    Raises `TypeError` for a module without an `ENGINE`, `ValueError` for one that is not named after its engine and for
    a name used twice.
    """
    found: dict[str, Engine] = {}
    for module in modules:
        engine = _engine_of(module)
        if engine.name in found:
            raise ValueError(f"two modules define the engine {engine.name!r}; the second is {module.__name__}")
        found[engine.name] = engine
    return MappingProxyType(found)


def _engine_of(module: ModuleType) -> Engine:
    engine = getattr(module, "ENGINE", None)
    if not isinstance(engine, Engine):
        raise TypeError(f"{module.__name__} defines no ENGINE of type Engine")
    expected = module.__name__.rpartition(".")[2].replace("_", "-")
    if engine.name != expected:
        raise ValueError(f"{module.__name__} defines the engine {engine.name!r} instead of {expected!r}")
    return engine
