"""Heads as scikit-learn classifiers, on arrays of features."""

from __future__ import annotations

import copy
import math
import reprlib
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Self, TypeAlias, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor, nn

from hybridq.config import HeadConfig
from hybridq.config.complaints import part_config
from hybridq.errors import HybridqError, InvalidValueError
from hybridq.models.classifier import probabilities
from hybridq.models.heads import build_head, head_entry, is_fitted
from hybridq.models.heads.handed import check_head, like
from hybridq.models.reducers import reducer_of
from hybridq.quantum.modules import use_backend
from hybridq.training.heads.head import train_head
from hybridq.training.heads.head_start import (
    can_begin_at_regression,
    no_classifier,
    start_at_regression,
)
from hybridq.training.seeding import derive_seed, step_generator
from hybridq_backends import open_backend

if TYPE_CHECKING:
    from hybridq.quantum.modules import AnyBackend
    from hybridq_backends import BackendLike

Head: TypeAlias = str | HeadConfig | nn.Module | Callable[[int, int], nn.Module]
"""A head by name, by config, as a module, or as what makes one of two sizes."""

LEAST = {"steps": 2, "learning_rate": 0.0, "quantum_learning_rate": 0.0, "weight_decay": 0.0}
"""Least values of the parameters that are numbers."""

OPTION = "head__"
"""How the names of a head's options begin among the parameters, as scikit-learn nests them."""


class FeatureClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier of feature vectors with scikit-learn's contract, around any head.

    It works wherever scikit-learn takes a classifier: in `cross_val_score`, `GridSearchCV` and a
    `Pipeline`. A head with a `fit(features, labels)` of its own is fitted in closed form; any other
    is trained as `hybridq finetune` trains a head on a frozen encoder: AdamW with a one-cycle
    schedule on batches of 32, and cross-entropy in which each class weighs the same.

    The options of a head are parameters too, named `head__num_qubits` and so on, so that
    `set_params` and a grid reach them.

    Args:
        head: A name in `HEADS`, `package.module:entry`, the config of a head, a torch module from
            features `(batch, num_features)` to logits `(batch, num_classes)`, or a function of
            `(num_features, num_classes)` that makes one. A module is copied, and begins with the
            weights that it has.
        head_options: What the head can be told, by name, such as `{"num_qubits": 6}`; only for a
            head that is named or described by a config.
        backend: Where circuits run, as `open_backend` takes it: a profile's name, a spec, an open
            executable, a Qiskit backend or an `EstimatorV2`. What a name opens stays open for
            `predict`.
        steps: Optimiser steps, at least 2; closed forms take none.
        learning_rate: Peak rate, of all but the circuit; above that of the commands, whose
            encoders have a thousand features and not ten.
        quantum_learning_rate: Peak rate of the circuit's weights, or of the block in its place; at
            0 they stay as they are drawn.
        weight_decay: The weight decay of matrices outside the circuit.
        head_start: `random`, or `regression`: a head begins at a logistic regression on the
            samples, whose penalty is searched by cutting them at random; lower rates, 1e-4 to
            1e-3, then keep what it has. A module loses the weights of its classifier, and of its
            reducer, that it came with.
        standardize: Whether each feature is brought to mean 0 and variance 1, as measured on the
            training data. The commands leave features as the encoder gives them.
        random_state: Seed of initial weights and of the order of the samples; None draws one.

    Attributes:
        classes_: The classes, `(num_classes,)`, sorted.
        n_features_in_: Number of features.
        feature_names_in_: Names of the features, where a data frame has them.
        head_: The trained head, a torch module in evaluation mode.
        scaler_: What standardises features; None without.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.model_selection import GridSearchCV
        >>> from hybridq.training.feature_classifier import FeatureClassifier
        >>> features, labels = load_iris(return_X_y=True)
        >>> quantum = FeatureClassifier("pqc", steps=60)
        >>> search = GridSearchCV(quantum, {"head__num_qubits": [1, 2]}, cv=2)
        >>> bool(search.fit(features, labels).best_score_ > 0.7)
        True
        >>> search.predict_proba(features[:5]).shape
        (5, 3)
    """

    def __init__(
        self,
        head: Head = "pqc",
        *,
        head_options: Mapping[str, Any] | None = None,
        backend: BackendLike = "statevector",
        steps: int = 200,
        learning_rate: float = 2e-2,
        quantum_learning_rate: float = 5e-2,
        weight_decay: float = 1e-2,
        head_start: str = "random",
        standardize: bool = True,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.head = head
        self.head_options = head_options
        self.backend = backend
        self.steps = steps
        self.learning_rate = learning_rate
        self.quantum_learning_rate = quantum_learning_rate
        self.weight_decay = weight_decay
        self.head_start = head_start
        self.standardize = standardize
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit a new head to features and labels.

        Args:
            X: Features, `(num_samples, num_features)`.
            y: Labels, `(num_samples,)`: numbers or texts, of at least two classes.

        Returns:
            The classifier itself.

        Raises:
            InvalidValueError: If a parameter is out of range, there is one class only, or the head
                is unknown or does not fit features, classes or backend.
        """
        self._check_params()
        features, labels = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(labels)
        self.classes_, targets = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise InvalidValueError(
                f"Expected labels of at least two classes, got one class ({self.classes_[0]!r}): "
                "add samples of another."
            )
        self.scaler_ = StandardScaler().fit(features) if self.standardize else None
        seed = self._seed()
        head = self._new_head(seed)
        self._train(head, self._tensor(head, features), torch.from_numpy(targets), seed)
        self.head_ = head.eval()
        return self

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Compute logits `(num_samples, num_classes)`.

        Of two classes it is the second's less the first's, `(num_samples,)`.
        """
        logits = self._logits(X).numpy()
        return logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Compute the probability of each class, `(num_samples, num_classes)`."""
        probs: NDArray[np.float64] = probabilities(self._logits(X), multilabel=False).numpy()
        return probs

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Name the likeliest class of each sample, `(num_samples,)`."""
        likeliest = self._logits(X).argmax(dim=1).numpy()
        named: NDArray[Any] = self.classes_[likeliest]
        return named

    def use_backend(self, backend: AnyBackend) -> Self:
        """Let the fitted head run on another backend from now on, with the weights it has."""
        check_is_fitted(self)
        use_backend(self.head_, backend)
        return self

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the parameters by name, with `deep` also the options of a head that has any."""
        params: dict[str, Any] = super().get_params(deep=False)
        if not deep:
            return params
        try:
            options = _config(self.head, self.head_options).model_dump(exclude={"name"})
        except HybridqError:  # a head without options, or with wrong ones, which `fit` tells
            return params
        return params | {OPTION + name: value for name, value in options.items()}

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name, those of the head as `head__num_qubits=6`."""
        options = {
            name.removeprefix(OPTION): params.pop(name)
            for name in list(params)
            if name.startswith(OPTION)
        }
        super().set_params(**params)
        if options:
            self.head_options = {**(self.head_options or {}), **options}
        return self

    def __sklearn_clone__(self) -> Self:
        """Make a classifier that is not fitted, with the same parameters and the same backend."""
        params = self.get_params(deep=False)
        kept = {"backend": params.pop("backend")}
        return type(self)(**copy.deepcopy(params), **kept)

    def _check_params(self) -> None:
        """Refuse what are no numbers, or out of range."""
        for name, least in LEAST.items():
            value: Any = getattr(self, name)
            whole = isinstance(least, int)
            number = isinstance(value, Integral if whole else Real)
            if not number or not least <= value < math.inf:
                word = "an integer" if whole else "a number"
                raise InvalidValueError(
                    f"Expected `{name}` as {word} of at least {least}, got {value!r}: correct it."
                )
        if self.head_start not in ("random", "regression"):
            raise InvalidValueError(
                "Expected `head_start` as 'random' or 'regression', got "
                f"{reprlib.repr(self.head_start)}: take one of them."
            )

    def _seed(self) -> int:
        """Turn `random_state` into a seed."""
        given: Any = self.random_state
        if isinstance(given, Integral):
            return int(given)
        return int(check_random_state(given).randint(2**31 - 1))

    def _new_head(self, seed: int) -> nn.Module:
        """Make the head as training begins with it; one that has a name computes in double."""
        num_features, num_classes = self.n_features_in_, len(self.classes_)
        if isinstance(self.head, str | HeadConfig):
            config = _config(self.head, self.head_options)
            if head_entry(config.name).input != "vector":
                raise InvalidValueError(
                    f"Expected a head that takes feature vectors, got {config.name!r}, which takes "
                    "feature maps: choose another."
                )
            return build_head(
                num_features,
                num_classes,
                config,
                backend=open_backend(self.backend),
                generator=torch.Generator().manual_seed(derive_seed(seed, 1)),
            ).double()
        if self.head_options:
            raise InvalidValueError(
                "Expected `head_options` only with the name or the config of a head, got them with "
                f"{self.head!r}: make the module as it should be."
            )
        if isinstance(self.head, nn.Module):
            head = copy.deepcopy(self.head)
        elif callable(self.head):
            with step_generator(seed, 1):
                head = self.head(num_features, num_classes)
        else:
            raise _no_head(self.head)
        if not isinstance(head, nn.Module):
            raise _no_head(head)
        check_head(head, (num_features,), num_classes, like(head).dtype)
        return head

    def _train(self, head: nn.Module, features: Tensor, labels: Tensor, seed: int) -> None:
        """Fit a head in place: by its own `fit`, or by gradient."""
        labels = labels.to(features.device)
        starts = self.head_start == "regression"
        if starts and not can_begin_at_regression(head, len(self.classes_)):
            raise no_classifier(head)
        if is_fitted(head):
            with torch.no_grad():
                head.eval().fit(features, labels)  # type: ignore[operator]
            return
        reducer = reducer_of(head)
        if reducer is not None and not reducer.is_ready:
            reducer.fit(features)
        if not any(weight.requires_grad for weight in head.parameters()):
            raise InvalidValueError(
                f"Expected a head with weights to train or a `fit`, got {type(head).__name__} with "
                "neither: set `requires_grad`, or give it a `fit(features, labels)`."
            )
        if starts:
            start_at_regression(
                head, features, labels.cpu().numpy(), len(self.classes_), seed=seed % 2**32
            )
        train_head(
            head,
            features,
            labels,
            num_classes=len(self.classes_),
            steps=self.steps,
            learning_rate=self.learning_rate,
            block_learning_rate=self.quantum_learning_rate,
            weight_decay=self.weight_decay,
            seed=seed,
        )

    def _tensor(self, head: nn.Module, features: NDArray[np.float64]) -> Tensor:
        """Features as the head takes them, standardised if they are to be."""
        scaled = features if self.scaler_ is None else self.scaler_.transform(features)
        return torch.tensor(scaled).to(like(head))

    @torch.no_grad()
    def _logits(self, X: ArrayLike) -> Tensor:
        """Logits of features, in double."""
        check_is_fitted(self)
        features = validate_data(self, X, dtype=np.float64, reset=False)
        logits: Tensor = self.head_(self._tensor(self.head_, features))
        return logits.double().cpu()


def _config(head: Any, options: Mapping[str, Any] | None) -> HeadConfig:
    """Make the config of a named or described head, with options that win over it."""
    if not isinstance(head, HeadConfig | str):
        raise _no_head(head)
    if not isinstance(options, Mapping | None):
        raise InvalidValueError(
            f"Expected `head_options` by name, got {options!r}: give a dict such as "
            "{'num_qubits': 4}."
        )
    given = head if isinstance(head, str) else head.model_dump()
    return cast(HeadConfig, part_config("head", given, **(options or {})))


def _no_head(got: object) -> InvalidValueError:
    return InvalidValueError(
        "Expected a head's name, its config, a torch module or what makes one, got "
        f"{reprlib.repr(got)}: name one, such as 'pqc' or 'linear'."
    )
