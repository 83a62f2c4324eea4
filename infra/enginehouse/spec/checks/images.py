"""A container has an image that is named by its digest: a tag may mean another image tomorrow."""

from __future__ import annotations

import re
from collections.abc import Iterator

from enginehouse.engines import engines
from enginehouse.planner.parts import Runtime
from enginehouse.spec.codes import Code
from enginehouse.spec.model import Deployment, Spec
from enginehouse.spec.problems import Problem, shown
from enginehouse.spec.source import KeyPath, Source
from enginehouse.spec.variants import Form, forms

_NAME = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
"""A step of an image's path."""
_HOST = r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]+)?"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_IMAGE = re.compile(rf"(?:{_HOST}/)?{_NAME}(?:/{_NAME})*(?::{_TAG})?(?P<digest>@sha256:[0-9a-f]{{64}})?")


def check(spec: Spec, _: Source) -> Iterator[Problem]:
    for form in forms(spec):
        yield from _image(form)
    if spec.endpoint.image:
        yield from _pinned(spec.endpoint.image, ("endpoint", "image"))


def _image(form: Form) -> Iterator[Problem]:
    deployment = form.deployment
    if deployment.runtime is Runtime.DOCKER and deployment.binary:
        yield Problem(
            path=form.path("binary"),
            on_key=True,
            code=Code.BAD_IMAGE,
            summary="an engine in a container comes from its image",
            hint="leave the binary out",
            rests_on=(form.path("runtime"),),
        )
    if deployment.runtime is not Runtime.DOCKER:
        if deployment.container:
            yield Problem(
                path=form.path("container"),
                on_key=True,
                code=Code.NO_CONTAINER,
                summary="this engine runs in no container",
                hint="write `runtime: docker`, or leave it out",
                rests_on=(form.path("runtime"),),
            )
        if deployment.image:
            yield Problem(
                path=form.path("image"),
                on_key=True,
                code=Code.BAD_IMAGE,
                summary="only an engine in a container has an image",
                hint="write `runtime: docker`, or leave the image out",
                rests_on=(form.path("runtime"),),
            )
    elif deployment.image is None:
        yield Problem(
            path=form.path("runtime"),
            code=Code.BAD_IMAGE,
            summary="an engine in a container needs an image",
            hint=f"write `image: NAME@sha256:DIGEST`; {_look_up(_usual(deployment))}",
            rests_on=(form.path("engine"), form.path("version"), form.path("image")),
        )
    else:
        yield from _pinned(deployment.image, form.path("image"))


def _pinned(image: str, path: KeyPath) -> Iterator[Problem]:
    found = _IMAGE.fullmatch(image)
    if found is None:
        yield Problem(
            path=path,
            code=Code.BAD_IMAGE,
            summary=f"{shown(image)} is not an image",
            hint="write NAME@sha256:DIGEST, with a name in lower case and a digest of 64 hex digits",
        )
    elif not found["digest"]:
        yield Problem(
            path=path,
            code=Code.BAD_IMAGE,
            summary="an image without a digest may be another one tomorrow",
            hint=f"write {image}@sha256:DIGEST; {_look_up(image)}",
        )


def _usual(deployment: Deployment) -> str:
    """The engine's own image of that version."""
    engine = engines().get(deployment.engine)
    if engine is None:
        return "NAME"
    return (engine.gpu_image if deployment.gpus else engine.image).format(version=deployment.version)


def _look_up(image: str) -> str:
    return f"`docker buildx imagetools inspect {image}` prints it"
