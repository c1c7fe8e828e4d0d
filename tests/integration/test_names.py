"""Names that are no UTF-8, or that a spreadsheet would run, from the data to the predictions."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hybridq.cli.main import main
from hybridq.models.checkpoint import read_spec
from hybridq.utils.files import read_csv

pytestmark = pytest.mark.usefixtures("isolated", "single_thread")

CLASSES = (b"=1+1 b\xf6se", b"gut")
NAMES = (b"M\xfcller.png", rb"M\xfcller.png", b"@SUM(A1).png", b"-1+1.png")
AS_TEXT = (r"M\xfcller.png", r"M\x5cxfcller.png", "@SUM(A1).png", "-1+1.png")


@pytest.fixture
def folder():
    """Images of two classes, with names as they come out of an old archive."""
    rng = np.random.default_rng(0)
    root = Path(os.fsdecode(b"Bef\xfcnde"))
    for split in ("train", "val", "test"):
        for level, label in enumerate(CLASSES):
            place = root / split / os.fsdecode(label)
            place.mkdir(parents=True)
            for name in NAMES:
                pixels = rng.integers(90 * level, 90 * level + 90, (16, 16), dtype=np.uint8)
                Image.fromarray(pixels).save(place / os.fsdecode(name))
    return root


def newest(runs, command):
    (found,) = (runs / command).iterdir()
    return found


@pytest.fixture
def command(capsysbinary):
    """Run a command that has to do what it should; returns what it printed."""

    def call(*arguments):
        capsysbinary.readouterr()
        code = main([str(argument) for argument in arguments])
        printed, said = capsysbinary.readouterr()
        assert code == 0, said
        return printed

    return call


def test_from_the_data_to_the_predictions(folder, command):
    runs = Path(os.fsdecode(b"L\xe4ufe"))
    command("data", "check", folder)
    small = ("--epochs", "1", "--batch-size", "4", "--head", "linear", "--freeze-encoder")
    printed = command("finetune", "--data", folder, "--runs", runs, *small)
    run = newest(runs, "finetune")
    assert printed == os.fsencode(run) + b"\n"
    spec = read_spec(run)
    assert (spec.data, spec.class_names) == (r"Bef\xfcnde", (r"=1+1 b\xf6se", "gut"))

    command("evaluate", run, "--runs", runs, "--resamples", "100", "--no-baselines")
    evaluation = newest(runs, "evaluate")
    header, rows = read_csv(evaluation / "predictions" / "test.csv")
    ids = [f"test/{label}/{name}" for label in spec.class_names for name in AS_TEXT]
    assert sorted(row[0] for row in rows) == sorted(ids)

    out = Path(os.fsdecode(b"Vorhersagen\xfc.csv"))
    inside = folder / "test" / os.fsdecode(CLASSES[0])
    command("predict", run, inside, "--out", out)
    header, rows = read_csv(out)
    printed = command("predict", run, inside).decode()
    assert printed == out.read_text()
    assert [Path(row[0]).name for row in rows] == sorted(AS_TEXT)
    predicted = {row[1] for row in rows}
    assert predicted <= set(spec.class_names)
    begins = [cell[0] for line in csv.reader(printed.splitlines()) for cell in line]
    assert not set(begins) & set("=+-@")
    assert header[2] == r"prob_=1+1 b\xf6se"
