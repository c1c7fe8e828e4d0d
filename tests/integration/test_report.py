"""The report of tiny runs: complete, true to its sources, safe, the same every time."""

from __future__ import annotations

import csv
import itertools
import json
import re
import shutil

import pytest
import torch

from hybridq.cli import main as cli
from hybridq.config import EvaluateConfig, FinetuneConfig, head_config
from tests.integration.report_page import Page, make_report

SECTIONS = {
    "summary": "Summary",
    "about": "About the data and the models",
    "found-s3": "Noise",
    "found-s4": "Ablation",
    "found-s5": "Rehearsal on a simulated device",
    "results": "Results",
    "discrimination": "ROC and precision-recall",
    "confusion": "Confusion matrix",
    "calibration": "Calibration",
    "decision": "Decision curve",
    "training": "Training curves",
    "features": "Feature geometry",
    "gradcam": "Grad-CAM gallery",
    "cost": "Cost",
    "circuit": "Circuit",
    "card": "Model card",
    "sources": "Sources",
}
STARTS = {"simclr": "SimCLR frozen", "random": "random encoder", "pixels": "raw pixels"}


def called(model):
    """The page's name of an ablation's head on frozen features."""
    if model == "pixels-logistic":
        return "raw pixels, logistic regression"
    encoder, head = model.split("-")
    return f"{STARTS[encoder]}, {head}"


@pytest.fixture(scope="session")
def page(report_file):
    return Page(report_file.read_text(encoding="utf-8"))


def test_every_section_is_there(page):
    headings = {h.attributes["id"]: h.text for h in page.root.all("h2")}
    assert {name: headings.get(name) for name in SECTIONS} == SECTIONS
    (absent,) = (term.text for term in page.root.all("dl")[-1].all("dt"))
    assert absent == "Label efficiency"  # the evaluations are of one share
    contents = [a.attributes["href"] for a in page.root.all("nav")[0].all("a")]
    assert contents == [f"#{name}" for name in (*SECTIONS, "absent")]
    assert "Not a medical device" in page.root.all("header")[0].text


def test_every_drawing_is_there_and_tells_what_made_it(page):
    drawings = {f.attributes["id"]: f for f in page.root.all("figure") if "id" in f.attributes}
    kinds = {re.match(r"[a-z]+", name).group() for name in drawings}
    assert kinds == {
        "roc", "pr", "confusion", "calibration", "decision", "finetune", "pretrain",
        "embedding", "forest", "curves", "summary", "circuit", "differences",
    }  # fmt: skip
    for figure in drawings.values():
        assert len(figure.all("svg")) == 1
        (made,) = (e for e in figure.all("span") if e.attributes.get("class") == "made")
        assert "hybridq " in made.text
        assert made.all("a")


def test_every_picture_has_a_name_in_words(page):
    ids = page.by_id()
    drawings = page.root.all("svg")
    for svg in drawings:
        assert svg.attributes["role"] == "img"
        names = [ids[name] for name in svg.attributes["aria-labelledby"].split()]
        assert [name.tag for name in names] == ["title", "desc"]
        assert all(name.text for name in names)
    roc = ids["roc-e1-1-desc"].text
    assert re.search(r"area under the curve \d\.\d{3}", roc)
    pictures = page.root.all("img")
    assert len(pictures) == 4
    for image in pictures:
        assert re.search(
            r"(right|wrong): actual: .* / predicted: .*\. Probability of lesion "
            r"\d\.\d\d, threshold \d\.\d\d\. Most evidence: ",
            image.attributes["alt"],
        )


def test_ids_are_unique_and_links_lead_somewhere(page):
    ids = [e.attributes["id"] for e in page.elements() if "id" in e.attributes]
    assert len(ids) == len(set(ids))
    for element in page.elements():
        for name in ("href", "aria-labelledby"):
            for target in element.attributes.get(name, "").split():
                if name == "href":
                    assert target.startswith(("#", "data:"))
                    target = target.removeprefix("#")
                if not target.startswith("data:"):
                    assert target in ids, target
        for value in element.attributes.values():
            assert all(target in ids for target in re.findall(r"url\(#([^)]+)\)", value))


def test_nothing_is_loaded_from_elsewhere(page, report_file):
    tags = {element.tag for element in page.elements()}
    assert not tags & {"link", "iframe", "object", "embed", "base", "audio", "video", "source"}
    for element in page.elements():
        for name in ("src", "href", "xlink:href", "srcset", "data", "action", "poster"):
            value = element.attributes.get(name, "#")
            assert value.startswith(("#", "data:")), (element.tag, name, value)
    text = report_file.read_text(encoding="utf-8")
    assert not re.search(r"url\((?!#)|@import|https?://", text)
    assert len(page.root.all("script")) == 1


def test_headings_go_down_one_step_at_a_time(page):
    text = [e for e in in_order(page.root) if re.fullmatch(r"h[1-6]", e.tag)]
    levels = [int(heading.tag[1]) for heading in text]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))


def in_order(element):
    for child in element.children:
        yield child
        yield from in_order(child)


def test_tables_are_true_to_the_evaluations(page, evaluated):
    rows = next(r for caption, r in page.tables().items() if caption.startswith("Each evaluation"))
    by_name = {row[0]: dict(zip(rows[0], row, strict=True)) for row in rows[1:]}
    for folder in evaluated:
        result = json.loads((folder / "result.json").read_text())
        figures = result["model"]["figures"]
        shown = by_name[folder.name]
        for key, column in (("auc", "AUC"), ("balanced_accuracy", "balanced accuracy")):
            f = figures[key]
            expected = f"{f['value']:.3f} [{f['low']:.3f}, {f['high']:.3f}]"
            assert shown[column] == expected
        assert shown["model"] == f"SimCLR frozen, {result['head']}"
        assert shown["source"] in {"S1", "S2"}
    headline = next(r for c, r in page.tables().items() if c.startswith("Means over the training"))
    where = " phantom, test split, statevector"
    shown = {
        row[0].removesuffix(where): dict(zip(headline[0], row, strict=True)) for row in headline[1:]
    }
    assert {"SimCLR frozen, pqc", "SimCLR frozen, mlp"} <= set(shown)
    names = {
        "majority": "majority class (baseline)",
        "raw_pixels": "raw pixels, logistic regression (baseline)",
        "random_encoder": "random encoder, logistic regression (baseline)",
    }
    for name, entry in result["baselines"].items():
        f = entry["figures"]["specificity"]
        row = shown[names[name]]
        assert row["specificity"] == f"{f['value']:.3f} [{f['low']:.3f}, {f['high']:.3f}]"
        assert (row["labels"], row["seeds"]) == ("100%", "1")


def test_verdicts_are_those_of_the_study(page, ablation_folder):
    items = json.loads((ablation_folder / "comparisons.json").read_text())
    shown = page.root.text
    for item in items:
        words = item["words"].removeprefix(item["verdict"]).lstrip(", ")
        assert f"{called(item['a'])} against {called(item['b'])}: {words}." in shown
    rows = next(r for caption, r in page.tables().items() if caption.startswith("Verdicts"))
    verdicts = [cell.split()[0] for row in rows[1:] for cell in row[1:]]
    assert sorted(verdicts) == sorted(item["verdict"] for item in items)


def test_parameters_are_those_of_the_study(page, ablation_folder):
    with (ablation_folder / "ablation.csv").open(newline="") as file:
        expected = {called(row["model"]): row["parameters"] for row in csv.DictReader(file)}
    rows = next(r for caption, r in page.tables().items() if caption.startswith("Parameters of"))
    assert {row[0]: row[1].replace(",", "") for row in rows[1:]} == expected


def test_folders_inside_a_study_are_named_by_its_key(page, ablation_folder):
    (table,) = (t for t in page.root.all("table") if "keys" in t.attributes.get("class", ""))
    rows = [[cell.text for cell in row.children] for row in table.all("tr")[1:]]
    (study,) = (row[0] for row in rows if row[2] == str(ablation_folder))
    inside = sorted(ablation_folder.joinpath("encoders", "pretrain").glob("*/"))
    named = {row[2] for row in rows if row[2].startswith(f"{study}/")}
    assert inside
    assert named == {f"{study}/encoders/pretrain/{run.name}" for run in inside}


def test_a_rehearsal_is_never_called_hardware(page, submitted):
    tables = page.tables()
    rows = next(r for c, r in tables.items() if "against the model without noise" in c)
    assert [row[0] for row in rows[1:]] == [
        "without noise",
        "simulated noise",
        "rehearsal (a fake device)",
    ]
    assert "A rehearsal on a simulated device, not hardware" in page.root.text


def test_the_gallery_begins_with_the_worst_mistake(page, evaluated, finetuned_pqc):
    result = json.loads((evaluated[0] / "result.json").read_text())
    rows = [
        line.split(",") for line in (evaluated[0] / "predictions" / "test.csv").read_text().split()
    ]
    positive = result["class_names"].index(result["positive"])
    threshold = result["model"]["threshold"]
    wrong = []
    for name, label, *probs in rows[1:]:
        found = float(probs[positive]) >= threshold
        if found != (int(label) == positive):
            wrong.append((float(probs[int(label)]), name))
    alts = [image.attributes["alt"] for image in page.root.all("img")]
    assert ("wrong" in alts[0]) == bool(wrong)
    if wrong:
        assert alts[0].startswith(min(wrong)[1] + ",")


def test_the_same_input_gives_the_same_bytes(everything, report_file, tmp_path):
    """Also where another number of threads is set: the report computes on one."""
    again = tmp_path / "again.html"
    before = torch.get_num_threads()
    torch.set_num_threads(before + 2)
    try:
        assert make_report(everything, again, "--gallery", "4") == 0
        assert torch.get_num_threads() == before + 2
    finally:
        torch.set_num_threads(before)
    assert again.read_bytes() == report_file.read_bytes()


def test_what_is_absent_is_named_with_what_would_make_it(noise_study_folder, tmp_path):
    out = tmp_path / "noise.html"
    assert make_report([noise_study_folder], out) == 0
    page = Page(out.read_text(encoding="utf-8"))
    headings = {h.attributes["id"] for h in page.root.all("h2")}
    assert headings == {"contents", "summary", "found-s1", "cost", "sources", "absent"}
    terms = [term.text for term in page.root.all("dt")]
    titles = [SECTIONS[name] for name in SECTIONS if not name.startswith("found")]
    titles.insert(titles.index("Decision curve") + 1, "Label efficiency")
    titles.insert(titles.index("Results"), "On quantum hardware")
    assert terms == [title for title in titles if title not in ("Summary", "Cost", "Sources")]
    assert all(
        "hybridq" in remedy.text or "folder" in remedy.text for remedy in page.root.all("dd")
    )


def test_names_from_outside_cannot_act(save_folder, isolated):
    classes = ("<script>alert(1)<b>", "$x_1$ & 'q'", '"><img src=x onerror=alert(2)>')
    from hybridq.evaluation.evaluate import evaluate
    from hybridq.training.finetune import finetune

    data = save_folder("hostile", classes=classes)
    run = finetune(
        FinetuneConfig(data=str(data), head=head_config(name="linear"), epochs=1, batch_size=6)
    )
    folder = evaluate(EvaluateConfig(run=run, resamples=100))
    card = run / "model" / "MODEL_CARD.md"
    hostile = (
        "\n<script>alert(3)</script> ![a](http://example.org/a.png) [b](javascript:alert(4))\n"
    )
    card.write_text(card.read_text() + hostile)
    assert (
        make_report([folder], isolated / "r.html", "--title", "</title><script>alert(5)</script>")
        == 0
    )
    page = Page((isolated / "r.html").read_text(encoding="utf-8"))
    assert len(page.root.all("script")) == 1
    assert not any(name.startswith("on") for e in page.elements() for name in e.attributes)
    assert all(i.attributes["src"].startswith("data:image/png") for i in page.root.all("img"))
    assert all(a.attributes["href"].startswith("#") for a in page.root.all("a"))
    for name in classes:
        assert name in page.root.text


@pytest.mark.parametrize("kind", [{"classes": 9}, {"labels": 3}])
def test_several_classes_and_several_labels(save_npz, isolated, kind):
    from hybridq.evaluation.evaluate import evaluate
    from hybridq.training.finetune import finetune

    run = finetune(
        FinetuneConfig(
            data=str(save_npz(**kind)), head=head_config(name="linear"), epochs=1, batch_size=8
        )
    )
    folder = evaluate(EvaluateConfig(run=run, resamples=100))
    assert make_report([folder], isolated / "r.html") == 0
    page = Page((isolated / "r.html").read_text(encoding="utf-8"))
    headings = {h.attributes["id"] for h in page.root.all("h2")}
    assert "decision" not in headings  # no positive class
    assert {"discrimination", "calibration", "cost"} <= headings
    assert ("gradcam" in headings) == ("confusion" in headings) == ("classes" in kind)
    classes = json.loads((folder / "result.json").read_text())["class_names"]
    roc = page.by_id()["roc-e1-1-desc"].text
    assert all(f"{name}: area under the curve" in roc for name in classes)


def refused(capsys, *arguments):
    capsys.readouterr()
    assert cli.main([str(a) for a in arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    lines = [line for line in err.splitlines() if line.startswith("hybridq: error:")]
    assert len(lines) == 1
    assert "Traceback" not in err
    return lines[0]


def test_an_existing_file_is_kept_unless_force_is_given(noise_study_folder, isolated, capsys):
    out = isolated / "report.html"
    out.write_text("mine")
    assert "--force" in refused(capsys, "report", noise_study_folder, "--out", out)
    assert out.read_text() == "mine"
    assert make_report([noise_study_folder], out, "--force") == 0
    assert out.read_text().startswith("<!DOCTYPE html>")


def test_wrong_folders_are_refused_in_one_line(
    evaluated, noise_study_folder, isolated, capsys, tree
):
    before = tree(isolated)
    out = ("--out", "report.html")
    assert "is no folder" in refused(capsys, "report", "nowhere", *out)
    assert "config.json" in refused(capsys, "report", isolated, *out)
    assert "--out" in refused(capsys, "report", noise_study_folder)
    assert tree(isolated) == before
    unfinished = isolated / "unfinished"
    shutil.copytree(noise_study_folder, unfinished)
    (unfinished / "result.json").unlink()
    assert f"hybridq study noise --resume {unfinished}" in refused(
        capsys, "report", unfinished, *out
    )
    broken = isolated / "broken"
    shutil.copytree(evaluated[0], broken)
    (broken / "predictions" / "test.csv").write_text("id,label\n1\n")
    assert "predictions" in refused(capsys, "report", broken, *out)
    result = json.loads((broken / "result.json").read_text())
    del result["train_seed"]
    (broken / "result.json").write_text(json.dumps(result))
    assert "train_seed" in refused(capsys, "report", broken, *out)
    (broken / "result.json").write_text("{")
    assert "result.json" in refused(capsys, "report", broken, *out)
    assert not (isolated / "report.html").exists()
