"""Models on fixed inputs, features or pixels: each cell chooses its setting, then reads the test.

A cell is an encoder and a choice of labelled images. Its settings are searched by cross-validation
within these images, in the same way for every arm and for raw pixels.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hybridq.data import ImageData
from hybridq.evaluation.baselines import pixel_inputs
from hybridq.evaluation.features import standardised
from hybridq.evaluation.metrics.scores import choose_threshold
from hybridq.models.heads import build_head, num_trainable
from hybridq.models.reducers import reducer_of
from hybridq.models.searched_regression import (
    PENALTIES,
    Fold,
    SearchedRegression,
    balanced_log_loss,
    searched_regression,
)
from hybridq.quantum.modules import quantum_parameters
from hybridq.studies.ablation.encoders import READ, features_file, read_features
from hybridq.studies.ablation.grid import (
    DRAWN,
    PIXELS,
    REGRESSION,
    SETTINGS,
    Arm,
    Budget,
    Setting,
    arms_on,
    frozen_model,
)
from hybridq.studies.ablation.judged import Arrays, Judge
from hybridq.studies.ablation.labels import (
    Rows,
    SeedWork,
    cell_seed,
    cut,
    labelled_rows,
    study_data,
)
from hybridq.training.heads.head_start import (
    Regression,
    begin_at_regression,
    labelled_regression,
)
from hybridq.training.heads.many_heads import heads_probs, train_heads
from hybridq.training.seeding import derive_seed
from hybridq.utils.arrays import write_arrays
from hybridq_backends import Executable, open_backend

Floats = NDArray[np.float64]

WEIGHT_DECAY = 1e-2
"""Weight decay of the outer parts' matrices, as in `hybridq finetune`."""
FOLDS = 3
"""Most parts of the cross-validation of heads; that of a regression has five."""
PIXEL_SIDE = 32
"""Largest side of raw pixels, to which larger images are averaged."""


@dataclass(frozen=True)
class Read:
    """An arm in every subset of one encoder.

    Attributes:
        probs: `(subsets, images, classes)` probabilities of the test images.
        thresholds: `(subsets,)` on the positive class, chosen on held-out labelled images.
        losses: `(subsets, settings)` held-out log losses of the search.
        chosen: `(subsets,)` indices of the settings chosen.
        about: Columns of the table that say how large the model is.
    """

    probs: Floats
    thresholds: Floats
    losses: Floats
    chosen: NDArray[np.intp]
    about: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class FrozenWork(SeedWork):
    """All arms on one kind of input, with one encoder and one budget, in every subset.

    Attributes:
        kind: The kind of the encoder; `pixels` for raw pixels.
        budget: The amount of labelled images.
        first: Numbers of first subsets over which AUCs are kept, too.
    """

    kind: str
    budget: Budget
    first: tuple[int, ...]

    @property
    def name(self) -> str:
        """The unit's name."""
        return f"{self.kind}-s{self.seed}-l{self.budget.share:g}"

    def compute(self) -> dict[str, Any]:
        """Write what is kept of each arm; return sizes and settings."""
        data = study_data(self.config, *READ)
        rows = labelled_rows(data, self.config, self.budget)
        inputs = self._inputs(data)
        judge = Judge(data, self.first)
        arrays: Arrays = {}
        models = []
        for arm, read in self._reads(data, inputs, rows).items():
            kept = judge(read.probs, read.thresholds)
            kept |= {"losses": read.losses, "chosen": read.chosen, "probs": read.probs[0]}
            arrays |= {f"{arm}/{name}": values for name, values in kept.items()}
            images = round(float(np.mean([len(one) for one in rows])), 1)
            models.append(
                {
                    "model": frozen_model(self.kind, arm),
                    "training": "pixels" if self.kind == PIXELS else "frozen",
                    "encoder": self.kind,
                    "head": arm,
                    "labels": self.budget.share,
                    "seed": self.seed,
                    "train_images": images,
                    **read.about,
                }
            )
        path = self.folder / "kept" / f"{self.name}.npz"
        write_arrays(path, arrays, compressed=True)
        return {"kept": path.relative_to(self.folder).as_posix(), "models": models}

    def _inputs(self, data: ImageData) -> dict[str, Floats]:
        """Get `(count, inputs)` of train and test, standardised by all train images."""
        if self.kind != PIXELS:
            path = features_file(self.folder, self.kind, self.seed)
            return standardised(read_features(path, *READ))
        return standardised(
            {name: pixel_inputs(data.splits[name].images, PIXEL_SIDE) for name in READ}
        )

    def _reads(
        self, data: ImageData, inputs: dict[str, Floats], rows: Sequence[Rows]
    ) -> dict[str, Read]:
        found = {REGRESSION: read_regression(data, inputs, rows, cut(data, rows, self.config, 5))}
        arms = arms_on(self.kind, self.config)
        if not arms:
            return found
        folds = cut(data, rows, self.config, FOLDS)
        seeds = [cell_seed(self.config, self.seed, subset) for subset in range(len(rows))]
        starts = self._starts(data, inputs["train"], rows, folds)
        tensors = {name: torch.from_numpy(x.astype(np.float32)) for name, x in inputs.items()}
        with open_backend("statevector") as backend:
            for name, arm in arms.items():
                heads = _Heads(arm, data, tensors, backend, self.config.steps, starts)
                found[name] = heads.read(rows, folds, seeds)
        return found

    def _starts(
        self, data: ImageData, inputs: Floats, rows: Sequence[Rows], folds: Sequence[Sequence[Fold]]
    ) -> Mapping[bytes, Regression]:
        """Fit the regressions that heads begin at, by the labelled images that each may see."""
        if self.config.head_start == "random":
            return {}
        train, found = data.splits["train"], {}
        for subset, (one, cuts) in enumerate(zip(rows, folds, strict=True)):
            for own in (one, *(fitted for fitted, _ in cuts)):
                if own.tobytes() not in found:
                    found[own.tobytes()] = labelled_regression(
                        inputs[own],
                        train.labels[own],
                        data.num_classes,
                        groups=None if train.groups is None else train.groups[own],
                        seed=derive_seed(self.config.seed, 9, subset) % 2**32,
                    )
        return found


def read_regression(
    data: ImageData,
    inputs: dict[str, Floats],
    rows: Sequence[Rows],
    folds: Sequence[Sequence[Fold]],
) -> Read:
    """Fit the penalised regression in every subset.

    Args:
        data: The data, with train.
        inputs: `(count, inputs)` of train and test.
        rows: Labelled images of each subset.
        folds: Cuts of each, as indices into train.
    """
    labels = data.splits["train"].labels
    done: dict[tuple[int, ...], SearchedRegression] = {}  # all labels are one subset, however often
    for one, cuts in zip(rows, folds, strict=True):
        if (key := tuple(one.tolist())) not in done:
            own = [
                (np.searchsorted(one, fitted), np.searchsorted(one, held)) for fitted, held in cuts
            ]
            train = inputs["train"][one]
            done[key] = searched_regression(train, labels[one], data.num_classes, own)
    found = [done[tuple(one.tolist())] for one in rows]
    on_test = {key: fitted.probs(inputs["test"]) for key, fitted in done.items()}
    outputs = 1 if data.task == "binary" else data.num_classes
    size = outputs * (inputs["train"].shape[1] + 1)
    return Read(
        np.stack([on_test[tuple(one.tolist())] for one in rows]),
        np.array(
            [
                held_out_threshold(data, labels[one], fitted.held_out)
                for one, fitted in zip(rows, found, strict=True)
            ]
        ),
        np.array([fitted.losses for fitted in found]),
        np.array([PENALTIES.index(fitted.penalty) for fitted in found]),
        {"parameters": size, "circuit_parameters": 0},
    )


def held_out_threshold(data: ImageData, labels: NDArray[np.int64], held_out: Floats) -> float:
    """Choose the threshold on the positive class by held-out probabilities of labelled images.

    Returns:
        The threshold with the best balanced accuracy; NaN where no class is the positive one, or
        one class has no held-out image.
    """
    kept = np.isfinite(held_out).all(axis=1)
    positive = data.positive
    if positive is None or len(np.unique(labels[kept])) < 2:
        return float("nan")
    return choose_threshold(labels[kept] == positive, held_out[kept, positive])


@dataclass(frozen=True)
class _Heads:
    """An arm's heads on the features of one encoder."""

    arm: Arm
    data: ImageData
    inputs: dict[str, Tensor]
    backend: Executable
    steps: int
    starts: Mapping[bytes, Regression]

    def read(
        self, rows: Sequence[Rows], folds: Sequence[Sequence[Fold]], seeds: Sequence[int]
    ) -> Read:
        """Search the settings of every subset, train in the one chosen, and read the test."""
        split = self.data.splits["train"]
        several = self.data.task == "multilabel"
        settings = SETTINGS if self.starts else DRAWN
        begun = new_heads(
            self.arm, self.inputs["train"], self.data.num_classes, self.backend, seeds
        )
        cells = [(subset, *fold) for subset, own in enumerate(folds) for fold in own]
        fold_heads = [self._started(begun[subset], fit) for subset, fit, _ in cells]
        begun = [self._started(head, one) for head, one in zip(begun, rows, strict=True)]
        held_out = np.full((len(settings), len(rows), len(split), self.data.num_classes), np.nan)
        for k, setting in enumerate(settings):
            trained = self._trained(
                setting,
                fold_heads,
                [fit for _, fit, _ in cells],
                [seeds[subset] for subset, _, _ in cells],
            )
            for head, (subset, _, held) in zip(trained, cells, strict=True):
                found = heads_probs([head], self.inputs["train"][held], multilabel=several)
                held_out[k, subset, held] = found[0]
        losses = np.array(
            [
                [
                    balanced_log_loss(split.labels[one], held_out[k, s, one])
                    for s, one in enumerate(rows)
                ]
                for k in range(len(settings))
            ]
        ).T
        chosen = np.argmin(np.round(losses, 9), axis=1)
        probs = np.empty((len(rows), len(self.inputs["test"]), self.data.num_classes))
        moved: list[float | None] = []
        about: dict[str, Any] = {}
        for k, setting in enumerate(settings):
            own = np.flatnonzero(chosen == k).tolist()
            if own:
                trained = self._trained(
                    setting,
                    [begun[s] for s in own],
                    [rows[s] for s in own],
                    [seeds[s] for s in own],
                )
                probs[own] = heads_probs(trained, self.inputs["test"], multilabel=several)
                moved += [
                    movement(quantum_parameters(begun[s]), quantum_parameters(head))
                    for s, head in zip(own, trained, strict=True)
                ]
                about = self._size(trained[0])
        thresholds = [
            held_out_threshold(self.data, split.labels[one], held_out[chosen[s], s, one])
            for s, one in enumerate(rows)
        ]
        known = [one for one in moved if one is not None]
        about["circuit_movement"] = float(np.mean(known)) if known else None
        return Read(probs, np.array(thresholds), losses, chosen, about)

    def _started(self, head: nn.Module, labelled: Rows) -> nn.Module:
        """Copy a head, and give it the weights of the regression on some labelled images."""
        if not self.starts:
            return head
        head = copy.deepcopy(head)
        begin_at_regression(head, self.starts[labelled.tobytes()], self.inputs["train"], labelled)
        return head

    def _trained(
        self,
        setting: Setting,
        begun: Sequence[nn.Module],
        rows: Sequence[Rows],
        seeds: Sequence[int],
    ) -> Sequence[nn.Module]:
        """Train copies of heads, each on its own rows of train."""
        heads = [copy.deepcopy(head) for head in begun]
        train_heads(
            heads,
            self.inputs["train"],
            torch.from_numpy(self.data.splits["train"].labels),
            rows,
            num_classes=self.data.num_classes,
            steps=self.steps,
            weight_decay=WEIGHT_DECAY,
            seeds=seeds,
            **setting,
        )
        return heads

    @staticmethod
    def _size(head: nn.Module) -> dict[str, Any]:
        circuit = [weight for weight in quantum_parameters(head) if weight.requires_grad]
        return {
            "parameters": num_trainable(head),
            "circuit_parameters": sum(weight.numel() for weight in circuit),
        }


def new_heads(
    arm: Arm, features: Tensor, num_classes: int, backend: Executable, seeds: Sequence[int]
) -> list[nn.Module]:
    """Make a head for each seed as its training begins.

    Heads of one seed begin with the same reducer and the same readout, whatever their block is.

    Args:
        arm: What is built.
        features: `(images, num_features)`, or maps `(images, channels, height, width)`, of all
            train images; their labels are not needed.
        num_classes: The number of logits.
        backend: The backend of the circuit.
        seeds: The seeds of the initial weights.
    """
    in_shape = tuple(features.shape[1:])
    heads = [
        build_head(
            in_shape if len(in_shape) > 1 else in_shape[0],
            num_classes,
            arm.head,
            backend=backend,
            generator=torch.Generator().manual_seed(derive_seed(seed, 1)),
        )
        for seed in seeds
    ]
    for weight in (one for head in heads for one in quantum_parameters(head)):
        weight.requires_grad_(arm.trains_circuit)
    reducers = [reducer for head in heads if (reducer := reducer_of(head)) is not None]
    if reducers and reducers[0].kind == "pca":  # the same components for all
        reducers[0].fit(features)
        for reducer in reducers[1:]:
            reducer.take(reducers[0].weight)
    return heads


@torch.no_grad()
def movement(begun: Sequence[Tensor], ended: Sequence[Tensor]) -> float | None:
    """Measure the root mean square by which training has moved weights; None without any.

    Near 0 in radians a circuit is still the one that was drawn, and a comparison says nothing of
    training it.
    """
    moved = [(end - start).flatten() for start, end in zip(begun, ended, strict=True)]
    return float(torch.cat(moved).square().mean().sqrt()) if moved else None
