from __future__ import annotations

import json

import pytest

from backends import open_backend
from hybridq.config import FinetuneConfig, HeadConfig
from hybridq.errors import InvalidValueError
from hybridq.training.finetune import finetune

REHEARSAL = "ibm_rehearsal,resilience_level=0,shots=64"


@pytest.fixture
def config(tmp_path, pretrained):
    return FinetuneConfig(
        data="phantom,size=16,count=40",
        runs=tmp_path,
        encoder=str(pretrained),
        head=HeadConfig(name="pqc", num_qubits=2, num_layers=1, init_std=0.5),
        backend=REHEARSAL,
        freeze_encoder=True,
        epochs=2,
        batch_size=8,
    )


def changed(config, **changes):
    return config.model_copy(update=changes)


@pytest.mark.parametrize("gradient", ["exact", "spsa"])
def test_every_step_is_one_job_and_validation_none(config, gradient):
    folder = finetune(changed(config, gradient=gradient))
    result = json.loads((folder / "result.json").read_text())
    steps = -(-result["labelled_images"] // 8) * 2
    assert result["circuit_jobs"] == steps


def test_training_on_hardware_needs_a_budget(config, tmp_path, tree):
    before = tree(tmp_path)
    with pytest.raises(InvalidValueError, match="Expected a budget for training on hardware"):
        finetune(changed(config, backend="ibm,shots=64"))
    assert tree(tmp_path) == before


def test_spsa_is_refused_where_derivatives_are_free(config):
    with pytest.raises(InvalidValueError, match="whose derivatives are exact and free"):
        finetune(changed(config, gradient="spsa", backend="statevector"))


def test_training_stops_at_its_budget_and_goes_on_with_another(config, tmp_path):
    backend = f"{REHEARSAL},max_qpu_seconds=9"  # four steps of about 2.1 s
    with pytest.raises(InvalidValueError, match="Expected jobs of at most 9 QPU seconds in all"):
        finetune(changed(config, backend=backend, epochs=4, checkpoint_every=1))


def test_training_begins_with_the_weights_of_a_run(config, finetuned_pqc, finetuned):
    import torch

    from hybridq.checkpoint import load_model

    slow = {"epochs": 1, "backend": "statevector", "start": finetuned_pqc}
    rates = {"learning_rate": 1e-9, "head_learning_rate": 1e-9, "quantum_learning_rate": 1e-9}
    folder = finetune(changed(config, **slow, **rates))
    with open_backend("statevector") as exact:
        one, other = (load_model(run, backend=exact)[0] for run in (folder, finetuned_pqc))
    for name, weight in one.head.named_parameters():
        torch.testing.assert_close(weight, other.head.get_parameter(name), atol=1e-6, rtol=0)
    with pytest.raises(InvalidValueError, match="same encoder and head"):
        finetune(changed(config, start=finetuned))
