"""What is done about rare classes: weights, balanced batches, SMOTE and QI-SMOTE."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from imblearn.over_sampling import SMOTE
from imblearn.utils.estimator_checks import parametrize_with_checks
from lightning.pytorch.callbacks import Callback
from qiskit.quantum_info import Operator, SparsePauliOp, Statevector

from hybridq.cli import main as cli
from hybridq.config import FinetuneConfig
from hybridq.errors import InvalidValueError
from hybridq.training.balancing.oversampling import balanced_chances, oversampled
from hybridq.training.balancing.qi_smote import QISMOTE, moving_circuit
from hybridq.training.batches import EpochBatches
from hybridq.training.finetune import finetune

pytestmark = pytest.mark.usefixtures("single_thread")

PHANTOM = "phantom,size=16,count=60"
UNLIKE = f"{PHANTOM},balance=0.25"
"""A class of a quarter of the images."""


def data_of(count=60, rare=12, features=5, seed=0):
    rng = np.random.default_rng(seed)
    labels = (np.arange(count) < rare).astype(int)
    return rng.normal(size=(count, features)) + labels[:, None], labels


@parametrize_with_checks([QISMOTE(random_state=0)])
def test_it_is_a_sampler_of_imbalanced_learn(estimator, check, request):
    check(estimator)


@pytest.mark.parametrize("gamma", [0.0, 0.9])
def test_without_an_angle_it_is_smote(gamma):
    features, labels = data_of()
    found = QISMOTE(angle=0.0, gamma=gamma, random_state=3).fit_resample(features, labels)
    wanted = SMOTE(random_state=3).fit_resample(features, labels)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one, other)
    near = QISMOTE(angle=1e-9, gamma=gamma, random_state=3).fit_resample(features, labels)
    np.testing.assert_allclose(near[0], wanted[0], atol=1e-7)  # through the circuits
    far = QISMOTE(angle=0.5, gamma=gamma, random_state=3).fit_resample(features, labels)
    assert np.abs(far[0] - wanted[0]).max() > 0.1


@settings(max_examples=15, deadline=None)
@given(
    rare=st.integers(2, 20),
    common=st.integers(21, 40),
    features=st.integers(1, 6),
    seed=st.integers(0, 99),
)
def test_counts_are_exact_and_given_rows_stay(rare, common, features, seed):
    inputs, labels = data_of(rare + common, rare, features, seed)
    neighbours = min(5, rare - 1)
    found, of_rows = QISMOTE(random_state=seed, k_neighbors=neighbours).fit_resample(inputs, labels)
    assert Counter(of_rows.tolist()) == {0: common, 1: common}
    np.testing.assert_array_equal(found[: len(inputs)], inputs)
    own = inputs[labels == 1]
    made = found[len(inputs) :]
    assert (made >= own.min(axis=0) - 1e-9).all()
    assert (made <= own.max(axis=0) + 1e-9).all()


def test_a_strategy_of_three_classes():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [30, 10, 8])
    inputs = rng.normal(size=(48, 4))
    sampler = QISMOTE(sampling_strategy={1: 20, 2: 11}, random_state=0)
    _, of_rows = sampler.fit_resample(inputs, labels)
    assert Counter(of_rows.tolist()) == {0: 30, 1: 20, 2: 11}


def test_a_feature_by_itself_follows_a_closed_form():
    """Without entanglement a qubit of polar angle t is turned by layers * angle."""
    features, _ = data_of(count=20, rare=20, features=3)
    low, high = features.min(axis=0), features.max(axis=0)
    scaled = 2 * (features - low) / (high - low) - 1
    moved = QISMOTE(angle=0.4, gamma=0.0, layers=2).moved(features)
    wanted = np.cos(np.arccos(scaled) + 0.8)
    np.testing.assert_allclose(2 * (moved - low) / (high - low) - 1, wanted, atol=1e-9)
    swapped = QISMOTE(angle=0.4, gamma=0.0, layers=2).moved(features[:, [2, 0, 1]])
    np.testing.assert_allclose(swapped, moved[:, [2, 0, 1]], atol=1e-12)


def test_its_circuit_is_what_it_says():
    """The same values from matrices that are multiplied here."""
    made = moving_circuit(2, angle=0.3, gamma=0.7, layers=1)
    values = np.array([0.2, -0.6])
    state = np.array([1.0])
    for one in values:  # qubit 1 is the left factor
        polar = np.arccos(one)
        state = np.kron([np.cos(polar / 2), np.sin(polar / 2)], state)
    zz = np.diag(np.exp(-0.35j * np.array([1, -1, -1, 1])))
    turn = np.array([[np.cos(0.15), -np.sin(0.15)], [np.sin(0.15), np.cos(0.15)]])
    final = np.kron(turn, turn) @ zz @ state
    bound = made.circuit.assign_parameters(
        dict(zip(made.input_params, -np.arcsin(values), strict=True))
    )
    prepared = Statevector(bound)
    for word in ("IZ", "ZI"):
        wanted = (final.conj() @ Operator.from_label(word).data @ final).real
        assert prepared.expectation_value(SparsePauliOp(word)).real == pytest.approx(wanted)


def test_steady_features_stay_and_parts_are_taken():
    features, labels = data_of(features=7)
    features[:, 3] = 2.0
    sampler = QISMOTE(num_qubits=3, random_state=0)
    found, _ = sampler.fit_resample(features.astype(np.float32), labels)
    assert found.dtype == np.float32
    assert (found[:, 3] == 2.0).all()
    assert np.isfinite(found).all()
    shots = QISMOTE(num_qubits=3, backend="aer_noisy,noise_scale=0,shots=none").moved(features)
    np.testing.assert_allclose(shots, sampler.moved(features), atol=1e-9)


def test_rows_are_made_of_each_class_but_the_largest():
    features, labels = (torch.from_numpy(one) for one in data_of(rare=4))
    for way in ("smote", "qi-smote"):
        found, of_rows = oversampled(way, features.float(), labels, seed=1)
        assert torch.bincount(of_rows).tolist() == [56, 56]
        assert found.dtype == torch.float32
        again, _ = oversampled(way, features.float(), labels, seed=1)
        assert torch.equal(found, again)
    with pytest.raises(InvalidValueError, match="at least 2 labelled images of each class"):
        oversampled("smote", features, (torch.arange(60) == 0).long(), seed=0)
    even = torch.arange(60) % 2
    assert oversampled("smote", features, even, seed=0)[0] is features


def test_batches_in_which_classes_come_as_often():
    labels = torch.tensor([0] * 90 + [1] * 10)
    chances = balanced_chances(labels).numpy()
    assert chances.sum() == pytest.approx(1)
    batches = EpochBatches(100, 20, seed=0, chances=chances)
    drawn = []
    for epoch in range(40):
        batches.set_epoch(epoch)
        drawn += [row for batch in batches for row in batch]
    share = labels[drawn].double().mean()
    assert share == pytest.approx(0.5, abs=4 * 0.5 / 4000**0.5)
    assert list(EpochBatches(100, 20, seed=0)) == list(EpochBatches(100, 20, seed=0))


def config_of(way):
    return FinetuneConfig(
        data=UNLIKE,
        labels=0.5,
        freeze_encoder=True,
        image_size=32,
        epochs=3,
        checkpoint_every=1,
        head={"name": "pqc", "num_qubits": 2},
        balance=way,
    )


class Stop(Callback):
    """Stops a training in its third epoch."""

    def on_train_epoch_start(self, trainer, module):
        if trainer.current_epoch == 2:
            raise KeyboardInterrupt


def weights_of(run):
    return (run / "model" / "model.safetensors").read_bytes()


@pytest.mark.trains
def test_each_way_trains(isolated):
    """All ways are different, and each gives the same again, after an interruption too."""
    runs = {
        way: finetune(config_of(way)) for way in ("none", "weights", "sampler", "smote", "qi-smote")
    }
    assert len({weights_of(run) for run in runs.values()}) == len(runs)
    for way in ("sampler", "qi-smote"):
        before = set(Path("runs/finetune").iterdir())
        with pytest.raises(KeyboardInterrupt):
            finetune(config_of(way), callbacks=[Stop()])
        (begun,) = set(Path("runs/finetune").iterdir()) - before
        again = finetune(FinetuneConfig(resume=begun))
        assert weights_of(again) == weights_of(runs[way])


@pytest.mark.trains
def test_rows_that_were_made_do_not_say_where_a_head_begins(isolated, monkeypatch):
    seen = []

    def watched(head, features, labels, *args, **fields):
        seen.append((len(features), torch.bincount(labels_of(labels)).tolist()))

    def labels_of(labels):
        return torch.from_numpy(labels)

    monkeypatch.setattr("hybridq.training.heads.head_start.start_at_regression", watched)
    for way in ("none", "smote"):
        finetune(config_of(way))
    assert seen[0] == seen[1]
    assert seen[0][1][0] != seen[0][1][1]


def test_a_config_of_an_earlier_version_is_read():
    for weighed, way in ((True, "weights"), (False, "none")):
        assert FinetuneConfig.model_validate({"class_weights": weighed}).balance == way


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--balance", "smote"], "Expected --freeze-encoder"),
        (["--balance", "qi-smote", "--freeze-encoder", "--head", "swap_attention"], "pooled"),
        (["--balance", "none", "--freeze-encoder", "--head", "kernel"], "fitted in closed form"),
        (["--balance", "smot"], "smot"),
    ],
)
def test_what_cannot_be_balanced(options, words, isolated, capsys):
    assert cli.main(["finetune", "--data", PHANTOM, *options]) == 2
    (line,) = [one for one in capsys.readouterr().err.splitlines() if "error" in one]
    assert words in line


def test_without_its_library_the_extra_is_named(monkeypatch, isolated, capsys):
    monkeypatch.setattr("hybridq.training.balancing.oversampling.find_spec", lambda name: None)
    assert cli.main(["finetune", "--data", PHANTOM, "--balance", "smote", "--freeze-encoder"]) == 2
    assert "pip install 'hybridq[imbalance]'" in capsys.readouterr().err
