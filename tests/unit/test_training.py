"""Training: what is optimised, how it is weighed, what is kept, and going on where it stopped."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback
from safetensors.torch import load_file
from sklearn.metrics import roc_auc_score
from sklearn.utils.class_weight import compute_class_weight
from torch import nn
from torchvision.transforms.v2.functional import center_crop, resize

from hybridq.config import AugmentConfig, ComputeConfig, FinetuneConfig, PretrainConfig, head_config
from hybridq.data import load_data, select_labels
from hybridq.errors import InvalidValueError, MissingFileError
from hybridq.models.checkpoint import load_model, read_spec
from hybridq.models.classifier import HybridClassifier
from hybridq.models.encoders.file import load_encoder
from hybridq.models.heads import HEADS
from hybridq.models.ssl.simclr import SimCLR
from hybridq.quantum import quantum_parameters
from hybridq.records.results import read_epochs
from hybridq.training import pretrain as pretrain_module
from hybridq.training.batches import EpochBatches, TensorPairs, batch_loader
from hybridq.training.callbacks import keep_model as keep_model_module
from hybridq.training.callbacks import metrics_file as metrics_file_module
from hybridq.training.callbacks.curriculum import NoiseCurriculum
from hybridq.training.callbacks.metrics_file import MetricsFile
from hybridq.training.finetune import finetune
from hybridq.training.initial import initial_model
from hybridq.training.objectives.criteria import loss_function
from hybridq.training.objectives.self_supervised import SelfSupervised
from hybridq.training.objectives.supervised import Supervised
from hybridq.training.optimizer import decay_groups, warmup_cosine
from hybridq.training.pretrain import pretrain
from hybridq.utils.files import read_jsonl
from hybridq_backends import open_backend

pytestmark = [pytest.mark.trains, pytest.mark.usefixtures("isolated", "single_thread")]

PHANTOM = "phantom,size=16,count=40"  # 24 images to train on: 3 steps of 8
PQC = head_config(name="pqc", num_qubits=2, num_layers=1)
STILL = 1e-9  # a rate that moves no weight, so that the features are the same on every machine


# Batches.


@pytest.mark.parametrize("count", [1, 7, 8, 9, 24, 25])
@pytest.mark.parametrize("world_size", [1, 2, 3])
@pytest.mark.parametrize("drop_last", [True, False])
def test_every_rank_has_its_own_images(count, world_size, drop_last):
    if count < world_size:
        pytest.skip("fewer images than processes")
    ranks = [
        EpochBatches(count, 4, seed=1, rank=r, world_size=world_size, drop_last=drop_last)
        for r in range(world_size)
    ]
    drawn = [list(batches) for batches in ranks]
    assert len({len(batches) for batches in drawn}) == 1  # no rank waits for another
    assert all(len(own) == len(batches) for own, batches in zip(drawn, ranks, strict=True))
    seen = [index for own in drawn for batch in own for index in batch]
    assert len(seen) == len(set(seen))
    assert set(seen) <= set(range(count))
    if not drop_last:
        assert len(seen) == count // world_size * world_size
    sizes = {len(batch) for own in drawn for batch in own}
    if drop_last and count // world_size >= 4:
        assert sizes == {4}


def test_the_order_follows_from_seed_and_epoch():
    def order(seed, epoch):
        batches = EpochBatches(24, 8, seed=seed)
        batches.set_epoch(epoch)
        return list(batches)

    assert order(0, 1) == order(0, 1)
    assert order(0, 1) != order(0, 2)
    assert order(0, 1) != order(1, 1)
    assert sorted(index for batch in order(0, 5) for index in batch) == list(range(24))


def test_a_loader_hands_over_whole_batches():
    inputs, labels = torch.arange(10.0)[:, None], torch.arange(10)
    loader = batch_loader(TensorPairs(inputs, labels), EpochBatches(10, 4, seed=0))
    for found, label in loader:
        assert found.shape == (4, 1)
        assert torch.equal(found[:, 0].long(), label)


# Losses and optimisers.


def test_class_weights_are_scikit_learns_balanced():
    labels = np.array([0] * 7 + [1] * 2 + [2] * 11)
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    loss = loss_function(torch.from_numpy(labels), 3, weighted=True)
    np.testing.assert_allclose(loss.weight.numpy(), expected, rtol=1e-6)
    assert loss_function(torch.from_numpy(labels), 3, weighted=False).weight is None


def test_positives_of_several_labels_are_weighed_by_what_they_lack():
    labels = torch.zeros(100, 3, dtype=torch.long)
    labels[:25, 0] = 1
    labels[0, 1] = 1  # 99 to 1, which is capped; the third label never occurs
    loss = loss_function(labels, 3, weighted=True)
    assert loss.loss.pos_weight.tolist() == [3.0, 20.0, 20.0]
    logits = torch.randn(100, 3, generator=torch.Generator().manual_seed(0))
    weight = torch.tensor([3.0, 20.0, 20.0])
    softplus = nn.functional.softplus
    terms = labels * weight * softplus(-logits) + (1 - labels) * softplus(logits)
    assert loss(logits, labels).item() == pytest.approx(terms.mean().item(), rel=1e-5)


@pytest.mark.parametrize("freeze", [False, True])
def test_images_are_kept_as_they_are_stored(freeze):
    """Once, in bytes, and prepared by the batch; of a frozen encoder the features are kept."""
    config = FinetuneConfig(data=PHANTOM, head=head_config(name="linear"), freeze_encoder=freeze)
    data = load_data(PHANTOM, splits=("train", "val"))
    with open_backend(config.backend):
        model = initial_model(config, data)
    module = Supervised(config, model, data.splits["train"], data).eval()
    for kept, split in ((module.val_inputs, "val"), (module.train_inputs, "train")):
        images = data.splits[split].images
        assert np.shares_memory(kept.numpy(), images) is not freeze
        if freeze:
            with torch.inference_mode():
                expected = model.encoder(model.encoder.prepare(images))
            torch.testing.assert_close(kept, expected)
            assert not kept.is_inference()
    ((inputs, labels),) = module.val_batches()
    with torch.inference_mode():
        found = module.validate((inputs, labels))
        logits = model(model.encoder.prepare(data.splits["val"].images))
    assert float(found["loss"]) == pytest.approx(float(module.criterion(logits, labels)))


@pytest.mark.parametrize("freeze", [False, True])
@pytest.mark.parametrize("head", [name for name, entry in HEADS.items() if not entry.fitted])
def test_every_parameter_is_in_one_group(head, freeze):
    known = HEADS[head].config.model_fields
    small = {
        key: value for key, value in {"num_qubits": 2, "num_layers": 1}.items() if key in known
    }
    config = FinetuneConfig(
        data=PHANTOM,
        head=head_config(name=head, **small),
        freeze_encoder=freeze,
        learning_rate=1e-3,
        head_learning_rate=2e-3,
        quantum_learning_rate=3e-2,
        weight_decay=0.07,
    )
    data = load_data(PHANTOM, splits=("train", "val"))
    with open_backend(config.backend):
        model = initial_model(config, data)
    module = Supervised(config, model, data.splits["train"], data)
    optimizer, _ = module.optimizer(30, 1)
    groups = optimizer.param_groups
    inside = [id(parameter) for group in groups for parameter in group["params"]]
    trainable = {id(p) for p in module.parameters() if p.requires_grad}
    assert len(inside) == len(set(inside))
    assert set(inside) == trainable
    encoder = {id(p) for p in model.encoder.parameters()}
    assert bool(encoder & trainable) is not freeze
    circuit = {id(p) for p in quantum_parameters(model.head)}
    assert bool(circuit) is (HEADS[head].control is not None)
    names = {id(p): name for name, p in model.head.named_parameters()}
    block = {key for key, name in names.items() if name.startswith(("block.", "alpha"))}
    assert circuit <= block
    assert bool(block) is (head not in ("identity", "linear", "low_rank", "rff"))
    for group in groups:
        for parameter in group["params"]:
            if id(parameter) in block:  # a control's as a circuit's
                expected = (3e-2, 0.0)
            else:
                rate = 1e-3 if id(parameter) in encoder else 2e-3
                expected = (rate, 0.07 if parameter.ndim > 1 else 0.0)
            assert (group["max_lr"], group["weight_decay"]) == pytest.approx(expected)


def test_decay_groups_split_by_dimension():
    module = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    module[1].weight.requires_grad_(False)
    matrices, vectors = decay_groups(module, learning_rate=1.0, weight_decay=0.5)
    assert [p.shape for p in matrices["params"]] == [(2, 3)]
    assert [p.shape for p in vectors["params"]] == [(2,), (2,)]
    assert (matrices["weight_decay"], vectors["weight_decay"]) == (0.5, 0.0)


def test_warm_up_and_cosine():
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=2.0)
    schedule = warmup_cosine(optimizer, warmup_steps=4, total_steps=10)
    rates = []
    for _ in range(11):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    expected = [2 * k / 4 for k in (1, 2, 3, 4)]
    expected += [1 + np.cos(np.pi * k / 6) for k in range(7)]
    assert rates == pytest.approx(expected)


@pytest.mark.parametrize("size", [1.0, 100.0])
@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel", "lacking", "lacking two"])
def test_validation_auc_is_that_of_the_report(task, size, save_npz, monkeypatch):
    """Also of sure logits, whose probabilities are 1 in single precision, and of absent classes."""
    labels = np.arange(12)[:, None] % 2
    three = (labels > 0).astype(np.uint8) * np.array([1, 0, 1], dtype=np.uint8)
    source = {
        "binary": lambda: PHANTOM,
        "multiclass": lambda: save_npz("three.npz", classes=3),
        "multilabel": lambda: save_npz("many.npz", labels=4),
        "lacking": lambda: save_npz("lacking.npz", classes=3, val_labels=labels.astype(np.uint8)),
        "lacking two": lambda: save_npz("two.npz", labels=3, val_labels=three),
    }[task]()
    data = load_data(str(source), splits=("train", "val"))
    config = FinetuneConfig(data=PHANTOM, head=head_config(name="linear"), freeze_encoder=True)
    model = initial_model(config, data)
    module = Supervised(config, model, data.splits["train"], data)
    val = data.splits["val"].labels
    shape = (len(val), data.num_classes)
    logits = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * size
    monkeypatch.setattr(module, "forward", lambda inputs: logits[inputs])
    for _ in range(2):  # the second epoch does not see the first
        for part in np.array_split(np.arange(len(val)), 3):
            module.validate((torch.from_numpy(part), torch.from_numpy(val[part])))
        found = module.figures()["auc"]
        sure = logits.double()
        probs = (sure.sigmoid() if data.task == "multilabel" else sure.softmax(dim=1)).numpy()
        actual = val if val.ndim == 2 else np.eye(data.num_classes, dtype=int)[val]
        pairs = list(zip(actual.T, probs.T, strict=True))[1 if task == "binary" else 0 :]
        areas = [roc_auc_score(one, own) for one, own in pairs if len(set(one)) == 2]
        assert found == pytest.approx(np.mean(areas), abs=1e-12)


# Going on where it stopped.


class Stop(BaseException):
    """A kill: nothing may catch it."""


def stop_at(monkeypatch, objective, number, error):
    """Raise `error` in the training step with this number, counted from now."""
    original = objective.loss
    calls = []

    def loss(self, batch, step):
        calls.append(step)
        if len(calls) == number + 1:
            raise error
        return original(self, batch, step)

    monkeypatch.setattr(objective, "loss", loss)
    return calls


def only_run(runs: Path, command: str) -> Path:
    (folder,) = (runs / command).iterdir()
    return folder


def rows_without_time(folder: Path) -> list[dict[str, float]]:
    return [
        {name: value for name, value in row.items() if name != "seconds"}
        for row in read_jsonl(folder / "metrics.jsonl")
    ]


def pretraining(runs: Path, **changes) -> PretrainConfig:
    fields = {"epochs": 4, "batch_size": 8, "checkpoint_every": 1, "warmup_epochs": 1, **changes}
    return PretrainConfig(data=PHANTOM, runs=runs, **fields)


@pytest.fixture(scope="module")
def whole_pretraining(tmp_path_factory, single_thread):
    return pretrain(pretraining(tmp_path_factory.mktemp("whole")))


def test_pretraining_leaves_a_whole_run_folder(whole_pretraining):
    names = {path.name for path in whole_pretraining.iterdir()}
    assert names == {
        "config.json", "environment.json", "metrics.jsonl", "log.txt", "report.json", "result.json",
        "checkpoints", "encoder.safetensors", "training.lock",
    }  # fmt: skip
    rows = read_jsonl(whole_pretraining / "metrics.jsonl")
    assert [row["epoch"] for row in rows] == [0, 1, 2, 3]
    assert all(np.isfinite(row["loss"]) for row in rows)
    result = json.loads((whole_pretraining / "result.json").read_text())
    assert result["loss"] == rows[-1]["loss"]
    assert result["images"] == 24
    encoder = load_encoder(whole_pretraining)
    images = load_data(PHANTOM, splits=("train",)).splits["train"].images / 255
    assert encoder.spec.image_size == 32
    assert encoder.spec.stem == "stride2"
    assert encoder.spec.mean == pytest.approx([images.mean()] * 3)
    assert encoder.spec.std == pytest.approx([images.std()] * 3)
    assert encoder.spec.weights == "simclr on phantom"
    assert "free of rights" in encoder.spec.data_licence
    checkpoint = torch.load(whole_pretraining / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["epoch"] == 3


def test_a_pretraining_that_has_learned_nothing_is_told(tmp_path, monkeypatch, caplog):
    seen = []
    for chance, told in ((0.1, 1), (99.0, 0)):
        monkeypatch.setattr(SimCLR, "chance", lambda self, n, c=chance: seen.append(n) or c)
        caplog.clear()
        run = pretrain(pretraining(tmp_path, epochs=1))
        result = json.loads((run / "result.json").read_text())
        assert (seen.pop(), result["loss_of_chance"]) == (8, chance)
        assert caplog.text.count("nothing was learned") == told


def test_pretraining_changes_the_weights(whole_pretraining):
    from hybridq.models.encoders.encoder import Encoder

    trained = load_encoder(whole_pretraining)
    start = Encoder(trained.spec, generator_seed=0)
    moved = [
        not torch.equal(a, b) for a, b in zip(trained.parameters(), start.parameters(), strict=True)
    ]
    assert all(moved)


@pytest.mark.parametrize(
    ("step", "every", "error"),
    [(7, 1, KeyboardInterrupt()), (4, 1, RuntimeError("boom")), (10, 2, Stop())],
    ids=repr,
)
def test_pretraining_goes_on_where_it_stopped(
    whole_pretraining, tmp_path, monkeypatch, step, every, error
):
    config = pretraining(tmp_path, checkpoint_every=every)
    with monkeypatch.context() as patch:
        stop_at(patch, SelfSupervised, step, error)
        with pytest.raises(type(error)):
            pretrain(config)
    folder = only_run(tmp_path, "pretrain")
    assert not (folder / "encoder.safetensors").exists()
    assert len(read_jsonl(folder / "metrics.jsonl")) == step // 3
    with monkeypatch.context() as patch:
        calls = stop_at(patch, SelfSupervised, 1000, Stop())
        assert pretrain(PretrainConfig(resume=folder)) == folder
    assert len(calls) == 12 - step // 3 // every * every * 3  # nothing before the checkpoint again
    expected = (whole_pretraining / "encoder.safetensors").read_bytes()
    assert (folder / "encoder.safetensors").read_bytes() == expected
    assert rows_without_time(folder) == rows_without_time(whole_pretraining)
    assert not list(folder.rglob("*.part"))
    assert only_run(tmp_path, "pretrain") == folder


def test_pretraining_stopped_before_its_first_checkpoint(whole_pretraining, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_at(patch, SelfSupervised, 0, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            pretrain(pretraining(tmp_path))
    folder = only_run(tmp_path, "pretrain")
    pretrain(PretrainConfig(resume=folder))
    expected = (whole_pretraining / "encoder.safetensors").read_bytes()
    assert (folder / "encoder.safetensors").read_bytes() == expected


def test_pretraining_stopped_while_it_writes_a_checkpoint(whole_pretraining, tmp_path, monkeypatch):
    """Half a file is written and the process dies: the checkpoint before it still counts."""
    original = Path.write_bytes
    calls = []

    def half(path, content):
        calls.extend([path] * path.name.startswith(".last.ckpt."))
        if len(calls) < 3:
            return original(path, content)
        original(path, content[: len(content) // 2])
        raise Stop

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", half)
        with pytest.raises(Stop):
            pretrain(pretraining(tmp_path))
    folder = only_run(tmp_path, "pretrain")
    assert torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["epoch"] == 1
    pretrain(PretrainConfig(resume=folder))
    expected = (whole_pretraining / "encoder.safetensors").read_bytes()
    assert (folder / "encoder.safetensors").read_bytes() == expected
    assert rows_without_time(folder) == rows_without_time(whole_pretraining)


def test_pretraining_stopped_after_its_last_checkpoint(whole_pretraining, tmp_path, monkeypatch):
    """All epochs are done, the encoder is not yet written."""

    def dies(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pretrain_module, "save_encoder", dies)
        with pytest.raises(KeyboardInterrupt):
            pretrain(pretraining(tmp_path))
    folder = only_run(tmp_path, "pretrain")
    pretrain(PretrainConfig(resume=folder))
    expected = (whole_pretraining / "encoder.safetensors").read_bytes()
    assert (folder / "encoder.safetensors").read_bytes() == expected
    assert rows_without_time(folder) == rows_without_time(whole_pretraining)
    result = json.loads((folder / "result.json").read_text())
    assert result["loss"] == rows_without_time(folder)[-1]["loss"]


def test_rows_of_metrics_outlive_a_kill_while_they_are_sorted_out(tmp_path, monkeypatch):
    """A resumed run drops the rows it does again; a kill then must not drop the others."""
    rows = [{"epoch": epoch, "loss": 1.0, "seconds": 0.1} for epoch in range(4)]
    for row in rows:
        metrics_file_module.append_jsonl(tmp_path / "metrics.jsonl", row)
    trainer = type("Fake", (), {"current_epoch": 3})()

    def dies(*_):
        raise Stop

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.replace", dies)
        patch.setattr(metrics_file_module, "append_jsonl", dies)
        with pytest.raises(Stop):
            MetricsFile(tmp_path).on_train_start(trainer, None)
    assert read_jsonl(tmp_path / "metrics.jsonl")[:3] == rows[:3]
    MetricsFile(tmp_path).on_train_start(trainer, None)
    assert read_jsonl(tmp_path / "metrics.jsonl") == rows[:3]


def test_a_message_names_resume(tmp_path, monkeypatch, caplog):
    stop_at(monkeypatch, SelfSupervised, 1, KeyboardInterrupt())
    with caplog.at_level(logging.INFO, "hybridq"), pytest.raises(KeyboardInterrupt):
        pretrain(pretraining(tmp_path))
    folder = only_run(tmp_path, "pretrain")
    assert f"hybridq pretrain --resume {folder}" in caplog.text
    assert f"--resume {folder}" in (folder / "log.txt").read_text()


def test_pretraining_follows_from_its_seed_alone(whole_pretraining, tmp_path):
    """Neither the state of the global generators nor the day matters; the seed does."""
    torch.manual_seed(99)
    again = pretrain(pretraining(tmp_path / "a"))
    other = pretrain(pretraining(tmp_path / "b", seed=1))
    whole = (whole_pretraining / "encoder.safetensors").read_bytes()
    assert (again / "encoder.safetensors").read_bytes() == whole
    assert (other / "encoder.safetensors").read_bytes() != whole


def test_pretraining_sees_the_train_split_alone(save_npz):
    """Validation and test are missing, or poison: it does not matter."""
    absent = dict.fromkeys(
        [f"{split}_{kind}" for split in ("val", "test") for kind in ("images", "labels")]
    )
    garbage = {
        "val_images": np.array([["poison"]]),
        "val_labels": np.array([-5.0]),
        "test_images": np.array([{"a": 1}], dtype=object),
        "test_labels": np.array([object()]),
    }
    encoders = []
    for name, changes in (("a/own.npz", absent), ("b/own.npz", garbage), ("c/own.npz", {})):
        path = save_npz(name, **changes)
        run = pretrain(PretrainConfig(data=str(path), runs=Path("runs"), epochs=1, batch_size=8))
        encoders.append((run / "encoder.safetensors").read_bytes())
    assert encoders[0] == encoders[1] == encoders[2]


def test_pretraining_does_not_use_labels(save_npz, tmp_path):
    labels = np.zeros((24, 1), np.uint8)
    labels[:3] = 1
    encoders = []
    for index, changes in enumerate(({}, {"train_labels": labels})):
        path = save_npz(f"{index}/own.npz", **changes)
        run = pretrain(PretrainConfig(data=str(path), runs=tmp_path, epochs=1, batch_size=8))
        encoders.append((run / "encoder.safetensors").read_bytes())
    assert encoders[0] == encoders[1]


def test_pretraining_goes_on_from_an_encoder(pretrained, tmp_path):
    run = pretrain(
        PretrainConfig(data=PHANTOM, runs=tmp_path, encoder=str(pretrained), epochs=1, batch_size=8)
    )
    assert load_encoder(run).spec.weights == "simclr on phantom, from simclr on phantom"


# Fine-tuning.


def finetuning(runs: Path, **changes) -> FinetuneConfig:
    fields = {"head": PQC, "epochs": 4, "batch_size": 8, "checkpoint_every": 1, **changes}
    return FinetuneConfig(data=PHANTOM, runs=runs, **fields)


@pytest.fixture(scope="module")
def whole_finetuning(tmp_path_factory, single_thread):
    return finetune(finetuning(tmp_path_factory.mktemp("whole")))


def model_bytes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "model").iterdir()}


def test_card_tells_the_circuit_of_quantum_heads_alone(finetuned_pqc, finetuned_control):
    cards = [
        next(
            line
            for line in (run / "model" / "MODEL_CARD.md").read_text().splitlines()
            if line.startswith("| Head")
        )
        for run in (finetuned_pqc, finetuned_control)
    ]
    assert "ansatz ry_cz" in cards[0]
    assert cards[0].startswith("| Head | quantum bottleneck: name pqc, num_qubits 2, ")
    assert cards[1].startswith("| Head | control of the quantum bottleneck: name mlp, ")
    circuits = [
        (run / "model" / "MODEL_CARD.md").read_text().partition("| Circuits | ")[2].split(" |")[0]
        for run in (finetuned_pqc, finetuned_control)
    ]
    assert circuits[0].startswith("2 qubits, ")
    assert circuits[1] == "none"


def test_finetuning_leaves_a_whole_run_folder(whole_finetuning):
    names = {path.name for path in whole_finetuning.iterdir()}
    assert names == {
        "config.json", "environment.json", "metrics.jsonl", "log.txt", "report.json", "result.json",
        "checkpoints", "model", "training.lock",
    }  # fmt: skip
    model = {path.name for path in (whole_finetuning / "model").iterdir()}
    assert model == {"model.safetensors", "config.json", "MODEL_CARD.md"}
    card = (whole_finetuning / "model" / "MODEL_CARD.md").read_text()
    for words in ("Not a medical device", "phantom", "statevector", "lesion", "free of rights"):
        assert words in card
    spec = read_spec(whole_finetuning)
    assert spec.class_names == ("no lesion", "lesion")
    assert (spec.task, spec.positive, spec.backend, spec.seed) == (
        "binary", 1, "statevector", 0,
    )  # fmt: skip
    environment = json.loads((whole_finetuning / "environment.json").read_text())
    assert environment["backend"]["engine"] == "torch"
    result = json.loads((whole_finetuning / "result.json").read_text())
    assert result["labelled_images"] == 24
    assert result["circuit_jobs"] == 0  # the torch engine has none
    assert [row["epoch"] for row in read_jsonl(whole_finetuning / "metrics.jsonl")] == [0, 1, 2, 3]


@pytest.mark.parametrize(("step", "every"), [(0, 1), (7, 1), (10, 3)])
def test_finetuning_goes_on_where_it_stopped(whole_finetuning, tmp_path, monkeypatch, step, every):
    with monkeypatch.context() as patch:
        stop_at(patch, Supervised, step, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            finetune(finetuning(tmp_path, checkpoint_every=every))
    folder = only_run(tmp_path, "finetune")
    assert finetune(FinetuneConfig(resume=folder)) == folder
    assert model_bytes(folder) == model_bytes(whole_finetuning)
    assert rows_without_time(folder) == rows_without_time(whole_finetuning)
    results = [json.loads((run / "result.json").read_text()) for run in (folder, whole_finetuning)]
    assert results[0]["kept"] == results[1]["kept"]


def test_finetuning_resumed_when_it_was_done_changes_nothing(whole_finetuning, tmp_path):
    folder = finetune(finetuning(tmp_path))
    before = model_bytes(folder), rows_without_time(folder)
    finetune(FinetuneConfig(resume=folder))
    assert (model_bytes(folder), rows_without_time(folder)) == before
    result = json.loads((folder / "result.json").read_text())
    assert result["kept"] == json.loads((whole_finetuning / "result.json").read_text())["kept"]


def test_early_stopping_is_resumed(pretrained, tmp_path, monkeypatch):
    """The count of epochs without a better AUC goes on, too."""
    config = finetuning(
        tmp_path / "a",
        encoder=str(pretrained),
        head=head_config(name="linear"),
        freeze_encoder=True,
        epochs=30,
        keep="best",
        patience=3,
    )
    whole = finetune(config)
    rows = read_jsonl(whole / "metrics.jsonl")
    assert len(rows) < 30
    aucs = [row["val_auc"] for row in rows]
    best = int(np.argmax(aucs))
    assert len(rows) == best + 1 + 3
    with monkeypatch.context() as patch:
        stop_at(patch, Supervised, 3 * (len(rows) - 1) + 1, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            finetune(config.model_copy(update={"runs": tmp_path / "b"}))
    folder = only_run(tmp_path / "b", "finetune")
    finetune(FinetuneConfig(resume=folder))
    assert rows_without_time(folder) == rows_without_time(whole)
    assert model_bytes(folder) == model_bytes(whole)


def validation_scores(model, spec, split) -> np.ndarray:
    """Logits, from torchvision's own resizing, cutting and normalising, in double precision."""
    pixels = torch.from_numpy(split.images).permute(0, 3, 1, 2) / 255
    size = spec.encoder.image_size
    pixels = resize(pixels, [round(size / spec.encoder.crop_pct)] * 2, antialias=True)
    pixels = center_crop(pixels, [size] * 2)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (spec.encoder.mean, spec.encoder.std))
    with torch.no_grad():
        return model((pixels - mean) / std).double()


def check_auc(value: float, labels: np.ndarray, probs: np.ndarray, rounding: float = 1e-5) -> None:
    """The AUC is that of these probabilities, whatever those within rounding of each other do.

    Probabilities are computed twice in single precision, so that which of two within `rounding`
    is the larger is left open; most are further apart, or the test would say nothing.
    """
    actual = labels if labels.ndim == 2 else np.eye(probs.shape[1], dtype=int)[labels]
    bounds = []
    for positive, scores in zip(actual.T == 1, probs.T, strict=True):
        apart = scores[positive][:, None] - scores[~positive][None, :]
        bounds.append(((apart > rounding).mean(), (apart > -rounding).mean()))
    low, high = np.mean(bounds, axis=0)
    assert high - low < 0.1
    assert low - 1e-6 <= value <= high + 1e-6


def best_row(rows):
    return max(rows, key=lambda row: (row["val_auc"], -row["val_loss"], -row["epoch"]))


@pytest.mark.parametrize("keep", ["last", "best"])
def test_the_model_kept_is_that_of_the_epoch_asked_for(
    pretrained, tmp_path, keep, monkeypatch, lively
):
    """The classifier is set before each validation, so that the second epoch is the best of three.

    It tells the classes apart by as much as `margin` says, and in the last epoch the wrong way
    round; the encoder is trained, so that a model of another epoch has other figures.
    """
    margins = [1.0, 3.0, -2.0]
    val = load_data(PHANTOM, splits=("val",)).splits["val"]
    sign = torch.from_numpy(2.0 * val.labels - 1)[:, None]

    class SetClassifier(Callback):
        def on_validation_epoch_start(self, trainer, pl_module):
            model = pl_module.objective.model
            with torch.no_grad():
                features = model.features(model.encoder.prepare(val.images)).double()
                direction = torch.linalg.lstsq(features, sign).solution[:, 0].float()
                half = margins[trainer.current_epoch] / 2 * direction
                model.head.classifier.weight.copy_(torch.stack([-half, half]))
                model.head.classifier.bias.zero_()

    config = finetuning(
        tmp_path,
        encoder=str(pretrained),
        head=head_config(name="linear"),
        epochs=3,
        keep=keep,
        seed=1,
    )
    run = finetune(config, callbacks=[SetClassifier()])
    rows = read_jsonl(run / "metrics.jsonl")
    assert [row["val_auc"] for row in rows] == [1, 1, 0]
    assert best_row(rows)["epoch"] == 1  # or one would pass for the other
    kept = rows[1] if keep == "best" else rows[2]
    result = json.loads((run / "result.json").read_text())["kept"]
    assert result == {name: kept[name] for name in ("epoch", "val_auc", "val_loss")}
    model, spec = load_model(run, backend=None)
    logits = validation_scores(model, spec, val).numpy()
    margin = (logits[:, 1] - logits[:, 0]) * sign[:, 0].numpy()
    np.testing.assert_allclose(margin, margins[int(kept["epoch"])], atol=1e-2)
    train = load_data(PHANTOM, splits=("train",)).splits["train"].labels
    weights = compute_class_weight("balanced", classes=np.arange(2), y=train)[val.labels]
    expected = (weights * np.log1p(np.exp(-margin))).sum() / weights.sum()
    assert expected == pytest.approx(kept["val_loss"], rel=1e-3)


def test_validation_every_other_epoch_changes_no_weight(whole_finetuning, tmp_path, monkeypatch):
    """Its figures are in the rows of the epochs that were read, also after an interruption."""
    with monkeypatch.context() as patch:
        stop_at(patch, Supervised, 10, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            finetune(finetuning(tmp_path, val_every=2))
    run = finetune(FinetuneConfig(resume=only_run(tmp_path, "finetune")))
    assert model_bytes(run) == model_bytes(whole_finetuning)
    often = rows_without_time(whole_finetuning)
    expected = [
        {k: v for k, v in row.items() if row["epoch"] in (1, 3) or not k.startswith("val_")}
        for row in often
    ]
    assert rows_without_time(run) == expected
    assert "val_auc" not in expected[0]


def test_patience_counts_epochs_however_often_they_are_read(pretrained, tmp_path):
    run = finetune(
        finetuning(
            tmp_path,
            encoder=str(pretrained),
            head=head_config(name="linear"),
            freeze_encoder=True,
            epochs=40,
            keep="best",
            patience=5,
            val_every=2,
        )
    )
    rows = read_jsonl(run / "metrics.jsonl")
    read = [row for row in rows if "val_auc" in row]
    best = int(np.argmax([row["val_auc"] for row in read]))
    assert len(read) == best + 1 + 3
    assert len(rows) == 2 * len(read) < 40


def test_the_last_epoch_has_to_be_read(tmp_path):
    with pytest.raises(InvalidValueError, match="multiple of --val-every, got 4 and 3"):
        finetune(finetuning(tmp_path, val_every=3))
    assert not (tmp_path / "finetune").exists()


def test_patience_is_refused_where_the_last_epoch_is_kept(tmp_path):
    with pytest.raises(InvalidValueError, match="--keep best with --patience"):
        finetune(finetuning(tmp_path, patience=3))
    assert not (tmp_path / "finetune").exists()


def test_the_loss_of_a_row_is_the_mean_of_its_steps(tmp_path, monkeypatch):
    original = Supervised.loss
    losses = []

    def noted(self, batch, step):
        loss = original(self, batch, step)
        losses.append(loss.item())
        return loss

    monkeypatch.setattr(Supervised, "loss", noted)
    run = finetune(finetuning(tmp_path, head=head_config(name="linear"), epochs=2))
    rows = read_jsonl(run / "metrics.jsonl")
    assert [row["loss"] for row in rows] == pytest.approx(
        [np.mean(losses[:3]), np.mean(losses[3:])], rel=1e-5
    )


def test_heads_differ_between_seeds_alone():
    data = load_data(PHANTOM, splits=("train", "val"))
    with open_backend("aer_statevector"):
        heads = [
            initial_model(FinetuneConfig(data=PHANTOM, head=PQC, seed=seed), data).head
            for seed in (0, 0, 1)
        ]
    for name, value in heads[0].state_dict().items():
        assert torch.equal(value, heads[1].state_dict()[name]), name
    for name, value in heads[0].named_parameters():
        assert not torch.equal(value, heads[2].get_parameter(name)), name


def test_a_frozen_encoder_is_not_changed_and_not_called(pretrained, tmp_path, monkeypatch):
    before = load_encoder(pretrained).state_dict()
    calls = []

    class Watch(Callback):
        def on_train_start(self, trainer, pl_module):
            pl_module.objective.model.encoder.register_forward_hook(lambda *_: calls.append(1))
            pl_module.objective.augment.register_forward_hook(lambda *_: calls.append(2))

    config = finetuning(tmp_path, encoder=str(pretrained), freeze_encoder=True)
    run = finetune(config, callbacks=[Watch()])
    assert calls == []
    model, spec = load_model(run, backend=open_backend("aer_statevector"))
    for name, value in model.encoder.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert spec.encoder == load_encoder(pretrained).spec
    result = json.loads((run / "result.json").read_text())
    assert result["trainable_parameters"] == result["head_parameters"]


def test_an_encoder_that_is_not_frozen_is_trained(pretrained, tmp_path):
    run = finetune(
        finetuning(tmp_path, encoder=str(pretrained), head=head_config(name="linear"), epochs=1)
    )
    model, _ = load_model(run, backend=None)
    before = load_encoder(pretrained).state_dict()
    assert not torch.equal(
        model.encoder.state_dict()["features.0.0.weight"], before["features.0.0.weight"]
    )


def test_a_network_trained_on_crops_is_read_on_their_mean_part(pretrained, tmp_path):
    changes = {"augment": AugmentConfig(crop_min=0.28)}
    trained = finetune(finetuning(tmp_path, encoder=str(pretrained), **changes))
    assert read_spec(trained).encoder.crop_pct == pytest.approx(0.8)
    frozen = finetune(finetuning(tmp_path, encoder=str(pretrained), freeze_encoder=True, **changes))
    assert read_spec(frozen).encoder.crop_pct == 1


def test_finetuning_never_reads_the_test_split(save_npz, tmp_path):
    path = save_npz(
        test_images=np.array([{"a": 1}], dtype=object), test_labels=np.array(["poison"])
    )
    finetune(
        FinetuneConfig(
            data=str(path), runs=tmp_path, head=head_config(name="linear"), epochs=1, batch_size=8
        )
    )


def test_finetuning_uses_the_labels_it_is_given(tmp_path, monkeypatch):
    """A quarter of the labels: 6 of 24 images, both classes, the same whatever the head."""
    seen = []
    original = Supervised.__init__

    def watch(self, config, model, train, data, **more):
        seen.append(train.ids)
        original(self, config, model, train, data, **more)

    monkeypatch.setattr(Supervised, "__init__", watch)
    for name in ("linear", "mlp"):
        head = head_config(name=name, num_qubits=2)
        run = finetune(finetuning(tmp_path, labels=0.25, head=head, epochs=1))
        assert json.loads((run / "result.json").read_text())["labelled_images"] == 6
    train = load_data(PHANTOM, splits=("train",)).splits["train"]
    chosen = select_labels(train, 0.25, seed=0, task="binary", num_classes=2)
    assert seen[0] == seen[1] == tuple(train.ids[index] for index in chosen)
    assert set(train.labels[chosen]) == {0, 1}


@pytest.mark.parametrize("name", ["statevector", "aer_statevector"])
def test_a_reloaded_model_gives_the_same_logits(
    name, whole_finetuning, pretrained, tmp_path, monkeypatch
):
    """What was kept in memory and what is read back, on the exact simulators, bit for bit.

    On Aer the encoder is frozen: the two engines differ in the last digit, which the training of
    a whole network would amplify, and that of a head on fixed features does not.
    """
    kept = {}
    original = keep_model_module.save_model
    images = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))

    def save_model(folder, model, spec):
        original(folder, model, spec)
        model.eval()
        with torch.no_grad():
            kept["logits"] = model(images)
        model.train()

    frozen = {"encoder": str(pretrained), "freeze_encoder": True}
    changes = {"backend": name} | (frozen if name == "aer_statevector" else {})
    monkeypatch.setattr(keep_model_module, "save_model", save_model)
    run = finetune(finetuning(tmp_path, **changes))
    with open_backend(name) as backend:
        model, _ = load_model(run, backend=backend)
        with torch.no_grad():
            assert torch.equal(model(images), kept["logits"])
            again, _ = load_model(run, backend=backend)
            assert torch.equal(again(images), kept["logits"])
    assert not any(parameter.requires_grad for parameter in model.parameters())
    jobs = json.loads((run / "result.json").read_text())["circuit_jobs"]
    assert (jobs > 0) == (name == "aer_statevector")
    if name == "statevector":
        assert model_bytes(run) == model_bytes(whole_finetuning)
    else:
        monkeypatch.setattr(keep_model_module, "save_model", original)
        other = finetune(finetuning(tmp_path, **frozen))
        with torch.no_grad():
            theirs = load_model(other, backend=open_backend("statevector"))[0](images)
        torch.testing.assert_close(kept["logits"], theirs, rtol=0, atol=1e-4)


def test_what_is_trained_on_from_a_run_and_without_a_class_is_told(
    whole_finetuning, save_npz, tmp_path, caplog
):
    data = save_npz("lacking.npz", val_labels=np.zeros((12, 1), dtype=np.uint8))
    config = finetuning(tmp_path, start=whole_finetuning, epochs=1)
    with caplog.at_level(logging.INFO, "hybridq"):
        finetune(config.model_copy(update={"data": str(data)}))
        finetune(finetuning(tmp_path, epochs=1))
    log = caplog.text
    assert f"(0, 1; positive: 1), encoder trained from the run {whole_finetuning}, " in log
    assert "(no lesion, lesion; positive: lesion), encoder trained from none, " in log
    assert log.count("in validation") == 1
    assert "no 1 in validation: its AUC is undefined" in log


def test_where_validation_has_one_class_no_auc_is_written_and_the_loss_tells_the_best(
    save_npz, pretrained, tmp_path
):
    data = save_npz("lacking.npz", val_labels=np.zeros((12, 1), dtype=np.uint8))
    frozen = {
        "encoder": str(pretrained),
        "head": head_config(name="linear"),
        "freeze_encoder": True,
        "head_learning_rate": 1.0,
        "epochs": 6,
    }
    config = finetuning(tmp_path, keep="best", patience=2, **frozen)
    run = finetune(config.model_copy(update={"data": str(data)}))
    rows = read_epochs(run)
    assert {row["val_auc"] for row in rows} == {None}
    losses = [row["val_loss"] for row in rows]
    best = int(np.argmin(losses))
    assert len(rows) == min(6, best + 3)
    kept = json.loads((run / "result.json").read_text())["kept"]
    assert kept == {"epoch": best, "val_auc": None, "val_loss": losses[best]}


def test_training_on_from_a_run_keeps_what_its_encoder_is(tmp_path):
    own = {"stem": "stride1", "image_size": 24, "augment": AugmentConfig(crop_min=0.5)}
    start = finetune(finetuning(tmp_path, epochs=1, **own))
    spec = read_spec(start).encoder
    frozen = finetuning(tmp_path, start=start, freeze_encoder=True, epochs=1)
    larger = finetuning(tmp_path, start=start, image_size=32, epochs=1)
    data = load_data(PHANTOM, splits=("train", "val"))
    with open_backend("statevector"):
        assert initial_model(frozen, data).encoder.spec == spec
        changed = initial_model(larger, data).encoder.spec
    assert spec.stem == "stride1"
    assert spec.crop_pct == pytest.approx(0.75**0.5)
    assert changed == spec.model_copy(
        update={"image_size": 32, "crop_pct": larger.augment.mean_side}
    )
    for other in ({"encoder": str(start)}, {"stem": "stride2"}):
        with pytest.raises(InvalidValueError, match=r"Expected (no --encoder|--stem stride1)"):
            finetune(finetuning(tmp_path, start=start, **other))


def test_several_labels(save_npz, pretrained, tmp_path, lively):
    path = save_npz("chest.npz", labels=14)
    run = finetune(
        FinetuneConfig(
            data=str(path),
            runs=tmp_path,
            encoder=str(pretrained),
            head=head_config(name="mlp"),
            epochs=2,
            batch_size=8,
        )
    )
    spec = read_spec(run)
    assert (spec.task, len(spec.class_names), spec.positive) == ("multilabel", 14, None)
    rows = read_jsonl(run / "metrics.jsonl")
    model, spec = load_model(run, backend=None)
    val = load_data(str(path), splits=("val",)).splits["val"]
    probs = validation_scores(model, spec, val).sigmoid().numpy()
    assert probs.shape == (12, 14)
    check_auc(rows[-1]["val_auc"], val.labels, probs)


def test_a_folder_with_three_classes(save_folder, pretrained, tmp_path, lively):
    root = save_folder()
    run = finetune(
        FinetuneConfig(
            data=str(root),
            runs=tmp_path,
            encoder=str(pretrained),
            head=PQC.model_copy(update={"init_std": 0.5}),
            epochs=2,
            batch_size=6,
            learning_rate=STILL,
        )
    )
    spec = read_spec(run)
    assert (spec.task, spec.class_names) == ("multiclass", ("dark", "grey", "light"))
    with open_backend("aer_statevector") as backend:
        model, spec = load_model(run, backend=backend)
        val = load_data(str(root), splits=("val",)).splits["val"]
        probs = validation_scores(model, spec, val).softmax(dim=1).numpy()
    rows = read_jsonl(run / "metrics.jsonl")
    check_auc(rows[-1]["val_auc"], val.labels, probs)


def test_a_run_folder_is_never_overwritten(tmp_path):
    config = finetuning(tmp_path, head=head_config(name="linear"), epochs=1)
    first = finetune(config)
    before = {path: path.read_bytes() for path in first.rglob("*") if path.is_file()}
    second = finetune(config)
    assert first != second
    assert {path: path.read_bytes() for path in first.rglob("*") if path.is_file()} == before


# Nothing is written for wrong input.


@pytest.mark.parametrize(
    "changes",
    [
        {"accelerator": "abacus"},
        {"precision": "7-bit"},
        {"devices": "x"},
        {"strategy": "hope"},
        {"devices": "0"},
        {"accelerator": "gpu"},
    ],
    ids=repr,
)
@pytest.mark.parametrize("command", ["pretrain", "finetune"])
def test_settings_that_lightning_cannot_use(tmp_path, command, changes):
    if changes == {"accelerator": "gpu"} and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    compute = ComputeConfig(**{"accelerator": "cpu", **changes})
    runs = tmp_path / "runs"
    train, config = (pretrain, pretraining) if command == "pretrain" else (finetune, finetuning)
    with pytest.raises(InvalidValueError, match="Lightning") as info:
        train(config(runs, compute=compute))
    assert "\n" not in str(info.value)
    assert not runs.exists()


@pytest.mark.parametrize("head", ["linear", "pqc"])
def test_a_training_that_diverges_at_once(tmp_path, head):
    runs = tmp_path / "runs"
    config = finetuning(runs, head=PQC.model_copy(update={"name": head}))
    config = config.model_copy(update={"learning_rate": 1e30})  # far above what a config takes
    with pytest.raises(InvalidValueError, match="lower the learning rate") as info:
        finetune(config)
    assert "\n" not in str(info.value)
    assert not runs.exists()


def test_resume_of_another_commands_run(pretrained, tmp_path):
    with pytest.raises(InvalidValueError, match="hybridq finetune"):
        finetune(FinetuneConfig(resume=pretrained))
    with pytest.raises(MissingFileError, match="--resume"):
        pretrain(PretrainConfig(resume=tmp_path / "none"))


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04 cut"])
def test_a_damaged_checkpoint(tmp_path, monkeypatch, content):
    with monkeypatch.context() as patch:
        stop_at(patch, SelfSupervised, 4, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            pretrain(pretraining(tmp_path))
    folder = only_run(tmp_path, "pretrain")
    (folder / "checkpoints" / "last.ckpt").write_bytes(content)
    with pytest.raises(InvalidValueError, match=r"last\.ckpt") as info:
        pretrain(PretrainConfig(resume=folder))
    assert "\n" not in str(info.value)
    assert (folder / "metrics.jsonl").exists()


NOISY = "fake_manila,engine=torch,shots=none"


def curriculum_run(tmp_path, pretrained, **changes):
    fields = {
        "data": PHANTOM,
        "encoder": str(pretrained),
        "freeze_encoder": True,
        "head": head_config(name="pqc", num_qubits=2, num_layers=1, init_std=0.5),
        "backend": NOISY,
        "noise_curriculum": "0,2,4",
        "epochs": 6,
        "batch_size": 8,
        "checkpoint_every": 1,
        "runs": tmp_path,
    }
    return finetune(FinetuneConfig(**{**fields, **changes}))


def test_a_curriculum_trains_each_stage_at_its_noise_scale(tmp_path, pretrained, monkeypatch):
    scales = []
    used = HybridClassifier.use_backend

    def record(model, backend):
        scales.append(backend.spec.noise_scale)
        used(model, backend)

    monkeypatch.setattr(HybridClassifier, "use_backend", record)
    staged = curriculum_run(tmp_path, pretrained)
    # Its own before and after, and once more where the threshold is chosen.
    assert scales == [1.0, 0.0, 2.0, 4.0, 1.0, 1.0]
    constant = curriculum_run(tmp_path, pretrained, noise_curriculum="3")
    direct = curriculum_run(
        tmp_path, pretrained, noise_curriculum=None, backend=f"{NOISY},noise_scale=3"
    )
    weights = [load_file(run / "model" / "model.safetensors") for run in (constant, direct, staged)]
    key = "head.block.connector.weight"
    assert torch.equal(weights[0][key], weights[1][key])
    assert not torch.equal(weights[0][key], weights[2][key])


def test_a_curriculum_goes_on_in_its_stage(tmp_path, pretrained, monkeypatch):
    whole = curriculum_run(tmp_path / "whole", pretrained)
    stop = NoiseCurriculum.on_train_epoch_start

    def interrupted(self, trainer, module):
        if trainer.current_epoch == 3:
            raise KeyboardInterrupt
        stop(self, trainer, module)

    with monkeypatch.context() as patch:
        patch.setattr(NoiseCurriculum, "on_train_epoch_start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            curriculum_run(tmp_path / "cut", pretrained)
    (folder,) = (tmp_path / "cut" / "finetune").iterdir()
    finetune(FinetuneConfig(resume=folder))
    for one, other in zip(
        load_file(whole / "model" / "model.safetensors").values(),
        load_file(folder / "model" / "model.safetensors").values(),
        strict=True,
    ):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backend": "statevector"}, "noisy backend"),
        ({"head": head_config(name="linear")}, "quantum head"),
        ({"keep": "best"}, "--keep last"),
        ({"noise_curriculum": "0,x"}, "factors from 0 to 100"),
        ({"noise_curriculum": ""}, "factors from 0 to 100"),
        ({"noise_curriculum": "1,-1"}, "factors from 0 to 100"),
        ({"noise_curriculum": "0,1,2,3,4,5,6"}, "no more stages than epochs"),
    ],
)
def test_a_curriculum_that_cannot_be(tmp_path, pretrained, changes, message):
    with pytest.raises(InvalidValueError, match=message):
        curriculum_run(tmp_path, pretrained, **changes)
    assert not any((tmp_path / "finetune").glob("*"))
