"""Hosts: all ways to write them mean the same, and what is wrong is told where it stands, also in another file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enginehouse.spec import Loaded, load
from enginehouse.spec.fields import MOST_HOSTS
from enginehouse.spec.find import stack_names
from enginehouse.spec.hosts import hosts_of
from enginehouse.spec.ranges import downwards, expanded, size
from tests.unit.spec.stacks import STACK

MACHINE = "box: {local: {}}"


def loaded(folder: Path, ssh: str, **files: str) -> Loaded:
    """The stack `demo` on those hosts; `files` stand beside it, `_` in their names is `.`."""
    text = STACK.replace(MACHINE, f"box: {{ssh: {ssh}}}").replace(
        "  runs_on: box\n  port", "  runs_on: box\n  scope: each_host\n  port"
    )
    (folder / "demo.yaml").write_text(text)
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_text(content)
    return load(folder / "demo.yaml", display="stacks/demo.yaml")


def names(found: Loaded) -> list[str]:
    assert found.spec is not None, found.diagnostics
    return [host.name for host in hosts_of(found.spec, "box")]


def told(found: Loaded) -> list[tuple[str, str]]:
    return [(str(d.span), str(d.code)) for d in found.diagnostics]


@pytest.mark.parametrize(
    ("ssh", "files"),
    [
        ("{hosts: {a-08.x: {}, a-09.x: {}, a-10.x: {}}}", {}),
        ('{hosts: "a-[08:10].x"}', {}),
        ('{hosts: [a-08.x, "a-[09:10].x"]}', {}),
        ("{hosts_file: shops.txt}", {"shops_txt": "# all\n\na-08.x\n  a-[09:10].x  # the new ones\n"}),
        ("{hosts_file: shops.hosts.yaml}", {"shops_hosts_yaml": "- a-08.x\n- a-[09:10].x\n"}),
        ("{hosts_file: shops.hosts.yaml}", {"shops_hosts_yaml": "a-08.x: &n {}\na-09.x: *n\na-10.x: {}\n"}),
    ],
    ids=["map", "range", "list", "lines", "yaml list", "yaml map"],
)
def test_all_ways_to_write_hosts_mean_the_same(tmp_path: Path, ssh: str, files: dict[str, str]) -> None:
    """Names are the names or addresses as they stand there."""
    found = loaded(tmp_path, ssh, **files)
    assert (names(found), found.ok) == (["a-08.x", "a-09.x", "a-10.x"], True)


def test_a_list_of_hosts_is_no_stack(tmp_path: Path) -> None:
    """It may stand among them."""
    loaded(tmp_path, "{hosts_file: shops.hosts.yaml}", shops_hosts_yaml="[a]\n")
    assert stack_names(tmp_path) == ("demo",)


def test_mistakes_are_told_in_the_file_where_they_stand_all_at_once(tmp_path: Path) -> None:
    """Shape and meaning, of the file and of the stack."""
    wrong = "a: {address: 10.1.0.1}\nb: {port: x}\nc: {adress: q}\nd: {address: 10.1.0.1}\n"
    (tmp_path / "shops.yaml").write_text(wrong)
    (tmp_path / "stacks").mkdir()
    found = loaded(tmp_path / "stacks", "{hosts_file: ../shops.yaml, usr: ops}")
    assert told(found) == [
        ("shops.yaml:2:11", "wrong-type"),
        ("shops.yaml:3:5", "unknown-key"),
        ("shops.yaml:4:1", "same-machine-twice"),
        ("stacks/demo.yaml:3:42", "unknown-key"),
    ]
    assert found.sources["shops.yaml"] == wrong, "so that the line can be quoted"


def test_a_plain_list_has_positions_too(tmp_path: Path) -> None:
    found = loaded(tmp_path, "{hosts_file: shops.txt}", shops_txt="a\n  b 10.1.0.11 # two words\nC\na\n")
    assert told(found) == [
        ("stacks/shops.txt:2:3", "malformed-value"),
        ("stacks/shops.txt:3:1", "malformed-value"),
        ("stacks/shops.txt:4:1", "duplicate-host"),
    ]


@pytest.mark.parametrize(
    ("ssh", "code", "place"),
    [
        ("{hosts_file: shops.txt}", "unreadable-file", "stacks/demo.yaml:3:27"),
        ("{hosts_file: empty.txt}", "too-few", "stacks/empty.txt:1:1"),
        ("{hosts_file: empty.yaml}", "empty-file", "stacks/empty.yaml:1:1"),
        ("{hosts_file: bad.yaml}", "yaml-syntax", "stacks/bad.yaml:1:6"),
        ("{hosts_file: two.txt, hosts: [a]}", "exactly-one", "stacks/demo.yaml:3:15"),
        ("{user: me}", "missing-key", "stacks/demo.yaml:3:9"),
        ('{hosts: "a[3:1]"}', "bad-range", "stacks/demo.yaml:3:22"),
        ('{hosts: ["a[001:900]", "b[1:101]"]}', "too-many", "stacks/demo.yaml:3:37"),
        ('{hosts: ["a[1:3]", "a[2:4]"]}', "duplicate-host", "stacks/demo.yaml:3:33"),
        ("{hosts: [10.1.0.1, -a]}", "malformed-name", "stacks/demo.yaml:3:33"),
        ("{hosts: [an-address-that-is.long.example]}", "names-too-long", "stacks/demo.yaml:3:23"),
    ],
)
def test_what_cannot_be_read_or_meant_is_told_once(tmp_path: Path, ssh: str, code: str, place: str) -> None:
    """With its place; nothing else is concluded from it."""
    found = loaded(tmp_path, ssh, empty_txt="# nobody yet\n", empty_yaml="", bad_yaml="a: [b\n", two_txt="a\n")
    assert told(found) == [(place, code)]
    assert not found.ok


def test_a_secret_in_a_hosts_file_is_not_shown(tmp_path: Path) -> None:
    found = loaded(tmp_path, "{hosts_file: shops.txt}", shops_txt="a # sk-0123456789abcdefghij\n")
    assert found.sources["stacks/shops.txt"] == f"a # {'*' * 23}\n"


NUMBERS = st.tuples(st.integers(0, 120), st.integers(0, 120), st.booleans())


def written(numbers: tuple[int, int, bool]) -> str:
    first, last, wide = numbers
    return f"[{first:03}:{last:03}]" if wide else f"[{first}:{last}]"


@given(st.lists(NUMBERS, max_size=2))
def test_a_range_stands_for_every_number_in_it(ranges: list[tuple[int, int, bool]]) -> None:
    """In order, each once, as wide as it is written, and never more than can be used."""

    def each(of: list[tuple[int, int, bool]]) -> Iterator[str]:
        if not of:
            yield "s"
            return
        *before, (first, last, wide) = of
        yield from (
            f"{head}-{n:03}" if wide else f"{head}-{n}" for head in each(before) for n in range(first, last + 1)
        )

    text = "s" + "".join(f"-{written(one)}" for one in ranges)
    wanted = list(each(ranges))
    assert size(text) == len(wanted)
    assert list(expanded(text)) == wanted[: MOST_HOSTS + 1]
    assert (downwards(text) is not None) == any(last < first for first, last, _ in ranges)
