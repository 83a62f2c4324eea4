"""A registry in `site` is one that images can name, and its login is whole."""

from __future__ import annotations

from collections.abc import Iterator

from enginehouse.planner.images import HUB, is_registry
from enginehouse.spec.codes import Code
from enginehouse.spec.model import Spec
from enginehouse.spec.problems import Problem, shown
from enginehouse.spec.site import Registry
from enginehouse.spec.source import KeyPath, Source


def check(spec: Spec, _: Source) -> Iterator[Problem]:
    for name, registry in spec.site.registries.items():
        path: KeyPath = ("site", "registries", name)
        if not is_registry(name) or name == f"index.{HUB}":
            yield Problem(
                path=path,
                on_key=True,
                code=Code.BAD_REGISTRY,
                summary=f"no image is of the registry {shown(name)}",
                hint=f"write what stands before the first slash of its images, such as ghcr.io, or {HUB}",
            )
        yield from _mirror(registry, path)
        yield from _login(registry, path)


def _mirror(registry: Registry, path: KeyPath) -> Iterator[Problem]:
    if registry.mirror and not is_registry(registry.mirror.partition("/")[0]):
        yield Problem(
            path=(*path, "mirror"),
            code=Code.BAD_REGISTRY,
            summary=f"Docker takes {shown(registry.mirror)} for a path on Docker Hub",
            hint="write the mirror's host with its domain or port, such as registry.corp.example/ghcr",
        )


def _login(registry: Registry, path: KeyPath) -> Iterator[Problem]:
    given, absent = ("username", "password") if registry.username else ("password", "username")
    if bool(registry.username) != bool(registry.password):
        example = "{secret: registry}" if absent == "password" else "robot"
        yield Problem(
            path=(*path, given),
            on_key=True,
            code=Code.BAD_REGISTRY,
            summary=f"a {given} without a {absent} is no login",
            hint=f"write `{absent}: {example}` beside it, or leave it out",
            rests_on=((*path, absent),),
        )
