"""Numbers and names as they stand in sentences, the same in logs, tables and the report."""

from __future__ import annotations

from collections.abc import Sequence


def counted(count: int, noun: str) -> str:
    """A number of things: 1 epoch, 2 epochs, 1,000 images."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def percent(share: float) -> str:
    """A share in words: 5%, 12.5%."""
    return f"{100 * share:.4g}%"


def quoted(name: str) -> str:
    """The name of a class as it stands in a list: in quotes if it holds a comma."""
    return repr(name) if "," in name else name


def listed(names: Sequence[str]) -> str:
    """Names of classes, joined by commas."""
    return ", ".join(map(quoted, names))
