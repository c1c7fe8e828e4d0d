"""An ablation on tiny data: its tables by other routes, its search, kills, and planted effects."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from hybridq.cli import main as cli
from hybridq.config import AblationStudyConfig, PretrainConfig
from hybridq.data import labelled_subset, load_data
from hybridq.evaluation.baselines import PENALTIES, pixel_inputs
from hybridq.evaluation.evaluate import classify
from hybridq.evaluation.metrics.scores import auc
from hybridq.models.checkpoint import load_model
from hybridq.models.encoders.file import load_encoder
from hybridq.runs.folder import read_result
from hybridq.studies.ablation import encoders as ablation_encoders
from hybridq.studies.ablation import frozen as ablation_frozen
from hybridq.studies.ablation import labels as ablation_labels
from hybridq.studies.ablation.grid import SETTINGS, frozen_arms
from hybridq.studies.ablation.study import ablation_study
from hybridq.studies.ablation.verdicts import cautions
from hybridq.studies.engine.study import show
from hybridq.threads import one_thread
from hybridq.training import head as head_training
from hybridq.training.pretrain import pretrain
from hybridq_backends import open_backend
from hybridq_backends.utils.lock import locked

PHANTOM = "phantom,size=16,count=80"
ARMS = (
    "linear",
    "mlp",
    "pqc",
    "mlp_residual",
    "pqc_residual",
    "pqc_unentangled",
    "pqc_untrained",
    "pqc_random",
)
TABLES = ("ablation.csv", "summary.csv", "comparisons.csv", "comparisons.json", "search.csv")

pytestmark = [pytest.mark.trains, pytest.mark.usefixtures("isolated", "single_thread")]


def settings(**changes) -> AblationStudyConfig:
    fields = {
        "data": PHANTOM,
        "labels": "0.25,1",
        "seeds": 2,
        "pretrain_epochs": 1,
        "num_qubits": 2,
        "num_layers": 1,
        "steps": 3,
        "whole": False,
        "workers": 1,
    }
    return AblationStudyConfig(**{**fields, **changes})


@pytest.fixture(scope="module")
def study(tmp_path_factory, single_thread):
    """A study on frozen features, never stopped, computed in one process."""
    return ablation_study(settings(runs=tmp_path_factory.mktemp("ablation")))


@pytest.fixture(scope="module")
def encoders(study):
    """Its two encoders, for studies that are about something else."""
    return tuple(sorted((study / "encoders" / "pretrain").iterdir()))


def table(folder, name="ablation.csv"):
    with (folder / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def tables(folder):
    return [(folder / name).read_bytes() for name in TABLES]


def test_tables_by_another_route(study):
    """Every arm is there; figures follow from the predictions; raw pixels from scikit-learn."""
    data = load_data(PHANTOM)
    test = data.splits["test"]
    rows = table(study)
    models = {f"{encoder}-{arm}" for encoder in ("random", "simclr") for arm in ARMS}
    assert {row["model"] for row in rows} == models | {"raw_pixels"}
    assert len(rows) == 17 * 2 * 2
    with np.load(study / "predictions.npz") as kept:
        assert kept["ids"].tolist() == list(test.ids)
        assert kept["labels"].tolist() == test.labels.tolist()
        assert kept["seeds"].tolist() == [0, 1]
        for row in rows:
            probs = kept[f"{float(row['labels']):g}/{row['model']}"]
            assert probs.shape == (2, len(test), 2)
            own = probs[int(row["seed"])]
            assert float(row["auc"]) == auc(test.labels, own)
            named = own[:, data.positive] >= float(row["threshold"])
            right = (named == (test.labels == data.positive)).mean()
            assert float(row["accuracy"]) == pytest.approx(right)
    by_arm = {row["head"]: row for row in rows if row["encoder"] == "simclr"}
    assert int(by_arm["pqc"]["circuit_parameters"]) == 4
    for arm in ("pqc_random", "pqc_untrained"):
        assert by_arm[arm]["circuit_parameters"] == "0"
        assert int(by_arm["pqc"]["parameters"]) - int(by_arm[arm]["parameters"]) == 4
        assert by_arm[arm]["circuit_movement"] == "0.0"
    assert {row["steps"] for row in by_arm.values()} == {"3"}
    assert float(by_arm["pqc"]["circuit_movement"]) > 0
    assert by_arm["mlp"]["circuit_movement"] == ""

    pixels = next(r for r in rows if r["model"] == "raw_pixels" and r["labels"] == "0.25")
    train = labelled_subset(data, "train", 0.25, seed=0)
    val = labelled_subset(data, "val", 0.25, seed=0)
    assert (int(pixels["train_images"]), int(pixels["val_images"])) == (len(train), len(val))
    assert len(val) < len(data.splits["val"])
    scaler = StandardScaler().fit(pixel_inputs(data.splits["train"].images))
    model = LogisticRegression(
        C=float(pixels["penalty"]), max_iter=2000, class_weight="balanced"
    ).fit(scaler.transform(pixel_inputs(train.images)), train.labels)
    own = model.predict_proba(scaler.transform(pixel_inputs(test.images)))
    assert float(pixels["auc"]) == pytest.approx(auc(test.labels, own), abs=1e-3)

    names = {path.name for path in (study / "figures").iterdir()}
    assert names == {"labels.png", "differences.png"}
    compared = json.loads((study / "comparisons.json").read_text())
    assert len(compared) == 2 * 11
    assert {item["family_size"] for item in compared} == {22}
    assert {item["family"] for item in compared} == {"frozen features"}
    means = {(r["labels"], r["model"]): float(r["mean"]) for r in table(study, "summary.csv")
             if r["figure"] == "auc"}  # fmt: skip
    for item in compared:
        a, b = (means[repr(item["labels"]), item[side]] for side in ("a", "b"))
        assert item["difference"] == pytest.approx(a - b)
    text = show(study)
    assert "raw pixels" in text
    assert all(item["words"] in text for item in compared)


def test_setting_is_shared_and_best_on_validation(study):
    """One setting an encoder and fraction: that of the best mean over arms and seeds."""
    rows = table(study, "search.csv")
    for encoder in ("random", "simclr"):
        for fraction in ("0.25", "1.0"):
            own = [r for r in rows if (r["encoder"], r["labels"]) == (encoder, fraction)]
            means = {}
            for row in own:
                key = (row["learning_rate"], row["block_learning_rate"])
                means.setdefault(key, []).append(float(row["val_auc"]))
            means = {key: np.mean(values) for key, values in means.items()}
            (chosen,) = {
                (r["learning_rate"], r["block_learning_rate"]) for r in own if r["chosen"] == "True"
            }
            assert means[chosen] == pytest.approx(max(means.values()))
            used = {
                (r["learning_rate"], r["block_learning_rate"])
                for r in table(study)
                if (r["encoder"], r["labels"]) == (encoder, fraction)
            }
            assert used == {chosen}


def test_penalty_of_raw_pixels_is_shared_and_best_on_validation(study):
    for fraction in ("0.25", "1.0"):
        own = [
            row for row in table(study, "search.csv")
            if (row["head"], row["labels"]) == ("logistic_regression", fraction)
        ]  # fmt: skip
        assert len(own) == 2 * len(PENALTIES)
        values = np.array([float(row["val_auc"]) for row in own]).reshape(2, -1)
        best = PENALTIES[int(np.argmax(np.round(values.mean(axis=0), 12)))]
        assert {float(row["penalty"]) for row in own if row["chosen"] == "True"} == {best}
        used = {
            float(row["penalty"]) for row in table(study)
            if (row["model"], row["labels"]) == ("raw_pixels", fraction)
        }  # fmt: skip
        assert used == {best}


def test_killed_study_goes_on_in_two_processes(study, isolated):
    """After SIGKILL the same bytes come out, with two workers as with one."""
    arguments = "--data phantom,size=16,count=80 --labels 0.25,1 --seeds 2 --pretrain-epochs 1"
    arguments += " --num-qubits 2 --num-layers 1 --steps 3 --no-whole --workers 2"
    command = [sys.executable, "-m", "hybridq", "study", "ablation", *arguments.split()]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    until = time.monotonic() + 300
    while not list(isolated.glob("runs/study/*/units/search/*.json")):
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)
    process.kill()
    process.wait()
    until = time.monotonic() + 60
    while _group(process.pid):  # the workers end with it
        assert time.monotonic() < until
        time.sleep(0.05)
    (folder,) = isolated.glob("runs/study/*")
    assert not (folder / "result.json").exists()
    assert cli.main(["study", "ablation", "--resume", str(folder)]) == 0
    assert tables(folder) == tables(study)


def test_two_processes_do_not_share_a_study(study, capfd):
    before = tables(study)
    with locked(study / "study.lock", "is a test"):
        assert cli.main(["study", "ablation", "--resume", str(study)]) == 2
    assert "another process that works on this study" in capfd.readouterr().err
    assert cli.main(["study", "ablation", "--resume", str(study)]) == 0
    assert tables(study) == before
    assert json.loads((study / "environment.json").read_text())["resumed"]


def _group(number):
    """Whether a process of the group is there."""
    try:
        os.killpg(number, 0)
    except ProcessLookupError:
        return False
    return True


def test_whole_network_goes_on(encoders, monkeypatch):
    """A training that was stopped in the middle, and units that are there, give the same bytes."""
    config = settings(
        encoder_runs=encoders[:1], seeds=1, labels="1", whole=True, whole_steps=3, steps=2
    )
    whole = ablation_study(config)
    rows = [row for row in table(whole) if row["training"] == "whole"]
    assert len(rows) == 6
    assert {row["steps"] for row in rows} == {"3"}
    parameters = {row["head"]: int(row["parameters"]) for row in rows}
    assert parameters["linear"] == 2223872 + 1281 * 2
    before = tables(whole)
    from hybridq.training.callbacks.metrics_file import MetricsFile

    kept = MetricsFile.on_train_epoch_end

    def stop(self, trainer, module):
        kept(self, trainer, module)
        if trainer.current_epoch == 1:
            raise KeyboardInterrupt

    (whole / "units" / "whole" / "scratch-pqc-s0-l1.json").unlink()
    (gone,) = (whole / "whole" / "finetune").glob("*-scratch-pqc-s0-l1")
    for path in sorted(gone.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    gone.rmdir()
    with monkeypatch.context() as patch:
        patch.setattr(MetricsFile, "on_train_epoch_end", stop)
        with pytest.raises(KeyboardInterrupt):
            ablation_study(AblationStudyConfig(resume=whole))
    ablation_study(AblationStudyConfig(resume=whole))
    assert tables(whole) == before
    assert len(list((whole / "whole" / "finetune").iterdir())) == 6
    assert not list(whole.rglob("*.ckpt"))


def test_all_networks_at_another_size_over_views(encoders):
    """Whole networks have fractions of their own, and a family; features are means over views."""
    config = settings(
        encoder_runs=encoders[:1],
        seeds=1,
        labels="0.25,0.5,1",
        whole=True,
        whole_labels="0.5",
        whole_steps=2,
        image_size=24,
        views="flip",
        steps=2,
    )
    folder = ablation_study(config)
    rows = [row for row in table(folder) if row["training"] == "whole"]
    assert {row["labels"] for row in rows} == {"0.5"}
    assert len(rows) == 6
    data = load_data(PHANTOM)
    val = data.splits["val"]
    for row in rows:
        name = f"{row['encoder']}-{row['head']}-s0-l0.5"
        (run,) = (folder / "whole" / "finetune").glob(f"*-{name}")
        with one_thread(), open_backend("statevector") as backend:  # as the study computes
            model, spec = load_model(run, backend=backend)
            assert spec.encoder.image_size == 24
            cut = labelled_subset(data, "val", 0.5, seed=0)
            on_val = classify(model, cut, multilabel=False, views="flip")
            probs = classify(model, data.splits["test"], multilabel=False, views="flip")
        assert float(row["val_auc"]) == auc(cut.labels, on_val)
        with np.load(folder / "predictions.npz") as kept:
            np.testing.assert_allclose(kept[f"0.5/{row['model']}"][0], probs, atol=1e-12)
    assert len(cut) < len(val)
    encoder = load_encoder(encoders[0]).eval()
    encoder.spec = encoder.spec.model_copy(update={"image_size": 24})
    images = encoder.prepare(data.splits["test"].images)
    assert images.shape[-1] == 24
    with torch.inference_mode():
        wanted = (encoder(images) + encoder(images.flip(-1))) / 2
    with np.load(folder / "features" / "simclr-s0.npz") as kept:
        np.testing.assert_allclose(kept["test"], wanted.numpy(), rtol=1e-4, atol=1e-6)
    rates = {(r["head"], r["block_learning_rate"]) for r in rows}
    assert rates == {("linear", ""), ("mlp", "0.01"), ("pqc", "0.01")}
    found = json.loads((folder / "comparisons.json").read_text())
    asked = {(item["a"], item["b"]): item for item in found}
    for pair in (
        ("whole-simclr-pqc", "whole-simclr-mlp"),
        ("whole-simclr-mlp", "raw_pixels"),
        ("simclr-mlp", "whole-scratch-mlp"),
    ):
        assert asked[pair]["family"] == "whole networks"
        assert asked[pair]["family_size"] == 9
    frozen = [item for item in found if item["family"] == "frozen features"]
    assert len(frozen) == 3 * 11 == frozen[0]["family_size"]
    for item in frozen:  # Holm by hand, in the family
        p_values = sorted(other["p_value"] for other in frozen)
        steps = [p * (33 - i) for i, p in enumerate(p_values) if p <= item["p_value"]]
        assert item["p_holm"] == pytest.approx(min(1.0, max(steps)))


def test_search_does_not_see_the_test_split(save_npz, monkeypatch):
    """Other test images and labels change the figures, and no setting or validation figure."""
    rng = np.random.default_rng(3)
    right = np.arange(12).reshape(12, 1) % 2
    runs, found, asked = [], [], []
    real = ablation_labels.load_data

    def watched(*arguments, **options):
        asked.append(options["splits"])
        return real(*arguments, **options)

    for name, labels in (("a", right), ("b", rng.permutation(right))):
        path = _own(save_npz, name, labels)
        encoder = pretrain(PretrainConfig(data=str(path), epochs=1, batch_size=8))
        folder = ablation_study(
            settings(data=str(path), encoder_runs=(encoder,), seeds=1, labels="0.5", name=name)
        )
        runs.append(folder)
        found.append((folder / "search.csv").read_bytes())
        monkeypatch.setattr(ablation_labels, "load_data", watched)
        config = settings(data=str(path), encoder_runs=(encoder,), seeds=1)
        asked.clear()
        ablation_frozen.SearchWork(config, folder, 0, "simclr", 0.5).compute()
        assert asked == [("train", "val")]
        monkeypatch.setattr(ablation_labels, "load_data", real)
    assert found[0] == found[1]
    first, second = (table(folder) for folder in runs)
    for name in ("threshold", "val_auc", "learning_rate"):
        assert [row[name] for row in first] == [row[name] for row in second]
    assert [row["auc"] for row in first] != [row["auc"] for row in second]


def _own(save_npz, name, labels):
    """A set of its own folder, alike but for its test split."""
    images = np.random.default_rng(ord(name)).integers(0, 256, (12, 16, 16))
    split = {"test_images": images.astype(np.uint8), "test_labels": labels.astype(np.uint8)}
    path = save_npz(f"{name}.npz", **split)
    moved = path.parent / name / "own.npz"
    moved.parent.mkdir()
    return path.rename(moved)


def test_equal_steps(study, encoders, monkeypatch):
    """Every arm in every setting takes the same number of optimiser steps."""
    taken = []
    real = head_training.one_cycle

    def counted(groups, total):
        optimizer, schedule = real(groups, total)
        taken.append(0)

        def count(*_):
            taken[-1] += 1

        optimizer.register_step_post_hook(count)
        return optimizer, schedule

    monkeypatch.setattr(head_training, "one_cycle", counted)
    for fraction in (0.25, 1.0):
        ablation_frozen.SearchWork(settings(steps=5), study, 0, "simclr", fraction).compute()
    assert taken == [5] * (2 * len(ARMS) * len(SETTINGS))


@pytest.mark.parametrize("planted", ["simclr", "none"])
def test_planted_effect(tmp_path, monkeypatch, planted):
    """Features that tell the classes apart are better, the others worse."""
    rng = np.random.default_rng(0)
    arrays = {}
    for split, count in (("train", 64), ("val", 24), ("test", 80)):
        labels = np.arange(count) % 2
        images = rng.integers(0, 200, (count, 16, 16)) + 50 * labels[:, None, None]
        arrays[f"{split}_images"] = images.astype(np.uint8)
        arrays[f"{split}_labels"] = labels.astype(np.uint8)[:, None]
    np.savez(tmp_path / "own.npz", **arrays)
    data = str(tmp_path / "own.npz")
    runs = tuple(
        pretrain(PretrainConfig(data=data, epochs=1, batch_size=32, seed=seed)) for seed in range(3)
    )

    def features(encoder, images, *, views):
        kind = "simclr" if encoder.spec.weights.startswith("simclr") else "none"
        noise = np.random.default_rng(len(images)).normal(size=(len(images), 1280))
        signal = images.mean(axis=(1, 2, 3))[:, None] / 10 if kind == planted else 0
        return torch.from_numpy((noise + signal).astype(np.float32))

    monkeypatch.setattr(ablation_encoders, "image_features", features)
    folder = ablation_study(settings(data=data, encoder_runs=runs, seeds=3, labels="1", steps=8))
    found = json.loads((folder / "comparisons.json").read_text())
    by_pair = {(item["a"], item["b"]): item["verdict"] for item in found}
    wanted = "better" if planted == "simclr" else "worse"
    for arm in ("linear", "mlp", "pqc"):
        assert by_pair[f"simclr-{arm}", f"random-{arm}"] == wanted
    if planted == "none":
        assert by_pair["simclr-mlp", "raw_pixels"] == "worse"


@pytest.mark.parametrize("many", [False, True])
def test_several_classes_and_several_labels(save_npz, many):
    path = save_npz(labels=3) if many else save_npz(classes=3)
    encoder = pretrain(PretrainConfig(data=str(path), epochs=1, batch_size=8))
    folder = ablation_study(
        settings(data=str(path), encoder_runs=(encoder,), seeds=1, labels="1", steps=2)
    )
    with np.load(folder / "predictions.npz") as kept:
        labels, probs = kept["labels"], kept["1/simclr-pqc"]
    assert probs.shape == (1, 12, 3)
    row = next(row for row in table(folder) if row["model"] == "simclr-pqc")
    assert float(row["auc"]) == pytest.approx(auc(labels, probs[0]))
    assert read_result(folder)["seeds"] == 1


def test_bad_input_is_one_line(isolated, encoders, pretrained, save_npz, tree, capfd):
    """Exit code 2, one line, nothing written."""
    poor = save_npz(test_labels=np.array([[0]] * 11 + [[1]], dtype=np.uint8))
    lacking = save_npz("lacking.npz", val_labels=np.zeros((12, 1), dtype=np.uint8))
    before = tree(isolated)
    same = ["--data", PHANTOM, "--encoder-runs"]
    for arguments, said in (
        (["--labels", "0.1,x"], "Expected --labels"),
        (["--labels", "0.1,0.10"], "once"),
        (["--labels", "0"], "Expected --labels"),
        (["--labels", "0.1,1", "--whole-labels", "0.5,1"], "Expected --whole-labels out of"),
        (["--labels", "0.1,1", "--whole-labels", "1,1"], "Expected each entry of --whole-labels"),
        (["--seeds", "0"], "--seeds"),
        (["--margin", "0"], "--margin"),
        (["--data", "nowhere"], "data set"),
        ([*same, str(pretrained)], "pretrain on this data"),
        ([*same, str(encoders[0])], "a run of each seed"),
        ([*same, str(encoders[0]), str(encoders[0])], "one encoder a seed"),
        ([*same, str(isolated)], "pretrain"),
        (["--data", str(poor)], "at least 2 images of class"),
        (["--resume", "nowhere"], "--resume"),
        (["--resume", str(encoders[0])], "study ablation"),
        (["--data", str(lacking)], "class"),
        (["--data", PHANTOM, "--labels", "0.01,0.011,1"], "got 0.01 and 0.011, which both choose"),
    ):
        assert cli.main(["study", "ablation", *arguments]) == 2, arguments
        error = capfd.readouterr().err
        assert error.count("\n") == 1, error
        assert said in error
        assert "Traceback" not in error
    assert tree(isolated) == before


def test_notes_say_what_verdicts_cannot_bear():
    labels = np.array([0] * 9 + [1] * 10)
    one, few = cautions(settings(num_qubits=1), labels, ["a", "b"])
    assert "pqc and pqc_unentangled are one model" in one
    assert "9 images of a:" in few
    several = np.stack([labels, 1 - labels], axis=1)
    (few,) = cautions(settings(), several, ["a", "b"])
    assert "9 images of b:" in few
    assert cautions(settings(), np.repeat([0, 1], 10), ["a", "b"]) == []


@pytest.mark.parametrize(("name", "low", "high"), [("random", 1.5, 5), ("untrained", 0, 0.05)])
def test_circuit_that_is_not_trained_stays_as_drawn(study, name, low, high):
    """Spread over a turn, or as that of `pqc` begins; training leaves it alone."""
    from hybridq.quantum import quantum_parameters
    from hybridq_backends import open_backend

    config = settings(num_qubits=4, num_layers=3)
    arm = frozen_arms(config)[f"pqc_{name}"]
    data = load_data(PHANTOM, splits=("train",))
    features = torch.randn(len(data.splits["train"]), 1280)
    with open_backend("statevector") as backend:
        work = ablation_frozen.SearchWork(config, study, 1, "simclr", 1.0)
        models = {one.arm: one.model for one in work.fitted(SETTINGS[0], data, features, backend)}
        head = models[f"pqc_{name}"]
        fresh = ablation_frozen.new_head(arm, 1280, 2, backend, 1)
        trained = ablation_frozen.new_head(frozen_arms(config)["pqc"], 1280, 2, backend, 1)
    (weight,), (drawn,) = quantum_parameters(head), quantum_parameters(fresh)
    assert torch.equal(weight, drawn)
    assert low < float(drawn.std()) < high
    (begun,) = quantum_parameters(trained)
    assert torch.equal(begun, drawn) is (name == "untrained")
    assert not torch.equal(head.classifier.weight, fresh.classifier.weight)
