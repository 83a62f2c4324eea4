"""The end of the program when it can't go on."""

from __future__ import annotations

from typing import NoReturn

import pulumi

EXPLAINED = 32
"""Exit code for "the person has been told": the language host then adds nothing of its own, where `pulumi.RunError`
makes it add "an unhandled error occurred" (pulumi-language-python-exec, read 2026-11, 3.259.0)."""


def stop(text: str) -> NoReturn:
    """Show `text` as the one error and end the program; the Pulumi engine then touches nothing."""
    pulumi.log.error(text)
    raise SystemExit(EXPLAINED)
