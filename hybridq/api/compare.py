"""Models against each other from Python."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hybridq.api.model import Model
from hybridq.api.parts import AnyBackend, Data
from hybridq.errors import InvalidValueError
from hybridq.evaluation.statistics import Comparison
from hybridq.evaluation.statistics import compare as compare_scores


def compare(
    model: Model | Sequence[Model],
    other: Model | Sequence[Model],
    data: Data | None = None,
    *,
    backend: AnyBackend = None,
    split: Literal["val", "test"] = "test",
    figure: Literal["auc", "accuracy"] = "auc",
    margin: float = 0.02,
    level: float = 0.95,
) -> Comparison:
    """Say whether one model is better than another on the same images, with an interval.

    Several models of each kind, one for each training seed and in the same order, make the answer
    one about other seeds and other images alike (Obuchowski and Rockette 1995); with one model of
    each it is about other images alone (DeLong et al. 1988).

    Args:
        model: A model, or one for each seed.
        other: What it is compared with, such as the classical control.
        data: Data in any form that `Model.evaluate` takes; those of the first model if None.
        backend: Where circuits run; where the models were trained if None.
        split: The split that is compared on.
        figure: `auc`, or `accuracy` of the class of the largest probability.
        margin: Largest difference that does not matter, in units of the figure.
        level: Coverage of the interval, between 0 and 1.

    Returns:
        The comparison; `words` has the verdict as a sentence.

    Raises:
        HybridqError: If models, data or backend cannot be used.

    Example:
        >>> import hybridq as hq
        >>> data = hq.load_data("phantom,size=16,count=40")
        >>> first, second = (
        ...     hq.finetune(None, data, head=head, epochs=1, freeze_encoder=True)
        ...     for head in ("pqc", "mlp")
        ... )
        >>> found = hq.compare(first, second, data, margin=0.02)
        >>> found.low <= found.difference <= found.high
        True
    """
    ours = [model] if isinstance(model, Model) else list(model)
    theirs = [other] if isinstance(other, Model) else list(other)
    if not ours or len(ours) != len(theirs):
        raise InvalidValueError(
            f"Expected as many models as others, one for each seed, got {len(ours)} and "
            f"{len(theirs)}: give pairs."
        )
    images = ours[0].images_of(data, (split,))
    labels = images.splits[split].labels

    def scores(one: Model) -> NDArray[np.float64]:
        probs = one.predict(one.images_of(images, (split,)).splits[split], backend=backend)
        if figure == "accuracy":
            probs = np.argmax(probs, axis=1).astype(np.float64)
        elif images.task == "binary":
            probs = probs[:, 1]
        return probs

    return compare_scores(
        labels,
        np.stack([scores(one) for one in ours]),
        np.stack([scores(one) for one in theirs]),
        margin=margin,
        level=level,
        figure=figure,
        name=f"{ours[0].spec.head.name} less {theirs[0].spec.head.name}",
    )
