"""Figures of merit against scikit-learn and against loops; intervals against what they promise."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from sklearn import metrics as peer

from hybridq.evaluation.baselines import LogisticBaseline, majority_probs, pixel_inputs
from hybridq.evaluation.evaluate import write_predictions
from hybridq.evaluation.metrics import scores as metrics
from hybridq.evaluation.plots import save_figures
from hybridq.evaluation.statistics import stratified_bootstrap
from hybridq.evaluation.tables import evaluation_table, interval, table
from hybridq.models.decision import names_of
from hybridq.models.views import views_of
from hybridq.utils.text import counted

SEEDS = st.integers(0, 2**32 - 1)
GRIDS = st.sampled_from([None, 4, 20])  # scores rounded to a grid have ties


def draw(seed: int, count: int, classes: int, grid: int | None):
    """Labels with every class in them, and probabilities, perhaps with ties."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.concatenate([np.arange(classes), rng.integers(0, classes, count)]))
    scores = rng.random((len(labels), classes)) + 0.3 * (labels[:, None] == np.arange(classes))
    if grid is not None:
        scores = np.ceil(scores * grid)
    return labels, scores / scores.sum(axis=1, keepdims=True)


def draw_many(seed: int, count: int, labels: int, grid: int | None):
    """Several labels for each image, each with both values."""
    rng = np.random.default_rng(seed)
    truth = (rng.random((count + 2, labels)) < 0.4).astype(np.int64)
    truth[0], truth[1] = 0, 1
    probs = np.clip(rng.random(truth.shape) * 0.8 + 0.2 * truth, 0, 1)
    return truth, probs if grid is None else np.round(probs * grid) / grid


# Against scikit-learn.


@given(SEEDS, st.integers(0, 60), GRIDS)
def test_binary_auc(seed, count, grid):
    labels, probs = draw(seed, count, 2, grid)
    expected = peer.roc_auc_score(labels, probs[:, 1])
    assert metrics.auc(labels, probs) == pytest.approx(expected, abs=1e-12)
    flipped = metrics.binary_auc(labels == 0, probs[:, 1])
    assert flipped == pytest.approx(1 - expected, abs=1e-12)


@given(SEEDS, st.integers(0, 60), st.integers(3, 6), GRIDS)
def test_multiclass_auc(seed, count, classes, grid):
    labels, probs = draw(seed, count, classes, grid)
    expected = peer.roc_auc_score(labels, probs, multi_class="ovr", average="macro")
    assert metrics.auc(labels, probs) == pytest.approx(expected, abs=1e-12)


@given(SEEDS, st.integers(0, 60), st.integers(2, 14), GRIDS)
def test_multilabel_auc(seed, count, number, grid):
    labels, probs = draw_many(seed, count, number, grid)
    expected = peer.roc_auc_score(labels, probs, average="macro")
    assert metrics.auc(labels, probs) == pytest.approx(expected, abs=1e-12)


@given(SEEDS, st.integers(1, 60), st.integers(2, 6))
def test_figures_of_predicted_classes(seed, count, classes):
    rng = np.random.default_rng(seed)
    labels, predicted = rng.integers(0, classes, (2, count))
    assert metrics.accuracy(labels, predicted) == pytest.approx(
        peer.accuracy_score(labels, predicted)
    )
    recalls = peer.recall_score(
        labels, predicted, labels=np.unique(labels), average="macro", zero_division=0
    )
    assert metrics.balanced_accuracy(labels, predicted) == pytest.approx(recalls)
    assert metrics.macro_f1(labels, predicted, classes) == pytest.approx(
        peer.f1_score(labels, predicted, average="macro", zero_division=0)
    )


@given(SEEDS, st.integers(0, 60), st.integers(2, 14))
def test_figures_of_several_labels(seed, count, number):
    labels, probs = draw_many(seed, count, number, None)
    predicted = metrics.predict_labels(probs, multilabel=True, positive=None, threshold=0.5)
    assert metrics.accuracy(labels, predicted) == pytest.approx(
        1 - peer.hamming_loss(labels, predicted)
    )
    assert metrics.macro_f1(labels, predicted, number) == pytest.approx(
        peer.f1_score(labels, predicted, average="macro", zero_division=0)
    )
    expected = np.mean(
        [peer.balanced_accuracy_score(labels[:, k], predicted[:, k]) for k in range(number)]
    )
    assert metrics.balanced_accuracy(labels, predicted) == pytest.approx(expected)


@given(SEEDS, st.integers(0, 40), st.floats(0.05, 0.95), st.sampled_from([0, 1]))
def test_sensitivity_and_specificity_speak_of_the_positive_class(seed, count, threshold, positive):
    labels, probs = draw(seed, count, 2, None)
    compute = metrics.all_metrics(
        multilabel=False, positive=positive, threshold=threshold, num_classes=2
    )
    figures = compute(labels, probs)
    found = probs[:, positive] >= threshold
    matrix = peer.confusion_matrix(labels == positive, found, labels=[False, True])
    (right_negative, false_positive), (missed, hit) = matrix
    assert figures["sensitivity"] == pytest.approx(hit / (hit + missed))
    assert figures["specificity"] == pytest.approx(
        right_negative / (right_negative + false_positive)
    )
    both = (figures["sensitivity"] + figures["specificity"]) / 2
    assert figures["balanced_accuracy"] == pytest.approx(both)
    assert figures["accuracy"] == pytest.approx((hit + right_negative) / len(labels))


def test_sensitivity_of_breastmnist_is_that_of_malignant():
    """Its label 0 is malignant: a model that calls everything label 0 finds every cancer."""
    from hybridq.data import MEDMNIST

    entry = MEDMNIST["breastmnist"]
    assert entry.positive is not None
    assert entry.class_names[entry.positive] == "malignant"
    labels = np.array([0, 1, 1, 1])
    probs = np.tile([0.9, 0.1], (4, 1))
    compute = metrics.all_metrics(
        multilabel=False, positive=entry.positive, threshold=0.5, num_classes=2
    )
    figures = compute(labels, probs)
    assert (figures["sensitivity"], figures["specificity"]) == (1.0, 0.0)


def test_figures_that_are_not_defined():
    ones = np.ones(4, dtype=np.int64)
    probs = np.tile([0.4, 0.6], (4, 1))
    assert math.isnan(metrics.auc(ones, probs))
    figures = metrics.all_metrics(multilabel=False, positive=0, threshold=0.5, num_classes=2)(
        ones, probs
    )
    assert math.isnan(figures["sensitivity"])
    assert figures["specificity"] == 1.0
    three = np.array([0, 1, 0, 1])
    scores = np.random.default_rng(0).random((4, 3))
    expected = np.mean([peer.roc_auc_score(three == k, scores[:, k]) for k in (0, 1)])
    assert metrics.auc(three, scores) == pytest.approx(expected)  # without the class that is absent


# Against loops.


def calibration_loop(confidence, right, bins):
    """Guo et al., equation 3, written out: bin m is ((m - 1) / M, m / M]."""
    total = 0.0
    for m in range(1, bins + 1):
        inside = [
            i
            for i, c in enumerate(confidence)
            if (m - 1) / bins < c <= m / bins or (m == 1 and c == 0)
        ]
        if inside:
            accuracy = sum(right[i] for i in inside) / len(inside)
            mean = sum(confidence[i] for i in inside) / len(inside)
            total += len(inside) / len(confidence) * abs(accuracy - mean)
    return total


@given(SEEDS, st.integers(0, 60), st.integers(2, 5), st.sampled_from([1, 10, 15]))
def test_calibration_error(seed, count, classes, bins):
    labels, probs = draw(seed, count, classes, None)
    right = [row.argmax() == label for row, label in zip(probs, labels, strict=True)]
    expected = calibration_loop([row.max() for row in probs], right, bins)
    found = metrics.expected_calibration_error(labels, probs, bins)
    assert found == pytest.approx(expected, abs=1e-12)


@given(SEEDS, st.integers(0, 40), st.integers(2, 14))
def test_calibration_error_of_several_labels(seed, count, number):
    labels, probs = draw_many(seed, count, number, None)
    flat = list(zip(labels.ravel(), probs.ravel(), strict=True))
    expected = calibration_loop(
        [max(p, 1 - p) for _, p in flat], [(p >= 0.5) == (y == 1) for y, p in flat], 15
    )
    found = metrics.expected_calibration_error(labels, probs)
    assert found == pytest.approx(expected, abs=1e-12)


def test_calibration_error_of_known_cases():
    labels = np.array([0] * 8 + [1] * 2)
    assert metrics.expected_calibration_error(
        labels, np.tile([0.8, 0.2], (10, 1))
    ) == pytest.approx(0.0, abs=1e-12)
    assert metrics.expected_calibration_error(
        labels, np.tile([1.0, 0.0], (10, 1))
    ) == pytest.approx(0.2)


def test_the_upper_edge_belongs_to_a_bin_of_the_calibration_error():
    """Of four bins: 0.5 alone in (0.25, 0.5], and 0.6 with 0.75 in (0.5, 0.75]."""
    probs = np.array([[0.5, 0.5], [0.6, 0.4], [0.75, 0.25]])
    found = metrics.expected_calibration_error(np.array([0, 1, 0]), probs, 4)
    assert found == pytest.approx((abs(0.5 - 1) + abs(0.6 + 0.75 - 1)) / 3)


@given(SEEDS, st.integers(0, 30), GRIDS)
def test_threshold_is_the_best_of_all(seed, count, grid):
    labels, probs = draw(seed, count, 2, grid)
    positive, scores = labels == 1, probs[:, 1]

    def balance(threshold):
        found = scores >= threshold
        return (found[positive].mean() + (~found[~positive]).mean()) / 2

    chosen = metrics.choose_threshold(positive, scores)
    every = [*scores, *(scores + 1e-9), 0.0, 1.0 + 1e-9]
    assert balance(chosen) == pytest.approx(max(balance(t) for t in every), abs=1e-12)


def test_threshold_of_many_images_takes_little_memory():
    tracemalloc.start()
    scores = np.random.default_rng(0).random(20_000)
    metrics.choose_threshold(scores > 0.5, scores)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200 * len(scores)


def test_threshold_of_known_cases():
    positive = np.array([False, False, True, True])
    assert metrics.choose_threshold(positive, np.array([0.1, 0.2, 0.6, 0.9])) == pytest.approx(0.4)
    # Two thresholds are as good; the one nearer to 0.5 is taken.
    positive = np.array([False, True, False, True])
    chosen = metrics.choose_threshold(positive, np.array([0.1, 0.2, 0.55, 0.65]))
    assert chosen == pytest.approx(0.6)


@pytest.mark.parametrize("value", [False, True])
def test_threshold_where_a_class_is_missing(value):
    """Nothing can be chosen then: a half, as without a validation split."""
    found = metrics.choose_threshold(np.full(4, value), np.array([0.1, 0.2, 0.3, 0.4]))
    assert found == 0.5


@given(SEEDS, st.integers(1, 30), st.integers(2, 5))
def test_predicted_classes(seed, count, classes):
    probs = np.random.default_rng(seed).random((count, classes))
    largest = metrics.predict_labels(probs, multilabel=False, positive=None, threshold=0.9)
    assert largest.tolist() == [int(np.argmax(row)) for row in probs]
    if classes == 2:
        for positive in (0, 1):
            found = metrics.predict_labels(
                probs, multilabel=False, positive=positive, threshold=0.3
            )
            assert found.tolist() == [
                positive if row[positive] >= 0.3 else 1 - positive for row in probs
            ]


# The bootstrap.


def share_right(labels, probs):
    return {"share": float((probs.argmax(axis=1) == labels).mean())}


def test_intervals_cover_what_they_promise():
    """A proportion of known chance: about 95 of 100 intervals hold it, 50 of 100 at that level."""
    rng = np.random.default_rng(0)
    chance, count, repeats = 0.7, 120, 300
    held = {0.95: 0, 0.5: 0}
    for repeat in range(repeats):
        right = rng.random(count) < chance
        labels = np.zeros(count, dtype=np.int64)
        probs = np.where(right[:, None], [[1.0, 0.0]], [[0.0, 1.0]])
        for level in held:
            found = stratified_bootstrap(
                share_right, labels, probs, resamples=150, seed=repeat, level=level
            )["share"]
            held[level] += found["low"] <= chance <= found["high"]
    # Three standard deviations of a binomial, and what few resamples and a discrete share cost.
    assert 0.895 <= held[0.95] / repeats <= 0.985
    assert 0.40 <= held[0.5] / repeats <= 0.62


def test_strata_keep_their_sizes():
    labels = np.repeat([0, 1, 2], [7, 1, 12])
    probs = np.random.default_rng(0).random((20, 3))
    seen = []

    def watch(drawn, _probs):
        seen.append(np.bincount(drawn, minlength=3).tolist())
        return {"a": 0.0}

    stratified_bootstrap(watch, labels, probs, resamples=50, seed=0)
    assert seen == [[7, 1, 12]] * 51


def test_labels_and_probabilities_are_drawn_together():
    labels = np.repeat([0, 1], 10)
    probs = np.stack([np.arange(20.0), labels], axis=1)

    def together(drawn, drawn_probs):
        assert (drawn_probs[:, 1] == drawn).all()
        assert len(set(drawn_probs[:, 0])) < 20 or (drawn_probs == probs).all()
        return {"a": 0.0}

    stratified_bootstrap(together, labels, probs, resamples=50, seed=0)


def test_the_seed_makes_the_interval():
    labels, probs = draw(0, 40, 2, None)

    def run(seed):
        return stratified_bootstrap(share_right, labels, probs, resamples=100, seed=seed)

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_undefined_draws_are_left_out():
    labels = np.zeros((6, 1), dtype=np.int64)
    labels[0] = 1  # some resamples have no positive
    probs = np.random.default_rng(0).random((6, 1))

    def one(drawn, drawn_probs):
        return {"auc": metrics.auc(drawn, drawn_probs), "never": float("nan")}

    found = stratified_bootstrap(one, labels, probs, resamples=100, seed=0)
    assert found["auc"]["low"] <= found["auc"]["value"] <= found["auc"]["high"]
    assert all(math.isnan(value) for value in found["never"].values())


@settings(max_examples=15)
@given(SEEDS)
def test_the_interval_is_that_of_the_quantiles(seed):
    labels, probs = draw(seed, 30, 2, None)
    draws = []

    def watch(drawn, drawn_probs):
        draws.append(share_right(drawn, drawn_probs)["share"])
        return {"share": draws[-1]}

    found = stratified_bootstrap(watch, labels, probs, resamples=100, seed=1, level=0.8)["share"]
    assert found["value"] == draws[0]
    low, high = np.quantile(draws[1:], [0.1, 0.9])
    assert (found["low"], found["high"]) == pytest.approx((low, high))


# Baselines.


def test_the_majority_class_has_an_auc_of_a_half():
    train = np.array([0, 0, 1, 2, 2, 2])
    probs = majority_probs(train, 3, 9)
    assert probs[0].tolist() == pytest.approx([2 / 6, 1 / 6, 3 / 6])
    test = np.arange(9) % 3
    assert metrics.auc(test, probs) == 0.5
    predicted = metrics.predict_labels(probs, multilabel=False, positive=None, threshold=0.5)
    assert set(predicted.tolist()) == {2}
    two = majority_probs(np.array([0, 1, 1]), 2, 4)
    threshold = metrics.choose_threshold(np.array([True, False] * 2), two[:, 0])
    compute = metrics.all_metrics(multilabel=False, positive=0, threshold=threshold, num_classes=2)
    figures = compute(np.array([0, 1, 0, 1]), two)
    assert (figures["auc"], figures["balanced_accuracy"]) == (0.5, 0.5)


def test_the_majority_of_several_labels():
    probs = majority_probs(np.array([[1, 0], [1, 1], [0, 0], [1, 0]]), 2, 3)
    assert probs.tolist() == [[0.75, 0.25]] * 3


def test_pixels_are_made_by_batches_and_are_the_same():
    """No array but the result is as large as all images."""

    def at_once(images, largest=64):
        step = -(-max(images.shape[1:3]) // largest)
        if step > 1:
            height, width = (side // step * step for side in images.shape[1:3])
            cut = images[:, :height, :width].astype(np.float32)
            count, _, _, channels = cut.shape
            blocks = cut.reshape(count, height // step, step, width // step, step, channels)
            images = blocks.mean(axis=(2, 4))
        return images.reshape(len(images), -1).astype(np.float64) / 255

    rng = np.random.default_rng(0)
    for shape in ((300, 7, 9, 3), (130, 150, 90, 1), (260, 70, 131, 3), (1, 65, 65, 1)):
        images = rng.integers(0, 256, shape, dtype=np.uint8)
        assert np.array_equal(pixel_inputs(images), at_once(images))
    large = np.zeros((1500, 96, 96, 1), dtype=np.uint8)
    tracemalloc.start()
    found = pixel_inputs(large)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < found.nbytes + 12 * 128 * 96 * 96


def test_the_logistic_baseline_is_scikit_learns_best_on_validation():
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(0)
    labels = {split: rng.integers(0, 2, 60) for split in ("train", "val", "test")}
    inputs = {k: rng.standard_normal((60, 30)) + 0.4 * v[:, None] for k, v in labels.items()}
    found = LogisticBaseline((inputs["train"], labels["train"]), (inputs["val"], labels["val"]), 2)
    scaler = StandardScaler().fit(inputs["train"])
    scores = {}
    for penalty in (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0):
        model = LogisticRegression(C=penalty, max_iter=2000, class_weight="balanced")
        model.fit(scaler.transform(inputs["train"]), labels["train"])
        probs = model.predict_proba(scaler.transform(inputs["val"]))[:, 1]
        scores[penalty] = (peer.roc_auc_score(labels["val"], probs), model)
    best = max(score for score, _ in scores.values())
    assert scores[found.penalty][0] == best
    expected = scores[found.penalty][1].predict_proba(scaler.transform(inputs["test"]))
    np.testing.assert_allclose(found.probs(inputs["test"]), expected, atol=1e-12)


@pytest.mark.parametrize("classes", [2, 3])
def test_the_logistic_baseline_has_a_column_for_each_class(classes):
    rng = np.random.default_rng(0)
    labels = np.arange(30) % classes
    inputs = rng.standard_normal((30, 5))
    baseline = LogisticBaseline((inputs, labels), (inputs, labels), classes)
    probs = baseline.probs(inputs)
    assert probs.shape == (30, classes)
    np.testing.assert_allclose(probs.sum(axis=1), 1)


def test_the_logistic_baseline_of_several_labels_with_one_never_there():
    rng = np.random.default_rng(0)
    labels = (rng.random((30, 3)) < 0.5).astype(np.int64)
    labels[:, 2] = 0
    inputs = rng.standard_normal((30, 5))
    with pytest.warns(UserWarning, match="is present in all training examples"):
        baseline = LogisticBaseline((inputs, labels), (inputs, labels), 3)
    probs = baseline.probs(inputs)
    assert probs.shape == (30, 3)
    assert (probs[:, 2] == 0).all()


@pytest.mark.parametrize(("size", "step"), [(28, 1), (64, 1), (65, 2), (224, 4)])
def test_pixels_are_averaged_in_whole_blocks(size, step):
    images = np.random.default_rng(0).integers(0, 256, (2, size, size, 1), dtype=np.uint8)
    found = pixel_inputs(images)
    side = size // step
    expected = np.empty((2, side, side))
    for row in range(side):
        for column in range(side):
            block = images[:, row * step : (row + 1) * step, column * step : (column + 1) * step, 0]
            expected[:, row, column] = block.reshape(2, -1).astype(float).mean(axis=1) / 255
    np.testing.assert_allclose(found, expected.reshape(2, -1), atol=1e-6)


# What is written.


def test_predictions_of_several_labels(tmp_path):
    from hybridq.data import ImageSplit

    split = ImageSplit(
        images=np.zeros((2, 4, 4, 1), np.uint8),
        labels=np.array([[0, 1, 0], [1, 1, 1]]),
        ids=("a", "b,c"),
    )
    probs = np.array([[0.25, 0.5, 1 / 3], [1.0, 0.0, 1e-12]])
    write_predictions(tmp_path / "test.csv", split, probs, ("x", "y", "z"))
    assert (tmp_path / "test.csv").read_text().splitlines() == [
        "id,label,prob_0,prob_1,prob_2",
        "a,010,0.25,0.5,0.3333333333333333",
        '"b,c",111,1.0,0.0,1e-12',
    ]


def test_names_of_what_is_predicted():
    names, rule = ("a", "b", "c"), {"positive": None, "threshold": 0.5}

    def named(probs, *, multilabel):
        found = metrics.predict_labels(np.array([probs]), multilabel=multilabel, **rule)
        return names_of(found, names)[0]

    assert named([0.2, 0.5, 0.3], multilabel=False) == "b"
    assert named([0.5, 0.49, 0.9], multilabel=True) == "a+c"
    assert named([0.1, 0.1, 0.1], multilabel=True) == ""


def test_tables():
    assert table(["a", "bb"], [["ccc", "d"]]).splitlines() == ["a    bb", "---  --", "ccc  d"]
    assert interval({"value": 0.5, "low": 0.25, "high": 0.75}) == "0.500 [0.250, 0.750]"
    assert interval({"value": None, "low": None, "high": None}) == "undefined"


# Views.


@pytest.mark.parametrize(("views", "count"), [("one", 1), ("flip", 2), ("shift", 10), ("zoom", 12)])
@pytest.mark.parametrize("size", [16, 28, 56])
def test_views_are_as_many_as_named_and_of_one_shape(views, count, size):
    images = torch.rand(3, 3, size, size)
    found = list(views_of(images, views))
    assert len(found) == count
    assert all(view.shape == images.shape for view in found)
    assert torch.equal(found[0], images)
    for plain, mirrored in zip(found[::2], found[1::2], strict=False):
        assert torch.equal(mirrored, torch.flip(plain, dims=[3]))


def test_shifted_views_are_numpys_padded_by_reflection():
    images = np.random.default_rng(0).random((2, 1, 56, 56))
    padded = np.pad(images, ((0, 0), (0, 0), (2, 2), (2, 2)), mode="reflect")
    expected = [padded[:, :, y : y + 56, x : x + 56] for y, x in ((0, 2), (4, 2), (2, 0), (2, 4))]
    found = list(views_of(torch.from_numpy(images), "shift"))[2::2]
    for view, wanted in zip(found, expected, strict=True):
        np.testing.assert_array_equal(view.numpy(), wanted)


def test_the_enlarged_view_is_the_middle_resized():
    from torchvision.transforms.v2.functional import resized_crop

    images = torch.rand(2, 3, 56, 56)
    expected = resized_crop(images, 4, 4, 48, 48, [56, 56], antialias=False)
    torch.testing.assert_close(list(views_of(images, "zoom"))[10], expected)


def test_figures_of_one_class_are_drawn_without_a_warning(tmp_path, recwarn):
    probs = np.full((4, 2), 0.5)
    save_figures(tmp_path, np.zeros(4, np.int64), probs, ("a", "b"), 0.5, 1)
    assert {path.name for path in tmp_path.iterdir()} == {
        "roc.png", "reliability.png", "confusion.png",
    }  # fmt: skip
    assert [str(warning.message) for warning in recwarn] == []


@pytest.fixture
def pictures(monkeypatch):
    """The pictures of an evaluation as they are saved, by the names of their files."""
    seen = {}

    def keep(self, path, **_):
        seen[path.name.split(".")[1]] = self
        path.touch()

    monkeypatch.setattr(Figure, "savefig", keep)
    return seen


def test_pictures_show_curves_calibration_and_counts(tmp_path, pictures):
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, 60)
    scores = np.round((0.3 * labels + 0.7 * rng.random(60)), 2)
    probs = np.stack([1 - scores, scores], axis=1)
    save_figures(tmp_path, labels, probs, ("benign", "malignant"), 0.4, 1)

    curve = pictures["roc"].axes[0].lines[0]
    false, hits, _ = peer.roc_curve(labels, scores, drop_intermediate=False)
    np.testing.assert_allclose(curve.get_xydata(), np.stack([false, hits], axis=1))
    assert curve.get_label() == f"malignant (AUC {peer.roc_auc_score(labels, scores):.3f})"

    shares, counts = pictures["reliability"].axes
    confidence, right = probs.max(axis=1), probs.argmax(axis=1) == labels
    (bars,) = counts.containers
    heights = np.array([bar.get_height() for bar in bars])
    x, observed = shares.containers[0].lines[0].get_xydata().T
    assert heights.sum() == 60
    assert (heights * x).sum() == pytest.approx(confidence.sum())
    assert (heights * observed).sum() == pytest.approx(right.sum())

    texts = [text.get_text().split("\n")[0] for text in pictures["confusion"].axes[0].texts]
    found = peer.confusion_matrix(labels, scores >= 0.4)
    assert texts == [str(count) for count in found.ravel()]


@pytest.mark.parametrize(("share", "words"), [(0.0001, "0.01%"), (0.1, "10%"), (1.0, "100%")])
def test_a_small_share_of_the_labels_is_not_nothing(share, words):
    result = {
        "data": "own", "split": "test", "images": 2, "labels": share, "head": "pqc",
        "backend": {"name": "statevector"}, "model": {"figures": {}}, "baselines": {},
        "interval": "none", "positive": None, "notes": [],
    }  # fmt: skip
    assert f", {words} of the labels," in evaluation_table(result)
    assert [counted(number, "seed") for number in (1, 2)] == ["1 seed", "2 seeds"]
