"""Write and read weights in one file with a hash of the weights and of their description.

The hash is in the same file, so that a kill between two writes cannot separate them.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from hybridq.errors import InvalidValueError
from hybridq.utils.files import open_regular, parse_json, write_bytes
from hybridq.utils.finite import check_finite
from hybridq_backends.utils.names import field_name

logger = logging.getLogger("hybridq")

HASH = "sha256"
"""The field that holds the hash of the tensors and of the other fields."""

RESTORE = "restore it from a copy, or train again."
"""The remedy for a damaged file of weights."""

_told: set[Path] = set()


def save_weights(
    path: Path, state: Mapping[str, Tensor], key: str, about: Mapping[str, Any]
) -> None:
    """Write tensors and their description to a safetensors file.

    Args:
        path: The file.
        state: Tensors by name, such as the `state_dict` of a network.
        key: Key of the metadata. There is only one, since the order of several is random.
        about: The description of the tensors, as a JSON value.

    Raises:
        NotFiniteError: If a tensor holds NaN or infinity; nothing is written then.
    """
    check_finite("weights", state)
    tensors = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    metadata = {key: json.dumps({**about, HASH: _hash(tensors, about)})}
    write_bytes(path, save(tensors, metadata=metadata))


def read_weights(path: Path, key: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read tensors and their description, and refuse a file that was changed.

    A file that was written without a hash is read, with a line in the log that says so.

    Args:
        path: The file.
        key: Key of the metadata.

    Returns:
        The tensors by name, and their description; empty without one.

    Raises:
        InvalidValueError: If the file is damaged, or its hash does not fit.
        NotFiniteError: If a tensor holds NaN or infinity.
    """
    what = f"a safetensors file of hybridq with `{key}`"
    with open_regular(path, what, RESTORE) as file:
        content = file.read()  # since safetensors opens no path that is not UTF-8
    try:
        state = load(content)
        length = int.from_bytes(content[:8], "little")  # of the header, which is JSON
        metadata: dict[str, str] = json.loads(content[8 : 8 + length]).get("__metadata__", {})
    except (SafetensorError, RuntimeError, ValueError) as error:
        raise InvalidValueError(
            f"Expected {what} at {str(path)!r}, got another or a damaged file "
            f"({type(error).__name__}): {RESTORE}"
        ) from error
    about = parse_json(metadata.get(key, "{}"), f"`{key}` in {str(path)!r}", RESTORE)
    if not isinstance(about, dict):
        raise InvalidValueError(
            f"Expected an object as `{key}` in {str(path)!r}, got {type(about).__name__}: {RESTORE}"
        )
    found = about.pop(HASH, None)
    if found is None:
        if path.resolve() not in _told:
            _told.add(path.resolve())
            logger.warning(
                "%s has no hash of its weights, as earlier versions wrote it: a change of them "
                "would not be noticed",
                path,
            )
    elif found != _hash(state, about):
        raise InvalidValueError(
            f"Expected the weights that were written to {path}, got others than their hash says, "
            f"which were changed or damaged: {RESTORE}"
        )
    check_finite(f"weights in {path}", state)
    return state, about


def first_complaint(error: ValidationError) -> str:
    """Write the first complaint of pydantic about a description in a few words."""
    first = error.errors(include_url=False, include_input=False)[0]
    return ": ".join(filter(None, (field_name(first["loc"]), first["msg"])))


def hash_of_json(value: Any) -> str:
    """Compute the SHA-256 of a JSON value; the order of its fields does not count."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def hash_of_file(path: Path) -> str:
    """Compute the SHA-256 of the bytes of a file."""
    digest = hashlib.sha256()
    with open_regular(path, "weights", RESTORE) as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def _hash(state: Mapping[str, Tensor], about: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(hash_of_json(about).encode())
    for name, tensor in sorted(state.items()):
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
