"""Jinja2 over the templates folder: undefined names are errors, and quoting is the job of a filter per target language.

Templates hold no defaults and no arithmetic; whoever renders computes the values.
"""

from __future__ import annotations

import json
import re
import shlex
from functools import cache
from pathlib import Path

import jinja2

from enginehouse.errors import EnginehouseError
from enginehouse.spec.scalars import resolve

_PACKAGE = Path(__file__).resolve().parents[1]
_YAML_PLAIN = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9](?:[A-Za-z0-9_./-]|:(?=/))*")
"""Texts that need no quotes anywhere, also in `[...]` and before a comment, unless they read as something else."""
_YAML_OLD_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
"""Words that other tools, with YAML 1.1, read as something else than a text."""


class Unquotable(EnginehouseError):
    """A text that the target language has no way to write."""


def render(template: str, **values: object) -> str:
    """The template, such as `haproxy/haproxy.cfg.j2`, with `values`; `jinja2.UndefinedError` for a name without one."""
    return _environment().get_template(template).render(**values)


def data_folder(name: str) -> Path:
    """Where `templates` or `schemas` are: inside the installed package, or beside it in a checkout."""
    packaged = _PACKAGE / "data" / name
    return packaged if packaged.is_dir() else _PACKAGE.parents[1] / name


def quote_sh(text: object) -> str:
    """One word for a POSIX shell."""
    return shlex.quote(_text(text))


def quote_json(value: object) -> str:
    """JSON on one line, keys in the given order."""
    return json.dumps(value, ensure_ascii=False)


def quote_haproxy(text: object) -> str:
    """One argument of a HAProxy configuration line.

    In single quotes nothing is special (HAProxy manual 2.2, "Quoting and escaping"); a single quote itself leaves them
    for a moment.
    """
    return "'" + _text(text).replace("'", "'\\''") + "'"


def quote_lua(text: object) -> str:
    """A Lua string; JSON's escapes below 0x20 differ, so those are written as decimal escapes."""
    escaped = "".join(f"\\{ord(c):03d}" if ord(c) < 32 or c in '"\\' else c for c in str(text))
    return f'"{escaped}"'


def quote_ini(text: object) -> str:
    """A value in a supervisor configuration file: one line, `%` doubled, and no ` ;`, which would start a comment."""
    value = _text(text)
    if " ;" in value or "\t;" in value:
        raise Unquotable("a supervisor configuration has no way to write a semicolon after a blank")
    return value.replace("%", "%%")


def quote_yaml(value: str | int, *, quotes: bool = False) -> str:
    """A scalar on one line, read as the same value wherever one can stand; `quotes` also where none are needed."""
    if isinstance(value, int):
        return str(value)
    plain = _YAML_PLAIN.fullmatch(value) and value.lower() not in _YAML_OLD_WORDS and resolve(value) == value
    return value if plain and not quotes else '"' + "".join(map(_yaml_character, value)) + '"'


def _yaml_character(character: str) -> str:
    """As it stands in double quotes (YAML 1.2.2, section 5.7): what is not printable as an escape."""
    if character in '"\\':
        return "\\" + character
    return character if character.isprintable() else f"\\U{ord(character):08x}"


def _text(text: object) -> str:
    value = str(text)
    if not value.isprintable() and any(ord(c) < 32 and c != "\t" for c in value):
        raise Unquotable("a control character such as a line end can't stand in a configuration value")
    return value


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(data_folder("templates")),
        undefined=jinja2.StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        sh=quote_sh, json=quote_json, haproxy=quote_haproxy, lua=quote_lua, ini=quote_ini, yaml=quote_yaml
    )
    return environment
