"""What a representation looks like in figures: how far apart classes lie, how much room is used.

Figures of features `(images, features)` before and after pretraining, or before and after the
quantum layer. Distances are cosine distances, by which NT-Xent compares projections of the
features, except that the linear probe sees the features themselves. A picture in two dimensions
(`embed`) shows such figures and never replaces them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hybridq.errors import InvalidValueError, UnavailableError
from hybridq.evaluation.metrics.scores import auc
from hybridq.utils.files import without_nan
from hybridq.utils.finite import check_finite
from hybridq.utils.ranks import rank_of

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_IMAGES = 5000
"""Images that the figures of all pairs are computed from; of more, so many are drawn."""
NEIGHBOURS = 20
FOLDS = 5


def geometry(
    features: NDArray[np.floating[Any]],
    labels: Ints | None = None,
    *,
    views: tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]]] | None = None,
    seed: int = 0,
) -> dict[str, float | int | None]:
    """All figures of one representation, ready for JSON: what is undefined is None.

    Args:
        features: `(images, features)`, of at least 2 images.
        labels: `(images,)` classes; without them there are no figures of classes.
        views: features of two random views of the same images, `(images, features)` each, for
            the alignment (see `representations.view_features`).
        seed: of the folds, and of the images drawn where there are more than `MOST_IMAGES`.

    Returns:
        `images`, `features`, `effective_rank`, `uniformity`; with labels `silhouette`,
        `knn_accuracy`, `majority_accuracy` (what always naming the largest class would reach) and
        `probe_auc`; with views `alignment`.

    Raises:
        InvalidValueError: if a shape does not fit, or a feature is NaN or infinite.
    """
    features = _checked("features", features)
    count, width = features.shape
    if labels is not None and labels.shape != (count,):
        raise InvalidValueError(
            f"Expected labels of shape ({count},), got {labels.shape}: give one class for each "
            "image, or none for images of several labels."
        )
    figures: dict[str, float | int] = {"images": count, "features": width}
    if views is not None:
        figures["alignment"] = alignment(*views)
    if count > MOST_IMAGES:
        chosen = np.sort(np.random.default_rng(seed).choice(count, MOST_IMAGES, replace=False))
        features, labels = features[chosen], None if labels is None else labels[chosen]
        figures["images"] = MOST_IMAGES
    figures["effective_rank"] = effective_rank(features)
    figures["uniformity"] = uniformity(features)
    if labels is not None:
        figures["silhouette"] = silhouette(features, labels)
        figures["knn_accuracy"] = knn_accuracy(features, labels)
        figures["majority_accuracy"] = float(
            np.unique(labels, return_counts=True)[1].max() / len(labels)
        )
        figures["probe_auc"] = probe_auc(features, labels, seed=seed)
    result: dict[str, float | int | None] = without_nan(figures)
    return result


def compare(
    before: NDArray[np.floating[Any]], after: NDArray[np.floating[Any]]
) -> dict[str, float | int | None]:
    """How alike two representations of the same images are, ready for JSON.

    Args:
        before: `(images, features)`.
        after: `(images, other features)`, rows in the same order.

    Returns:
        `images`, `cka`, and `cka_debiased`, the one to read: with few images and many features
        the first is near 1 even for unrelated representations.
    """
    return without_nan(  # type: ignore[no-any-return]
        {
            "images": len(before),
            "cka": linear_cka(before, after),
            "cka_debiased": linear_cka(before, after, debiased=True),
        }
    )


def silhouette(features: Floats, labels: Ints) -> float:
    """Mean silhouette of the images by class, in cosine distance, in [-1, 1]; NaN if undefined.

    Rousseeuw, J. Comput. Appl. Math. 20 (1987) 53. At least two classes, and fewer than images.
    """
    from sklearn.metrics import silhouette_score

    if not 2 <= len(np.unique(labels)) < len(labels):
        return float("nan")
    return float(silhouette_score(_unit(features), labels, metric="cosine"))


def knn_accuracy(features: Floats, labels: Ints, *, neighbours: int = NEIGHBOURS) -> float:
    """Share of images whose class is that of most of their nearest others, in cosine distance.

    Leave-one-out: an image is not its own neighbour. Of classes with as many neighbours the first
    is taken. No more neighbours vote than an image of the rarest class has of its own class, so
    that classes far apart give 1 whatever their sizes; NaN where a class is one image. Leaving
    an image out makes its own class rarer among the others: where features say nothing, two
    classes of 20 images each give about 0.44, not 0.5, and of 80 about 0.49.
    """
    from sklearn.neighbors import NearestNeighbors

    classes, index, counts = np.unique(labels, return_inverse=True, return_counts=True)
    neighbours = min(neighbours, int(counts.min()) - 1)
    if neighbours < 1:
        return float("nan")
    tree = NearestNeighbors(n_neighbors=neighbours, metric="cosine")
    near = tree.fit(_unit(features)).kneighbors(return_distance=False)
    votes = np.eye(len(classes))[index][near].sum(axis=1)
    return float((votes.argmax(axis=1) == index).mean())


def probe_auc(features: Floats, labels: Ints, *, seed: int = 0, folds: int = FOLDS) -> float:
    """AUC of logistic regression on held-out images, the mean over stratified folds.

    Alain & Bengio, arXiv:1610.01644. Features are standardised on the other folds and divided by
    the root of their number, so that the penalty (C = 1, never tuned) means the same whatever the
    width. There are no more folds than images of the rarest class; NaN where that is one image,
    or where there is one class.
    """
    from sklearn.model_selection import StratifiedKFold

    classes, index, counts = np.unique(labels, return_inverse=True, return_counts=True)
    folds = min(folds, int(counts.min()))
    if len(classes) < 2 or folds < 2:
        return float("nan")
    splits = StratifiedKFold(folds, shuffle=True, random_state=seed)
    return float(np.mean(probe_scores(features, index, splits.split(features, index))))


def probe_scores(features: Floats, index: Ints, parts: Iterable[tuple[Ints, Ints]]) -> list[float]:
    """AUC of the logistic regression of `probe_auc`, for each part.

    Args:
        features: `(images, features)`.
        index: `(images,)` classes, counted from 0, all of them in each part.
        parts: indices of the images to fit on, and of those to read.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    # An untrained encoder's features can be 1e-10, which a tolerance might take for 0.
    features = _standard(features) * np.sqrt(features.size)
    scores = []
    for train, test in parts:
        # C = 1 on features divided by the root of their number is C / number on the others.
        model = make_pipeline(
            StandardScaler(),
            LogisticRegression(C=1 / features.shape[1], class_weight="balanced", max_iter=2000),
        ).fit(features[train], index[train])
        scores.append(auc(index[test], model.predict_proba(features[test])))
    return scores


def alignment(
    first: NDArray[np.floating[Any]], second: NDArray[np.floating[Any]], *, power: float = 2.0
) -> float:
    """Mean distance of two views of an image to the given power; 0 is perfect.

    Wang & Isola, arXiv:2005.10242, of features of length 1; with the second power at
    most 4.

    Args:
        first: features of one view, `(images, features)`.
        second: features of the other, rows in the same order.
        power: of the distance.
    """
    first, second = _pair(first, second)
    if first.shape != second.shape:
        raise InvalidValueError(
            f"Expected two views of one shape, got {first.shape} and {second.shape}: take both "
            "from one encoder."
        )
    gaps = np.linalg.norm(_unit(first) - _unit(second), axis=1)
    return float((gaps**power).mean())


def uniformity(features: NDArray[np.floating[Any]], *, scale: float = 2.0) -> float:
    """Logarithm of the mean of `exp(-scale * distance**2)` over all pairs; the lower the better.

    Wang & Isola, arXiv:2005.10242, of features of length 1: 0 where all are equal,
    and never below `-4 * scale`.
    """
    from scipy.spatial.distance import pdist

    squares = pdist(_unit(_checked("features", features)), "sqeuclidean")
    return float(np.log(np.exp(-scale * squares).mean()))


def effective_rank(features: NDArray[np.floating[Any]]) -> float:
    """Number of directions in use: exp of the entropy of the singular values over their sum.

    Roy & Vetterli, EUSIPCO 2007, of the centred features, so that a constant does
    not count: from 1 to `min(images - 1, features)`, and 0 where nothing varies.
    """
    features = _checked("features", features)
    return rank_of(np.linalg.svd(_standard(features), compute_uv=False))


def linear_cka(
    first: NDArray[np.floating[Any]], second: NDArray[np.floating[Any]], *, debiased: bool = False
) -> float:
    """Centred kernel alignment with the linear kernel; NaN where one of the two is constant.

    Kornblith et al., arXiv:1905.00414: 1 for representations that are equal up to a
    rotation, a scale and a shift. Debiased, with the unbiased estimate of HSIC (Song et al.,
    JMLR 13 (2012) 1393; Nguyen et al., arXiv:2010.15327), its mean is near
    0 for unrelated ones, and it may be slightly negative; it needs 4 images.

    Args:
        first: `(images, features)`.
        second: `(images, other features)`, rows in the same order.
        debiased: whether to use the unbiased estimate.
    """
    first, second = _pair(first, second)
    if debiased and len(first) < 4:
        return float("nan")
    hsic = _unbiased_hsic if debiased else _biased_hsic
    first, second = _standard(first), _standard(second)
    product = hsic(first, first) * hsic(second, second)
    return float(hsic(first, second) / np.sqrt(product)) if product > 0 else float("nan")


def _biased_hsic(first: Floats, second: Floats) -> float:
    return float(((first.T @ second) ** 2).sum())


def _unbiased_hsic(first: Floats, second: Floats) -> float:
    """Compute it without the kernels `(images, images)` of centred features, their diagonals 0."""
    count = len(first)
    own, others = (first**2).sum(axis=1), (second**2).sum(axis=1)
    # Centred features sum to 0, so the rows of each kernel sum to minus what its diagonal held.
    trace = ((first.T @ second) ** 2).sum() - own @ others
    total = own.sum() * others.sum() / ((count - 1) * (count - 2))
    return float(trace + total - 2 * (own @ others) / (count - 2)) / (count * (count - 3))


def embed(
    features: NDArray[np.floating[Any]],
    method: Literal["tsne", "umap"] = "tsne",
    *,
    seed: int = 0,
) -> Floats:
    """Two coordinates for each image, to be drawn; distances between clusters mean nothing.

    Args:
        features: `(images, features)`, of at least 4 images.
        method: `tsne` (van der Maaten & Hinton, JMLR 9 (2008) 2579) or `umap` (McInnes et al.,
            arXiv:1802.03426), which needs the extra `report`.
        seed: of the method.

    Returns:
        `(images, 2)`.

    Raises:
        InvalidValueError: if the method is unknown or there are too few images.
        UnavailableError: if `umap` is asked for and umap-learn is not installed.
    """
    features = _checked("features", features)
    count = len(features)
    if count < 4:
        raise InvalidValueError(f"Expected at least 4 images to draw, got {count}: give more.")
    if method == "tsne":
        from sklearn.manifold import TSNE

        perplexity = min(30.0, (count - 1) / 3)
        model: Any = TSNE(perplexity=perplexity, init="pca", metric="cosine", random_state=seed)
    elif method == "umap":
        try:
            from umap import UMAP
        except ImportError as error:
            raise UnavailableError(
                "Expected umap-learn for an embedding by 'umap', got none installed: "
                "pip install umap-learn, or take 'tsne'."
            ) from error
        # The spectral start needs more images than that; one job, or the seed does not count.
        start = "spectral" if count > 15 else "random"
        model = UMAP(
            n_neighbors=min(15, count - 1), metric="cosine", init=start, random_state=seed, n_jobs=1
        )
    else:
        raise InvalidValueError(
            f"Expected `method` tsne or umap, got {method!r}: choose one of them."
        )
    return np.asarray(model.fit_transform(_unit(features)), dtype=np.float64)


def _unit(features: Floats) -> Floats:
    """Rows of length 1; a row of zeros stays one."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    unit: Floats = features / np.where(lengths > 0, lengths, 1)
    return unit


def _standard(features: Floats) -> Floats:
    """Centred, and of norm 1 over all images unless constant, so that no product overflows.

    Networks compute in single precision: what varies by less than its last digit is constant.
    """
    centred = features - features.mean(axis=0)
    norm = float(np.linalg.norm(centred))
    least = float(np.finfo(np.float32).eps) * float(np.linalg.norm(features))
    return centred / norm if norm > least else np.zeros_like(centred)


def _checked(name: str, features: NDArray[np.floating[Any]]) -> Floats:
    if features.ndim != 2 or len(features) < 2 or features.shape[1] < 1:
        raise InvalidValueError(
            f"Expected {name} of shape (images, features) with at least 2 images, got "
            f"{features.shape}: give one row for each image."
        )
    check_finite(name, features)
    return features.astype(np.float64)


def _pair(
    first: NDArray[np.floating[Any]], second: NDArray[np.floating[Any]]
) -> tuple[Floats, Floats]:
    first, second = _checked("features", first), _checked("features", second)
    if len(first) != len(second):
        raise InvalidValueError(
            f"Expected the same images twice, got {len(first)} and {len(second)}: give rows in "
            "the same order."
        )
    return first, second
