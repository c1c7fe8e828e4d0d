"""An ablation's pictures: which arms and comparisons they show, and how these look."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from hybridq.plotting.style import SERIES, VERDICTS, drawing
from hybridq.studies.ablation.grid import RAW_PIXELS
from hybridq.studies.ablation.plots import draw_differences, draw_label_efficiency

pytestmark = pytest.mark.filterwarnings("error")

FRACTIONS = (0.1, 1.0)
ARMS = (
    (RAW_PIXELS, "pixels", "none", "logistic_regression"),
    ("random-linear", "frozen", "random", "linear"),
    ("simclr-linear", "frozen", "simclr", "linear"),
    ("simclr-pqc", "frozen", "simclr", "pqc"),
    ("whole-scratch-pqc", "whole", "scratch", "pqc"),
    ("whole-simclr-pqc", "whole", "simclr", "pqc"),
)


def drawn(draw, *what):
    with drawing():
        figure = Figure(layout="constrained")
        draw(figure, *what)
        figure.draw_without_rendering()
    return figure


def summary():
    """Rows of `summary.csv`; the means rise with the arm and the labels."""
    keys = ("model", "training", "encoder", "head")
    return [
        {**dict(zip(keys, arm, strict=True)), "labels": labels, "figure": figure,
         "mean": 0.5 + 0.05 * k + 0.1 * labels, "low": 0.4, "high": 0.95}
        for figure in ("accuracy", "auc")
        for labels in reversed(FRACTIONS)
        for k, arm in enumerate(ARMS)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def labels():
    return drawn(draw_label_efficiency, summary(), "phantom, 10 test images")


def bars_of(axes):
    return {bars.get_label(): bars.lines[0] for bars in axes.containers}


def test_every_arm_is_a_curve_in_its_panel(labels):
    shown = {axes.get_title(): list(bars_of(axes)) for axes in labels.axes}
    assert shown == {
        "frozen features of a random encoder": ["raw pixels", "linear"],
        "frozen features of SimCLR": ["raw pixels", "linear", "pqc"],
        "the whole network": ["raw pixels", "scratch, pqc", "simclr, pqc"],
    }
    assert labels.get_suptitle() == "AUC against labels: phantom, 10 test images"
    line = bars_of(labels.axes[1])["pqc"]
    np.testing.assert_allclose(line.get_xdata(), FRACTIONS, rtol=0.1)
    np.testing.assert_allclose(line.get_ydata(), [0.5 + 0.15 + 0.1 * f for f in FRACTIONS])
    for axes in labels.axes:
        assert axes.get_xscale() == "log"
        assert [tick.get_text() for tick in axes.get_xticklabels()] == ["10%", "100%"]


def test_a_head_looks_the_same_in_all_panels_and_scratch_is_dashed(labels):
    random, simclr, whole = map(bars_of, labels.axes)
    assert random["linear"].get_color() == simclr["linear"].get_color() == SERIES[0]
    assert simclr["pqc"].get_color() == whole["simclr, pqc"].get_color() == SERIES[1]
    assert simclr["pqc"].get_marker() == whole["scratch, pqc"].get_marker()
    assert whole["scratch, pqc"].get_linestyle() == "--"
    assert whole["simclr, pqc"].get_linestyle() == "-"
    assert len({panel["raw pixels"].get_color() for panel in (random, simclr, whole)}) == 1
    (legend,) = labels.legends
    assert [text.get_text() for text in legend.texts] == [
        "raw pixels", "linear", "pqc", "scratch, pqc", "simclr, pqc",
    ]  # fmt: skip


def test_differences_are_in_a_panel_for_each_fraction():
    rows = [
        {"labels": labels, "a": "simclr-pqc", "b": b, "difference": d, "low": d - 0.1,
         "high": d + 0.1, "verdict": verdict}
        for labels, b, d, verdict in (
            (1.0, "simclr-mlp", 0.2, "better"),
            (0.1, "simclr-mlp", 0.0, "undecided"),
            (1.0, "raw_pixels", -0.3, "worse"),
        )
    ]  # fmt: skip
    few, every = drawn(draw_differences, rows, "phantom", 0.02).axes
    assert few.get_title(loc="left") == "10% of the labels"
    assert [text.get_text() for text in every.texts] == [
        "simclr-pqc - simclr-mlp", "better", "simclr-pqc - raw_pixels", "worse",
    ]  # fmt: skip
    for bars, row in zip(every.containers, rows[::2], strict=True):
        assert bars.lines[0].get_xdata().tolist() == [row["difference"]]
        assert bars.lines[0].get_color() == VERDICTS[row["verdict"]][0]
    low, high = every.get_xlim()
    assert (low, high) == few.get_xlim()
    assert low == -high < -0.4
    assert "margin of 0.02" in every.get_xlabel()
