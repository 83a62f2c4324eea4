"""The verbs that the Makefile calls."""

import argparse
import shlex
import shutil
from collections.abc import Callable, Sequence

from bootstrap import demo_model, environments, pytests, requirements, setup, stack
from bootstrap.context import Context, new_context
from bootstrap.errors import BootstrapError, CommandFailed

Verb = Callable[[Context, argparse.Namespace], int]


def main(argv: Sequence[str]) -> int:
    """Run one verb; returns the exit code."""
    parser = _parser()
    options = parser.parse_args(argv)
    context = new_context()
    try:
        verb: Verb = options.verb
        return verb(context, options)
    except BootstrapError as err:
        _explain(context, err)
        return 1
    except KeyboardInterrupt:
        context.progress.line("interrupted; run the same command again to go on")
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tools/bootstrap", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    _add(verbs, "setup", _setup, "install what is missing").add_argument(
        "--dev", action="store_true", help="also what tests and lint need"
    )
    _add(verbs, "up", _up, "install what is missing, then deploy the demo stack")
    _add(verbs, "down", _down, "remove the demo stack's deployment")
    _add(verbs, "env", _env, "print shell lines that put pulumi and enginehouse on PATH")
    _add(verbs, "demo-model", _demo_model, "download the demo weights")
    _add(verbs, "test", _test, "run all tests").add_argument("args", nargs="*", help="passed to one single pytest run")
    _add(verbs, "lint", _lint, "ruff and mypy")
    _add(verbs, "requirements", _requirements, "write requirements*.txt anew from pyproject.toml")
    _add(verbs, "clean", _clean, "remove the clone's environment and caches (not the deployment's state)")
    return parser


def _add(
    verbs: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, verb: Verb, text: str
) -> argparse.ArgumentParser:
    parser = verbs.add_parser(name, help=text, description=text)
    parser.set_defaults(verb=verb)
    return parser


def _setup(context: Context, options: argparse.Namespace) -> int:
    setup.install_all(context, dev=options.dev)
    return 0


def _up(context: Context, options: argparse.Namespace) -> int:
    setup.install_all(context, dev=False)
    return stack.up(context)


def _down(context: Context, options: argparse.Namespace) -> int:
    return stack.down(context)


def _env(context: Context, options: argparse.Namespace) -> int:
    folders = (context.places.root / "bin", context.places.venv / "bin")
    print(f'export PATH={":".join(shlex.quote(str(folder)) for folder in folders)}:"$PATH"')
    return 0


def _demo_model(context: Context, options: argparse.Namespace) -> int:
    environments.install_project(context, dev=False)
    context.progress.line(f"demo model: models/{demo_model.install(context)}")
    return 0


def _test(context: Context, options: argparse.Namespace) -> int:
    setup.install_all(context, dev=True)
    return pytests.run_all(context, tuple(options.args))


def _lint(context: Context, options: argparse.Namespace) -> int:
    environments.install_project(context, dev=True)
    return pytests.lint(context)


def _requirements(context: Context, options: argparse.Namespace) -> int:
    return requirements.renew(context)


def _clean(context: Context, options: argparse.Namespace) -> int:
    places = context.places
    for name in (".venv", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", "dist"):
        shutil.rmtree(places.root / name, ignore_errors=True)
    context.progress.line(f"kept: {places.root / '.pulumi'} (state of deployments) and {places.cache} (tools, models)")
    return 0


def _explain(context: Context, err: BootstrapError) -> None:
    if isinstance(err, CommandFailed):
        for text in err.tail:
            context.progress.note(f"| {text}")
    context.progress.line(f"error: {err.message}")
    if err.hint:
        context.progress.line(f"hint: {err.hint}")
