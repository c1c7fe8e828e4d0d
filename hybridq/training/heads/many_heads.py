"""Hundreds of heads of one architecture on the same features, trained at once."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import islice, pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from hybridq.errors import InvalidValueError
from hybridq.models.classifier import probabilities
from hybridq.models.reducers import check_reducer
from hybridq.quantum.modules import circuits_of
from hybridq.training.heads.head import BATCH, head_batches, head_probs, train_head
from hybridq.training.objectives.batch_norm import EvenStatistics
from hybridq.training.objectives.criteria import loss_function
from hybridq.training.optimizer import head_groups, one_cycle

MOST_AT_ONCE = 64
"""Heads of one stack; more of them save no more time, and leave the processor's caches."""

MEMORY = 512 * 2**20
"""Bytes that the tensors of a stack may take, by a rough count."""

IMAGES = 256
"""Images of one forward pass of `heads_probs`."""

State = dict[str, Tensor]


def train_heads(
    heads: Sequence[nn.Module],
    features: Tensor,
    labels: Tensor,
    rows: Sequence[NDArray[np.int64]],
    *,
    num_classes: int,
    steps: int,
    learning_rate: float,
    block_learning_rate: float,
    weight_decay: float,
    seeds: Sequence[int],
) -> None:
    """Train heads in place, each on its own rows, as `train_head` does up to rounding.

    The weights of many heads are stacked, and a step of all of them is one call
    (`torch.func.vmap`). Where that cannot be, heads are trained one after another, with the same
    result: heads that draw random numbers or branch on values, circuits on shots or elsewhere than
    on the torch engine, and circuits so wide that two heads do not fit into memory. The batches are
    of 32 images, or of as many as the head with the fewest rows has.

    Args:
        heads: what is trained, modules of one architecture.
        features: `(pool, in_features)`, of the images of all heads.
        labels: `(pool,)` classes, or `(pool, num_classes)` of 0 and 1.
        rows: for each head the indices in the pool of the images that it is trained on,
            `(count,)`; the counts may differ.
        num_classes: number of classes.
        steps: optimiser steps of each head, at least 2.
        learning_rate: peak, of all but the block.
        block_learning_rate: peak, of the block: the circuit, or the control in its place.
        weight_decay: of matrices outside the block.
        seeds: of the order of the images, one for each head.

    Raises:
        InvalidValueError: If the heads do not have one seed and at least one row each, or the
            principal components of one have not been fitted.
        NotFiniteError: If the angles or the weights of a circuit become NaN or infinite.
    """
    if not len(heads) == len(rows) == len(seeds):
        raise InvalidValueError(
            f"Expected rows and a seed for each of {len(heads)} heads, got {len(rows)} times rows "
            f"and {len(seeds)} seeds: give one of both for each."
        )
    for head in heads:
        check_reducer(head)
    batch_size = min((BATCH, *(len(own) for own in rows)))
    if not batch_size:
        raise InvalidValueError(
            "Expected at least one row for each head, got a head without: leave it out."
        )
    rates = {
        "learning_rate": learning_rate,
        "block_learning_rate": block_learning_rate,
        "weight_decay": weight_decay,
    }
    for part in _parts(heads, features, batch_size):
        orders = [
            own[_order(len(own), batch_size, seed, steps)]
            for own, seed in zip(rows[part], seeds[part], strict=True)
        ]
        batches = torch.from_numpy(np.stack(orders, axis=1)).to(features.device)
        criteria = [loss_function(labels[own], num_classes, weighted=True) for own in rows[part]]
        stack = _Stack(heads[part], criteria)
        if stack.can_be_trained(features[batches[0, :2]], labels[batches[0, :2]]):
            stack.train(features, labels, batches, rates)
            continue
        for head, own, seed in zip(heads[part], rows[part], seeds[part], strict=True):
            train_head(
                head,
                features[own],
                labels[own],
                num_classes=num_classes,
                steps=steps,
                seed=seed,
                batch_size=batch_size,
                learning_rate=learning_rate,
                block_learning_rate=block_learning_rate,
                weight_decay=weight_decay,
            )


@lru_cache(maxsize=1024)
def _order(images: int, batch_size: int, seed: int, steps: int) -> NDArray[np.int32]:
    """List the batches of a head, `(steps, batch_size)`; a search asks for them in each setting."""
    return np.array(list(islice(head_batches(images, batch_size, seed), steps)), dtype=np.int32)


class _Stack:
    """Heads whose weights are stacked, and their losses.

    The first head lends its structure. Its whole numbers, such as the number of batches seen, are
    those of all heads.

    Args:
        heads: modules of one architecture.
        criteria: the loss of each head, with the weights of its classes.
    """

    def __init__(self, heads: Sequence[nn.Module], criteria: Sequence[nn.Module]) -> None:
        self._heads = heads
        self._criterion = criteria[0]
        self._balance = stack_module_state(list(criteria))[1]

    def can_be_trained(self, inputs: Tensor, targets: Tensor) -> bool:
        """Whether the losses of copies of the first two heads can be mapped and differentiated.

        Args:
            inputs: of the two heads, `(2, batch, in_features)`.
            targets: their labels, `(2, batch, ...)`.
        """
        if len(self._heads) < 2:
            return False
        pair = [copy.deepcopy(head).train() for head in self._heads[:2]]
        try:
            _check_whole_numbers(self._heads)
            balance = {name: value[:2] for name, value in self._balance.items()}
            losses = self._losses(pair[0], _stacked(pair), balance, inputs, targets)
            torch.autograd.backward(losses.sum())
        except (RuntimeError, ValueError):  # what is wrong with a head itself stops the loop too
            return False
        return True

    def train(
        self, features: Tensor, labels: Tensor, batches: Tensor, rates: dict[str, float]
    ) -> None:
        """Train all heads in place.

        Args:
            features: `(pool, in_features)`.
            labels: `(pool, ...)`.
            batches: indices in the pool, `(steps, heads, batch)`.
            rates: what `head_groups` is told.
        """
        for head in self._heads:
            head.train()
        first, state = self._heads[0], _stacked(self._heads)
        stacked = {id(weight): state[name] for name, weight in first.named_parameters()}
        groups = head_groups(first, **rates)
        for group in groups:
            group["params"] = [stacked[id(weight)] for weight in group["params"]]
        optimizer, schedule = one_cycle(groups, len(batches))
        statistics = EvenStatistics(first)
        inputs = features.new_empty(batches[0].numel(), *features.shape[1:])
        for batch in batches:
            torch.index_select(features, 0, batch.flatten(), out=inputs)
            statistics.before_batch()
            optimizer.zero_grad()
            own = inputs.view(*batch.shape, *features.shape[1:])
            losses = self._losses(first, state, self._balance, own, labels[batch])
            torch.autograd.backward(losses.sum())
            optimizer.step()
            schedule.step()
        statistics.end()
        self._hand_back(state)

    def _losses(
        self, head: nn.Module, state: State, balance: State, inputs: Tensor, targets: Tensor
    ) -> Tensor:
        """Compute the loss of each head, `(heads,)`."""

        def loss(state: State, balance: State, inputs: Tensor, targets: Tensor) -> Tensor:
            logits = functional_call(head, state, (inputs,)).float()
            value: Tensor = functional_call(self._criterion, balance, (logits, targets))
            return value

        losses: Tensor = vmap(loss)(state, balance, inputs, targets)
        return losses

    @torch.no_grad()
    def _hand_back(self, state: State) -> None:
        """Give each head its weights and statistics."""
        whole = {n: value for n, value in self._heads[0].named_buffers() if n not in state}
        for place, head in enumerate(self._heads):
            for name, value in [*head.named_parameters(), *head.named_buffers()]:
                value.copy_(state[name][place] if name in state else whole[name])
            head.eval()


@torch.inference_mode()
def heads_probs(
    heads: Sequence[nn.Module], features: Tensor, *, multilabel: bool
) -> NDArray[np.float64]:
    """Compute the probabilities by many heads of one architecture, as `head_probs` does by one.

    Args:
        heads: trained modules of one architecture, at least one.
        features: `(images, in_features)`, the same for all heads.
        multilabel: whether an image can have several labels.

    Returns:
        `(heads, images, num_classes)`.

    Raises:
        NotFiniteError: If a logit is NaN or infinite.
    """
    found: list[NDArray[np.float64]] = []
    for part in _parts(heads, features, min(IMAGES, len(features))):
        try:
            _check_whole_numbers(heads[part])
            logits = _logits(heads[part], features)
        except (RuntimeError, ValueError):  # as in training
            found += [head_probs(head, features, multilabel=multilabel) for head in heads[part]]
            continue
        probs = probabilities(logits.flatten(0, 1).double(), multilabel=multilabel)
        found.append(probs.view(logits.shape).numpy())
    return np.concatenate([one.reshape(-1, *one.shape[-2:]) for one in found])


def _logits(heads: Sequence[nn.Module], features: Tensor) -> Tensor:
    """Compute the logits of all heads, `(heads, images, num_classes)`."""

    def logits(state: State, features: Tensor) -> Tensor:
        found: Tensor = functional_call(heads[0], state, (features,))
        return found

    state = _stacked(heads)
    mapped = vmap(logits, in_dims=(0, None))
    return torch.cat([mapped(state, some) for some in torch.split(features, IMAGES)], dim=1)


def _stacked(heads: Sequence[nn.Module]) -> State:
    """Stack weights and statistics, with the heads as the first dimension; no whole numbers."""
    weights, buffers = stack_module_state(list(heads))
    return weights | {name: one for name, one in buffers.items() if one.is_floating_point()}


def _check_whole_numbers(heads: Sequence[nn.Module]) -> None:
    """Refuse to stack heads whose whole numbers differ, as they are not stacked."""
    first, *others = (dict(head.named_buffers()) for head in heads)
    for name, value in first.items():
        if not value.is_floating_point() and not all(value.equal(one[name]) for one in others):
            raise InvalidValueError(f"Expected heads with the same {name}, got others: use a loop.")


def _parts(heads: Sequence[nn.Module], features: Tensor, images: int) -> list[slice]:
    """Cut the heads into stacks of even size.

    Args:
        heads: modules of one architecture.
        features: `(pool, in_features)`.
        images: that a head has in a call.
    """
    if not heads:
        return []
    weights = sum(weight.numel() for weight in heads[0].parameters())
    amplitudes = sum(
        2 * 2**info.circuit.num_qubits * info.circuit.depth() for info in circuits_of(heads[0])
    )
    one = 8 * (5 * weights + images * (4 * math.prod(features.shape[1:]) + amplitudes))
    most = min(MOST_AT_ONCE, max(1, MEMORY // one))
    cuts = np.linspace(0, len(heads), math.ceil(len(heads) / most) + 1).astype(int)
    return [slice(start, stop) for start, stop in pairwise(cuts.tolist())]
