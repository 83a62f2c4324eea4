"""A secret proves one client, the endpoint, or who fetches images, or opens sudo, and only its name is in the file."""

from __future__ import annotations

from collections.abc import Iterator

from enginehouse.spec.codes import Code
from enginehouse.spec.model import Spec
from enginehouse.spec.problems import Problem, shown
from enginehouse.spec.secrecy import looks_secret, misplaced_key
from enginehouse.spec.source import KeyPath, Source

_PRIVATE_KEY: KeyPath = ("endpoint", "tls", "private_key", "secret")
_REGISTRIES: KeyPath = ("site", "registries")
_PASSWORD: KeyPath = ("password", "secret")


def check(spec: Spec, _: Source) -> Iterator[Problem]:
    first: dict[str, KeyPath] = {}
    for path, secret in _named(spec):
        earlier = first.setdefault(secret, path)
        if looks_secret(secret):
            yield misplaced_key(path)
        elif earlier != path and not _is_password(path):
            yield _shared(path, secret, earlier)


def _named(spec: Spec) -> Iterator[tuple[KeyPath, str]]:
    """Every secret with its path. Passwords come first: two registries, or two groups, may well have the same."""
    for name, registry in spec.site.registries.items():
        if registry.password:
            yield (*_REGISTRIES, name, *_PASSWORD), registry.password.secret
    for group, machine in spec.machines.items():
        if machine.ssh and machine.ssh.sudo_password:
            yield ("machines", group, "ssh", "become", "sudo", *_PASSWORD), machine.ssh.sudo_password
    if private_key := spec.endpoint.tls.private_key:
        yield _PRIVATE_KEY, private_key.secret
    if not isinstance(spec.endpoint.keys, str):
        for index, client in enumerate(spec.endpoint.keys):
            for number, secret in enumerate(client.secrets):
                yield ("endpoint", "keys", index, "secrets", number), secret


def _is_password(path: KeyPath) -> bool:
    return path[-len(_PASSWORD) :] == _PASSWORD


def _no_key(path: KeyPath) -> str:
    """What a secret is that clients do not send; empty if they do."""
    if path == _PRIVATE_KEY:
        return "the endpoint's private key"
    if _is_password(path):
        return "the password of a registry" if path[: len(_REGISTRIES)] == _REGISTRIES else "the password for sudo"
    return ""


def _shared(path: KeyPath, secret: str, earlier: KeyPath) -> Problem:
    """`path[2]` is the client's place in the list."""
    if what := _no_key(earlier):
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
