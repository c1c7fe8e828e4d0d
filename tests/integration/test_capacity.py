"""A study of capacity: the rules of the roles, planted problems, a tiny study, and its errors."""

from __future__ import annotations

import csv
import json
import math

import numpy as np
import pytest
import torch

from hybridq.cli.main import main
from hybridq.config import AblationStudyConfig, CapacityStudyConfig, head_config
from hybridq.data import load_data
from hybridq.errors import InvalidValueError
from hybridq.evaluation.statistics import measure_auc
from hybridq.models.heads import build_head, circuit_parameters
from hybridq.quantum import build_circuit, z_observables
from hybridq.quantum.layer import QuantumLayer
from hybridq.runs.folder import write_config
from hybridq.studies.ablation.frozen import new_heads
from hybridq.studies.capacity.arms import QUESTIONS, arms_of
from hybridq.studies.capacity.lipschitz import block_lipschitz, head_lipschitz
from hybridq.studies.capacity.roles import roles
from hybridq.studies.capacity.study import capacity_study
from hybridq.studies.capacity.tables import Arms, compared, roles_of
from hybridq.studies.capacity.trained import averaged, put_back
from hybridq.studies.heads.given import Given, read_given
from hybridq.studies.heads.labelled import labelled
from hybridq.training.heads.many_heads import heads_probs, train_heads
from hybridq_backends import open_backend

PHANTOM = "phantom,size=16,count=60"
TABLES = ("capacity.csv", "summary.csv", "comparisons.csv", "roles.csv", "search.csv")
SMALL = ("mlp", "rff", "low_rank", "identity")

pytestmark = [pytest.mark.trains, pytest.mark.usefixtures("isolated", "single_thread")]


def verdicts(usual="undecided", **changes):
    return {asked.b: usual for asked in QUESTIONS} | changes


@pytest.mark.parametrize(
    ("said", "names"),
    [
        (verdicts(), ["undecided"]),
        (verdicts("better"), ["contributor"]),
        (verdicts("better", rff="undecided"), ["regulariser"]),
        (verdicts("better", trig="undecided"), ["contributor"]),
        (verdicts("better", trig="equivalent"), ["contributor", "interchangeable"]),
        (verdicts("better", pqc_reset="equivalent"), ["contributor", "dead weight"]),
        (verdicts(pqc_reset="equivalent"), ["dead weight"]),
        (verdicts(pqc_reset="worse"), ["dead weight"]),
        (verdicts(pqc_mean="equivalent", mlp="equivalent"), ["dead weight", "interchangeable"]),
        (verdicts("worse", pqc_mean="better", pqc_reset="better"), ["interchangeable"]),
        (verdicts(mlp="better", identity="better"), ["undecided"]),
        (verdicts(low_rank="equivalent", rff="equivalent"), ["undecided"]),
        (verdicts(trig="better", mlp="equivalent"), ["interchangeable", "regulariser"]),
        ({"mlp": "better"}, ["contributor"]),
        ({}, ["undecided"]),
    ],
)
def test_the_rules_of_the_roles(said, names):
    found = roles(said)
    assert [one.name for one in found] == names
    for one in found:
        assert bool(one.rests_on) == (one.name != "undecided")
        assert set(one.rests_on) <= said.keys()


def test_every_arm_is_compared_and_has_a_name():
    given = Given((), PHANTOM, {"num_qubits": 2, "num_layers": 1})
    trained = set(arms_of(given, "linear"))
    assert trained | {"pqc_mean", "pqc_reset"} == {asked.b for asked in QUESTIONS} | {"pqc"}
    assert set(SMALL) < trained
    products = Given((), PHANTOM, {"num_qubits": 2, "num_layers": 1, "encoding": "zz"})
    assert set(arms_of(products, "linear")) == trained - {"trig"}


def planted(score_of, ansatz, block_learning_rate, names=None, subsets=5, test=400):
    """AUCs of arms on four features, which the reducer turns into angles, with labels of our own.

    Args:
        score_of: From the cosines of the angles `(images, 4)` to a score, whose sign is the label.
        ansatz: Of the circuit.
        block_learning_rate: Of the blocks.
        names: Of the arms; all if None.
    """
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(60 * subsets + test, 4, generator=generator)
    cosines = torch.cos(math.pi / 2 * (1 + torch.tanh(features)))
    labels = (score_of(cosines) > 0).long()
    rows = [np.arange(60 * place, 60 * (place + 1)) for place in range(subsets)]
    given = Given((), PHANTOM, {"num_qubits": 4, "num_layers": 2, "ansatz": ansatz})
    held, measured = features[-test:], {}
    with open_backend("statevector") as backend:
        for name, arm in arms_of(given, "pca").items():
            if name not in (names or {name}):
                continue
            heads = new_heads(arm, features, 2, backend, list(range(subsets)))
            begun = [[one.detach().clone() for one in circuit_parameters(head)] for head in heads]
            train_heads(
                *(heads, features, labels, rows),
                num_classes=2,
                steps=120,
                learning_rate=3e-2,
                block_learning_rate=block_learning_rate,
                weight_decay=0.0,
                seeds=list(range(subsets)),
            )
            found = {name: heads}
            if name == "pqc":
                pairs = zip(heads, rows, strict=True)
                found["pqc_mean"] = [averaged(head, features[own]) for head, own in pairs]
                pairs = zip(heads, begun, strict=True)
                found["pqc_reset"] = [put_back(head, start) for head, start in pairs]
            for key, own in found.items():
                probs = heads_probs(own, held, multilabel=False)
                measured["pca", key] = measure_auc(labels[-test:].numpy(), probs[None])
    return Arms(measured, {})


def test_a_circuit_that_makes_the_labels_is_a_contributor():
    """No linear map of two cosines tells the sign of their product; CX gates make products."""
    items = compared(
        planted(lambda z: z[:, 0] * z[:, 1], "real_amplitudes", block_learning_rate=0.1),
        margin=0.02,
    )
    (first, *_) = roles_of(items)["pca"]
    assert first.name == "contributor"
    assert set(first.rests_on) == set(SMALL)


def test_a_circuit_whose_start_is_the_answer_is_dead_weight():
    found = planted(lambda z: z.sum(dim=1), "ry_cz", 1e-3, names={"pqc", "identity"})
    (first, *_) = roles_of(compared(found, margin=0.02))["pca"]
    assert (first.name, first.rests_on) == ("dead weight", ("pqc_reset",))


def test_slopes_of_blocks_have_the_values_of_pen_and_paper():
    def layer(num_qubits, ansatz="ry_cz"):
        built = build_circuit(num_qubits, num_layers=1, ansatz=ansatz, entanglement="none")
        return QuantumLayer(
            built.circuit,
            input_params=built.input_params,
            weight_params=built.weight_params,
            observables=z_observables(num_qubits),
            backend="statevector",
            init_std=0.4,
        )

    class Cubes(torch.nn.Module):
        def forward(self, angles):
            return angles**3

    linear = torch.nn.Linear(3, 2)
    assert block_lipschitz([linear, torch.nn.Linear(3, 2)], 3)[0] == pytest.approx(
        torch.linalg.matrix_norm(linear.weight.double(), ord=2).item(), rel=1e-6
    )
    assert block_lipschitz([Cubes()], 1) == pytest.approx([3 * math.pi**2])
    # cos(a + w) of each qubit alone has the slope 1 where a + w = pi/2, which no sample meets
    assert block_lipschitz([layer(2), layer(2)], 2) == pytest.approx([1.0, 1.0], abs=1e-6)
    head = torch.nn.Sequential(torch.nn.Linear(4, 2), torch.nn.Tanh())
    found = head_lipschitz(head, torch.randn(9, 4, generator=torch.Generator().manual_seed(0)))
    assert 0 < found <= torch.linalg.matrix_norm(head[0].weight, ord=2).item() + 1e-6


def test_interventions_change_the_block_alone():
    with open_backend("statevector") as backend:
        head = build_head(6, 2, head_config("pqc", num_qubits=2, init_std=0.5), backend=backend)
        features = torch.randn(8, 6, generator=torch.Generator().manual_seed(1))
        head.eval()
        mean = averaged(head, features)(features)
        expected = head.classifier(head.block(head.reducer(features)).mean(dim=0))
        torch.testing.assert_close(mean, expected.expand(8, -1))
        start = [torch.zeros_like(weight) for weight in circuit_parameters(head)]
        back = put_back(head, start)
        angles = head.reducer(features)
        torch.testing.assert_close(back.block(angles), angles.cos(), rtol=0, atol=1e-5)
        assert not torch.equal(head.block(angles), back.block(angles))


def settings(*models, **changes):
    fields = {"labels": 24, "subsets": 2, "steps": 3, "num_qubits": 2, "num_layers": 1}
    fields |= {"data": PHANTOM, "workers": 1, "reducers": "linear,random"}
    return CapacityStudyConfig(models=models, **{**fields, **changes})


@pytest.fixture(scope="module")
def study(tmp_path_factory, pretrained, finetuned_pqc, single_thread):
    runs = tmp_path_factory.mktemp("capacity")
    return capacity_study(settings(pretrained, finetuned_pqc, runs=runs))


def table(study, name):
    with (study / name).open(newline="") as file:
        return list(csv.DictReader(file))


def test_tables_of_a_study(study):
    rows, summary = table(study, "capacity.csv"), table(study, "summary.csv")
    arms = {"pqc", *(asked.b for asked in QUESTIONS)}
    assert len(rows) == 2 * len(arms) * 2 * 2
    for row in summary:
        own = [
            float(one["auc"])
            for one in rows
            if (one["reducer"], one["arm"]) == (row["reducer"], row["arm"])
        ]
        assert float(row["mean"]) == pytest.approx(np.mean(own))
        assert row["arm"] != "pqc_mean" or set(own) == {0.5}
        if row["block_parameters"]:
            reducer = int(row["reducer_parameters"])
            assert reducer == (1280 * 2 if row["reducer"] == "linear" else 0)
            blocks = {"pqc": 4, "pqc_untrained": 0, "trig": 18, "identity": 0, "low_rank": 0}
            assert int(row["block_parameters"]) == blocks.get(
                row["arm"], int(row["block_parameters"])
            )
    compared = table(study, "comparisons.csv")
    assert {(row["a"], row["b"]) for row in compared} == {("pqc", asked.b) for asked in QUESTIONS}
    assert {row["family_size"] for row in compared} == {"2", "5"}
    result = json.loads((study / "result.json").read_text())
    assert {row["reducer"]: row["role"] for row in table(study, "roles.csv")}.keys() == (
        result["roles"].keys()
    )
    assert "trained with labels of train" in " ".join(result["notes"])
    found = json.loads((study / "report.json").read_text())
    assert "4 of 2,570 trained parameters (0.1556%)" in " ".join(found["sentences"])
    assert (study / "figures" / "differences.png").is_file()


def test_it_goes_on_and_gives_the_same_tables(study):
    before = {name: (study / name).read_bytes() for name in TABLES}
    for path in [*study.glob("units/arms/*pqc-e1.json"), study / "features" / "encoder-s1.npz"]:
        path.unlink()
    (study / "units" / "features" / "encoder-s1.json").unlink()
    assert capacity_study(CapacityStudyConfig(resume=study)) == study
    assert {name: (study / name).read_bytes() for name in TABLES} == before


def test_it_is_reported_on_one_page(study, tmp_path, capsys):
    page = tmp_path / "report.html"
    words = ("--out", str(page), "--embedding", "none", "--gallery", "0")
    assert main(["report", str(study), *words]) == 0, capsys.readouterr().err
    text = page.read_text()
    assert "With the trained reducer the " in text
    assert "Trained parameters" in text


def test_settings_come_from_runs(finetuned_pqc, pretrained, tmp_path):
    given = read_given(CapacityStudyConfig(models=(finetuned_pqc,), num_layers=3))
    assert (given.circuit["num_qubits"], given.circuit["num_layers"]) == (2, 3)
    assert read_given(CapacityStudyConfig(encoder_runs=(pretrained,))).circuit["num_qubits"] == 4
    ablation = AblationStudyConfig(data=PHANTOM, encoder_runs=(pretrained,), num_qubits=3)
    write_config(tmp_path, ablation)
    (tmp_path / "environment.json").write_text('{"study": "ablation"}')
    (tmp_path / "result.json").write_text("{}")
    given = read_given(CapacityStudyConfig(models=(tmp_path,)))
    assert (given.encoders, given.circuit["num_qubits"]) == ((pretrained,), 3)
    with pytest.raises(InvalidValueError, match="Expected runs that agree on --num-qubits, got"):
        read_given(CapacityStudyConfig(models=(tmp_path, finetuned_pqc), data=PHANTOM))


def test_subsets_and_folds(pretrained):
    data = load_data("phantom,size=16,count=120", splits=("train", "test"))
    found = labelled(data, labels=30, subsets=3, seed=settings(pretrained).seed)
    subsets = found.subsets
    assert [len(rows) for rows in subsets] == [30, 30, 30]
    assert len({tuple(rows) for rows in subsets}) == 3
    labels = data.splits["train"].labels
    assert [place for place, *_ in found.folds] == [0] * 3 + [1] * 3
    for place, kept, held in found.folds:
        assert sorted([*kept, *held]) == subsets[place].tolist()
        assert np.ptp(np.bincount(labels[held])) <= 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "Expected runs whose encoders are taken, got none"),
        (("nowhere",), "which is none of them"),
        (("{run}", "--labels", "1000"), "of at most the 24 labelled images of train, got 1000"),
        (
            ("{run}", "--reducers", "linear,pc"),
            "got 'pc': did you mean 'pca'?",
        ),
        (("{run}", "--labels", "8", "--ansatz", "strong"), "did you mean 'strongly_entangling'"),
    ],
)
def test_errors_in_one_line(words, said, pretrained, capsys, tmp_path):
    arguments = [word.format(run=pretrained) for word in words]
    code = main(["study", "capacity", *arguments, "--runs", str(tmp_path / "runs")])
    told = capsys.readouterr().err
    assert code == 2
    assert said in told
    assert "Traceback" not in told
    assert not (tmp_path / "runs").exists()
