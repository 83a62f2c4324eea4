"""A client's name is given once."""

from __future__ import annotations

from collections.abc import Iterator

from enginehouse.spec.codes import Code
from enginehouse.spec.model import Spec
from enginehouse.spec.problems import Problem, shown
from enginehouse.spec.source import KeyPath, Source


def check(spec: Spec, _: Source) -> Iterator[Problem]:
    first: dict[str, KeyPath] = {}
    if isinstance(spec.endpoint.keys, str):
        return
    for index, client in enumerate(spec.endpoint.keys):
        path = ("endpoint", "keys", index, "name")
        earlier = first.setdefault(client.name, path)
        if earlier != path:
            yield Problem(
                path=path,
                code=Code.DUPLICATE_CLIENT,
                summary=f"two clients are called {shown(client.name)}",
                hint="one client can have several secrets: `secrets: [new, old]`",
                related=((earlier, "the first one"),),
            )
