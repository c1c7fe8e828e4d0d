"""Figures of what came back: the note in the model card, and what the intervals cover."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import norm

from hybridq.submissions import results
from hybridq.submissions.model_card_note import write_hardware_note
from hybridq.submissions.plan.submission import Images, Submission

CARD = "# pqc on cells\n\nFigures of this model come from elsewhere.\n"


def submission(run=Path("run"), **changes):
    fields = {
        "fingerprint": "f",
        "content": "c",
        "run": run,
        "model_hash": "h",
        "backend": "ibm",
        "device": "ibm_somewhere",
        "data": "cells",
        "split": "test",
        "class_names": ("benign", "malignant"),
        "positive": 1,
        "task": "binary",
        "threshold": 0.5,
        "plan": {},
        "seed": 0,
        "max_qpu_seconds": None,
    }
    return Submission(**{**fields, **changes})


def note(run, name, *, images=156, device="ibm_somewhere", **changes):
    """Write the note of a submission; the card that is then there."""
    one = submission(run, device=device, **changes)
    figure = {"value": 0.9, "low": 0.8, "high": 0.95}
    entry = {"rms_error": 0.1, "flips": 3, "figures": {"auc": figure, "balanced_accuracy": figure}}
    result = {
        "images": images,
        "data": one.data,
        "split": one.split,
        "device": device,
        "calibration_date": "2026-01-01",
        "shots": 1024,
        "mitigation": "readout mitigation (TREX)",
        "qpu_seconds": 57.9,
        "qpu_seconds_of_all_jobs": True,
        "compared": {"ideal": entry, "simulated": entry, "hardware": entry},
    }
    write_hardware_note(one, Path("runs/submit") / name, result)
    return (run / "model" / "MODEL_CARD.md").read_text()


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "MODEL_CARD.md").write_text(CARD)
    return tmp_path


def test_a_rehearsal_leaves_the_card_alone(run):
    assert note(run, "rehearsed", device=None) == CARD
    before = note(run, "real")
    assert note(run, "rehearsed", device=None) == before


def test_a_note_names_split_and_images(run):
    card = note(run, "real")
    assert card.startswith(CARD)
    assert card.count("## On hardware\n") == 1
    assert "156 images of the test split of cells" in card
    assert "simulated` has no mitigation" in card


def test_a_later_submission_of_the_same_images_takes_the_place_of_a_note(run):
    note(run, "first")
    card = note(run, "second")
    assert "`second`" in card
    assert "`first`" not in card
    assert card == note(run, "second")


@pytest.mark.parametrize(
    "other", [{"images": 20}, {"split": "val", "images": 500}, {"data": "others", "images": 500}]
)
def test_a_part_or_another_split_does_not_replace_the_whole(run, other):
    whole = note(run, "whole")
    card = note(run, "other", **other)
    assert "`whole`" in card
    assert "156 images of the test split of cells" in card
    if other == {"images": 20}:
        assert card == whole
    again = note(run, "newest")  # and the whole finds its place again
    assert "`whole`" not in again
    assert "`newest`" in again
    assert ("`other`" in again) == ("`other`" in card)


def test_the_whole_replaces_a_part(run):
    note(run, "part", images=20)
    card = note(run, "whole")
    assert "`part`" not in card
    assert "20 images" not in card


def test_a_fake_device_is_not_called_hardware(run):
    card = note(run, "fake", device="fake_torino")
    assert "## Rehearsal on a simulated device\n" in card
    assert "On hardware" not in card
    both = note(run, "real")
    assert "`fake`" in both
    assert "## On hardware\n" in both
    assert note(run, "real") == both


def test_other_sections_of_a_card_stay(run):
    note(run, "first")
    path = run / "model" / "MODEL_CARD.md"
    path.write_text(path.read_text() + "\n## Mine\n\nKept.\n")
    card = note(run, "second")
    assert "`second`" in card
    assert card.count("## Mine\n\nKept.") == 1


def one_value(values):
    """Logits of a model whose score is the expectation value itself."""
    values = torch.from_numpy(values)
    return torch.cat([-values, values], dim=1)


@pytest.mark.parametrize("shot_noise", [0.0, 1.0])
def test_intervals_cover_the_expected_figure_of_the_device(monkeypatch, shot_noise):
    """Two Gaussian classes read with Gaussian shot noise, whose AUC and accuracy are known.

    Values of classes -1 and 1 spread by 1 over the images; a device reads them with its shot noise
    on top. Over new images and new shots its accuracy is then Phi(1 / s) and its AUC
    Phi(sqrt(2) / s), where s^2 = 1 + shot_noise^2. An interval of level 95% must hold them in about
    95% of experiments; 200 of them tell that from 80% by many of their own standard errors.
    """
    monkeypatch.setattr(results, "RESAMPLES", 150)
    monkeypatch.setattr(results, "all_metrics", few_metrics)
    spread = np.sqrt(1 + shot_noise**2)
    truth = {"auc": norm.cdf(np.sqrt(2) / spread), "accuracy": norm.cdf(1 / spread)}
    rng = np.random.default_rng(7)
    labels = np.repeat([0, 1], 80)
    here = np.ones(160, dtype=bool)
    repetitions = 200
    hits = dict.fromkeys(truth, 0)
    middles = dict.fromkeys(truth, 0.0)
    for repetition in range(repetitions):
        exact = rng.normal(2.0 * labels - 1, 1.0)[:, None]
        values = exact + shot_noise * rng.normal(size=exact.shape)
        images = Images(
            tuple(map(str, range(160))), labels, np.zeros((160, 1), np.float32), exact,
            np.empty((0, 1)),
        )  # fmt: skip
        own = submission(seed=repetition)
        reader = results._Readout(one_value, own, images, values, here)
        compared = reader.compare(np.full_like(values, shot_noise))["compared"]
        for name, known in truth.items():
            figure = compared["hardware"]["figures"][name]
            hits[name] += figure["low"] <= known <= figure["high"]
            middles[name] += ((figure["low"] + figure["high"]) / 2 - known) / repetitions
    for name in truth:
        assert 0.895 <= hits[name] / repetitions <= 0.985, (name, hits[name] / repetitions)
        assert abs(middles[name]) < 0.008, (name, middles[name])


def few_metrics(**_):
    from hybridq.evaluation.metrics.scores import auc

    def compute(labels, probs):
        right = (probs[:, 1] >= 0.5) == (labels == 1)
        return {"auc": auc(labels, probs), "accuracy": float(right.mean())}

    return compute
