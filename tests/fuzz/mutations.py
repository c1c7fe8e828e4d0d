"""Damage done at random to bytes, text and JSON, and a loop that gives it to a reader."""

from __future__ import annotations

import copy
import json
import os
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

from hybridq.errors import HybridqError

WORDS = [
    *("", " ", "\0", "\n", "\r", "\t", "\ufeff", "\ud800", "é", "\u202e", "'", '"', ",", ";", "="),
    *("..", "/", "\\", "//", "~", "*", "%s", "{}", "[]", "null", "true", "none", "nan", "-inf"),
    *("0", "-1", "1e400", "1e-400", "9" * 400, "0x10", "1_000", "٣", "½", "a" * 300, "[" * 300),
    *("{" * 300, "path", "label", "train", "device", "shots", "kind", "head", "epochs", "format"),
]
VALUES: list[Any] = [
    *(None, True, False, 0, -1, 1, 2**31, 2**63, 10**400, 0.5, -0.0, 1e308, float("nan")),
    *(float("inf"), "", "x", "\0", "a" * 300, [], {}, [[]], [1, 2, 3], {"a": 1}, {"": None}),
]


def damaged_bytes(content: bytes, rng: random.Random) -> bytes:
    """The bytes with one to five pieces flipped, cut, doubled, moved or put in."""
    out = bytearray(content)
    for _ in range(rng.randint(1, 5)):
        at = rng.randrange(len(out) + 1)
        length = min(rng.choice((1, 1, 2, 4, 8, 64, 1024)), len(out) - at)
        match rng.randrange(7):
            case 0 if length:
                out[at] ^= 1 << rng.randrange(8)
            case 1 if length:
                out[at : at + length] = rng.randbytes(length)
            case 2:
                del out[at : at + length]
            case 3:
                out[at:at] = out[at : at + length]
            case 4:
                out[at:at] = rng.choice(WORDS).encode("utf-8", "surrogatepass")
            case 5:
                del out[at:]
            case _ if length:
                out[at : at + length] = rng.choice((b"\0", b"\xff")) * length
    return bytes(out)


def damaged_text(text: str, rng: random.Random) -> str:
    """The text with one to five pieces cut, doubled or replaced by words."""
    for _ in range(rng.randint(1, 5)):
        at = rng.randrange(len(text) + 1)
        end = min(len(text), at + rng.choice((0, 1, 1, 3, 10, 100)))
        middle = rng.choice(("", text[at:end] * 2, rng.choice(WORDS), chr(rng.randrange(0x11000))))
        text = text[:at] + middle + text[end:]
    return text


def damaged_json(value: Any, rng: random.Random) -> Any:
    """A copy with one to three values, at any depth, replaced, taken away, doubled or added."""
    value = copy.deepcopy(value)
    for _ in range(rng.randint(1, 3)):
        inside = value
        while True:
            keys = list(inside) if isinstance(inside, dict) else list(range(len(inside)))
            if not keys:
                break
            key = rng.choice(keys)
            if isinstance(inside[key], dict | list) and inside[key] and rng.random() < 0.8:
                inside = inside[key]
                continue
            choice = rng.random()
            if choice < 0.7:
                inside[key] = copy.deepcopy(rng.choice(VALUES))
            elif choice < 0.85:
                del inside[key]
            elif isinstance(inside, list):
                inside.append(inside[key])
            else:
                inside[rng.choice(WORDS)] = rng.choice(VALUES)
            break
    return value


def damaged_document(value: Any, rng: random.Random) -> bytes:
    """A JSON document, damaged in what it says or in how it is written."""
    if rng.random() < 0.7:
        return json.dumps(damaged_json(value, rng)).encode("utf-8", "surrogatepass")
    return damaged_bytes(json.dumps(value).encode(), rng)


def fuzz(
    target: Callable[[random.Random], object],
    *,
    seconds: float,
    seed: int = 0,
    allowed: Sequence[type[Exception]] = (HybridqError,),
) -> int:
    """Call a reader with one damaged input after another.

    Args:
        target: Makes an input from the generator and reads it.
        seconds: For how long; `HYBRIDQ_FUZZ_SECONDS` where it is set.
        seed: Of the first input; each later one has the next, so that any can be made again.
        allowed: What the reader may raise.

    Returns:
        How many inputs there were.
    """
    seconds = float(os.environ.get("HYBRIDQ_FUZZ_SECONDS", seconds))
    end = time.monotonic() + seconds
    count = 0
    while count == 0 or time.monotonic() < end:
        try:
            target(random.Random(seed + count))
        except tuple(allowed) as error:
            text = str(error)
            assert "\n" not in text.strip(), f"seed {seed + count}: {text!r}"
        except Exception as error:
            raise AssertionError(f"seed {seed + count}: {type(error).__name__}: {error}") from error
        count += 1
    return count
