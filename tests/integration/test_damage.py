"""Folders that were damaged or edited by hand: refused in one line that names the file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from hybridq.cli import main as cli

pytestmark = pytest.mark.usefixtures("isolated", "single_thread")


def edited(change):
    """A change to what a JSON file holds."""

    def apply(path):
        value = json.loads(path.read_text())
        change(value)
        path.write_text(json.dumps(value))

    return apply


def put(*place, value):
    """Another value in a place of a JSON file."""

    def change(found):
        for key in place[:-1]:
            found = found[key]
        found[place[-1]] = value

    return edited(change)


def rows(change):
    """A change to the rows of a CSV file, lists of cells, the header the first."""

    def apply(path):
        lines = [line.split(",") for line in path.read_text().splitlines()]
        path.write_text("".join(",".join(line) + "\n" for line in change(lines)))

    return apply


def cell(column, text):
    """Another text in the first row of a column."""

    def change(lines):
        lines[1][lines[0].index(column)] = text
        return lines

    return rows(change)


def flipped(lines):
    return [lines[0], *([name, str(1 - int(label)), *rest] for name, label, *rest in lines[1:])]


def without(column):
    def change(lines):
        k = lines[0].index(column)
        return [line[:k] + line[k + 1 :] for line in lines]

    return rows(change)


def arrays(change):
    """A change to the arrays of an `.npz`."""

    def apply(path):
        with np.load(path) as file:
            found = dict(file)
        change(found)
        np.savez(path, **found)

    return apply


def halved(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def latin(path):
    path.write_bytes(b"Gr\xfc\xdfe\n" + path.read_bytes())


def doubled_key(found):
    found["ids"] = np.array(["twice"] * len(found["ids"]))


PREDICTIONS = {
    "cut": (rows(lambda lines: lines[:5]), "4 images where result.json says 10"),
    "doubled": (rows(lambda lines: [*lines, *lines[1:]]), "20 images where"),
    "an image twice": (rows(lambda lines: [*lines[:-1], lines[1]]), "twice"),
    "labels flipped": (rows(flipped), "the figures of the predictions"),
    "a number cut": (
        rows(lambda lines: [*lines[:2], [*lines[2][:2], lines[2][2][:9], lines[2][3]], *lines[3:]]),
        "as the probabilities of",
    ),
    "nan": (cell("prob_0", "nan"), "as the probabilities of"),
    "above one": (cell("prob_0", "7"), "as the probabilities of"),
    "an unknown class": (cell("label", "9"), "'9' as the label"),
    "no rows": (rows(lambda lines: lines[:1]), "0 images"),
    "a column less": (without("prob_1"), "not those of 2 classes"),
    "latin-1": (latin, "damaged text"),
    "gone": (Path.unlink, "No such file"),
}
EVALUATION = {
    "a number as text": (put("model", "threshold", value="0.5"), "'model.threshold'"),
    "figures as a list": (put("model", "figures", value=[]), "'model.figures'"),
    "another figure": (put("model", "figures", "auc", "value", value=0.999), "auc"),
    "no figure": (edited(lambda r: r["model"]["figures"].pop("accuracy")), "accuracy"),
    "an interval turned": (put("model", "figures", "auc", "low", value=2.0), "'model.figures"),
    "more images": (put("images", value=11), "10 images where result.json says 11"),
    "classes as text": (put("class_names", value="ab"), "'class_names'"),
    "an unknown positive": (put("positive", value="unicorn"), "unicorn"),
    "no backend": (edited(lambda r: r.pop("backend")), "one without 'backend'"),
    "cut": (halved, "JSON"),
}
EDITED = "a damaged or edited file"
STUDIES = {
    "noise": {
        ("result.json", "models"): (put("models", value=7), "'models'"),
        ("result.json", "images"): (put("images", value=3), EDITED),
        ("summary.csv", "cut"): (rows(lambda lines: lines[:-3]), EDITED),
        ("summary.csv", "edited"): (cell("mean", "0.999"), EDITED),
        ("study.csv", "cut"): (rows(lambda lines: lines[:-1]), EDITED),
        ("study.csv", "a column less"): (without("noiseless_auc"), EDITED),
        ("study.csv", "gone"): (Path.unlink, "no such file"),
        ("flips.csv", "a share"): (cell("flipped_at_1", "7"), EDITED),
        ("flips.csv", "cut"): (rows(lambda lines: lines[:-1]), EDITED),
        ("environment.json", "versions"): (put("versions", value=[1]), "'versions'"),
        ("config.json", "seed"): (put("seed", value="0"), "'seed'"),
        ("report.json", "cut"): (halved, "JSON"),
        ("report.json", "gone"): (Path.unlink, "--resume"),
        ("report.json", "no command"): (edited(lambda found: found.pop("command")), "--resume"),
        ("report.json", "a table"): (put("tables", 0, "rows", 0, value=[1]), "'tables.0'"),
        ("report.json", "a curve"): (put("curves", 0, "curves", 0, "x", value=[1]), "curves"),
    },
    "ablation": {
        ("result.json", "seeds"): (put("seeds", value=0), "'seeds'"),
        ("result.json", "margin"): (put("margin", value=None), "'margin'"),
        ("ablation.csv", "cut"): (halved, EDITED),
        ("ablation.csv", "edited"): (cell("auc", "0.123"), EDITED),
        ("ablation.csv", "no model"): (cell("model", ""), EDITED),
        ("summary.csv", "edited"): (cell("mean", "0.123"), EDITED),
        ("summary.csv", "doubled"): (rows(lambda lines: [*lines, lines[1]]), EDITED),
        ("comparisons.json", "object"): (lambda path: path.write_text("{}"), EDITED),
        ("comparisons.json", "verdict"): (put(0, "verdict", value="won"), EDITED),
        ("predictions.npz", "cut"): (halved, EDITED),
        ("predictions.npz", "no ids"): (arrays(lambda found: found.pop("ids")), EDITED),
        ("predictions.npz", "ids twice"): (arrays(doubled_key), EDITED),
        ("seconds.csv", "no number"): (cell("seconds", "long"), "seconds"),
        ("report.json", "verdict"): (
            put("compared", "items", 0, "verdict", value="won"),
            "'compared.items.0.verdict'",
        ),
        ("report.json", "no question"): (
            edited(lambda found: found["compared"]["items"][0].pop("question")),
            "without 'compared.items.0.question'",
        ),
        ("report.json", "a path"): (put("predictions", "file", value="../x.npz"), "predictions"),
    },
}
FINETUNE = {
    ("metrics.jsonl", "strings"): (lambda path: path.write_text('"a"\n"b"\n'), "JSON object"),
    ("metrics.jsonl", "latin-1"): (latin, "damaged text"),
    ("metrics.jsonl", "twice"): (
        lambda path: path.write_text(path.read_text() * 2),
        "each epoch once",
    ),
    ("metrics.jsonl", "a text"): (
        lambda path: path.write_text(path.read_text().replace('"loss": ', '"loss": "x", "l": ')),
        "'loss'",
    ),
    ("model/MODEL_CARD.md", "latin-1"): (latin, "damaged text"),
    ("result.json", "epochs"): (put("epochs", value="2"), "'epochs'"),
    ("result.json", "fewer"): (put("epochs", value=1), "1 rows"),
}


@pytest.fixture
def refused(capsys):
    """Run a command, which has to refuse in one line; the line."""

    def call(*arguments):
        capsys.readouterr()
        assert cli.main([str(argument) for argument in arguments]) == 2
        out, err = capsys.readouterr()
        said = [line for line in err.splitlines() if line.startswith("hybridq: error: ")]
        assert (out, len(said)) == ("", 1), err
        assert "Traceback" not in err
        return said[0]

    return call


@pytest.fixture
def report_refuses(refused):
    """Damage one file of a copy of a folder; what the report says then, which names the file."""

    def call(folder, name, damage):
        shutil.copytree(folder, "copy")
        damage(Path("copy", name))
        said = refused("report", "copy", "--out", "report.html")
        assert not Path("report.html").exists()
        return said

    return call


@pytest.mark.parametrize("fault", PREDICTIONS)
def test_predictions_that_do_not_fit_their_result(evaluated, report_refuses, fault):
    damage, words = PREDICTIONS[fault]
    said = report_refuses(evaluated[0], "predictions/test.csv", damage)
    assert words in said
    assert "test.csv" in said or "result.json" in said


@pytest.mark.parametrize("fault", EVALUATION)
def test_a_damaged_result(evaluated, report_refuses, fault):
    damage, words = EVALUATION[fault]
    said = report_refuses(evaluated[0], "result.json", damage)
    assert words in said
    assert "copy/result.json" in said or "copy/predictions" in said


@pytest.mark.parametrize("fault", STUDIES["noise"], ids=" ".join)
def test_a_damaged_noise_study(noise_study_folder, report_refuses, fault):
    damage, words = STUDIES["noise"][fault]
    said = report_refuses(noise_study_folder, fault[0], damage)
    assert words in said
    assert fault[0] in said


@pytest.mark.parametrize("fault", STUDIES["ablation"], ids=" ".join)
def test_a_damaged_ablation(ablation_folder, report_refuses, fault):
    damage, words = STUDIES["ablation"][fault]
    said = report_refuses(ablation_folder, fault[0], damage)
    assert words in said
    assert fault[0] in said


@pytest.mark.parametrize("fault", FINETUNE, ids=" ".join)
def test_a_damaged_training(finetuned, report_refuses, fault):
    damage, words = FINETUNE[fault]
    said = report_refuses(finetuned, fault[0], damage)
    assert words in said
    assert f"copy/{fault[0]}" in said or "copy/metrics.jsonl" in said


UNIT = "units/noise/s*-x0.json"

RESUMED = {
    (UNIT, "edited"): edited(lambda unit: unit["rows"][0].update(auc=0.999)),
    (UNIT, "no rows"): edited(lambda unit: unit.pop("rows")),
    (UNIT, "cut"): halved,
    (UNIT, "latin-1"): latin,
    (UNIT, "a string"): lambda path: path.write_text('"a"'),
    ("environment.json", "a list"): lambda path: path.write_text("[]"),
    ("environment.json", "cut"): halved,
    ("environment.json", "resumed"): put("resumed", value="yes"),
}


@pytest.mark.parametrize("fault", RESUMED, ids=" ".join)
def test_a_noise_study_does_not_go_on_with_damage(noise_study_folder, refused, tree, fault):
    shutil.copytree(noise_study_folder, "copy")
    (damaged,) = Path("copy").glob(fault[0])
    RESUMED[fault](damaged)
    before = tree("copy")
    assert str(damaged) in refused("study", "noise", "--resume", "copy")
    after = tree("copy")
    kept = {name for name in before if name not in ("log.txt", "environment.json")}
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}


UNITS = {
    "edited": edited(lambda unit: unit.update(epochs=99)),
    "seconds alone": lambda path: path.write_text('{"seconds": 1.0}'),
    "cut": halved,
    "latin-1": latin,
}


@pytest.mark.parametrize("fault", UNITS)
def test_an_ablation_does_not_go_on_with_damage(ablation_folder, refused, fault):
    shutil.copytree(ablation_folder, "copy")
    (unit, *_) = sorted(Path("copy/units/encoders").iterdir())
    UNITS[fault](unit)
    said = refused("study", "ablation", "--resume", "copy")
    assert str(unit) in said
    assert "remove it, and it is computed again" in said


@pytest.mark.parametrize("damage", [halved, Path.unlink, lambda path: np.savez(path, train=[1])])
def test_damaged_features_are_told_with_the_remedy(ablation_folder, refused, damage):
    """numpy's advice to load a file unsafely is not handed on; the unit goes with its features."""
    shutil.copytree(ablation_folder, "copy")
    features = sorted(Path("copy/features").glob("random*.npz"))[0]
    damage(features)
    for unit in Path("copy/units/frozen").glob("random*"):
        unit.unlink()
    said = refused("study", "ablation", "--resume", "copy")
    assert str(features.resolve()) in said or str(features) in said
    assert f"units/features/{features.stem}.json" in said
    assert "pickle" not in said


@pytest.mark.parametrize("damage", [halved, Path.unlink, lambda path: np.savez(path, train=[1])])
def test_damage_to_what_units_kept_is_told_with_the_remedy(ablation_folder, refused, damage):
    shutil.copytree(ablation_folder, "copy")
    kept = sorted(Path("copy/kept").iterdir())[0]
    damage(kept)
    said = refused("study", "ablation", "--resume", "copy")
    assert str(kept) in said
    assert f"units/frozen/{kept.stem}.json, and they are computed again" in said
