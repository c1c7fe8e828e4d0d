"""A source of images that the package does not know."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from hybridq.cli import main as cli
from hybridq.data import load_data
from hybridq.data.sources import SOURCES
from hybridq.runs.recorded import absolute_source
from tests.contract.stacks import STACKS, windowed
from tests.integration.report_page import make_report

pytestmark = [pytest.mark.trains, pytest.mark.usefixtures("isolated", "single_thread")]

WINDOW = "scans,level=50,width=200"


@pytest.fixture
def stacks(isolated):
    """Two classes of 20 slices whose grey values differ."""
    rng = np.random.default_rng(0)
    folder = Path("scans")
    folder.mkdir()
    found = {}
    for place, name in enumerate(("healthy", "sick")):
        found[name] = rng.normal(30 + 30 * place, 40, (20, 24, 24)).astype(np.int16)
        np.save(folder / f"{name}.npy", found[name])
    return found


@pytest.fixture
def foreign(monkeypatch, stacks):
    """A line."""
    monkeypatch.setitem(SOURCES, "stacks", STACKS)
    return stacks


def test_what_is_read_is_what_is_there(foreign):
    data = load_data(WINDOW)
    assert (data.class_names, data.positive, data.own) == (("healthy", "sick"), 1, True)
    assert {name: len(split) for name, split in data.splits.items()} == {
        "train": 24,
        "val": 8,
        "test": 8,
    }
    first = windowed(foreign["sick"][12:16], 50, 200)
    np.testing.assert_array_equal(data.splits["val"].images[4:], first)
    assert data.splits["val"].ids[4] == "sick.npy/12"
    assert load_data("scans", splits=("test",)).notes == ("Hounsfield units from -160 to 240.",)


def test_it_goes_through_all_commands(foreign, capsys):
    options = ("--epochs", "1", "--batch-size", "8", "--image-size", "32")
    assert cli.main(["data", "check", WINDOW]) == 0
    assert cli.main(["pretrain", "--data", WINDOW, *options]) == 0
    (pretrained,) = Path("runs/pretrain").iterdir()
    begun = ("--encoder", str(pretrained), "--freeze-encoder")
    assert cli.main(["finetune", "--data", WINDOW, *options[:4], *begun]) == 0
    (run,) = Path("runs/finetune").iterdir()
    card = (run / "model" / "MODEL_CARD.md").read_text()
    assert "| Encoder weights from | simclr on own images |" in card
    assert cli.main(["evaluate", str(run), "--resamples", "100"]) == 0
    (evaluation,) = Path("runs/evaluate").iterdir()
    result = json.loads((evaluation / "result.json").read_text())
    assert (result["data"], result["positive"]) == ("scans", "sick")
    assert result["notes"] == ["Hounsfield units from -50 to 150."]
    assert make_report([run, evaluation], Path("report.html")) == 0
    assert "Hounsfield units from -50 to 150." in Path("report.html").read_text()


def test_names_of_its_images_are_hidden_where_asked(foreign):
    options = ("--epochs", "1", "--batch-size", "8", "--freeze-encoder", "--image-size", "32")
    assert cli.main(["finetune", "--data", WINDOW, *options, "--pseudonyms"]) == 0
    (run,) = Path("runs/finetune").iterdir()
    text = "".join(path.read_text() for path in run.rglob("*") if path.suffix in (".json", ".md"))
    assert "scans" not in text


def test_a_source_by_its_import(stacks, monkeypatch):
    shutil.copy(Path(__file__).with_name("stacks.py"), "my_sources.py")
    monkeypatch.syspath_prepend(Path.cwd())
    data = load_data("my_sources:STACKS,scans,width=100")
    assert data.splits["test"].images.shape == (8, 24, 24, 1)
    assert data.notes == ("Hounsfield units from -10 to 90.",)
    sys.modules.pop("my_sources", None)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("scans,levl=3", "Expected fields level, width for scans"),
        ("scans,level=high", "Expected a number for `level`"),
        ("os.path:join", "to be an entry with a `load`, got a function"),
        ("nowhere.module:SOURCE", "can be imported"),
        ("..:x", "can be imported"),
        ("phantm", "did you mean `phantom`?"),
    ],
)
def test_what_is_wrong_is_one_line(foreign, capsys, source, message):
    assert cli.main(["finetune", "--data", source, "--epochs", "1"]) == 2
    lines = [
        line for line in capsys.readouterr().err.splitlines() if line.startswith("hybridq: error")
    ]
    assert len(lines) == 1
    assert message in lines[0]


def test_fields_stay_where_a_path_is_made_absolute(foreign):
    assert absolute_source(WINDOW) == f"{Path('scans').resolve()},level=50,width=200"
    assert absolute_source("phantom,size=16") == "phantom,size=16"


def test_a_check_with_pseudonyms_tells_no_name(foreign, capsys, monkeypatch):
    twin = np.load("scans/sick.npy")
    twin[0] = twin[-1]  # a duplicate across splits, which is named
    np.save("scans/sick.npy", twin)
    assert cli.main(["data", "check", WINDOW]) == 0
    assert "sick.npy/0" in capsys.readouterr().out
    assert cli.main(["data", "check", WINDOW, "--pseudonyms"]) == 0
    assert "sick.npy" not in capsys.readouterr().out
