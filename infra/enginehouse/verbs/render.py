"""`enginehouse render`: the files a plan would place, in a folder to look at, compare or keep in Git."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from enginehouse.planner.parts import File, GatewayPart, HostPart, Part, Plan, ReplicaPart
from enginehouse.report.lines import line
from enginehouse.verbs import Answer, InvalidInput
from enginehouse.verbs.plans import planned

MARKER = ".enginehouse-render.json"
"""Says that the folder is ours and which files in it are, so that nobody else's file is ever overwritten or removed."""


class NotOurs(InvalidInput):
    """A folder or a file that something else made."""


def render(stack: str, folder: Path) -> Answer:
    """Write every file of the plan to `folder/<host>/<part>/...`, symbols left as they are; list what was written.

    Files of an earlier render that the plan no longer has are removed. Raises `NotOurs` before the first write.
    """
    files = rendered(planned(stack))
    earlier = _earlier(folder)
    _refuse_foreign(folder, files, earlier)
    _write(folder, files)
    _remove(folder, earlier - files.keys())
    return Answer(lines=tuple(line(str(folder / name)) for name in sorted(files)))


def rendered(plan: Plan) -> Mapping[str, File]:
    """Relative path to file, for every part that has files."""
    return {f"{part.host}/{part.name}/{file.path}": file for part in plan.parts() for file in _files(part)}


def _files(part: Part) -> tuple[File, ...]:
    return part.files if isinstance(part, HostPart | ReplicaPart | GatewayPart) else ()


def _earlier(folder: Path) -> frozenset[str]:
    """What the marker lists; empty for a new or empty folder."""
    marker = folder / MARKER
    if marker.is_file():
        return frozenset(name for name in _listed(marker) if _inside(name))
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise NotOurs(f"{folder} exists and was not made by `enginehouse render`; choose a new or an empty folder")
    return frozenset()


def _listed(marker: Path) -> Iterable[str]:
    try:
        names = json.loads(marker.read_text())
    except ValueError as error:
        raise NotOurs(f"{marker} can't be read; delete it and its folder, or choose another folder") from error
    return (name for name in names if isinstance(name, str))


def _inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts


def _refuse_foreign(folder: Path, files: Iterable[str], earlier: frozenset[str]) -> None:
    foreign = sorted(name for name in files if name not in earlier and (folder / name).exists())
    if foreign:
        raise NotOurs(f"{folder / foreign[0]} was not made by `enginehouse render`; choose another folder")


def _write(folder: Path, files: Mapping[str, File]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKER).write_text(json.dumps(sorted(files), indent=2) + "\n")
    for name, file in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.content)
        path.chmod(file.mode)


def _remove(folder: Path, names: Iterable[str]) -> None:
    """The files, and the folders that are empty without them."""
    for name in names:
        (folder / name).unlink(missing_ok=True)
        for above in PurePosixPath(name).parents[:-1]:
            if (folder / above).is_dir() and not any((folder / above).iterdir()):
                (folder / above).rmdir()
