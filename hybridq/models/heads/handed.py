"""Heads that are handed over in Python as modules."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from itertools import chain
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from hybridq.config import HeadConfig
from hybridq.config.handed import handed_label, refused_name
from hybridq.errors import InvalidValueError
from hybridq.models.heads.entry import HeadEntry

REMEDY = "load it with hybridq.load(run, head=...), or give the head an entry of its own."


def handed_head(name: str) -> HeadEntry:
    """Make the entry of a head known only by the name in a record; it cannot be built."""

    def build(*_sizes: Any, **_more: Any) -> NoReturn:
        raise refused_name("head", name, REMEDY)

    return HeadEntry(HeadConfig, build, handed_label(name))


def check_head(
    head: nn.Module, in_shape: Sequence[int], num_classes: int, dtype: torch.dtype = torch.float32
) -> None:
    """Refuse a module that is no map from features to logits, before it is trained.

    A copy of it is run on the features of two images. A head that is fitted in closed form has no
    logits yet, and is not asked for any.

    Args:
        head: What was handed over.
        in_shape: The shape of an image's features: `(features,)` or `(channels, rows, columns)`.
        num_classes: The number of logits.
        dtype: The type of the features.

    Raises:
        InvalidValueError: If it cannot take such features, or gives something else.
    """
    if callable(getattr(head, "fit", None)):
        return
    features = torch.randn(2, *in_shape, generator=torch.Generator().manual_seed(0), dtype=dtype)
    kind = str(dtype).removeprefix("torch.")
    wanted = f"a head from {kind} features {(2, *in_shape)} to logits {(2, num_classes)}"
    one = f"{in_shape[0]} features"
    if len(in_shape) > 1:
        one = f"feature maps of {' x '.join(map(str, in_shape))}"
    remedy = f"make it for {one} and {num_classes} classes."
    try:
        with torch.no_grad():
            logits = deepcopy(head).eval()(features.to(like(head).device))
    except Exception as error:
        got = " ".join(str(error).split()) or type(error).__name__
        raise InvalidValueError(f"Expected {wanted}, got {got}: {remedy}") from error
    if not isinstance(logits, Tensor) or logits.shape != (2, num_classes):
        is_tensor = isinstance(logits, Tensor)
        got = str(tuple(logits.shape)) if is_tensor else f"a {type(logits).__name__}"
        raise InvalidValueError(f"Expected {wanted}, got {got}: {remedy}")


def like(head: nn.Module) -> Tensor:
    """Find a tensor of the head's dtype and device; one of torch's default where it has none."""
    tensors = chain(head.parameters(), head.buffers())
    return next((tensor for tensor in tensors if tensor.is_floating_point()), torch.empty(0))
