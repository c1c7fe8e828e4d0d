"""What drawings say in words: decision curves, calibration, training, rehearsals."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hybridq.evaluation.metrics.curves import (
    THRESHOLDS,
    Band,
    net_benefit_band,
    net_benefit_of_all,
)
from hybridq.reports.page.elements import Text
from hybridq.reports.sections.found import found
from hybridq.reports.sections.performance import FEWEST, _useful
from hybridq.reports.sections.training import training_curves
from hybridq.reports.sources.recipes import source_names


def test_a_decision_curve_is_told_in_runs_and_without_single_images():
    value = np.full(99, -0.1)
    value[15:30] = 0.1  # from 0.16 to 0.30
    value[40:45] = 0.1  # from 0.41 to 0.45
    value[98] = 0.1  # a spike of one image
    told = np.full(99, True)
    told[90:] = False
    said = _useful(Band(THRESHOLDS, *[value] * 4), np.zeros(99), told)
    assert "from 0.16 to 0.30 and from 0.41 to 0.45" in said
    assert "0.99" not in said
    assert "thresholds with fewer than 10 images to a side left out" in said
    nowhere = _useful(Band(THRESHOLDS, value, value, value, value - 0.2), np.zeros(99), told)
    assert nowhere.startswith("nowhere above")


def test_scores_that_say_nothing_are_rarely_called_of_use():
    rng = np.random.default_rng(0)
    actual = np.arange(156) < 114
    treat_all = net_benefit_of_all(float(actual.mean()))
    called = 0
    for seed in range(40):
        scores = rng.beta(2, 2, size=(1, 156))
        band = net_benefit_band(actual, scores, resamples=200, seed=seed)
        treated = (scores[0, :, None] >= THRESHOLDS).sum(axis=0)
        told = np.minimum(treated, 156 - treated) >= FEWEST
        called += "nowhere" not in _useful(band, treat_all, told)
    assert called <= 5  # the point estimate is above somewhere in three draws of four


@pytest.fixture
def pretrained_twice(make_source):
    def write(source, losses):
        rows = [
            json.dumps({"epoch": k, "loss": loss, "seconds": 1.0}) for k, loss in enumerate(losses)
        ]
        (source.folder / "metrics.jsonl").write_text("\n".join(rows))

    first = [make_source("pretrain", data="cells", epochs=2, seed=seed) for seed in (0, 1)]
    more = [
        make_source("pretrain", data="cells", epochs=4, seed=seed, encoder=str(first[seed].folder))
        for seed in (0, 1)
    ]
    for source in first:
        write(source, [3.0, 2.0])
    for source in more:
        write(source, [2.0, 1.5, 1.25, 1.0])
    return make_source.all()


def test_trainings_of_two_recipes_are_two_lines_of_their_whole_span(pretrained_twice):
    (figure,) = training_curves(pretrained_twice, source_names(pretrained_twice)).parts
    said = figure.description
    assert "SimCLR on cells, 2 epochs (2 seeds): from 3.000 to 2.000 in 2 epochs." in said
    assert "SimCLR on cells, continued, 4 epochs (2 seeds): from 2.000 to 1.000 in 4 epochs" in said
    assert ", ." not in said


def test_a_run_that_stopped_early_does_not_cut_the_line(make_source):
    for seed, losses in ((0, [3.0, 2.0, 1.0]), (1, [5.0])):
        source = make_source("finetune", data="cells", seed=seed)
        rows = [
            json.dumps({"epoch": k, "loss": loss, "seconds": 1.0}) for k, loss in enumerate(losses)
        ]
        (source.folder / "metrics.jsonl").write_text("\n".join(rows))
    sources = make_source.all()
    (figure,) = training_curves(sources, source_names(sources)).parts
    assert "from 4.000 to 1.000 in 3 epochs." in figure.description


def test_one_epoch_is_one_epoch(make_source):
    source = make_source("pretrain", data="cells", epochs=1)
    (source.folder / "metrics.jsonl").write_text('{"epoch": 0, "loss": 3.0, "seconds": 1.0}')
    sources = make_source.all()
    (figure,) = training_curves(sources, source_names(sources)).parts
    assert "in 1 epoch." in figure.description


@pytest.mark.parametrize(
    ("device", "title"),
    [("fake_torino", "Rehearsal on a simulated device"), ("ibm_a", "On quantum hardware")],
)
def test_a_simulated_device_is_no_hardware(make_source, device, title):
    entry = {"rms_error": 0.1, "flips": 2}
    make_source(
        "submit",
        result={
            "device": device,
            "compared": {"ideal": entry, "hardware": entry},
            "complete": True,
            "images": 4,
            "images_here": 4,
            "data": "cells",
            "calibration_date": "2026-01-01",
            "shots": 64,
            "mitigation": "none",
            "qpu_seconds": 0.0,
            "qpu_seconds_estimated": 1.0,
        },
    )
    section, _ = found(make_source.all())
    assert section.title == title
    (said,) = (part.text for part in section.parts if isinstance(part, Text))
    assert ("not hardware" in said) == device.startswith("fake")
