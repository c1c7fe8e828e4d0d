"""Where the images lie: pictures of the features, and the figures that say how they lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from hybridq.config import AugmentConfig
from hybridq.data import ImageSplit
from hybridq.evaluation.features import image_features
from hybridq.evaluation.measures.geometry import MOST_IMAGES, NEIGHBOURS, compare, embed, geometry
from hybridq.evaluation.measures.representations import around_layer, view_features
from hybridq.models.encoders.encoder import Encoder, random_encoder_like
from hybridq.models.encoders.file import load_encoder
from hybridq.plotting import legend_below, scatter
from hybridq.reports.page.elements import Figure, Section, Text
from hybridq.reports.page.parts import drawing, table
from hybridq.reports.sources.models import Trained
from hybridq.reports.sources.sources import Source

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MplFigure

Floats = NDArray[np.float64]

MISSING = (
    "a run of `hybridq finetune` (or an evaluation whose run is still there) and its images "
    "(`--data-root`); not for images of several labels"
)
MOST_DRAWN = 2000
"""Images in a picture; of more, so many are drawn at random."""
NAMES = {"tsne": "t-SNE", "umap": "UMAP"}
MEASURES = {
    "features": "dimensions",
    "effective_rank": "effective rank",
    "silhouette": "silhouette",
    "knn_accuracy": "kNN accuracy",
    "majority_accuracy": "largest class",
    "probe_auc": "linear probe AUC",
    "alignment": "alignment",
    "uniformity": "uniformity",
}


def features(
    trained: Trained | None,
    pretrained: Source | None,
    split: ImageSplit | None,
    methods: Sequence[Literal["tsne", "umap"]],
    names: Mapping[Source, str],
    *,
    seed: int,
) -> Section:
    """Pictures of the trained encoder's features, and the geometry along the model.

    Args:
        trained: the model.
        pretrained: the run its encoder began with; None if there is none or it is not at hand.
        split: test images.
        methods: of the pictures.
        names: of the models.
        seed: of everything that is drawn.
    """
    if trained is None or split is None or split.labels.ndim == 2 or len(split) < 4:
        return Section("features", "Feature geometry", missing=MISSING)
    encoders = _encoders(trained, pretrained, seed)
    steps = _representations(trained, split, encoders)
    named = f"{names[trained.source]} on {trained.spec.data}, seed {trained.spec.seed}"
    figures = [
        _figure(trained, split, steps["encoder"], method, named, seed=seed) for method in methods
    ]
    augment = AugmentConfig(**(pretrained.config["augment"] if pretrained else {}))
    rows = []
    for name, values in steps.items():
        views = None
        if name in encoders:
            views = view_features(encoders[name], split.images, augment, seed=seed)
        found = geometry(values, split.labels, views=views, seed=seed)
        rows.append([NAMED[name], *(_value(found, key) for key in MEASURES)])
    sources = (trained.source, *(() if pretrained is None else (pretrained,)))
    measures = table(
        f"Geometry of representations of {min(len(split), MOST_IMAGES)} test images. Distances "
        f"are cosine distances (angles are taken from pi/2, where Z is 0); kNN ({NEIGHBOURS} "
        "neighbours, fewer where a class is small; leave one out) is to be read against the share "
        "of the largest class; the linear probe is cross-validated on these images; effective rank "
        "is the number of directions in use, and grows with the images; alignment is the mean "
        "squared distance of two random views of an image, as "
        f"{'its' if pretrained else 'the default'} pretraining makes them, and the lower the "
        "uniformity, the more evenly the images are spread. Without intervals: small differences "
        "mean nothing.",
        ("representation", *MEASURES.values()),
        rows,
        sources,
    )
    return Section("features", "Feature geometry", (*figures, measures, _alike(steps)), MISSING)


NAMED = {
    "untrained": "encoder with random weights",
    "pretrained": "after pretraining",
    "encoder": "encoder of this model",
    "before": "before the layer (angles)",
    "after": "after the layer (its outputs)",
}


def _encoders(trained: Trained, pretrained: Source | None, seed: int) -> dict[str, Encoder]:
    """One with random weights, the one after pretraining, and the one in the model.

    All see the part of an image, at the size, that the model sees.
    """
    own = trained.model.encoder
    found = {"untrained": random_encoder_like(own, seed).eval()}
    if pretrained is not None and not trained.run.freeze_encoder:
        before = load_encoder(pretrained.folder).eval()
        same: dict[str, object] = {"image_size": own.spec.image_size, "crop_pct": own.spec.crop_pct}
        if before.spec.normalised_by_set:
            same |= {"mean": own.spec.mean, "std": own.spec.std}
        before.spec = before.spec.model_copy(update=same)
        found["pretrained"] = before
    return found | {"encoder": own}


def _representations(
    trained: Trained, split: ImageSplit, encoders: Mapping[str, Encoder]
) -> dict[str, Floats]:
    """`(images, features)` of each encoder, and what goes into the head's layer and comes out."""
    steps: dict[str, Floats] = {
        name: image_features(encoder, split.images).double().numpy()
        for name, encoder in encoders.items()
    }
    model = trained.model
    own = image_features(model.encoder, split.images, of=model.features)
    around = around_layer(model.head, own)
    if around is not None:
        angles, outputs = around
        # Cosine distances need an origin: that of the angles is where the expectation value is 0.
        steps |= {"before": angles - np.pi / 2, "after": outputs}
    return steps


def _alike(steps: Mapping[str, Floats]) -> Text:
    """How alike neighbouring representations are."""
    told = []
    for (one, first), (two, second) in pairwise(steps.items()):
        value = compare(first, second)["cka_debiased"]
        shown = "undefined" if value is None else f"{value:.3f}"
        told.append(f"{NAMED[one]} and {NAMED[two]}: {shown}")
    return Text(
        f"{'; '.join(told)}. 1 is alike up to a rotation and a scale, 0 unrelated.",
        "CKA (linear, debiased)",
    )


def _figure(
    trained: Trained,
    split: ImageSplit,
    values: Floats,
    method: Literal["tsne", "umap"],
    named: str,
    *,
    seed: int,
) -> Figure:
    labels = split.labels
    if len(labels) > MOST_DRAWN:
        chosen = np.random.default_rng(seed).choice(len(labels), MOST_DRAWN, replace=False)
        values, labels = values[chosen], labels[chosen]
    points = embed(values, method, seed=seed)
    names = trained.spec.class_names
    counts = [int((labels == k).sum()) for k in range(len(names))]
    many = ", ".join(f"{count} {label}" for count, label in zip(counts, names, strict=True))

    def plot(figure: MplFigure) -> None:
        scatter(figure.subplots(), points, labels, names)
        legend_below(figure)

    return drawing(
        f"embedding-{method}",
        f"{NAMES[method]} of the encoder's features",
        [
            f"{len(labels)} test images ({many}) as points of two coordinates.",
            "The table below says in figures how far the classes lie apart.",
        ],
        plot,
        f"One point for each of {len(labels)} test images, of {named}. Judge by the table below: "
        "distances and sizes of clusters in such a picture mean nothing, and another seed draws "
        "another one.",
        [trained.source],
        about=named,
    )


def _value(found: Mapping[str, float | int | None], key: str) -> float | str:
    value = found.get(key, "not taken")
    return "undefined" if value is None else value
