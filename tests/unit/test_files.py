"""Files are the old ones or whole new ones, whatever happens on the way."""

from __future__ import annotations

import csv
import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from hybridq.files import append_jsonl, atomic_path, read_jsonl, write_csv, write_json, write_text


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, failure):
    path = tmp_path / "kept.txt"
    path.write_text("old")

    def write():
        with atomic_path(path) as temporary:
            temporary.write_text("half of the ne")
            assert path.read_text() == "old"  # nothing shows before the end
            raise failure

    with pytest.raises(failure):
        write()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["kept.txt"]


def test_a_failed_rename_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "kept.txt"
    path.write_text("old")

    def refuse(self, target):
        raise PermissionError

    monkeypatch.setattr("pathlib.Path.replace", refuse)
    with pytest.raises(PermissionError):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["kept.txt"]


def test_success_replaces_the_file_and_makes_its_folders(tmp_path):
    path = tmp_path / "a" / "b" / "new.txt"
    write_text(path, "first")
    write_text(path, "second\n")
    assert path.read_bytes() == b"second\n"
    assert os.listdir(path.parent) == ["new.txt"]


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_the_mode_is_that_of_any_new_file(tmp_path, umask):
    before = os.umask(umask)
    try:
        write_text(tmp_path / "a.txt", "x")
        (tmp_path / "plain.txt").write_text("x")
    finally:
        os.umask(before)
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a.txt", "plain.txt")}
    assert modes == {0o666 & ~umask}


def test_many_writers_leave_one_whole_file(tmp_path):
    path = tmp_path / "one.txt"
    texts = [str(number) * 20_000 for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda text: write_text(path, text), texts))
    assert path.read_text() in texts
    assert os.listdir(tmp_path) == ["one.txt"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": [float("-inf")]}])
def test_json_without_nan(tmp_path, value):
    path = tmp_path / "a.json"
    write_json(path, {"old": 1})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(path, value)
    assert json.loads(path.read_text()) == {"old": 1}
    with pytest.raises(ValueError, match="JSON compliant"):
        append_jsonl(tmp_path / "a.jsonl", {"value": value})
    assert read_jsonl(tmp_path / "a.jsonl") == []


def test_csv_is_read_back_as_written(tmp_path):
    rows = [["a,b", 'say "x"'], ["line\nbreak", "ä"], ["", "0.5"]]
    write_csv(tmp_path / "a.csv", ["id", "text"], rows)
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [["id", "text"], *rows]
    assert b"\r" not in (tmp_path / "a.csv").read_bytes()


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_line_cut_short_by_a_kill_is_left_out(tmp_path, cut):
    path = tmp_path / "metrics.jsonl"
    append_jsonl(path, {"epoch": 0})
    append_jsonl(path, {"epoch": 1})
    path.write_bytes(path.read_bytes()[: 2 * len('{"epoch": 0}\n') - 1 - cut])
    assert read_jsonl(path) == [{"epoch": 0}]


def test_no_file_has_no_rows(tmp_path):
    assert read_jsonl(tmp_path / "none.jsonl") == []
