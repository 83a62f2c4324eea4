"""Our lists of flags against the parser of a real llama-server: what we accept it takes, what we refuse it refuses.

Each call ends within milliseconds: good arguments end at a model that isn't there, wrong ones before.
"""

from __future__ import annotations

import importlib.resources
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType

import pytest

from enginehouse.catalog.flags import Flag, FlagList, Value, flag_list, history
from enginehouse.catalog.values import wrong_value
from enginehouse.engines import engines
from enginehouse.engines.base import LISTENS_ON
from enginehouse.engines.llama_cpp import RULES
from tests.tools_available import require_tool
from tests.unit.engines.cases import argv, cases, deployment, read

LLAMA = engines()["llama-cpp"]
NO_MODEL = "/nonexistent/model.gguf"
BASE = ("--model", NO_MODEL, "--port", "0", "--fit", "off", "--offline")
TAKEN = "failed to load model"
"""What the engine says when it took all arguments and then looked for the model (b11434)."""
SPECIAL = frozenset({"rpc", "control-vector-layer-range"})
"""Refused by builds without the feature, whatever its value; a flag of two words, which nobody may set."""
READS_A_PATH = frozenset({"grammar-file", "json-schema-file", "chat-template-file", "slot-save-path", "media-path"})
OWN_SYNTAX = {
    "cpu-mask": "f",
    "cpu-mask-batch": "f",
    "spec-draft-cpu-mask": "f",
    "spec-draft-cpu-mask-batch": "f",
    "cpu-range": "0-1",
    "cpu-range-batch": "0-1",
    "spec-draft-cpu-range": "0-1",
    "logit-bias": "15043+1",
    "json-schema": "{}",
    "chat-template-kwargs": "{}",
    "override-kv": "tokenizer.ggml.add_bos_token=bool:false",
    "override-tensor": "blk=CPU",
    "spec-draft-override-tensor": "blk=CPU",
    "lora-scaled": "a.gguf:0.5",
    "control-vector-scaled": "a.gguf:0.5",
    "fit-target": "512",
    "tensor-split": "1",
    "device": "none",
    "spec-draft-device": "none",
    "mmproj-device": "none",
    "spec-synth-rates": "0.5",
}
"""A right value for texts that the engine reads in a syntax of their own; everywhere else any word will do."""


def dashed_names() -> dict[str, str]:
    """Names to names as a command line has them; the files of the catalog keep the dashes, the loaded lists do not."""
    folder = importlib.resources.files("enginehouse.catalog") / LLAMA.name
    files = [json.loads((folder / f"{name}.json").read_text()) for name in (*LLAMA.versions, "history")]
    entries = [entry for file in files for entry in file["flags"]]
    return {name.lstrip("-"): name for entry in entries for name in (*entry["names"], *entry.get("off", ()))}


DASHED = dashed_names()


@pytest.fixture(scope="module")
def program() -> str:
    return require_tool("llama-server")


@pytest.fixture(scope="module")
def flags(program: str) -> FlagList:
    """The list of the very version that is installed."""
    version = LLAMA.installed_version(run([program, *LLAMA.version_args]))
    if version not in LLAMA.versions:
        reason = f"the installed llama-server is {version}; lists exist of {', '.join(LLAMA.versions)}"
        pytest.fail(reason) if os.environ.get("REQUIRE_ALL") == "1" else pytest.skip(reason)
    return flag_list(LLAMA.name, version)


def test_the_version_is_read_from_the_real_program(program: str) -> None:
    version = LLAMA.installed_version(run([program, *LLAMA.version_args]))
    assert re.fullmatch(LLAMA.version_pattern, version or "")


def test_the_list_has_every_flag_of_the_help_and_no_other(program: str, flags: FlagList) -> None:
    """Names only: `--help` gives kinds and choices as prose. It also shows flags that are known only to be refused."""
    gone = {name for name, change in history(LLAMA.name).items() if change.gone}
    assert set(flags.flags) == help_names(run([program, "--help"])) - gone


def test_golden_command_lines_are_taken(program: str, flags: FlagList) -> None:
    """Those of the installed version."""
    deployments = {case.stem: found for case in cases(LLAMA.name) if (found := read(case)).version == flags.version}
    calls = [argv(LLAMA.args(found, NO_MODEL)) for found in deployments.values()]
    outputs = [
        run([program, *(word.replace("@{port}", "0").replace(LISTENS_ON, "127.0.0.1") for word in words)])
        for words in calls
    ]
    assert deployments
    assert [name for name, out in zip(deployments, outputs, strict=True) if is_refusal(out)] == []


def test_a_right_value_of_each_flag_is_taken(program: str, flags: FlagList) -> None:
    """Every name, short and long, with a value that our check accepts. Flags that nobody may set are left out."""
    left_out = SPECIAL | READS_A_PATH | frozenset(RULES.reserved)
    tried = {written: right(flag) for written, flag in flags.flags.items() if flag.name not in left_out}
    for written, words in tried.items():
        assert wrong_value(written, flags.flags[written], words[0] if words else True) is None
    outputs = attempts(program, ([DASHED[written], *words] for written, words in tried.items()))
    refused = {name: last_line(out) for name, out in zip(tried, outputs, strict=True) if is_refusal(out)}
    assert refused == {}


def test_every_choice_is_taken(program: str, flags: FlagList) -> None:
    tried = [(flag.name, choice) for flag in set(flags.flags.values()) for choice in flag.choices]
    outputs = attempts(program, ([f"--{name}", choice] for name, choice in tried))
    assert [pair for pair, out in zip(tried, outputs, strict=True) if is_refusal(out)] == []


def test_values_we_refuse_are_refused(program: str, flags: FlagList) -> None:
    """A word where a number or a choice is wanted, and a switch's surplus value."""
    tried = sorted(f.name for f in set(flags.flags.values()) if refuses_words(f) and f.name not in RULES.reserved)
    outputs = attempts(program, ([f"--{name}", "no-such-value"] for name in tried))
    assert [name for name, out in zip(tried, outputs, strict=True) if not is_refusal(out)] == []


def test_removed_and_later_flags_are_refused(program: str, flags: FlagList) -> None:
    """Everything the history calls gone or not yet there is unknown to the program, or refused with a message."""
    absent = [name for name in history(LLAMA.name) if name not in flags.flags]
    outputs = attempts(program, ([DASHED[name], "1"] for name in absent))
    assert [name for name, out in zip(absent, outputs, strict=True) if not is_refusal(out)] == []


def test_the_program_misreads_what_we_refuse(program: str) -> None:
    """Why the check is stricter: `4k` and `1.5` are taken, as 4 and 1, and nobody is told (b11434)."""
    outputs = attempts(program, [["--batch-size", "4k"], ["--top-k", "1.5"]])
    assert [is_refusal(output) for output in outputs] == [False, False]


def test_a_persons_configuration_is_left_out(program: str, tmp_path: Path) -> None:
    """With the adapter's environment the program reads no `~/.config/llama.cpp/config.ini`; without it, it does."""
    settings = tmp_path / ".config" / "llama.cpp" / "config.ini"
    settings.parent.mkdir(parents=True)
    settings.write_text("[*]\ntop-k = nonsense\n")
    env = {name: value.replace("@{release}", str(tmp_path)) for name, value in LLAMA.env(deployment()).items()}
    with_ours, without = (run([program, *BASE], {"HOME": str(tmp_path), **extra}) for extra in (env, {}))
    assert (is_refusal(with_ours), is_refusal(without)) == (False, True)


def test_a_wrong_flag_can_be_told_from_a_right_one(program: str) -> None:
    """Twin: the way we read the program's answer sees both outcomes."""
    wrong, right = attempts(program, [["--no-such-flag"], ["--threads", "1"]])
    assert (is_refusal(wrong), is_refusal(right)) == (True, False)


def right(flag: Flag) -> list[str]:
    """Words that belong behind the flag."""
    if flag.value is Value.SWITCH:
        return []
    if flag.value is Value.TEXT:
        return [flag.choices[0] if flag.choices else OWN_SYNTAX.get(flag.name, "x")]
    return ["0.5" if flag.value is Value.NUMBER else "1"]


def refuses_words(flag: Flag) -> bool:
    """Our check takes no word of any kind for this flag."""
    return flag.value is not Value.TEXT or bool(flag.choices)


def attempts(program: str, calls: Iterable[list[str]]) -> list[str]:
    """What the program says to each list of arguments; two at a time."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        return list(pool.map(lambda words: run([program, *BASE, *words]), calls))


def run(words: list[str], env: Mapping[str, str] = MappingProxyType({"XDG_CONFIG_HOME": "/nonexistent"})) -> str:
    """Output of a call that ends by itself, without the settings of this machine and of the person who tests."""
    with tempfile.TemporaryDirectory() as folder:  # some flags write where they run
        done = subprocess.run(
            words,
            cwd=folder,
            env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=60,
            check=False,
        )
    return done.stdout.decode(errors="replace")


def is_refusal(output: str) -> bool:
    return TAKEN not in output


def last_line(output: str) -> str:
    return output.strip().rpartition("\n")[2]


def help_names(text: str) -> set[str]:
    """Names without dashes from the first column of `--help`."""
    heads = (re.match(r"(--?[A-Za-z][A-Za-z0-9.-]*(,\s*|\s|$))*", line) for line in text.splitlines())
    return {name.lstrip("-") for head in heads if head for name in re.split(r"[,\s]+", head[0]) if name}
