"""Figures of a representation: closed forms, definitions written out as loops, invariances."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch
from scipy.special import ive
from sklearn.neighbors import KNeighborsClassifier

from hybridq.config import AugmentConfig, head_config
from hybridq.errors import InvalidValueError, UnavailableError
from hybridq.evaluation.measures import geometry as geo
from hybridq.evaluation.measures.representations import around_layer, view_features
from hybridq.models.encoders.build import build_encoder
from hybridq.models.encoders.encoder import EncoderSpec


def normal(count: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, width))


def rotation(width: int, seed: int = 9) -> np.ndarray:
    return np.linalg.qr(normal(width, width, seed))[0]


def clouds(count: int, width: int, gap: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two classes, one shifted along the first axis."""
    labels = np.arange(count) % 2
    features = normal(count, width, seed)
    features[:, 0] += gap * (2 * labels - 1)
    return features, labels


# Effective rank.


@pytest.mark.parametrize("rank", [1, 3, 8])
def test_effective_rank_of_equal_directions_is_their_number(rank):
    """Columns of a Hadamard matrix: orthogonal, centred, of one length."""
    hadamard = np.array([[1.0]])
    for _ in range(4):
        hadamard = np.block([[hadamard, hadamard], [hadamard, -hadamard]])
    features = np.hstack([hadamard[:, 1 : 1 + rank], np.zeros((16, 3))])
    assert geo.effective_rank(features) == pytest.approx(rank, abs=1e-9)


def test_effective_rank_of_two_unequal_directions():
    """Singular values 3 and 1: exp of the entropy of (3/4, 1/4)."""
    features = np.array([[3, 1], [3, -1], [-3, 1], [-3, -1]]) / 2.0
    expected = np.exp(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25)))
    assert geo.effective_rank(features) == pytest.approx(expected)


def test_effective_rank_does_not_depend_on_shift_scale_and_rotation():
    features = normal(40, 6) * np.arange(1, 7)
    moved = 7e5 * features @ rotation(6) + 1e6
    assert geo.effective_rank(moved) == pytest.approx(geo.effective_rank(features), rel=1e-6)


@pytest.mark.parametrize("value", [0.0, 0.1, -3.7e8])
def test_effective_rank_of_constant_features_is_0(value):
    assert geo.effective_rank(np.full((50, 7), value)) == 0.0


# Alignment and uniformity.


def test_alignment_of_equal_opposite_and_orthogonal_views():
    views = normal(30, 5)
    assert geo.alignment(views, 3 * views) == pytest.approx(0, abs=1e-12)
    assert geo.alignment(views, -views) == pytest.approx(4)
    first, second = np.tile([1.0, 0.0], (4, 1)), np.tile([0.0, 2.0], (4, 1))
    assert geo.alignment(first, second) == pytest.approx(2)
    assert geo.alignment(first, second, power=1) == pytest.approx(np.sqrt(2))


def test_uniformity_of_two_opposite_points():
    """One pair, at distance 2: log exp(-8)."""
    assert geo.uniformity(np.array([[1.0, 0.0], [-5.0, 0.0]])) == pytest.approx(-8)


def test_uniformity_of_equal_points_is_0():
    assert geo.uniformity(np.tile([0.3, 0.4], (9, 1))) == pytest.approx(0)


def test_uniformity_on_the_circle_is_that_of_the_uniform_distribution():
    """E exp(-2 |u - v|^2) = exp(-4) I_0(4): exact for many points at equal angles."""
    count = 400
    angles = 2 * np.pi * np.arange(count) / count
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    of_all = ive(0, 4.0)  # over ordered pairs, each point with itself too
    expected = np.log((of_all * count - 1) / (count - 1))
    assert geo.uniformity(points) == pytest.approx(expected, abs=1e-9)


def test_uniformity_is_a_mean_over_pairs():
    features = normal(12, 3)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    terms = [
        np.exp(-2 * ((unit[i] - unit[j]) ** 2).sum()) for i in range(12) for j in range(i + 1, 12)
    ]
    assert geo.uniformity(features) == pytest.approx(np.log(np.mean(terms)))


# CKA.


@pytest.mark.parametrize("debiased", [False, True])
def test_cka_is_1_up_to_rotation_scale_and_shift(debiased):
    features = normal(60, 5)
    moved = 1e4 * features @ rotation(5) - 3e5
    assert geo.linear_cka(features, moved, debiased=debiased) == pytest.approx(1, abs=1e-7)


@pytest.mark.parametrize("debiased", [False, True])
def test_cka_of_kernels_written_out(debiased):
    """With kernels `(images, images)`, their centring and the U-statistic of Song et al."""
    first = normal(25, 4) + 2
    second = first[:, :3] ** 2 + 0.3 * normal(25, 3, 1)

    def hsic(one, two):
        kernel, other = one @ one.T, two @ two.T
        n = len(one)
        if not debiased:
            centring = np.eye(n) - 1 / n
            return np.trace(kernel @ centring @ other @ centring)
        np.fill_diagonal(kernel, 0)
        np.fill_diagonal(other, 0)
        ones = np.ones(n)
        total = (ones @ kernel @ ones) * (ones @ other @ ones) / ((n - 1) * (n - 2))
        cross = 2 / (n - 2) * (ones @ kernel @ other @ ones)
        return (np.trace(kernel @ other) + total - cross) / (n * (n - 3))

    expected = hsic(first, second) / np.sqrt(hsic(first, first) * hsic(second, second))
    assert geo.linear_cka(first, second, debiased=debiased) == pytest.approx(expected, rel=1e-10)


def test_cka_of_two_single_features_is_their_squared_correlation():
    first, second = normal(50, 1), normal(50, 1, 1) + 0.5 * normal(50, 1)
    expected = np.corrcoef(first[:, 0], second[:, 0])[0, 1] ** 2
    assert geo.linear_cka(first, second) == pytest.approx(expected)


def test_only_the_debiased_cka_of_unrelated_wide_features_is_near_0():
    pairs = [(normal(40, 500, 2 * k), normal(40, 500, 2 * k + 1)) for k in range(40)]
    assert np.mean([geo.linear_cka(*pair) for pair in pairs]) > 0.9
    debiased = [geo.linear_cka(*pair, debiased=True) for pair in pairs]
    error = np.std(debiased) / np.sqrt(len(debiased))
    assert abs(np.mean(debiased)) < 4 * error < 0.05


def test_cka_with_a_constant_is_undefined():
    assert np.isnan(geo.linear_cka(normal(10, 3), np.full((10, 2), 0.1)))
    assert geo.compare(normal(10, 3), np.full((10, 2), 0.1)) == {
        "images": 10,
        "cka": None,
        "cka_debiased": None,
    }


# Classes.


def test_knn_accuracy_is_that_of_scikit_learn_leaving_one_out():
    features, labels = clouds(40, 4, 0.7)
    hits = []
    for out in range(40):
        rest = np.arange(40) != out
        peer = KNeighborsClassifier(5, metric="cosine", algorithm="brute")
        peer.fit(features[rest], labels[rest])
        hits.append(peer.predict(features[[out]])[0] == labels[out])
    assert geo.knn_accuracy(features, labels, neighbours=5) == pytest.approx(np.mean(hits))


@pytest.mark.parametrize("sizes", [(10, 10), (3, 150), (2, 5, 60)])
def test_knn_finds_classes_that_lie_apart_whatever_their_sizes(sizes):
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    features = np.eye(len(sizes))[labels] + 0.01 * rng.normal(size=(len(labels), len(sizes)))
    assert geo.knn_accuracy(features, labels) == 1.0


def test_knn_of_a_class_of_one_image_is_undefined():
    assert np.isnan(geo.knn_accuracy(np.eye(3), np.array([0, 0, 1])))


def test_a_constant_with_the_rounding_of_single_precision_is_constant():
    rng = np.random.default_rng(0)
    one = np.float32(0.3)
    other = np.nextafter(one, np.float32(1))
    features = np.where(rng.integers(0, 2, size=(156, 1280)) == 1, one, other)
    assert geo.effective_rank(features) == 0
    assert np.isnan(geo.linear_cka(features, features))


def test_knn_does_not_count_an_image_as_its_own_neighbour():
    """Each image's nearest other is of the other class."""
    features = np.array([[1, 0], [1, 0.01], [0, 1], [0.01, 1]])
    assert geo.knn_accuracy(features, np.array([0, 1, 0, 1]), neighbours=1) == 0.0
    assert geo.knn_accuracy(features, np.array([4, 4, 7, 7]), neighbours=1) == 1.0


def test_silhouette_written_out():
    features, labels = clouds(14, 3, 1.0)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    far = 1 - unit @ unit.T
    values = []
    for i in range(14):
        own = [far[i, j] for j in range(14) if j != i and labels[j] == labels[i]]
        other = [far[i, j] for j in range(14) if labels[j] != labels[i]]
        a, b = np.mean(own), np.mean(other)
        values.append((b - a) / max(a, b))
    assert geo.silhouette(features, labels) == pytest.approx(np.mean(values))


def test_probe_finds_what_is_linear_and_nothing_in_noise():
    features, labels = clouds(400, 30, 2.0)
    assert geo.probe_auc(features, labels) > 0.98
    noise = [geo.probe_auc(normal(200, 30, k), np.arange(200) % 2) for k in range(10)]
    assert np.mean(noise) == pytest.approx(0.5, abs=4 * np.std(noise) / np.sqrt(10))


def test_probe_of_gaussians_is_near_the_best_auc_there_is():
    """Two normal clouds with means 2 * 0.5 apart: no score has more than Phi(1 / sqrt 2)."""
    from scipy.stats import norm

    features, labels = clouds(4000, 3, 0.5)
    assert geo.probe_auc(features, labels) == pytest.approx(norm.cdf(1 / np.sqrt(2)), abs=0.02)


def test_probe_does_not_depend_on_the_scale_of_a_feature():
    features, labels = clouds(100, 5, 0.5)
    expected = geo.probe_auc(features, labels)
    assert geo.probe_auc(features * np.array([1e-2, 1, 1e2, 5, 2]) + 3, labels) == expected
    assert geo.probe_auc(1e-20 * features, labels) == expected
    assert geo.probe_auc(1e20 * features, labels) == expected


def test_probe_repeats_by_seed():
    features, labels = clouds(60, 5, 0.3)
    assert geo.probe_auc(features, labels, seed=1) == geo.probe_auc(features, labels, seed=1)
    assert geo.probe_auc(features, labels, seed=1) != geo.probe_auc(features, labels, seed=2)


# All together.


def test_geometry_is_json_and_complete():
    features, labels = clouds(50, 6, 1.0)
    figures = geo.geometry(features, labels, views=(features, features + 0.1))
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
    assert set(figures) == {
        "images",
        "features",
        "alignment",
        "effective_rank",
        "uniformity",
        "silhouette",
        "knn_accuracy",
        "majority_accuracy",
        "probe_auc",
    }
    assert figures["majority_accuracy"] == 0.5


def test_geometry_without_labels_or_with_one_class():
    features = normal(20, 3)
    assert set(geo.geometry(features)) == {"images", "features", "effective_rank", "uniformity"}
    figures = geo.geometry(features, np.zeros(20, dtype=np.int64))
    assert figures["silhouette"] is figures["probe_auc"] is None
    assert figures["majority_accuracy"] == 1.0


def test_geometry_of_a_constant_representation():
    """What a collapsed encoder, or a circuit that ignores its input, gives."""
    figures = geo.geometry(np.full((20, 3), 0.25), np.arange(20) % 2)
    assert figures["effective_rank"] == 0
    assert figures["uniformity"] == pytest.approx(0)
    assert figures["silhouette"] == pytest.approx(0)
    assert figures["probe_auc"] == pytest.approx(0.5)


def test_geometry_of_many_images_draws_some(monkeypatch):
    monkeypatch.setattr(geo, "MOST_IMAGES", 60)
    features, labels = clouds(200, 4, 3.0)
    figures = geo.geometry(features, labels, seed=3)
    assert figures["images"] == 60
    assert figures == geo.geometry(features, labels, seed=3)
    assert figures["knn_accuracy"] > 0.95  # rows and labels are drawn together


@pytest.mark.parametrize(
    ("features", "labels"),
    [
        (np.zeros(5), None),
        (np.zeros((1, 5)), None),
        (np.full((4, 2), np.nan), None),
        (np.ones((4, 2)), np.zeros((4, 3), dtype=np.int64)),
        (np.ones((4, 2)), np.zeros(3, dtype=np.int64)),
    ],
    ids=["one dimension", "one image", "nan", "several labels", "too few labels"],
)
def test_what_does_not_fit_is_refused(features, labels):
    with pytest.raises(InvalidValueError, match=r"^Expected .*, got .*: .*\.$"):
        geo.geometry(features, labels)


def test_other_images_are_not_compared():
    with pytest.raises(InvalidValueError, match="same images"):
        geo.compare(normal(5, 2), normal(6, 2))
    with pytest.raises(InvalidValueError, match="one shape"):
        geo.alignment(normal(5, 2), normal(5, 3))


# Pictures.


def test_tsne_keeps_far_clouds_apart_and_repeats():
    features, labels = clouds(60, 8, 8.0)
    points = geo.embed(features, seed=1)
    assert points.shape == (60, 2)
    assert np.isfinite(points).all()
    assert KNeighborsClassifier(3).fit(points, labels).score(points, labels) == 1.0
    np.testing.assert_array_equal(points, geo.embed(features, seed=1))


def test_umap_is_there_or_says_that_it_is_not():
    features, labels = clouds(60, 8, 8.0)
    try:
        import umap  # noqa: F401
    except ImportError:
        with pytest.raises(UnavailableError, match="pip install umap-learn"):
            geo.embed(features, "umap")
        return
    points = geo.embed(features, "umap", seed=1)
    assert points.shape == (60, 2)
    assert KNeighborsClassifier(3).fit(points, labels).score(points, labels) == 1.0
    np.testing.assert_array_equal(points, geo.embed(features, "umap", seed=1))


def test_umap_that_is_not_installed_is_an_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(UnavailableError, match="pip install umap-learn"):
        geo.embed(normal(20, 3), "umap")


def test_pictures_of_nothing_are_refused():
    with pytest.raises(InvalidValueError, match="tsne or umap"):
        geo.embed(normal(20, 3), "pca")
    with pytest.raises(InvalidValueError, match="at least 4"):
        geo.embed(normal(3, 3))


# Representations of models.


@pytest.fixture(scope="module")
def encoder():
    return build_encoder("none", EncoderSpec(image_size=32), seed=0).eval()


@pytest.fixture(scope="module")
def images():
    drawn = np.random.default_rng(0).integers(0, 256, (9, 16, 16, 1))
    return drawn.astype(np.uint8)


def test_views_repeat_by_seed_and_leave_the_global_generator(encoder, images):
    torch.manual_seed(4)
    before = torch.get_rng_state()
    first, second = view_features(encoder, images, AugmentConfig(), seed=2)
    assert torch.equal(torch.get_rng_state(), before)
    assert first.shape == second.shape == (9, 1280)
    assert not np.array_equal(first, second)
    again = view_features(encoder, images, AugmentConfig(), seed=2)
    np.testing.assert_array_equal(first, again[0])
    other = view_features(encoder, images, AugmentConfig(), seed=3)
    assert not np.array_equal(first, other[0])


def test_around_layer_is_what_the_head_passes(encoder, images):
    from hybridq.models.heads import build_head
    from hybridq_backends import open_backend

    config = head_config(name="pqc", num_qubits=3, init_std=1.0)
    head = build_head(1280, 2, config, backend=open_backend("statevector")).eval()
    with torch.no_grad():
        features = encoder(encoder.prepare(images))
        logits = head(features)
        angles, expvals = around_layer(head, features)
        again = head.classifier(torch.from_numpy(expvals).float())
    assert angles.shape == expvals.shape == (9, 3)
    assert (angles > 0).all()
    assert (angles < np.pi).all()
    torch.testing.assert_close(again, logits)


def test_real_images_are_told_apart_better_by_labels_than_by_chance(data_root):
    """Raw pixels of BreastMNIST: an AUC that logistic regression is known to reach."""
    from hybridq.data import load_data
    from hybridq.evaluation.baselines import pixel_inputs

    data = load_data("breastmnist", data_root=data_root, splits=("train",)).splits["train"]
    pixels = pixel_inputs(data.images)
    figures = geo.geometry(pixels, data.labels)
    assert figures["images"] == 546
    assert figures["majority_accuracy"] == pytest.approx(399 / 546)
    assert 0.75 < figures["probe_auc"] < 0.95
    shuffled = np.random.default_rng(0).permutation(data.labels)
    assert geo.geometry(pixels, shuffled)["probe_auc"] == pytest.approx(0.5, abs=0.12)
