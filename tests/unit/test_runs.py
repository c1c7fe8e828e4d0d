"""Run folders: names, uniqueness, and what they say about the run."""

from __future__ import annotations

import errno
import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridq.config import (
    AblationStudyConfig,
    BlocksStudyConfig,
    CapacityStudyConfig,
    EvaluateConfig,
    FinetuneConfig,
    KernelsStudyConfig,
    NoiseStudyConfig,
    PretrainConfig,
    head_config,
)
from hybridq.errors import InvalidValueError, MissingFileError
from hybridq.runs import environment as environments
from hybridq.runs import folder as runs


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("breastmnist-pqc", "breastmnist-pqc"),
        ("../../etc/passwd", "etc_passwd"),
        ("a b\tc\n", "a_b_c"),
        ("$(rm -rf x);'", "rm_-rf_x"),
        ("..", "run"),
        ("", "run"),
        ("été/ö", "t"),
    ],
)
def test_names_are_sanitised(tmp_path, name, safe):
    folder = runs.create_run(tmp_path, "pretrain", name)
    assert folder.is_dir()
    assert folder.parent == tmp_path / "pretrain"
    assert re.fullmatch(r"\d{8}-\d{6}-" + re.escape(safe), folder.name)


@given(st.text(max_size=60))
def test_every_name_gives_a_folder_inside(tmp_path_factory, name):
    root = tmp_path_factory.mktemp("runs")
    folder = runs.create_run(root, "pretrain", name)
    assert folder.resolve().parent == (root / "pretrain").resolve()
    assert re.fullmatch(r"[A-Za-z0-9._-]+", folder.name)


def test_a_folder_is_never_given_twice(tmp_path):
    """Also when many processes start in the same second."""
    with ThreadPoolExecutor(16) as pool:
        made = list(pool.map(lambda _: runs.create_run(tmp_path, "pretrain", "x"), range(64)))
    assert len(set(made)) == 64
    assert {path.name for path in (tmp_path / "pretrain").iterdir()} == {p.name for p in made}


def test_an_existing_folder_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(runs.time, "strftime", lambda *_: "20300101-000000")
    taken = tmp_path / "pretrain" / "20300101-000000-x"
    taken.mkdir(parents=True)
    (taken / "result.json").write_text("precious")
    folder = runs.create_run(tmp_path, "pretrain", "x")
    assert folder.name == "20300101-000000-x-1"
    assert (taken / "result.json").read_text() == "precious"


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_no_folder_can_be_made_in_a_file(tmp_path, place):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InvalidValueError, match="--runs"):
        runs.create_run(tmp_path / place, "pretrain", "x")


def test_config_round_trip(tmp_path):
    config = FinetuneConfig(
        labels=0.1,
        runs=Path("some/runs"),
        data_root=Path("data"),
        head=head_config(name="mlp", num_qubits=3),
        seed=4,
    )
    runs.write_config(tmp_path, config)
    assert runs.read_config(tmp_path, FinetuneConfig, "finetune") == config
    assert json.loads((tmp_path / "config.json").read_text())["head"]["name"] == "mlp"


def test_a_run_whose_head_cannot_be_imported_says_so(tmp_path):
    config = FinetuneConfig().model_dump(mode="json")
    config["head"] = {"name": "nowhere_to_be_found:HEAD"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(InvalidValueError, match=r"nowhere_to_be_found:HEAD.*ModuleNotFoundError"):
        runs.read_config(tmp_path, FinetuneConfig, "finetune")


def test_config_of_another_command(tmp_path):
    runs.write_config(tmp_path, PretrainConfig())
    with pytest.raises(InvalidValueError, match="hybridq finetune"):
        runs.read_config(tmp_path, FinetuneConfig, "finetune")
    with pytest.raises(InvalidValueError, match="hybridq evaluate"):
        runs.read_config(tmp_path, EvaluateConfig, "evaluate")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe\x00", b'{"epochs": 0}'])
def test_config_that_cannot_be_read(tmp_path, content):
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(InvalidValueError, match=re.escape(str(tmp_path))):
        runs.read_config(tmp_path, PretrainConfig, "pretrain")


@pytest.mark.parametrize("place", [".", "none", "file"])
def test_no_run_folder(tmp_path, place):
    (tmp_path / "file").write_text("x")
    with pytest.raises(MissingFileError, match="Expected a run folder"):
        runs.read_config(tmp_path / place, PretrainConfig, "pretrain")


def test_environment_says_what_ran(tmp_path):
    environments.write_environment(tmp_path, seed=3)
    found = json.loads((tmp_path / "environment.json").read_text())
    assert found["seed"] == 3
    assert found["versions"].keys() == set(environments.PACKAGES)
    assert "not installed" not in found["versions"].values()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}", found["time"])


def test_environment_says_what_went_on(tmp_path):
    environments.write_environment(tmp_path, seed=3)
    before = json.loads((tmp_path / "environment.json").read_text())
    for count in (1, 2):
        environments.note_resumption(tmp_path)
        found = json.loads((tmp_path / "environment.json").read_text())
        resumed = found.pop("resumed")
        assert found == before
        assert len(resumed) == count
        assert resumed[-1]["versions"] == before["versions"]
        assert resumed[-1]["git_commit"] == before["git_commit"]


def test_discard_removes_a_folder_without_work_alone(tmp_path):
    early, late = tmp_path / "early", tmp_path / "late"
    for folder in (early, late):
        folder.mkdir()
        for name in ("config.json", "environment.json", "log.txt"):
            (folder / name).write_text("x")
    (late / "metrics.jsonl").write_text("x")
    for folder in (early, late, tmp_path / "none"):
        runs.discard_if_empty(folder)
    assert not early.exists()
    assert len(list(late.iterdir())) == 4


def test_discard_removes_the_folders_that_were_made_for_it_alone(tmp_path):
    (tmp_path / "own").mkdir()
    first = runs.create_run(tmp_path / "own" / "runs", "study", "x")
    second = runs.create_run(tmp_path / "own" / "runs", "study", "x")
    runs.discard_if_empty(first)
    assert not first.exists()
    assert second.is_dir()  # the folders above it are in use
    third = runs.create_run(tmp_path / "own" / "new" / "runs", "study", "x")
    runs.discard_if_empty(third)
    assert sorted(path.name for path in (tmp_path / "own").iterdir()) == ["runs"]


@pytest.mark.parametrize(
    ("error", "written", "left"),
    [
        (InvalidValueError("x"), True, False),
        (OSError(errno.ENOSPC, "full"), False, False),
        (OSError(errno.ENOSPC, "full"), True, True),
        (MemoryError(), True, True),
        (KeyboardInterrupt(), False, False),
        (KeyboardInterrupt(), True, True),
    ],
)
def test_a_failure_leaves_what_can_be_gone_on_with_or_nothing(tmp_path, error, written, left):
    folder = runs.create_run(tmp_path / "runs", "finetune", "x")

    def fail():
        with runs.to_go_on_with(folder, is_new=True), runs.told_how_to_go_on(folder, "finetune"):
            if written:
                runs.write_config(folder, FinetuneConfig())
            raise error

    with pytest.raises(type(error)) as caught:
        fail()
    assert folder.exists() is left
    assert (tmp_path / "runs").exists() is left
    again = f"`hybridq finetune --resume {folder}`"
    told = any(again in note for note in getattr(caught.value, "__notes__", ()))
    assert told is (left and not isinstance(error, KeyboardInterrupt))


def test_what_a_killed_writer_left_is_removed_when_the_run_goes_on(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / ".last.ckpt.x7.part").write_text("half")
    with runs.to_go_on_with(tmp_path, is_new=False):
        assert list(tmp_path.rglob(".*")) == []


def test_a_log_whose_disk_is_full_ends_with_one_line(tmp_path, caplog, capsys):
    (tmp_path / "log.txt").symlink_to("/dev/full")
    with caplog.at_level("INFO", "hybridq"), runs.log_to_file(tmp_path):
        runs.logger.info("first")
        runs.logger.info("second")
    ends = f"{tmp_path / 'log.txt'} ends here: No space left on device"
    assert caplog.messages == [ends, "first", "second"] or caplog.messages == [
        "first", ends, "second",
    ]  # fmt: skip
    assert capsys.readouterr().err == ""


def test_a_name_that_is_not_utf8_is_logged(tmp_path, capsys):
    with runs.log_to_file(tmp_path):
        runs.logger.warning("of %s", "M\udcfcller")
    assert "M\\udcfcller" in (tmp_path / "log.txt").read_text()
    assert "Logging error" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "config"),
    [
        ("pretrain", PretrainConfig()),
        ("finetune", FinetuneConfig()),
        ("study noise", NoiseStudyConfig()),
        ("study ablation", AblationStudyConfig()),
        ("study capacity", CapacityStudyConfig()),
        ("study blocks", BlocksStudyConfig()),
        ("study kernels", KernelsStudyConfig()),
    ],
)
def test_an_unfinished_run_says_how_to_go_on(tmp_path, command, config):
    runs.write_config(tmp_path, config)
    with pytest.raises(MissingFileError, match=f"`hybridq {command} --resume {tmp_path}`"):
        runs.check_finished(tmp_path)
    (tmp_path / "result.json").write_text("{}")
    runs.check_finished(tmp_path)


def test_only_what_can_be_resumed_is_unfinished(tmp_path):
    runs.check_finished(tmp_path)
    runs.write_config(tmp_path, EvaluateConfig(run=tmp_path))
    runs.check_finished(tmp_path)
    (tmp_path / "config.json").write_text("half")
    runs.check_finished(tmp_path)


def test_result_of_an_unfinished_run(tmp_path):
    with pytest.raises(MissingFileError, match="--resume"):
        runs.read_result(tmp_path)


def test_a_path_with_a_space_can_be_copied(tmp_path, caplog):
    folder = tmp_path / "my runs"
    folder.mkdir()
    runs.write_config(folder, FinetuneConfig())
    with pytest.raises(KeyboardInterrupt), runs.told_how_to_go_on(folder, "finetune"):
        raise KeyboardInterrupt
    assert f"`hybridq finetune --resume '{folder}'`" in caplog.text
    with pytest.raises(MissingFileError, match=f"--resume '{folder}'"):
        runs.check_finished(folder)
