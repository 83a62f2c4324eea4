"""A gateway's release on its machine, named after its files as they lie there.

Another value of a key is thus another release, beside the one that serves, and a reload that fails goes back to files
that are whole. Only the second half of the name is taken over values, and it stays on the machine: outputs and progress
show the first half, which is taken over symbols.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import enginehouse.converge.engine_keys as engine_keys
from enginehouse.converge.facts import Facts
from enginehouse.converge.places import Places
from enginehouse.converge.programs import placed, releases_on
from enginehouse.converge.steps import Placed, Staged
from enginehouse.errors import ConvergeFailed
from enginehouse.gateway.config import CERTIFICATE
from enginehouse.planner.digests import digest, release_id
from enginehouse.planner.parts import GatewayPart
from enginehouse.render.symbols import Secret, UnknownSymbol

_BETWEEN = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """The folder and the files that are staged for a gateway part."""

    name: str
    files: tuple[Placed | Staged, ...]

    @property
    def id(self) -> str:
        return shown(self.name)


def shown(name: str) -> str:
    """What a person sees of a release's name: nothing that a value of a key is in."""
    return name.partition(_BETWEEN)[0]


def configuration(part: GatewayPart, facts: Facts, secrets: Mapping[str, Secret]) -> Configuration:
    """With the values of its keys, or without, if it is staged already: its files prove its name.

    Raises `UnknownSymbol`, which names a key, if neither is the case. A private key that does not fit its certificate
    is no value; where one is needed, `ConvergeFailed` says what is wrong with it.
    """
    places = Places.of(part, facts.state)
    symbols = {"state": facts.state, "part": places.part}
    key = (part.tls.private_key if part.tls else None) or ""
    fault = _key_fault(part, secrets[key]) if key in secrets else None
    known = {name: value for name, value in secrets.items() if not (fault and name == key)}
    try:
        inside = placed(part.files, "", symbols, known)
    except UnknownSymbol:
        if staged := _staged(part, facts, places):
            return staged
        if fault:
            raise ConvergeFailed(f"the secret {key!r} is not the endpoint's private key: {fault}") from None
        raise
    name = _name(part, facts, {file.path: file.sha256 for file in inside})
    files = tuple(replace(file, path=f"{places.release(name)}{file.path}") for file in inside)
    return Configuration(name=name, files=files)


def _key_fault(part: GatewayPart, key: Secret) -> str | None:
    """HAProxy would refuse it, too, but in words about files."""
    from enginehouse.certificates import key_fault, parse  # takes longer to import than the rest of a look

    certificate = parse(next(file.content for file in part.files if file.path == CERTIFICATE))[0]
    return key_fault(key.reveal(), certificate)


def _name(part: GatewayPart, facts: Facts, content: Mapping[str, str]) -> str:
    """From the SHA-256 of each file, by its path below the release's folder, which begins with a slash.

    What HAProxy sends to engines is made on the machine, and stands for the keys that it is made from.
    """
    made = {f"/{engine_keys.MAP}": facts.engine_keys} if engine_keys.sends(part) else {}
    return f"{release_id(part)}{_BETWEEN}{digest({**content, **made})[:12]}"


def _staged(part: GatewayPart, facts: Facts, places: Places) -> Configuration | None:
    """The one that was recorded last, if it is among those that are whole; else the only one."""
    whole = {name: files for name in releases_on(facts, places) if (files := _whole(part, facts, places, name))}
    recorded = facts.manifest.release if facts.manifest else ""
    names = [recorded] if recorded in whole else list(whole)
    return Configuration(name=names[0], files=whole[names[0]]) if len(names) == 1 else None


def _whole(part: GatewayPart, facts: Facts, places: Places, name: str) -> tuple[Staged, ...]:
    """The files of the release of that name; none unless all are there, with the content that its name tells."""
    folder = places.release(name)
    stored = {f"/{file.path}": facts.files.get(f"{folder}/{file.path}") for file in part.files}
    found = {path: file for path, file in stored.items() if file}
    right = _name(part, facts, {path: file.sha256 for path, file in found.items()}) == name
    files = tuple(Staged(path=f"{folder}{path}", sha256=f.sha256, mode=f.mode) for path, f in found.items())
    return files if right and [f.mode for f in files] == [f.mode for f in part.files] else ()
