"""Write and read the file of an encoder: its weights, and the spec needed to use them."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError
from torch import nn

from hybridq.errors import InvalidValueError, MissingFileError
from hybridq.models.encoders.encoder import Encoder, EncoderSpec
from hybridq.runs.folder import check_finished, check_recorded
from hybridq.utils.weights import first_complaint, hash_of_file, read_weights, save_weights

PRETRAIN = "make one with `hybridq pretrain`."
"""The remedy for a damaged encoder."""
FILE = "encoder.safetensors"
KEY = "encoder_spec"
"""The key of the metadata in the file."""


def save_encoder(encoder: Encoder, path: Path) -> None:
    """Write the backbone alone, with its spec, to a safetensors file.

    Raises:
        NotFiniteError: If a weight is NaN or infinite; nothing is written then.
    """
    save_weights(path, encoder.state_dict(), KEY, encoder.spec.model_dump(mode="json"))


def encoder_file(source: str | Path) -> Path:
    """Find the `encoder.safetensors` of a file or a run folder.

    Raises:
        MissingFileError: If there is none.
    """
    path = Path(source)
    if path.is_dir():
        path = path / FILE
    if not path.is_file():
        check_finished(path.parent)
        if (path.parent / "model").is_dir():
            raise MissingFileError(
                f"Expected an encoder, got {str(source)!r}, a run of `hybridq finetune`: to begin "
                "with all of its weights give it as --start, or `start` in Python."
            )
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
        MissingFileError: If there is no such file.
        InvalidValueError: If it is not an encoder, has another shape, is damaged, or was changed
            since it was written.
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
