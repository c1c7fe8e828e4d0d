"""The engine of a training: chosen where it is not given, obeyed where it is, and recorded."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from hybridq.cli import main as cli
from hybridq.config import FinetuneConfig, head_config
from hybridq.models.heads import build_head
from hybridq.training.callbacks.curriculum import NoiseCurriculum
from hybridq.training.engine import open_for_training
from hybridq.training.finetune import finetune
from hybridq_backends import open_backend

pytestmark = pytest.mark.usefixtures("isolated", "single_thread")

PQC = head_config(name="pqc", num_qubits=2, num_layers=1, init_std=0.5)
OWN = 'summary = "mine"\nkind = "{kind}"\n{rest}\n'


def opened(backend, resume=None, **changes):
    config = FinetuneConfig(**{"data": "phantom", "backend": backend, "head": PQC, **changes})
    model = torch.nn.Module()
    with open_backend("statevector") as exact:
        model.head = build_head(8, 2, config.head, backend=exact)
    executable, note = open_for_training(config, model, resume)
    executable.close()
    return executable, note


@pytest.mark.parametrize(
    "backend",
    [
        "fake_manila",
        "fake_torino",
        "fake_torino,shots=none,noise_scale=2",
        "depolarizing",
        "thermal,shots=100",
        "coherent,shots=none",
        "mine",
        "exact",
    ],
)
def test_the_torch_engine_is_the_default_of_training(backend):
    folder = Path("backends.d")
    folder.mkdir()
    (folder / "mine.toml").write_text(OWN.format(kind="noisy", rest='device = "FakeManilaV2"'))
    (folder / "exact.toml").write_text(OWN.format(kind="statevector", rest='shots = "none"'))
    executable, note = opened(backend)
    assert executable.engine == executable.describe()["engine"] == executable.spec.engine == "torch"
    assert executable.profile == backend.split(",")[0]
    assert not note.is_warning
    assert "torch engine" in note.text
    assert "\n" not in note.text


@pytest.mark.parametrize(
    ("backend", "engine", "remedy"),
    [
        ("fake_manila,engine=aer", "aer", "leave engine=aer out"),
        ("depolarizing,engine=aer,shots=none", "aer", "leave engine=aer out"),
        ("aer_noisy,device=FakeManilaV2", "aer", "--backend fake_torino,device=FakeManilaV2"),
        ("aer_statevector", "aer", "--backend statevector"),
        ("aer_mine", "aer", "does not begin with aer_"),
        ("aer_shots", "aer", None),
        ("fake_manila,engine=torch", "torch", None),
        ("statevector", "torch", None),
    ],
)
def test_a_given_engine_is_obeyed(backend, engine, remedy):
    Path("backends.d").mkdir()
    own = OWN.format(kind="noisy", rest='device = "FakeManilaV2"\nengine = "aer"')
    Path("backends.d/aer_mine.toml").write_text(own)
    executable, note = opened(backend)
    assert executable.engine == engine
    if remedy is None:
        assert note is None
    else:
        assert note.is_warning
        assert "many times slower" in note.text
        assert remedy in note.text
        assert "\n" not in note.text


def test_what_the_torch_engine_cannot_do_stays_on_aer():
    wide = head_config(name="pqc", num_qubits=9, num_layers=1)
    executable, note = opened("depolarizing", head=wide)
    assert (executable.engine, note.is_warning) == ("aer", True)
    assert "more than 8 qubits" in note.text
    # Eight logical qubits, in a ring that takes more on a device with few couplings.
    ring = head_config(name="pqc", num_qubits=8, num_layers=1, entanglement="ring")
    executable, note = opened("fake_torino,optimization_level=1", head=ring)
    assert (executable.engine, note.is_warning) == ("aer", True)
    assert opened("depolarizing", head=ring)[0].engine == "torch"
    assert opened("fake_manila", gradient="spsa")[0].engine == "aer"
    assert opened("depolarizing,engine=aer", head=wide)[1] is None
    classical, note = opened("fake_manila", head=head_config(name="mlp"))
    assert (classical.engine, note) == ("aer", None)


def run_of(tmp_path, pretrained, **changes):
    fields = {
        "data": "phantom,size=16,count=40",
        "encoder": str(pretrained),
        "freeze_encoder": True,
        "head": PQC,
        "backend": "fake_manila",
        "noise_curriculum": "0,2",
        "epochs": 2,
        "batch_size": 8,
        "checkpoint_every": 1,
        "runs": tmp_path,
    }
    return finetune(FinetuneConfig(**{**fields, **changes}))


def environment(run):
    return json.loads((run / "environment.json").read_text())["backend"]


def interrupted_at(epoch, monkeypatch):
    stage = NoiseCurriculum.on_train_epoch_start

    def interrupted(self, trainer, module):
        if trainer.current_epoch == epoch:
            raise KeyboardInterrupt
        stage(self, trainer, module)

    monkeypatch.setattr(NoiseCurriculum, "on_train_epoch_start", interrupted)


@pytest.mark.parametrize("engine", ["torch", "aer"])
def test_a_run_goes_on_with_the_engine_it_began_with(tmp_path, pretrained, monkeypatch, engine):
    """Exact values, so that a resumed run is the same as one that was never stopped."""
    backend = "fake_manila,shots=none"
    text = backend if engine == "torch" else f"{backend},engine=aer"
    whole = run_of(tmp_path / "whole", pretrained, backend=text)
    with monkeypatch.context() as patch:
        interrupted_at(1, patch)
        with pytest.raises(KeyboardInterrupt):
            run_of(tmp_path / "cut", pretrained, backend=text)
    (cut,) = (tmp_path / "cut" / "finetune").iterdir()
    # As a run that began when Aer was the default: its config names no engine.
    config = json.loads((cut / "config.json").read_text())
    (cut / "config.json").write_text(json.dumps({**config, "backend": backend}))
    finetune(FinetuneConfig(resume=cut))
    for run in (whole, cut):
        assert environment(run)["engine"] == engine
        jobs = json.loads((run / "result.json").read_text())["circuit_jobs"]
        assert (jobs > 0) == (engine == "aer")
    one, other = (load_file(run / "model" / "model.safetensors") for run in (whole, cut))
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_the_log_names_it_and_evaluation_stays_on_aer(tmp_path, pretrained, caplog):
    caplog.set_level(logging.INFO, logger="hybridq")
    run = run_of(tmp_path, pretrained, noise_curriculum=None, epochs=1)
    log = (run / "log.txt").read_text()
    assert "fake_manila is computed by the torch engine in training" in log
    assert environment(run)["engine"] == "torch"
    assert json.loads((run / "model" / "config.json").read_text())["backend"] == "fake_manila"
    assert cli.main(["evaluate", str(run), "--no-baselines", "--resamples", "100",
                     "--limit", "8", "--runs", str(tmp_path)]) == 0  # fmt: skip
    (evaluated,) = (tmp_path / "evaluate").iterdir()
    assert environment(evaluated)["engine"] == "aer"
