"""Weights on disk: every change of them, and every NaN, is told before they are used."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from hybridq.cli.main import main
from hybridq.config import EncoderConfig
from hybridq.errors import InvalidValueError
from hybridq.evaluation.metrics.scores import confidence_bins
from hybridq.evaluation.plots import save_figures
from hybridq.models.checkpoint import hashes_of, load_model, read_spec, save_model, take_weights
from hybridq.models.classifier import build_model, probabilities
from hybridq.models.encoders.encoder import Encoder, EncoderSpec
from hybridq.models.encoders.file import load_encoder, save_encoder
from hybridq.models.encoders.initial import encoder_for
from hybridq.utils.finite import NotFiniteError, check_finite
from hybridq.utils.weights import read_weights, save_weights

pytestmark = pytest.mark.usefixtures("isolated", "single_thread")

PHANTOM = "phantom,size=16,count=40"
NAN, INF = float("nan"), float("inf")


@pytest.fixture
def copied(finetuned, tmp_path):
    """A copy of a finished run with a linear head."""
    return Path(shutil.copytree(finetuned, tmp_path / "copied"))


@pytest.fixture
def old(copied):
    """The run as an earlier version would have written it: without any hash."""
    forget(copied)
    return copied


def forget(run, change=None):
    """Write the weights again as an earlier version did, changed by a function."""
    path = run / "model" / "model.safetensors"
    state = load_file(path)
    if change is not None:
        change(state)
    save_file(state, path)
    result = json.loads((run / "result.json").read_text())
    del result["hashes"]
    (run / "result.json").write_text(json.dumps(result))


def refused(load, *words):
    with pytest.raises(InvalidValueError) as info:
        load()
    line = str(info.value)
    assert line.startswith("Expected ")
    assert "\n" not in line
    for word in words:
        assert word in line
    return line


# What is finite.


@pytest.mark.parametrize("bad", [NAN, INF, -INF])
@pytest.mark.parametrize("kind", [float, np.array, torch.tensor])
def test_one_check_for_numbers_arrays_and_tensors(bad, kind):
    check_finite("numbers", kind(1.5))
    with pytest.raises(NotFiniteError, match="Expected finite numbers, got 1 NaN or infinite of 1"):
        check_finite("numbers", kind(bad))


def test_weights_are_named_and_whole_numbers_pass():
    state = {"count": torch.tensor(3), "bias": torch.tensor([0.0, NAN, INF])}
    with pytest.raises(NotFiniteError, match="got 2 NaN or infinite of 3 in bias"):
        check_finite("weights", state)


def test_a_worker_hands_the_error_over_as_it_is():
    with pytest.raises(NotFiniteError) as info:
        check_finite("logits", torch.tensor([NAN]), "train again.")
    copy = pickle.loads(pickle.dumps(info.value))
    assert isinstance(copy, NotFiniteError)
    assert str(copy) == "Expected finite logits, got 1 NaN or infinite of 1: train again."
    assert copy.got == info.value.got


@pytest.mark.parametrize("multilabel", [False, True])
@pytest.mark.parametrize("bad", [NAN, INF, -INF])
def test_no_probability_is_made_of_logits_that_are_none(bad, multilabel):
    logits = torch.zeros(2, 3, dtype=torch.double)
    logits[1, 2] = bad
    with pytest.raises(NotFiniteError, match="logits"):
        probabilities(logits, multilabel=multilabel)


@pytest.mark.parametrize(
    ("confidence", "bins"),
    [
        ([0.0, 1e-9, 0.2, 0.2000001, 0.5, 1.0], [0, 0, 0, 1, 2, 4]),
        ([NAN, INF, -INF, -7.0, 1e300, 2.0], [0, 4, 0, 0, 4, 4]),
    ],
)
def test_a_bin_is_always_one_of_those_there_are(confidence, bins):
    assert confidence_bins(np.array(confidence), 5).tolist() == bins


@pytest.mark.parametrize("bad", [NAN, INF])
def test_no_figure_is_drawn_of_probabilities_that_are_none(tmp_path, bad):
    probs = np.full((4, 2), 0.5)
    probs[2] = bad
    labels = np.array([0, 1, 0, 1])
    with pytest.raises(NotFiniteError, match="probabilities"):
        save_figures(tmp_path / "figures", labels, probs, ("a", "b"), 0.5, 1)
    assert not (tmp_path / "figures").exists()


# A file of weights.


def test_weights_come_back_with_what_they_are_of(tmp_path):
    state = {"a": torch.randn(3, 2), "n": torch.tensor(4), "half": torch.ones(3).bfloat16()}
    save_weights(tmp_path / "w.safetensors", state, "key", {"name": "é", "size": [1, 2.5]})
    found, about = read_weights(tmp_path / "w.safetensors", "key")
    assert about == {"name": "é", "size": [1, 2.5]}
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], value) for name, value in state.items())


def test_the_same_weights_are_the_same_file(tmp_path):
    spec = EncoderSpec(image_size=16)
    for name in ("one", "two"):
        save_encoder(Encoder(spec, generator_seed=3), tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize("place", [0.2, 0.5, 0.8, 1.0])
def test_a_flipped_bit_is_found(tmp_path, place):
    path = tmp_path / "w.safetensors"
    save_weights(path, {"a": torch.randn(64)}, "key", {"x": 1})
    data = bytearray(path.read_bytes())
    start = len(data) - 256
    data[start + round(place * 255)] ^= 1
    path.write_bytes(data)
    refused(lambda: read_weights(path, "key"), str(path), "hash")


def test_every_flipped_byte_of_the_header_is_found(tmp_path):
    """Unless it is the name of the hash: then there is none, which is said."""
    path = tmp_path / "w.safetensors"
    save_weights(path, {"abc": torch.randn(4)}, "key", {"size": 1})
    whole = path.read_bytes()
    told = 0
    for place in range(len(whole) - 16):
        data = bytearray(whole)
        data[place] ^= 4
        path.write_bytes(data)
        try:
            state, about = read_weights(path, "key")
        except InvalidValueError:
            continue
        assert about != {"size": 1} or not {"abc"} ^ state.keys()
        told += 1
    assert told <= len("sha256") + len("key") + len("__metadata__") + 16


@pytest.mark.parametrize("bad", [NAN, INF])
def test_weights_that_are_none_are_neither_written_nor_read(tmp_path, bad):
    path = tmp_path / "w.safetensors"
    state = {"bias": torch.tensor([0.0, bad])}
    with pytest.raises(NotFiniteError, match="in bias"):
        save_weights(path, state, "key", {})
    assert not path.exists()
    save_file(state, path)
    with pytest.raises(NotFiniteError, match=r"w\.safetensors.* in bias"):
        read_weights(path, "key")


# A model.


def test_a_model_and_its_run_hold_each_others_hashes(finetuned):
    hashes = hashes_of(finetuned)
    assert json.loads((finetuned / "result.json").read_text())["hashes"] == hashes
    with safe_open(finetuned / "model" / "model.safetensors", framework="pt") as file:
        held = json.loads(file.metadata()["hybridq_model"])
    assert held["config_sha256"] == hashes["config"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("labels", 0.5), ("seed", 3), ("data", "other"), ("positive", 0), ("head", {"name": "mlp"})],
)
def test_an_edited_config_is_refused(copied, field, value):
    path = copied / "model" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))
    refused(lambda: load_model(copied, backend=None), "config.json")


def test_a_config_laid_out_otherwise_is_the_same(copied):
    path = copied / "model" / "config.json"
    path.write_text(json.dumps(dict(reversed(json.loads(path.read_text()).items()))))
    load_model(copied, backend=None)


def test_flipped_weights_are_refused(copied):
    path = copied / "model" / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    refused(lambda: load_model(copied, backend=None), "model.safetensors", "hash")


def test_another_runs_model_is_refused(copied, finetuned, tmp_path):
    """Config and weights that fit each other, but are not what the run ended with."""
    other = tmp_path / "other"
    shutil.copytree(finetuned, other)
    path = other / "model" / "config.json"
    spec = read_spec(other).model_copy(update={"seed": 7})
    save_model(
        other / "model",
        build_model(Encoder(spec.encoder), spec.head, 2, backend=None, seed=1),
        spec,
    )
    assert json.loads(path.read_text())["seed"] == 7
    shutil.rmtree(copied / "model")
    shutil.copytree(other / "model", copied / "model")
    refused(lambda: load_model(copied, backend=None), str(copied), "result.json")


def test_a_model_without_hashes_is_read_and_told_once(old, caplog):
    with caplog.at_level("WARNING", logger="hybridq"):
        load_model(old, backend=None)
        load_model(old, backend=None)
    (line,) = [record.getMessage() for record in caplog.records if "hash" in record.getMessage()]
    assert str(old) in line


def test_a_run_killed_before_its_result_can_be_used(copied):
    (copied / "result.json").unlink()
    load_model(copied, backend=None)


@pytest.mark.parametrize(
    "changes",
    [
        {"positive": 99},
        {"positive": -5},
        {"positive": 2},
        {"class_names": ["a", "b", "c"]},
        {"class_names": ["a", "a"]},
        {"labels": 0.0},
        {"labels": 1.5},
        {"encoder": {"image_size": 10**6}},
        {"encoder": {"image_size": 7}},
        {"encoder": {"crop_pct": 1e-9}},
        {"encoder": {"crop_pct": 1.5}},
        {"encoder": {"mean": [NAN, 0.5, 0.5]}},
        {"encoder": {"mean": [1e30, 0.5, 0.5]}},
        {"encoder": {"mean": [-0.1, 0.5, 0.5]}},
        {"encoder": {"std": [0.0, 0.5, 0.5]}},
        {"encoder": {"std": [1e-30, 0.5, 0.5]}},
        {"encoder": {"std": [INF, 0.5, 0.5]}},
    ],
    ids=repr,
)
def test_a_config_out_of_range_is_refused(old, changes):
    """Also where no hash tells that it was edited."""
    path = old / "model" / "config.json"
    spec = json.loads(path.read_text())
    encoder = spec["encoder"] | changes.pop("encoder", {})
    path.write_text(json.dumps(spec | changes | {"encoder": encoder}))
    refused(lambda: read_spec(old), str(path))


@pytest.mark.parametrize("name", ["encoder.features.0.0.weight", "head.classifier.bias"])
@pytest.mark.parametrize("bad", [NAN, INF])
def test_no_command_uses_weights_that_are_none(old, tree, capsys, tmp_path, name, bad):
    path = old / "model" / "model.safetensors"
    state = load_file(path)
    state[name].view(-1)[1] = bad
    save_file(state, path)
    image = tmp_path / "image.png"
    Image.new("L", (16, 16), 90).save(image)
    before = tree(tmp_path)
    runs = ["--runs", str(tmp_path / "runs")]
    for arguments in (
        ["predict", str(old), str(image), "--out", str(tmp_path / "out.csv")],
        ["evaluate", str(old), "--resamples", "100", *runs],
        ["finetune", "--start", str(old), "--data", PHANTOM, "--head", "linear", *runs],
    ):
        capsys.readouterr()
        assert main(arguments) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        (line,) = [row for row in captured.err.splitlines() if row.startswith("hybridq: error")]
        assert "finite weights" in line
        assert name in line
        assert tree(tmp_path) == before


def test_weights_that_overflow_name_no_class(old, capsys, tmp_path, tree):
    """Finite weights of which infinity comes."""
    path = old / "model" / "model.safetensors"
    state = load_file(path)
    for name, value in state.items():
        if value.is_floating_point() and "running" not in name:
            state[name] = value * 1e30
    save_file(state, path)
    image = tmp_path / "image.png"
    Image.new("L", (16, 16), 90).save(image)
    before = tree(tmp_path)
    assert main(["predict", str(old), str(image)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Expected finite logits" in captured.err
    runs = tmp_path / "runs"
    assert main(["evaluate", str(old), "--resamples", "100", "--runs", str(runs)]) == 2
    assert "Expected finite logits" in capsys.readouterr().err
    assert tree(tmp_path) == before


def test_weights_are_taken_from_the_same_door(copied):
    model, _ = load_model(copied, backend=None)
    forget(copied, lambda state: state["head.classifier.bias"].fill_(NAN))
    refused(lambda: take_weights(model, copied), "finite weights")


# An encoder.


def test_a_flipped_encoder_is_refused(tmp_path):
    path = tmp_path / "encoder.safetensors"
    save_encoder(Encoder(EncoderSpec(image_size=16)), path)
    data = bytearray(path.read_bytes())
    data[-100] ^= 8
    path.write_bytes(data)
    refused(lambda: load_encoder(path), str(path), "hash")


def test_an_edited_spec_is_refused(tmp_path):
    path = tmp_path / "encoder.safetensors"
    save_encoder(Encoder(EncoderSpec(image_size=16)), path)
    path.write_bytes(path.read_bytes().replace(b'image_size\\": 16', b'image_size\\": 32'))
    refused(lambda: load_encoder(path), str(path), "hash")


@pytest.mark.parametrize(("side", "got"), [(3, "6 px"), (2049, "2049 px")])
def test_images_too_small_or_too_large_for_an_encoder(side, got):
    images = np.zeros((1, side, side, 1), dtype=np.uint8)
    refused(
        lambda: encoder_for(images, EncoderConfig(), image_size=None, stem="auto", seed=0),
        got,
        "--image-size",
    )
    whole = encoder_for(images, EncoderConfig(), image_size=16, stem="auto", seed=0)
    assert whole.spec.image_size == 16


def test_white_images_have_a_mean_in_range():
    images = np.full((3, 7, 5, 3), 255, dtype=np.uint8)
    spec = encoder_for(images, EncoderConfig(), image_size=16, stem="auto", seed=0).spec
    assert spec.mean == (1.0, 1.0, 1.0)
    assert EncoderSpec.model_validate(spec.model_dump()) == spec


def test_another_encoder_in_a_runs_place_is_refused(pretrained, tmp_path):
    run = Path(shutil.copytree(pretrained, tmp_path / "run"))
    load_encoder(run)
    save_encoder(Encoder(load_encoder(run).spec), run / "encoder.safetensors")
    refused(lambda: load_encoder(run), str(run), "result.json")


@pytest.mark.parametrize("command", ["finetune", "pretrain"])
def test_an_encoder_of_nan_is_called_damaged(tmp_path, capsys, command):
    encoder = Encoder(EncoderSpec(image_size=16))
    state = {name: value.contiguous() for name, value in encoder.state_dict().items()}
    state["features.18.1.running_var"][7] = NAN
    path = tmp_path / "encoder.safetensors"
    save_file(state, path, {"encoder_spec": encoder.spec.model_dump_json()})
    runs = tmp_path / "runs"
    assert main([command, "--data", PHANTOM, "--encoder", str(path), "--runs", str(runs)]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert "features.18.1.running_var" in line
    assert "damaged" in line
    assert not runs.exists()


def test_a_finished_run_that_is_trained_again_holds_the_new_hashes(copied):
    """Without its checkpoint it begins anew, and other kernels may come to other weights."""
    path = copied / "result.json"
    result = json.loads(path.read_text())
    path.write_text(json.dumps(result | {"hashes": {"config": "0" * 64, "weights": "0" * 64}}))
    refused(lambda: load_model(copied, backend=None), "result.json")
    assert main(["finetune", "--resume", str(copied)]) == 0
    assert json.loads(path.read_text())["hashes"] == hashes_of(copied)
    load_model(copied, backend=None)


@pytest.mark.parametrize("spoilt", ["run", "control"])
@pytest.mark.parametrize("how", ["nan", "flipped"])
def test_studies_submissions_and_reports_use_the_same_door(
    finetuned_pqc, finetuned_control, capsys, tmp_path, tree, spoilt, how
):
    run = Path(shutil.copytree(finetuned_pqc, tmp_path / "run"))
    control = Path(shutil.copytree(finetuned_control, tmp_path / "control"))
    bad = run if spoilt == "run" else control
    if how == "nan":
        forget(bad, lambda state: state["head.classifier.bias"].fill_(NAN))
    else:
        path = bad / "model" / "model.safetensors"
        data = bytearray(path.read_bytes())
        data[-9] ^= 2
        path.write_bytes(data)
    runs = ["--runs", str(tmp_path / "runs")]
    study = ["--noise-scale", "0", "--shots", "none", "--device", "FakeManilaV2", "--workers", "2"]
    commands = [
        ["study", "noise", str(run), str(control), *study, *runs],
        ["report", str(bad), "--out", str(tmp_path / "report.html")],
    ]
    if bad == run:
        where = ["--backend", "ibm_rehearsal", "--limit", "4", "--dry-run"]
        commands.append(["submit", str(run), *where, *runs])
    before = tree(tmp_path)
    for arguments in commands:
        capsys.readouterr()
        assert main(arguments) == 2
        line = capsys.readouterr().err.splitlines()[-1]
        assert "head.classifier.bias" in line if how == "nan" else "hash" in line
        assert tree(tmp_path) == before


@pytest.mark.parametrize("written", [0, 1, 2])
def test_a_kill_between_two_writes_leaves_a_pair_that_fits(copied, monkeypatch, written):
    """The model of a better epoch is written over that of an earlier one."""
    (copied / "result.json").unlink()
    model, spec = load_model(copied, backend=None)
    before = model.head.classifier.bias.clone()
    model.head.classifier.bias.data += 1
    replace, done = Path.replace, []

    def dies(path, target):
        if len(done) == written:
            raise KeyboardInterrupt
        done.append(target)
        return replace(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", dies)
        with pytest.raises(KeyboardInterrupt):
            save_model(copied / "model", model, spec)
    assert len(done) == written
    found, again = load_model(copied, backend=None)
    assert again == spec
    assert torch.equal(found.head.classifier.bias, before + (written == 2))
    save_model(copied / "model", model, spec)
    assert torch.equal(load_model(copied, backend=None)[0].head.classifier.bias, before + 1)
