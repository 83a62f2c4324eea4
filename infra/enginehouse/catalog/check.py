"""Checks a deployment's `options` against the flags of its engine's version. Pure; knows no engine in particular."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from enginehouse.catalog.flags import Change, Flag, FlagList, is_before, tidy
from enginehouse.catalog.values import short, wrong_value
from enginehouse.engines.base import OptionProblem


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonWord:
    """A key of the deployment that controls a flag; `hint` says how to use it."""

    path: tuple[str, ...]
    hint: str

    def __str__(self) -> str:
        return ".".join(self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What an engine's adapter keeps for itself. Keys are flag names as `Flag.name` has them."""

    common: Mapping[str, CommonWord]
    reserved: Mapping[str, str]
    """Flag to the reason why nobody sets it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Everything the check compares with. `flags` is another version's list when `version` has none."""

    version: str
    flags: FlagList
    history: Mapping[str, Change]
    rules: Rules


def check(options: Mapping[str, Any], known: Known, *, given: frozenset[str]) -> Iterator[OptionProblem]:
    """At most one problem for each option, in the order of `options`. `given`: keys the deployment has in the file."""
    first: dict[str, str] = {}
    for written, value in options.items():
        flag = known.flags.find(written)
        earlier = first.setdefault(flag.name if flag else written, written)
        if flag is None:
            problem = _unlisted(written, known)
        elif earlier != written:
            problem = _twice(written, earlier)
        else:
            problem = _misused(written, flag, value, known.rules, given)
        if problem:
            yield problem


def _unlisted(written: str, known: Known) -> OptionProblem | None:
    """The problem with an option that the list lacks; None if this version, which is not the list's, still has it."""
    change = known.history.get(written) or known.history.get(tidy(written))
    if change is None:
        return _unknown(written, known)
    if change.gone and not is_before(known.version, change.gone):
        return _gone(written, change, known)
    return _too_new(written, change, known) if is_before(known.version, change.since) else None


def _unknown(written: str, known: Known) -> OptionProblem:
    summary = f'{known.flags.engine} {known.flags.version} has no option "{short(written)}"'
    if known.flags.version != known.version:
        summary += f"; the options of {known.version} are not known"
    return _on_key(written, "unknown-option", summary, _meant(written, known))


def _gone(written: str, change: Change, known: Known) -> OptionProblem:
    instead = " or ".join(f'"{text.replace(" ", ": ")}"' for text in change.instead)
    return _on_key(
        written,
        "removed-option",
        f'option "{written}" was removed from {known.flags.engine} by {change.gone}',
        f"write {instead} instead" if instead else "no replacement is known: leave it out",
    )


def _too_new(written: str, change: Change, known: Known) -> OptionProblem:
    return _on_key(
        written,
        "option-too-new",
        f'{known.flags.engine} {known.version} has no option "{written}" yet; it came with {change.since}',
        f'leave it out, or use version "{change.since}" or later',
    )


def _meant(written: str, known: Known) -> str:
    if written in {word.path[0] for word in known.rules.common.values()}:
        return f'"{written}" is a key of the deployment itself: move it out of "options"'
    meant = known.flags.meant(written)
    flag = known.flags.find(meant) if meant else None
    if flag is None:
        return "options are the engine's own flags, without the leading dashes"
    if flag.name in known.rules.common:
        return f'did you mean the common word "{known.rules.common[flag.name]}"? It sets "{flag.name}"'
    if flag.name in known.rules.reserved:
        return f'did you mean "{meant}"? It can\'t be set: {known.rules.reserved[flag.name]}'
    return f'did you mean "{meant}"?'


def _twice(written: str, earlier: str) -> OptionProblem:
    return OptionProblem(
        path=("options", written),
        on_key=True,
        code="option-twice",
        summary=f'options "{written}" and "{earlier}" set the same thing',
        hint="keep one of them",
        related=(("options", earlier),),
    )


def _misused(written: str, flag: Flag, value: object, rules: Rules, given: frozenset[str]) -> OptionProblem | None:
    if flag.name in rules.reserved:
        return _on_key(written, "reserved-option", f'option "{written}" can\'t be set', rules.reserved[flag.name])
    if flag.name in rules.common:
        return _common(written, rules.common[flag.name], given)
    wrong = wrong_value(written, flag, value)
    if wrong is None:
        return None
    return OptionProblem(
        path=("options", written), on_key=False, code=wrong.code, summary=wrong.summary, hint=wrong.hint
    )


def _common(written: str, word: CommonWord, given: frozenset[str]) -> OptionProblem:
    """Also an error when only the option is there: the gateway has to know what the common word says."""
    if word.path[0] not in given:
        summary = f'option "{written}" is set by the common word "{word}"'
        return _on_key(written, "option-of-common-word", summary, f'write "{word}" instead: {word.hint}')
    return OptionProblem(
        path=("options", written),
        on_key=True,
        code="option-and-common-word",
        summary=f'option "{written}" and the common word "{word}" set the same thing',
        hint=f'keep "{word}": {word.hint}',
        related=(word.path,),
    )


def _on_key(written: str, code: str, summary: str, hint: str) -> OptionProblem:
    return OptionProblem(path=("options", written), on_key=True, code=code, summary=summary, hint=hint)
