"""Secret values from the stack's configuration."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pulumi
from components.stop import stop

_KEY = re.compile(r"[!-~]{1,512}")
"""What an HTTP header can carry as a bearer token (RFC 6750, 2.1) without quoting or folding."""


def secrets(keys: Iterable[str], others: Iterable[str] = ()) -> dict[str, pulumi.Output[str]]:
    """The value of each secret. Stops with all missing ones at once, each with the command that sets it.

    `keys` are what clients send; what `others` have to be like, those know that use them.
    """
    config = pulumi.Config()
    keys = tuple(keys)
    values = {name: config.get_secret(name) for name in (*keys, *others)}
    missing = [name for name, value in values.items() if value is None]
    if missing:
        commands = "\n".join(f"  pulumi config set --stack {pulumi.get_stack()} --secret {name}" for name in missing)
        stop(f"{_have_no_value(len(missing))}\n{commands}")
    wrong = [name for name in keys if not _KEY.fullmatch(config.get(name) or "")]
    if wrong:
        stop(f"no client could send {', '.join(wrong)}: a key is 1 to 512 printable ASCII characters without blanks")
    return {name: value for name, value in values.items() if value is not None}


def _have_no_value(count: int) -> str:
    return "a secret has no value; set it with:" if count == 1 else f"{count} secrets have no value; set them with:"
