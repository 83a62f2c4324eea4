"""Shell functions of the probe that a healthy machine of today does not try in full."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

from enginehouse.converge.probe import Questions, answers, probe, questions_elsewhere
from enginehouse.render.templates import render
from tests.unit.report.plans import GATEWAY

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


def test_names_that_a_machine_tells_are_words(tmp_path: Path) -> None:
    """A gateway's part is read off its machine, and its replicas' names go into a script for another one."""
    (backend, *_), told = GATEWAY.backends, tmp_path / "told"
    servers = tuple(replace(server, replica=f"x; touch {told}; #") for server in backend.servers)
    gateway = replace(GATEWAY, backends=(replace(backend, servers=servers),), stack=f"s; touch {told}; #")
    asked = questions_elsewhere(gateway)
    done = subprocess.run(["sh"], input=probe(asked), capture_output=True, text=True, timeout=60)
    assert answers(done.stdout, asked)
    assert not told.exists()


def test_a_file_of_nothing_but_nul_hides_no_other(tmp_path: Path) -> None:
    """As a power cut may leave it. Its own question has no answer that says anything, the others have theirs."""
    (tmp_path / "empty").write_bytes(bytes(4096))
    (tmp_path / "full").write_text("here")
    lines = (f"text_of first {tmp_path}/empty; text_of second {tmp_path}/full", f"text_of third {tmp_path}/full")
    asked = Questions(lines=lines)
    done = subprocess.run(["sh"], input=probe(asked), capture_output=True, text=True, timeout=60)
    found = answers(done.stdout, asked)[0]
    assert (found["first"], found["second"], found["third"]) == ("", "here", "here")


def test_owners_are_found_whatever_lies_in_the_working_folder(tmp_path: Path) -> None:
    """Sockets are written with brackets, which stand for names of files elsewhere."""
    found = (
        f"cd {tmp_path}; mkdir -p socket:7/proc/42/fd; ours='socket:[7]/proc/42/fd'; owner_of 7; echo $owner; echo *"
    )
    assert said(found) == "42\nsocket:7\n"


def stat_of(path: Path) -> str:
    found = path.stat()
    return f"{found.st_size} {int(found.st_mtime)} {found.st_ino}"
