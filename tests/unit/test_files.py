"""Files are the old ones or whole new ones, whatever happens on the way."""

from __future__ import annotations

import csv
import errno
import json
import os
import resource
import signal
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hybridq.errors import HybridqError, InvalidValueError
from hybridq.utils.csv_files import csv_text, read_csv, write_csv
from hybridq.utils.files import append_jsonl, check_out, read_jsonl, reading, write_json, write_text
from hybridq_backends.utils.atomic import atomic_path, remove_leftovers


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
    rows = [["a;b,c", 'say "x"'], ["line\nbreak", "ä"], ["", "0.5"]]
    write_csv(tmp_path / "a.csv", ["id", "text"], rows)
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [["id", "text"], *rows]
    assert b"\r" not in (tmp_path / "a.csv").read_bytes()


RUN_BY_SPREADSHEETS = ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\tx", "\rx", "=cmd|' /C calc'!A0"]


@pytest.mark.parametrize("cell", RUN_BY_SPREADSHEETS)
def test_no_cell_is_run_by_a_spreadsheet(tmp_path, cell):
    path = tmp_path / "a.csv"
    write_csv(path, ["id", cell], [[cell, "x"]])
    with path.open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [["id", f"'{cell}"], [f"'{cell}", "x"]]
    assert read_csv(path) == (["id", cell], [[cell, "x"]])


@pytest.mark.parametrize("number", [-0.5, "-0.5", "+1", "-1e-05", -3, "-inf", "-7"])
def test_numbers_stay_numbers(number):
    assert csv_text(["a"], [[number]]) == f"a\n{number}\n"


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=2))
@example(["'=1", "''=1"])
@example(["'-0.5", "-0.5"])
@example(["'", "''x"])
def test_every_cell_is_read_back(tmp_path_factory, cells):
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    header = [str(number) for number in range(len(cells))]
    write_csv(path, header, [cells])
    assert read_csv(path) == (header, [cells])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "different column names"),
        (b"a,a\n1,2\n", "different column names"),
        (b"a,b\n1\n", "Expected 2 cells in row 2"),
        (b"a,b\n1,2,3\n", "Expected 2 cells in row 2"),
        (b"a\n\xe4\n", "damaged text"),
        (b'a\n"x', "a damaged file"),
        (b"a\n\0\n", "a NUL byte"),
        (None, "No such file"),
    ],
)
def test_a_damaged_table_is_refused_in_one_line(tmp_path, content, said):
    path = tmp_path / "a.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(HybridqError, match=said) as caught:
        read_csv(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.fixture
def small_files():
    """No file may be larger than 4,096 bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, ignored)


@pytest.mark.parametrize("kind", ["text", "weights", "encoder", "checkpoint", "numbers", "line"])
def test_a_disk_that_takes_no_more_is_named_and_nothing_is_left(tmp_path, request, kind):
    """Whatever library writes: the error is the disk's, with the file that was asked for."""
    import torch
    from safetensors.torch import save

    from hybridq.models.encoders.encoder import Encoder, EncoderSpec
    from hybridq.models.encoders.file import save_encoder
    from hybridq.training.fit import AtomicCheckpointIO
    from hybridq.utils.files import write_bytes

    encoder = None
    if kind == "encoder":
        encoder = Encoder(EncoderSpec(image_size=16, stem="stride1", mean=(0,) * 3, std=(1,) * 3))
    path = tmp_path / "new" / "file"
    values = torch.zeros(2000)
    writers = {
        "text": lambda: write_text(path, "x" * 9999),
        "weights": lambda: write_bytes(path, save({"a": values})),
        "encoder": lambda: save_encoder(encoder, path),
        "checkpoint": lambda: AtomicCheckpointIO().save_checkpoint({"a": values}, path),
        "line": lambda: append_jsonl(tmp_path / "file", {"a": "x" * 9999}),
        "numbers": lambda: save_numbers(path),
    }
    request.getfixturevalue("small_files")
    with pytest.raises(OSError, match="File too large") as caught:
        writers[kind]()
    assert caught.value.errno == errno.EFBIG
    assert caught.value.filename == str(tmp_path / "file" if kind == "line" else path)
    assert sorted(os.listdir(tmp_path)) == (["file"] if kind == "line" else [])


def save_numbers(path):
    import numpy as np

    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, a=np.zeros(9999))


def test_what_killed_writers_left_is_removed_and_what_one_writes_is_kept(tmp_path):
    script = (
        "import sys, time; from pathlib import Path\n"
        "from hybridq_backends.utils.atomic import atomic_path\n"
        "with atomic_path(Path(sys.argv[1])) as path:\n"
        "    path.write_text('half'); print(path, flush=True); time.sleep(600)"
    )
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / name)], stdout=subprocess.PIPE, text=True
        )
        for name in ("killed.txt", "killed too.txt", "alive.txt")
    ]
    try:
        for writer in writers:
            assert writer.stdout.readline()
        for writer in writers[:2]:
            writer.kill()
            writer.wait()
        assert len(list(tmp_path.glob(".*.part"))) == 3
        write_text(tmp_path / "killed.txt", "whole")
        write_text(tmp_path / "alive.txt", "whole")
        assert len(list(tmp_path.glob(".*.part"))) == 2
        remove_leftovers(tmp_path)
        (kept,) = tmp_path.glob(".*.part")
        assert kept.name.startswith(".alive.txt.")
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()
            writer.stdout.close()


@pytest.mark.parametrize("name", ["x" * 255, "ä" * 127, "new/deeper/file"])
def test_any_name_that_a_file_can_have(tmp_path, name):
    write_text(tmp_path / name, "x")
    assert (tmp_path / name).read_text() == "x"


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("file", "which exists"),
        ("folder", "is a folder"),
        ("pipe", "is no regular file"),
        ("file/below", "lies below the file"),
        ("x" * 256, "File name too long"),
        ("/proc/none/x", "No such file"),
    ],
)
def test_an_out_that_cannot_be_written_is_refused_before_it_is_needed(tmp_path, place, said):
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(InvalidValueError, match=said):
        check_out(tmp_path / place, force=False)
    assert sorted(os.listdir(tmp_path)) == before


def test_an_out_that_can_be_written_is_not_made_yet(tmp_path):
    check_out(tmp_path / "new" / "deeper" / "file", force=False)
    assert os.listdir(tmp_path) == []


def test_no_name_makes_writing_fail(tmp_path):
    path = tmp_path / os.fsdecode(b"M\xfcller.csv")
    write_text(path, "of M\udcfcller")
    assert path.read_text() == r"of M\udcfcller"
    write_csv(path, ["a"], [["M\udcfcller"]])
    assert read_csv(path) == (["a"], [[r"M\udcfcller"]])
    write_json(path, {"run": "M\udcfcller"})
    assert json.loads(path.read_text()) == {"run": "M\udcfcller"}


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_line_cut_short_by_a_kill_is_left_out(tmp_path, cut):
    path = tmp_path / "metrics.jsonl"
    append_jsonl(path, {"epoch": 0})
    append_jsonl(path, {"epoch": 1})
    path.write_bytes(path.read_bytes()[: 2 * len('{"epoch": 0}\n') - 1 - cut])
    assert read_jsonl(path) == [{"epoch": 0}]


def test_no_file_has_no_rows(tmp_path):
    assert read_jsonl(tmp_path / "none.jsonl") == []


@pytest.mark.parametrize(
    "error",
    [MemoryError("Unable to allocate 3 GiB"), RuntimeError("can't allocate memory: 64 bytes")],
)
def test_too_little_memory_is_no_damage(tmp_path, error):
    with pytest.raises(type(error)) as caught, reading(tmp_path / "x.bin"):
        raise error
    assert caught.value is error
    assert error.__notes__ == [f"{tmp_path / 'x.bin'} was being read"]


@pytest.mark.parametrize("error", [RuntimeError("invalid header"), ValueError("x"), KeyError("y")])
def test_damage_is_told_in_one_line(tmp_path, error):
    with pytest.raises(InvalidValueError, match="no such file"), reading(tmp_path / "x.bin"):
        raise error
