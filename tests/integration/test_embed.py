"""Features in a file for other programs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from hybridq.cli import main as cli
from hybridq.data import load_data
from hybridq.models.checkpoint import load_model
from hybridq.models.encoders.file import load_encoder
from hybridq.utils.weights import hash_of_file
from hybridq_backends import open_backend

pytestmark = [pytest.mark.trains, pytest.mark.usefixtures("isolated", "single_thread")]

PHANTOM = "phantom,size=16,count=40"


def embedded(*arguments: object) -> dict[str, np.ndarray]:
    assert cli.main(["data", "embed", *map(str, arguments), "--out", "sub/features.npz"]) == 0
    with np.load("sub/features.npz", allow_pickle=False) as file:
        return dict(file)


def test_features_of_a_pretrained_encoder(pretrained, capsys):
    found = embedded(pretrained, "--data", PHANTOM)
    assert capsys.readouterr().out == "sub/features.npz\n"
    data = load_data(PHANTOM)
    encoder = load_encoder(pretrained).eval()
    assert found["split"].tolist() == [name for name, own in data.splits.items() for _ in own.ids]
    assert found["class_names"].tolist() == ["no lesion", "lesion"]
    for name, split in data.splits.items():
        mine = found["split"] == name
        with torch.inference_mode():
            expected = encoder(encoder.prepare(split.images)).numpy()
        np.testing.assert_array_equal(found["features"][mine], expected)
        np.testing.assert_array_equal(found["labels"][mine], split.labels)
        assert tuple(found["ids"][mine]) == split.ids
    about = json.loads(str(found["about"]))
    assert about["encoder"]["weights"] == "simclr on phantom"
    assert about["encoder_file_sha256"] == hash_of_file(pretrained / "encoder.safetensors")
    assert set(about["data"]["splits"]) == {"train", "val", "test"}
    whole = Path("sub/features.npz").read_bytes()
    embedded(pretrained, "--data", PHANTOM, "--force")
    assert Path("sub/features.npz").read_bytes() == whole


def test_features_of_a_fine_tuned_model_on_a_folder(finetuned_pqc, save_folder):
    root = save_folder()
    found = embedded(finetuned_pqc, "--data", root)
    with open_backend("statevector") as backend:
        encoder = load_model(finetuned_pqc, backend=backend)[0].encoder
    test = load_data(str(root), splits=("test",)).splits["test"]
    with torch.inference_mode():
        expected = encoder(encoder.prepare(test.images)).numpy()
    np.testing.assert_array_equal(found["features"][found["split"] == "test"], expected)
    assert "own images" not in str(found["about"])  # it says what the encoder learned from


def test_the_guide_reads_it(pretrained, save_folder, capsys):
    text = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    (block,) = (part for part in text.split("```") if part.startswith("python\nimport json"))
    arguments = ["data", "embed", str(pretrained), "--data", str(save_folder())]
    assert cli.main([*arguments, "--out", "features.npz"]) == 0
    exec(compile(block.removeprefix("python"), "<block>", "exec"), {})
    weights, score = capsys.readouterr().out.splitlines()[-2:]
    assert weights == "simclr on phantom"
    assert 0 <= float(score) <= 1


def test_bad_input_is_one_line_and_nothing_is_written(pretrained, capsys):
    Path("mine.npz").write_bytes(b"mine")
    for arguments, says in (
        ([pretrained, "--data", PHANTOM, "--out", "mine.npz"], "--force"),
        ([pretrained, "--data", PHANTOM, "--out", "features.csv"], "write 'features.npz'"),
        (["nothere", "--data", PHANTOM, "--out", "new.npz"], "nothere"),
        ([pretrained, "--data", "nothere", "--out", "new.npz"], "nothere"),
        ([pretrained, "--out", "new.npz"], "--data"),
    ):
        assert cli.main(["data", "embed", *map(str, arguments)]) == 2
        captured = capsys.readouterr()
        assert captured.err.count("\n") == 1, captured.err
        assert says in captured.err
    assert [path.name for path in Path().iterdir()] == ["mine.npz"]
    assert Path("mine.npz").read_bytes() == b"mine"
