"""The first deployment: the stack `laptop`, through the same `pulumi` the user types."""

import json
import secrets
import subprocess

from bootstrap.commands import QUICK_S
from bootstrap.context import Context
from bootstrap.errors import BootstrapError, CommandFailed

STACK = "laptop"
KEY = "key-demo"
QUESTION = "Name three things a lighthouse keeper does."


def up(context: Context) -> int:
    """Deploy the stack, creating it and its API key on the first run; then say how to use it."""
    _select(context)
    _ensure_key(context)
    code = _live(context, "up", "-s", STACK, "--yes", "--skip-preview")
    if code == 0:
        context.progress.line(usage(_outputs(context)))
    return code


def down(context: Context) -> int:
    """Remove what the stack deployed; the stack itself, its key and its history stay."""
    if STACK not in _stacks(context):
        context.progress.line(f"there is no stack {STACK}; nothing to remove")
        return 0
    return _live(context, "destroy", "-s", STACK, "--yes", "--skip-preview")


def usage(outputs: dict[str, object]) -> str:
    """How to call the endpoint, from the stack's outputs; the commands work when pasted in the clone's root."""
    url, models = outputs.get("url"), outputs.get("models")
    if not isinstance(url, str) or not models or not isinstance(models, list | dict):
        raise BootstrapError(
            "the stack has no outputs `url` and `models`",
            hint=f"look at what it has: bin/pulumi stack output -s {STACK}",
        )
    model = next(iter(models))
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": QUESTION}], "max_tokens": 64})
    reveal = f"bin/pulumi config get {KEY} -s {STACK}"
    return "\n".join(
        (
            "",
            f"endpoint  {base_url(url)}",
            f"key       {reveal}",
            "try it",
            f'  curl -s {base_url(url)}/chat/completions -H "Authorization: Bearer $({reveal})" '
            f"-H 'Content-Type: application/json' -d '{body}'",
        )
    )


def base_url(url: str) -> str:
    """The address with the /v1 that OpenAI clients call their base URL."""
    bare = url.rstrip("/")
    return bare if bare.endswith("/v1") else f"{bare}/v1"


def _select(context: Context) -> None:
    _pulumi(context, "stack", "select", "--create", STACK)


def _ensure_key(context: Context) -> None:
    """Set a random API key once, as an encrypted secret; it travels on stdin, never in a command line."""
    config = json.loads(_pulumi(context, "config", "-s", STACK, "--json"))
    if any(name.rpartition(":")[2] == KEY for name in config):
        return
    _pulumi(context, "config", "set", "--secret", KEY, "-s", STACK, stdin=secrets.token_urlsafe(32))
    context.progress.line(f"{KEY}: created a random API key, encrypted in stacks/Pulumi.{STACK}.yaml")


def _outputs(context: Context) -> dict[str, object]:
    found: dict[str, object] = json.loads(_pulumi(context, "stack", "output", "--json", "-s", STACK))
    return found


def _stacks(context: Context) -> set[str]:
    listed = json.loads(_pulumi(context, "stack", "ls", "--json"))
    return {str(entry["name"]).rpartition("/")[2] for entry in listed}


def _pulumi(context: Context, *words: str, stdin: str = "") -> str:
    """A quick command; returns its stdout. Warnings on stderr stay out of what is parsed."""
    argv = _argv(context, "--non-interactive", *words)
    done = subprocess.run(
        argv, input=stdin, capture_output=True, text=True, timeout=QUICK_S, check=False, cwd=context.places.root
    )
    if done.returncode != 0:
        raise CommandFailed(argv, done.returncode, tuple((done.stderr or done.stdout).splitlines()[-10:]))
    return done.stdout


def _live(context: Context, *words: str) -> int:
    """A command whose output and Ctrl-C belong to the user; its own time limits apply, not ours."""
    process = subprocess.Popen(_argv(context, *words), cwd=context.places.root)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue  # the terminal sent it to pulumi as well, which now cancels and reports; a second one forces it


def _argv(context: Context, *words: str) -> tuple[str, ...]:
    return (str(context.places.pulumi), *words)
