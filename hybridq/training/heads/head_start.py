"""Initial weights of a head: those of a penalised regression on the labelled features.

A head that is drawn at random has to find a few directions among a thousand features by a few dozen
labels, and ends well below a penalised regression on the same features. Begun at that regression,
it ranks images nearly as the regression does before its first step, and is trained from there.
Linear probing before fine-tuning (Kumar et al., arXiv:2202.10054) does the same for an encoder.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hybridq.config import FinetuneConfig
from hybridq.errors import InvalidValueError
from hybridq.models.classifier import HybridClassifier
from hybridq.models.heads import HEADS, is_fitted
from hybridq.models.reducers import reducer_of
from hybridq.models.searched_regression import (
    BELOW,
    drawn_by_class,
    folds_of,
    mean_and_scale,
    searched_regression,
)
from hybridq.quantum.modules import running_on
from hybridq.training.objectives.supervised import Supervised
from hybridq.training.seeding import derive_seed
from hybridq_backends import open_backend

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1)
"""Values of scikit-learn's C that are tried; weaker penalties take long, and are hardly chosen."""
FOLDS = 3
"""Most parts of the cross-validation by which the penalty is chosen."""
MOST_IMAGES = 1000
"""About the most labelled images that the regression is fitted to."""
FEWEST = 10
"""Images that are drawn of a class, where it has as many."""
REGRESSION_RATE, FEW_LABELS_RATE = 1e-3, 1e-4
"""Peak rates of a head that begins at a regression, and with few labels."""
FEW_LABELS = 300
"""Labelled images from which on there are more than few."""


@dataclass(frozen=True)
class Regression:
    """Logits that are linear in the features.

    Attributes:
        weight: `(classes, in_features)`.
        bias: `(classes,)`.
    """

    weight: Floats
    bias: Floats

    def logits(self, features: Floats) -> Floats:
        """Compute `(images, classes)` from `(images, in_features)`."""
        found: Floats = features @ self.weight.T + self.bias
        return found

    def before(self, mean: Floats, scale: Floats) -> Regression:
        """Take the standardisation of the features, `(in_features,)` each, into the weights."""
        weight = self.weight / scale
        return Regression(weight, self.bias - weight @ mean)


def labelled_regression(
    features: Floats,
    labels: Ints,
    num_classes: int,
    *,
    groups: NDArray[Any] | None = None,
    seed: int = 0,
) -> Regression:
    """Fit a logistic regression with balanced classes, its penalty searched within the labels.

    Args:
        features: `(images, in_features)`, standardised; of more than a thousand images, about as
            many are drawn, class by class.
        labels: `(images,)` classes, or `(images, classes)` of 0 and 1.
        num_classes: Number of classes.
        groups: `(images,)` patients or slides, which are not cut apart in the search.
        seed: The seed of the search's cut, and of the images drawn.
    """
    if len(labels) > MOST_IMAGES:
        kept = drawn_by_class(labels, MOST_IMAGES, FEWEST, np.random.default_rng(seed))
        features, labels = features[kept], labels[kept]
        groups = None if groups is None else groups[kept]
    if labels.ndim == 1 and len(present := np.unique(labels)) == 1:
        bias = np.where(np.arange(num_classes) == present[0], 0.0, -BELOW)
        return Regression(np.zeros((num_classes, features.shape[1])), bias)
    folds = folds_of(labels, groups, seed=seed, most=FOLDS)
    found = searched_regression(features, labels, num_classes, folds, penalties=PENALTIES)
    return Regression(*found.linear())


def can_begin_at_regression(head: nn.Module, num_classes: int) -> bool:
    """Whether a head has a linear classifier of so many logits, and is not fitted as a whole."""
    classifier = getattr(head, "classifier", None)
    of_logits = isinstance(classifier, nn.Linear) and classifier.out_features == num_classes
    return of_logits and not is_fitted(head)


@torch.no_grad()
def begin_at_regression(
    head: nn.Module, regression: Regression, features: Tensor, labelled: Ints
) -> None:
    """Give a head the weights with which its logits are nearest to those of a regression.

    Rows of a trained reducer become the regression's weights; with more classes than rows, the
    directions in which its logits vary most. Rows that are left stay as they are drawn, and so does
    the block. Then the classifier is fitted by least squares to the regression's logits. A head
    that is linear in the features is the regression.

    Args:
        head: A head with a `classifier`, and a `reducer` where it has a bottleneck.
        regression: A regression on the features as the head is given them.
        features: `(images, in_features)`, of all images whose features are there.
        labelled: Indices of those with labels, by which batch norm is set.

    Raises:
        InvalidValueError: If the head does not end in a linear classifier.
    """
    if not can_begin_at_regression(head, len(regression.bias)):
        raise no_classifier(head)
    training = head.training
    head.eval()
    reducer = reducer_of(head)
    if reducer is not None and reducer.is_trained:
        turned = reducer.weight.clone()
        _turn(turned, regression.weight)
        reducer.take(turned)
    if reducer is not None and not reducer.frozen:
        reduced = features[torch.from_numpy(labelled).to(features.device)] @ reducer.weight.mT
        statistics = dict(reducer.norm.named_buffers())
        statistics["running_mean"].copy_(reduced.mean(dim=0))
        statistics["running_var"].copy_(reduced.var(dim=0))
    _fit_classifier(head, regression, features)
    head.train(training)


def no_classifier(head: nn.Module) -> InvalidValueError:
    """The error of a head that cannot begin at a regression."""
    return InvalidValueError(
        "Expected a head that ends in a linear `classifier` and is trained, to begin it at a "
        f"regression, got {type(head).__name__}: begin with random weights (`head_start` random)."
    )


def _turn(weight: Tensor, wanted: Floats) -> None:
    """Turn the first rows to wanted directions; their lengths stay."""
    if len(wanted) == 2 and np.allclose(wanted[0], -wanted[1]):
        wanted = wanted[1:]
    if len(wanted) > len(weight):
        wanted = np.linalg.svd(wanted, full_matrices=False)[2][: len(weight)]
    length = np.linalg.norm(wanted, axis=1)
    wanted = wanted[length > 0] / length[length > 0, None]
    rows = weight[: len(wanted)]
    rows.copy_(torch.from_numpy(wanted).to(rows) * rows.norm(dim=1, keepdim=True))


def _fit_classifier(head: nn.Module, regression: Regression, features: Tensor) -> None:
    """Fit the classifier to the regression's logits on features `(images, in_features)`."""
    seen: list[tuple[Tensor, Tensor]] = []
    classifier: Any = head.classifier
    hook = classifier.register_forward_hook(lambda _, given, out: seen.append((given[0], out)))
    try:
        logits = head(features)
    finally:
        hook.remove()
    if len(seen) != 1 or not torch.equal(seen[0][1], logits):
        raise no_classifier(head)
    weight, bias = regression.weight, regression.bias
    if not torch.equal(seen[0][0], features):
        inputs = seen[0][0].double().cpu().numpy()
        inputs = np.concatenate([inputs, np.ones((len(inputs), 1))], axis=1)
        # Not by `logits`: in double, all features would be copied for each of many heads.
        wanted = features @ torch.from_numpy(weight.T).to(features)
        found = np.linalg.lstsq(inputs, wanted.double().cpu().numpy() + bias, rcond=None)[0]
        weight, bias = found[:-1].T, found[-1]
    classifier.weight.copy_(torch.from_numpy(weight).to(classifier.weight))
    if classifier.bias is not None:
        classifier.bias.copy_(torch.from_numpy(bias).to(classifier.bias))


def settled(
    config: FinetuneConfig, model: HybridClassifier, *, labelled: int, num_classes: int, own: bool
) -> FinetuneConfig:
    """Settle where a head begins and its rate, where these were left open.

    A regression is the start of the package's heads on a frozen encoder: others may hold weights
    that are to be kept. From there a small rate keeps what the regression has, which is best with
    few labels (`benchmarks/head_start.py`).

    Args:
        config: The config of the training.
        model: What is trained.
        labelled: Number of labelled images.
        num_classes: Number of logits.
        own: Whether the head was handed over.

    Returns:
        The settings, with `head_start` and `head_learning_rate` set.

    Raises:
        InvalidValueError: If the head cannot begin at the regression that is asked for.
    """
    start = config.head_start
    if start == "auto":
        is_ours = not own and config.head.name in HEADS and not config.keeps_head
        can = can_begin_at_regression(model.head, num_classes) and len(model.feature_shape) == 1
        start = "regression" if config.freeze_encoder and is_ours and can else "random"
    elif start == "regression":
        _check_regression(config, model, num_classes)
    rate = config.head_rate
    if config.head_learning_rate is None and config.freeze_encoder and start == "regression":
        rate = FEW_LABELS_RATE if labelled < FEW_LABELS else REGRESSION_RATE
    return config.model_copy(update={"head_start": start, "head_learning_rate": rate})


def _check_regression(config: FinetuneConfig, model: HybridClassifier, num_classes: int) -> None:
    """Refuse a head that cannot begin at a regression, before any work is done.

    Raises:
        InvalidValueError: If it cannot.
    """
    if config.keeps_head:
        raise InvalidValueError(
            f"Expected --head-start regression without --start, got --start {config.start}, whose "
            "head has its weights: leave out one or the other, or take other --start-blocks."
        )
    if not config.freeze_encoder and model.encoder.spec.weights == "none":
        raise InvalidValueError(
            "Expected an encoder that has been pretrained, or --freeze-encoder, with --head-start "
            "regression, got one that is trained from scratch, whose features do not last: leave "
            "out --head-start."
        )
    if not can_begin_at_regression(model.head, num_classes):
        raise no_classifier(model.head)
    if len(model.feature_shape) != 1:
        raise InvalidValueError(
            "Expected a head that takes vectors of features, for --head-start regression, got one "
            f"that takes feature maps {tuple(model.feature_shape)}: leave out --head-start."
        )


def start_head(objective: Supervised, groups: NDArray[Any] | None) -> None:
    """Begin the head of a training at the regression on its labelled features.

    The features are those of whole images by the encoder as it is.

    Args:
        objective: Holds the model and the labelled images.
        groups: `(images,)` patients or slides.
    """
    config, count = objective.config, objective.num_labelled
    features = objective.train_inputs[:count]  # without rows that were made of others
    start_at_regression(
        objective.model.head,
        features if config.freeze_encoder else objective.features_of(features),
        objective.train_labels[:count].numpy(),
        objective.num_classes,
        groups=groups,
        seed=derive_seed(config.seed, 9) % 2**32,
    )
    objective.model.train(objective.model.training)  # what is frozen, and no more, stays as it is


def start_at_regression(
    head: nn.Module,
    features: Tensor,
    labels: Ints,
    num_classes: int,
    *,
    groups: NDArray[Any] | None = None,
    seed: int = 0,
) -> None:
    """Fit the regression to features as they are, and begin a head there.

    A circuit is computed exactly for it, whatever it is trained on.

    Args:
        head: As `begin_at_regression` takes it.
        features: `(images, in_features)`, all with labels.
        labels: `(images,)` classes, or `(images, classes)` of 0 and 1.
        num_classes: Number of classes.
        groups: `(images,)` patients or slides.
        seed: The seed of the search for the penalty.

    Raises:
        InvalidValueError: If the head does not end in a linear classifier.
    """
    points = features.double().cpu().numpy()
    mean, scale = mean_and_scale(points)
    points = (points - mean) / scale
    regression = labelled_regression(points, labels, num_classes, groups=groups, seed=seed)
    with open_backend("statevector") as exact, running_on(head, exact):
        begin_at_regression(head, regression.before(mean, scale), features, np.arange(len(labels)))
