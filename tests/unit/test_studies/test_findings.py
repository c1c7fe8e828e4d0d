"""What the studies say of themselves, in sentences, tables and curves."""

from __future__ import annotations

import pytest

from hybridq.evaluation.drawings import draw_curves, draw_forests
from hybridq.evaluation.summaries import forests
from hybridq.plotting.style import VERDICTS, drawing
from hybridq.records.findings import Forest, ForestRow
from hybridq.studies.ablation.findings import findings as of_ablation
from hybridq.studies.noise.findings import LESS, findings
from tests.unit.test_reports.conftest import ablation_result, ablation_tables, comparison

pytestmark = pytest.mark.filterwarnings("error")

RESULT = {"data": "cells", "split": "test", "images": 40, "notes": []}


def row(figure, scale, mean, *, shots=None, mitigation="none"):
    ends = {"mean": mean, "low": mean - 0.01, "high": mean + 0.01, "seeds": 3}
    less = {"": 0.001, "_low": -0.002, "_high": 0.004, "_seeds": 3}
    if figure != "auc":
        less = dict.fromkeys(less)
    over = ("minus_noiseless", "minus_control")
    return {
        "device": "FakeTorino",
        "noise_scale": scale,
        "shots": shots,
        "mitigation": mitigation,
        "figure": figure,
        **ends,
        **{name + end: value for name in over for end, value in less.items()},
    }


def noise(*rows):
    return findings({**RESULT, "models": [{"seed": seed} for seed in (2, 0, 1)]}, rows)


@pytest.fixture
def noisy():
    return noise(
        row("auc", 0.0, 0.9),
        row("auc", 1.0, 0.89),
        row("flips", 0.0, 0.0),
        row("flips", 1.0, 0.125),
        row("flips", 1.0, 0.5, shots=100),
        row("flips", 1.0, 0.25, shots=10000),
        row("rms_error", 1.0, 1.5),
    )


def test_noise_of_the_devices_own_strength_is_told(noisy):
    first, second, last = noisy.sentences
    assert first.startswith("The noise study reads 3 models on 40 images of the test split")
    assert first.endswith("of cells under the noise of 1 device.")
    assert second.startswith("At a noise scale of 1, with exact values: ")
    assert "mean AUC 0.890 [0.880, 0.900] on FakeTorino, +0.001 [-0.002, +0.004]" in second
    assert "share of predictions that flip 0.125 [0.115, 0.135]" in second
    assert last.startswith("A prediction flips if its class is another")
    assert noisy.seeds == [0, 1, 2]


def test_curves_over_the_noise_have_every_point(noisy):
    auc, flips, _ = noisy.curves
    assert [curve.title for curve in noisy.curves] == [
        "AUC against noise, exact values",
        "Share of predictions that flip against noise, exact values",
        "Share of predictions that flip against noise, 100 shots",
    ]
    (line,) = auc.curves
    assert line.x == [0.0, 1.0]
    assert [point.text for point in line.points] == ["0.900 [0.890, 0.910]", "0.890 [0.880, 0.900]"]
    assert flips.is_from_zero
    assert flips.curves[0].points[0].low == 0  # a share is never below


def test_every_setting_of_a_noise_study_is_a_row(noisy):
    (table,) = noisy.tables
    assert table.columns[:4] == ["device", "noise scale", "shots", "mitigation"]
    by_shots = [dict(zip(table.columns, cells, strict=True)) for cells in table.rows]
    assert [cells["shots"] for cells in by_shots] == ["none", "none", 100, 10000]
    assert by_shots[1][LESS].text == "+0.001 [-0.002, +0.004]"
    assert by_shots[1]["RMS error"].high == 1.51
    assert by_shots[2]["AUC"] is None


def test_a_noise_study_of_mitigated_settings_only_is_told():
    found = noise(row("auc", 1.0, 0.8, mitigation="zne"))
    assert found.curves == []
    assert any("No setting without mitigation" in sentence for sentence in found.sentences)
    assert len(found.tables[0].rows) == 1


@pytest.fixture
def ablation():
    rows, summary, _ = ablation_tables()
    compared = [
        comparison(labels=0.1, verdict="better"),
        comparison(),
        comparison(b="pixels-logistic", family="pixels", primary=False),
    ]
    return of_ablation(ablation_result(compared, None), rows, summary, compared)


def test_an_ablation_answers_its_primary_questions_first(ablation):
    over, answer, last = ablation.sentences
    assert over.endswith("cells, over 40 test images, 3 encoders, 4 label subsets.")
    assert answer == (
        "Does the circuit beat its matched control? With 10% of the labels better (+0.100); with "
        "all labels undecided (+0.100)."
    )
    assert last == "Of 2 primary comparisons 1 is decided."
    assert [item.family for item in ablation.compared.items] == ["circuit", "circuit", "pixels"]


def test_an_ablation_names_the_predictions_that_are_drawn(ablation):
    arms = [model for one in ablation.predictions.sets for model in one.models]
    assert [arm.array for arm in arms] == [
        f"{labels}/simclr-{head}" for labels in ("0.1", "1") for head in ("pqc", "mlp")
    ]
    assert {tuple(arm.seeds) for arm in arms} == {(0, 1, 2)}


def drawn(draw, what):
    from matplotlib.figure import Figure

    with drawing():
        figure = Figure(layout="constrained")
        draw(figure, what)
        figure.draw_without_rendering()
    return figure


def test_every_arm_is_a_curve_over_the_labels(ablation):
    figure = drawn(draw_curves, ablation.curves)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == [one.title for one in ablation.curves]
    assert titles == ["Heads on features of SimCLR", "What the circuit needs"]
    for axes in figure.axes:
        assert axes.get_xscale() == "log"
        assert [tick.get_text() for tick in axes.get_xticklabels()] == ["10", "100"]
        legend = [text.get_text() for text in axes.get_legend().texts]
        assert legend == [bars.get_label() for bars in axes.containers]
    (bars, *_) = figure.axes[0].containers
    assert bars.get_label() == "SimCLR frozen, mlp"
    assert bars.lines[0].get_ydata().tolist() == [0.8, 0.8]


def test_a_forest_of_what_is_undefined_has_an_axis():
    undefined = Forest(title="t", xlabel="AUC", rows=[ForestRow(label="a", value=None)])
    (axes,) = drawn(draw_forests, [undefined]).axes
    assert axes.get_xlim() == pytest.approx((-0.04, 1.04))


def test_differences_are_in_a_panel_for_each_share(ablation):
    few, every = drawn(draw_forests, forests(ablation.compared)).axes
    assert few.get_title(loc="left") == "Differences in AUC, 10% of the labels"
    assert [text.get_text() for text in every.texts] == [
        "SimCLR frozen, pqc less SimCLR frozen, mlp",
        "undecided",
        "SimCLR frozen, pqc less raw pixels, logistic\nregression",
        "undecided",
    ]
    (bars,) = few.containers
    assert bars.lines[0].get_xdata().tolist() == [0.1]
    assert bars.lines[0].get_color() == VERDICTS["better"][0]
    assert every.get_xlim() == few.get_xlim()
