"""HAProxy itself accepts every golden configuration, without a warning."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from enginehouse.gateway import commands
from enginehouse.render.symbols import Secret, fill, names

GOLDEN = Path(__file__).parents[1] / "golden" / "gateway"


def check(haproxy: str, folder: Path) -> subprocess.CompletedProcess[str]:
    words = [fill(word, {"release": str(folder)}, {}) for word in commands.check(haproxy)]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def place(case: Path, folder: Path) -> None:
    (folder / "run").mkdir()
    (folder / "run" / "servers.state").write_text("1\n")
    if "engines.map" in (case / "haproxy.cfg").read_text():
        (folder / "engines.map").write_text("engines Bearer key\n")
    for path in case.iterdir():
        text = path.read_text()
        secrets = {name.removeprefix("sha256:"): Secret(name) for name in names(text)}
        (folder / path.name).write_text(fill(text, {"part": str(folder)}, secrets))


@pytest.mark.parametrize("case", sorted(GOLDEN.iterdir()), ids=lambda case: case.name)
def test_haproxy_accepts_it(haproxy: str, case: Path, short_folder: Path) -> None:
    place(case, short_folder)
    result = check(haproxy, short_folder)
    complaints = [line for line in result.stderr.splitlines() if line.startswith(("[WARNING]", "[ALERT]"))]
    assert (result.returncode, result.stdout, complaints) == (0, "Configuration file is valid\n", [])


def test_the_twin_an_unknown_word_is_refused(haproxy: str, short_folder: Path) -> None:
    place(GOLDEN / "one-model", short_folder)
    config = short_folder / "haproxy.cfg"
    config.write_text(config.read_text().replace("balance leastconn", "balance leastcon"))
    result = check(haproxy, short_folder)
    assert result.returncode == 1
    assert "leastcon" in result.stderr
