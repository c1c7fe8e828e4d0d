"""The tensor-train reducer: against dense matrices, and bounds of its approximation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridq.config import head_config
from hybridq.errors import InvalidValueError
from hybridq.models.heads import build_head, num_parameters
from hybridq.models.reducers import AngleReducer
from hybridq.models.reducers.tensor_train import (
    TensorTrainLinear,
    bounded_ranks,
    contracted,
    factors,
    tt_svd,
)
from hybridq.training.heads.head import train_head


def drawn(seed: int, *shape: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


@given(st.integers(1, 4000), st.integers(1, 4))
def test_factors_multiply_to_the_size(size, count):
    found = factors(size, count)
    assert len(found) == count
    assert math.prod(found) == size
    assert list(found) == sorted(found)


def entry_by_hand(cores, row, column, out_factors, in_factors):
    """An entry of the matrix: the product of one slice of each core, by its definition."""
    rows, columns = np.unravel_index(row, out_factors), np.unravel_index(column, in_factors)
    slices = [core[:, o, i] for core, o, i in zip(cores, rows, columns, strict=True)]
    return np.linalg.multi_dot([np.asarray(one) for one in slices]).item()


def test_an_entry_is_the_product_of_slices():
    train = TensorTrainLinear(12, 8, 3, torch.Generator().manual_seed(0)).double()
    cores = [core.detach().numpy() for core in train.cores]
    wanted = [
        [entry_by_hand(cores, o, i, train.out_factors, train.in_factors) for i in range(12)]
        for o in range(8)
    ]
    np.testing.assert_allclose(train.weight.detach().numpy(), wanted, atol=1e-14)
    inputs = drawn(1, 5, 12)
    np.testing.assert_allclose(
        train(inputs).detach().numpy(), inputs.numpy() @ np.array(wanted).T, atol=1e-13
    )


def test_full_ranks_are_the_dense_layer():
    """1280 to 8, cut as in TTN-VQC: ranks 1, 16, 32, 1 are full."""
    assert bounded_ranks((2, 2, 2), (8, 10, 16), 10_000) == (1, 16, 32, 1)
    train = TensorTrainLinear(1280, 8, 32, torch.Generator()).double()
    dense, inputs = drawn(0, 8, 1280), drawn(1, 7, 1280)
    train.take(dense)
    torch.testing.assert_close(train.weight, dense, atol=1e-12, rtol=0)
    torch.testing.assert_close(train(inputs), inputs @ dense.T, atol=1e-10, rtol=0)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.sampled_from([6, 8, 12, 30]), st.integers(1, 12))
def test_the_error_is_at_most_the_root_of_the_discarded_squares(seed, size, rank):
    """Oseledets 2011, theorem 2.2: the discarded values of each unfolding of the whole tensor."""
    outs, ins = factors(8), factors(size)
    dense = drawn(seed, 8, size)
    cores = tt_svd(dense, outs, ins, rank)
    assert [core.shape[0] for core in cores] == list(bounded_ranks(outs, ins, rank)[:-1])
    error = float((contracted(cores) - dense).norm())
    tensor = dense.numpy().reshape(*outs, *ins).transpose(0, 3, 1, 4, 2, 5)
    tensor = tensor.reshape([o * i for o, i in zip(outs, ins, strict=True)])
    discarded = 0.0
    for k in (1, 2):
        unfolded = tensor.reshape(math.prod(tensor.shape[:k]), -1)
        discarded += float((np.linalg.svd(unfolded, compute_uv=False)[rank:] ** 2).sum())
    assert error <= math.sqrt(discarded) + 1e-10
    # and no train of these ranks is better than the best cut of one unfolding
    assert error >= math.sqrt(discarded / 2) - 1e-10


def test_three_percent_of_the_dense_parameters():
    generator = torch.Generator().manual_seed(0)
    train = AngleReducer(1280, 8, generator, "tt", rank=3)
    dense = AngleReducer(1280, 8, generator)
    assert num_parameters(train) == 2 * 8 * 3 + 3 * 2 * 10 * 3 + 3 * 2 * 16
    assert round(100 * num_parameters(train) / num_parameters(dense), 1) == 3.2


def test_initial_entries_vary_as_those_of_a_dense_layer():
    spread = [
        float(
            TensorTrainLinear(1280, 8, 3, torch.Generator().manual_seed(seed)).weight.detach().var()
        )
        for seed in range(30)
    ]
    assert np.mean(spread) * 3 * 1280 == pytest.approx(1, rel=0.3)


def test_training_moves_the_cores_and_finds_a_direction():
    features = drawn(0, 200, 24).float()
    labels = (features[:, 3] - features[:, 7] > 0).long()
    config = head_config(name="mlp", num_qubits=2, reducer="tt", tt_rank=2)
    head = build_head(24, 2, config, generator=torch.Generator().manual_seed(0))
    before = [core.detach().clone() for core in head.reducer.linear.cores]
    train_head(
        head,
        features,
        labels,
        num_classes=2,
        steps=200,
        learning_rate=2e-2,
        block_learning_rate=1e-2,
        weight_decay=0.0,
        seed=0,
    )
    assert not any(map(torch.equal, before, head.reducer.linear.cores))
    assert float((head(features).argmax(dim=1) == labels).float().mean()) > 0.9


@pytest.mark.parametrize("rank", [0, -1])
def test_a_rank_below_one_is_refused(rank):
    with pytest.raises(InvalidValueError, match="rank of at least 1"):
        TensorTrainLinear(8, 4, rank, torch.Generator())
