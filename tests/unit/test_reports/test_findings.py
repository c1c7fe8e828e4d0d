"""What every command leaves in `report.json`, and runs of earlier versions, which have none."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from hybridq.errors import InvalidValueError
from hybridq.records.findings import (
    Curve,
    Estimate,
    Findings,
    ResultTable,
    check_beside,
    hashes_beside,
    plain,
    read_findings,
    shown,
    write_findings,
)
from tests.integration.report_page import make_report


@pytest.mark.trains
def test_an_evaluation_says_its_figures(evaluated):
    found = read_findings(evaluated[0])
    result = json.loads((evaluated[0] / "result.json").read_text())
    assert (found.command, found.data) == ("evaluate", "phantom")
    area = result["model"]["figures"]["auc"]
    assert f"Its AUC is {area['value']:.3f} [{area['low']:.3f}," in found.sentences[1]
    (forest,) = found.forests
    assert [row.label for row in forest.rows] == [
        "pqc",
        "majority class",
        "raw pixels, logistic regression",
        "random encoder, logistic regression",
    ]
    (table,) = found.tables
    assert [row[0] for row in table.rows] == [row.label for row in forest.rows]
    assert table.rows[0][table.columns.index("AUC")].value == area["value"]


@pytest.mark.trains
def test_trainings_say_what_they_ended_with(pretrained, finetuned):
    found = read_findings(pretrained)
    assert found.command == "pretrain"
    assert found.sentences[0].endswith("on 24 images of phantom for 6 steps (2 epochs).")
    assert [one.title for one in found.curves] == ["loss of the method", "RankMe"]
    assert found.curves[0].curves[0].x == [1.0, 2.0]
    found = read_findings(finetuned)
    assert found.command == "finetune"
    assert found.sentences[0].startswith("linear was trained on 24 images of phantom, 100% of")
    assert "of 2, with a validation AUC of " in found.sentences[1]
    assert {one.title for one in found.curves} == {
        "training loss",
        "validation loss",
        "validation AUC",
    }


@pytest.mark.trains
def test_a_submission_says_what_came_back(submitted):
    found = read_findings(submitted)
    assert found.command == "submit"
    assert found.sentences[0].startswith(
        "A rehearsal on a simulated device, not hardware: 4 images"
    )
    assert [row.label for row in found.forests[0].rows][-1] == "rehearsal (a fake device)"


@pytest.mark.trains
def test_a_training_alone_is_reported_with_its_curve(finetuned, tmp_path):
    assert make_report([finetuned], tmp_path / "page.html") == 0
    page = (tmp_path / "page.html").read_text()
    assert "linear was trained on 24 images" in page
    assert 'id="summary-curves"' in page


@pytest.mark.trains
def test_runs_of_an_earlier_version_are_still_reported(evaluated, finetuned, submitted, tmp_path):
    folders = []
    for folder in (evaluated[0], finetuned, submitted):
        folders.append(shutil.copytree(folder, tmp_path / folder.name))
        (folders[-1] / "report.json").unlink()
    assert make_report(folders, tmp_path / "page.html") == 0
    page = (tmp_path / "page.html").read_text()
    assert "AUC with 95% intervals" in page
    assert "Rehearsal on a simulated device" in page


def test_tables_and_result_belong_to_their_findings(tmp_path):
    (tmp_path / "a.csv").write_text("x\n1\n")
    (tmp_path / "config.json").write_text("{}")
    found = Findings(command="study of-mine", files=hashes_beside(tmp_path))
    assert list(found.files) == ["a.csv"]
    check_beside(tmp_path, found, {})
    (tmp_path / "a.csv").write_text("x\n2\n")
    message = r"^Expected .*a\.csv, got a damaged .*`hybridq study of-mine --resume .*`\.$"
    with pytest.raises(InvalidValueError, match=message):
        check_beside(tmp_path, found, {})


def test_findings_are_read_as_they_were_written(tmp_path):
    table = ResultTable(title="t", columns=["a", "b"], rows=[["x", Estimate(value=0.5)], [1, None]])
    found = Findings(command="study mine", sentences=["One."], tables=[table])
    write_findings(tmp_path, found)
    assert read_findings(tmp_path) == found
    assert list(json.loads((tmp_path / "report.json").read_text())) == [
        "command",
        "sentences",
        "tables",
    ]


def test_cells_as_text_and_in_a_table_for_programs():
    cells = [None, "x", 3, 0.123456, Estimate(value=0.5, low=0.4, high=0.6), Estimate(value=None)]
    assert [shown(cell) for cell in cells] == [
        "", "x", "3", "0.1235", "0.500 [0.400, 0.600]", "undefined",
    ]  # fmt: skip
    assert [plain(cell) for cell in cells] == ["", "x", 3, 0.123456, 0.5, ""]


@pytest.mark.parametrize(
    "wrong",
    [
        {"command": "../x"},
        {"tables": [{"title": "t", "columns": ["a"], "rows": [[1, 2]]}]},
        {"predictions": {"file": "../p.npz", "split": "test", "positive": None, "sets": []}},
    ],
)
def test_what_is_no_findings_is_refused(tmp_path, wrong):
    Path(tmp_path, "report.json").write_text(json.dumps(wrong))
    with pytest.raises(InvalidValueError, match=r"^Expected what was found in .*report\.json"):
        read_findings(tmp_path)


def test_a_curve_has_a_point_at_every_place():
    with pytest.raises(ValueError, match="other numbers of places and points"):
        Curve(name="a", x=[1.0, 2.0], points=[Estimate(value=0.5)])
