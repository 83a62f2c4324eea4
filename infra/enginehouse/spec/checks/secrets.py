"""A secret proves one client, and only its name stands in the file."""

from __future__ import annotations

from collections.abc import Iterator

from enginehouse.spec.codes import Code
from enginehouse.spec.model import Spec
from enginehouse.spec.problems import Problem, shown
from enginehouse.spec.secrecy import looks_secret, misplaced_key
from enginehouse.spec.source import KeyPath, Source


def check(spec: Spec, _: Source) -> Iterator[Problem]:
    first: dict[str, KeyPath] = {}
    if isinstance(spec.endpoint.keys, str):
        return
    for index, client in enumerate(spec.endpoint.keys):
        for number, secret in enumerate(client.secrets):
            path = ("endpoint", "keys", index, "secrets", number)
            earlier = first.setdefault(secret, path)
            if looks_secret(secret):
                yield misplaced_key(path)
            elif earlier != path:
                yield _shared(path, secret, earlier)


def _shared(path: KeyPath, secret: str, earlier: KeyPath) -> Problem:
    """`path[2]` is the client's place in the list."""
    same = path[2] == earlier[2]
    return Problem(
        path=path,
        code=Code.SHARED_SECRET,
        summary=f"secret {shown(secret)} is {'listed twice' if same else 'used by two clients'}",
        hint="leave it out here" if same else "a key must say who its client is: give each client a secret of its own",
        related=((earlier, "first used here"),),
    )
