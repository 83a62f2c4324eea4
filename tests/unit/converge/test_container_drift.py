"""What `docker update` changed is read from what Docker tells, and nothing else is taken for a change."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from enginehouse.converge.container_drift import altered
from enginehouse.converge.facts import Facts
from enginehouse.planner.parts import Side
from enginehouse.render.templates import render
from tests.unit.report.plans import REPLICA

PART = replace(REPLICA, image="reg.example/llama.cpp@sha256:" + "0" * 64)
LIMITED = replace(PART, memory_limit_mib=1024)
NAME = f"/enginehouse-{PART.stack}-{PART.name}-a"
SETTINGS = """\
"Memory":{memory},"NanoCpus":{cpus},"CpuShares":0,"CgroupParent":"","BlkioWeight":0,"CpuPeriod":0,"CpuQuota":0,\
"CpuRealtimePeriod":0,"CpuRealtimeRuntime":0,"CpusetCpus":"{cpuset}","CpusetMems":"","MemoryReservation":0,\
"MemorySwap":{swap},"MemorySwappiness":null,"OomKillDisable":null,"PidsLimit":{pids},"Ulimits":[]"""
ANSWER = """\
{{"Id":"4f2a","State":{{"Status":"running","OOMKilled":false}},"Name":"{name}","RestartCount":0,"HostConfig":{{\
"NetworkMode":"host","RestartPolicy":{{"Name":"{restart}","MaximumRetryCount":0}},{settings}}},"GraphDriver":{{"Name":\
"overlay2"}},"Mounts":[{{"Type":"bind","Name":"x"}}],"Config":{{"Env":["A=\\"Memory\\":7,","B=secret"],"Image":"i"}}}}
"""
PLAIN = {"name": NAME, "restart": "no", "memory": "0", "swap": "0", "cpus": "0", "cpuset": "", "pids": "null"}


def facts(tmp_path: Path, *answers: dict[str, str]) -> Facts:
    """As the probe's own function reads it from what Docker answers."""
    text = ""
    for answer in answers:
        words = {**PLAIN, **answer}
        text += ANSWER.format(**words, settings=SETTINGS.format(**words))
    (tmp_path / "answer").write_text(text + '{"message":"No such container: x"}\n')
    (tmp_path / "curl").write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/asked; cat {tmp_path}/answer\n')
    (tmp_path / "curl").chmod(0o755)
    script = f"PATH={tmp_path}:$PATH\n{render('host/probe.sh')}\ncontainers_as_are /docker.sock one two\n"
    said = subprocess.run(["sh"], input=script, capture_output=True, text=True, check=False).stdout
    key, _, found = said.partition("\t")
    assert key == "\0containers"
    return Facts(state="/s", machine="m", memory_mib=1, texts={"containers": found})


def test_one_question_asks_for_both_sides_and_brings_no_values_of_variables(tmp_path: Path) -> None:
    found = facts(tmp_path, {})
    asked = (tmp_path / "asked").read_text()
    assert asked.endswith(
        "--unix-socket /docker.sock http://docker/containers/one/json http://docker/containers/two/json\n"
    )
    assert "secret" not in found.texts["containers"]
    assert "Memory" in found.texts["containers"]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({}, ""),
        ({"restart": "", "pids": "0", "swap": "-1"}, ""),
        ({"memory": "943718400", "swap": "-1"}, "Memory 943718400"),
        ({"restart": "always"}, "RestartPolicy always"),
        ({"restart": "unless-stopped", "cpus": "1500000000"}, "RestartPolicy unless-stopped, NanoCpus 1500000000"),
        ({"cpuset": "0-1", "pids": "99"}, "CpusetCpus 0-1, PidsLimit 99"),
    ],
)
def test_what_is_not_as_it_was_started_is_named(tmp_path: Path, answer: dict[str, str], told: str) -> None:
    assert altered(PART, facts(tmp_path, answer), Side.A) == told


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"memory": "1073741824", "swap": "1073741824"}, ""),
        ({"memory": "1073741824", "swap": "-1"}, ""),
        ({"memory": "0", "swap": "0"}, "Memory 0, MemorySwap 0"),
        ({"memory": "1073741824", "swap": "2147483648"}, "MemorySwap 2147483648"),
    ],
)
def test_a_limit_that_was_asked_for_is_none(tmp_path: Path, answer: dict[str, str], told: str) -> None:
    """Docker tells no limit of swap where the kernel does not count it."""
    assert altered(LIMITED, facts(tmp_path, answer), Side.A) == told


def test_only_the_container_of_that_side_counts(tmp_path: Path) -> None:
    """Its other side's is told of by itself. Where Docker says nothing, nothing is said."""
    other = {"name": NAME.removesuffix("a") + "b", "restart": "always"}
    assert altered(PART, facts(tmp_path, {}, other), Side.A) == ""
    assert altered(PART, facts(tmp_path, {}, other), Side.B) == "RestartPolicy always"
    assert altered(PART, facts(tmp_path), Side.A) == ""
    assert altered(replace(PART, image=None), facts(tmp_path, {"restart": "always"}), Side.A) == ""
