"""Seeded mutations of bytes, of texts and of plain data."""

from __future__ import annotations

import copy
import gzip
import json
from collections.abc import Callable
from typing import Any

import numpy as np

Rng = np.random.Generator

EXTREMES = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x80\0\0\0", b"\0\0\0\x01")
VALUES: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 2, 3.5, 1e39, -1e300, 10**30, float("nan"), float("inf"), "", "x", "5", "1.0", "nan",
    "\0", "a/../b", "person", [], [[]], [1], [None], ["a", "b"], [[1, 2]], [0] * 51, [1, 2, 3, 4], {}, {"size": [4, 4]},
    {"size": [192, 256], "counts": "0"}, {"size": [192, 256], "counts": [0, 49152]},
    {"size": [10**6, 10**6], "counts": [10**12]}, [[1e5, 0, 0, 1e5, 9e5, 9e5] * 30], "x" * 5000, "\U0001f600", 2**63,
    -(2**63), "1e999", 0.1,
)  # fmt: skip
DEEPER = 0.85
WORDS = (
    "nan",
    "-1",
    "0",
    "1e999",
    "'",
    '"',
    "[",
    "]",
    "=",
    "\n",
    "\0",
    "None",
    "true",
    "9" * 400,
    "é",
    "\ufeff",
    "{",
    ",",
)


def mutated_bytes(data: bytes, rng: Rng, others: list[bytes]) -> bytes:
    """A few changes of a file as a disk, a network or a bad program makes them."""
    for _ in range(int(rng.integers(1, 4))):
        data = _BYTE_CHANGES[int(rng.integers(len(_BYTE_CHANGES)))](data, rng, others)
    return data


def mutated_text(text: str, rng: Rng) -> str:
    """Lines removed, repeated and swapped, and words put where none belong."""
    for _ in range(int(rng.integers(1, 4))):
        lines, at = text.split("\n"), int(rng.integers(len(text) + 1))
        one, two = (int(rng.integers(len(lines))) for _ in range(2))
        kind = int(rng.integers(5))
        if kind == 0:
            del lines[one]
        elif kind == 1:
            lines.insert(two, lines[one])
        elif kind == 2:
            lines[one], lines[two] = lines[two], lines[one]
        elif kind == 3:
            text = text[:at] + str(rng.choice(WORDS)) + text[at + int(rng.integers(4)) :]
            continue
        else:
            text = text[:at] + text[at + int(rng.integers(1, 20)) :]
            continue
        text = "\n".join(lines)
    return text


def mutated_data(plain: Any, rng: Rng) -> Any:
    """A copy of plain data in which some entries have another value, are gone, or stand twice."""
    plain = copy.deepcopy(plain)
    for _ in range(int(rng.choice([1, 1, 2, 3, 8]))):
        if isinstance(plain, (dict, list)) and plain:
            _change(*_place(plain, rng), rng)
    return plain


def encoded_json(plain: Any, rng: Rng) -> bytes:
    """The data as JSON, now and then in an encoding that others write, or broken."""
    text = json.dumps(plain)
    kind = int(rng.integers(20))
    if kind == 0:
        return text.encode("utf-8-sig")
    if kind == 1:
        return text.encode("utf-16")
    if kind == 2:
        return mutated_text(text, rng).encode()
    if kind == 3:
        return mutated_bytes(text.encode(), rng, [gzip.compress(text.encode())])
    if kind == 4:
        return gzip.compress(text.encode())[: int(rng.integers(1, 10**6))]
    if kind == 5:
        return b"[" * 100_000
    return text.encode()


def _place(value: Any, rng: Rng) -> tuple[Any, Any]:
    """Parent and key of an entry at any depth, so that long lists do not hide the rest."""
    keys = list(value) if isinstance(value, dict) else range(len(value))
    key = keys[int(rng.integers(len(keys)))]
    if isinstance(value[key], (dict, list)) and value[key] and rng.random() < DEEPER:
        return _place(value[key], rng)
    return value, key


def _change(parent: Any, key: Any, rng: Rng) -> None:
    kind, value = int(rng.integers(10)), parent[key]
    if kind == 0:
        del parent[key]
    elif kind == 1 and isinstance(parent, list):
        parent.append(copy.deepcopy(value))
    elif kind == 2 and isinstance(value, (int, float)):
        parent[key] = str(value)
    elif kind == 3 and isinstance(value, int):
        parent[key] = float(value)
    elif kind == 4 and isinstance(value, (int, float)):
        parent[key] = value * float(rng.choice([-1, 0.5, 1.5, 1e6, 1e-9]))
    elif kind == 5 and isinstance(parent, dict):
        parent[str(key).upper()] = value
    else:
        parent[key] = copy.deepcopy(VALUES[int(rng.integers(len(VALUES)))])


def _cut(data: bytes, rng: Rng, others: list[bytes]) -> bytes:
    return data[: int(rng.integers(len(data) + 1))]


def _flip_bits(data: bytes, rng: Rng, others: list[bytes]) -> bytes:
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 12)) if data else 0):
        changed[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _near_the_start(data: bytes, rng: Rng, others: list[bytes]) -> bytes:
    at = int(rng.integers(min(len(data), 200) + 1))
    return data[:at] + rng.bytes(int(rng.integers(1, 5))) + data[at + int(rng.integers(5)) :]


def _extreme(data: bytes, rng: Rng, others: list[bytes]) -> bytes:
    at = int(rng.integers(len(data) + 1))
    return data[:at] + EXTREMES[int(rng.integers(len(EXTREMES)))] + data[at + 4 :]


def _overwrite(data: bytes, rng: Rng, others: list[bytes]) -> bytes:
    at, length = int(rng.integers(len(data) + 1)), int(rng.integers(1, 400))
    return data[:at] + (rng.bytes(length) if rng.random() < 0.5 else b"\0" * length) + data[at + length :]


def _remove(data: bytes, rng: Rng, others: list[bytes]) -> bytes:
    at = int(rng.integers(len(data) + 1))
    return data[:at] + data[at + int(rng.integers(1, 300)) :]


def _repeat(data: bytes, rng: Rng, others: list[bytes]) -> bytes:
    at = int(rng.integers(len(data) + 1))
    return data[:at] + data[max(0, at - int(rng.integers(1, 300))) :]


def _splice(data: bytes, rng: Rng, others: list[bytes]) -> bytes:
    other = others[int(rng.integers(len(others)))] if others else b""
    return data[: int(rng.integers(len(data) + 1))] + other[int(rng.integers(len(other) + 1)) :]


_BYTE_CHANGES: tuple[Callable[[bytes, Rng, list[bytes]], bytes], ...] = (
    _cut, _flip_bits, _flip_bits, _near_the_start, _near_the_start, _extreme, _extreme, _overwrite, _remove, _repeat,
    _splice,
)  # fmt: skip
