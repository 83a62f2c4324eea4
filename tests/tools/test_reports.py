"""What the bootstrap says: progress, how to use the endpoint, the tests' summary, errors."""

import io
import json
import shlex
import subprocess
from pathlib import Path

import pytest

from bootstrap import cli, commands, environments, pytests, stack
from bootstrap.errors import BootstrapError, CommandFailed
from bootstrap.progress import Progress

ROOT = Path(__file__).parents[2]
LAUNCHER = ROOT / "tools" / "llama" / "cxx_launcher.sh"
REPORT = """<testsuites><testsuite>
<testcase classname="tests.a" name="passes"/>
<testcase classname="tests.a" name="fails"><failure message="no"/></testcase>
<testcase classname="tests.a" name="breaks"><error message="no"/></testcase>
<testcase classname="tests.b" name="skips"><skipped type="pytest.skip" message="no GPU"/></testcase>
<testcase classname="tests.b" name="known"><skipped type="pytest.xfail" message=""/></testcase>
</testsuite></testsuites>"""


def test_away_from_a_terminal_progress_is_a_line_per_tenth() -> None:
    """A log file is not filled with hundreds of lines."""
    stream = io.StringIO()
    progress = Progress(stream, live=False)
    for done in range(1, 209):
        progress.count(done, 208, "files")
    lines = stream.getvalue().splitlines()
    assert len(lines) == 11
    assert (lines[0], lines[-1]) == ("    [1/208]   0 % files", "    [208/208] 100 % files")


def test_on_a_terminal_one_line_is_overwritten() -> None:
    """A full line after it starts on a clean one."""
    stream = io.StringIO()
    progress = Progress(stream, live=True)
    progress.count(1, 2)
    progress.count(2, 2)
    progress.line("done")
    assert stream.getvalue().count("\n") == 1
    assert stream.getvalue().endswith("\r\033[Kdone\n")


def test_a_step_says_why_it_takes_long() -> None:
    """Title, reason, duration."""
    stream = io.StringIO()
    with Progress(stream, live=False).step("building", why="takes long: many files"):
        pass
    assert stream.getvalue() == "==> building\n    takes long: many files\n    done in 0 s\n"


def test_a_failed_command_brings_its_last_lines_and_a_log(tmp_path: Path) -> None:
    """The error holds the tail, the log file everything."""
    seen: list[str] = []
    argv = ("sh", "-c", "for n in $(seq 50); do echo $n; done; exit 3")
    with pytest.raises(CommandFailed) as caught:
        commands.run(argv, log=tmp_path / "logs" / "tool.log", on_line=seen.append)
    assert (caught.value.returncode, caught.value.tail[-1], len(caught.value.tail)) == (3, "50", commands.TAIL_LINES)
    assert len(seen) == len((tmp_path / "logs" / "tool.log").read_text().splitlines()) == 50


def test_a_hanging_command_is_ended_with_its_children(tmp_path: Path) -> None:
    """The whole process group gets the signal, so the pipe closes."""
    with pytest.raises(CommandFailed):
        commands.run(("sh", "-c", "tail -f /dev/null & wait"), log=tmp_path / "log", timeout_s=0.2)


def test_the_usage_can_be_pasted(tmp_path: Path) -> None:
    """The shell sees one curl command with a JSON body, and the key is asked from pulumi, not printed."""
    text = stack.usage({"url": "http://127.0.0.1:8080", "models": ["smollm2"]})
    words = shlex.split(text.splitlines()[-1])
    assert words[:3] == ["curl", "-s", "http://127.0.0.1:8080/v1/chat/completions"]
    assert words[4] == "Authorization: Bearer $(bin/pulumi config get key-demo -s laptop)"
    assert json.loads(words[-1])["model"] == "smollm2"


@pytest.mark.parametrize("url", ["http://h:1", "http://h:1/", "http://h:1/v1", "http://h:1/v1/"])
def test_the_base_url_ends_in_v1_once(url: str) -> None:
    """Whether or not the output has it already."""
    assert stack.base_url(url) == "http://h:1/v1"


@pytest.mark.parametrize("outputs", [{}, {"url": "http://h:1"}, {"url": "http://h:1", "models": []}])
def test_missing_outputs_are_named(outputs: dict[str, object]) -> None:
    """No traceback, but what to look at."""
    with pytest.raises(BootstrapError, match="no outputs `url` and `models`"):
        stack.usage(outputs)


def test_the_summary_counts_every_case_once() -> None:
    """Errors are failures; an expected failure is a pass; skipped ones keep their reason."""
    tally = pytests.read_tally(REPORT)
    assert (tally.passed, tally.failed) == (2, 2)
    assert tally.skipped == ("tests.b::skips: no GPU",)
    both = tally + tally
    assert (both.passed, both.failed, len(both.skipped)) == (4, 4, 2)


def test_env_puts_the_shim_first() -> None:
    """`eval` of the output makes `pulumi` the clone's own."""
    printed = subprocess.run(
        ["python3", str(ROOT / "tools" / "bootstrap"), "env"], capture_output=True, text=True, timeout=120, check=True
    ).stdout
    script = f'{printed}\ncommand -v pulumi; test "${{PATH##*:}}" = /bin'
    done = subprocess.run(
        ["sh", "-c", script], env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(ROOT / "bin" / "pulumi")


def test_errors_are_sentences(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Tail, message, hint, exit code 1; no traceback."""

    def fail(*args: object, **kwargs: object) -> None:
        raise CommandFailed(("tool", "a", "b", "c", "d"), 2, ("last line",), hint="do this")

    monkeypatch.setattr(environments, "install_project", fail)
    assert cli.main(["lint"]) == 1
    assert capsys.readouterr().err == "    | last line\nerror: `tool a b c …` ended with 2\nhint: do this\n"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("/b/llama.cpp/ggml/src/ggml.c", "-O3"),
        ("/b/llama.cpp/src/llama-graph.cpp", "-O3"),
        ("/b/llama.cpp/src/unicode.cpp", "-O3"),
        ("/b/llama.cpp/tools/server/server.cpp", "-O0"),
        ("/b/llama.cpp/common/arg.cpp", "-O0"),
        ("/b/llama.cpp/src/models/llama.cpp", "-O0"),
    ],
)
def test_only_tensor_code_is_optimised(source: str, expected: str) -> None:
    """The launcher changes one flag and keeps every other word, spaces included."""
    argv = [str(LAUNCHER), "printf", "%s\\n", "-O3", "-DNAME=a b", "-c", source]
    printed = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=True).stdout.splitlines()
    assert printed == [expected, "-DNAME=a b", "-c", source]


@pytest.mark.parametrize(
    "script",
    ["bin/pulumi", "plugins/enginehouse/pulumi-resource-enginehouse", "tools/llama/cxx_launcher.sh", ".ci/run"],
)
def test_scripts_are_executable_and_parse(script: str) -> None:
    """A lost mode bit breaks a fresh clone only."""
    file = ROOT / script
    shell = "bash" if "bash" in file.read_text(encoding="utf-8").splitlines()[0] else "sh"
    assert file.stat().st_mode & 0o111 == 0o111
    subprocess.run([shell, "-n", str(file)], timeout=120, check=True)
