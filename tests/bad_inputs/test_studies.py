"""Folders of studies, evaluations and submissions that were damaged, gone on with or reported."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

TEXTS = {
    "empty": b"",
    "text": b"nothing of ours",
    "a list": b"[1, 2]",
    "null": b"null",
    "a word": b'"word"',
    "an empty object": b"{}",
    "not UTF-8": b'{"a": "\xff\xfe"}',
    "NUL bytes": b"\0" * 64,
    "deep lists": b"[" * 100_000,
    "NaN": b'{"seconds": NaN}',
    "a number of 5,000 digits": b'{"seconds": ' + b"9" * 5000 + b"}",
}
"""What stands in place of a file of JSON."""


def report(bench, folder: Path) -> str:
    return bench.refused(
        "report", folder, "--out", "report.html", "--embedding", "none", "--gallery", "0"
    )


RESULTS = {
    "evaluated": (
        *("model", "baselines", "class_names", "labels", "train_seed", "head", "run"),
        *("split", "images", "backend", "encoder_weights"),
    ),
    "noise": ("models", "images"),
    "ablation": ("seeds", "margin", "images"),
    "submitted": ("qpu_seconds", "mitigation", "compared", "images"),
    "pqc": ("kept", "epochs"),
    "pretrain": ("loss", "epochs"),
}
"""Fields of each kind of result that the report reads."""
OTHERS = ([], "word", -1, None, {"a": 1}, True)
"""Values, of which each field gets two of another type than its own."""


@pytest.mark.parametrize("name", RESULTS)
def test_fields_of_a_result_that_are_of_another_type(bench, name):
    """Refused with the file's name, or shown for what they are: never a traceback."""
    folder = bench.copy(name)
    good = (folder / "result.json").read_bytes()
    for number, field in enumerate(RESULTS[name]):
        held = json.loads(good).get(field)
        for value in (OTHERS[number % 6], OTHERS[(number + 2) % 6]):
            if isinstance(value, type(held)) or (isinstance(held, float) and value == -1):
                continue
            bench.put(folder / "result.json", good)
            bench.edit(folder / "result.json", field, value)
            line = report(bench, folder)
            assert "result.json" in line, (field, value, line)


@pytest.mark.parametrize("file", ["result.json", "config.json", "environment.json"])
@pytest.mark.parametrize("number", range(len(TEXTS)), ids=list(TEXTS))
def test_files_of_a_run_in_a_report(bench, file, number):
    name = list(RESULTS)[number % len(RESULTS)]
    folder = bench.copy(name)
    text = list(TEXTS.values())[number]
    bench.put(folder / file, text)
    if file == "environment.json" and text == b"{}":  # of a version that recorded none
        assert bench.call("report", folder, "--out", "r.html", "--embedding", "none")[0] == 0
    else:
        assert file in report(bench, folder)


METRICS = {
    "text": b"nothing of ours\n{}\n",
    "words": b'"a"\n"b"\n',
    "lists": b"[1]\n[2]\n",
    "not UTF-8": b'{"epoch": 0, "loss": "\xff"}\n',
    "a loss that is a word": b'{"epoch": 0, "loss": "low", "val_loss": 1, "val_auc": 1}\n',
    "an epoch twice": b'{"epoch": 0, "loss": 1.0}\n{"epoch": 0, "loss": 1.0}\n',
    "an epoch that is a word": b'{"epoch": "one", "loss": 1.0}\n',
    "NaN": b'{"epoch": 0, "loss": NaN}\n',
    "deep lists": b"[" * 100_000 + b"\n{}\n",
}


@pytest.mark.parametrize("number", range(len(METRICS)), ids=list(METRICS))
def test_metrics_in_a_report(bench, number):
    folder = bench.copy(("pqc", "pretrain")[number % 2])
    bench.put(folder / "metrics.jsonl", list(METRICS.values())[number])
    assert "metrics.jsonl" in report(bench, folder)


def rows_of(path: Path) -> list[list[str]]:
    return list(csv.reader(path.read_text(encoding="utf-8").splitlines()))


def write_rows(bench, path: Path, rows: list[list[str]]) -> None:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    bench.put(path, buffer.getvalue())


def _cell(row: int, column: int, value: str):
    def change(rows):
        rows[row][column] = value

    return change


def _cut(rows):
    del rows[5:]


def _double(rows):
    rows += [list(row) for row in rows[1:]]


def _flip(rows):
    for row in rows[1:]:
        row[1] = str(1 - int(row[1]))


def _no_column(rows):
    for row in rows:
        del row[-1]


def _no_rows(rows):
    del rows[1:]


def _nothing(rows):
    rows.clear()


def _swap(rows):
    for row in rows[1:]:
        row[2], row[3] = row[3], row[2]


PREDICTIONS = {
    "nothing": _nothing,
    "no rows": _no_rows,
    "rows cut off": _cut,
    "rows twice": _double,
    "labels flipped": _flip,
    "probabilities of the other class": _swap,
    "a column too few": _no_column,
    "a label that there is not": _cell(1, 1, "9"),
    "a label below nothing": _cell(1, 1, "-1"),
    "a label that is a word": _cell(1, 1, "x"),
    "a probability that is no number": _cell(2, 2, "nan"),
    "an infinite probability": _cell(2, 2, "inf"),
    "a probability of 7": _cell(2, 2, "7"),
    "a probability of -6": _cell(2, 3, "-6"),
    "a probability that is a word": _cell(2, 3, "x"),
    "an empty probability": _cell(2, 3, ""),
    "another header": _cell(0, 0, "name"),
}


@pytest.mark.parametrize("name", PREDICTIONS)
def test_predictions_in_a_report(bench, name):
    folder = bench.copy("evaluated")
    path = folder / "predictions" / "test.csv"
    rows = rows_of(path)
    PREDICTIONS[name](rows)
    write_rows(bench, path, rows)
    assert "predictions" in report(bench, folder)


def test_predictions_cut_within_a_number(bench):
    folder = bench.copy("evaluated")
    path = folder / "predictions" / "test.csv"
    content = path.read_bytes()
    for end in (len(content) - 8, len(content) // 2, 3):
        bench.put(path, content[:end])
        assert "test.csv" in report(bench, folder)
    bench.put(path, content + b"\xff\xfe\n")
    assert "test.csv" in report(bench, folder)
    bench.put(path, None)
    assert "predictions" in report(bench, folder)


CARDS = {"Latin-1": "Müller".encode("latin-1"), "NUL bytes": b"\0" * 20}


@pytest.mark.parametrize("name", CARDS)
def test_a_model_card_in_a_report(bench, name):
    folder = bench.copy("pqc")
    bench.put(folder / "model" / "MODEL_CARD.md", CARDS[name])
    assert "MODEL_CARD.md" in report(bench, folder)


TABLES = {
    "noise": ("study.csv", "summary.csv", "flips.csv"),
    "ablation": ("ablation.csv", "comparisons.json"),
}


@pytest.mark.parametrize(
    ("name", "file"), [(name, file) for name, files in TABLES.items() for file in files]
)
def test_tables_of_a_study_in_a_report(bench, name, file):
    folder = bench.copy(name)
    good = (folder / file).read_bytes()
    wrong = [b"", b"nothing of ours\n", b"\xff\xfe\xff", b"{}", good[: len(good) // 2]]
    if file.endswith(".csv"):
        header, *rows = good.decode().splitlines()
        first = rows[0].split(",")
        words = ["x" if number else cell for number, cell in enumerate(first)]
        wrong += [header.encode() + b"\n", "\n".join([header, ",".join(words)]).encode()]
    for content in wrong:
        bench.put(folder / file, content)
        assert Path(file).name in report(bench, folder), content[:60]


def test_folders_that_are_none_in_a_report(bench):
    Path("empty").mkdir()
    os.mkfifo("fifo")
    folder = bench.copy("evaluated")
    for name in ("empty", "fifo", "nothing", "a" * 5000, folder / "result.json", "/dev/null", "."):
        report(bench, name)
    for out in (".", "evaluated", "evaluated/result.json", "/dev/null/x.html", "a" * 300 + ".html"):
        bench.refused("report", folder, "--out", out, says="xpected")


# Studies that are gone on with.


def local(bench, name: str) -> Path:
    """A study of the shared runs that is not finished."""
    folder = bench.copy(name)
    bench.put(folder / "result.json", None)
    return folder


def resumed(bench, kind: str, folder: Path, says: str) -> None:
    """Refused in one line, after the log's lines; what was finished stays as it was."""
    before = {
        path: path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in ("log.txt", "environment.json", "study.lock")
    }
    code, out, err = bench.call("study", kind, "--resume", folder)
    assert code == 2, f"exit code {code}\n{out}\n{err}"
    assert "Traceback" not in out + err
    (line,) = [line for line in err.splitlines() if line.startswith("hybridq: error: ")]
    assert says in line, line
    assert "allow_pickle" not in line
    for path, content in before.items():
        assert path.read_bytes() == content, path


def _content(change):
    def changed(content: bytes) -> bytes:
        unit = json.loads(content)
        change(unit)
        return json.dumps(unit).encode()

    return changed


def _remove(*places):
    def change(inside):
        for place in places[:-1]:
            inside = inside[place]
        del inside[places[-1]]

    return _content(change)


def _replace(value, *places):
    def change(inside):
        for place in places[:-1]:
            inside = inside[place]
        inside[places[-1]] = value

    return _content(change)


UNITS = {
    "no rows": _remove("rows"),
    "no seconds": _remove("seconds"),
    "rows that are none": _replace(3, "rows"),
    "rows that are words": _replace(["a"], "rows"),
    "a row without its AUC": _remove("rows", 0, "auc"),
    "a row without its device": _remove("rows", 0, "device"),
    "an AUC that is a word": _replace("high", "rows", 0, "auc"),
    "an AUC of 7": _replace(7.0, "rows", 0, "auc"),
    "an AUC that is no number": _replace(float("nan"), "rows", 0, "auc"),
    "a scale below nothing": _replace(-1.0, "rows", 0, "noise_scale"),
    "flips that are words": _replace("x", "rows", 0, "flipped"),
    "a list": lambda _: b"[1]",
    "a word": lambda _: b'"a"',
    "not UTF-8": lambda content: content.replace(b"pqc", b"\xff\xfe", 1),
    "text before it": lambda content: b"nothing of ours\n" + content,
    "NUL bytes": lambda content: b"\0" * 40 + b"\n" + content,
    "deep lists": lambda content: b"[" * 100_000 + b"\n" + content,
}


@pytest.mark.parametrize("name", UNITS)
def test_units_of_a_noise_study(bench, name):
    folder = local(bench, "noise")
    path = sorted((folder / "units" / "noise").iterdir())[0]
    bench.put(path, UNITS[name](path.read_bytes()))
    resumed(bench, "noise", folder, path.name)


def test_a_noise_study_of_an_earlier_version(bench):
    folder = local(bench, "noise")
    shutil.move(folder / "units" / "noise", folder / "gone")
    bench.put(folder / "units.jsonl", "{}\n")
    resumed(bench, "noise", folder, f"--config {folder.resolve() / 'config.json'}")


@pytest.mark.parametrize("file", ["config.json", "environment.json"])
@pytest.mark.parametrize("kind", ["noise", "ablation"])
def test_files_of_a_study_to_go_on_with(bench, kind, file):
    folder = local(bench, kind)
    for name, text in TEXTS.items():
        if file == "environment.json" and text == b"{}":
            continue
        bench.put(folder / file, text)
        before = (folder / file).read_bytes()
        code, out, err = bench.call("study", kind, "--resume", folder)
        assert code == 2, (name, out, err)
        assert "Traceback" not in out + err, name
        errors = [line for line in err.splitlines() if line.startswith("hybridq: error: ")]
        assert len(errors) == 1, (name, err)
        assert file in errors[0], (name, err)
        assert (folder / file).read_bytes() == before


STAGES = ("encoders", "features", "frozen")


@pytest.mark.parametrize("stage", STAGES)
def test_units_of_an_ablation(bench, stage):
    folder = local(bench, "ablation")
    path = sorted((folder / "units" / stage).iterdir())[0]
    good = path.read_bytes()
    for name, text in TEXTS.items():
        bench.put(path, text)
        code, out, err = bench.call("study", "ablation", "--resume", folder)
        assert code == 2, (name, out, err)
        assert "Traceback" not in out + err, name
        errors = [line for line in err.splitlines() if line.startswith("hybridq: error: ")]
        assert len(errors) == 1, (name, err)
        assert path.name in errors[0], (name, errors)
    content = json.loads(good)
    for field in content:
        for value in ("word", [], {"seconds": 1}, -(10**400)):
            if isinstance(value, type(content[field])):
                continue
            bench.put(path, good)
            bench.edit(path, field, value)
            resumed(bench, "ablation", folder, path.name)


FEATURES = {
    "empty": b"",
    "text": b"no archive",
    "a pickle": b"\x80\x04\x95\x10\0\0\0\0\0\0\0\x8c\x02os\x94.",
    "half": None,
}


@pytest.mark.parametrize("name", FEATURES)
def test_features_of_an_ablation(bench, name):
    folder = local(bench, "ablation")
    for unit in (folder / "units" / "frozen").glob("simclr-s0-*"):
        unit.unlink()
    path = folder / "features" / "simclr-s0.npz"
    content = FEATURES[name]
    bench.put(path, path.read_bytes()[:1000] if content is None else content)
    resumed(bench, "ablation", folder, "simclr-s0.npz")


def test_features_that_are_not_finite(bench):
    folder = local(bench, "ablation")
    for unit in (folder / "units" / "frozen").glob("simclr-s0-*"):
        unit.unlink()
    path = folder / "features" / "simclr-s0.npz"
    arrays = dict(np.load(path))
    name = next(name for name, array in arrays.items() if array.dtype.kind == "f")
    arrays[name] = np.full_like(arrays[name], np.nan)
    path.unlink()
    np.savez(path, **arrays)
    resumed(bench, "ablation", folder, "simclr-s0.npz")


# Submissions.


def asking(number: int, folder: Path) -> tuple[object, ...]:
    return (
        ("jobs", "status", folder),
        ("jobs", "collect", folder, "--settle-seconds", "0"),
        ("jobs", "cancel", folder, "--settle-seconds", "0"),
    )[number % 3]


SUBMISSION = {
    "another version": ("format", 99),
    "no classes": ("class_names", []),
    "a positive class beyond": ("positive", 99),
    "a positive class that is a word": ("positive", "x"),
    "an unknown task": ("task", "regression"),
    "a backend that is none": ("backend", "abacus"),
    "a plan that is none": ("plan", []),
    "a threshold that is a word": ("threshold", "x"),
    "no run": ("run", ...),
}


@pytest.mark.parametrize("number", range(len(SUBMISSION)), ids=list(SUBMISSION))
def test_an_edited_submission(bench, number):
    folder = bench.copy("submitted")
    field, value = list(SUBMISSION.values())[number]
    bench.edit(folder / "submission.json", field, value)
    for shift in (1, 2):
        bench.refused(*asking(shift, folder), says="xpected")


@pytest.mark.parametrize("number", range(len(TEXTS)), ids=list(TEXTS))
def test_a_submission_that_is_none(bench, number):
    folder = bench.copy("submitted")
    bench.put(folder / "submission.json", list(TEXTS.values())[number])
    bench.refused(*asking(number % 2 + 1, folder), says="submission.json")


LEDGERS = {"empty": b"", "text": b"no ledger", "missing": None, "half": b"SQLite format 3\0" * 9}


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("name", LEDGERS)
def test_a_ledger_that_is_none(bench, name, number):
    folder = bench.copy("submitted")
    for path in folder.glob("jobs.sqlite*"):
        bench.put(path, None)
    bench.put(folder / "jobs.sqlite", LEDGERS[name])
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    code, out, err = bench.call(*asking(number, folder))
    assert code == 2, (code, out, err)
    assert "Traceback" not in out + err
    (line,) = err.splitlines()
    assert line.startswith("hybridq: error: "), err
    assert [path for path, content in before.items() if path.read_bytes() != content] == []


def test_cells_of_a_ledger_of_another_type(bench):
    """Each cell of each table in turn holds a word, a blob, a number below nothing."""
    folder = bench.copy("submitted")
    path = folder / "jobs.sqlite"
    good = path.read_bytes()
    with sqlite3.connect(path) as connection:
        tables = [row[0] for row in connection.execute("select name from sqlite_master")]
        cells = []
        for table in tables:
            if table.startswith("sqlite_"):
                continue
            info = connection.execute(f"pragma table_info({table})").fetchall()
            cells += [(table, row[1]) for row in info]
    connection.close()
    tried = 0
    for number, (table, column) in enumerate(cells):
        for shift, value in enumerate(("word", b"\x00\xff", -7, None)):
            bench.put(path, good)
            connection = sqlite3.connect(path)
            try:
                connection.execute(f"update {table} set {column} = ?", (value,))
                connection.commit()
            except sqlite3.Error:  # the table itself refuses it
                continue
            finally:
                connection.close()
            tried += 1
            code, out, err = bench.call(*asking(number + shift, folder))
            assert "Traceback" not in out + err
            assert code in (0, 2, 3), (table, column, value, err)
            assert len([x for x in err.splitlines() if x.startswith("hybridq: error: ")]) <= 1
    assert tried > 30
