"""One process at a time on a training, whose records hold every epoch once."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback

from hybridq.cli.main import main
from hybridq.config import ComputeConfig, FinetuneConfig, PretrainConfig, head_config
from hybridq.errors import InvalidValueError
from hybridq.training import run as run_module
from hybridq.training.finetune import finetune
from hybridq.training.pretrain import pretrain
from hybridq.utils.files import append_jsonl, read_jsonl
from hybridq_backends.utils.lock import locked

pytestmark = pytest.mark.usefixtures("isolated", "single_thread")

PHANTOM = "phantom,size=16,count=40"
NONE = {"name": "none", "splits": {}}


@pytest.fixture(scope="module")
def stopped(tmp_path_factory, single_thread):
    """A pretraining stopped in its third epoch of four, with a checkpoint of the second."""
    runs = tmp_path_factory.mktemp("stopped")

    class Stops(Callback):
        def on_train_epoch_start(self, trainer, pl_module):
            if trainer.current_epoch == 2:
                raise KeyboardInterrupt

    config = PretrainConfig(data=PHANTOM, runs=runs, epochs=4, batch_size=8, checkpoint_every=1)
    with pytest.raises(KeyboardInterrupt):
        pretrain(config, callbacks=[Stops()])
    (folder,) = (runs / "pretrain").iterdir()
    return folder


@pytest.fixture
def begun(stopped, tmp_path):
    """A copy of it."""
    return Path(shutil.copytree(stopped, tmp_path / "begun"))


def epochs(folder):
    return [row["epoch"] for row in read_jsonl(folder / "metrics.jsonl")]


# One process.


def test_a_second_process_is_refused_while_one_trains(begun, tree, capsys):
    with locked(begun / "training.lock", "is a test"):
        before = tree(begun)
        assert main(["pretrain", "--resume", str(begun)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("hybridq: error: Expected to be the only one at work on ")
        assert str(begun) in line
        assert "trains this run" in line
        assert tree(begun) == before
    assert main(["pretrain", "--resume", str(begun)]) == 0
    assert epochs(begun) == [0, 1, 2, 3]


def test_a_new_run_is_held_as_well(tmp_path, caplog):
    """From its first file to its result."""
    seen = []

    class Tries(Callback):
        def on_train_start(self, trainer, pl_module):
            (folder,) = (tmp_path / "finetune").iterdir()
            with pytest.raises(InvalidValueError, match="trains this run"):
                finetune(FinetuneConfig(resume=folder))
            seen.append(folder)

    config = FinetuneConfig(
        data=PHANTOM,
        runs=tmp_path,
        epochs=1,
        head=head_config(name="linear"),
        freeze_encoder=True,
    )
    run = finetune(config, callbacks=[Tries()])
    assert seen == [run]
    with caplog.at_level("INFO", "hybridq"):
        finetune(FinetuneConfig(resume=run))  # and let go of at the end
    assert f"{run} is finished: nothing is left to compute" in caplog.text


def test_a_killed_process_holds_nothing(begun):
    script = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from hybridq_backends.utils.lock import locked\n"
        "with locked(Path(sys.argv[1]), 'is a test'):\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(begun / "training.lock")])
    assert done.returncode == -9
    with locked(begun / "training.lock", "is a test"):
        pass


@pytest.mark.parametrize("node", ["NODE_RANK", "GROUP_RANK"])
def test_the_processes_of_one_training_do_not_wait_for_each_other(begun, monkeypatch, node):
    two = PretrainConfig(data=PHANTOM, compute=ComputeConfig(num_nodes=2))
    with run_module.training_run(two, "pretrain", "x", resume=begun, data=NONE) as folder:
        assert folder == begun
        with monkeypatch.context() as patch:
            patch.setattr(run_module.rank_zero_only, "rank", 1)
            with run_module.training_run(two, "pretrain", "x", resume=begun, data=NONE) as other:
                assert other == begun
            with run_module.training_run(two, "pretrain", "x", resume=None, data=NONE) as other:
                assert other is None
        with monkeypatch.context() as patch:  # the first process on a second machine
            patch.setenv(node, "1")
            with run_module.training_run(two, "pretrain", "x", resume=begun, data=NONE) as other:
                assert other == begun
            assert run_module.is_first_rank(ComputeConfig())  # a variable of something else


# What is gone on with.


def test_an_epoch_that_is_on_record_twice_is_kept_once(begun):
    for row in read_jsonl(begun / "metrics.jsonl"):
        append_jsonl(begun / "metrics.jsonl", row)
    assert epochs(begun) == [0, 1, 0, 1]
    pretrain(PretrainConfig(resume=begun))
    assert epochs(begun) == [0, 1, 2, 3]


def test_what_a_killed_writer_left_is_removed(begun):
    for place in ("checkpoints/.last.ckpt.abc.part", ".metrics.jsonl.x.part"):
        (begun / place).write_bytes(b"half")
    pretrain(PretrainConfig(resume=begun))
    assert list(begun.rglob("*.part")) == []


def rewrite(path, change):
    found = torch.load(path, weights_only=True)
    change(found)
    torch.save(found, path)


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def spoil_weights(found):
    next(iter(found["state_dict"].values())).fill_(float("nan"))


def spoil_optimizer(found):
    found["optimizer_states"][0]["state"][0]["exp_avg"].fill_(float("inf"))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (flip, "checksum"),
        (lambda path: rewrite(path, spoil_weights), "finite weights"),
        (lambda path: rewrite(path, spoil_optimizer), "exp_avg"),
        (lambda path: rewrite(path, lambda found: found.pop("state_dict")), "damaged"),
        (lambda path: rewrite(path, lambda found: found["state_dict"].popitem()), "another"),
        (lambda path: torch.save([1], path), "damaged"),
    ],
    ids=["flipped", "nan", "optimizer", "without", "other", "list"],
)
def test_a_checkpoint_that_cannot_be_gone_on_with(begun, damage, words):
    path = begun / "checkpoints" / "last.ckpt"
    damage(path)
    with pytest.raises(InvalidValueError) as info:
        pretrain(PretrainConfig(resume=begun))
    line = str(info.value)
    assert words in line
    assert str(path) in line
    assert "remove it" in line
    assert "\n" not in line
    assert epochs(begun) == [0, 1]


# Divergence.


class Diverge(Callback):
    """Makes weights NaN after the last step of an epoch, whose loss was computed before."""

    def __init__(self, after):
        self.after = after

    def on_train_batch_end(self, trainer, pl_module, *_):
        if trainer.current_epoch == self.after and trainer.is_last_batch:
            next(pl_module.parameters()).data.fill_(float("nan"))


@pytest.mark.parametrize("after", [0, 1])
def test_weights_that_diverge_in_the_last_step_are_not_kept(tmp_path, monkeypatch, after):
    """The losses were finite all the while."""
    config = PretrainConfig(data=PHANTOM, runs=tmp_path, epochs=2, checkpoint_every=1)
    with pytest.raises(InvalidValueError, match=f"epoch {after + 1}: the training has diverged"):
        pretrain(config, callbacks=[Diverge(after)])
    left = list((tmp_path / "pretrain").glob("*")) if (tmp_path / "pretrain").exists() else []
    assert len(left) == after
    for folder in left:
        assert epochs(folder) == [0]
        assert not (folder / "encoder.safetensors").exists()
        state = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        assert all(value.isfinite().all() for value in state.values())


@pytest.mark.parametrize("head", ["linear", "pqc"])
def test_validation_that_diverges_is_called_so(tmp_path, monkeypatch, head):
    class Spoil(Callback):
        def on_validation_start(self, trainer, pl_module):
            pl_module.objective.model.head.classifier.weight.data.fill_(float("nan"))

    config = FinetuneConfig(
        data=PHANTOM,
        runs=tmp_path,
        epochs=1,
        head=head_config(name=head, num_qubits=2, num_layers=1),
        freeze_encoder=True,
    )
    with pytest.raises(InvalidValueError, match=r"logits.*the training has diverged") as info:
        finetune(config, callbacks=[Spoil()])
    assert "\n" not in str(info.value)
    assert not (tmp_path / "finetune").exists() or not list((tmp_path / "finetune").iterdir())
