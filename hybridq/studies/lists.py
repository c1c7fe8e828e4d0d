"""Lists of settings, as an option has them: entries joined by commas."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from hybridq.errors import InvalidValueError

T = TypeVar("T")


def entries(
    option: str,
    text: str,
    read: Callable[[str], T],
    *,
    most: int = 100,
    name: Callable[[T], object] = lambda entry: entry,
) -> tuple[T, ...]:
    """Read the entries of an option.

    Args:
        option: The option.
        text: What was given.
        read: Reads one entry; it raises an `InvalidValueError` where it is none.
        most: How many there may be.
        name: What an entry is called in tables, where two may not be called the same.

    Raises:
        InvalidValueError: If they are too many, or one is there twice.
    """
    words = [word.strip() for word in text.split(",")]
    if len(words) > most:
        raise InvalidValueError(
            f"Expected at most {most} entries of --{option}, got {len(words)}: make several "
            "studies."
        )
    found = tuple(read(word) for word in words)
    if len({name(one) for one in found}) != len(found):
        raise InvalidValueError(
            f"Expected each entry of --{option} once, got {text!r}: remove the double one."
        )
    return found


def as_number(word: str) -> float:
    """The number that a word says; NaN if it says none."""
    try:
        return float(word)
    except ValueError:
        return float("nan")
