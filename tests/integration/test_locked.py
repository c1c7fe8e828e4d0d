"""A model keeps the threshold and the views that it decides by, and every command uses them."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import hybridq as hq
from hybridq.cli.main import main
from hybridq.config import EvaluateConfig, FinetuneConfig, PredictConfig, head_config
from hybridq.errors import HybridqError, InvalidValueError
from hybridq.evaluation.evaluate import evaluate
from hybridq.evaluation.predict import predict
from hybridq.evaluation.tables import evaluation_table
from hybridq.models.checkpoint import ModelSpec, hashes_of, load_model, read_spec, save_model
from hybridq.models.classify import classify
from hybridq.models.decision import Decision, choose_threshold
from hybridq.runs.folder import read_result
from hybridq.training.finetune import finetune

pytestmark = pytest.mark.usefixtures("isolated", "single_thread")


def trained(source: object, **fields: object) -> Path:
    """A run of two epochs; `lively` keeps the probabilities of its images apart."""
    settings = {"epochs": 2, "batch_size": 8, "learning_rate": 1e-6, "image_size": 32}
    head = head_config(name="linear")
    return finetune(
        FinetuneConfig(
            **{"data": str(source), "runs": Path("runs"), "head": head, **settings, **fields}
        )
    )


def evaluated(run: Path, **fields: object) -> Path:
    return evaluate(EvaluateConfig(**{"run": run, "resamples": 100, "baselines": False, **fields}))


def deciding(run: Path, name: str, decision: Decision | None, *, weights: float = 1.0) -> Path:
    """The same model with another decision, and the weights of its head multiplied."""
    model = hq.load(run)
    model.spec = model.spec.model_copy(update={"decision": decision})
    with torch.no_grad():
        for parameter in model.module.head.parameters():
            parameter.mul_(weights)
    return model.save(Path("runs") / name)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def classes_of_evaluation(folder: Path, split: str = "test") -> dict[str, str]:
    """The class, or labels, of each image, from predictions and threshold alone."""
    result = read_result(folder)
    names, threshold = result["class_names"], result["model"]["threshold"]
    found = {}
    for row in rows_of(folder / "predictions" / f"{split}.csv"):
        probs = [float(row[f"prob_{k}"]) for k in range(len(names))]
        if len(row["label"]) > 1:
            said = "+".join(n for n, p in zip(names, probs, strict=True) if p >= threshold)
        elif result["positive"] is None:
            said = names[int(np.argmax(probs))]
        else:
            k = names.index(result["positive"])
            said = names[k] if probs[k] >= threshold else names[1 - k]
        found[row["id"]] = said
    return found


def classes_of_predict(run: Path, files: list[Path], root: Path) -> dict[str, str]:
    predict(PredictConfig(run=run, images=tuple(files), out=Path("out.csv"), force=True))
    return {
        Path(row["path"]).relative_to(root).as_posix(): row["predicted"]
        for row in rows_of(Path("out.csv"))
    }


def middle_of(folder: Path, k: int) -> float:
    """A threshold between the probabilities of the images of an evaluation."""
    probs = [float(row[f"prob_{k}"]) for row in rows_of(folder / "predictions" / "test.csv")]
    return float(np.median(probs))


@pytest.mark.parametrize("views", ["one", "zoom"])
@pytest.mark.parametrize("sizes", ["alike", "mixed"])
def test_predict_and_evaluate_name_the_same_class(save_folder, sizes, views, lively):
    root = save_folder(classes=("dark", "light"), counts=(8, 8, 9))
    if sizes == "mixed":
        for number, path in enumerate(sorted(root.rglob("*.png"))):
            with Image.open(path) as image:
                wider = image.resize((16 + number % 5, 16 + number % 3))
            wider.save(path)
    run = trained(root, views=views)
    stored = read_spec(run).decision
    assert (stored.views, stored.chosen_on) == (views, "16 validation images of cells")
    first = evaluated(run)
    assert read_result(first)["views"] == views
    assert read_result(first)["model"]["threshold"] == stored.threshold
    decision = Decision(threshold=middle_of(first, 1), views=views, chosen_on="a tie")
    for changed in (
        run,
        deciding(run, "tie", decision),
        deciding(run, "all", Decision(), weights=0),
    ):
        folder = evaluated(changed)
        files = [root / name for name in classes_of_evaluation(folder)]
        found = classes_of_predict(changed, files, root)
        assert found == classes_of_evaluation(folder)
    assert set(found.values()) == {"light"}  # every probability is 0.5, from where it is positive
    probs = hq.load(changed).predict(files)
    assert hq.load(changed).decide(probs).tolist() == [1] * len(files)


def test_three_classes_and_several_labels(save_folder, save_npz, lively):
    root = save_folder()
    run = trained(root, views="flip")
    folder = evaluated(run)
    files = [root / name for name in classes_of_evaluation(folder)]
    assert classes_of_predict(run, files, root) == classes_of_evaluation(folder)
    assert read_spec(run).decision == Decision(views="flip")
    chest = save_npz("chest.npz", labels=3)
    run = trained(chest)
    folder = evaluated(run)
    model, images = hq.load(run), hq.load_data(str(chest)).splits["test"]
    named = classes_of_evaluation(folder)
    decided = model.decide(model.predict(images))
    assert decided.shape == (len(named), 3)
    assert [
        "+".join(name for name, said in zip(model.class_names, row, strict=True) if said)
        for row in decided
    ] == list(named.values())


def test_the_threshold_is_the_one_that_validation_chooses(save_folder, lively):
    root = save_folder(classes=("dark", "light"), counts=(8, 8, 5))
    run = trained(root, views="flip")
    model, spec = load_model(run, backend="statevector")
    val = hq.load_data(str(root)).splits["val"]
    on_val = classify(model, val, multilabel=False, views="flip")
    assert spec.decision.threshold == choose_threshold(val.labels == 1, on_val[:, 1])
    card = (run / "model" / "MODEL_CARD.md").read_text()
    assert f"{spec.decision.threshold:.3f}, the model's own" in card
    result = read_result(evaluated(run))
    assert (result["threshold_from"], result["views"]) == ("model", "flip")
    other = read_result(evaluated(run, views="one"))
    assert (other["threshold_from"], other["views"]) == ("model", "one")
    assert other["model"]["threshold"] == spec.decision.threshold
    assert any("The views are one in place of the model's own, flip" in n for n in other["notes"])


def test_few_validation_images_choose_nothing(save_folder, caplog):
    with caplog.at_level("INFO", logger="hybridq"):
        run = trained(save_folder(classes=("dark", "light"), counts=(8, 4, 5)))
    assert read_spec(run).decision == Decision()
    assert "the threshold is 0.5: of 8 validation images 4 are positive" in caplog.text
    assert read_result(evaluated(run))["threshold_from"] == "none"


def test_a_model_of_an_earlier_version(save_folder, caplog, lively):
    """It has no word of a decision in its config: validation chooses, and `predict` takes 0.5."""
    root = save_folder(classes=("dark", "light"), counts=(8, 8, 5))
    run = deciding(trained(root), "old", None)
    path = run / "model" / "config.json"
    config = json.loads(path.read_text())
    del config["decision"]
    path.write_text(json.dumps(config))
    result = json.loads((run / "result.json").read_text())
    (run / "result.json").write_text(json.dumps({**result, "hashes": hashes_of(run)}))
    assert read_spec(run).decision is None
    found = read_result(evaluated(run))
    assert found["threshold_from"] == "val"
    files = sorted((root / "test").rglob("*.png"))
    with caplog.at_level("WARNING", logger="hybridq"):
        predict(PredictConfig(run=run, images=tuple(files), out=Path("out.csv")))
    assert "no threshold is stored" in caplog.text
    for row in rows_of(Path("out.csv")):
        larger = float(row["prob_light"]) > float(row["prob_dark"])
        assert row["predicted"] == ("light" if larger else "dark")
    alone = read_result(evaluated(run, data=str(only_test(root))))
    assert alone["model"]["threshold"] == 0.5
    assert any("there is no validation split: it is 0.5" in note for note in alone["notes"])


def only_test(root: Path) -> Path:
    """A folder with the test split of another alone."""
    alone = root.parent / "alone"
    alone.mkdir()
    (root / "test").rename(alone / "test")
    return alone


def test_other_data_with_a_test_split_only(save_folder, lively):
    root = save_folder(classes=("dark", "light"), counts=(8, 8, 5))
    run = trained(root)
    same = read_result(evaluated(run, baselines=True))
    alone = only_test(root)
    result = read_result(evaluated(run, data=str(alone), baselines=True))
    assert result["model"] == same["model"]  # the images are the same, and so is the threshold
    assert result["baselines"] == same["baselines"]
    assert any("fitted on the data that the model was trained on" in n for n in result["notes"])
    whole = read_result(evaluated(run, data=str(alone), split="all"))
    assert whole["model"] == same["model"]
    (root / "train" / "dark").rename(root / "train" / "other")
    result = read_result(evaluated(run, data=str(alone), baselines=True))
    assert result["baselines"] == {}
    assert any("Baselines are left out" in note for note in result["notes"])
    found = hq.load(run).evaluate(str(alone), baselines=False, resamples=100)
    assert found.result["model"] == same["model"]


def test_another_order_of_the_classes(save_folder, tmp_path, lively):
    root = save_folder(classes=("dark", "grey", "light"), counts=(8, 8, 5))
    run = trained(root)
    data = hq.load_data(str(root))
    order = np.array([2, 0, 1])  # where each class comes to stand
    turned = {
        name: (split.images, order[split.labels], None) for name, split in data.splits.items()
    }
    other = hq.ImageData.from_arrays(
        **{name: part[:2] for name, part in turned.items()}, class_names=("grey", "light", "dark")
    )
    path = other.save(tmp_path / "turned.npz")
    assert (
        read_result(evaluated(run, data=str(path)))["model"] == read_result(evaluated(run))["model"]
    )
    assert (
        hq.load(run).evaluate(other, baselines=False, resamples=100).result["model"]
        == (read_result(evaluated(run))["model"])
    )


@pytest.mark.parametrize(
    ("own", "classes", "words"),
    [
        (("dark", "grey", "light"), ("dark", "light"), "it lacks grey"),
        (("dark", "light"), ("dark", "grey", "light"), "the model does not know grey"),
        (("dark", "light"), ("black", "light"), "lacks dark and the model does not know black"),
    ],
)
def test_other_classes_are_told_by_name(save_folder, own, classes, words):
    run = trained(save_folder(classes=own))
    other = save_folder("others", classes=classes)
    with pytest.raises(InvalidValueError, match=words):
        evaluated(run, data=str(other))


def test_all_images_of_the_runs_own_data_are_refused(save_folder, tmp_path):
    root = save_folder()
    run = trained(root)
    with pytest.raises(InvalidValueError, match="--data with --split all"):
        evaluated(run, split="all")
    with pytest.raises(InvalidValueError, match="was not trained on"):
        evaluated(run, data=str(root), split="all")
    with pytest.raises(InvalidValueError, match="was not trained on"):
        hq.load(run).evaluate(str(root), split="all")


def test_a_kill_before_the_decision_is_written_with_the_weights(save_folder):
    """The config is written first; the weights then still speak of one without a decision."""
    run = trained(save_folder(classes=("dark", "light"), counts=(8, 8, 5)))
    path, model = run / "model" / "config.json", hq.load(run)
    config = json.loads(path.read_text())
    assert ModelSpec.model_validate(config).decision is not None
    save_model(run / "model", model.module, model.spec.model_copy(update={"decision": None}))
    path.write_text(json.dumps(config))
    (run / "result.json").unlink()
    hashes_of(run)
    path.write_text(json.dumps({**config, "seed": 7}))
    with pytest.raises(InvalidValueError, match="one of the two was changed"):
        hashes_of(run)


def test_a_model_of_one_site_on_the_other(data_root, lively):
    """At its locked threshold, with one command; and every file of its own site as evaluated."""
    source = data_root / "wbc_sites"
    if not (source / "manifest.csv").is_file():
        pytest.skip("no wbc_sites in the data folder")
    run = trained(f"{source},site=site1,classes=lymphocyte+rest", epochs=1, batch_size=64)
    other = read_result(
        evaluated(run, data=f"{source},site=site2,classes=lymphocyte+rest", split="all")
    )
    assert (other["images"], other["positive"], other["threshold_from"]) == (
        100,
        "lymphocyte",
        "model",
    )
    assert other["model"]["threshold"] == read_spec(run).decision.threshold
    for folder, split in (
        (evaluated(run), "test"),
        (evaluated(run, data=f"{source},site=site2,classes=lymphocyte+rest", split="all"), "all"),
    ):
        named = classes_of_evaluation(folder, split)
        assert classes_of_predict(run, [source / name for name in named], source) == named


@pytest.fixture
def listed(save_folder):
    """Two classes in a manifest with a site, an age and a nearly empty column, and its splits."""
    root = save_folder(classes=("dark", "light"), counts=(12, 12, 24))
    rows = ["path,label,split,site,age,stage"]
    for number, path in enumerate(sorted(root.rglob("*.png"))):
        split, label, _ = path.relative_to(root).parts
        site = "north" if number % 2 else "south"
        label = {"dark": "light", "light": "dark"}[label] if number % 5 == 0 else label
        name = path.relative_to(root).as_posix()
        rows.append(f"{name},{label},{split},{site},{20 + number},{'late' if number < 3 else ''}")
    (root / "manifest.csv").write_text("\n".join(rows) + "\n")
    return root


def test_recalibration_is_told_apart(listed, capsys, lively):
    run = trained(listed)
    raw = read_result(evaluated(run))
    folder = evaluated(
        run, recalibrate=True, recalibration="platt", at_specificity=0.8, prevalence=0.1
    )
    result = read_result(folder)
    assert raw["recalibrated"] is None
    own, changed = result["model"], result["recalibrated"]
    assert {k: own["figures"][k] for k in raw["model"]["figures"]} == raw["model"]["figures"]
    assert own["threshold"] == raw["model"]["threshold"]
    assert changed["figures"]["auc"] == own["figures"]["auc"]  # the order of the images stays
    assert (changed["threshold_from"], changed["recalibration"]) == ("val", "platt")
    assert changed["fitted_on"] == "24 validation images of cells"
    assert set(changed["parameters"]) == {"scale", "offsets"}
    figures = own["figures"]
    hits = figures["sensitivity"]["value"] * 0.1
    alarms = (1 - figures["specificity"]["value"]) * 0.9
    assert figures["ppv"]["value"] == pytest.approx(hits / (hits + alarms), nan_ok=True)
    kept = rows_of(folder / "predictions" / "test.csv")
    moved = rows_of(folder / "predictions" / "test-recalibrated.csv")
    assert [row["id"] for row in kept] == [row["id"] for row in moved]
    assert [row["prob_1"] for row in kept] != [row["prob_1"] for row in moved]
    text = evaluation_table(result)
    for words in (
        "linear, recalibrated",
        "the model's own",
        "recalibrated: probabilities by platt and threshold",
        "sensitivity at specificity 0.8",
        "PPV at prevalence 0.1",
        "calibration slope",
        "brier",
    ):
        assert words in text
    found = json.loads((folder / "report.json").read_text())
    assert "linear, recalibrated" in [row[0] for row in found["tables"][0]["rows"]]
    assert main(["report", str(folder), "--out", "report.html"]) == 0
    options = {"resamples": 100, "baselines": False}
    beside = hq.load(run).evaluate(str(listed), recalibration="prior", **options)
    assert beside.recalibrated["auc"] == beside["auc"]
    assert beside["calibration_slope"].value == own["calibration"]["slope"]["value"]


def test_figures_by_subgroup(listed, lively):
    run = trained(listed)
    folder = evaluated(run, subgroups="site,age:30:50,stage")
    result = read_result(folder)
    groups = {(row["column"], row["value"]): row for row in result["subgroups"]}
    data = hq.load_data(str(listed)).splits["test"]
    ages, sites, stages = (data.columns[name] for name in ("age", "site", "stage"))
    ages = ages.astype(int)
    inside = {
        ("site", "north"): sites == "north",
        ("site", "south"): sites == "south",
        ("age", "below 30"): ages < 30,
        ("age", "30 to below 50"): (ages >= 30) & (ages < 50),
        ("age", "50 and above"): ages >= 50,
        ("stage", "late"): stages == "late",
        ("stage", "not stated"): stages == "",
    }
    assert list(groups) == list(inside)
    probs = [float(row["prob_1"]) for row in rows_of(folder / "predictions" / "test.csv")]
    said = np.array(probs) >= result["model"]["threshold"]
    for name, chosen in inside.items():
        row, positive = groups[name], data.labels[chosen] == 1
        assert row["images"] == chosen.sum()
        assert row["threshold"] == result["model"]["threshold"]
        assert row["small"] == (min(positive.sum(), (~positive).sum()) < 10)
        share = said[chosen][positive].mean() if positive.any() else None
        assert row["figures"]["sensitivity"]["value"] == share
    assert any(row["small"] for row in groups.values())
    text = evaluation_table(result)
    assert "late (small)" in text
    tables = json.loads((folder / "report.json").read_text())["tables"]
    assert "Figures by site, at the same threshold" in [table["title"] for table in tables]
    quartiles = read_result(evaluated(run, subgroups="age"))["subgroups"]
    assert [row["images"] for row in quartiles] == [12, 12, 12, 12]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"subgroups": "sex"}, "got 'sex', and the images of cells have age, site, stage"),
        ({"subgroups": "site:3"}, "numbers in the column 'site'"),
        ({"subgroups": "age:60:40"}, "edges of bands as rising numbers"),
        ({"recalibrate": True, "split": "val"}, "--split test with --recalibrate, got val"),
    ],
)
def test_what_cannot_be_told_beside_the_figures(listed, fields, words):
    run = trained(listed)
    with pytest.raises(InvalidValueError, match=words):
        evaluated(run, **fields)
    assert not list(Path("runs").glob("evaluate/*"))


def test_what_needs_two_classes_or_a_validation_split(save_folder):
    root = save_folder()
    run = trained(root)
    for fields in ({"recalibrate": True}, {"at_specificity": 0.9}, {"prevalence": 0.1}):
        with pytest.raises(InvalidValueError, match="a model of two classes with --"):
            evaluated(run, **fields)
    assert read_result(evaluated(run, recalibration="temperature"))["recalibrated"]
    with pytest.raises(HybridqError, match="a val split in alone for --recalibration"):
        evaluated(run, data=str(only_test(root)), recalibration="temperature")


def test_checklists_are_filled_from_the_run(listed, lively):
    run = trained(listed)
    folder = evaluated(run, subgroups="site", recalibration="temperature", checklist=True)
    text = (folder / "checklist.md").read_text()
    tripod, claim = text.split("## TRIPOD+AI")[1].split("## CLAIM")
    for part, last in ((tripod, 27), (claim, 44)):
        rows = [line.split(" | ") for line in part.splitlines() if line.startswith("| ")][1:]
        assert all(len(row) == 4 for row in rows)
        named = set()
        for row in rows:
            numbers = [int(number) for number in re.findall(r"[0-9]+", row[0])]
            named |= set(range(min(numbers), max(numbers) + 1))
            assert (row[2] == "from the run") == bool(row[3].strip(" |"))
        assert named == set(range(1, last + 1))
    result = read_result(folder)
    area = result["model"]["figures"]["auc"]
    for words in (
        f"auc {area['value']:.3f} [{area['low']:.3f}, {area['high']:.3f}]",
        f"threshold {result['model']['threshold']:.3f}, the model's own",
        "figures by site",
        "probabilities by temperature on 24 validation images of cells",
        "| 17 | ethical approval | to be filled by you |",
    ):
        assert words in text
    assert not (evaluated(run) / "checklist.md").exists()
