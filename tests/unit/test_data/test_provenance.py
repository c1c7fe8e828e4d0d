"""What a run says of its data: hashes that follow from pixels and labels, and the official MD5."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hybridq.cli.main import main
from hybridq.config import EvaluateConfig, FinetuneConfig, PretrainConfig, head_config
from hybridq.data import (
    ImageData,
    ImageSplit,
    check_data,
    data_record,
    load_data,
    notes_of,
    provenance,
)
from hybridq.data.provenance import hashes_of_splits, other_splits, split_hash
from hybridq.data.sources.medmnist import MEDMNIST
from hybridq.errors import InvalidValueError
from hybridq.evaluation.evaluate import evaluate
from hybridq.models.checkpoint import read_spec
from hybridq.training.finetune import finetune
from hybridq.training.pretrain import pretrain

pytestmark = pytest.mark.usefixtures("isolated", "single_thread")

PHANTOM = "phantom,size=16,count=40"


def split(**changes):
    rng = np.random.default_rng(3)
    parts = {
        "images": rng.integers(0, 256, (2050, 4, 3, 1), dtype=np.uint8),
        "labels": rng.integers(0, 2, 2050),
        "ids": tuple(map(str, range(2050))),
        "groups": np.array([f"p{number % 700}" for number in range(2050)]),
    }
    return ImageSplit(**(parts | changes))


def data_of(part, **changes):
    return replace(ImageData("own", "binary", ("a", "b"), {"train": part}), **changes)


def found(part, **changes):
    return split_hash(data_of(part, **changes), part)


def test_names_and_layout_in_memory_do_not_matter():
    whole = split()
    same = [
        split(ids=tuple(f"x{number}" for number in range(2050))),
        split(groups=np.array([f"other {name}" for name in whole.groups])),
        split(images=np.asfortranarray(whole.images), labels=whole.labels.astype(">i8")),
        split(images=np.repeat(whole.images, 2, axis=1)[:, ::2]),
    ]
    assert {found(part) for part in same} == {found(whole)}
    assert found(whole, name="another", positive=1, licence="x") == found(whole)


def test_every_pixel_label_group_and_their_order_matter():
    whole = split()
    pixel, label, group = whole.images.copy(), whole.labels.copy(), whole.groups.copy()
    pixel[2049, 3, 2, 0] ^= 1
    label[1500] ^= 1
    group[1400] = "new"
    others = [
        split(images=pixel),
        split(labels=label),
        split(groups=group),
        split(groups=None),
        split(images=whole.images[::-1]),
        split(images=whole.images.reshape(2050, 3, 4, 1)),
        whole.take(np.arange(2049)),
    ]
    hashes = [found(whole), *(found(part) for part in others)]
    hashes.append(found(whole, class_names=("b", "a")))
    hashes.append(found(whole, task="multiclass"))
    assert len(set(hashes)) == len(hashes)


def test_the_same_images_in_another_place_are_the_same_data(save_folder, tmp_path):
    first = save_folder("one")
    shutil.copytree(first, tmp_path / "two")
    one, two = (
        hashes_of_splits(data_record(load_data(str(path)))) for path in (first, tmp_path / "two")
    )
    assert one == two
    assert set(one) == {"train", "val", "test"}
    assert len(set(one.values())) == 3


def test_what_differs_is_named():
    record = data_record(load_data(PHANTOM))
    known = hashes_of_splits(record)
    assert other_splits(known, record) == ()
    assert other_splits(known | {"val": "x"}, record) == ("val",)
    assert other_splits({}, record) is None


# Named sets.


@pytest.fixture
def named(save_npz, tmp_path):
    """A folder of data with an own file in the place of BreastMNIST's."""
    save_npz("data/breastmnist.npz", size=28)
    return tmp_path / "data"


def test_a_file_that_is_not_the_official_one_is_told(named, caplog):
    path = named / "breastmnist.npz"
    md5 = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    official = MEDMNIST["breastmnist"].md5_of(28)
    with caplog.at_level("WARNING", logger="hybridq"):
        for _ in range(2):
            record = data_record(load_data("breastmnist", data_root=named, splits=("val",)))
    assert record["file"] == {"md5": md5, "official_md5": official, "is_official": False}
    (line,) = [entry.getMessage() for entry in caplog.records]
    assert f"breastmnist.npz is not the official file (MD5 {md5}, official {official})" in line
    assert str(named) not in json.dumps(record)
    data = load_data("breastmnist", data_root=named, splits=("val",))
    assert notes_of(data) == [*data.notes, f"{line}."]
    told = [entry for entry in check_data("breastmnist", data_root=named) if entry.detail == line]
    assert [(entry.level, entry.subject) for entry in told] == [("warning", "file")]
    assert main(["data", "check", "breastmnist", "--data-root", str(named)]) == 0


def test_the_official_file_is_not_spoken_of(named, caplog, monkeypatch):
    path = named / "breastmnist.npz"
    md5 = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    official = replace(MEDMNIST["breastmnist"], md5=(md5,) * 4)
    monkeypatch.setitem(MEDMNIST, "breastmnist", official)
    with caplog.at_level("WARNING", logger="hybridq"):
        data = load_data("breastmnist", data_root=named, splits=("val",))
        assert data_record(data)["file"]["is_official"]
    assert caplog.records == []
    assert notes_of(data) == list(data.notes)
    assert all(entry.subject != "file" for entry in check_data("breastmnist", data_root=named))


def test_a_file_is_read_again_once_it_has_changed(tmp_path):
    path = tmp_path / "x.npz"
    path.write_bytes(b"one")
    first = provenance._md5(path)
    path.write_bytes(b"three")
    assert provenance._md5(path) != first == hashlib.md5(b"one").hexdigest()


def test_real_data_go_on_with_a_line(data_root):
    data = load_data("breastmnist", data_root=data_root, splits=("val",))
    record = data_record(data)
    assert record["splits"]["val"]["images"] == 78
    assert record["file"]["official_md5"] == MEDMNIST["breastmnist"].md5_of(28)


# Runs.


def tiny(source, runs, **changes):
    return FinetuneConfig(
        data=str(source),
        runs=runs,
        epochs=1,
        head=head_config(name="linear"),
        freeze_encoder=True,
        **changes,
    )


def environment(folder):
    return json.loads((folder / "environment.json").read_text())


def test_runs_record_what_they_were_trained_on(finetuned, pretrained):
    whole = data_record(load_data(PHANTOM))
    assert environment(pretrained)["data"]["splits"] == {"train": whole["splits"]["train"]}
    assert set(environment(finetuned)["data"]["splits"]) == {"train", "val"}
    assert other_splits(read_spec(finetuned).data_hashes, whole) == ()


def test_an_evaluation_says_whether_its_data_are_those_of_the_run(save_npz, tmp_path, caplog):
    source = save_npz()
    run = finetune(tiny(source, tmp_path))

    def of(path):
        caplog.clear()
        config = EvaluateConfig(run=run, data=path, runs=tmp_path, resamples=100, baselines=False)
        with caplog.at_level("WARNING", logger="hybridq"):
            folder = evaluate(config)
        record = environment(folder)["data"]
        assert hashes_of_splits(record) == hashes_of_splits(
            data_record(load_data(path or str(source), splits=("val", "test")))
        )
        result = json.loads((folder / "result.json").read_text())
        return result["data_of_run"], " ".join(result["notes"]), caplog.text

    verdict, notes, log = of(None)
    assert (verdict, notes) == ("same", "")
    assert "images or labels" not in log
    shutil.copy(source, tmp_path / "moved.npz")
    assert of(str(tmp_path / "moved.npz"))[0] == "same"
    arrays = dict(np.load(source))
    arrays["val_labels"] = 1 - arrays["val_labels"]
    np.savez(tmp_path / "swapped.npz", **arrays)
    verdict, notes, log = of(str(tmp_path / "swapped.npz"))
    assert verdict == "other"
    assert "its val had other images or labels" in notes
    assert "its val had other images or labels" in log


@pytest.mark.parametrize("command", ["pretrain", "finetune"])
def test_a_run_does_not_go_on_with_other_data(save_npz, tmp_path, command, tree):
    source = save_npz()
    run = (
        finetune(tiny(source, tmp_path))
        if command == "finetune"
        else pretrain(PretrainConfig(data=str(source), runs=tmp_path, epochs=1, batch_size=8))
    )
    resume = {"finetune": lambda: finetune(FinetuneConfig(resume=run))}.get(
        command, lambda: pretrain(PretrainConfig(resume=run))
    )
    resume()
    arrays = dict(np.load(source))
    arrays["train_labels"][:2] = 1 - arrays["train_labels"][:2]
    np.savez(source, **arrays)
    (run / "log.txt").write_text("")
    before = tree(run)
    with pytest.raises(InvalidValueError, match="train") as info:
        resume()
    assert "\n" not in str(info.value)
    assert tree(run) == before
    recorded = environment(run)
    del recorded["data"]  # as an earlier version wrote it
    Path(run / "environment.json").write_text(json.dumps(recorded))
    resume()
