"""Profiles that are damaged, and backends as they must not be written: one line, exit code 2."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hybridq.cli import main as cli
from hybridq_backends import list_backends, parse_backend
from hybridq_backends.errors import HybridqError, InvalidValueError

GOOD = b'summary = "mine"\nkind = "noisy"\ndevice = "FakeManilaV2"\n'


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "backends.d"
    folder.mkdir()
    return folder


def write(content):
    return lambda path: path.write_bytes(content)


@pytest.mark.parametrize(
    ("make", "got"),
    [
        (os.mkfifo, "a named pipe"),
        (lambda path: path.symlink_to("/dev/zero"), "a device"),
        (Path.mkdir, "a folder"),
        (lambda path: path.symlink_to("nothing"), "a link to nothing"),
        (lambda path: path.symlink_to(path.name), "symbolic links"),
        (write(b""), "None"),
        (write(GOOD + b"a = " + b"[" * 3000 + b"]" * 3000), "levels within each other"),
        (write(GOOD + b".".join([b"a"] * 300) + b" = 1"), "levels within each other"),
        (write(GOOD + b'x = "\\u0000"'), "NUL"),
        (write(GOOD.replace(b"mine", b"m\xfcne")), "no UTF-8"),
        (write(GOOD + b"#" * 2**21), "more than 1,048,576 bytes"),
        (write(GOOD + b"shots = " + b"9" * 6000), "thousands of digits"),
        (write(GOOD + b"noise_scale = nan"), "not finite"),
        (write(GOOD + b"noise_scale = -1"), "-1"),
        (write(GOOD + b"shots = true"), "true"),
        (write(GOOD + b"shots = [1]"), "[1]"),
        (write(GOOD + b'prob_meas1_prep0 = [0.1' + b", 0.1" * 5000 + b"]"), "[0.1, 0.1, 0.1"),
        (write(GOOD + b'prob_meas1_prep0 = [7' + b", 7" * 500 + b"]"), "[7, 7, 7"),
        (write(GOOD.replace(b'"noisy"', b"3")), "got 3"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_broken_profile_is_told_and_the_others_are_listed(folder, make, got, capsys):
    make(folder / "broken.toml")
    (folder / "mine.toml").write_bytes(GOOD)
    assert cli.main(["backends", "list"]) == 0
    out, err = capsys.readouterr()
    assert {line.split()[0] for line in out.splitlines()} >= {"mine", "fake_torino", "ibm"}
    assert err.startswith("hybridq: warning: the profile 'broken' cannot be used: ")
    assert err.count("\n") == 1
    assert got in err
    for command in ("show", "check"):
        assert cli.main(["backends", command, "broken"]) == 2
        err = capsys.readouterr().err
        assert err.startswith("hybridq: error: ")
        assert err.count("\n") == 1
        assert len(err) < 1000
    assert cli.main(["backends", "show", "mine"]) == 0
    with pytest.raises(HybridqError, match="Expected"):
        list_backends()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('devise = "FakeTorino"', "`device` instead of 'devise'"),
        ('kind = "noissy"', "did you mean 'noisy'?"),
        ('kind = "noisy"\ndevise = "FakeTorino"', "did you mean `device`?"),
        ('kind = "noisy"\ndevice = "FakeTorino"', "`summary`"),
    ],
)
def test_a_misspelt_field_is_told_before_the_summary_that_lacks(folder, content, words):
    (folder / "mine.toml").write_text(content)
    with pytest.raises(HybridqError) as caught:
        list_backends()
    assert words in str(caught.value)


@pytest.mark.parametrize("summary", ["", "a\\nb", "\\u001b[31mred", "x" * 201])
def test_a_summary_is_one_line(folder, summary, capsys):
    (folder / "mine.toml").write_text(f'summary = "{summary}"\nkind = "statevector"\n')
    assert cli.main(["backends", "list"]) == 0
    assert "Expected a `summary` of one line" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["a,b", "a\nb", " a", "\x1b[0m"])
def test_names_that_cannot_be_written_after_backend(folder, name, capsys):
    (folder / f"{name}.toml").write_bytes(GOOD)
    (folder / ".hidden.toml").symlink_to("what-an-editor-left")
    assert cli.main(["backends", "list"]) == 0
    out, err = capsys.readouterr()
    assert "rename the file" in err
    assert err.count("\n") == 1
    assert "FakeManilaV2" not in out
    with pytest.raises(InvalidValueError) as caught:
        parse_backend("nowhere")
    assert str(caught.value).isprintable()


def test_a_local_folder_that_is_none(tmp_path, capsys):
    os.mkfifo(tmp_path / "backends.d")
    assert cli.main(["backends", "list"]) == 2
    assert "Expected backends.d in the working folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    "device",
    ["os", "fake", "v2", "..", "nothere.json", ".json", "/dev/zero.json", "fake_provider"],
)
@pytest.mark.parametrize("field", ["aer_noisy,device", "ibm_rehearsal,rehearse"])
def test_show_looks_the_device_up(field, device, capsys):
    assert cli.main(["backends", "show", f"{field}={device}"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("hybridq: error: Expected ")
    assert err.count("\n") == 1


def test_show_asks_no_account_for_an_ibm_device(capsys):
    assert cli.main(["backends", "show", "ibm,device=ibm_nowhere"]) == 0
    assert "ibm_nowhere" in capsys.readouterr().out


@pytest.mark.parametrize(
    "text",
    [
        "aer_noisy," + "." * 5000 + "=1",
        "aer_noisy," + "a." * 5000 + "b=1",
        "ibm,service_options." + "a." * 5000 + "b=1",
        "aer_noisy,a..b=1",
        "aer_noisy,a\nb=1",
        "aer_noisy,to\nken=1",
        "aer_noisy,.shots=1",
        "aer_noisy,shots.=1",
        "ibm,service_options.=1",
        "fake_torino,kind=ibm_runtime",
        "fake_torino,seed=4294967296",
        "fake_torino,transpiler_seed=-1",
        "fake_torino,shots=10000001",
        "fake_torino,noise_scale=100.1",
        "fake_torino,noise_scale=1e400",
        "depolarizing,t1_us=1e13",
        "depolarizing,t2_us=1e-320",
        "depolarizing,t1_us=1,gate_time_2q_ns=1e300",
        "ibm,max_qpu_seconds=1e8",
        "ibm,device=" + "x" * 5000,
        "aer_noisy,prob_meas1_prep0=" + "/".join(["0.1"] * 1001),
        "aer_noisy,prob_meas1_prep0=" + "/".join(["2"] * 900),
        "fake_torino,shots=" + "9" * 4000,
    ],
    ids=lambda text: text[:40],
)
def test_what_cannot_be_is_refused_in_a_line(text):
    with pytest.raises(InvalidValueError, match="Expected") as caught:
        parse_backend(text)
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 700
