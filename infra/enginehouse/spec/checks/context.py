"""All slots' contexts together fit the number engines count tokens with."""

from __future__ import annotations

from collections.abc import Iterator

from enginehouse.spec.codes import Code
from enginehouse.spec.model import Spec
from enginehouse.spec.problems import Problem
from enginehouse.spec.source import Source
from enginehouse.spec.variants import forms

MOST_TOKENS = 2**31 - 1
"""llama.cpp counts the tokens of all slots in signed 32 bits (`--ctx-size`, common/arg.cpp, b11434, read 2026-11)."""


def check(spec: Spec, _: Source) -> Iterator[Problem]:
    for form in forms(spec):
        deployment = form.deployment
        tokens = deployment.context_tokens * deployment.slots
        if tokens > MOST_TOKENS:
            yield Problem(
                path=form.path("context_tokens"),
                code=Code.CONTEXT_TOO_LARGE,
                summary=f"{deployment.context_tokens} tokens in each of {deployment.slots} slots make {tokens}",
                hint=f"context_tokens x slots can be at most {MOST_TOKENS}; context_tokens counts per request",
                related=((form.path("slots"), "the slots"),),
            )
