"""Broken stack files, made from good ones or from nothing. Deterministic: the same `Random` gives the same files."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random
from typing import TypeAlias

from enginehouse.spec.schema import keys_of, sections

Mutation: TypeAlias = Callable[[Random, bytes], bytes]

_TOKENS = re.compile(rb"[\w./-]+|\s+|.", re.DOTALL)
_PIECES = (
    *b"\x00 \xff \xfe \x1b \x7f".split(b" "),
    *"\ufeff \u2028 \u202e \x85 é 🦙".encode().split(b" "),
    *b"- ? : , [ ] { } # & * ! | > ' \" % @ ` --- ... << ~ null true no on".split(),
    *b"0x 0o8 1e999 .nan -.inf 1_000 2026-11-24 9:30".split(),
    *(
        b"\t",
        b"\r",
        b"\n",
        b"\n  ",
        b": ",
        b"- ",
        b"&a ",
        b"*a",
        b"<<: *a",
        b"!!binary ",
        b"{{ x }}",
        b"?\n",
        b"|2-\n",
        b">+\n",
    ),
    *(b"%YAML 1.1\n---\n", b"9" * 50, b"9" * 5000, b"[" * 40, b"{a: " * 40, b"a" * 300, b"secret: sk-0123456789abcdef"),
)
_KEYS = tuple(field.name for cls in sections().values() for field in keys_of(cls))
_VALUES = (
    *("1", "0", "-1", "8080", "9" * 20, "1.5", "4.0", "true", "no", "~", "''", '"x"', "box", "chat", "llama-cpp"),
    *('"b11434"', "none", "public", "supervisor", "upload://m.gguf", "host://x", "https://u:p@h/m.gguf", "https://["),
    *("127.0.0.1", "::1", "a" * 64, "*a", "[]", "{}", '"\\0"', '"a\\nb"', "&a x", "!t x", "[1, [2, {}]]"),
    *("{local: {}}", "{a: {b: c}}", "|\n      text\n", ""),
)


def mutated(random: Random, seeds: Sequence[bytes]) -> bytes:
    """One of the good files with one to six wounds at the level of bytes, lines or tokens."""
    data = random.choice(seeds)
    for _ in range(random.randint(1, 6)):
        data = random.choice(_MUTATIONS)(random, data)
    return data


def generated(random: Random) -> bytes:
    """A file of the format's own words in any arrangement."""
    return "\n".join(_block(random, 0)).encode(errors="surrogatepass")


def _block(random: Random, depth: int) -> list[str]:
    lines: list[str] = []
    for _ in range(random.randint(1, 6)):
        key = random.choice((*_KEYS, "box", "chat", "x-a", "<<", "1", "? k"))
        prefix = "  " * depth + random.choice(("", "", "", "- ")) + key + ":"
        if depth < 5 and random.random() < 0.5:
            lines += [prefix, *_block(random, depth + random.choice((1, 1, 1, 2)))]
        else:
            lines.append(f"{prefix} {random.choice(_VALUES)}")
    return lines


def _flip_bit(random: Random, data: bytes) -> bytes:
    place = random.randrange(len(data) + 1)
    flipped = bytes(byte ^ (1 << random.randrange(8)) for byte in data[place : place + 1])
    return data[:place] + flipped + data[place + 1 :]


def _insert(random: Random, data: bytes) -> bytes:
    place = random.randrange(len(data) + 1)
    piece = random.choice(_PIECES)
    return data[:place] + (piece if isinstance(piece, bytes) else bytes([piece])) + data[place:]


def _cut(random: Random, data: bytes) -> bytes:
    place = random.randrange(len(data) + 1)
    return data[:place] + data[place + random.randint(1, 40) :]


def _end_early(random: Random, data: bytes) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def _drop_line(random: Random, data: bytes) -> bytes:
    return _with_lines(data, lambda lines: lines.pop(random.randrange(len(lines))))


def _repeat_line(random: Random, data: bytes) -> bytes:
    return _with_lines(data, lambda lines: lines.insert(random.randrange(len(lines)), random.choice(lines)))


def _swap_lines(random: Random, data: bytes) -> bytes:
    return _with_lines(data, lambda lines: lines.append(lines.pop(random.randrange(len(lines)))))


def _shift_line(random: Random, data: bytes) -> bytes:
    def shift(lines: list[bytes]) -> None:
        place = random.randrange(len(lines))
        lines[place] = (
            random.choice((b" ", b"  ", b"\t", b"- ")) + lines[place] if random.random() < 0.6 else lines[place][1:]
        )

    return _with_lines(data, shift)


def _replace_token(random: Random, data: bytes) -> bytes:
    tokens = _TOKENS.findall(data) or [b""]
    tokens[random.randrange(len(tokens))] = random.choice((*_KEYS, *_VALUES)).encode()
    return b"".join(tokens)


def _move_token(random: Random, data: bytes) -> bytes:
    tokens = _TOKENS.findall(data) or [b""]
    tokens[random.randrange(len(tokens))] = random.choice(tokens)
    return b"".join(tokens)


def _with_lines(data: bytes, change: Callable[[list[bytes]], object]) -> bytes:
    lines = data.splitlines(keepends=True) or [b""]
    change(lines)
    return b"".join(lines)


_MUTATIONS: tuple[Mutation, ...] = (
    *(_flip_bit, _insert, _cut, _end_early),
    *(_drop_line, _repeat_line, _swap_lines, _shift_line),
    *(_replace_token, _move_token),
)
