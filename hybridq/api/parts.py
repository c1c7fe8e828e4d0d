"""Data, encoders, heads and backends in the forms in which people have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, TypeAlias, cast

from torch import nn
from torch.utils.data import Dataset

from hybridq.config import EncoderConfig, HeadConfig
from hybridq.config.choices import entries
from hybridq.config.complaints import part_config
from hybridq.config.handed import PREFIX, check_made, handed_name, is_handed
from hybridq.data import ImageData, load_data
from hybridq.data.in_memory import names_of_datasets
from hybridq.data.pixels import pixels_of
from hybridq.data.source import JOINT, sources_of
from hybridq.errors import InvalidValueError
from hybridq.models.encoders.encoder import Encoder
from hybridq.models.encoders.initial import encoder_around
from hybridq.models.encoders.timm_models import PREFIX as TIMM
from hybridq_backends import Executable, Spec, open_backend, parse_backend
from hybridq_backends.specs.texts import backend_text

Data: TypeAlias = ImageData | str | Path | Dataset[Any] | Any
"""A name, a folder, an `.npz` file, `ImageData`, a dataset of torch, or arrays of images."""
AnyEncoder: TypeAlias = Encoder | nn.Module | str | Path | None
"""An `Encoder`, any module, a network's name, `imagenet`, a run or a file; None for a new one."""
AnyHead: TypeAlias = str | HeadConfig | Mapping[str, Any] | nn.Module
"""A name, a config (also as a mapping with `name` in it), or any module."""
AnyBackend: TypeAlias = str | Spec | Executable | Any
"""A profile with fields, a spec, an open executable, or a backend or an estimator of Qiskit."""


def data_of(
    data: Data, splits: tuple[str, ...], class_names: Sequence[str] | None = None
) -> ImageData:
    """Get data in any form.

    Args:
        data: What `Data` lists; arrays and tensors are images without labels.
        splits: Which splits to load where they are on disk.
        class_names: Names of the classes in the order of their numbers, where nothing else names
            them.

    Raises:
        HybridqError: If they cannot be read, or are something else.
    """
    if isinstance(data, ImageData):
        return data
    if isinstance(data, str | Path):
        return load_data(str(data), splits=splits)
    if data is None or isinstance(data, nn.Module | type):
        got = "None" if data is None else _name_of(data)
        raise InvalidValueError(
            f"Expected data as a name, a path, ImageData, a dataset or arrays, got {got}: give "
            "data in its place, and a network as `encoder`."
        )
    if isinstance(data, Dataset):
        return ImageData.from_arrays(
            train=data, class_names=names_of_datasets({"train": data}) or class_names
        )
    if isinstance(data, tuple) and len(data) in (2, 3):
        groups = data[2] if len(data) == 3 else None
        names = None if data[1] is None else class_names
        return ImageData.from_arrays(*data[:2], groups=groups, class_names=names)
    return ImageData.from_arrays(pixels_of(data))


def sets_of(data: Data | Sequence[Data]) -> tuple[ImageData, ...]:
    """Get the sets of a pretraining in any form.

    Args:
        data: What `Data` lists; a list of names, paths, `ImageData` and datasets, or names joined
            by `+`, are several sets.

    Raises:
        HybridqError: If they cannot be read, or are something else.
    """
    parts: Sequence[Any] = (data,)
    if isinstance(data, str | Path):
        parts = sources_of(str(data))
    elif isinstance(data, list | tuple):
        are_sets = all(isinstance(one, str | Path | ImageData | Dataset) for one in data)
        parts = data if data and are_sets else parts
    return tuple(data_of(one, ("train",)) for one in parts)


def _name_of(part: object) -> str:
    return f"the class {part.__name__}" if isinstance(part, type) else f"a {type(part).__name__}"


def recorded_source(*sets: ImageData) -> str:
    """What the config of a run calls its data, of one set or several."""
    return JOINT.join(data.source or PREFIX + data.name for data in sets)


def encoder_of(
    encoder: AnyEncoder, data: ImageData, image_size: int | None
) -> tuple[EncoderConfig, Encoder | None]:
    """Get what a config says of an encoder, and the encoder where it is handed over.

    Modules are copied: the originals stay as they are.

    Args:
        encoder: What `AnyEncoder` lists.
        data: Data whose images give size and normalisation of a module that is no `Encoder`.
        image_size: Input size of such a module in pixels; that of the images where None.

    Raises:
        InvalidValueError: If it is something else, or a module that gives no features of images.
    """
    if encoder is None:
        return EncoderConfig(), None
    if isinstance(encoder, Encoder):
        return EncoderConfig(weights=PREFIX + encoder.spec.weights), deepcopy(encoder)
    if isinstance(encoder, nn.Module):
        name, images = handed_name(encoder), data.splits["train"].images
        own = encoder_around(deepcopy(encoder), name, images, image_size=image_size)
        return EncoderConfig(weights=name), own
    text = _text_of(encoder)
    is_network = text.startswith(TIMM) or text in entries("encoder") or ":" in text
    if is_network and not Path(text).exists():
        return EncoderConfig(name=text), None
    return EncoderConfig(weights=text), None


def _text_of(encoder: object) -> str:
    """The name or the path of an encoder."""
    check_made("encoder", encoder)
    if not isinstance(encoder, str | Path):
        raise InvalidValueError(
            "Expected an encoder as a name, a file, a run or a module, got a "
            f"{type(encoder).__name__}: give one of these first, and the data after it."
        )
    return str(encoder)


def network_of(encoder: Encoder | None) -> nn.Module | None:
    """Get a copy of the network that an encoder was made of, where it was handed over."""
    if encoder is None or not is_handed(encoder.spec.architecture):
        return None
    return deepcopy(encoder.features[0])


def head_of(head: AnyHead) -> tuple[HeadConfig, nn.Module | None]:
    """Get what a config says of a head, and a copy of the head where it is handed over.

    Raises:
        InvalidValueError: If it is neither a name, a config nor a module, or cannot be told that.
    """
    check_made("head", head)
    if isinstance(head, nn.Module):
        return HeadConfig(name=handed_name(head)), deepcopy(head)
    if isinstance(head, HeadConfig):
        return head, None
    if isinstance(head, str | Mapping):
        return cast(HeadConfig, part_config("head", head)), None
    raise InvalidValueError(
        f"Expected a head as a name, a config or a module, got a {type(head).__name__}: give one "
        "of these."
    )


def backend_of(backend: AnyBackend) -> tuple[str, Spec | Executable | None]:
    """Get what a config says of a backend, and the backend where its name does not say it."""
    if isinstance(backend, str):
        return backend, None
    if not isinstance(backend, Spec | Executable):
        backend = open_backend(backend)
    spec = backend if isinstance(backend, Spec) else backend.spec
    text = None if spec is None else backend_text(spec)
    if text is not None:
        return text, None
    name = backend.kind if isinstance(backend, Spec) else backend.profile
    return PREFIX + name, backend


def is_paid(backend: AnyBackend) -> bool:
    """Whether jobs on a backend cost something; nothing is opened to find out."""
    spec = parse_backend(backend) if isinstance(backend, str) else backend
    spec = spec.spec if isinstance(spec, Executable) else spec
    return isinstance(spec, Spec) and spec.is_paid
