"""A noise study's summary against scipy's own intervals, and shares counted by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from hybridq.studies.summary import MERITS, PAIRED, flip_shares, flip_table, summarise

VALUES = [0.81, 0.86, 0.79, 0.90]


def row(**changes):
    """A row of the table: every figure 0.5, every reference 0.5."""
    figures = dict.fromkeys(MERITS, 0.5)
    references = {
        f"{who}_{name}": 0.5 for who in ("noiseless", "control") for name in PAIRED.values()
    }
    setting = {"device": "A", "noise_scale": 1.0, "shots": None, "mitigation": "none", "seed": 0}
    return {**setting, **figures, **references, **changes}


def find(rows, figure="auc"):
    """The one line of the summary with this figure."""
    (found,) = [line for line in summarise(rows) if line["figure"] == figure]
    return found


def peer(values):
    """Low and high of scipy's 95 % interval of a mean."""
    interval = ttest_1samp(values, 0).confidence_interval(0.95)
    return pytest.approx((interval.low, interval.high), abs=1e-12)


def test_the_interval_is_students():
    found = find([row(seed=k, auc=value) for k, value in enumerate(VALUES)])
    assert found["mean"] == pytest.approx(np.mean(VALUES))
    assert (found["low"], found["high"]) == peer(VALUES)
    assert (found["seeds"], found["left_out"]) == (4, 0)


@pytest.mark.parametrize("other", ["noiseless", "control"])
@pytest.mark.parametrize("figure", PAIRED)
def test_differences_are_paired_by_model(other, figure):
    # A reference that moves with the value: unpaired intervals would be much wider.
    against = [value + 0.05 + 0.001 * k for k, value in enumerate(VALUES)]
    pairs = enumerate(zip(VALUES, against, strict=True))
    rows = [row(seed=k, **{figure: a, f"{other}_{PAIRED[figure]}": b}) for k, (a, b) in pairs]
    found = find(rows, figure)
    differences = np.subtract(VALUES, against)
    prefix = f"minus_{other}"
    assert found[prefix] == pytest.approx(differences.mean())
    assert (found[f"{prefix}_low"], found[f"{prefix}_high"]) == peer(differences)
    assert found[f"{prefix}_high"] - found[f"{prefix}_low"] < (found["high"] - found["low"]) / 10


def test_repeats_of_a_model_are_no_more_seeds():
    # Unequal numbers of repeats: each seed still weighs the same.
    rows = [row(seed=0, repeat=k, auc=value) for k, value in enumerate([0.7, 0.8, 0.9])]
    rows += [row(seed=1, repeat=0, auc=0.6), row(seed=2, repeat=0, auc=0.75)]
    found = find(rows)
    assert found["seeds"] == 3
    assert found["mean"] == pytest.approx((0.8 + 0.6 + 0.75) / 3)
    assert (found["low"], found["high"]) == peer([0.8, 0.6, 0.75])


def test_one_seed_has_no_interval():
    found = find([row(repeat=0, auc=0.7), row(repeat=1, auc=0.8)])
    assert found["mean"] == pytest.approx(0.75)
    assert (found["low"], found["high"], found["seeds"]) == (None, None, 1)
    assert found["minus_noiseless"] == pytest.approx(0.25)
    assert found["minus_noiseless_low"] is None


def test_nan_is_left_out_and_counted():
    rows = [row(seed=k, auc=value) for k, value in enumerate([0.8, math.nan, 0.9, 0.7])]
    rows[3]["control_auc"] = math.nan
    found = find(rows)
    assert (found["seeds"], found["left_out"]) == (3, 1)
    assert (found["low"], found["high"]) == peer([0.8, 0.9, 0.7])
    assert (found["minus_noiseless_seeds"], found["minus_noiseless_left_out"]) == (3, 1)
    assert (found["minus_control_seeds"], found["minus_control_left_out"]) == (2, 2)
    assert (found["minus_control_low"], found["minus_control_high"]) == peer([0.3, 0.4])


def test_nothing_defined_is_none_and_the_summary_is_json():
    lines = summarise([row(seed=k, rms_error=math.nan) for k in range(2)])
    (found,) = [line for line in lines if line["figure"] == "rms_error"]
    assert (found["mean"], found["low"], found["seeds"], found["left_out"]) == (None, None, 0, 2)
    json.dumps(lines, allow_nan=False)


def test_equal_seeds_have_an_interval_of_no_width():
    found = find([row(seed=k, auc=0.5) for k in range(3)])
    assert (found["low"], found["mean"], found["high"]) == (0.5, 0.5, 0.5)


def test_only_paired_figures_have_differences():
    lines = summarise([row(seed=0), row(seed=1)])
    assert [line["figure"] for line in lines] == list(MERITS)
    assert {line["figure"] for line in lines if line["minus_control"] is not None} == set(PAIRED)
    assert len({tuple(line) for line in lines}) == 1  # one header for a CSV


def test_settings_are_kept_apart_and_sorted():
    settings = [
        ("A", 0.5, None, "none"),
        ("A", 1.0, 100, "none"),
        ("A", 1.0, 1000, "none"),
        ("A", 1.0, 1000, "dd"),
        ("A", 1.0, None, "none"),
        ("B", 0.0, 100, "none"),
    ]
    keys = ("device", "noise_scale", "shots", "mitigation")
    rows = [
        row(**dict(zip(keys, setting, strict=True)), seed=seed, auc=k / 10)
        for seed in range(2)
        for k, setting in reversed(list(enumerate(settings)))
    ]
    lines = [line for line in summarise(rows) if line["figure"] == "auc"]
    assert [tuple(line[key] for key in keys) for line in lines] == settings
    assert [line["mean"] for line in lines] == pytest.approx([k / 10 for k in range(6)])
    assert summarise([]) == []


def test_flip_shares_by_hand():
    shares = flip_shares([[0, 2], [], [2], [2, 3]], 5)
    np.testing.assert_array_equal(shares, [0.25, 0, 0.75, 0.25, 0])


def test_flip_table_by_hand():
    rows = [
        row(noise_scale=2.0, device="A", flipped=[0, 1]),
        row(noise_scale=0.5, device="A", flipped=[]),
        row(noise_scale=2.0, device="B", flipped=[1]),
        row(noise_scale=2.0, mitigation="zne", flipped=[2]),  # not counted
        row(noise_scale=0.5, device="B", seed=1, flipped=[1]),
    ]
    header, table = flip_table(rows, ["a", "b", "c"], np.array([1, 0, 2]))
    assert header == ["id", "label", "flipped_at_0.5", "flipped_at_2"]
    assert table == [["a", 1, 0.0, 0.5], ["b", 0, 0.5, 1.0], ["c", 2, 0.0, 0.0]]
    several = np.array([[1, 0], [0, 0], [1, 1]])
    assert [line[1] for line in flip_table(rows, ["a", "b", "c"], several)[1]] == ["10", "00", "11"]
