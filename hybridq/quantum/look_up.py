"""Look a name up in a dict of choices, and suggest the nearest if it is unknown."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TypeVar

from hybridq.errors import InvalidValueError

T = TypeVar("T")


def look_up(kind: str, name: str, choices: Mapping[str, T]) -> T:
    """Return `choices[name]`.

    Args:
        kind: The kind of thing that the name stands for, such as `ansatz`.
        name: The name given.
        choices: The dict it is looked up in.

    Returns:
        The entry of that name.

    Raises:
        InvalidValueError: If there is none; the message lists the names and suggests the nearest.
    """
    if name in choices:
        return choices[name]
    by_lower = {choice.lower(): choice for choice in choices}
    near = difflib.get_close_matches(str(name).lower(), by_lower, n=1, cutoff=0.4)
    remedy = f"did you mean {by_lower[near[0]]!r}?" if near else "use one of these names."
    raise InvalidValueError(f"Expected {kind} one of {', '.join(choices)}, got {name!r}: {remedy}")
