"""What the page says of an ablation, as of any study that compares models."""

from __future__ import annotations

import numpy as np
import pytest

from hybridq.errors import InvalidValueError
from hybridq.reports.page.elements import Figure, Fold, Table, Terms, Text
from hybridq.reports.sections.confusion import confusion
from hybridq.reports.sections.found import found
from hybridq.reports.sections.introduction import about
from hybridq.reports.sections.performance import Resampling, decision, discrimination
from hybridq.reports.sections.resources import resources
from hybridq.reports.sections.summary import MOST_ROWS, summary
from hybridq.reports.sources.predictions import study_facets
from tests.unit.test_reports.conftest import comparison


def parts_of(make_source):
    return found(make_source.all())[0].parts


def table_of(parts, start):
    return next(p for p in parts if isinstance(p, Table) and p.caption.startswith(start))


def column(table, name):
    k = table.columns.index(name)
    return [row[k].text for row in table.rows]


def topic_sentence(parts):
    return next(p.text for p in parts if isinstance(p, Text) and p.strong == "Quantum layer")


def test_two_ablations_on_the_same_data_share_no_drawing(make_source, make_ablation):
    make_ablation("first")
    make_ablation("second")
    *sections, _ = found(make_source.all())
    assert [section.title for section in sections] == ["Ablation: first", "Ablation: second"]
    figures = [p for section in sections for p in section.parts if isinstance(p, Figure)]
    assert len({figure.name for figure in figures}) == len(figures) > 2
    assert all(len(figure.sources) == 1 for figure in figures)
    facets = study_facets(make_source.all())
    assert len({facet.title for facet in facets}) == len(facets) == 4


def test_one_ablation_is_named_by_its_data_alone(make_source, make_ablation):
    make_ablation("first")
    assert {facet.data for facet in study_facets(make_source.all())} == {"cells"}


def test_there_is_a_sentence_for_each_topic(make_source, make_ablation):
    make_ablation("one", comparisons=[comparison(labels=0.1, verdict="equivalent"), comparison()])
    said = topic_sentence(parts_of(make_source))
    assert said.startswith("With all labels the highest mean AUC among the models")
    assert "0.900, of SimCLR frozen, pqc." in said
    assert "SimCLR frozen, pqc less SimCLR frozen, mlp: +0.100 [+0.020, +0.180], undecided." in said
    assert said.endswith("2 comparisons in 2 settings: 1 equivalent, 1 undecided.")


def test_the_verdicts_say_what_holds_together_and_what_alone(make_source, make_ablation):
    make_ablation("one")
    caption = table_of(parts_of(make_source), "Verdicts").caption
    assert "An interval is of its comparison alone" in caption
    assert "all 4 comparisons together (Holm's correction)" in caption
    assert "leave out 0 while the verdict is undecided" in caption


def test_families_are_told_where_there_are_two(make_source, make_ablation):
    other = {"a": "simclr-pqc_residual", "b": "simclr-mlp_residual"}
    make_ablation(
        "one",
        comparisons=[
            comparison(family_size=22),
            comparison(family="residual", primary=False, family_size=8, **other),
        ],
    )
    parts = parts_of(make_source)
    caption = table_of(parts, "Verdicts").caption
    assert "(circuit: 22, residual: 8)" in caption
    said = topic_sentence(parts)
    assert "SimCLR frozen, pqc less SimCLR frozen, mlp: +0.100" in said
    assert "SimCLR frozen, pqc_residual less SimCLR frozen, mlp_residual: +0.100" in said


def test_what_would_decide_a_comparison(make_source, make_ablation):
    make_ablation(
        "one",
        comparisons=[
            comparison(),
            comparison(images_needed=None, seeds_needed=19),
            comparison(
                images_needed=None,
                words="undecided, more training seeds and more test images are needed (AUC)",
            ),
            comparison(verdict="better", images_needed=None),
        ],
    )
    table = table_of(parts_of(make_source), "Comparisons")
    assert column(table, "what would decide it") == [
        "about 390 test images",
        "about 19 training seeds",
        "more seeds and more images",
        "it is decided",
    ]
    assert column(table, "p, equivalent") == ["<0.001"] * 4
    assert "units of its standard deviation over the seeds" in table.caption


def test_differences_have_one_axis(make_source, make_ablation, monkeypatch):
    limits = []
    monkeypatch.setattr(
        "hybridq.evaluation.drawings.forest",
        lambda axes, rows, **settings: limits.append(settings["xlim"]),
    )
    make_ablation("one", comparisons=[comparison(), comparison(labels=0.1, low=-0.4, high=0.6)])
    figures = [p for p in parts_of(make_source) if isinstance(p, Figure)]
    figures = [figure for figure in figures if figure.name.startswith("differences")]
    assert len(figures) == 2
    assert len(set(limits)) == 1
    assert limits[0][0] < -0.4
    assert limits[0][1] > 0.6
    assert all("comparison alone" in figure.caption for figure in figures)


def test_the_page_begins_with_two_sentences_and_a_picture(make_source, make_ablation):
    topics = [f"topic {k}" for k in range(MOST_ROWS - 1)]
    make_ablation("one", comparisons=[comparison(topic=t) for t in topics for _ in range(2)])
    first, picture, *_ = summary(make_source.all(), []).parts
    assert first.text.count(". ") == 1
    assert "? With all labels undecided (+0.100); " in first.text
    assert isinstance(picture, Figure)
    assert picture.description.count("undecided.") == MOST_ROWS - 1
    assert "18 comparisons" in picture.caption
    assert "the section Ablation has all" in picture.caption


def test_every_figure_of_every_model_is_there(make_source, make_ablation):
    make_ablation("one")
    parts = parts_of(make_source)
    assert column(table_of(parts, "Mean AUC"), "all labels") == ["0.800", "0.800"]
    folded = [part.parts[0] for part in parts if isinstance(part, Fold)]
    every = table_of(folded, "Every model at every budget")
    assert column(every, "model") == ["SimCLR frozen, pqc"] * 2 + ["SimCLR frozen, mlp"] * 2
    assert column(every, "accuracy") == ["0.800"] * 4
    labelled = table_of(folded, "Labelled images")
    assert column(labelled, "labels") == ["10% of the labels", "all labels"]
    assert column(labelled, "train images") == ["10", "100"]
    assert column(labelled, "subsets") == ["4", "4"]
    assert column(table_of(folded, "Parameters"), "of the circuit") == ["2", "2"]


def test_a_study_without_a_positive_class(make_source, make_ablation):
    make_ablation("one", positive=None)
    facets = study_facets(make_source.all())
    assert confusion(facets).parts
    assert discrimination(facets, Resampling(100, 0)).parts
    assert decision(facets, Resampling(100, 0)).parts == ()


def test_the_block_about_the_data(make_source, make_ablation):
    make_ablation("one")
    parts = about(study_facets(make_source.all()), make_source.all(), None).parts
    images = table_of(parts, "Images")
    assert column(images, "class") == ["malignant", "benign"]
    assert column(images, "images") == ["20", "20"]
    assert column(images, "prevalence") == ["50.0%", "50.0%"]
    (thresholds,) = (p.text for p in parts if isinstance(p, Text))
    assert "best balanced accuracy on validation" in thresholds
    (terms,) = (part.terms for part in parts if isinstance(part, Terms))
    assert {"pqc", "seed", "frozen", "raw pixels", "from scratch"} <= {term for term, _ in terms}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda of: of.pop("ids"), "without 'ids'"),
        (lambda of: of.update(ids=np.array(["twice"] * 40)), "other images"),
        (lambda of: of.update(labels=of["labels"][:-1]), "other images"),
        (lambda of: of.update(class_names=np.array(["a", "b"])), "other images"),
        (lambda of: of.pop("1/simclr-pqc"), "3 seeds of '1/simclr-pqc'"),
        (lambda of: of.update({"1/simclr-pqc": of["1/simclr-pqc"][:2]}), "3 seeds of"),
        (lambda of: of.update({"1/simclr-pqc": of["1/simclr-pqc"] * 2}), "probabilities"),
    ],
)
def test_predictions_of_something_else_are_refused(make_source, make_ablation, change, message):
    path = make_ablation("one").folder / "predictions.npz"
    with np.load(path) as file:
        arrays = dict(file)
    change(arrays)
    np.savez(path, **arrays)
    with pytest.raises(InvalidValueError, match=rf"^Expected .*{message}"):
        study_facets(make_source.all())


def test_seconds_that_are_no_number_are_refused_in_one_line(make_source, make_ablation):
    source = make_ablation("one")
    (source.folder / "seconds.csv").write_text("stage,units,seconds\nfeatures,1,\n")
    with pytest.raises(InvalidValueError, match=r"^Expected a number of seconds .* go on"):
        resources([], make_source.all(), {}, 65.0)


def test_a_folder_without_seconds_is_named(make_source, make_ablation):
    source = make_ablation("one")
    (source.folder / "seconds.csv").write_text("stage,units,seconds\nfeatures,1,2.5\n")
    study = make_source("study noise", result={"data": "cells"})
    section = resources([], make_source.all(), {}, 65.0)
    (told,) = (p.text for p in section.parts if isinstance(p, Text) and p.strong == "Left out")
    assert told.startswith(f"{study.key} (`hybridq study noise`)")
    assert source.key not in told
