"""Hosts that stand in a file of their own: read, and put in the place of `hosts`, with positions in that file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from enginehouse.diagnostics import Diagnostic
from enginehouse.spec.codes import Code
from enginehouse.spec.find import SUFFIXES
from enginehouse.spec.loader import parse
from enginehouse.spec.problems import shown
from enginehouse.spec.reading import Reading, read
from enginehouse.spec.source import NOWHERE, Entry, KeyPath, Node, Source, Stretch, grafted, in_file

_COMMENT = re.compile(r"(?<!\S)#.*")


def with_hosts(source: Source, folder: Path) -> tuple[Source, tuple[Diagnostic, ...]]:
    """The source with what each `hosts_file` holds at `hosts`, and everything that is wrong with those files as such.

    `folder`: where relative paths start.
    """
    problems: list[Diagnostic] = []
    for path, name in tuple(_files(source.root.data)):
        if source.has((*path, "hosts")):
            problems.append(_both(source, path))
            continue
        file = os.path.normpath(Path(source.file).parent / name)
        reading = read(folder / name, file)
        found, wrong = _parsed(reading, file)
        problems += [_where_it_is_named(source, path, name, d) for d in wrong]
        source = replace(source, beside={**source.beside, file: reading.text})
        if found is not None:
            entry = Entry(_place(source, path), in_file(found, file))
            source = replace(source, root=grafted(source.root, (*path, "hosts"), entry))
    return source, tuple(problems)


def _files(data: object) -> Iterator[tuple[KeyPath, str]]:
    """Every group's `ssh` with a hosts file; what has another shape is not this module's to tell."""
    machines = data.get("machines") if isinstance(data, Mapping) else None
    for group, machine in machines.items() if isinstance(machines, Mapping) else ():
        ssh = machine.get("ssh") if isinstance(machine, Mapping) else None
        name = ssh.get("hosts_file") if isinstance(ssh, Mapping) else None
        if isinstance(name, str) and name:
            yield ("machines", group, "ssh"), name


def _parsed(reading: Reading, file: str) -> tuple[Node | None, tuple[Diagnostic, ...]]:
    if reading.problem is not None:
        return None, (reading.problem,)
    if not file.endswith(SUFFIXES):
        return _lines(reading.text), ()
    found, problems = parse(reading.text, file)
    return (None if problems and found.root.data is None else found.root), problems


def _lines(text: str) -> Node:
    """One host a line."""
    hosts: dict[str | int, Entry] = {}
    for number, line in enumerate(text.splitlines()):
        host = _COMMENT.sub("", line).strip()
        column = line.index(host)
        place = Stretch(number, column, number, column + len(host))
        if host:
            hosts[len(hosts)] = Entry(place, Node(host, place, written=host))
    return Node([entry.node.data for entry in hosts.values()], NOWHERE, hosts, 1 + len(hosts), 2)


def _both(source: Source, path: KeyPath) -> Diagnostic:
    return Diagnostic(
        code=Code.EXACTLY_ONE,
        summary='"hosts" and "hosts_file" are both given',
        span=source.key_span((*path, "hosts_file")),
        hint="give exactly one of them",
    )


def _where_it_is_named(source: Source, path: KeyPath, name: str, problem: Diagnostic) -> Diagnostic:
    """A file that is not there is a mistake of the stack file; all else is told inside the file."""
    if problem.code != Code.UNREADABLE_FILE:
        return problem
    return replace(
        problem,
        summary=problem.summary.replace("the file", shown(name), 1),
        span=source.value_span((*path, "hosts_file")),
        hint="paths start at the folder of the stack file",
    )


def _place(source: Source, path: KeyPath) -> Stretch:
    found = source.key_span((*path, "hosts_file"))
    return Stretch(found.line - 1, found.column - 1, found.end_line - 1, found.end_column - 1)
