"""The cells of an ablation on features that are made up: every arm, figures, planted effects."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    brier_score_loss,
    recall_score,
    roc_auc_score,
)

from hybridq.config import AblationStudyConfig, head_config
from hybridq.data import load_data
from hybridq.evaluation.features import standardised
from hybridq.models.heads import build_head
from hybridq.quantum.modules import quantum_parameters
from hybridq.studies.ablation import frozen, grid
from hybridq.studies.ablation.grid import Budget
from hybridq.studies.ablation.judged import Judge, measured
from hybridq.studies.ablation.labels import cell_seed, cut, labelled_rows
from hybridq.studies.ablation.tables import gather, summarise
from hybridq.studies.ablation.verdicts import CIRCUIT, QUESTIONS, cautions, questions, verdicts
from hybridq.studies.ablation.whole import best_rate
from hybridq.training.heads.head import head_probs, train_head
from hybridq.training.heads.head_start import begin_at_regression, labelled_regression
from hybridq.training.seeding import derive_seed
from hybridq.utils.arrays import write_arrays
from hybridq_backends import open_backend

pytestmark = pytest.mark.usefixtures("isolated", "single_thread")

ALL = Budget(1.0, "all labels")
WIDTH = 6


def settings(**changes):
    fields = {"seeds": 2, "subsets": 2, "steps": 4, "num_qubits": 2, "num_layers": 1}
    return AblationStudyConfig(**{**fields, "whole": False, **changes})


def few_arms(monkeypatch, *names):
    """Leave only some arms."""
    every = grid.frozen_arms
    monkeypatch.setattr(
        frozen, "arms_on", lambda _, config: {name: every(config)[name] for name in names}
    )


def made_up(folder, data, kind, seed, strength):
    """Write features in which each class has a direction of its own, as strong as is said."""
    rng = np.random.default_rng([seed, *kind.encode()])
    parts = {}
    for name in ("train", "test"):
        labels = data.splits[name].labels
        hot = labels if labels.ndim == 2 else np.eye(data.num_classes)[labels]
        noise = rng.normal(size=(len(labels), WIDTH))
        noise[:, : hot.shape[1]] += strength * hot
        parts[name] = noise.astype(np.float32)
    write_arrays(folder / "features" / f"{kind}-s{seed}.npz", parts)
    return parts


def unit(config, folder, kind, seed, budget, first=()):
    """What a unit gives, and the arrays that it keeps."""
    found = frozen.FrozenWork(config, folder, seed, kind, budget, first).compute()
    with np.load(folder / found["kept"]) as file:
        return found, dict(file)


def balanced_loss(labels, probs):
    own = -np.log(probs[np.arange(len(labels)), labels])
    return np.mean([own[labels == k].mean() for k in np.unique(labels)])


def test_which_heads_read_which_inputs():
    config = settings()
    every = set(grid.frozen_arms(config))
    plain = {"linear", "mlp", "pqc", "mlp_residual", "pqc_residual"}
    assert set(grid.arms_on("random", config)) == set(grid.arms_on("pixels", config)) == plain
    alone = config.model_copy(update={"control_heads": False})
    assert [set(grid.arms_on(kind, alone)) for kind in ("random", "pixels")] == [set(), set()]
    assert set(grid.arms_on("simclr", alone)) == every


@pytest.mark.parametrize("start", ["random", "regression"])
def test_every_arm_is_a_plain_loop_over_its_cells(tmp_path, monkeypatch, start):
    """Each head is built and trained alone: losses, choice, test images, threshold and size."""
    two = grid.SETTINGS[1:3]
    for name in ("SETTINGS", "DRAWN"):
        monkeypatch.setattr(frozen, name, two)
    config = settings(data="phantom,size=16,count=80", head_start=start)
    if start == "random":
        few_arms(monkeypatch, "mlp", "pqc")
    budget = Budget(0.5, "50% of the labels")
    data = load_data(config.data)
    inputs = standardised(made_up(tmp_path, data, "simclr", 1, 1.0))
    x = {name: torch.from_numpy(part.astype(np.float32)) for name, part in inputs.items()}
    found, kept = unit(config, tmp_path, "simclr", 1, budget)
    about = {one["head"]: one for one in found["models"]}
    train, test = data.splits["train"].labels, data.splits["test"].labels
    rows = labelled_rows(data, config, budget)
    folds = cut(data, rows, config, 3)
    fewest = min(len(fit) for own in folds for fit, _ in own)
    circuit = {"num_qubits": 2, "num_layers": 1}
    specs = {
        "linear": ("linear", {}),
        "mlp": ("mlp", circuit),
        "pqc": ("pqc", circuit),
        "mlp_residual": ("mlp_residual", circuit),
        "pqc_residual": ("pqc_residual", circuit),
        "pqc_unentangled": ("pqc", circuit | {"entanglement": "none"}),
        "pqc_untrained": ("pqc", circuit),
        "pqc_random": ("pqc", circuit | {"init_std": math.pi}),
        "identity": ("identity", circuit),
        "rff": ("rff", circuit),
        "pqc_pca": ("pqc", circuit | {"reducer": "pca"}),
        "mlp_pca": ("mlp", circuit | {"reducer": "pca"}),
    }
    if start == "random":
        specs = {name: specs[name] for name in ("mlp", "pqc")}
    assert set(about) == {"logistic", *specs}
    assert {one["train_images"] for one in about.values()} == {24.0}

    def trained(spec, still, seed, chosen, setting, batch, subset):
        name, fields = spec
        generator = torch.Generator().manual_seed(derive_seed(seed, 1))
        own = head_config(name, **fields)
        head = build_head(WIDTH, 2, own, backend=backend, generator=generator)
        if "reducer" in fields:
            head.fit_reducer(x["train"])
        if start == "regression":
            regression = labelled_regression(
                inputs["train"][chosen],
                train[chosen],
                2,
                seed=derive_seed(config.seed, 9, subset) % 2**32,
            )
            begin_at_regression(head, regression, x["train"], chosen)
        begun = [weight.detach().clone() for weight in quantum_parameters(head)]
        for weight in quantum_parameters(head) if still else ():
            weight.requires_grad_(False)
        labels = torch.from_numpy(train[chosen])
        fixed = {"num_classes": 2, "steps": 4, "weight_decay": 0.01, "batch_size": batch}
        train_head(head, x["train"][chosen], labels, seed=seed, **fixed, **setting)
        moved = [
            float((weight.detach() - start).square().mean())
            for weight, start in zip(quantum_parameters(head), begun, strict=True)
        ]
        return head, (math.sqrt(np.mean(moved)) if moved else math.nan)

    with open_backend("statevector") as backend:
        for arm, spec in specs.items():
            still = arm in ("pqc_untrained", "pqc_random")
            movements = []
            for subset, one in enumerate(rows):
                seed = cell_seed(config, 1, subset)
                held_out = np.full((2, len(train), 2), np.nan)
                for k, setting in enumerate(two):
                    for fit, held in folds[subset]:
                        head, _ = trained(spec, still, seed, fit, setting, fewest, subset)
                        held_out[k, held] = head_probs(head, x["train"][held], multilabel=False)
                losses = [balanced_loss(train[one], held_out[k, one]) for k in range(2)]
                assert kept[f"{arm}/losses"][subset] == pytest.approx(losses, abs=1e-4), arm
                chosen = int(kept[f"{arm}/chosen"][subset])
                assert losses[chosen] <= min(losses) + 1e-4
                head, movement = trained(spec, still, seed, one, two[chosen], len(one), subset)
                movements.append(movement)
                probs = head_probs(head, x["test"], multilabel=False)
                if subset == 0:
                    np.testing.assert_allclose(kept[f"{arm}/probs"], probs, atol=1e-4)
                area = roc_auc_score(test, probs[:, 1])
                assert kept[f"{arm}/auc/values"][0, subset] == pytest.approx(area, abs=0.011)
                scores, truth = held_out[chosen, one, 1], train[one]
                best = max(
                    balanced_accuracy_score(truth, scores >= bound) for bound in np.unique(scores)
                )
                threshold = kept[f"{arm}/threshold"][subset]
                reached = balanced_accuracy_score(truth, scores >= threshold - 1e-5)
                assert reached == pytest.approx(best, abs=0.05)
            size = sum(p.numel() for p in head.parameters() if p.requires_grad)
            assert about[arm]["parameters"] == size
            trains = arm.startswith("pqc") and not still
            assert about[arm]["circuit_parameters"] == 4 * trains
            if not math.isnan(movements[0]):
                assert about[arm]["circuit_movement"] == pytest.approx(np.mean(movements), abs=1e-4)
                assert (movements[0] > 0) is trains
            else:
                assert about[arm]["circuit_movement"] is None


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_figures_of_a_judge_are_those_of_scikit_learn(save_npz, task):
    """With a test image that is one of train, and the first subsets apart."""
    shape = {"multiclass": {"classes": 3}, "multilabel": {"labels": 3}}.get(task, {})
    path = save_npz(**shape)
    with np.load(path) as file:
        arrays = dict(file)
    arrays["test_images"][4] = arrays["train_images"][7]
    np.savez(path, **arrays)
    data = load_data(str(path))
    labels, rng = data.splits["test"].labels, np.random.default_rng(2)
    count = data.num_classes
    probs = rng.random((4, 12, count))
    if task != "multilabel":
        probs /= probs.sum(axis=2, keepdims=True)
    bounds = np.array([0.3, 0.5, np.nan, 0.6]) if task == "binary" else np.full(4, np.nan)
    kept = Judge(data, (3, 4))(probs, bounds)

    def area(truth, own):
        if task == "binary":
            return roc_auc_score(truth, own[:, 1])
        truth = truth if task == "multilabel" else np.eye(3)[truth]
        return roc_auc_score(truth, own, average="macro")

    rest = np.arange(12) != 4
    found = measured([kept, kept], labels, data.positive)
    assert found["auc"].values.shape == (2, 4)
    assert kept["auc/values"][0] == pytest.approx([area(labels, own) for own in probs])
    assert kept["auc_of_first_3/values"] == pytest.approx(kept["auc/values"][:, :3])
    assert "auc_of_first_4/values" not in kept  # these are all
    assert kept["auc_without_duplicates/values"][0] == pytest.approx(
        [area(labels[rest], own[rest]) for own in probs]
    )
    truth = labels if task == "multilabel" else np.eye(count)[labels]
    brier = ((probs - truth) ** 2).mean(axis=(1, 2))
    if task == "binary":
        brier = [brier_score_loss(labels, own[:, 1]) for own in probs]
    elif task == "multiclass":
        brier = brier * 3 / 2
    assert kept["brier/values"][0] == pytest.approx(brier)
    if task == "multilabel":
        named = probs >= 0.5
        right = (named == labels).all(axis=2)
        assert "balanced_accuracy" not in found
    elif task == "multiclass":
        named = probs.argmax(axis=2)
        right = named == labels
    else:
        limits = np.where(np.isnan(bounds), 0.5, bounds)
        positive = probs[:, :, data.positive] >= limits[:, None]
        named = np.where(positive, data.positive, 1 - data.positive)
        right = named == labels
        for name, label in (("sensitivity", data.positive), ("specificity", 1 - data.positive)):
            wanted = [recall_score(labels, own, pos_label=label) for own in named]
            assert found[name].values[1] == pytest.approx(wanted)
    assert kept["right"].tolist() == right.sum(axis=0).tolist()
    if task != "multilabel":
        wanted = [accuracy_score(labels, own) for own in named]
        assert found["accuracy"].values[0] == pytest.approx(wanted)
        wanted = [balanced_accuracy_score(labels, own) for own in named]
        assert found["balanced_accuracy"].values[0] == pytest.approx(wanted)
    assert (kept["threshold"] == bounds)[~np.isnan(bounds)].all()


def planted(tmp_path, monkeypatch, save_npz, signal, **labels):
    """Judge units on features with a signal of this strength by kind; pixels are noise."""
    rng = np.random.default_rng(4)
    if labels:
        path = save_npz(**labels)
    else:
        truth = (np.arange(200) % 2).astype(np.uint8)[:, None]
        images = rng.integers(0, 256, (200, 16, 16), dtype=np.uint8)
        path = save_npz(test_images=images, test_labels=truth)
    data = load_data(str(path))
    config = settings(data=str(path), seeds=3, num_qubits=3)
    monkeypatch.setattr(frozen, "SETTINGS", grid.SETTINGS[3:4])
    few_arms(monkeypatch, "linear")
    found = [unit(config, tmp_path, "pixels", 0, ALL)[0]]
    for kind, strength in signal.items():
        for seed in range(3):
            made_up(tmp_path, data, kind, seed, strength)
            found.append(unit(config, tmp_path, kind, seed, ALL)[0])
    results = gather(tmp_path, data, (ALL,), found, {})
    asked = questions(["simclr"], ("linear",), ("pixels",))
    compared = verdicts(results.models, asked, (ALL,), margin=0.02)
    return results, {(one["a"], one["b"]): one for one in compared}


@pytest.mark.parametrize("better", ["simclr", "random"])
def test_a_planted_effect_is_found(tmp_path, monkeypatch, save_npz, better):
    signal = {kind: 4.0 if kind == better else 0.0 for kind in ("simclr", "random")}
    results, found = planted(tmp_path, monkeypatch, save_npz, signal)
    wanted = "better" if better == "simclr" else "worse"
    assert found["simclr-logistic", "random-logistic"]["verdict"] == wanted
    pixels = found["simclr-logistic", "pixels-logistic"]
    assert pixels["verdict"] == ("better" if better == "simclr" else "undecided")
    assert (pixels["seeds"], pixels["primary"]) == (3, True)
    # Raw pixels have no encoder: their one row is paired with each of three.
    values = {name: results.models[1.0, name]["auc"].values for _, name in results.kept}
    ours, theirs = values["simclr-logistic"], values["pixels-logistic"]
    assert (ours.shape, theirs.shape) == ((3, 2), (1, 2))
    assert pixels["difference"] == pytest.approx(float(ours.mean() - theirs.mean()))


@pytest.mark.parametrize("labels", [{"classes": 3}, {"labels": 3}], ids=["classes", "labels"])
def test_several_classes_and_several_labels(tmp_path, monkeypatch, save_npz, labels):
    results, found = planted(tmp_path, monkeypatch, save_npz, {"simclr": 9.0}, **labels)
    assert set(found) == {("simclr-logistic", "pixels-logistic")}
    truth = results.data.splits["test"].labels
    truth = truth if truth.ndim == 2 else np.eye(3)[truth]
    for (_, model), kept in results.kept.items():
        for own in kept:
            area = roc_auc_score(truth, own["probs"], average="macro")
            assert own["auc/values"][0, 0] == pytest.approx(area), model
    rows = [row for row in results.rows if row["model"] == "simclr-logistic"]
    assert [row["seed"] for row in rows] == [0, 1, 2]
    assert all(row["auc"] > 0.95 for row in rows)
    assert {(row["threshold"], row["without_threshold"]) for row in rows} == {(None, 2)}
    figures = {row["figure"] for row in summarise(results.models, results.rows)}
    assert ("balanced_accuracy" in figures) is ("classes" in labels)
    assert "sensitivity" not in figures


def test_whole_networks_are_compared_on_the_subsets_that_both_have(tmp_path, save_npz):
    """From scratch one network a subset, which stands beside every encoder, as raw pixels do."""
    data = load_data(
        str(
            save_npz(
                test_images=np.zeros((40, 16, 16), np.uint8),
                test_labels=(np.arange(40) % 2)[:, None].astype(np.uint8),
            )
        )
    )
    labels = data.splits["test"].labels
    config = settings(
        **{"data": data.name, "whole": True, "subsets": 4, "labels": "0.5", "heads": "none"},
        **{"whole_networks": 6, "seeds": 3, "whole_labels": "0.5"},
    )
    budget = Budget(0.5, "50% of the labels")
    first = grid.first_subsets(config, 48)
    assert first == {0.5: (2, 4)}
    rng = np.random.default_rng(0)
    areas = {}

    def network(start, seed, subset):
        scores = np.clip(labels * 0.3 + 0.2 + 0.1 * rng.normal(size=len(labels)), 0, 1)
        areas[start, seed, subset] = roc_auc_score(labels, scores)
        about = {"model": f"whole-{start}-linear", "encoder": start, "head": "linear"}
        about |= {"training": "whole", "labels": 0.5, "seed": seed, "train_images": 24}
        return {"probs": np.stack([1 - scores, scores], axis=1).tolist(), "models": [about]}

    found = [network("scratch", 0, subset) for subset in range(4)]
    found += [network("simclr", seed, subset) for seed in range(3) for subset in range(2)]
    results = gather(tmp_path, data, (budget,), found, first)
    (pair,) = verdicts(
        results.models, questions(["simclr"], ("linear",), ()), (budget,), margin=0.02
    )
    assert (pair["a"], pair["b"]) == ("whole-simclr-linear", "whole-scratch-linear")
    assert (pair["seeds"], pair["subsets"]) == (3, 2)
    tuned = [value for (start, *_), value in areas.items() if start == "simclr"]
    scratch = [areas["scratch", 0, subset] for subset in range(2)]
    assert pair["difference"] == pytest.approx(np.mean(tuned) - np.mean(scratch))
    means = {row["model"]: row["auc"] for row in results.rows if row["seed"] == 0}
    every = [areas["scratch", 0, subset] for subset in range(4)]
    assert means["whole-scratch-linear"] == pytest.approx(np.mean(every))


def test_each_question_is_a_family_and_those_declared_are_primary():
    found = questions(["simclr", "byol"], ("linear", "mlp", "pqc"), ("pixels", "circuit"))
    assert {one.family for one in found} == set(QUESTIONS)
    assert {one.family for one in found if one.primary} == {"pixels", "circuit"}
    assert {one.family for one in found if one.control} == {"random"}
    pairs = {(one.a, one.b): one.family for one in found}
    assert len(pairs) == len(found)
    assert pairs["byol-logistic", "simclr-logistic"] == "methods"
    assert pairs["whole-byol-linear", "whole-scratch-linear"] == "finetuned"
    assert pairs["simclr-logistic", "whole-scratch-linear"] == "scratch"
    assert pairs["whole-simclr-pqc", "whole-simclr-mlp"] == "whole"
    for name, (_, a, b) in CIRCUIT.items():
        for kind in ("simclr", "byol"):
            assert pairs[f"{kind}-{a}", f"{kind}-{b}"] == name


def test_notes_say_what_verdicts_cannot_bear():
    labels = np.array([0] * 9 + [1] * 10)
    one, few, narrow = cautions(settings(num_qubits=1), labels, ["a", "b"])
    assert "pqc and pqc_unentangled are one model" in one
    assert "9 images of a:" in few
    assert "bottleneck of 1 is narrower than the 2 classes" in narrow
    several = np.stack([labels, 1 - labels], axis=1)
    (few,) = cautions(settings(), several, ["a", "b"])
    assert "9 images of b:" in few
    assert cautions(settings(), np.repeat([0, 1], 10), ["a", "b"]) == []


def test_the_rate_has_the_lowest_loss_and_one_that_fails_is_not_chosen():
    rates = (0.1, 0.2, 0.3)
    assert best_rate(rates, [[0.5, 0.4, 0.6], [0.5, 0.5, 0.1]]) == 0.3
    assert best_rate(rates, [[0.5, 0.4, None], [0.5, 0.5, 0.1]]) == 0.2
    assert best_rate(rates, [[None, None, None]]) == 0.1
