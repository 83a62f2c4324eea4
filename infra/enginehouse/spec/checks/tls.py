"""`endpoint.tls` has the keys of its mode, all of them and no others."""

from __future__ import annotations

from collections.abc import Iterator

from enginehouse.planner.seals import TlsMode
from enginehouse.spec.checks.addresses import can_be_called
from enginehouse.spec.codes import Code
from enginehouse.spec.model import Spec
from enginehouse.spec.problems import Problem, shown
from enginehouse.spec.source import KeyPath, Source

_PATH: KeyPath = ("endpoint", "tls")
_MODE: KeyPath = (*_PATH, "mode")
_OF = {"certificate": TlsMode.FILES, "private_key": TlsMode.FILES, "names": TlsMode.OWN_CA}
_EXAMPLES = {"certificate": "../tls/llm.example.pem", "private_key": "{secret: tls-key}"}


def check(spec: Spec, _: Source) -> Iterator[Problem]:
    tls = spec.endpoint.tls
    given = {"certificate": tls.certificate, "private_key": tls.private_key, "names": tls.names or None}
    for index, name in enumerate(tls.names):
        if not can_be_called(name):
            yield Problem(
                path=(*_PATH, "names", index),
                code=Code.BAD_HOSTNAME,
                summary=f"{shown(name)} is no name or address that clients could call",
                hint="write names such as llm.example, and addresses such as 10.1.0.11",
            )
    for name, value in given.items():
        if tls.mode is TlsMode.FILES and value is None and name in _EXAMPLES:
            yield Problem(
                path=_PATH,
                on_key=True,
                code=Code.MISSING_KEY,
                summary=f'endpoint.tls has no "{name}"',
                hint=f"mode `files` needs it, for example `{name}: {_EXAMPLES[name]}`",
                rests_on=(_MODE, (*_PATH, name)),
            )
        elif tls.mode is not _OF[name] and value is not None:
            yield Problem(
                path=(*_PATH, name),
                on_key=True,
                code=Code.OTHER_TLS_MODE,
                summary=f'"{name}" means nothing with mode `{tls.mode}`',
                hint=f"leave it out, or write `mode: {_OF[name]}`",
                rests_on=(_MODE,),
            )
