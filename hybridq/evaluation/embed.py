"""Features of any images in a file that other programs read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hybridq.config import DataEmbedConfig
from hybridq.data import ImageData, data_record, load_data
from hybridq.errors import InvalidValueError
from hybridq.models.checkpoint import WEIGHTS, load_model, model_folder
from hybridq.models.encoders.encoder import Encoder
from hybridq.models.encoders.file import encoder_file, load_encoder
from hybridq.models.encoders.initial import spec_for
from hybridq.utils.arrays import write_arrays
from hybridq.utils.files import check_out
from hybridq.utils.finite import check_finite
from hybridq.utils.pace import Pace
from hybridq.utils.pseudonyms import pseudonyms_of, tell_names
from hybridq.utils.weights import hash_of_file
from hybridq.version import __version__
from hybridq_backends import open_backend

BATCH = 128


def embed_data(config: DataEmbedConfig) -> Path:
    """Write the features of images to an `.npz`; return its path.

    It has `features (images, num_features)` in single precision, `labels (images,)`, or
    `(images, classes)` of 0 and 1, `ids (images,)`, `split (images,)`, `class_names (classes,)`,
    `groups (images,)` where the data have them, and `about`, JSON on encoder and data. No array
    holds objects, so that `numpy.load` reads it as it is.

    Raises:
        HybridqError: If encoder or data cannot be used, or the file exists; nothing is written.
    """
    if config.out.suffix != ".npz":
        raise InvalidValueError(
            f"Expected a file of NumPy's that ends in .npz after --out, got {str(config.out)!r}: "
            f"write {str(config.out.with_suffix('.npz'))!r}."
        )
    check_out(config.out, force=config.force)
    encoder, file = encoder_of(config.encoder)
    data = load_data(config.data, data_root=config.data_root, pseudonyms=pseudonyms_of(config))
    if "train" in data.splits and not (config.encoder / "model").is_dir():
        encoder.spec = spec_for(encoder.spec, data.splits["train"].images)
    about = {
        "hybridq": __version__,
        "encoder": encoder.spec.model_dump(mode="json"),
        "encoder_file_sha256": hash_of_file(file),
        "data": data_record(data),
        "data_licence": data.licence,
    }
    arrays = {**_arrays(encoder, data), "about": np.array(json.dumps(about))}
    write_arrays(config.out, arrays, compressed=False)
    tell_names()
    return config.out


def encoder_of(path: Path) -> tuple[Encoder, Path]:
    """Read an encoder: of a pretraining, of a file, or the one within a fine-tuned model.

    Returns:
        The encoder, in evaluation mode, and the file of its weights.

    Raises:
        MissingFileError: If there is none.
        InvalidValueError: If it is damaged.
    """
    if not (path / "model").is_dir():
        return load_encoder(path).eval(), encoder_file(path)
    with open_backend("statevector") as backend:
        model, _ = load_model(path, backend=backend)
    return model.encoder.eval(), model_folder(path) / WEIGHTS


def _arrays(encoder: Encoder, data: ImageData) -> dict[str, NDArray[Any]]:
    """The features of all splits, with what belongs to each image."""
    splits = data.splits
    pace = Pace(sum(map(len, splits.values())), "images")
    parts, done = [], 0
    with torch.inference_mode():
        for split in splits.values():
            for start in range(0, len(split), BATCH):
                images = encoder.prepare(split.images[start : start + BATCH])
                found = encoder(images)
                check_finite("features of the encoder", found)
                parts.append(found.float().numpy())
                done += len(images)
                pace.done(done)
    arrays = {
        "features": np.concatenate(parts),
        "labels": np.concatenate([split.labels for split in splits.values()]),
        "ids": np.array([name for split in splits.values() for name in split.ids]),
        "split": np.repeat(list(splits), [len(split) for split in splits.values()]),
        "class_names": np.array(data.class_names),
    }
    groups = [split.groups for split in splits.values() if split.groups is not None]
    return arrays | ({"groups": np.concatenate(groups)} if len(groups) == len(splits) else {})
