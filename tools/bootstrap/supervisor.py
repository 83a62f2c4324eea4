"""supervisord and supervisorctl in an environment of their own: running services must not depend on a clone."""

from pathlib import Path

from bootstrap import environments
from bootstrap.commands import output
from bootstrap.context import Context
from bootstrap.store import Recipe, link

PROGRAMS = ("supervisord", "supervisorctl")
LAUNCHER = """\
#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
exec "$here/../venv/bin/python" -I -m supervisor.{program} "$@"
"""


def install(context: Context) -> str:
    """Put both programs into the cache's bin folder; returns where they come from."""
    pinned = context.versions.supervisor
    recipe = Recipe(
        name="supervisor",
        version=pinned.version,
        inputs={"package": pinned.package.line, "python": environments.interpreter(), "launcher": LAUNCHER},
    )
    entry = context.store.ensure(recipe, lambda draft: _build(context, draft))
    for program in PROGRAMS:
        link(entry / "bin" / program, context.places.bin / program)
    return f"{pinned.version} in its own environment"


def _build(context: Context, draft: Path) -> None:
    pinned = context.versions.supervisor
    with context.progress.step(f"supervisor {pinned.version}"):
        environments.create_bare(draft / "venv", pinned.package.line + "\n", context)
        (draft / "bin").mkdir()
        for program in PROGRAMS:
            launcher = draft / "bin" / program
            launcher.write_text(LAUNCHER.format(program=program), encoding="utf-8")
            launcher.chmod(0o755)
        output((str(draft / "bin" / "supervisord"), "--version"))
