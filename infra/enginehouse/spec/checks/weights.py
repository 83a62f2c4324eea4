"""Weights and programs are of a kind that can be used, and their hash can be the hash of a file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from enginehouse.engines import engines
from enginehouse.spec.codes import Code
from enginehouse.spec.model import Spec
from enginehouse.spec.problems import Problem, shown
from enginehouse.spec.source import KeyPath, Source
from enginehouse.spec.variants import forms
from enginehouse.spec.wording import listed

_OTHER_ARCHIVES = (".zip", ".tar", ".tar.xz", ".txz", ".tar.bz2", ".tar.zst", ".7z", ".deb", ".rpm", ".whl")
_EMPTY = hashlib.sha256(b"").hexdigest()


def check(spec: Spec, _: Source) -> Iterator[Problem]:
    yield from _file_types(spec)
    yield from _archives(spec)
    yield from _placeholders(spec)
    yield from _two_hashes(spec)


def _file_types(spec: Spec) -> Iterator[Problem]:
    for name, deployment in spec.deployments.items():
        engine = engines().get(deployment.engine)
        file = deployment.model.source.split("?")[0].lower()
        if engine and engine.weights_suffixes and not file.endswith((*engine.weights_suffixes, "/")):
            yield Problem(
                path=("deployments", name, "model", "source"),
                code=Code.WRONG_FILE_TYPE,
                summary=f"{engine.title} can't load this kind of file",
                hint=f"it loads files that end in {listed(engine.weights_suffixes)}",
                rests_on=(("deployments", name, "engine"),),
            )


def _archives(spec: Spec) -> Iterator[Problem]:
    """What a machine can unpack with what it has. Anything else is taken for the program itself."""
    for form in forms(spec):
        deployment = form.deployment
        file = deployment.binary.source.split("?")[0].lower() if deployment.binary else ""
        if file.endswith(_OTHER_ARCHIVES):
            yield Problem(
                path=form.path("binary", "source"),
                code=Code.WRONG_FILE_TYPE,
                summary="this kind of archive is not unpacked",
                hint="a program comes as it is, or in an archive that ends in .tar.gz or .tgz",
            )


def _hashes(spec: Spec) -> Iterator[tuple[KeyPath, str, str]]:
    """Where each hash stands, the source it is of, and the hash."""
    for form in forms(spec):
        deployment = form.deployment
        yield form.path("model"), deployment.model.source, deployment.model.sha256
        if deployment.binary:
            yield form.path("binary"), deployment.binary.source, deployment.binary.sha256


def _placeholders(spec: Spec) -> Iterator[Problem]:
    for path, _source, digits in _hashes(spec):
        if len(set(digits)) == 1 or digits == _EMPTY:
            what = "is that of an empty file" if digits == _EMPTY else "is only a placeholder"
            yield Problem(
                path=(*path, "sha256"),
                code=Code.PLACEHOLDER_SHA256,
                summary=f"this hash {what}",
                hint="`sha256sum FILE` prints the right one",
            )


def _two_hashes(spec: Spec) -> Iterator[Problem]:
    first: dict[str, tuple[str, KeyPath]] = {}
    for path, source, digits in _hashes(spec):
        before, earlier = first.setdefault(source, (digits, (*path, "sha256")))
        if before != digits:
            yield Problem(
                path=(*path, "sha256"),
                code=Code.TWO_HASHES,
                summary=f"{shown(source)} has another hash here",
                hint="one of the two is wrong",
                related=((earlier, "the other one"),),
                rests_on=((*path, "source"),),
            )
