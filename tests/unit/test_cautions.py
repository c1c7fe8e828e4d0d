"""Figures that look better, or surer, than they are."""

from __future__ import annotations

import numpy as np
import pytest

from hybridq.evaluation.cautions import cautions, one_class, without_width
from hybridq.evaluation.tables import evaluation_table


@pytest.mark.parametrize(
    ("predicted", "expected"),
    [
        (np.full(12, 1), "gives all 12 images the class b"),
        (np.tile([1, 0, 1], (12, 1)), "gives all 12 images the labels a, c"),
        (np.tile([0, 0, 0], (12, 1)), "gives all 12 images the labels none"),
    ],
)
def test_a_model_that_finds_one_class_alone(predicted, expected):
    assert expected in one_class(predicted, "abc")
    assert one_class(predicted[:9], "abc") is None  # so few may be alike
    predicted[3] = 1 - predicted[3]
    assert one_class(predicted, "abc") is None


def test_intervals_of_no_width():
    figures = {
        "auc": {"value": 0.5, "low": 0.4, "high": 0.6},
        "balanced_accuracy": {"value": 0.5, "low": 0.5, "high": 0.5},
        "sensitivity": {"value": None, "low": None, "high": None},
        "accuracy": {"value": 1.0, "low": 1.0, "high": 1.0},
    }
    assert "The interval of balanced accuracy, accuracy has no width" in without_width(figures)
    assert without_width({"auc": figures["auc"]}) is None
    undefined = {"sensitivity": {"value": np.nan, "low": np.nan, "high": np.nan}}
    assert without_width(undefined) is None
    assert len(cautions(np.zeros(10, dtype=int), figures, "ab")) == 2


def test_the_table_says_what_to_beware_of_and_has_each_class():
    figure = {"value": 0.5, "low": 0.4, "high": 0.6}
    text = evaluation_table(
        {
            "head": "pqc",
            "model": {
                "figures": {"auc": figure},
                "by_class": {"dark": {"sensitivity": figure, "specificity": figure}},
            },
            "baselines": {},
            "data": "mine",
            "split": "test",
            "images": 10,
            "labels": 1.0,
            "backend": {"name": "statevector"},
            "interval": "bootstrap",
            "positive": None,
            "notes": ["a note"],
            "cautions": ["Beware."],
        }
    )
    lines = text.splitlines()
    assert lines[-2:] == ["Warning: Beware.", "Note: a note"]
    assert lines[-3].split() == ["dark", *["0.500", "[0.400,", "0.600]"] * 2]
