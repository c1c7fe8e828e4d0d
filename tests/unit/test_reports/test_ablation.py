"""What the page says of an ablation, and which faults of its files it refuses."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hybridq.data.sources import arrays as data_arrays
from hybridq.errors import InvalidValueError
from hybridq.reports.ablation.comparisons import comparisons
from hybridq.reports.ablation.curves import ablation_facets, ablation_points
from hybridq.reports.ablation.files import read_ablations
from hybridq.reports.ablation.label_curve import label_curve
from hybridq.reports.ablation.verdicts import headline, summary_parts
from hybridq.reports.page.elements import Figure, Table, Terms, Text
from hybridq.reports.sections.confusion import confusion
from hybridq.reports.sections.introduction import about
from hybridq.reports.sections.performance import Resampling, decision, discrimination
from hybridq.reports.sections.resources import resources
from tests.unit.test_reports.conftest import comparison


def read(make_source):
    return read_ablations(make_source.all(), None)


def table_of(parts, start):
    return next(p for p in parts if isinstance(p, Table) and p.caption.startswith(start))


def topic_sentences(ablation):
    texts = [part.text for part in summary_parts([ablation]) if isinstance(part, Text)]
    return [text for text in texts if "highest" in text]


def column(table, name):
    k = table.columns.index(name)
    return [row[k].text for row in table.rows]


def test_two_ablations_on_the_same_data_share_no_line(make_source, make_ablation):
    make_ablation("first")
    make_ablation("second")
    ablations = read(make_source)
    figures = label_curve(list(ablation_points(ablations))).parts
    assert len({figure.title for figure in figures}) == len(figures) > 1
    for figure in figures:
        assert ("first" in figure.title) != ("second" in figure.title)
        assert len(figure.sources) == 1
        assert figure.description.count("SimCLR frozen, pqc:") == 1
    facets = ablation_facets(ablations)
    assert len({facet.title for facet in facets}) == len(facets) == 4
    titles = [part.strong for part in summary_parts(ablations) if isinstance(part, Text)]
    assert titles[0] != titles[3]


def test_one_ablation_is_named_by_its_data_alone(make_source, make_ablation):
    make_ablation("first")
    (ablation,) = read(make_source)
    assert ablation.title == "cells"


def test_the_summary_has_a_sentence_for_each_topic(make_source, make_ablation):
    make_ablation("one", comparisons=[comparison(), comparison(labels=0.1, verdict="equivalent")])
    (ablation,) = read(make_source)
    (said,) = topic_sentences(ablation)
    assert said.startswith("With 100% of the labels the highest mean AUC among the models")
    assert "0.900, of SimCLR frozen, pqc (sensitivity 0." in said
    assert "SimCLR frozen, pqc less SimCLR frozen, mlp: +0.100 [+0.020, +0.180], undecided." in said
    assert said.endswith("2 comparisons at 2 shares of the labels: 1 equivalent, 1 undecided.")


def test_the_verdicts_say_what_holds_together_and_what_alone(make_source, make_ablation):
    make_ablation("one")
    (ablation,) = read(make_source)
    caption = table_of(summary_parts([ablation]), "Verdicts").caption
    assert "An interval is of its comparison alone" in caption
    assert "all 4 comparisons of the study together (Holm's correction)" in caption
    assert "leave out 0 while the verdict is undecided" in caption


def test_families_are_told_where_there_are_two(make_source, make_ablation):
    whole = {"a": "whole-simclr-pqc", "b": "whole-simclr-mlp"}
    make_ablation(
        "one",
        comparisons=[
            comparison(family="frozen features", family_size=22),
            comparison(family="whole networks", family_size=8, **whole),
        ],
    )
    (ablation,) = read(make_source)
    caption = table_of(summary_parts([ablation]), "Verdicts").caption
    assert "(frozen features: 22, whole networks: 8)" in caption
    (said,) = topic_sentences(ablation)
    assert "SimCLR fine-tuned, pqc less SimCLR fine-tuned, mlp: +0.100" in said


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
    table = table_of(comparisons(read(make_source)).parts, "Comparisons")
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
        "hybridq.reports.ablation.comparisons.forest",
        lambda axes, rows, **settings: limits.append(settings["xlim"]),
    )
    make_ablation("one", comparisons=[comparison(), comparison(labels=0.1, low=-0.4, high=0.6)])
    figures = [p for p in comparisons(read(make_source)).parts if isinstance(p, Figure)]
    assert len(figures) == 2
    assert len(set(limits)) == 1
    assert limits[0][0] < -0.4
    assert limits[0][1] > 0.6
    assert all("comparison alone" in figure.caption for figure in figures)


def test_sensitivity_and_specificity_stand_beside_the_auc(make_source, make_ablation):
    source = make_ablation("one")
    (ablation,) = read(make_source)
    table = headline(ablation)[1]
    assert "60 validation images" in table.caption
    with np.load(source.folder / "predictions.npz") as file:
        found, actual = file["1/simclr-pqc"][:, :, 0] >= 0.5, file["labels"] == 0
    expected = [f"{found[:, actual].mean():.3f}", f"{1 - found[:, ~actual].mean():.3f}"]
    k = column(table, "model").index("SimCLR frozen, pqc")
    assert [column(table, n)[k] for n in ("sensitivity", "specificity")] == expected


def test_nothing_is_downloaded_and_an_unknown_positive_class_is_told(
    make_source, make_ablation, monkeypatch, isolated
):
    asked = []

    def refuse(entry, size, root, *, download):
        asked.append(download)
        raise InvalidValueError("Expected data on disk, got none: fetch them.")

    monkeypatch.setattr(data_arrays, "ensure_file", refuse)
    make_ablation("one", positive="unknown")
    ablations = read(make_source)
    assert asked == [False]
    assert not ablations[0].knows_positive
    facets = ablation_facets(ablations)
    assert confusion(facets).parts == decision(facets, Resampling(100, 0)).parts == ()
    assert discrimination(facets, Resampling(100, 0)).parts
    assert "sensitivity" not in headline(ablations[0])[1].columns
    told = [p for p in about([], ablations, make_source.all(), None).parts if isinstance(p, Text)]
    assert told[-1].strong == "Positive class unknown"
    assert "decision curves" in told[-1].text


def test_a_study_without_a_positive_class_is_not_called_unknown(make_source, make_ablation):
    make_ablation("one", positive=None)
    ablations = read(make_source)
    assert ablations[0].knows_positive
    assert confusion(ablation_facets(ablations)).parts


def test_the_block_about_the_data(make_source, make_ablation):
    make_ablation("one")
    ablations = read(make_source)
    parts = about([], ablations, make_source.all(), None).parts
    images = table_of(parts, "Images")
    assert column(images, "class") == ["malignant", "benign"]
    assert column(images, "images") == ["20", "20"]
    assert column(images, "prevalence") == ["50.0%", "50.0%"]
    labelled = table_of(parts, "Labelled")
    assert column(labelled, "labels") == ["10%", "100%"]
    assert column(labelled, "train images") == ["10", "100"]
    assert column(labelled, "validation images") == ["6", "60"]
    (thresholds,) = (p.text for p in parts if isinstance(p, Text))
    assert "best balanced accuracy on validation" in thresholds
    assert "as few as 6 images" in thresholds
    (terms,) = (part.terms for part in parts if isinstance(part, Terms))
    assert {"pqc", "seed", "frozen", "raw pixels", "from scratch"} <= {term for term, _ in terms}


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"difference": None}, "difference"), ({"question": None}, "question")],
)
def test_a_comparison_without_its_fields_is_refused_in_one_line(
    make_source, make_ablation, changes, named
):
    make_ablation("one", comparisons=[comparison(**changes)])
    with pytest.raises(InvalidValueError, match=rf"^Expected .*, got .*{named}.*: go on .*$"):
        read(make_source)


def test_a_comparison_without_its_question_is_refused_in_one_line(make_source, make_ablation):
    source = make_ablation("one")
    path = source.folder / "comparisons.json"
    items = json.loads(path.read_text())
    del items[0]["question"]
    path.write_text(json.dumps(items))
    with pytest.raises(InvalidValueError, match=r"^Expected comparisons .*'0\.question'"):
        read(make_source)


def test_seconds_that_are_no_number_are_refused_in_one_line(make_source, make_ablation):
    source = make_ablation("one")
    (source.folder / "seconds.csv").write_text("stage,units,seconds\nfeatures,1,\n")
    with pytest.raises(InvalidValueError, match=r"^Expected a number of seconds .*: go on"):
        resources([], read(make_source), make_source.all(), {}, 65.0)


def test_a_folder_without_seconds_is_named(make_source, make_ablation):
    source = make_ablation("one")
    (source.folder / "seconds.csv").write_text("stage,units,seconds\nfeatures,1,2.5\n")
    study = make_source("study noise", result={"data": "cells"})
    section = resources([], read(make_source), make_source.all(), {}, 65.0)
    (told,) = (p.text for p in section.parts if isinstance(p, Text) and p.strong == "Left out")
    assert told.startswith(f"{study.key} (`hybridq study noise`)")
    assert source.key not in told
