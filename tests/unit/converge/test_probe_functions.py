"""Shell functions of the probe that a healthy machine of today does not try in full."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from enginehouse.render.templates import render

URL = "http://127.0.0.1:1/health"
OLD_CURL = """#!/bin/sh
case " $* " in *" -Z "*) exit 2 ;; esac
echo "{url} 200"
"""


def said(command: str, *path: Path) -> str:
    """What the command prints, with these folders first on the PATH."""
    environ = {"PATH": os.pathsep.join([*map(str, path), os.environ["PATH"]]), "HOME": "/nowhere"}
    script = f"{render('host/probe.sh')}\n{command}\n"
    done = subprocess.run(["sh"], input=script, env=environ, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    return done.stdout


def test_a_curl_that_can_not_ask_at_once_asks_one_after_the_other(tmp_path: Path) -> None:
    """Before 7.66 `-Z` is unknown to it; what it can't do must not look like engines that are down."""
    curl = tmp_path / "curl"
    curl.write_text(OLD_CURL.format(url=URL))
    curl.chmod(0o755)
    assert said(f"answers {URL}", tmp_path) == f"\0health\t{URL} 200\n"


def test_an_engine_that_is_down_answers_nothing() -> None:
    """Twin: curl of today, which fails since nobody listens, and says so once."""
    assert said(f"answers {URL}") == f"\0health\t{URL} 000\n"


def test_a_known_program_is_kept_while_it_is_the_same_file(tmp_path: Path) -> None:
    """Changed and vanished ones are not; names may hold blanks."""
    cache, same, changed = tmp_path / "tools", tmp_path / "a b", tmp_path / "c"
    same.write_text("x")
    changed.write_text("x")
    gone = tmp_path / "d"
    lines = [f"{path.name}\t{path}\t{stat_of(path)}\tdg==\n" for path in (same, changed)]
    cache.write_text("".join((*lines, f"d\t{gone}\t1 1 1\tdg==\n")))
    changed.write_text("xy")
    assert said(f"kept_tools {cache}") == f"\0kept_tools\t{lines[0]}"


def test_only_the_asked_ports_have_listeners() -> None:
    """A port that begins like another one is not taken for it."""
    found = "sockets='1234/5\n123/6'; owner_of() { owner=$$; }"
    lines = said(f"{found}\nlisteners 123 12 1234").removeprefix("\0listeners\t").splitlines()
    assert [line.split("\t")[0] for line in lines] == ["1234", "123"]


def stat_of(path: Path) -> str:
    found = path.stat()
    return f"{found.st_size} {int(found.st_mtime)} {found.st_ino}"
