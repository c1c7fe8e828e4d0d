"""Write numbers and names in sentences, the same in logs, tables and the report."""

from __future__ import annotations

from collections.abc import Sequence


def counted(count: int, noun: str) -> str:
    """Write a number of things: 1 epoch, 2 epochs, 1,000 images."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def percent(share: float) -> str:
    """Write a share as a percentage: 5%, 12.5%."""
    return f"{100 * share:.4g}%"


def quoted(name: str) -> str:
    """Write the name of a class for a list, in quotes if it contains a comma."""
    return repr(name) if "," in name else name


def listed(names: Sequence[str]) -> str:
    """Join names of classes by commas."""
    return ", ".join(map(quoted, names))
