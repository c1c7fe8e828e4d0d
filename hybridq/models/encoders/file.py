"""The file that an encoder is kept in: its weights, with what is needed to use them."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError
from torch import nn

from hybridq.errors import InvalidValueError, MissingFileError
from hybridq.models.encoders.encoder import Encoder, EncoderSpec
from hybridq.runs.folder import check_finished, check_recorded
from hybridq.utils.weights import first_complaint, hash_of_file, read_weights, save_weights

PRETRAIN = "make one with `hybridq pretrain`."
"""Remedy where an encoder is damaged."""
FILE = "encoder.safetensors"
KEY = "encoder_spec"
"""Key of the metadata in that file."""


def save_encoder(encoder: Encoder, path: Path) -> None:
    """Write the backbone, and nothing else, with its spec to a safetensors file.

    Raises:
        NotFiniteError: If a weight is NaN or infinite; nothing is written then.
    """
    save_weights(path, encoder.state_dict(), KEY, encoder.spec.model_dump(mode="json"))


def encoder_file(source: str | Path) -> Path:
    """The `encoder.safetensors` that a file or a run folder stands for.

    Raises:
        MissingFileError: if there is none.
    """
    path = Path(source)
    if path.is_dir():
        path = path / FILE
    if not path.is_file():
        check_finished(path.parent)
        raise MissingFileError(
            "Expected an encoder: none, imagenet, a run of `hybridq pretrain` or an "
            f"encoder.safetensors, got {str(source)!r}: no file {path}."
        )
    return path


def load_encoder(source: str | Path, *, network: nn.Module | None = None) -> Encoder:
    """Read an encoder from a file or a run folder; every weight must fit.

    Args:
        source: The file or the folder.
        network: The network, where it was handed over in Python; its weights are replaced.

    Raises:
        MissingFileError: if there is no such file.
        InvalidValueError: if it is no encoder, one of another shape, damaged, or changed since it
            was written.
    """
    path = encoder_file(source)
    state, about = read_weights(path, KEY)
    if path.name == FILE:
        check_recorded(path.parent, "encoder", hash_of_file(path))
    try:
        spec = EncoderSpec.model_validate(about or None)
    except ValidationError as error:
        raise InvalidValueError(
            f"Expected a hybridq encoder in {path}, got a file without a valid {KEY} "
            f"({first_complaint(error)}): {PRETRAIN}"
        ) from error
    encoder = Encoder(spec, network=network)
    try:
        encoder.load_state_dict(state, strict=True)
    except RuntimeError as error:
        expected = {k: tuple(v.shape) for k, v in encoder.state_dict().items()}
        wrong = [k for k in expected.keys() | state.keys() if k not in state or k not in expected]
        wrong += [k for k in expected.keys() & state.keys() if expected[k] != tuple(state[k].shape)]
        raise InvalidValueError(
            f"Expected the weights of {spec.label} in {path}, got {len(wrong)} tensors that are "
            f"missing, unknown or of another shape (such as {sorted(wrong)[0]}): use the encoder "
            "of a `hybridq pretrain` run."
        ) from error
    return encoder
