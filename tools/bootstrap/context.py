"""What every installer gets: places, versions, the store and somewhere to report to."""

from dataclasses import dataclass
from pathlib import Path

from bootstrap.places import Places, find_places
from bootstrap.progress import Progress
from bootstrap.store import Store
from bootstrap.versions import Versions, pinned


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """One run of the bootstrap."""

    places: Places
    versions: Versions
    store: Store
    progress: Progress

    def log(self, name: str) -> Path:
        """The log file of one installer."""
        return self.places.logs / f"{name}.log"


def new_context() -> Context:
    """The context for this clone and this user."""
    places, progress = find_places(), Progress()
    return Context(
        places=places,
        versions=pinned(),
        store=Store(places.store, on_wait=progress.note),
        progress=progress,
    )
