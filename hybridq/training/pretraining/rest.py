"""Whether the features of a pretraining that has ended had come to rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

from hybridq.utils.text import percent

EIGHTHS = 8
"""Parts of a run whose mean losses are compared; a run of fewer epochs is not judged."""
STILL_FALLS = 0.02
"""The most that the loss falls by in the last quarter of a run that is long enough, as a share of
its whole fall. A loss that nears its floor exponentially, by the sum of the learning rates of a
cosine, falls by 2% then if an eighth of the way is left, and by 6% if it falls evenly."""
STILL_RISES = 0.05
"""The most that RankMe rises by then, as a share of itself."""

Row = Mapping[str, Any]


def still_moving(epochs: Sequence[Row]) -> str | None:
    """Say in words that features had not come to rest; None where nothing shows it.

    A run of more steps then gives other features, which few labels read better or worse
    (`docs/results/pretraining_curves.csv`).

    The mean loss of the last eighth of the epochs is compared with that of the eighth that ends a
    quarter before the end, and their difference with the whole fall, from the first eighth to the
    last. RankMe at the end is compared with the one a quarter before.

    Args:
        epochs: Rows of `metrics.jsonl`.
    """
    count = len(epochs)
    if count < EIGHTHS:
        return None
    losses, part = [row["loss"] for row in epochs], count // EIGHTHS
    earlier = count - count // 4
    first, last = mean(losses[:part]), mean(losses[-part:])
    fall = mean(losses[earlier - part : earlier]) - last
    share = fall / (first - last) if first > last else 0.0
    ranks = [row["rankme"] for row in epochs[:earlier] if row.get("rankme")]
    final = epochs[-1].get("rankme")
    rise = final / ranks[-1] - 1 if ranks and final else 0.0
    found = []
    if share > STILL_FALLS:
        found.append(f"the loss fell by {percent(round(share, 2))} of its whole fall")
    if rise > STILL_RISES:
        found.append(f"RankMe rose by {percent(round(rise, 2))}")
    if not found:
        return None
    changes = " and ".join(found)
    return (
        "A longer run, begun anew, may gain, or lose where labels are few: over the last quarter "
        f"{changes}."
    )
