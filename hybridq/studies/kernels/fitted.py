"""The units of a study of kernels: machines on label subsets, and what kernels are like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hybridq.config import KernelsStudyConfig
from hybridq.evaluation.metrics.scores import auc
from hybridq.evaluation.statistics import measure_auc
from hybridq.models.heads import build_head
from hybridq.models.heads.fitted.components import principal_components, searched_rows
from hybridq.models.heads.fitted.kernel import KernelConfig, KernelHead
from hybridq.models.heads.fitted.kernel_bank import CLASSICAL, is_quantum, make_kernel
from hybridq.models.heads.fitted.support_vectors import (
    PENALTIES,
    calibrate,
    fit_alpha,
    probabilities,
    targets_of,
)
from hybridq.models.searched_regression import balanced_log_loss, folds_of
from hybridq.quantum.kernels.alignment import centred_alignment, target_gram
from hybridq.quantum.kernels.measures import concentration, geometric_difference
from hybridq.studies.heads.features import features_of
from hybridq.studies.heads.labelled import Labelled
from hybridq.studies.heads.work import kept
from hybridq.studies.kernels.grid import Machine, bandwidths_of
from hybridq.training.heads.head import head_probs
from hybridq.training.seeding import derive_seed
from hybridq_backends import Executable, open_backend

DESCRIBED = 3
"""Label subsets of an encoder in which kernels are described."""
DEPTHS, TREES, RATE = (1, 2, 3), 100, 0.1
"""Depths of boosted trees, which are searched, how many there are, and scikit-learn's rate."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class MachineWork:
    """One machine on the features of one encoder, on every label subset, read on the test split.

    Attributes:
        config: The config of the study.
        labels: Its labels.
        folder: The folder of the study.
        encoder: Place of the encoder among those given.
        amount: The amount of labels, as it is called.
        machine: The machine.
    """

    config: KernelsStudyConfig
    labels: Labelled
    folder: Path
    encoder: int
    amount: str
    machine: Machine

    @property
    def name(self) -> str:
        """Name of the unit."""
        return f"{self.amount.replace(' ', '_')}-{self.machine.name}-e{self.encoder}"

    def compute(self) -> dict[str, Any]:
        """Give AUCs and what each image adds to them, and the weights of kernels."""
        train, test = features_of(self.folder, self.encoder)
        classes = torch.from_numpy(self.labels.train)
        probs, weights = [], []
        with open_backend("statevector") as backend:
            for place, rows in enumerate(self.labels.subsets):
                seed = derive_seed(self.config.seed, self.encoder, place)
                if self.machine.head is None:
                    of_rows = self.labels.train[rows]
                    probs.append(self._boosted(train[rows].numpy(), of_rows, test.numpy()))
                    continue
                head = build_head(
                    train.shape[1],
                    self.labels.num_classes,
                    self.machine.head,
                    backend=backend,
                    generator=torch.Generator().manual_seed(derive_seed(seed, 1)),
                ).eval()
                head.fit(train[rows], classes[rows])  # type: ignore[operator]
                probs.append(head_probs(head, test, multilabel=False))
                if isinstance(head, KernelHead):
                    own = head.weights / head.weights.sum()
                    weights.append([float(head.bandwidth), *own.tolist()])
        measured = measure_auc(self.labels.test, np.stack(probs)[None])
        mean = np.mean(weights, axis=0).tolist() if weights else []
        return {**kept(measured), "weights": mean}

    def _boosted(self, features: Floats, labels: Ints, test: Floats) -> Floats:
        """Boost trees on the components, of the depth with the least held-out log loss."""
        mean, axes = principal_components(features.astype(np.float64), self.machine.qubits)
        rows, others = (features - mean) @ axes.T, (test - mean) @ axes.T
        folds = folds_of(labels, seed=0)
        losses = []
        for depth in DEPTHS:
            held_out = np.full((len(labels), self.labels.num_classes), np.nan)
            for own, held in folds:
                if len(np.unique(labels[own])) > 1:
                    held_out[held] = self._trees(depth, rows[own], labels[own], rows[held])
            losses.append(balanced_log_loss(labels, held_out))
        return self._trees(DEPTHS[int(np.argmin(losses))], rows, labels, others)

    def _trees(self, depth: int, rows: Floats, labels: Ints, others: Floats) -> Floats:
        from sklearn.ensemble import GradientBoostingClassifier
        from sklearn.utils.class_weight import compute_sample_weight

        probs = np.zeros((len(others), self.labels.num_classes))
        if len(np.unique(labels)) < 2:
            probs[:, labels[0]] = 1.0
            return probs
        model = GradientBoostingClassifier(
            n_estimators=TREES, learning_rate=RATE, max_depth=depth, random_state=0
        )
        model.fit(rows, labels, sample_weight=compute_sample_weight("balanced", labels))
        probs[:, model.classes_] = model.predict_proba(others)
        return probs


@dataclass(frozen=True)
class KernelWork:
    """One kernel on the features of one encoder: what is known of it before it is used.

    Attributes:
        config: The config of the study.
        labels: Its labels.
        folder: The folder of the study.
        encoder: Place of the encoder among those given.
        amount: The amount of labels, as it is called.
        kernel: The name of the kernel.
        qubits: The number of components.
    """

    config: KernelsStudyConfig
    labels: Labelled
    folder: Path
    encoder: int
    amount: str
    kernel: str
    qubits: int

    @property
    def name(self) -> str:
        """Name of the unit."""
        return f"{self.amount.replace(' ', '_')}-{self.kernel}-{self.qubits}-e{self.encoder}"

    def compute(self) -> dict[str, Any]:
        """Describe the kernel at every bandwidth, on the labelled images of some subsets."""
        train, _ = features_of(self.folder, self.encoder)
        rows = []
        with open_backend("statevector") as backend:
            for place, chosen in enumerate(self.labels.subsets[:DESCRIBED]):
                chosen = chosen[searched_rows(self.labels.train[chosen])]
                features = train[chosen].double().numpy()
                mean, axes = principal_components(features, self.qubits)
                components = torch.from_numpy((features - mean) @ axes.T)
                classes = self.labels.train[chosen]
                widths = bandwidths_of(self.config)
                classical = [
                    self._gram(name, bandwidth * components, backend)
                    for name in (CLASSICAL if is_quantum(self.kernel) else ())
                    for bandwidth in widths
                ]
                for bandwidth in widths:
                    gram = self._gram(self.kernel, bandwidth * components, backend)
                    own = self._described(gram, classical, classes)
                    rows.append({"subset": place, "bandwidth": bandwidth, **own})
        return {"rows": rows}

    def _gram(self, kernel: str, angles: Tensor, backend: Executable) -> Floats:
        seed = derive_seed(derive_seed(self.config.seed, self.encoder, 0), 1)  # as of a machine
        own = KernelConfig.model_fields
        made = make_kernel(
            kernel,
            self.qubits,
            own["repeats"].default,
            own["entanglement"].default,
            backend,
            torch.Generator().manual_seed(seed),
        )
        gram: Floats = made.gram(angles).detach().numpy()
        return gram

    def _described(
        self, gram: Floats, classical: Sequence[Floats], classes: Ints
    ) -> dict[str, Any]:
        target = target_gram(classes, self.labels.num_classes)
        found: dict[str, Any] = {
            "alignment": centred_alignment(gram, target),
            "held_out_auc": self._held_out(gram, classes),
        }
        if not classical:
            return found
        found["geometric_difference"] = min(geometric_difference(one, gram) for one in classical)
        if not self.kernel.startswith("projected-"):
            spread = concentration(gram, self.qubits)
            found |= {"fidelity": spread.mean, "is_concentrated": spread.is_concentrated}
        return found

    def _held_out(self, gram: Floats, classes: Ints) -> float | None:
        """Compute the AUC on held-out parts of the labels, with the penalty of the least loss."""
        folds, signs = folds_of(classes, seed=0), targets_of(classes, self.labels.num_classes)
        best, least = None, np.inf
        for penalty in PENALTIES if folds else ():
            found = np.full(signs.shape, np.nan)
            for own, held in folds:
                alpha, offset = fit_alpha(gram[np.ix_(own, own)], signs[own], penalty)
                found[held] = gram[np.ix_(held, own)] @ alpha + offset
            slope, shift = calibrate(found, signs)
            probs = probabilities(slope * found + shift)
            if (loss := balanced_log_loss(classes, probs)) < least:
                best, least = auc(classes, probs), loss
        return best


def described_rows(
    works: Sequence[KernelWork], found: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Rows of `kernels.csv`: means over encoders and label subsets, for every bandwidth.

    `matrices` says how many Gram matrices a row is of; a figure that a kernel does not have is left
    empty.
    """
    groups: dict[tuple[str, int, str, float], list[dict[str, Any]]] = {}
    for work, left in zip(works, found, strict=True):
        for row in left["rows"]:
            key = work.amount, work.qubits, work.kernel, row["bandwidth"]
            groups.setdefault(key, []).append(row)
    rows = []
    for (amount, qubits, kernel, bandwidth), own in groups.items():

        def mean(name: str, own: Sequence[dict[str, Any]] = own) -> float | None:
            values = [one[name] for one in own if one.get(name) is not None]
            return float(np.mean(values)) if values else None

        rows.append(
            {
                **{"labels": amount, "qubits": qubits, "kernel": kernel, "bandwidth": bandwidth},
                "matrices": len(own),
                "alignment": mean("alignment"),
                "held_out_auc": mean("held_out_auc"),
                "geometric_difference": mean("geometric_difference"),
                "fidelity": mean("fidelity"),
                "concentrated": mean("is_concentrated"),
            }
        )
    return rows
