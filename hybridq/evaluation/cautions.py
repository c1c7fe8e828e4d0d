"""What to beware of in figures that look better, or surer, than they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hybridq.utils.text import listed

FEWEST = 10
"""Images that may all be of one class without a word."""


def one_class(predicted: NDArray[np.int64], class_names: Sequence[str]) -> str | None:
    """Say that a model finds nothing but one class; None where it does not.

    Args:
        predicted: `(images,)` classes, or `(images, classes)` of 0 and 1 for several labels.
        class_names: A name for each class.
    """
    if len(predicted) < FEWEST:
        return None
    if predicted.ndim == 2:
        if (predicted != predicted[0]).any():
            return None
        found = [name for name, value in zip(class_names, predicted[0], strict=True) if value]
        return f"The model gives all {len(predicted)} images the labels {listed(found) or 'none'}"
    if (predicted != predicted[0]).any():
        return None
    return f"The model gives all {len(predicted)} images the class {class_names[predicted[0]]}"


def without_width(figures: Mapping[str, Mapping[str, float | None]]) -> str | None:
    """Say which figures have an interval of no width; None where none has.

    Args:
        figures: The figures by name, each with `value`, `low` and `high`.
    """
    flat = [
        name.replace("_", " ")
        for name, figure in figures.items()
        if figure["low"] is not None and figure["low"] == figure["high"]
    ]
    if not flat:
        return None
    return (
        f"The interval of {listed(flat)} has no width: drawing these images again never changes "
        "it, which does not say that other images would not"
    )


def cautions(
    predicted: NDArray[np.int64],
    figures: Mapping[str, Mapping[str, float | None]],
    class_names: Sequence[str],
) -> list[str]:
    """All that there is to beware of in the figures of a model, a sentence each."""
    found = (one_class(predicted, class_names), without_width(figures))
    return [f"{sentence}." for sentence in found if sentence]
