"""The sources of weights and of engines' programs name one file in a way that can work."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import parse_qsl, urlsplit

from enginehouse.spec.codes import Code
from enginehouse.spec.model import Spec
from enginehouse.spec.problems import Problem
from enginehouse.spec.secrecy import secret_value
from enginehouse.spec.source import KeyPath, Source
from enginehouse.spec.variants import forms

_SPLIT = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$", re.IGNORECASE)
_CREDENTIALS = re.compile(r"token|secret|signature|password|api_?key|credential|^sig$", re.IGNORECASE)
"""Parameters of addresses that are only good together with a secret in them, such as presigned ones."""


def check(spec: Spec, _: Source) -> Iterator[Problem]:
    for path, source in sources(spec):
        scheme, _separator, rest = source.partition("://")
        found = _address(path, source) if scheme == "https" else _file(path, scheme, rest)
        yield from found or _name(path, scheme, rest)


def sources(spec: Spec) -> Iterator[tuple[KeyPath, str]]:
    """Every source of the stack, and where it stands."""
    for form in forms(spec):
        deployment = form.deployment
        yield form.path("model", "source"), deployment.model.source
        if deployment.binary:
            yield form.path("binary", "source"), deployment.binary.source


def _file(path: KeyPath, scheme: str, rest: str) -> tuple[Problem, ...]:
    if scheme == "host" and not rest.startswith("/"):
        return (_bad(path, "a path on the machine must be absolute", f"write host:///{rest}"),)
    if rest.startswith("~"):
        return (_bad(path, '"~" is not replaced by a home folder', "write the path out"),)
    return ()


def _address(path: KeyPath, source: str) -> tuple[Problem, ...]:
    try:
        url = urlsplit(source)
        host = url.hostname if url.port != 0 else None
    except ValueError:
        return (_bad(path, "this is not an address", "write https://HOST/PATH/FILE"),)
    if url.username is not None or any(_CREDENTIALS.search(name) for name, _ in parse_qsl(url.query)):
        hint = "use an address that needs none, or `upload://` with a file you have fetched yourself"
        return (secret_value(path, "the address has credentials in it", hint),)
    if not host or any(char.isspace() for char in source):
        return (_bad(path, "this is not an address", "write https://HOST/PATH/FILE"),)
    return ()


def _name(path: KeyPath, scheme: str, rest: str) -> Iterator[Problem]:
    file = rest.split("?")[0].split("#")[0].rpartition("/")[2] if scheme == "https" else rest.rpartition("/")[2]
    if file in ("", ".", "..") or (scheme == "https" and "/" not in rest):
        yield _bad(path, "this names no file", "a source is one file, such as upload://../models/model.gguf")
    split = _SPLIT.search(file)
    if split and scheme != "host":
        yield Problem(
            path=path,
            code=Code.SPLIT_WEIGHTS,
            summary=f"this is piece {int(split[1])} of {int(split[2])}, and a source is one file",
            hint="join the pieces with `llama-gguf-split --merge`",
        )


def _bad(path: KeyPath, summary: str, hint: str) -> Problem:
    return Problem(path=path, code=Code.BAD_SOURCE, summary=summary, hint=hint)
