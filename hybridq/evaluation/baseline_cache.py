"""Baselines kept in the user's cache: every evaluation on the same data and labels has the same.

An entry is named by a hash of everything that its numbers follow from, the last digits included:
pixels and labels of the three splits, the encoder's input, the seed, the code, the versions of the
libraries, and what they compute with. It holds probabilities only, and a checksum, so an entry that
is damaged or of something else is computed again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import platform
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import numpy as np
from platformdirs import user_cache_path

from hybridq.data import ImageSplit, transforms
from hybridq.evaluation import baselines, features
from hybridq.evaluation.baselines import Probs
from hybridq.evaluation.metrics import scores
from hybridq.models.encoders import encoder as encoder_module
from hybridq.models.encoders.encoder import Encoder, EncoderSpec
from hybridq.threads import computing
from hybridq.utils.files import open_regular, remove_leftovers, write_bytes

logger = logging.getLogger("hybridq")

NAMES = ("majority", "raw_pixels", "random_encoder")
"""The baselines, in the order of an entry."""
MOST_BYTES = 256 * 2**20
MOST_ENTRIES = 1000
"""What the cache may hold; the entries that were not used for the longest time make room."""
LIBRARIES = ("numpy", "scipy", "scikit-learn", "torch", "torchvision")
CODE = (baselines, features, scores, encoder_module, transforms)
"""Modules whose source is part of an entry's name."""


def cached_baselines(
    train: ImageSplit,
    val: ImageSplit,
    test: ImageSplit,
    encoder: Encoder,
    num_classes: int,
    seed: int,
) -> Probs:
    """What `baseline_probs` returns, from the cache where an evaluation has left it there.

    A cache that cannot be read or written is told in the log, and is no reason to stop.
    """
    key = entry_key(train, val, test, encoder.spec, num_classes, seed)
    path = cache_folder() / f"{key}.bin"
    found = _read(path, key, len(val), len(test), num_classes)
    if found is not None:
        logger.info("baselines of the same data and labels: taken from %s", path.parent)
        return found
    computed = baselines.baseline_probs(train, val, test, encoder, num_classes, seed)
    try:
        _write(path, key, computed, num_classes)
    except OSError as error:
        logger.warning("baselines could not be kept in the cache: %s", error.strerror or error)
    return computed


def cache_folder() -> Path:
    """The folder of the entries."""
    return user_cache_path("hybridq") / "baselines"


def entry_key(
    train: ImageSplit,
    val: ImageSplit,
    test: ImageSplit,
    spec: EncoderSpec,
    num_classes: int,
    seed: int,
) -> str:
    """The name of an entry: a hash of everything that its numbers follow from."""
    used = computing()
    known = {
        "spec": spec.model_dump(mode="json", exclude={"weights", "data_licence"}),
        "num_classes": num_classes,
        "seed": seed,
        "versions": {name: metadata.version(name) for name in LIBRARIES},
        "code": [Path(str(module.__file__)).read_text(encoding="utf-8") for module in CODE],
        "machine": [platform.machine(), _processor()],
        "computing": [used.get("threads"), used.get("cpu_capability"), used.get("deterministic")],
        "variables": {
            name: value
            for name, value in used["variables"].items()
            if name.startswith(("OMP_NUM", "MKL_", "OPENBLAS_", "ONEDNN_", "DNNL_", "ATEN_"))
        },
    }
    digest = hashlib.sha256(json.dumps(known, sort_keys=True).encode())
    for split in (train, val, test):
        for array in (split.images, split.labels):
            digest.update(repr((array.shape, array.dtype.str)).encode())
            digest.update(np.ascontiguousarray(array).data.cast("B"))
    return digest.hexdigest()


def _processor() -> str:
    """The processor's model: kernels of the libraries differ in the last digits between models."""
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def _read(path: Path, key: str, on_val: int, on_test: int, num_classes: int) -> Probs | None:
    """The entry, or None where there is none that is whole and of this key."""
    shape = (len(NAMES), on_val + on_test, num_classes)
    length = 32 + 8 * int(np.prod(shape))
    if not path.is_file():
        return None
    try:
        with open_regular(path, "baselines of the cache", "remove it") as file:
            content = file.read(length + 1)
        os.utime(path)  # it was used now
    except (OSError, ValueError) as error:
        logger.warning("baselines in the cache could not be read: %s", error)
        return None
    payload = content[32:]
    if len(content) != length or content[:32] != _checksum(key, payload):
        logger.warning("baselines in the cache are damaged and computed again: %s", path)
        return None
    values = np.frombuffer(payload, dtype="<f8").reshape(shape).astype(np.float64)
    return {
        name: (part[:on_val].copy(), part[on_val:].copy())
        for name, part in zip(NAMES, values, strict=True)
    }


def _write(path: Path, key: str, probs: Probs, num_classes: int) -> None:
    """Write an entry, whole or not at all, and make room for it."""
    rows = [np.concatenate(probs[name]) for name in NAMES]
    if any(row.shape != (len(rows[0]), num_classes) for row in rows):
        return  # a class without a labelled image has no column
    payload = np.stack(rows).astype("<f8").tobytes()
    if len(payload) > MOST_BYTES // 4:
        return
    write_bytes(path, _checksum(key, payload) + payload)
    _make_room(path)


def _checksum(key: str, payload: bytes) -> bytes:
    return hashlib.sha256(key.encode() + payload).digest()


def _make_room(newest: Path) -> None:
    """Remove what is above the bounds, the longest unused first, and what killed writers left."""
    entries = sorted(_entries(newest.parent), key=lambda entry: -entry[1].st_mtime)
    total = 0
    for number, (path, status) in enumerate(entries):
        total += status.st_size
        if path != newest and (number >= MOST_ENTRIES or total > MOST_BYTES):
            path.unlink(missing_ok=True)
    remove_leftovers(newest.parent)


def _entries(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """The entries that are still there when they are looked at."""
    for path in folder.glob("*.bin"):
        with contextlib.suppress(FileNotFoundError):
            yield path, path.stat()
