"""The Grad-CAM gallery: the worst mistakes first, and what the network looked at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hybridq.data import ImageData, ImageSplit
from hybridq.evaluation.evaluate import classify
from hybridq.evaluation.locked.rule import rule_of
from hybridq.evaluation.measures.gradcam import grad_cam
from hybridq.evaluation.metrics.scores import predict_labels
from hybridq.models.views import Views
from hybridq.plotting import beside_heat, data_address
from hybridq.reports.page.elements import Gallery, Picture, Section, Text
from hybridq.reports.sources.models import Trained
from hybridq.reports.sources.sources import Source
from hybridq.utils.text import percent

MISSING = (
    "a run of `hybridq finetune` (or an evaluation whose run is still there) and its images "
    "(`--data-root`); not for images of several labels"
)
LEAST_CELLS = 4
MISTAKES = "The worst mistakes: the least probability for the actual class."
HITS = "The surest hits of each class, for comparison."
SIDE = 168
"""Height and width of a picture, in pixels."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def gallery(
    trained: Trained | None,
    data: ImageData | None,
    views: Views | None,
    names: Mapping[Source, str],
    *,
    count: int,
) -> Section:
    """The worst mistakes, then the surest hits, each beside its heat.

    Args:
        trained: the model.
        data: validation images, by which the threshold of a model that has none is chosen, and
            test images.
        views: how many views of an image its probabilities are the mean of; the model's own if
            None.
        names: of the models.
        count: pictures, about a third of them hits, at least one of each class.
    """
    if trained is None or data is None or data.task == "multilabel" or not count:
        return Section("gradcam", "Grad-CAM gallery", missing=MISSING)
    spec, split = trained.spec, data.splits["test"]
    positive = spec.positive
    rule = rule_of(spec, views)
    probs = classify(trained.model, split, multilabel=False, views=rule.views)
    on_val = None
    if rule.needs_validation:
        on_val = classify(trained.model, data.splits["val"], multilabel=False, views=rule.views)
    threshold = rule.completed(data, on_val).threshold
    predicted = predict_labels(probs, multilabel=False, positive=positive, threshold=threshold)
    wrong = _worst(probs, split.labels, predicted, count - count // 3)
    right = _surest(probs, split.labels, predicted, count - len(wrong))
    heats = _heat(trained, split, np.concatenate([wrong, right]), predicted)
    block, cells = _block(trained)
    last = len(trained.model.encoder.features) - 1
    parts: list[Any] = [
        Text(
            f"{names[trained.source]} on {spec.data}, {percent(spec.labels)} of the labels, seed "
            f"{spec.seed}: {int((predicted != split.labels).sum())} of {len(split)} images are "
            f"classified wrongly without noise{_rule(trained, threshold)}. Left the image, right "
            "the same in grey with the evidence for the predicted class (Grad-CAM, Selvaraju et "
            "al. 2017): from plain grey, no evidence, through violet and orange to yellow, the "
            f"most in that image. It is taken at block {block} of {last}, the last with at least "
            f"{LEAST_CELLS} x {LEAST_CELLS} cells, of which it has {cells} x {cells}. It shows "
            "where the network looked, not why it is right."
        )
    ]
    for chosen, heat, caption in (
        (wrong, heats[: len(wrong)], MISTAKES),
        (right, heats[len(wrong) :], HITS),
    ):
        if len(chosen):
            pictures = tuple(
                _picture(trained, split, k, probs, predicted, threshold, heat[i])
                for i, k in enumerate(chosen)
            )
            parts.append(Gallery(caption, pictures, (trained.source,)))
    return Section("gradcam", "Grad-CAM gallery", tuple(parts), MISSING)


def _worst(probs: Floats, labels: Ints, predicted: Ints, count: int) -> Ints:
    wrong = np.flatnonzero(predicted != labels)
    trust = probs[wrong, labels[wrong]]
    return wrong[np.argsort(trust, kind="stable")][:count]


def _surest(probs: Floats, labels: Ints, predicted: Ints, count: int) -> Ints:
    """The surest hits, of each class as many as there is room for."""
    chosen: list[int] = []
    classes = np.unique(labels)
    for k in classes:
        right = np.flatnonzero((predicted == labels) & (labels == k))
        best = right[np.argsort(-probs[right, k], kind="stable")]
        chosen += best[: max(1, count // len(classes))].tolist()
    return np.array(chosen if count else [], dtype=np.int64)


def _heat(trained: Trained, split: ImageSplit, chosen: Ints, predicted: Ints) -> Floats:
    """Heat `(images, side, side)` of the predicted class, at the resolution of the input."""
    model = trained.model
    inputs = model.encoder.prepare(split.images[chosen])
    classes = torch.from_numpy(predicted[chosen])
    block = model.encoder.features[_block(trained)[0]]
    found: Floats = grad_cam(model, block, inputs, classes).double().numpy()
    return found


def _block(trained: Trained) -> tuple[int, int]:
    """The last block whose maps have at least four cells to a side, and how many they have.

    It is the very last one from inputs of 128 pixels on; of smaller ones it would leave 2 x 2.
    """
    encoder = trained.model.encoder
    size = encoder.spec.image_size
    maps = torch.zeros(1, 3, size, size)
    found = (0, size)
    with torch.no_grad():
        for k, block in enumerate(encoder.features):
            maps = block(maps)
            if maps.shape[2] >= LEAST_CELLS or k == 0:
                found = (k, maps.shape[2])
    return found


def _rule(trained: Trained, threshold: float) -> str:
    """Say from which probability on the positive class is predicted."""
    spec = trained.spec
    if spec.positive is None:
        return ""
    return f" ({spec.class_names[spec.positive]} from a probability of {threshold:.3f} on)"


def _picture(
    trained: Trained,
    split: ImageSplit,
    k: int,
    probs: Floats,
    predicted: Ints,
    threshold: float,
    heat: Floats,
) -> Picture:
    names, positive = trained.spec.class_names, trained.spec.positive
    actual, found = names[split.labels[k]], names[predicted[k]]
    shown = int(predicted[k]) if positive is None else positive
    said = f"actual: {actual} / predicted: {found}. Probability of {names[shown]} "
    said += f"{probs[k, shown]:.2f}"
    if positive is not None:
        said += f", threshold {threshold:.2f}"
    verb = "right" if actual == found else "wrong"
    return Picture(
        split.ids[k],
        f"{split.ids[k]}, {verb}: {said}. Most evidence: {_place(heat)}.",
        data_address(beside_heat(split.images[k], heat, side=SIDE)),
        said if heat.any() else f"{said}. No evidence at this block: the map is 0 everywhere",
    )


def _place(heat: Floats) -> str:
    """Where the centre of the heat lies, in words."""
    total = heat.sum()
    if total <= 0:
        return "nowhere"
    rows, columns = heat.shape
    y = float((heat.sum(axis=1) * (np.arange(rows) + 0.5)).sum() / total / rows)
    x = float((heat.sum(axis=0) * (np.arange(columns) + 0.5)).sum() / total / columns)
    words = [
        "top" if y < 0.4 else "bottom" if y > 0.6 else "",
        "left" if x < 0.4 else "right" if x > 0.6 else "",
    ]
    return " ".join(word for word in words if word) or "in the middle, or spread evenly"
