"""Suggest words for misspelt ones."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(word: str, choices: Iterable[str], cutoff: float = 0.5) -> str | None:
    """Find the choice closest to a word, whatever its case.

    Args:
        word: The word that was written.
        choices: The words that exist.
        cutoff: How alike they have to be, from 0 to 1.

    Returns:
        The closest choice, or None when nothing resembles the word.
    """
    by_lower = {choice.lower(): choice for choice in choices}
    matches = get_close_matches(word.lower(), by_lower, n=1, cutoff=cutoff)
    return by_lower[matches[0]] if matches else None
