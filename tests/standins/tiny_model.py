"""A model for the real llama-server, written from nothing: a GGUF file of 1.4 MB that loads in a tenth of a second.

It says one alphabet over and over, whatever it is asked: the embedding of a token is a vector of its own, the only
layer adds nothing, and the output matrix holds which token follows which. Another alphabet is another model, with
another SHA-256, and each answer shows which one gave it. The engine does all the work it does for a real model; what it
says proves nothing about inference.

Format: GGUF version 3 (ggml/docs/gguf.md in llama.cpp, read 2026-11).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from pathlib import Path

ALPHABET = "abcdefghijklmnopqrstuvwxyz"
WIDTH = 288
"""Embedding length: room for a direction of each token, in whole blocks of 32."""
FEED_FORWARD = 256
CONTEXT = 8192
SURE = 2.0
"""Makes the following token certain at any usual temperature: the normalised vector has the length sqrt(WIDTH)."""
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_SPECIAL = ("<|im_start|>", "<|im_end|>")
_NORMAL, _CONTROL = 1, 3
_F32, _F16 = 0, 1
_UINT32, _INT32, _FLOAT32, _STRING, _ARRAY = 4, 5, 6, 8, 9
_ALIGNMENT = 32

Tensor = tuple[tuple[int, ...], int, bytes]
"""Sizes (the one that runs fastest first), type, data."""


def write_tiny_model(path: Path, letters: str = ALPHABET) -> None:
    """Write the model that says `letters` over and over, each of them once and ASCII; the same bytes every time."""
    path.write_bytes(_gguf(_metadata(letters), _tensors(letters)))


def _metadata(letters: str) -> Mapping[str, object]:
    tokens = _tokens()
    return {
        "general.architecture": "llama",
        "general.name": f"tiny {letters}",
        "llama.context_length": CONTEXT,
        "llama.embedding_length": WIDTH,
        "llama.block_count": 1,
        "llama.feed_forward_length": FEED_FORWARD,
        "llama.attention.head_count": 4,
        "llama.attention.head_count_kv": 4,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.vocab_size": len(tokens),
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [_CONTROL if token in _SPECIAL else _NORMAL for token in tokens],
        "tokenizer.ggml.merges": ["! !"],  # the list may not be empty; this pair never comes together to a token
        "tokenizer.ggml.bos_token_id": tokens.index(_SPECIAL[0]),
        "tokenizer.ggml.eos_token_id": tokens.index(_SPECIAL[1]),
        "tokenizer.chat_template": CHAT_TEMPLATE,
    }


def _tokens() -> list[str]:
    """A token for each byte, as byte-pair vocabularies write them, then the special ones."""
    shown = [byte for byte in range(256) if 33 <= byte <= 126 or (byte >= 161 and byte != 173)]
    hidden = [byte for byte in range(256) if byte not in shown]
    written = {byte: chr(byte) for byte in shown} | {byte: chr(256 + index) for index, byte in enumerate(hidden)}
    return [*(written[byte] for byte in range(256)), *_SPECIAL]


def _tensors(letters: str) -> Mapping[str, Tensor]:
    count = len(_tokens())
    square = ((WIDTH, WIDTH), _F16, bytes(2 * WIDTH * WIDTH))
    widen = ((WIDTH, FEED_FORWARD), _F16, bytes(2 * WIDTH * FEED_FORWARD))
    narrow = ((FEED_FORWARD, WIDTH), _F16, bytes(2 * WIDTH * FEED_FORWARD))
    scale = ((WIDTH,), _F32, struct.pack(f"<{WIDTH}f", *[1.0] * WIDTH))
    return {
        "token_embd.weight": ((WIDTH, count), _F16, _matrix(count, {token: [token] for token in range(count)}, 1.0)),
        "blk.0.attn_norm.weight": scale,
        "blk.0.attn_q.weight": square,
        "blk.0.attn_k.weight": square,
        "blk.0.attn_v.weight": square,
        "blk.0.attn_output.weight": square,
        "blk.0.ffn_norm.weight": scale,
        "blk.0.ffn_gate.weight": widen,
        "blk.0.ffn_up.weight": widen,
        "blk.0.ffn_down.weight": narrow,
        "output_norm.weight": scale,
        "output.weight": ((WIDTH, count), _F16, _matrix(count, _followed(letters, count), SURE)),
    }


def _followed(letters: str, count: int) -> Mapping[int, list[int]]:
    """Each letter's token to the tokens it comes after: the letter before it, and the first one after all others."""
    codes = [ord(letter) for letter in letters]
    before = {code: [codes[index - 1]] for index, code in enumerate(codes)}
    before[codes[0]] += [token for token in range(count) if token not in codes]
    return before


def _matrix(rows: int, ones: Mapping[int, Iterable[int]], value: float) -> bytes:
    """Rows of WIDTH half floats: `value` in the columns that `ones` names for a row, else 0."""
    data = bytearray(2 * WIDTH * rows)
    for row, columns in ones.items():
        for column in columns:
            struct.pack_into("<e", data, 2 * (WIDTH * row + column), value)
    return bytes(data)


def _gguf(metadata: Mapping[str, object], tensors: Mapping[str, Tensor]) -> bytes:
    head = [b"GGUF", struct.pack("<IQQ", 3, len(tensors), len(metadata))]
    head += [_string(key) + _value(value) for key, value in metadata.items()]
    body = bytearray()
    for name, (sizes, kind, data) in tensors.items():
        dimensions = struct.pack(f"<I{len(sizes)}QIQ", len(sizes), *sizes, kind, len(body))
        head.append(_string(name) + dimensions)
        body += _padded(data)
    return _padded(b"".join(head)) + bytes(body)


def _value(value: object) -> bytes:
    """A value with its type in front; whole numbers are signed only where the engine wants them so, in lists."""
    if isinstance(value, list):
        kind = _STRING if isinstance(value[0], str) else _INT32
        return struct.pack("<IIQ", _ARRAY, kind, len(value)) + b"".join(_bare(item) for item in value)
    kind = {str: _STRING, int: _UINT32, float: _FLOAT32}[type(value)]
    return struct.pack("<I", kind) + _bare(value)


def _bare(value: object) -> bytes:
    if isinstance(value, str):
        return _string(value)
    return struct.pack("<I" if isinstance(value, int) else "<f", value)


def _string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % _ALIGNMENT)
