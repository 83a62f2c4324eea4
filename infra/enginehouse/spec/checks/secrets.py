"""A secret proves one client, the endpoint, or who fetches images, and only its name stands in the file."""

from __future__ import annotations

from collections.abc import Iterator

from enginehouse.spec.codes import Code
from enginehouse.spec.model import Spec
from enginehouse.spec.problems import Problem, shown
from enginehouse.spec.secrecy import looks_secret, misplaced_key
from enginehouse.spec.source import KeyPath, Source

_PRIVATE_KEY: KeyPath = ("endpoint", "tls", "private_key", "secret")
_REGISTRIES: KeyPath = ("site", "registries")


def check(spec: Spec, _: Source) -> Iterator[Problem]:
    first: dict[str, KeyPath] = {}
    for path, secret in _named(spec):
        earlier = first.setdefault(secret, path)
        if looks_secret(secret):
            yield misplaced_key(path)
        elif earlier != path and not _of_registry(path):
            yield _shared(path, secret, earlier)


def _named(spec: Spec) -> Iterator[tuple[KeyPath, str]]:
    """Every secret with its path. Registries come first: two of them may well have one password."""
    for name, registry in spec.site.registries.items():
        if registry.password:
            yield (*_REGISTRIES, name, "password", "secret"), registry.password.secret
    if private_key := spec.endpoint.tls.private_key:
        yield _PRIVATE_KEY, private_key.secret
    if not isinstance(spec.endpoint.keys, str):
        for index, client in enumerate(spec.endpoint.keys):
            for number, secret in enumerate(client.secrets):
                yield ("endpoint", "keys", index, "secrets", number), secret


def _of_registry(path: KeyPath) -> bool:
    return path[: len(_REGISTRIES)] == _REGISTRIES


def _shared(path: KeyPath, secret: str, earlier: KeyPath) -> Problem:
    """`path[2]` is the client's place in the list."""
    if earlier == _PRIVATE_KEY or _of_registry(earlier):
        what = "the endpoint's private key" if earlier == _PRIVATE_KEY else "the password of a registry"
        no_other, needs = ("private key", "it") if path == _PRIVATE_KEY else ("client's", "a client")
        return Problem(
            path=path,
            code=Code.SHARED_SECRET,
            summary=f"secret {shown(secret)} is {what}, and no {no_other}",
            hint=f"{needs} needs a secret of its own",
            related=((earlier, "first used here"),),
        )
    same = path[2] == earlier[2]
    return Problem(
        path=path,
        code=Code.SHARED_SECRET,
        summary=f"secret {shown(secret)} is {'listed twice' if same else 'used by two clients'}",
        hint="leave it out here" if same else "a key must say who its client is: give each client a secret of its own",
        related=((earlier, "first used here"),),
    )
