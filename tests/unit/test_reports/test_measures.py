"""Which interval a figure has, and what it is over."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import logit
from scipy.stats import t

from hybridq.evaluation.statistics import auc_covariance
from hybridq.evaluation.statistics.seeds import SeedInterval, seed_estimate
from hybridq.records.findings import Estimate
from hybridq.reports.page.parts import cell
from hybridq.reports.sources.measures import evaluated
from hybridq.reports.sources.predictions import evaluation_facets
from hybridq.reports.sources.recipes import source_names


def arm_of(make_source, make_evaluation, seeds):
    for seed in range(seeds):
        run = make_source("finetune", data="cells", seed=seed)
        make_evaluation(run.folder, seed=seed)
    sources = make_source.all()
    (facet,) = evaluation_facets(sources, source_names(sources))
    (arm,) = facet.arms
    return facet, arm


def test_one_training_keeps_its_bootstrap_over_images(make_source, make_evaluation):
    found = evaluated(*arm_of(make_source, make_evaluation, 1), "auc")
    assert (found.value, found.low, found.high) == pytest.approx((0.8, 0.7, 0.9))
    assert found.over == "images"


def test_the_auc_of_two_seeds_is_over_seeds_and_images(make_source, make_evaluation):
    facet, arm = arm_of(make_source, make_evaluation, 2)
    found = evaluated(facet, arm, "auc")
    values, covariance = auc_covariance(facet.labels, arm.probs[:, :, 1])
    shared = max(0.0, covariance[0, 1])
    seeds = np.var(values, ddof=1) / 2  # Obuchowski & Rockette: of the seeds, and of the images
    degrees = ((seeds + shared) / seeds) ** 2
    half = t.ppf(0.975, degrees) * math.sqrt(seeds + shared)
    assert found.value == pytest.approx(values.mean())
    middle, slope = logit(values.mean()), values.mean() * (1 - values.mean())
    assert logit(found.low) == pytest.approx(middle - half / slope)
    assert logit(found.high) == pytest.approx(middle + half / slope)
    assert found.over == "seeds and test images"


def test_a_sensitivity_of_several_seeds_is_over_seeds_and_images(make_source, make_evaluation):
    facet, arm = arm_of(make_source, make_evaluation, 3)
    found = evaluated(facet, arm, "sensitivity")
    right = facet.predicted(arm)[:, facet.labels == facet.positive] == facet.positive
    values = right.mean(axis=1)
    assert found.value == pytest.approx(values.mean())
    assert found.low <= found.value <= found.high
    assert found.over == "seeds and test images"


def test_a_figure_that_is_no_mean_over_images_has_no_interval(make_source, make_evaluation):
    found = evaluated(*arm_of(make_source, make_evaluation, 3), "calibration_error")
    assert found is None or (found.low, found.over) == (None, "")


def test_seeds_that_agree_give_no_interval():
    found = seed_estimate(SeedInterval(0.763, 0.763, 0.763, 5, 0))
    assert found.ends == ""


def test_an_interval_of_shares_ends_at_0_and_1():
    found = seed_estimate(SeedInterval(0.01, -0.02, 1.2, 5, 0))
    assert (found.low, found.high) == (0, 1)
    assert seed_estimate(SeedInterval(1.1, 0.9, 1.3, 5, 0), largest=2).high == 1.3


def test_what_is_undefined_says_so():
    assert Estimate(value=None).text == cell(Estimate(value=None)).text == "undefined"
    assert Estimate(value=0.5, low=0.4, high=0.6).text == "0.500 [0.400, 0.600]"
    assert Estimate(value=0.5, low=0.4, high=0.6, is_signed=True).ends == "[+0.400, +0.600]"
    assert seed_estimate(SeedInterval(math.nan, math.nan, math.nan, 0, 3)).value is None


def test_other_positive_classes_are_not_compared(make_source, make_evaluation):
    """0.3 on the one class decides as 0.7 on the other; each is a facet of its own."""
    run = make_source("finetune", data="cells")
    one = make_evaluation(run.folder)
    one.result["model"]["threshold"] = 0.3
    other = make_evaluation(run.folder, positive="benign")
    other.result["model"]["threshold"] = 0.7
    sources = make_source.all()
    first, second = evaluation_facets(sources, source_names(sources))
    assert (first.positive, second.positive) == (0, 1)
    assert first.title != second.title
    np.testing.assert_array_equal(first.predicted(first.arms[0]), second.predicted(second.arms[0]))


def test_a_run_evaluated_twice_and_another_run_of_its_seed(make_source, make_evaluation):
    runs = [make_source("finetune", name=f"run-{k}", data="cells") for k in range(2)]
    for run in (runs[0], runs[0], runs[1]):
        make_evaluation(run.folder)
    sources = make_source.all()
    (facet,) = evaluation_facets(sources, source_names(sources))
    words = [arm.name.partition(" (")[2] for arm in facet.arms]
    assert words == ["", "again, S4)", "another run of its seed, S5)"]
