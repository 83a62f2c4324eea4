"""Texts that would do something if anybody read them as a program arrive at a real engine as they were written."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.converge.harness import World

ATTACK = "it's $(touch {0}) `touch {0}` \"; touch {0}; # %(ENV_HOME)s {{{{ 7 * 7 }}}} @{{state}} \\ *\u202e"


def command_line(world: World) -> list[str]:
    """Of the engine that serves."""
    pid = next(pid for pid, mark in world.processes().items() if mark == f"chat-box-0/{world.side}")
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")


def test_attacks_in_options_and_paths_reach_the_engine_as_texts(world: World, tmp_path: Path) -> None:
    """On its command line, through the start script, the supervisor, and the scripts that check the weights."""
    pwned = tmp_path / "pwned"
    attack = ATTACK.format(pwned)
    world.model = world.folder / f"{ATTACK.format('pwned')}.gguf"
    world.write_model({})
    world.settings |= {"source": f"host://{world.model}", "options": {"chat-template": f"{attack}\n{attack}"}}
    world.up()
    assert world.ask()[0] == 200
    words = command_line(world)
    assert words[words.index("--chat-template") + 1] == f"{attack}\n{attack}"
    assert words[words.index("--model") + 1] == str(world.model)
    world.settings["context"] = 1024
    world.up()
    assert world.observe(world.replica()).reasons == ()
    assert not pwned.exists()
    assert not [
        *world.folder.rglob("pwned"),
        *Path.cwd().glob("pwned"),
        *Path.home().glob("pwned"),
        *Path("/").glob("pwned"),
    ]


def test_an_attack_would_be_noticed(tmp_path: Path) -> None:
    """Twin: a shell that reads it as a program leaves a trace."""
    pwned = tmp_path / "pwned"
    subprocess.run(("sh", "-c", f'echo "{ATTACK.format(pwned)}"'), check=False, capture_output=True)
    assert pwned.exists()
