"""What a rollback brings back: which parts, from which generation to the content of which. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from enginehouse.converge.manifest import Change, Manifest
from enginehouse.converge.wire import as_inputs
from enginehouse.planner.diff import in_words
from enginehouse.planner.parts import Part
from enginehouse.spec.wording import listed
from enginehouse.verbs import InvalidInput

History = Sequence[Manifest]
"""Newest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One part's way back: from what it is `now` to what it was `then`."""

    now: Manifest
    then: Manifest

    @property
    def part(self) -> Part:
        """The old content, on the machine as it is reached today."""
        return replace(self.then.part, connection=self.now.part.connection, renamed_from=None)

    def changes(self) -> tuple[str, ...]:
        """In the words of a diff; none if the two are the same."""
        return in_words(as_inputs(self.now.part), as_inputs(self.part))


@dataclass(frozen=True, slots=True, kw_only=True)
class Undoing:
    """What one run changed, and the ways back. `stay`: parts that came with it and have nothing to return to."""

    change: Change
    ways: tuple[Way, ...]
    stay: tuple[str, ...]


def undo_newest(stack: str, histories: Mapping[str, History]) -> Undoing:
    """The ways back of every part whose content the newest run changed; runs that only healed don't count.

    Raises `InvalidInput` if there is nothing to go back to.
    """
    stretches = {name: tuple(_stretches(history)) for name, history in histories.items() if history}
    if not stretches:
        raise InvalidInput(f"{stack} has no history on its machines: nothing was deployed there")
    newest = max((_made_by(found[0]) for found in stretches.values()), key=lambda change: change.at)
    touched = {name: found for name, found in stretches.items() if _made_by(found[0]).run == newest.run}
    before = {name: _before(found, newest.run) for name, found in touched.items()}
    ways = tuple(Way(now=histories[name][0], then=then) for name, then in before.items() if then)
    if not ways:
        raise InvalidInput(f"nothing to roll back to: {listed(touched)} of {stack} came with the newest run ({newest})")
    return Undoing(change=newest, ways=ways, stay=tuple(name for name, then in before.items() if then is None))


def way_back(name: str, history: History, to: int | None) -> Way:
    """To generation `to`, or to the content before the present one.

    Raises `InvalidInput` that says which generations there are.
    """
    if not history:
        raise InvalidInput(f"{name} has no history on its machine: it was not deployed there")
    if to is None:
        older = tuple(_stretches(history))[1:]
        if not older:
            raise InvalidInput(f"nothing to roll back to: {name} had no other content in the generations that are kept")
        return Way(now=history[0], then=older[0][0])
    then = next((manifest for manifest in history if manifest.generation == to), None)
    if then is None:
        known = listed(str(manifest.generation) for manifest in history)
        raise InvalidInput(f"{name} has no generation {to}; kept are {known}")
    return Way(now=history[0], then=then)


def proof_of(endpoint: History, gateway: Manifest) -> Manifest | None:
    """The endpoint as it was proved with that generation of the gateway or the last before; None if it never was."""
    name = gateway.part.name
    return next((proof for proof in endpoint if proof.seen.get(name, 0) <= gateway.generation), None)


def _stretches(history: History) -> Iterator[tuple[Manifest, ...]]:
    """Neighbours with the same content, newest first. What was recorded under a former name is another part's."""
    stretch: list[Manifest] = []
    for manifest in history:
        if manifest.part.name != history[0].part.name:
            break
        if stretch and not stretch[-1].records(manifest.part):
            yield tuple(stretch)
            stretch = []
        stretch.append(manifest)
    yield tuple(stretch)


def _made_by(stretch: tuple[Manifest, ...]) -> Change:
    """Who brought the content: the oldest of its generations; the later ones healed."""
    return stretch[-1].change


def _before(stretches: tuple[tuple[Manifest, ...], ...], run: str) -> Manifest | None:
    """The content before everything that the run did, unless it is the present one."""
    found = next((stretch[0] for stretch in stretches if _made_by(stretch).run != run), None)
    return None if found is None or found.records(stretches[0][0].part) else found
