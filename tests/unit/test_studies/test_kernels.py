"""The study of kernels: machines that are fitted in closed form, on label subsets."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from hybridq.cli import main as cli
from hybridq.config import KernelsStudyConfig, PretrainConfig
from hybridq.errors import HybridqError
from hybridq.evaluation.statistics import Measured, mean_interval
from hybridq.models.heads.fitted.components import principal_components
from hybridq.studies.heads.labelled import Labelled
from hybridq.studies.kernels.fitted import KernelWork, MachineWork
from hybridq.studies.kernels.grid import bandwidths_of, called, machines_of, questions
from hybridq.training.feature_classifier import FeatureClassifier
from hybridq.training.pretrain import pretrain
from hybridq.utils.arrays import write_arrays

pytestmark = pytest.mark.usefixtures("single_thread")

PHANTOM = "phantom,size=16,count=80"
SMALL = {"kernels": "angle,projected-zz,rbf,linear", "qubits": "2,3"}


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_machines_and_what_is_asked_of_them():
    machines = machines_of(KernelsStudyConfig(**SMALL))
    assert [one.name for one in machines if one.qubits == 2] == [
        *("angle-2", "projected-zz-2", "rbf-2", "linear-2", "quantum-bank-2", "classical-bank-2"),
        *("reservoir-2", "random_fourier-2", "random_tanh-2", "cubic-2", "components-2"),
        "boosting-2",
    ]
    asked = {(one.topic, one.a, one.b) for one in questions(machines) if one.a.endswith("-3")}
    assert asked == {
        ("kernels", "angle-3", "rbf-3"),
        ("kernels", "projected-zz-3", "rbf-3"),
        *(
            ("banks", "quantum-bank-3", f"{other}-3")
            for other in ("classical-bank", "rbf", "components", "boosting")
        ),
        *(
            ("reservoirs", "reservoir-3", f"{other}-3")
            for other in ("random_fourier", "random_tanh", "cubic", "components")
        ),
    }
    assert called("quantum-bank-3") == "quantum kernels, aligned, 3 components"
    every = machines_of(KernelsStudyConfig(qubits="4"))
    asked_of = {one.b for one in questions(every) if one.a == "reservoir-4"}
    embeddings = ("random_fourier-4", "random_tanh-4", "cubic-embedding-4", "components-4")
    assert asked_of == set(embeddings)  # and not the cubic kernel
    both = machines_of(KernelsStudyConfig(kernels="zz,cubic", heads="cubic", qubits="2"))
    assert [one.name for one in both] == ["zz-2", "cubic-2", "cubic-embedding-2", "boosting-2"]
    few = machines_of(KernelsStudyConfig(kernels="rbf", heads="none", qubits="2", boosting=False))
    assert [one.name for one in few] == ["rbf-2"]
    assert questions(few) == []


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"kernels": "zzz"}, "did you mean 'zz'"),
        ({"heads": "pqc"}, "fitted in closed form on components, got 'pqc'"),
        ({"qubits": "13"}, "whole numbers from 1 to 12"),
        ({"qubits": "2,2"}, "each entry of --qubits once"),
    ],
)
def test_machines_that_cannot_be(fields, words):
    with pytest.raises(HybridqError, match=words):
        machines_of(KernelsStudyConfig(**fields))
    with pytest.raises(HybridqError, match="numbers above 0 and at most 100"):
        bandwidths_of(KernelsStudyConfig(bandwidths="0,1"))


@pytest.fixture
def work(tmp_path):
    """Two classes on 30 features, of which one tells them apart."""
    rng = np.random.default_rng(0)
    labels = np.arange(160) % 2
    features = rng.normal(size=(160, 30)).astype(np.float32)
    features[:, :4] += 1.2 * labels[:, None]
    parts = {"train": features[:100], "test": features[100:]}
    write_arrays(tmp_path / "features" / "encoder-s0.npz", parts)
    subsets = tuple(rng.permutation(100)[:40] for _ in range(2))
    own = Labelled(labels[:100], labels[100:], 2, subsets, ())
    return KernelsStudyConfig(**SMALL), own, tmp_path, 0, "40 labels"


def test_a_machine_gives_what_its_head_does(work):
    config, labels, folder, *_ = work
    by_name = {one.name: one for one in machines_of(config)}
    with np.load(folder / "features" / "encoder-s0.npz") as file:
        scaler = StandardScaler().fit(file["train"])
        train, test = (scaler.transform(file[name]) for name in ("train", "test"))
    for name, head, options in (
        ("rbf-3", "kernel", {"kernels": "rbf"}),
        ("angle-3", "qkernel", {"kernels": "angle"}),
        ("components-3", "components", {}),
    ):
        left = MachineWork(*work, by_name[name]).compute()
        for rows, found in zip(labels.subsets, np.ravel(left["auc"]), strict=True):
            model = FeatureClassifier(head, head_options={"num_qubits": 3, **options})
            probs = model.fit(train[rows], labels.train[rows]).predict_proba(test)[:, 1]
            assert found == pytest.approx(roc_auc_score(labels.test, probs), abs=0.01)
    bandwidth, *shares = MachineWork(*work, by_name["classical-bank-3"]).compute()["weights"]
    assert 0.25 <= bandwidth <= 2
    assert len(shares) == 2
    assert sum(shares) == pytest.approx(1)


def test_boosted_trees_are_those_of_scikit_learn(work):
    config, labels, folder, *_ = work
    machine = next(one for one in machines_of(config) if one.name == "boosting-2")
    left = MachineWork(*work, machine).compute()
    with np.load(folder / "features" / "encoder-s0.npz") as file:
        scaler = StandardScaler().fit(file["train"])
        train, test = (scaler.transform(file[name]) for name in ("train", "test"))
    for rows, found in zip(labels.subsets, np.ravel(left["auc"]), strict=True):
        mean, axes = principal_components(train[rows], 2)
        near = []
        for depth in (1, 2, 3):
            model = GradientBoostingClassifier(max_depth=depth, random_state=0)
            model.fit((train[rows] - mean) @ axes.T, labels.train[rows])
            probs = model.predict_proba((test - mean) @ axes.T)[:, 1]
            near.append(abs(roc_auc_score(labels.test, probs) - found))
        assert min(near) < 0.03


def test_what_kernels_are_like(work):
    rows = {
        name: KernelWork(*work, name, 3).compute()["rows"]
        for name in ("angle", "projected-zz", "linear")
    }
    assert [one["bandwidth"] for one in rows["angle"]] == [0.25, 0.5, 1, 2] * 2
    for one in rows["angle"]:
        assert one["geometric_difference"] > 0
        assert 0 < one["fidelity"] < 1
        assert one["alignment"] > 0.02
        assert one["held_out_auc"] > 0.6
    assert "fidelity" not in rows["projected-zz"][0]
    assert rows["projected-zz"][0]["geometric_difference"] > 0
    assert len({round(one["alignment"], 9) for one in rows["linear"][:4]}) == 1  # scale-free
    assert "geometric_difference" not in rows["linear"][0]


@pytest.mark.trains
def test_the_command(isolated, capsys):
    run = pretrain(PretrainConfig(data=PHANTOM, epochs=1, batch_size=16, image_size=32))
    options = ["--labels", "16,0.5", "--subsets", "2", "--workers", "1", "--qubits", "2"]
    options += ["--kernels", "angle,zz,rbf", "--bandwidths", "0.5,1", "--heads", "components"]
    assert cli.main(["study", "kernels", str(run), *options]) == 0
    out = capsys.readouterr().out.strip().splitlines()
    assert any("comparisons of quantum kernels together" in line for line in out)
    folder = Path(out[-1])
    summary = table(folder / "summary.csv")
    assert [row["machine"] for row in summary] == 2 * [
        *("angle-2", "zz-2", "rbf-2", "quantum-bank-2", "components-2", "boosting-2")
    ]
    with np.load(folder / "measured.npz") as file:
        arrays = {key: file[key] for key in file.files}
    for row in summary:
        key = f"{row['labels']}/{row['machine']}/"
        own = {name.removeprefix(key): arrays[name] for name in arrays if name.startswith(key)}
        wanted = mean_interval(Measured.from_arrays(own))
        assert [float(row[name]) for name in ("mean", "low", "high")] == pytest.approx(wanted)
    shares = [float(row["share"]) for row in table(folder / "weights.csv")]
    assert sum(shares) == pytest.approx(2 * 4)  # of the four machines with kernels
    described = table(folder / "kernels.csv")
    assert len(described) == 2 * 3 * 2
    assert {row["matrices"] for row in described} == {"2"}
    comparisons = table(folder / "comparisons.csv")
    assert {row["family_size"] for row in comparisons} == {"2", "3"}
    assert json.loads((folder / "result.json").read_text())["encoders"] == 1
    assert cli.main(["report", str(folder), "--out", "report.html"]) == 0
    text = Path("report.html").read_text(encoding="utf-8")
    assert "What kernels are like" in text
    assert "quantum kernels, aligned" in text
    before = {path.name: path.read_bytes() for path in folder.glob("*.csv")}
    next(folder.glob("units/machines/*boosting*")).unlink()
    assert cli.main(["study", "kernels", "--resume", str(folder)]) == 0
    after = {path.name: path.read_bytes() for path in folder.glob("*.csv")}
    assert all(after[name] == before[name] for name in before if name != "seconds.csv")
