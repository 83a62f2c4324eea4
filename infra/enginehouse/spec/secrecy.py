"""Secret values that stand in a stack file by mistake: found by their look, and kept off every screen."""

from __future__ import annotations

import re
from collections.abc import Iterable

from enginehouse.diagnostics import Diagnostic
from enginehouse.spec.codes import Code
from enginehouse.spec.problems import Problem
from enginehouse.spec.source import KeyPath

_PREFIXES = re.compile(r"(sk|pk|rk|api)[-_]|hf_|gh[a-z]_|github_pat_|dckr_pat_|glpat-|xox[a-z]-|AKIA|eyJ")
_TOKEN = re.compile(rf"\b(?:{_PREFIXES.pattern})[A-Za-z0-9_-]{{12,}}")
_PRIVATE_KEY = "PRIVATE KEY-----"
_LONG = 20
"""Characters; names that people choose are words with hyphens, none of them that long."""
_WORD_ENDS = re.compile(r"[-_.]")


def looks_private(text: str) -> bool:
    """Whether this is a private key."""
    return _PRIVATE_KEY in text


def looks_secret(text: str) -> bool:
    """Whether this is rather a key than the name of one."""
    if looks_private(text):
        return True
    words = _WORD_ENDS.split(text)
    has_digits = sum(char.isdigit() for char in text) >= 3
    return has_digits and ((bool(_PREFIXES.match(text)) and len(text) >= 16) or max(map(len, words)) >= _LONG)


def secret_value(path: KeyPath, what: str, hint: str) -> Problem:
    """The problem with the secret at `path`, which it does not repeat."""
    summary = f"{what}; secrets don't belong in a stack file"
    return Problem(path=path, code=Code.SECRET_IN_FILE, summary=summary, hint=hint, lost=path)


def misplaced_key(path: KeyPath) -> Problem:
    """A key, or a password, where the name of a secret belongs."""
    kinds = {"private_key": ("a private key", "tls-key"), "password": ("a password", "{secret: my-password}")}
    what, name = next((kind for key, kind in kinds.items() if key in path), ("an API key", "key-demo"))
    hint = f"write a name such as `{name}` and keep the value in the secret of that name; the one here is known now"
    return secret_value(path, f"this looks like {what} itself, not like its name", hint)


def masked(text: str, diagnostics: Iterable[Diagnostic]) -> str:
    """`text` as it may be shown: what a diagnostic calls a secret, or looks like one, is stars of the same length."""
    lines = _TOKEN.sub(_stars, text).splitlines(keepends=True)
    for span in (d.span for d in diagnostics if d.code == Code.SECRET_IN_FILE):
        for number in range(span.line, min(span.end_line, len(lines)) + 1):
            line = lines[number - 1]
            start = span.column - 1 if number == span.line else 0
            end = span.end_column - 1 if number == span.end_line else len(line.rstrip("\r\n"))
            lines[number - 1] = line[:start] + "*" * (end - start) + line[end:]
    return "".join(lines)


def _stars(token: re.Match[str]) -> str:
    return "*" * len(token[0]) if looks_secret(token[0]) else token[0]
