"""Types of the fields of specs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, TypeAlias

from pydantic import BeforeValidator, Field

MOST_LISTED = 1000
"""The most probabilities in a list, one for each qubit."""


def _none_word(value: object) -> object:
    """Read the word "none" as None (TOML and the command line have no null)."""
    return None if isinstance(value, str) and value.strip().lower() == "none" else value


def _per_qubit(value: object) -> object:
    """Read one probability, or one for each qubit: a list, or numbers joined by `/`."""
    value = _none_word(value)
    if value is None:
        return None
    if isinstance(value, str):
        value = value.split("/") if "/" in value else value
    several = isinstance(value, Sequence) and not isinstance(value, str)
    try:
        numbers = tuple(float(part) for part in (value if several else [value]))  # type: ignore
    except (TypeError, ValueError):
        numbers = ()
    if len(numbers) > MOST_LISTED:
        raise ValueError(f"a list of at most {MOST_LISTED} probabilities, one for each qubit")
    if not numbers or not all(0.0 <= number <= 1.0 for number in numbers):
        raise ValueError("a probability from 0 to 1, or one for each qubit (0.01/0.02)")
    return numbers if several else numbers[0]


_Shots: TypeAlias = Annotated[int, Field(ge=1, le=10_000_000)]
_Name: TypeAlias = Annotated[str, Field(min_length=1, max_length=4096)]
_Probability: TypeAlias = Annotated[float, Field(ge=0.0, le=1.0)]
_FlipProbability: TypeAlias = Annotated[float, Field(ge=0.0, le=0.5)]
_Time: TypeAlias = Annotated[float, Field(ge=1e-6, le=1e12)]
_GateTime: TypeAlias = Annotated[float, Field(ge=0.0, le=1e12)]
_Seconds: TypeAlias = Annotated[float, Field(gt=0.0, le=1e7)]
_Angle: TypeAlias = Annotated[float, Field(ge=-3.15, le=3.15)]
Shots: TypeAlias = Annotated[_Shots | None, BeforeValidator(_none_word)]
OptionalName: TypeAlias = Annotated[_Name | None, BeforeValidator(_none_word)]
Rate: TypeAlias = Annotated[_Probability | None, BeforeValidator(_none_word)]
FlipRate: TypeAlias = Annotated[_FlipProbability | None, BeforeValidator(_none_word)]
QubitRates: TypeAlias = Annotated[float | tuple[float, ...] | None, BeforeValidator(_per_qubit)]
Time: TypeAlias = Annotated[_Time | None, BeforeValidator(_none_word)]
GateTime: TypeAlias = Annotated[_GateTime | None, BeforeValidator(_none_word)]
Angle: TypeAlias = Annotated[_Angle | None, BeforeValidator(_none_word)]
Seconds: TypeAlias = Annotated[_Seconds | None, BeforeValidator(_none_word)]
Choice: TypeAlias = Annotated[bool | None, BeforeValidator(_none_word)]
_Seed: TypeAlias = Annotated[int, Field(ge=0, lt=2**32)]
OptionalSeed: TypeAlias = Annotated[_Seed | None, BeforeValidator(_none_word)]
