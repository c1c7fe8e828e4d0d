"""The study of blocks: what is put together, how errors split, and slopes over qubits."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score

from hybridq.cli import main as cli
from hybridq.config import BlocksStudyConfig, PretrainConfig
from hybridq.errors import HybridqError, InvalidValueError
from hybridq.evaluation.statistics import Measured, mean_interval, measure_auc
from hybridq.studies.blocks.error_split import error_split
from hybridq.studies.blocks.grid import combinations, questions
from hybridq.studies.blocks.study import _check_noise
from hybridq.studies.blocks.tables import qubit_slope, ratio
from hybridq.studies.blocks.trained import cells
from hybridq.studies.heads.labelled import amounts_of
from hybridq.training.pretrain import pretrain

GIVEN = SimpleNamespace(circuit={"num_qubits": 4, "num_layers": 2, "encoding": "angle"})


def names(**fields):
    return [one.name for one in combinations(BlocksStudyConfig(**fields), GIVEN)]


def test_everything_is_put_together_once():
    found = names(heads="pqc,linear,swap_attention", reducers="linear,tt", qubits="2,4")
    assert len(found) == len(set(found))
    for kind in ("pretrained", "random", "pixels"):
        assert f"{kind}-tt-pqc-2" in found
        assert f"{kind}-none-linear-0" in found  # no reducer and no qubits of its own
    assert "pretrained-none-swap_attention-0" in found
    assert "pixels-none-swap_attention-0" not in found  # pixels have no feature maps
    assert len(found) == 3 * (4 + 1) + 2


def test_the_circuit_is_that_of_the_runs():
    (one,) = combinations(
        BlocksStudyConfig(heads="pqc", encoders="pretrained", reducers="tt", qubits="3", tt_rank=2),
        GIVEN,
    )
    assert (one.config.num_qubits, one.config.num_layers, one.config.tt_rank) == (3, 2, 2)
    (own,) = combinations(
        BlocksStudyConfig(heads="lqer", encoders="pretrained", reducers="linear", qubits="2"),
        GIVEN,
    )
    assert own.config.encoding == "reupload"  # that of the paper, not of the runs


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"heads": "pqq"}, "did you mean 'pqc'"),
        ({"heads": "pqc,pqc"}, "each entry of --heads once"),
        ({"reducers": "linear,pcb"}, "--reducers out of linear, pca, random, tt, got 'pcb'"),
        ({"qubits": "2,2.5"}, "--qubits of whole numbers from 1 to 20, got '2.5'"),
        ({"qubits": "21"}, "--qubits of whole numbers from 1 to 20, got '21'"),
        ({"encoders": "imagenett"}, "--encoders out of pretrained, random, imagenet, pixels"),
    ],
)
def test_what_cannot_be_put_together(fields, words):
    with pytest.raises(InvalidValueError) as caught:
        names(**fields)
    assert words in str(caught.value)


def test_amounts_of_labels():
    assert amounts_of("25,0.1,1.0") == {
        "25 labels": 25,
        "10% of labels": 0.1,
        "all labels": 1,
    }
    with pytest.raises(InvalidValueError, match="--labels of shares up to 1"):
        amounts_of("none")


def test_two_amounts_are_not_called_alike():
    with pytest.raises(InvalidValueError, match="--labels of shares up to 1, or whole numbers"):
        amounts_of("25.2")
    with pytest.raises(InvalidValueError, match="each entry of --labels once"):
        amounts_of("0.12345678,0.12345679")


def test_what_is_asked():
    config = BlocksStudyConfig(heads="pqc,mlp", reducers="linear,tt", qubits="4")
    asked = {(one.topic, one.a, one.b) for one in questions(combinations(config, GIVEN))}
    assert asked == {
        ("encoders", "pretrained-linear-pqc-4", "random-linear-pqc-4"),
        ("encoders", "pretrained-linear-pqc-4", "pixels-linear-pqc-4"),
        ("controls", "pretrained-linear-pqc-4", "pretrained-linear-mlp-4"),
        ("encoders", "pretrained-tt-pqc-4", "random-tt-pqc-4"),
        ("encoders", "pretrained-tt-pqc-4", "pixels-tt-pqc-4"),
        ("reducers", "pretrained-tt-pqc-4", "pretrained-linear-pqc-4"),
        ("controls", "pretrained-tt-pqc-4", "pretrained-tt-mlp-4"),
    }


# The error split, on a target whose Bayes risk is known.

MEAN = 1.2
"""Two classes, normal with variance 1 around plus and minus this, equally likely."""


def bayes_risk():
    """The log loss of the true posterior, by quadrature: that of x is `sigmoid(2 MEAN x)`."""

    def density(x):
        return math.exp(-((x - MEAN) ** 2) / 2) / math.sqrt(2 * math.pi)

    return quad(lambda x: density(x) * math.log1p(math.exp(-2 * MEAN * x)), -12, 14)[0]


def drawn(rng, count):
    labels = rng.integers(0, 2, count)
    return (rng.normal(size=count) + MEAN * (2 * labels - 1))[:, None], labels


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
def test_parts_add_up_on_a_target_of_known_bayes_risk():
    """The parts are what they are meant to be, each from models that are wrong in one way."""
    rng = np.random.default_rng(0)
    inputs, labels = drawn(rng, 400_000)
    few_inputs, few_labels = drawn(rng, 40)

    def risk_of(model, square=False):
        columns = inputs**2 if square else inputs
        return log_loss(labels, model.predict_proba(columns))

    def fitted(x, y, steps=1000, square=False):
        return LogisticRegression(C=1e6, max_iter=steps).fit(x**2 if square else x, y)

    reference = bayes_risk()
    right = fitted(inputs, labels)
    few, short = fitted(few_inputs, few_labels), fitted(few_inputs, few_labels, steps=1)
    split = error_split(
        reference=reference, best=risk_of(right), fitted=risk_of(few), trained=risk_of(short)
    )
    assert split.total == pytest.approx(risk_of(short) - reference, abs=1e-9)
    assert split.approximation == pytest.approx(0, abs=2e-3)  # the posterior is of this kind
    assert split.estimation > 1e-3
    blind = fitted(inputs, labels, square=True)  # the square of x says nothing of the class
    wrong = error_split(
        reference=reference,
        best=risk_of(blind, square=True),
        fitted=risk_of(blind, square=True),
        trained=risk_of(blind, square=True),
    )
    assert wrong.approximation == pytest.approx(math.log(2) - reference, abs=2e-3)
    assert wrong.estimation == wrong.optimisation == 0


# Slopes.


def scores(rng, strength, images=200, encoders=4, subsets=6):
    labels = np.arange(images) % 2
    signal = strength * (labels - 0.5)
    found = signal + rng.normal(size=(encoders, subsets, images))
    return measure_auc(labels, np.stack([-found, found], axis=-1))


def test_the_slope_is_that_of_a_line_through_the_means():
    rng = np.random.default_rng(1)
    qubits = [2, 4, 6, 8]
    measured = [scores(rng, 0.5 + 0.1 * n) for n in qubits]
    found = qubit_slope(qubits, measured)
    wanted = np.polyfit(qubits, [one.values.mean() for one in measured], 1)[0]
    assert found["slope"] == pytest.approx(wanted)
    assert found["low"] < found["slope"] < found["high"]


def test_a_slope_of_nothing_is_rarely_told_from_0():
    outside = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        found = qubit_slope([2, 4, 8], [scores(rng, 1.0, images=60) for _ in range(3)])
        outside += not found["low"] <= 0 <= found["high"]
    assert outside <= 10


def test_the_ratio_and_its_interval():
    """The ratio of the means, and an interval as wide as that of a bootstrap over images."""
    rng = np.random.default_rng(3)
    labels = np.arange(150) % 2
    noise = rng.normal(size=(2, 150))
    both = [strength * (labels - 0.5) + noise[k] for k, strength in enumerate((0.8, 1.6))]
    few, whole = (measure_auc(labels, np.stack([-one, one], axis=-1)[None, None]) for one in both)
    found = ratio(few, whole)
    areas = [roc_auc_score(labels, one) for one in both]
    assert found["ratio"] == pytest.approx(areas[0] / areas[1])
    drawn = []
    for _ in range(500):
        rows = np.concatenate([rng.choice(np.flatnonzero(labels == k), 75) for k in (0, 1)])
        drawn.append(
            roc_auc_score(labels[rows], both[0][rows]) / roc_auc_score(labels[rows], both[1][rows])
        )
    half = (found["high"] - found["low"]) / 2
    assert half == pytest.approx(1.96 * np.std(drawn), rel=0.15)


def test_maps_are_averaged_to_cells():
    maps = torch.arange(2 * 3 * 8 * 8.0).reshape(2, 3, 8, 8)
    found = cells(maps)
    assert found.shape == (2, 3, 4, 4)
    torch.testing.assert_close(found[0, 0, 0, 0], maps[0, 0, :2, :2].mean())
    assert cells(maps[..., :2, :3]).shape == (2, 3, 2, 2)


# The command.

PHANTOM = "phantom,size=16,count=120"


@pytest.mark.trains
@pytest.mark.usefixtures("isolated", "single_thread")
def test_the_command(capsys):
    run = pretrain(PretrainConfig(data=PHANTOM, epochs=1, batch_size=16, image_size=32))
    options = ["--labels", "20,1.0", "--subsets", "2", "--steps", "4", "--workers", "1"]
    options += ["--heads", "pqc,mlp,swap_attention", "--reducers", "linear", "--qubits", "2,3"]
    options += ["--encoders", "pretrained", "--noise", "fake_manila,engine=torch"]
    assert cli.main(["study", "blocks", str(run), *options]) == 0
    folder = Path(capsys.readouterr().out.strip().splitlines()[-1])
    with (folder / "summary.csv").open(newline="") as file:
        summary = list(csv.DictReader(file))
    assert len(summary) == 2 * (4 + 1)
    with np.load(folder / "measured.npz") as file:
        arrays = {key: file[key] for key in file.files}
    for row in summary:
        key = f"{row['labels']}/{row['blocks']}/"
        own = {name.removeprefix(key): arrays[name] for name in arrays if name.startswith(key)}
        assert own["values"].shape == (1, 2)
        wanted = mean_interval(Measured.from_arrays(own))
        assert [float(row[name]) for name in ("mean", "low", "high")] == pytest.approx(wanted)
    with (folder / "errors.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            parts = sum(float(row[n]) for n in ("approximation", "estimation", "optimisation"))
            assert parts == pytest.approx(float(row["risk"]) - float(row["reference"]), abs=1e-9)
            assert float(row["approximation"]) >= 0
    with (folder / "gallery.csv").open(newline="") as file:
        shown = {(row["labels"], row["blocks"]): row for row in csv.DictReader(file)}
    assert len(shown) == 2 * 3
    for amount in ("20 labels", "all labels"):
        bottleneck = shown[amount, "pretrained-linear-pqc-3"]
        assert (bottleneck["qubits"], bottleneck["circuits"]) == ("3", "1")
        assert float(bottleneck["qpu_seconds"]) == round(2 + 100 * 4096 * 0.00035, 1)
        assert bottleneck["control"] == "mlp"
        attention = shown[amount, "pretrained-none-swap_attention-0"]
        assert (attention["qubits"], attention["circuits"]) == ("5", "16")
        assert int(attention["two_qubit_gates"]) > int(bottleneck["two_qubit_gates"])
        assert float(attention["step_ms"]) > 0
        assert (bottleneck["quantum_parameters"], attention["quantum_parameters"]) == ("9", "12")
    with (folder / "ratios.csv").open(newline="") as file:
        assert all(float(row["ratio"]) > 0 for row in csv.DictReader(file))
    with (folder / "noise.csv").open(newline="") as file:
        noisy = list(csv.DictReader(file))
    assert {row["backend"] for row in noisy} == {"fake_manila,engine=torch"}
    assert all(float(row["largest_change"]) < 0.5 for row in noisy)
    assert len([row for row in noisy if "-mlp-" in row["blocks"]]) == 0
    assert json.loads((folder / "result.json").read_text())["encoders"] == 1
    assert cli.main(["report", str(folder), "--out", "report.html"]) == 0
    text = Path("report.html").read_text(encoding="utf-8")
    assert "Quantum heads side by side" in text
    assert "HQViT, attention by swap tests (swap_attention)" in text  # the title of its drawing
    assert "3 qubits: 12 RY, 6 CZ" in text  # that of the bottleneck
    assert "5 qubits: 18 RY, 8 CX, 4 CZ, 2 H, 2 CCX; depth 13." in text
    before = {path.name: path.read_bytes() for path in folder.glob("*.csv")}
    assert cli.main(["study", "blocks", "--resume", str(folder)]) == 0
    after = {path.name: path.read_bytes() for path in folder.glob("*.csv")}
    assert all(after[name] == before[name] for name in before if name != "seconds.csv")


@pytest.mark.parametrize(
    ("noise", "words"),
    [
        (["fake_torin"], "did you mean"),
        (["fake_manila"], "at most 5 qubits on this backend, got 6"),
        (["ibm_rehearsal"], "Expected simulators for --noise, got ibm_rehearsal"),
        (["fake_torino,shots=100"], "without shots, got fake_torino,shots=100"),
        (["fake_torino", "fake_torino"], "each backend of --noise once"),
    ],
)
def test_backends_that_cannot_read_the_circuits(noise, words):
    config = BlocksStudyConfig(heads="pqc", qubits="2,6", noise=tuple(noise))
    with pytest.raises(HybridqError) as caught:
        _check_noise(config, combinations(config, GIVEN))
    assert words in str(caught.value)


def test_without_runs_it_says_what_it_needs(capsys):
    assert cli.main(["study", "blocks"]) == 2
    assert "Expected runs whose encoders are taken, got none" in capsys.readouterr().err
