"""The three blocks of a classifier, encoder, reducer and head, each of which can be exchanged.

Quantum LEGO (Qi et al., arXiv:2601.21780) puts an adaptive block with a circuit behind a frozen,
pretrained one. Here a block can be frozen, taken from another run, or replaced, on its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor, nn

from hybridq.config.training import BLOCKS
from hybridq.errors import InvalidValueError
from hybridq.models.reducers import AngleReducer, reducer_of

if TYPE_CHECKING:
    from hybridq.models.classifier import HybridClassifier

ENCODER, REDUCER, HEAD = BLOCKS


@dataclass(frozen=True)
class Block:
    """What a block of a classifier is.

    Attributes:
        name: `encoder`, `reducer` or `head`.
        in_shape: The shape of its input for one image.
        out_shape: The shape of its output for one image.
        parameters: The number of its parameters.
        trained: The number of those that training changes.
        share: What it has of all parameters that are trained, from 0 to 1.
    """

    name: str
    in_shape: tuple[int, ...]
    out_shape: tuple[int, ...]
    parameters: int
    trained: int
    share: float


def blocks_of(model: HybridClassifier, num_classes: int) -> list[Block]:
    """Describe the blocks of a classifier; a head without a reducer is one block.

    Args:
        model: The classifier.
        num_classes: The number of its logits.
    """
    size = model.encoder.spec.image_size
    reducer = reducer_of(model.head)
    into: tuple[int, ...] = model.feature_shape
    shapes: list[tuple[str, tuple[int, ...], tuple[int, ...]]] = [(ENCODER, (3, size, size), into)]
    if reducer is not None:
        shapes.append((REDUCER, into, (reducer.norm.num_features,)))
        into = (reducer.norm.num_features,)
    shapes.append((HEAD, into, (num_classes,)))
    weights = {name: list(_parameters(model, name)) for name, _, _ in shapes}
    trained = {
        name: sum(weight.numel() for weight in own if weight.requires_grad)
        for name, own in weights.items()
    }
    every = max(1, sum(trained.values()))
    return [
        Block(
            name,
            in_shape,
            out_shape,
            sum(weight.numel() for weight in weights[name]),
            trained[name],
            trained[name] / every,
        )
        for name, in_shape, out_shape in shapes
    ]


def trained_in(head: nn.Module) -> dict[str, int]:
    """Count the trained parameters of a head by its block: `reducer` and `head`."""
    found = {REDUCER: 0, HEAD: 0}
    for name, weight in head.named_parameters():
        found[block_of(f"head.{name}")] += weight.numel() if weight.requires_grad else 0
    return found


def freeze_blocks(model: HybridClassifier, names: Sequence[str]) -> None:
    """Take blocks out of training permanently: their parameters, and their batch norm.

    Raises:
        InvalidValueError: If there is no such block, or nothing is left to train.
    """
    for name in names:
        _check(model, name)
        if name == ENCODER:
            model.freeze_encoder()
        elif name == REDUCER:
            _reducer(model).freeze()
        else:
            model.freeze_head()
    # A head that is fitted in closed form has no parameters, and is not frozen for that.
    is_frozen = HEAD in names and not any(one.requires_grad for one in model.parameters())
    if is_frozen:
        raise InvalidValueError(
            "Expected a block that is trained, got all of them frozen: leave one out of --freeze."
        )


def block_of(key: str) -> str:
    """Name the block that a weight belongs to, by its key in the state of a classifier."""
    if key.startswith("encoder."):
        return ENCODER
    return REDUCER if key.startswith("head.reducer.") else HEAD


def state_of(state: dict[str, Tensor], names: Iterable[str]) -> dict[str, Tensor]:
    """Choose the weights of some blocks from the state of a classifier."""
    wanted = set(names)
    return {key: value for key, value in state.items() if block_of(key) in wanted}


def _parameters(model: HybridClassifier, name: str) -> Iterable[nn.Parameter]:
    return (weight for key, weight in model.named_parameters() if block_of(key) == name)


def _check(model: HybridClassifier, name: str) -> None:
    if name not in BLOCKS:
        raise InvalidValueError(
            f"Expected blocks of {', '.join(BLOCKS)}, got {name!r}: name one of these."
        )
    if name == REDUCER:
        _reducer(model)


def _reducer(model: HybridClassifier) -> AngleReducer:
    reducer = reducer_of(model.head)
    if reducer is None:
        raise InvalidValueError(
            f"Expected a head with a reducer, got {type(model.head).__name__}, which takes all "
            "features: leave `reducer` out, or take a head such as pqc."
        )
    return reducer
