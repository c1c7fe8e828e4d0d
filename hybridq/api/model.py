"""A trained model in Python."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hybridq.api.images import Batches, Images
from hybridq.api.parts import AnyBackend, Data, data_of, is_paid
from hybridq.config import FinetuneConfig
from hybridq.config.handed import handed_label, is_handed, refused_name
from hybridq.data import ImageData, data_record
from hybridq.data.source import splits_of
from hybridq.errors import InvalidValueError
from hybridq.evaluation.evaluate import evaluate_model
from hybridq.evaluation.evaluation import Evaluation
from hybridq.evaluation.locked.asked_data import (
    ALL,
    can_fit,
    check_unseen,
    data_for,
    data_of_baselines,
    in_classes_of,
)
from hybridq.evaluation.locked.recalibrated import Extras
from hybridq.evaluation.metrics.recalibration import Method
from hybridq.evaluation.predict import decided
from hybridq.models.checkpoint import ModelSpec, hashes_of, save_model
from hybridq.models.classifier import HybridClassifier, head_summary
from hybridq.models.classify import image_probs
from hybridq.models.decision import Decision
from hybridq.models.views import Views
from hybridq.quantum.captured import captured
from hybridq.quantum.modules import quantum_modules
from hybridq.utils.files import write_bytes
from hybridq_backends import Executable, open_backend, opened_backend

Floats = NDArray[np.float64]


class Model:
    """A trained classifier, and what it is.

    `finetune` and `load` make one.

    Attributes:
        module: The torch module, from prepared images to logits.
        spec: Encoder, head, classes and provenance, as the model's `config.json` has them.
        folder: The run folder that it is kept in; None where there is none.

    Example:
        >>> import hybridq as hq
        >>> data = hq.load_data("phantom,size=16,count=40")
        >>> model = hq.finetune(None, data, head="pqc", epochs=1, freeze_encoder=True)
        >>> images = data.splits["test"].images
        >>> model.class_names
        ('no lesion', 'lesion')
    """

    def __init__(
        self,
        module: HybridClassifier,
        spec: ModelSpec,
        *,
        folder: Path | None = None,
        records: Mapping[str, bytes] | None = None,
        backend: AnyBackend = None,
    ) -> None:
        self.module = module
        self.spec = spec
        self.folder = folder
        self._records = dict(records or {})
        self._backend = backend
        self._opened: Executable | None = None

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the probabilities."""
        return self.spec.class_names

    @property
    def history(self) -> list[dict[str, Any]]:
        """The figures of each epoch of the training."""
        lines = self._records.get("metrics.jsonl", b"").splitlines()
        return [json.loads(line) for line in lines]

    def __call__(self, images: Tensor) -> Tensor:
        """Map prepared images `(batch, 3, image_size, image_size)` to logits, without noise."""
        logits: Tensor = self.module(images)
        return logits

    def predict(
        self,
        images: Images,
        *,
        backend: AnyBackend = None,
        views: Views | None = None,
        batch_size: int = 128,
    ) -> Floats:
        """Compute the probabilities of the classes.

        Args:
            images: An array or tensor `(count, height, width)`, with or without 1 or 3 channels,
                uint8 or from 0 to 1; a sequence of images of any sizes; image files or folders of
                them; a split; or a dataset.
            backend: Where circuits run: a profile, a spec, an executable or a backend of Qiskit;
                where the model was trained if None.
            views: Views of an image that are averaged: `one`, `flip`, `shift` or `zoom`; those that
                are stored with the model if None.
            batch_size: Images at a time.

        Returns:
            `(count, num_classes)`, in the order of `class_names`.

        Raises:
            HybridqError: If images or backend cannot be used.

        Example:
            >>> model.predict(images, backend="fake_manila").sum(axis=1).round(6)[:2].tolist()
            [1.0, 1.0]
        """
        batches = Batches(self.module.encoder, images, batch_size)
        with self._running(backend):
            return image_probs(
                self.module,
                batches,
                multilabel=self.spec.task == "multilabel",
                count=len(batches),
                views=views or (self.spec.decision or Decision()).views,
            )

    def decide(self, probs: Floats) -> NDArray[np.int64]:
        """Tell classes from probabilities, by the threshold that is stored with the model.

        Args:
            probs: `(count, num_classes)`, as `predict` gives them.

        Returns:
            `(count,)` numbers of classes, or `(count, num_classes)` of 0 and 1 where an image can
            have several labels. A model of an earlier version, without a threshold, takes the
            likeliest class.

        Example:
            >>> classes = model.decide(model.predict(images))
            >>> classes.shape
            (10,)
        """
        return decided(np.asarray(probs, dtype=np.float64), self.spec)

    @torch.inference_mode()
    def features(self, images: Images, *, batch_size: int = 128) -> NDArray[np.float32]:
        """Compute what the head takes: the encoder's features, `(count, num_features)`.

        Of a head that takes feature maps these are `(count, channels, height, width)`.

        Raises:
            HybridqError: If the images cannot be used.

        Example:
            >>> model.features(images).shape
            (10, 1280)
        """
        batches = Batches(self.module.encoder, images, batch_size)
        found: NDArray[np.float32] = torch.cat(
            [self.module.features(one) for one in batches]
        ).numpy()
        return found

    @torch.inference_mode()
    def expvals(
        self, images: Images, *, backend: AnyBackend = None, batch_size: int = 128
    ) -> Floats:
        """Compute the expectation values that the circuit gives, `(count, num_observables)`.

        Raises:
            HybridqError: If images or backend cannot be used, the head has no circuit, or it calls
                circuits more than once for a batch; `hybridq.quantum.captured` collects those.

        Example:
            >>> model.expvals(images).shape
            (10, 4)
        """
        if not quantum_modules(self.module.head):
            raise InvalidValueError(
                f"Expected a head with a circuit, got {handed_label(self.spec.head.name)}, which "
                "has none: take "
                "a quantum one such as pqc."
            )
        parts: list[Tensor] = []
        with self._running(backend):
            for batch in Batches(self.module.encoder, images, batch_size):
                with captured(self.module.head) as found:
                    self.module(batch)
                if len(found) != 1:
                    raise InvalidValueError(
                        f"Expected a head that calls its circuit once, got {len(found)} calls for "
                        "a batch: collect them with hybridq.quantum.captured.captured."
                    )
                parts.append(found[0])
        values: Floats = torch.cat(parts).double().numpy()
        return values

    def evaluate(
        self,
        data: Data | None = None,
        *,
        backend: AnyBackend = None,
        split: Literal["val", "test", "all"] = "test",
        limit: int | None = None,
        views: Views | None = None,
        recalibrate: bool = False,
        recalibration: Method = "none",
        at_specificity: float | None = None,
        prevalence: float | None = None,
        subgroups: str | None = None,
        baselines: bool = True,
        resamples: int = 2000,
        seed: int = 0,
    ) -> Evaluation:
        """Compute figures with intervals, beside a logistic regression on the same labels.

        Args:
            data: `ImageData` with the split and, for the baselines, train and val; a name or
                folder; a dataset or `(images, labels)`, which are dealt out to these splits as
                `finetune` deals them; or None for the data that it was trained on, where they have
                a name or a path. Classes are matched by name.
            backend: Where circuits run: a profile such as `fake_torino`, a spec, an executable or
                a backend of Qiskit; where the model was trained if None.
            split: The split whose figures are computed; `all` is every labelled image of data that
                the model was not trained on.
            limit: So many of its images alone, drawn stratified, for slow backends.
            views: Views of an image that are averaged: `one`, `flip`, `shift` or `zoom`; those that
                are stored with the model if None.
            recalibrate: Adds the figures at a threshold chosen on the val split of the data.
            recalibration: Adds those of probabilities that are set right on that split: by a
                `temperature`, by `platt`'s curve, or by the `prior` of the classes.
            at_specificity: Adds the sensitivity at this specificity.
            prevalence: Adds the predictive values where this share of the images is positive.
            subgroups: Adds the figures by columns of the manifest, as `site,age:40:60`.
            baselines: Whether to fit the baselines, too.
            resamples: Bootstrap resamples behind each 95% interval, a count.
            seed: The seed of the draw of images, the bootstrap and the untrained encoder.

        Returns:
            The figures; it prints as a table.

        Raises:
            HybridqError: If data or backend cannot be used.

        Example:
            >>> found = model.evaluate(data, resamples=200)
            >>> found["auc"].low <= found["auc"].value <= found["auc"].high
            True
        """
        splits = tuple(
            name
            for name in ("train", "val", "test")
            if name in {"val", split} or split == ALL or (baselines and name == "train")
        )
        may_lack = () if data is None else tuple(name for name in splits if name != split)
        images = self.images_of(data, splits, optional=may_lack)
        extras = Extras(recalibrate, recalibration, at_specificity, prevalence, subgroups)
        extras.check(self.spec, images, split)
        record = data_record(images)
        check_unseen(split, self.spec, record)
        with self._running(backend) as executable:
            return evaluate_model(
                self.module,
                self.spec,
                images,
                executable,
                split=split,
                limit=limit,
                views=views,
                extras=extras,
                baselines=baselines,
                resamples=resamples,
                seed=seed,
                run=None if self.folder is None else str(self.folder),
                fitted_on=self._fitted_on(images, split) if baselines else None,
                record=record,
            )

    def _fitted_on(self, data: ImageData, split: str) -> ImageData | None:
        """Get the data whose train and validation baselines are fitted on; None without any."""
        if can_fit(data, split) or "config.json" not in self._records:
            return None
        run = FinetuneConfig.model_validate_json(self._records["config.json"])
        return None if is_handed(run.data) else data_of_baselines(run, self.spec)

    def save(self, folder: str | Path) -> Path:
        """Keep the model in a new folder, which every command and `load` take as a run's.

        Returns:
            The folder, as a path.

        Raises:
            InvalidValueError: If there is something in it already.

        Example:
            >>> import tempfile
            >>> with tempfile.TemporaryDirectory() as runs:
            ...     folder = model.save(runs + "/mine")
            ...     hq.load(folder).class_names
            ('no lesion', 'lesion')
        """
        path = Path(folder)
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise InvalidValueError(
                f"Expected a new or empty folder for the model, got {str(path)!r}, in which there "
                "is something: choose another."
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            save_model(part / "model", self.module, self.spec)
            for name, content in self._records.items():
                write_bytes(part / name, content)
            if "config.json" in self._records:  # else a folder that may be gone is named there
                config = {**json.loads(self._records["config.json"]), "runs": str(path.parent)}
                write_bytes(part / "config.json", json.dumps(config, indent=2).encode())
            if "result.json" in self._records:
                result = {**json.loads(self._records["result.json"]), "hashes": hashes_of(part)}
                write_bytes(part / "result.json", json.dumps(result, indent=2).encode())
            os.replace(part, path)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        self.folder = path
        return path

    def kept_as(self, folder: Path | None, backend: AnyBackend) -> Model:
        """Make the same model that is kept in a folder, or in none, and runs on a backend."""
        return Model(self.module, self.spec, folder=folder, records=self._records, backend=backend)

    def __repr__(self) -> str:
        """Say what it is."""
        place = "" if self.folder is None else f", folder={str(self.folder)!r}"
        return (
            f"Model({self.spec.encoder.label}, {handed_label(self.spec.head.name)}: "
            f"{head_summary(self.module.head)}, classes {', '.join(self.class_names)}{place})"
        )

    def images_of(
        self, data: Data | None, splits: tuple[str, ...], *, optional: tuple[str, ...] = ()
    ) -> ImageData:
        """Get splits of data of the model's classes; of what it was trained on if None.

        Class numbers without names are those of the model's classes, in their order. Splits that
        are optional are left out where they are missing.

        Raises:
            HybridqError: If they cannot be read, or have other classes.
        """
        if not isinstance(data, str | Path | None):
            images = data_of(data, splits, self.class_names)
            images = in_classes_of(self.spec, images)
            there = [one for one in splits if one in images.splits]
            whole = all(one in there or one in optional for one in splits)
            return splits_of(images, there if whole else splits)
        if "config.json" not in self._records:
            raise InvalidValueError(
                "Expected `data`, got None, and nothing says what the model was trained on: give "
                "the data."
            )
        run = FinetuneConfig.model_validate_json(self._records["config.json"])
        named = None if data is None else str(data)
        return data_for(
            run, self.spec, data=named, data_root=None, splits=splits, optional=optional
        )

    @contextmanager
    def _running(self, backend: AnyBackend) -> Iterator[Executable]:
        """Run the circuits on a backend inside the block; where the model was trained if None."""
        own = self.spec.backend if self._backend is None else self._backend
        if is_handed(own if backend is None else backend):
            raise refused_name("backend", self.spec.backend, "give it as `backend`.")
        if is_paid(own if backend is None else backend) and quantum_modules(self.module.head):
            raise InvalidValueError(
                f"Expected a simulator or a rehearsal, got {own if backend is None else backend}, "
                "whose jobs cost QPU time and have to be kept: use hybridq.submit, or `hybridq "
                "evaluate` on the run folder."
            )
        if backend is None:
            backend = self._opened = self._opened or open_backend(own)  # open as long as the model
        with opened_backend(backend) as executable, self.module.running_on(executable):
            yield executable
