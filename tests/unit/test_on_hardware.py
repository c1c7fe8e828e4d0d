from __future__ import annotations

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file

from hybridq.config import ComputeConfig, EncoderConfig, FinetuneConfig, head_config
from hybridq.errors import InvalidValueError
from hybridq.training.finetune import finetune
from hybridq_backends import open_backend
from hybridq_backends.ibm.rehearsal import RehearsalEstimator

REHEARSAL = "ibm_rehearsal,resilience_level=0,shots=64"


@pytest.fixture
def config(tmp_path, pretrained):
    return FinetuneConfig(
        data="phantom,size=16,count=40",
        runs=tmp_path,
        encoder=str(pretrained),
        head=head_config(name="pqc", num_qubits=2, num_layers=1, init_std=0.5),
        backend=REHEARSAL,
        freeze_encoder=True,
        epochs=2,
        batch_size=8,
    )


@pytest.fixture
def same_weights():
    """A function that compares the models of two runs bit by bit."""

    def compare(one, other):
        first, second = (load_file(run / "model" / "model.safetensors") for run in (one, other))
        assert first.keys() == second.keys()
        assert all(torch.equal(first[name], second[name]) for name in first)

    return compare


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


def test_a_resumed_run_goes_on_with_the_budget_that_is_left(config, tmp_path, monkeypatch):
    """A rehearsal goes the way of hardware: jobs that were posted answer what is asked again."""
    backend = f"{REHEARSAL},max_qpu_seconds=14"  # four steps of about 3.2 s
    config = changed(config, backend=backend, epochs=4, checkpoint_every=100)
    run, jobs = RehearsalEstimator.run, []

    def stopping(*arguments, **options):
        jobs.append(1)
        if len(jobs) == 3:
            raise KeyboardInterrupt
        return run(*arguments, **options)

    monkeypatch.setattr(RehearsalEstimator, "run", stopping)
    with pytest.raises(KeyboardInterrupt):
        finetune(config)
    (folder,) = (tmp_path / "finetune").iterdir()
    for _ in range(2):
        with pytest.raises(InvalidValueError, match="at most 14 QPU seconds in all"):
            finetune(changed(config, resume=folder))
        assert len(jobs) == 5  # the third one again, and a fourth
    # more is a matter of saying so
    path = folder / "config.json"
    path.write_text(path.read_text().replace("max_qpu_seconds=14", "max_qpu_seconds=90"))
    finetune(changed(config, resume=folder))
    done = json.loads((folder / "result.json").read_text())["circuit_jobs"]
    assert len(jobs) == done + 1


@pytest.mark.parametrize("gradient", ["exact", "spsa"])
def test_a_stopped_rehearsal_ends_as_one_that_was_not(
    config, tmp_path, monkeypatch, same_weights, gradient
):
    """Its shots, too: each job's seed follows from its number, and its answer is kept."""
    config = changed(config, gradient=gradient)
    whole = finetune(changed(config, epochs=4, runs=tmp_path / "whole"))
    run, jobs = RehearsalEstimator.run, []

    def stopping(*arguments, **options):
        jobs.append(1)
        if len(jobs) == 8:
            raise KeyboardInterrupt
        return run(*arguments, **options)

    monkeypatch.setattr(RehearsalEstimator, "run", stopping)
    stopped = changed(config, epochs=4, runs=tmp_path / "stopped", checkpoint_every=2)
    with pytest.raises(KeyboardInterrupt):
        finetune(stopped)
    (folder,) = (tmp_path / "stopped" / "finetune").iterdir()
    finetune(changed(stopped, resume=folder))
    same_weights(folder, whole)


def test_the_budget_of_an_earlier_version_is_not_begun_anew(config, tmp_path):
    config = changed(config, backend=f"{REHEARSAL},max_qpu_seconds=5", epochs=4)
    with pytest.raises(InvalidValueError, match="in all"):
        finetune(config)
    (folder,) = (tmp_path / "finetune").iterdir()
    for content in ("", "{}", '{"planned_qpu_seconds": -1}', "[3]", "nan"):
        (folder / "budget.json").write_text(content)
        with pytest.raises(InvalidValueError, match=r"budget\.json"):
            finetune(changed(config, resume=folder))
    (folder / "budget.json").write_text('{"planned_qpu_seconds": 4.9}')
    shutil.rmtree(folder / "rehearsed")
    (folder / "jobs.sqlite").unlink()
    with pytest.raises(InvalidValueError, match=r"after 4\.9"):
        finetune(changed(config, resume=folder))


@pytest.mark.parametrize("compute", [{"devices": "2"}, {"devices": "auto"}, {"num_nodes": 2}])
def test_several_processes_would_have_a_budget_each(config, tmp_path, tree, compute):
    before = tree(tmp_path)
    backend = "ibm,shots=64,max_qpu_seconds=60"
    with pytest.raises(InvalidValueError, match=r"Expected one process .* got --devices"):
        finetune(changed(config, backend=backend, compute=ComputeConfig(**compute)))
    assert tree(tmp_path) == before


def test_training_begins_with_the_weights_of_a_run(config, finetuned_pqc, finetuned):
    from hybridq.models.checkpoint import load_model

    slow = {"epochs": 1, "backend": "statevector", "start": finetuned_pqc}
    slow["encoder"] = EncoderConfig()
    rates = {"learning_rate": 1e-9, "head_learning_rate": 1e-9, "quantum_learning_rate": 1e-9}
    folder = finetune(changed(config, **slow, **rates))
    with open_backend("statevector") as exact:
        one, other = (load_model(run, backend=exact)[0] for run in (folder, finetuned_pqc))
    for name, weight in one.head.named_parameters():
        torch.testing.assert_close(weight, other.head.get_parameter(name), atol=1e-6, rtol=0)
    with pytest.raises(InvalidValueError, match="same encoder and head"):
        finetune(changed(config, start=finetuned, encoder=EncoderConfig()))
