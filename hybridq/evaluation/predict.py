"""Class probabilities for image files."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hybridq.config import FinetuneConfig, PredictConfig
from hybridq.data.sources.images import check_image, is_image_file, read_image
from hybridq.data.sources.inside import Inside
from hybridq.errors import InvalidValueError, MissingFileError
from hybridq.evaluation.cautions import one_class
from hybridq.models.checkpoint import load_model
from hybridq.models.classifier import HybridClassifier, probabilities
from hybridq.models.encoders.encoder import Encoder
from hybridq.runs.folder import read_config
from hybridq.utils.files import check_out, check_regular, csv_text, write_csv
from hybridq.utils.pace import Pace
from hybridq.utils.pseudonyms import Pseudonyms, note_names, pseudonyms_of, tell_names
from hybridq_backends import open_backend
from hybridq_backends.utils.names import legible

logger = logging.getLogger("hybridq")


def predict(config: PredictConfig) -> None:
    """Write `path,predicted,prob_<class>...` for each image, to a file or standard output.

    Every image is opened and checked before anything is computed, and nothing is written before all
    are; pixels are read batch by batch. The predicted class is the one of
    the largest probability (for several labels, all of at least 0.5, joined by `+`); the threshold
    that `hybridq evaluate` chooses on validation is not applied.

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
        for path in paths:
            check_image(path)
        probs = image_probs(
            model,
            batches_of_files(model.encoder, paths, config.batch_size),
            multilabel=spec.task == "multilabel",
            count=len(paths),
        )
    predicted = (probs >= 0.5).astype(int) if spec.task == "multilabel" else probs.argmax(axis=1)
    if caution := one_class(predicted, spec.class_names):
        logger.warning("%s.", caution)
    if pseudonyms is None:
        note_names("the images")
    named = _names(pseudonyms)
    header = ["path", "predicted", *(f"prob_{name}" for name in spec.class_names)]
    rows = [
        [
            named(path),
            predicted_name(row, spec.class_names, spec.task),
            *(f"{p:.8g}" for p in row),
        ]
        for path, row in zip(paths, probs, strict=True)
    ]
    if config.out is None:
        sys.stdout.write(csv_text(header, rows))
    else:
        write_csv(config.out, header, rows)
        tell_names()
        logger.info("wrote %s", config.out)


def batches_of_files(encoder: Encoder, paths: Sequence[Path], batch_size: int) -> Iterator[Tensor]:
    """Read image files batch by batch, as an encoder wants them; they may differ in size.

    They are resized by the encoder, as `hybridq evaluate` does, so that both agree.
    """
    for start in range(0, len(paths), batch_size):
        own = paths[start : start + batch_size]
        yield torch.cat([encoder.prepare(read_image(path, channels=3)[None]) for path in own])


@torch.inference_mode()
def image_probs(
    model: HybridClassifier, batches: Iterable[Tensor], *, multilabel: bool, count: int
) -> NDArray[np.float64]:
    """Probabilities `(count, num_classes)` of prepared images, batch by batch.

    Args:
        model: In evaluation mode.
        batches: Images `(batch, 3, image_size, image_size)`.
        multilabel: Whether an image can have several labels.
        count: How many images there are, for the log.
    """
    parts: list[Tensor] = []
    done = 0
    pace = Pace(count, "images")
    for batch in batches:
        parts.append(probabilities(model(batch).double(), multilabel=multilabel))
        done += len(batch)
        pace.done(done)
    probs: NDArray[np.float64] = torch.cat(parts).numpy()
    return probs


def _names(pseudonyms: Pseudonyms | None) -> Callable[[Path], str]:
    """How images are called: by their paths as given, or by pseudonyms of their full paths."""
    if pseudonyms is None:
        return lambda path: legible(str(path))
    return lambda path: pseudonyms.image(str(path.resolve()))


def predicted_name(probs: NDArray[np.float64], names: Sequence[str], task: str) -> str:
    """The class of the largest probability, or all labels of at least 0.5."""
    if task == "multilabel":
        return "+".join(name for name, prob in zip(names, probs, strict=True) if prob >= 0.5)
    return names[int(probs.argmax())]


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
