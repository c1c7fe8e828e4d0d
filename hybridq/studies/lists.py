"""Lists of settings, as an option has them: entries joined by commas."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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


def names_of(option: str, text: str, known: Sequence[str]) -> tuple[str, ...]:
    """Read the entries of an option that are names out of some.

    Args:
        option: The option.
        text: What was given.
        known: The names there are.

    Raises:
        InvalidValueError: If one is none of them, or as in `entries`.
    """

    def read(word: str) -> str:
        if word not in known:
            raise InvalidValueError(
                f"Expected --{option} out of {', '.join(known)}, got {word!r}: take one of them."
            )
        return word

    return entries(option, text, read)


def numbers(
    option: str,
    text: str,
    fits: Callable[[float], bool],
    expected: str,
    *,
    most: int = 100,
    name: Callable[[float], object] = lambda entry: entry,
) -> tuple[float, ...]:
    """Read the entries of an option that are numbers.

    Args:
        option: The option.
        text: What was given.
        fits: Whether a number can be used.
        expected: What is expected of the numbers, then a colon and what to write.
        most: How many there may be.
        name: What a number is called in tables.

    Raises:
        InvalidValueError: If one is no number or does not fit, or as in `entries`.
    """

    def read(word: str) -> float:
        try:
            number = float(word)
        except ValueError:
            number = float("nan")
        if not fits(number):
            what, _, remedy = expected.partition(": ")
            raise InvalidValueError(f"Expected --{option} of {what}, got {word!r}: {remedy}.")
        return number

    return entries(option, text, read, most=most, name=name)


def qubits_of(text: str, *, most: int = 20) -> list[int]:
    """Read the numbers of qubits of an option `--qubits`.

    Raises:
        InvalidValueError: If one is no whole number from 1 to the most, or is there twice.
    """
    whole = f"whole numbers from 1 to {most}: such as 2,4"
    found = numbers("qubits", text, lambda n: n == int(n) and 1 <= n <= most, whole)
    return [int(number) for number in found]
