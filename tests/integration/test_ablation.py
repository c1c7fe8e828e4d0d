"""An ablation on tiny data: its tables by other routes, what it reads, kills, and refusals.

Every arm, and figures of several classes, are in `tests/unit/test_studies/test_ablation_cells.py`.
"""

from __future__ import annotations

import csv
import json
import shutil
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, recall_score, roc_auc_score
from sklearn.preprocessing import StandardScaler

from hybridq.cli import main as cli
from hybridq.config import AblationStudyConfig, PretrainConfig
from hybridq.data import load_data
from hybridq.evaluation.baselines import pixel_inputs
from hybridq.evaluation.statistics import Measured, compare_measured
from hybridq.models.checkpoint import load_model
from hybridq.models.classify import classify
from hybridq.models.searched_regression import PENALTIES, searched_regression
from hybridq.studies.ablation import frozen, grid, whole
from hybridq.studies.ablation import labels as ablation_labels
from hybridq.studies.ablation import study as ablation_module
from hybridq.studies.ablation.judged import measured
from hybridq.studies.ablation.labels import cut, labelled_rows
from hybridq.studies.ablation.study import ablation_study
from hybridq.studies.ablation.tables import summarise
from hybridq.studies.ablation.verdicts import questions, verdicts
from hybridq.studies.ablation.whole import WholeWork
from hybridq.studies.engine.study import show
from hybridq.studies.tables import cell
from hybridq.threads import one_thread
from hybridq.training.callbacks.metrics_file import MetricsFile
from hybridq.training.pretrain import pretrain
from hybridq.utils.files import without_nan
from hybridq_backends import open_backend
from hybridq_backends.utils.lock import locked
from tests.conftest import ARMS, few_arms, lively_norms

PHANTOM = "phantom,size=16,count=80"
SETTINGS = grid.SETTINGS[1:3]
TABLES = ("ablation.csv", "summary.csv", "comparisons.csv", "comparisons.json", "search.csv")
FILES = (*TABLES, "predictions.npz", "report.json", "result.json")
CELLS = [("pixels", 0), *((kind, seed) for kind in ("simclr", "random") for seed in (0, 1))]

pytestmark = [pytest.mark.trains, pytest.mark.usefixtures("isolated", "single_thread")]


def settings(**changes) -> AblationStudyConfig:
    fields = {
        "data": PHANTOM,
        "labels": "8,1",
        "seeds": 2,
        "subsets": 3,
        "pretrain_epochs": 1,
        "num_qubits": 2,
        "num_layers": 1,
        "steps": 3,
        "whole": False,
        "workers": 1,
    }
    return AblationStudyConfig(**{**fields, **changes})


@pytest.fixture(scope="module", autouse=True)
def few():
    """Three arms on frozen features, and two settings that are searched."""
    with few_arms():
        yield


@pytest.fixture(scope="module")
def study(tmp_path_factory, single_thread):
    """A study on frozen features that was never stopped."""
    with lively_norms():
        return ablation_study(settings(runs=tmp_path_factory.mktemp("ablation")))


@pytest.fixture(scope="module")
def encoders(study):
    """Its two encoders, for studies that are about something else."""
    return tuple(sorted((study / "encoders" / "pretrain").iterdir()))


def table(folder, name="ablation.csv"):
    with (folder / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def read(folder, names=FILES):
    """The bytes of files, and of all in `measured/`."""
    more = [path.relative_to(folder) for path in sorted(folder.glob("measured/*"))]
    return {str(name): (folder / name).read_bytes() for name in (*names, *more)}


def arrays(path):
    with np.load(path) as file:
        return dict(file)


def written(rows):
    """Rows as a table has them."""
    return [{name: cell(value) for name, value in row.items()} for row in rows]


# Tables.


def test_figures_are_those_of_scikit_learn(study):
    """Of the probabilities of the first subset, in the files of units and all made of them."""
    data = load_data(PHANTOM)
    labels, positive = data.splits["test"].labels, data.positive
    rows = {(r["labels"], r["model"], r["seed"]): r for r in table(study)}
    assert len(rows) == 2 * len(CELLS) * 4
    predicted = arrays(study / "predictions.npz")
    assert predicted["ids"].tolist() == list(data.splits["test"].ids)
    assert predicted["labels"].tolist() == labels.tolist()
    for share in (8 / 48, 1.0):
        published = arrays(study / "measured" / f"{share:g}.npz")
        for kind, seed in CELLS:
            kept = arrays(study / "kept" / f"{kind}-s{seed}-l{share:g}.npz")
            for arm in ("logistic", *ARMS):
                own = {k.removeprefix(f"{arm}/"): v for k, v in kept.items() if k.startswith(arm)}
                own = {k: v for k, v in own.items() if "/" not in k or not k.startswith("residual")}
                probs, threshold = own["probs"], own["threshold"][0]
                named = np.where(probs[:, positive] >= threshold, positive, 1 - positive)
                first = {
                    "auc": roc_auc_score(labels, probs[:, 1]),
                    "balanced_accuracy": balanced_accuracy_score(labels, named),
                    "accuracy": (named == labels).mean(),
                    "sensitivity": recall_score(labels, named, pos_label=positive),
                    "specificity": recall_score(labels, named, pos_label=1 - positive),
                    "brier": ((probs[:, 1] - labels) ** 2).mean(),
                }
                row = rows[repr(share), f"{kind}-{arm}", str(seed)]
                for name, value in first.items():
                    values = np.ravel(
                        own[f"{name}/values"] if f"{name}/values" in own else own[name]
                    )
                    assert values.shape == (3,)
                    assert values[0] == pytest.approx(value), (kind, arm, name)
                    assert float(row[name]) == pytest.approx(values.mean())
                assert float(row["threshold"]) == np.median(own["threshold"])
                assert own["right"].sum() == pytest.approx(20 * own["accuracy"].sum())
                place = published[f"{kind}-{arm}/{seed}/auc/values"]
                assert place.tolist() == own["auc/values"].tolist()
                shown = predicted[f"{share:g}/{kind}-{arm}"][seed]
                np.testing.assert_allclose(shown, probs, atol=1e-6)


@pytest.mark.parametrize("kind", ["pixels", "simclr"])
def test_a_regression_is_that_of_scikit_learn(study, kind):
    """On all inputs, standardised by train: held-out losses, penalty, threshold and test images."""
    config, data = settings(), load_data(PHANTOM)
    budget = grid.budgets(config, 48)[0]
    rows = labelled_rows(data, config, budget)
    if kind == "pixels":
        inputs = {name: pixel_inputs(data.splits[name].images, 32) for name in ("train", "test")}
    else:
        inputs = arrays(study / "features" / "simclr-s0.npz")
    scaler = StandardScaler().fit(inputs["train"].astype(float))
    x = {name: scaler.transform(part.astype(float)) for name, part in inputs.items()}
    train, test = (data.splits[name].labels for name in ("train", "test"))
    kept = arrays(study / "kept" / f"{kind}-s0-l{budget.share:g}.npz")
    for subset, folds in enumerate(cut(data, rows, config, 5)):
        own, held_out = rows[subset], np.zeros((len(PENALTIES), 48))

        def fitted(penalty, chosen):
            exact = {"max_iter": 5000, "tol": 1e-8}
            model = LogisticRegression(C=penalty, class_weight="balanced", **exact)
            return model.fit(x["train"][chosen], train[chosen])

        assert sorted(np.concatenate([held for _, held in folds])) == own.tolist()
        for k, penalty in enumerate(PENALTIES):
            for fit, held in folds:
                held_out[k, held] = fitted(penalty, fit).predict_proba(x["train"][held])[:, 1]
        likely = np.where(train[own] == 1, held_out[:, own], 1 - held_out[:, own])
        losses = [np.mean([-np.log(p[train[own] == c]).mean() for c in (0, 1)]) for p in likely]
        assert kept["logistic/losses"][subset] == pytest.approx(losses, rel=1e-3)
        chosen = int(kept["logistic/chosen"][subset])
        assert losses[chosen] <= min(losses) + 1e-3
        parts = [(np.searchsorted(own, fit), np.searchsorted(own, held)) for fit, held in folds]
        again = searched_regression(x["train"][own], train[own], 2, parts)
        scores, truth = again.held_out[:, data.positive], train[own] == data.positive
        best = max(balanced_accuracy_score(truth, scores >= bound) for bound in scores)
        threshold = kept["logistic/threshold"][subset]
        reached = [balanced_accuracy_score(truth, scores >= threshold + e) for e in (-1e-9, 1e-9)]
        assert max(reached) == pytest.approx(best)
        probs = fitted(PENALTIES[chosen], own).predict_proba(x["test"])
        area = roc_auc_score(test, probs[:, 1])
        assert kept["logistic/auc/values"][0, subset] == pytest.approx(area, abs=1e-6)
        if subset == 0:
            np.testing.assert_allclose(kept["logistic/probs"], probs, atol=1e-3)


def test_tables_follow_from_what_is_published(study):
    """From `measured/` and the rows of models alone, as text: means, intervals and verdicts."""
    models = {}
    for path in sorted((study / "measured").iterdir()):
        found = arrays(path)
        for model in dict.fromkeys(name.split("/")[0] for name in found if "/" in name):
            seeds = sorted({name.split("/")[1] for name in found if name.startswith(f"{model}/")})
            parts = [
                {k.removeprefix(f"{model}/{seed}/"): v for k, v in found.items()
                 if k.startswith(f"{model}/{seed}/")}
                for seed in seeds
            ]  # fmt: skip
            share = next(one.share for one in grid.budgets(settings(), 48)
                         if f"{one.share:g}" == path.stem)  # fmt: skip
            models[share, model] = measured(parts, found["labels"], load_data(PHANTOM).positive)
    rows = [row | {"labels": float(row["labels"])} for row in table(study)]
    order = dict.fromkeys((row["labels"], row["model"]) for row in rows)
    ordered = {key: models[key] for key in order}
    assert written(summarise(ordered, rows)) == table(study, "summary.csv")
    asked = questions(["simclr"], ("linear", "mlp", "pqc"), ("pixels", "scratch", "circuit"))
    again = verdicts(models, asked, grid.budgets(settings(), 48), margin=0.02)
    assert without_nan(again) == json.loads((study / "comparisons.json").read_text())
    assert [{k: v for k, v in row.items() if k != "variance"} for row in written(again)] == table(
        study, "comparisons.csv"
    )


def test_each_question_is_a_family_of_its_own(study):
    """Holm by hand within each; a model without an encoder stands beside every one."""
    found = json.loads((study / "comparisons.json").read_text())
    families = {}
    for item in found:
        families.setdefault(item["family"], []).append(item)
    sizes = {"pixels": 2, "random": 2, "heads": 4, "circuit": 2, "regression": 2, "linear": 2}
    assert {name: len(items) for name, items in families.items()} == sizes
    for name, items in families.items():
        assert {item["family_size"] for item in items} == {len(items)}
        assert {item["primary"] for item in items} == {name in ("pixels", "circuit")}
        for item in items:
            p_values = sorted(other["p_value"] for other in items)
            steps = [p * (len(items) - i) for i, p in enumerate(p_values) if p <= item["p_value"]]
            assert item["p_holm"] == pytest.approx(min(1.0, max(steps)))
    assert {item["topic"] for item in families["random"]} == {"control"}
    result = json.loads((study / "result.json").read_text())
    assert sum(result["verdicts"].values()) == result["comparisons"] == 14
    assert sum(result["primary_verdicts"].values()) == 4
    (item,) = (one for one in families["pixels"] if one["labels"] == 1)

    def areas(model, seeds):
        kept = arrays(study / "measured" / "1.npz")
        own = [
            Measured.from_arrays(
                {name: kept[f"{model}/{seed}/auc/{name}"] for name in
                 ("values", "influence", "scale", "figure", "units", "constant")}
            )
            for seed in seeds
        ]  # fmt: skip
        values = np.concatenate([one.values for one in own])
        return Measured(values, np.concatenate([one.influence for one in own]), units=own[0].units)

    ours, pixels = areas("simclr-logistic", (0, 1)), areas("pixels-logistic", (0, 0))
    again = compare_measured(ours, pixels, margin=0.02)
    for name in ("difference", "low", "high", "p_value", "p_equivalence", "seeds", "subsets"):
        assert item[name] == pytest.approx(getattr(again, name)), name
    text = show(study)
    assert "raw pixels" in text
    assert all(one["words"] in text for one in found)
    names = {path.name for path in (study / "figures").iterdir()}
    assert names == {"labels.png", "differences.png"}


def test_the_search_says_what_was_lost_and_chosen(study):
    rows = table(study, "search.csv")
    assert len(rows) == 2 * 3 * (len(PENALTIES) + len(ARMS) * len(SETTINGS))
    for row in rows:
        seeds = (0,) if row["encoder"] == "pixels" else (0, 1)
        stems = [f"{row['encoder']}-s{seed}-l{float(row['labels']):g}" for seed in seeds]
        kept = [arrays(study / "kept" / f"{stem}.npz") for stem in stems]
        if row["penalty"]:
            k = PENALTIES.index(float(row["penalty"]))
        else:
            setting = {n: float(row[n]) for n in ("learning_rate", "block_learning_rate")}
            k = SETTINGS.index(setting)
        losses = np.concatenate([one[f"{row['head']}/losses"][:, k] for one in kept])
        chosen = np.concatenate([one[f"{row['head']}/chosen"] for one in kept])
        assert float(row["held_out_loss"]) == pytest.approx(losses.mean())
        assert (int(row["chosen"]), int(row["cells"])) == ((chosen == k).sum(), len(chosen))
        every = np.concatenate([one[f"{row['head']}/losses"] for one in kept])
        assert (every[np.arange(len(chosen)), chosen] <= every.min(axis=1) + 1e-8).all()


# What is read.


def test_a_choice_for_fewer_labels_lies_within_that_for_more():
    config, data = settings(labels="6,0.25,24,1", subsets=8), load_data(PHANTOM)
    budgets = grid.budgets(config, 48)
    assert [one.text for one in budgets] == [
        *("6 labels", "25% of the labels", "24 labels", "all labels")
    ]
    chosen = [labelled_rows(data, config, budget) for budget in budgets]
    assert [len(one) for one in chosen] == [8, 8, 8, 5]
    for subset in range(8):
        sets = [set(one[subset].tolist()) for one in chosen[:3]]
        assert sets[0] < sets[1] < sets[2]
        assert [len(one) for one in sets] == [6, 12, 24]
        for one in sets:
            assert np.ptp(np.bincount(data.splits["train"].labels[list(one)])) <= 2
    assert len({tuple(one) for one in chosen[0]}) == 8
    assert all(one.tolist() == list(range(48)) for one in chosen[3])


def test_heads_of_all_encoders_see_the_same_labelled_images(study, tmp_path, monkeypatch):
    """A unit asks for train and test; no head sees an image, or a label, off its subset."""
    config = settings(steps=2)
    budget = grid.budgets(config, 48)[0]
    rows = [one.tolist() for one in labelled_rows(load_data(PHANTOM), config, budget)]
    real, read_in, seen = frozen.train_heads, ablation_labels.load_data, {}
    asked = []

    def watched(heads, features, labels, own, **options):
        seen[kind].append(([one.tolist() for one in own], options["steps"], options["seeds"]))
        real(heads, features, labels, own, **options)

    def loaded(*arguments, **options):
        asked.append(options["splits"])
        return read_in(*arguments, **options)

    shutil.copytree(study / "features", tmp_path / "features")
    monkeypatch.setattr(frozen, "train_heads", watched)
    monkeypatch.setattr(ablation_labels, "load_data", loaded)
    for kind, seed in (("simclr", 0), ("random", 1)):
        seen[kind] = []
        frozen.FrozenWork(config, tmp_path, seed, kind, budget, ()).compute()
    assert asked == [("train", "test")] * 2
    for (ours, steps, seeds), (theirs, _, others) in zip(*seen.values(), strict=False):
        if len(ours) == len(theirs) == 9:  # a search, three parts of three subsets
            assert ours == theirs
        assert steps == 2
        assert not set(seeds) & set(others)
    for calls in seen.values():
        assert len(calls) >= 3 * len(ARMS)
        for own, _, seeds in calls:
            parts = len(own) // 3
            for place, chosen in enumerate(own):
                within = [subset for subset in range(3) if set(chosen) <= set(rows[subset])]
                assert within
                assert len(own) != 9 or place // parts in within
            assert len(set(seeds)) <= 3


def test_nothing_is_chosen_by_validation_or_test(save_npz, monkeypatch):
    """Other labels there: of validation they change nothing; of test, figures alone."""
    arms = grid.frozen_arms(settings())
    monkeypatch.setattr(frozen, "arms_on", lambda *_: {"mlp": arms["mlp"]})
    rng = np.random.default_rng(3)
    truth = (np.arange(12) % 2).astype(np.uint8)[:, None]
    others = np.roll(truth, 1, axis=0)
    images = rng.integers(0, 256, (12, 16, 16)).astype(np.uint8)
    found = {}
    for name, changes in (
        ("same", {}),
        ("val", {"val_labels": others, "val_images": images}),
        ("test", {"test_labels": rng.permutation(truth), "test_images": images}),
    ):
        path = save_npz("own.npz", **changes)
        if not found:
            with lively_norms():
                encoder = pretrain(PretrainConfig(data=str(path), epochs=1, batch_size=8))
        config = settings(
            **{"data": str(path), "encoder_runs": (encoder,), "seeds": 1, "subsets": 2},
            **{"labels": "8", "name": name},
        )
        found[name] = ablation_study(config)
    assert read(found["val"], (*TABLES, "predictions.npz")) == read(
        found["same"], (*TABLES, "predictions.npz")
    )
    assert read(found["test"], ["search.csv"])["search.csv"] == (
        (found["same"] / "search.csv").read_bytes()
    )
    first, second = (table(found[name]) for name in ("same", "test"))
    for name in ("threshold", "penalty", "learning_rate", "block_learning_rate"):
        assert [row[name] for row in first] == [row[name] for row in second]
    assert [row["auc"] for row in first] != [row["auc"] for row in second]


# Going on.


def test_a_study_that_was_stopped_goes_on(study, monkeypatch):
    """Stopped after some units, and gone on with, it gives the same bytes."""
    shutil.copytree(study, "copy")
    folder = ablation_labels.Path("copy")
    gone = [path for one in ("pixels", "random-s1") for path in folder.glob(f"*/**/{one}-*l*.*")]
    gone += [*folder.glob("features/random-s1.npz"), *folder.glob("units/features/random-s1.json")]
    gone += [folder / name for name in FILES]
    for path in [*gone, *folder.glob("measured/*")]:
        path.unlink()
    assert len(gone) == 8 + 2 + len(FILES)
    real, done = frozen.FrozenWork.compute, []

    def stopped(self):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(self.name)
        return real(self)

    with monkeypatch.context() as patch:
        patch.setattr(frozen.FrozenWork, "compute", stopped)
        with pytest.raises(KeyboardInterrupt):
            ablation_study(AblationStudyConfig(resume=folder))
    assert not (folder / "result.json").exists()
    assert done == ["pixels-s0-l0.166667", "pixels-s0-l1"]
    ablation_study(AblationStudyConfig(resume=folder))
    assert read(folder) == read(study)


def test_two_processes_do_not_share_a_study(study, capfd):
    before = read(study)
    with locked(study / "study.lock", "is a test"):
        assert cli.main(["study", "ablation", "--resume", str(study)]) == 2
    assert "another process that works on this study" in capfd.readouterr().err
    assert cli.main(["study", "ablation", "--resume", str(study)]) == 0
    assert read(study) == before
    assert json.loads((study / "environment.json").read_text())["resumed"]


# Whole networks.


@pytest.fixture(scope="module")
def networks(tmp_path_factory, encoders):
    """A study of one encoder with whole networks."""
    with pytest.MonkeyPatch.context() as patch, lively_norms():
        arms = grid.frozen_arms(settings())
        patch.setattr(frozen, "arms_on", lambda *_: {"linear": arms["linear"]})
        return ablation_study(
            settings(
                **{"encoder_runs": encoders[:1], "seeds": 1, "subsets": 1, "labels": "0.5"},
                **{"whole": True, "whole_networks": 1, "whole_steps": 4, "whole_heads": "mlp"},
                **{"whole_rates": "3e-3,1e-3", "views": "flip", "image_size": 24},
                runs=tmp_path_factory.mktemp("networks"),
            )
        )


def test_cells_of_whole_networks_and_their_rates():
    """Rates by two encoders, one for all of a start and budget; as many networks of each start."""
    asked = {}

    class Recorded:
        folder = Path("study")

        def run(self, stage, works):
            asked[stage] = works
            if stage == "whole":
                return []
            return [{"losses": [0.5, 0.4 if work.start == "scratch" else 0.6]} for work in works]

    config = settings(
        **{"seeds": 3, "subsets": 7, "whole": True, "whole_networks": 10, "labels": "8,1"},
        **{"whole_rates": "1e-3,3e-3", "whole_heads": "linear", "whole_labels": "8,1"},
    )
    runs = {seed: Path(f"run-{seed}") for seed in range(3)}
    ablation_module._whole(config, Recorded(), 48, {"scratch": runs, "simclr": runs})
    assert [(work.start, work.seed) for work in asked["rates"]] == [
        *[("scratch", 0), ("scratch", 1)] * 2,
        *[("simclr", 0), ("simclr", 1)] * 2,
    ]
    assert {(work.start, work.rate) for work in asked["whole"]} == {
        *(("scratch", 3e-3), ("simclr", 1e-3))
    }
    # From scratch a network for each choice, and all labels are chosen five times at most.
    cells = defaultdict(list)
    for work in asked["whole"]:
        cells[work.start, work.budget.share].append((work.seed, work.subset))
    assert cells["scratch", 8 / 48] == [(0, subset) for subset in range(7)]
    assert cells["scratch", 1] == [(0, subset) for subset in range(5)]
    every = [(seed, subset) for seed in range(3) for subset in range(3)]
    assert cells["simclr", 8 / 48] == cells["simclr", 1] == every


def test_whole_networks_by_another_route(networks):
    """Probabilities and held-out losses of the runs that are kept; the best rate is trained in."""
    config, data = settings(subsets=1, labels="0.5"), load_data(PHANTOM)
    budget = grid.budgets(config, 48)[0]
    rows = labelled_rows(data, config, budget)
    (folds,) = cut(data, rows, config, 2)
    train, test = data.splits["train"], data.splits["test"]
    by_model = {row["model"]: row for row in table(networks) if row["training"] == "whole"}
    assert set(by_model) == {"whole-scratch-mlp", "whole-simclr-mlp"}

    def probs_of(name, split):
        (run,) = (networks / "whole" / "finetune").glob(f"*-{name}")
        with one_thread(), open_backend("statevector") as backend:
            model, spec = load_model(run, backend=backend)
            assert spec.encoder.image_size == 24
            return classify(model, split, multilabel=False, views="flip")

    for log in (networks / "whole").rglob("metrics.jsonl"):
        epochs = [json.loads(line) for line in log.read_text().splitlines()]
        read_at = [place for place, one in enumerate(epochs) if "val_loss" in one]
        assert read_at == [len(epochs) - 1]
    predicted = arrays(networks / "predictions.npz")
    for start in ("scratch", "simclr"):
        row = by_model[f"whole-{start}-mlp"]
        unit = json.loads((networks / "units" / "rates" / f"{start}-s0-l0.5.json").read_text())
        losses = []
        for rate in (0.001, 0.003):
            own = []
            for part, (_, held) in enumerate(folds):
                probs = probs_of(f"search-{start}-s0-l0.5-r{rate:g}-{part}", train.take(held))
                likely = probs[np.arange(len(held)), train.labels[held]]
                logs = [np.log(likely[train.labels[held] == k]).mean() for k in (0, 1)]
                own.append(-np.mean(logs))
            losses.append(np.mean(own))
        assert unit["losses"] == pytest.approx(losses, abs=1e-6)
        assert float(row["learning_rate"]) == (0.001, 0.003)[int(np.argmin(losses))]
        probs = probs_of(f"{start}-mlp-s0-c0-l0.5", test)
        np.testing.assert_allclose(predicted[f"0.5/whole-{start}-mlp"][0], probs, atol=1e-6)
        assert float(row["auc"]) == pytest.approx(roc_auc_score(test.labels, probs[:, 1]))
        assert (row["steps"], row["train_images"], row["without_threshold"]) == ("4", "24.0", "1")
        assert (row["block_learning_rate"], row["threshold"]) == ("0.01", "")
    found = json.loads((networks / "comparisons.json").read_text())
    assert {item["family"] for item in found} >= {"pixels", "scratch", "finetuned", "random"}
    (kept,) = (item for item in found if item["family"] == "scratch")
    assert (kept["a"], kept["b"]) == ("simclr-logistic", "whole-scratch-mlp")
    assert kept["primary"]


def test_a_whole_network_does_not_read_validation_and_goes_on(networks, encoders, monkeypatch):
    """With other labels of validation, stopped in the middle, it is the same network."""
    kept = read(networks)
    unit = networks / "units" / "whole" / "scratch-mlp-s0-c0-l0.5.json"
    before = json.loads(unit.read_text())
    (run,) = (networks / "whole" / "finetune").glob("*-scratch-mlp-s0-c0-l0.5")
    shutil.rmtree(run)
    unit.unlink()
    real, noted = whole.study_data, MetricsFile.on_train_epoch_end

    def other(config, *splits):
        data = real(config, *splits)
        if "val" in splits:
            data.splits["val"].labels[:] = 1 - data.splits["val"].labels
        return data

    def stop(self, trainer, module):
        noted(self, trainer, module)
        if trainer.current_epoch == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(whole, "study_data", other)
    with monkeypatch.context() as patch:
        patch.setattr(MetricsFile, "on_train_epoch_end", stop)
        with pytest.raises(KeyboardInterrupt):
            ablation_study(AblationStudyConfig(resume=networks))
    with lively_norms():
        ablation_study(AblationStudyConfig(resume=networks))
    assert json.loads(unit.read_text())["probs"] == before["probs"]
    assert read(networks) == kept
    assert not list(networks.rglob("*.ckpt"))
    assert WholeWork.compute.__module__ == whole.__name__


# The command.


def test_a_plan_is_printed_and_nothing_is_made(isolated, encoders, tree, capfd):
    before = tree(isolated)
    given = ["--data", PHANTOM, "--labels", "8,1", "--subsets", "4", "--seeds", "2", "--steps", "3"]
    given += ["--num-qubits", "2", "--whole-networks", "3", "--encoder-runs"]
    assert cli.main(["study", "ablation", *given, *map(str, encoders), "--plan"]) == 0
    out = capfd.readouterr().out
    assert out.startswith("Primary questions: pixels, scratch, circuit; margin 0.02; 20 test")
    lines = [line.split("  ") for line in out.splitlines()]
    words = [[word.strip() for word in line if word.strip()] for line in lines]
    frozen_rows = [line for line in words if "frozen features" in line]
    assert [line[0] for line in frozen_rows] == ["8 labels", "all labels"]
    assert [line[3] for line in frozen_rows] == ["2 x 4", "2 x 4"]
    for what, subsets in (("from scratch", 3), ("fine-tuned", 1)):
        rows = [line for line in words if what in line]
        assert [line[3] for line in rows] == [f"2 x {subsets}"] * 2
        assert all(float(a[4]) < float(b[4]) for a, b in zip(frozen_rows, rows, strict=True))
    stages = {line[0]: line[1] for line in words if line[0:1] and len(line) == 3}
    assert stages["features"] == "4"
    assert stages["frozen"] == "10"
    assert stages["whole"] == str(2 * (3 + 2 * 1))
    assert tree(isolated) == before


def test_bad_input_is_one_line(isolated, encoders, pretrained, save_npz, tree, capfd):
    """Exit code 2, one line, nothing written."""
    poor = save_npz(test_labels=np.array([[0]] * 11 + [[1]], dtype=np.uint8))
    before = tree(isolated)
    data = ["--data", PHANTOM]
    given = [*data, "--labels", "8,1"]
    runs = [*given, "--encoder-runs"]
    for arguments, said in (
        ([*data, "--labels", "0.1,x"], "Expected --labels"),
        ([*data, "--labels", "0.1,0.10"], "once"),
        ([*data, "--labels", "24,0.5"], "once"),
        ([*data, "--labels", "0"], "Expected --labels"),
        ([*data, "--labels", "2.5"], "Expected --labels"),
        ([*data, "--labels", "49,1"], "at most the 48 labelled images of train, got 49"),
        ([*data, "--labels", "0.01,0.011,1"], "which both choose 2 of train"),
        ([*data, "--labels", "48,0.999"], "which both choose 48 of train"),
        ([*given, "--whole-labels", "0.5,1"], "Expected --whole-labels out of"),
        ([*given, "--whole-labels", "1,1"], "Expected each entry of --whole-labels"),
        ([*given, "--primary", "pixels,luck"], "Expected --primary out of pixels, scratch"),
        ([*given, "--primary", "pixels,pixels"], "Expected each entry of --primary once"),
        ([*given, "--whole-heads", "linear,cnn"], "Expected --whole-heads out of linear, mlp"),
        ([*given, "--heads", "mlp,cnn"], "Expected --heads out of linear, mlp"),
        ([*given, "--heads", "mlp,mlp"], "Expected each entry of --heads once"),
        ([*given, "--whole-heads", "pqc_pca"], "Expected --whole-heads out of linear, mlp"),
        ([*given, "--whole-rates", "0"], "Expected --whole-rates"),
        ([*given, "--whole-rates", "1e-3,fast"], "Expected --whole-rates"),
        ([*given, "--whole-rates", "1e-3,0.001"], "Expected each entry of --whole-rates once"),
        ([*given, "--whole-starts", "x"], "Expected --whole-starts out of scratch, pretrained"),
        ([*given, "--whole-networks", "0"], "--whole-networks"),
        ([*given, "--methods", "simclr,magic"], "magic"),
        ([*given, "--seeds", "0"], "--seeds"),
        ([*given, "--margin", "0"], "--margin"),
        (["--data", "nowhere"], "data set"),
        ([*runs, str(pretrained)], "pretrain on this data"),
        ([*runs, str(encoders[0])], "a run of simclr of each seed from 0 to 4, got none of 1, 2"),
        ([*runs, str(encoders[0]), str(encoders[0])], "one encoder a method and seed"),
        ([*runs, str(isolated)], "pretrain"),
        (["--data", str(poor), "--labels", "1"], "at least 2 images of class"),
        (["--resume", "nowhere"], "--resume"),
        (["--resume", str(encoders[0])], "study ablation"),
    ):
        assert cli.main(["study", "ablation", *arguments]) == 2, arguments
        error = capfd.readouterr().err
        assert error.count("\n") == 1, error
        assert said in error, (arguments, error)
        assert "Traceback" not in error
    assert tree(isolated) == before
