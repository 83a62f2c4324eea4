"""Every text of a stack file as an attack: it is refused at its place, or allowed to be any text and stays one.

What allowed texts become on a machine is in `tests/converge/test_attacks.py`, with a real engine's command line.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from enginehouse.planner.plan import plan
from enginehouse.spec import Loaded, load_text
from enginehouse.spec.lock import NOTHING_LOCKED
from enginehouse.spec.schema import keys_of, sections

Place = tuple[str | int, ...]

EXAMPLES = Path(__file__).parents[1] / "examples" / "positive"
STACKS = {path.stem: yaml.safe_load(path.read_text()) for path in sorted(EXAMPLES.glob("*.yaml"))}
ANY_TEXT = ("description", "source", "key_file", "username")
"""Keys whose value may hold nearly every character: told to people, a path, or Harbor's `robot$ci`, sent encoded."""
PLAIN = re.compile(r"[A-Za-z0-9._:/@%,\[\]\\+ -]*")
"""What means the same to a shell, HAProxy's and the supervisor's configuration, Lua and SQL, inside quotes or not."""
ATTACKS = (
    "$(touch pwned)", "`touch pwned`", "'; touch pwned; '", '"; touch pwned; "', "a\ntouch pwned\n", "a\r\nInjected: 1",
    "${PATH}", "%(ENV_PATH)s", "@{secret:key-demo}", "@{state}", "{{ 7 * 7 }}", "{% raw %}", "]]", "--flag",
    "-oProxyCommand=x", "../../../etc/passwd", "a\0b", "\u202egnp.exe", "\ud800", "a" * 100_000, " ", "",
    "host:///$(touch pwned).gguf",
)  # fmt: skip
TEXTS = st.one_of(
    st.sampled_from(ATTACKS),
    st.text(max_size=40),
    st.text(st.sampled_from("ab'\"\\$`;|&<>(){}[]*?!#~%@ \t\n"), max_size=40),
)


def places(node: Any, at: Place = ()) -> Iterator[Place]:
    """Where a text stands, also a name that somebody chose; free keys (`x-...`) are nobody's."""
    if isinstance(node, dict):
        for name, inner in node.items():
            if not str(name).startswith("x-"):
                yield from places(inner, (*at, name))
    elif isinstance(node, list):
        for number, inner in enumerate(node):
            yield from places(inner, (*at, number))
    elif isinstance(node, str):
        yield at


PLACES = [(stack, at) for stack, data in STACKS.items() for at in places(data)]


def attacked(stack: str, at: Place, text: str) -> Loaded:
    data = copy.deepcopy(STACKS[stack])
    node = data
    for step in at[:-1]:
        node = node[step]
    node[at[-1]] = text
    return load_text(
        yaml.safe_dump(data, allow_unicode=True, sort_keys=False), name=stack, display=str(EXAMPLES / f"{stack}.yaml")
    )


@settings(max_examples=1000)
@given(where=st.sampled_from(PLACES), text=TEXTS)
def test_a_text_with_signs_is_refused_or_may_be_any_text(where: tuple[str, Place], text: str) -> None:
    """A refusal has a line; what is accepted can be planned."""
    stack, at = where
    try:
        loaded = attacked(stack, at, text)
    except UnicodeEncodeError:
        return  # no file can hold that
    if loaded.ok:
        assert loaded.spec is not None
        assert at[-1] in ANY_TEXT or "options" in at or PLAIN.fullmatch(text), at
        plan(loaded.spec, NOTHING_LOCKED)
    else:
        assert all(problem.span.line for problem in loaded.diagnostics)


def test_the_examples_hold_every_text_of_the_format() -> None:
    """Twin: a key that is not in them would not be attacked."""
    seen = {step for _, at in PLACES for step in at}
    texts = {
        field.name for cls in sections().values() for field in keys_of(cls) if str(field.type).split(" ")[0] == "str"
    }
    assert texts - seen == set()


@pytest.mark.parametrize("key", ANY_TEXT)
def test_some_keys_do_take_signs(key: str) -> None:
    """Twin: the attacks reach what is accepted."""
    stack, at = next((stack, at) for stack, at in PLACES if at[-1] == key)
    before = "host:///" if key == "source" else "/"
    assert attacked(stack, at, f"{before}it's`touch&pwned`$(x).gguf").ok
