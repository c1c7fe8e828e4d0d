"""Class probabilities for image files."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hybridq.config import FinetuneConfig, PredictConfig
from hybridq.data.sources.images import check_image, is_image_file
from hybridq.data.sources.inside import Inside
from hybridq.errors import InvalidValueError, MissingFileError
from hybridq.evaluation.cautions import one_class
from hybridq.models.checkpoint import ModelSpec, load_model
from hybridq.models.classify import batches_of_files, image_probs
from hybridq.models.decision import Decision, names_of, predict_labels
from hybridq.runs.folder import read_config
from hybridq.utils.files import check_out, check_regular, csv_text, write_csv
from hybridq.utils.pseudonyms import Pseudonyms, note_names, pseudonyms_of, tell_names
from hybridq_backends import open_backend
from hybridq_backends.utils.names import legible

logger = logging.getLogger("hybridq")

NOTHING_STORED = (
    "no threshold is stored with this model of an earlier version: the likeliest class is taken, "
    "that is 0.5"
)


def predict(config: PredictConfig) -> None:
    """Write `path,predicted,prob_<class>...` for each image, to a file or standard output.

    Every image is opened and checked before anything is computed, and nothing is written before all
    are; pixels are read batch by batch. The model decides by the threshold and the views that are
    stored with it, as `hybridq evaluate` does; several labels of an image are joined by `+`.

    Raises:
        HybridqError: if run, image or backend cannot be used; nothing is written then.
    """
    run = read_config(config.run, FinetuneConfig, "finetune")
    pseudonyms = pseudonyms_of(config)
    if config.out is not None:
        check_out(config.out, force=config.force)
    paths = image_files(config.images)
    with open_backend(config.backend or run.backend) as backend:
        model, spec = load_model(config.run, backend=backend)
        decision = spec.decision or Decision()
        if spec.decision is None and spec.positive is not None:
            logger.warning("%s", NOTHING_STORED)
        for path in paths:
            check_image(path)
        probs = image_probs(
            model,
            batches_of_files(model.encoder, paths, config.batch_size),
            multilabel=spec.task == "multilabel",
            count=len(paths),
            views=decision.views,
        )
    predicted = decided(probs, spec)
    if caution := one_class(predicted, spec.class_names):
        logger.warning("%s.", caution)
    if pseudonyms is None:
        note_names("the images")
    named = _names(pseudonyms)
    header = ["path", "predicted", *(f"prob_{name}" for name in spec.class_names)]
    rows = [
        [
            named(path),
            name,
            *(f"{p:.8g}" for p in row),
        ]
        for path, name, row in zip(paths, names_of(predicted, spec.class_names), probs, strict=True)
    ]
    if config.out is None:
        sys.stdout.write(csv_text(header, rows))
    else:
        write_csv(config.out, header, rows)
        tell_names()
        logger.info("wrote %s", config.out)


def decided(probs: NDArray[np.float64], spec: ModelSpec) -> NDArray[np.int64]:
    """Decide by the threshold that is stored with a model; without one the likeliest class.

    Args:
        probs: `(count, num_classes)`.
        spec: The spec of the model.

    Returns:
        `(count,)` classes, or `(count, num_classes)` of 0 and 1 for several labels.
    """
    return predict_labels(
        probs,
        multilabel=spec.task == "multilabel",
        positive=None if spec.decision is None else spec.positive,
        threshold=0.5 if spec.decision is None else spec.decision.threshold,
    )


def _names(pseudonyms: Pseudonyms | None) -> Callable[[Path], str]:
    """How images are called: by their paths as given, or by pseudonyms of their full paths."""
    if pseudonyms is None:
        return lambda path: legible(str(path))
    return lambda path: pseudonyms.image(str(path.resolve()))


def image_files(paths: Sequence[Path]) -> list[Path]:
    """The files named, and all images in the folders named, by name.

    Raises:
        InvalidValueError: if none is named.
        MissingFileError: if one does not exist or is no regular file, or a folder has no images.
    """
    if not paths:
        raise InvalidValueError("Expected image files or folders after the run, got none.")
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            found = [entry for entry in path.rglob("*") if is_image_file(entry)]
            images = sorted(entry for entry in found if not entry.is_dir())
            if not images:
                raise MissingFileError(
                    f"Expected images in {path}, got none: name files or another folder."
                )
            inside = Inside(path)
            for image in images:
                inside.check_image(image)
            files += images
        else:
            check_regular(path, "an image file", "check the path.")
            files.append(path)
    return files
