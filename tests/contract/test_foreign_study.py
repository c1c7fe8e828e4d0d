"""A study that the package does not know."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from pathlib import Path

import pytest

from hybridq.cli import main as cli
from hybridq.studies import STUDIES
from hybridq.studies.engine.of_units import study_of_units
from tests.contract import label_share
from tests.contract.label_share import LABEL_SHARE, LabelShareConfig
from tests.integration.report_page import make_report

pytestmark = [pytest.mark.trains, pytest.mark.usefixtures("isolated", "single_thread")]


@pytest.fixture(autouse=True)
def foreign(monkeypatch):
    """A line."""
    monkeypatch.setitem(STUDIES, "label-share", LABEL_SHARE)


def only(pattern):
    (found,) = Path().glob(pattern)
    return found


def table(folder):
    with (folder / "table-1.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_it_runs_prints_and_is_reported(capsys):
    assert cli.main(["study", "label-share", "--seeds", "3", "--workers", "1"]) == 0
    folder = only("runs/study/*")
    out = capsys.readouterr().out
    assert "All labels in place of half of them change the AUC by" in out
    assert str(folder) in out
    means = [float(row["AUC"]) for row in table(folder)]
    units = [json.loads(path.read_text()) for path in folder.glob("units/*/*.json")]
    half = [one["auc"] for one in units if one["share"] == 0.5]
    assert (len(units), len(half)) == (6, 3)
    assert means[0] == pytest.approx(sum(half) / 3)
    assert make_report([folder], Path("report.html")) == 0
    page = Path("report.html").read_text()
    assert "AUC of validation, mean over 3 seeds" in page
    assert "hybridq study label-share" in page
    assert f"{means[1]:.4g}" in page


def test_a_stopped_one_goes_on(monkeypatch, capsys):
    compute, done = label_share.PixelUnit.compute, []

    def stopping(self):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(self.name)
        return compute(self)

    monkeypatch.setattr(label_share.PixelUnit, "compute", stopping)
    assert cli.main(["study", "label-share", "--workers", "1"]) == 130
    folder = only("runs/study/*")
    assert f"hybridq study label-share --resume {folder}" in capsys.readouterr().err
    assert make_report([folder], Path("report.html")) == 2
    monkeypatch.setattr(label_share.PixelUnit, "compute", compute)
    before = {path: path.stat().st_mtime_ns for path in folder.glob("units/*/*.json")}
    assert len(before) == 2
    assert cli.main(["study", "label-share", "--resume", str(folder)]) == 0
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
    assert len(table(folder)) == 2


def test_a_study_by_its_import(monkeypatch, capsys):
    shutil.copy(Path(__file__).with_name("label_share.py"), "my_studies.py")
    monkeypatch.syspath_prepend(Path.cwd())
    assert cli.main(["study", "my_studies:LABEL_SHARE", "--seeds", "1", "--workers", "1"]) == 0
    assert "label-share" in str(only("runs/study/*"))
    sys.modules.pop("my_studies", None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("label-shar",), "did you mean 'label-share'?"),
        (("label-share", "--seeds", "0"), "greater than or equal to 1"),
        (("label-share", "--data", "phantm"), "did you mean `phantom`?"),
        (("label-share", "--resume", "nothing"), "Expected a run folder after --resume"),
        (("os.path:join",), "to be an entry with a `run`, got a function"),
    ],
)
def test_what_is_wrong_is_one_line(capsys, arguments, message):
    assert cli.main(["study", *arguments]) == 2
    lines = [
        line for line in capsys.readouterr().err.splitlines() if line.startswith("hybridq: error")
    ]
    assert len(lines) == 1
    assert message in lines[0]
    assert not Path("runs").exists()


def test_a_damaged_report_is_refused(capsys):
    assert cli.main(["study", "label-share", "--workers", "1", "--seeds", "1"]) == 0
    folder = only("runs/study/*")
    for content in ("{", "[]", '{"study": "../x"}', '{"study": "a", "tables": [{"title": "t"}]}'):
        (folder / "report.json").write_text(content)
        assert make_report([folder], Path("page.html")) == 2
        assert "report.json" in capsys.readouterr().err


def test_a_folder_of_another_study_is_not_gone_on_with(monkeypatch, capsys):
    other = study_of_units("other", LabelShareConfig, label_share.units, label_share.findings)
    monkeypatch.setitem(STUDIES, "other", other)
    monkeypatch.setattr(label_share.PixelUnit, "compute", interrupted)
    assert cli.main(["study", "label-share", "--workers", "1"]) == 130
    folder = str(only("runs/study/*"))
    capsys.readouterr()
    for name in ("other", "ablation"):
        assert cli.main(["study", name, "--resume", folder]) == 2
        assert f"hybridq study label-share --resume {folder}" in capsys.readouterr().err
    assert make_report([folder], Path("report.html")) == 2
    assert f"hybridq study label-share --resume {folder}" in capsys.readouterr().err


def interrupted(self):
    raise KeyboardInterrupt


def test_numbers_and_options_of_its_own_are_reported_as_they_are():
    """A config may have fields that commands of ours use for something else."""
    assert cli.main(["study", "label-share", "--workers", "1", "--seeds", "1"]) == 0
    folder = only("runs/study/*")
    report = json.loads((folder / "report.json").read_text())
    report["tables"][0]["rows"] = [[10015, 20240101], ["x", None]]
    (folder / "report.json").write_text(json.dumps(report))
    config = json.loads((folder / "config.json").read_text())
    config |= {"views": 4, "start": 0.5, "run": ["a"], "encoder": {"depth": 3}}
    (folder / "config.json").write_text(json.dumps(config))
    assert make_report([folder], Path("report.html")) == 0
    assert all(number in Path("report.html").read_text() for number in ("10015", "20240101"))
