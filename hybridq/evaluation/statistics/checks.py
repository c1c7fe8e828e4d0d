"""What can be compared: labels and scores that fit, a level and a margin that mean something."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hybridq.errors import InvalidValueError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def check_level(level: float) -> None:
    """Refuse a level that is no share.

    Raises:
        InvalidValueError: If it is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise InvalidValueError(
            f"Expected a level above 0 and below 1, got {level}: write 95% as 0.95."
        )


def check_margin(margin: float) -> None:
    """Refuse a margin that is no difference of shares.

    Raises:
        InvalidValueError: If it is not above 0, or is above 1.
    """
    if not 0 < margin <= 1:
        raise InvalidValueError(
            f"Expected a margin above 0 and at most 1, got {margin}: give the largest difference "
            "that does not matter, 0.02 for two points."
        )


def checked_scores(labels: ArrayLike, *models: ArrayLike) -> tuple[Ints, list[Floats]]:
    """Labels and scores of models on the same images, as arrays that fit each other.

    Args:
        labels: `(images,)` classes from 0, or `(images, classes)` of 0 and 1.
        models: For each model `(seeds, images)` scores of class 1 of two, or
            `(seeds, images, classes)`.

    Raises:
        InvalidValueError: If shapes do not fit, a score is not finite, or a label is no class.
    """
    classes, scores = _fitting(labels, models, dimensions=(2, 3))
    columns = scores[0].shape[2:]
    if classes.ndim == 2 and columns != classes.shape[1:]:
        raise InvalidValueError(
            f"Expected probabilities of {classes.shape[1]} labels, got scores of shape "
            f"{scores[0].shape}: give (seeds, images, classes)."
        )
    count = columns[0] if columns and classes.ndim == 1 else 2
    return _whole(
        classes,
        f"labels from 0 to {count - 1}",
        "number the classes from 0, and give (seeds, images, classes) of more than two",
        below=count,
    ), scores


def checked_classes(labels: ArrayLike, *models: ArrayLike) -> tuple[Ints, list[Floats]]:
    """Labels and predicted classes of models on the same images, as arrays that fit each other.

    Args:
        labels: `(images,)` classes from 0.
        models: For each model `(seeds, images)` predicted classes.

    Raises:
        InvalidValueError: If shapes do not fit, or a label or a prediction is no class.
    """
    classes, predicted = _fitting(labels, models, dimensions=(2,))
    if classes.ndim != 1:
        raise InvalidValueError(
            f"Expected labels as (images,) for accuracy, got {classes.shape}: compare several "
            "labels by AUC."
        )
    remedy = "give each image's most likely class, not its score"
    for one in predicted:
        _whole(one, "predicted classes as whole numbers from 0", remedy)
    return _whole(classes, "labels as whole numbers from 0", "number the classes from 0"), predicted


def _fitting(
    labels: ArrayLike, models: tuple[ArrayLike, ...], *, dimensions: tuple[int, ...]
) -> tuple[Floats, list[Floats]]:
    classes = _numbers(labels, "labels")
    scores = [_numbers(model, "scores") for model in models]
    if classes.ndim not in (1, 2) or len(classes) < 2:
        raise InvalidValueError(
            f"Expected labels of at least two images, as (images,) or (images, classes), got shape "
            f"{classes.shape}: give one row an image."
        )
    shapes = [one.shape for one in scores]
    for shape in shapes:
        fits = len(shape) in dimensions and shape[0] and shape[1] == len(classes)
        if not fits or shape[1:] != shapes[0][1:]:
            raise InvalidValueError(
                f"Expected scores as (seeds, {len(classes)}"
                f"{'[, classes]' if 3 in dimensions else ''}), got "
                f"{' and '.join(map(str, shapes))}: give every model's scores of every seed on the "
                "same images."
            )
    return classes, scores


def _numbers(values: ArrayLike, what: str) -> Floats:
    try:
        found = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        raise InvalidValueError(
            f"Expected {what} as an array of numbers, got {type(values).__name__} that is none: "
            "give rows of equal length, and numbers for names."
        ) from None
    if not np.isfinite(found).all():
        raise InvalidValueError(
            f"Expected finite {what}, got NaN or infinity: leave out what was not computed."
        )
    return found


def _whole(values: Floats, expected: str, remedy: str, *, below: float = np.inf) -> Ints:
    wrong = values[(values < 0) | (values >= below) | (values % 1 != 0)]
    if len(wrong):
        raise InvalidValueError(f"Expected {expected}, got {wrong[0]:g}: {remedy}.")
    return values.astype(np.int64)
