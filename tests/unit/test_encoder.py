"""MobileNetV2 as an encoder: its size, its numbers against torchvision's, its file."""

from __future__ import annotations

import http.client
import json
import urllib.error

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torchvision.models import mobilenet_v2

from hybridq.config import EncoderConfig
from hybridq.errors import HybridqError, InvalidValueError, MissingFileError, UnavailableError
from hybridq.models.encoders import encoder as backbone
from hybridq.models.encoders.build import build_encoder
from hybridq.models.encoders.encoder import Encoder, EncoderSpec, random_encoder_like
from hybridq.models.encoders.file import load_encoder, save_encoder
from hybridq.models.encoders.initial import encoder_for

pytestmark = pytest.mark.usefixtures("isolated")

SPEC = EncoderSpec(
    stem="stride1",
    image_size=16,
    mean=(0.1, 0.2, 0.3),
    std=(0.4, 0.5, 0.6),
    weights="simclr on phantom",
    data_licence="CC BY 4.0",
)


def images(count: int = 2, size: int = 32) -> torch.Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def warm_up(encoder: Encoder, size: int) -> None:
    """Give batch norm statistics of images: with those of a new network, features are near 0."""
    for module in encoder.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        encoder.train()(images(8, size))
    encoder.eval()


def assert_one_line(error: HybridqError) -> None:
    text = str(error)
    assert "\n" not in text
    assert text.startswith("Expected ")
    assert ", got " in text


def test_parameters_and_features():
    encoder = Encoder(EncoderSpec(image_size=32)).eval()
    assert sum(p.numel() for p in encoder.parameters()) == 2_223_872
    assert all(p.requires_grad for p in encoder.parameters())
    assert encoder(images()).shape == (2, encoder.num_features) == (2, 1280)


@pytest.mark.parametrize(("stem", "side"), [("stride2", 2), ("stride1", 4)])
def test_stem_sets_the_resolution(stem, side):
    encoder = Encoder(EncoderSpec(stem=stem, image_size=64)).eval()
    with torch.no_grad():
        stem_map = encoder.features[0](images(1, 64))
        final_map = encoder.features(images(1, 64))
    assert stem_map.shape[-2:] == (16 * side, 16 * side)
    assert final_map.shape[-2:] == (side, side)


@pytest.mark.parametrize("size", [32, 64])
def test_features_are_those_of_torchvision(size):
    """Same weights in torchvision's own class, classifier taken off: the same numbers."""
    encoder = Encoder(EncoderSpec(image_size=size), generator_seed=3)
    warm_up(encoder, size)
    peer = mobilenet_v2(weights=None)
    peer.features.load_state_dict(encoder.features.state_dict())
    peer.classifier = torch.nn.Identity()
    peer.eval()
    with torch.no_grad():
        expected = peer(images(3, size))
        found = encoder(images(3, size))
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
    assert found.std() > 0.1


def test_the_seed_makes_the_weights_and_leaves_the_generators_alone():
    torch.manual_seed(11)
    np.random.seed(11)  # noqa: NPY002
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first, again, other = (Encoder(SPEC, generator_seed=seed) for seed in (1, 1, 2))
    build_encoder("none", SPEC, seed=4)
    random_encoder_like(first, 5)
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002
    same = [torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True)]
    assert all(same)
    assert not torch.equal(first.features[0][0].weight, other.features[0][0].weight)


def test_the_weights_do_not_depend_on_the_global_generator():
    torch.manual_seed(1)
    first = Encoder(SPEC, generator_seed=7)
    torch.manual_seed(2)
    second = Encoder(SPEC, generator_seed=7)
    assert torch.equal(first.features[0][0].weight, second.features[0][0].weight)


@pytest.mark.parametrize(
    ("side", "asked", "size", "stem"),
    [
        (16, "auto", 32, "stride2"),
        (63, "auto", 126, "stride2"),
        (64, "auto", 64, "stride2"),
        (224, "auto", 224, "stride2"),
        (28, "stride1", 28, "stride1"),
        (28, "stride2", 56, "stride2"),
        (224, "stride1", 224, "stride1"),
    ],
)
def test_small_images_are_enlarged_unless_the_stem_does_it(side, asked, size, stem):
    data = np.zeros((2, side, side + 1, 1), np.uint8)
    spec = encoder_for(data, EncoderConfig(), image_size=None, stem=asked, seed=0).spec
    assert (spec.image_size, spec.stem) == (size, stem)


def test_a_given_input_size_is_kept():
    data = np.zeros((2, 28, 28, 1), np.uint8)
    spec = encoder_for(data, EncoderConfig(), image_size=28, stem="auto", seed=0).spec
    assert (spec.image_size, spec.stem) == (28, "stride2")


def test_the_stem_and_size_of_given_weights_are_kept(tmp_path):
    save_encoder(Encoder(SPEC), tmp_path / "encoder.safetensors")
    data = np.zeros((2, 28, 28, 1), np.uint8)
    spec = encoder_for(
        data,
        EncoderConfig(weights=str(tmp_path / "encoder.safetensors")),
        image_size=None,
        stem="auto",
        seed=0,
    ).spec
    assert (spec.image_size, spec.stem) == (SPEC.image_size, SPEC.stem)


def test_given_weights_take_images_at_the_size_asked_for(tmp_path):
    saved = Encoder(SPEC, generator_seed=3)
    save_encoder(saved, tmp_path / "encoder.safetensors")
    data = np.random.default_rng(0).integers(0, 256, (4, 28, 28, 1), np.uint8)
    encoder = encoder_for(
        data, EncoderConfig(weights=str(tmp_path)), image_size=48, stem="auto", seed=0
    )
    assert encoder.spec == SPEC.model_copy(update={"image_size": 48})
    assert encoder.prepare(data).shape == (4, 3, 48, 48)
    for name, value in saved.state_dict().items():
        assert torch.equal(encoder.state_dict()[name], value)


def test_given_weights_of_another_stem_are_refused(tmp_path):
    save_encoder(Encoder(SPEC), tmp_path / "encoder.safetensors")
    other = "stride2" if SPEC.stem == "stride1" else "stride1"
    data = np.zeros((2, 28, 28, 1), np.uint8)
    with pytest.raises(InvalidValueError, match=f"Expected `stem` {SPEC.stem}, .*got {other}"):
        encoder_for(data, EncoderConfig(weights=str(tmp_path)), image_size=None, stem=other, seed=0)


def test_a_frozen_encoder_keeps_its_batch_norm_through_training():
    encoder = Encoder(SPEC)
    encoder.frozen = True
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    encoder.train()
    assert not any(module.training for module in encoder.modules())
    outer = torch.nn.Sequential(encoder, torch.nn.Linear(1280, 2)).train()
    assert outer[1].training
    for _ in range(2):
        outer(images(4, 16)).sum().backward()
    for name, value in encoder.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_an_encoder_that_is_not_frozen_does_update_its_batch_norm():
    encoder = Encoder(SPEC).train()
    before = encoder.features[0][1].running_mean.clone()
    encoder(images(4, 16))
    assert not torch.equal(encoder.features[0][1].running_mean, before)


# The file.


@pytest.fixture
def saved(tmp_path):
    """An encoder with moved batch-norm statistics, and its file."""
    encoder = Encoder(SPEC, generator_seed=5).train()
    with torch.no_grad():
        encoder(images(4, 16))
    path = tmp_path / "encoder.safetensors"
    save_encoder(encoder.eval(), path)
    return encoder, path


def test_round_trip_is_bit_identical(saved):
    encoder, path = saved
    loaded = load_encoder(path)
    assert loaded.spec == SPEC
    expected, found = encoder.state_dict(), loaded.state_dict()
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        assert value.dtype == found[name].dtype
        assert torch.equal(value, found[name]), name
    with torch.no_grad():
        assert torch.equal(encoder(images(2, 16)), loaded.eval()(images(2, 16)))


def test_the_file_holds_the_backbone_and_its_spec_alone(saved):
    _, path = saved
    names = set(load_file(path))
    assert names == {
        f"features.{name}" for name in mobilenet_v2(weights=None).features.state_dict()
    }
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    assert list(metadata) == ["encoder_spec"]
    held = json.loads(metadata["encoder_spec"])
    assert len(held.pop("sha256")) == 64
    assert held == {
        "architecture": "mobilenet_v2",
        "stem": "stride1",
        "image_size": 16,
        "crop_pct": 1.0,
        "mean": [0.1, 0.2, 0.3],
        "std": [0.4, 0.5, 0.6],
        "normalised_by_set": False,
        "weights": "simclr on phantom",
        "data_licence": "CC BY 4.0",
    }


def test_saving_twice_gives_the_same_bytes(saved, tmp_path):
    encoder, path = saved
    save_encoder(encoder, tmp_path / "again.safetensors")
    assert path.read_bytes() == (tmp_path / "again.safetensors").read_bytes()


def test_a_folder_stands_for_the_file_in_it(saved):
    encoder, path = saved
    from_folder = build_encoder(str(path.parent), EncoderSpec(image_size=99))
    assert from_folder.spec == encoder.spec  # its own spec counts, not the one that was asked for


def test_missing_file(tmp_path):
    for source in (tmp_path / "none.safetensors", tmp_path):
        with pytest.raises(
            MissingFileError, match=r"encoder\.safetensors|none\.safetensors"
        ) as info:
            build_encoder(str(source), SPEC)
        assert_one_line(info.value)


@pytest.mark.parametrize("content", [b"", b"no tensors here", b"\x80\x04pickle", b"\xff" * 64])
def test_a_file_that_is_no_safetensors(tmp_path, content):
    path = tmp_path / "encoder.safetensors"
    path.write_bytes(content)
    with pytest.raises(InvalidValueError, match="encoder_spec") as info:
        load_encoder(path)
    assert_one_line(info.value)


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        {"other": "x"},
        {"encoder_spec": "{"},
        {"encoder_spec": "[]"},
        {"encoder_spec": '{"image_size": 3}'},
        {"encoder_spec": '{"colour": 1}'},
        {"encoder_spec": '{"architecture": "resnet19"}'},
    ],
)
def test_a_file_without_a_valid_spec(saved, tmp_path, metadata):
    encoder, _ = saved
    path = tmp_path / "other.safetensors"
    save_file({k: v.contiguous() for k, v in encoder.state_dict().items()}, path, metadata)
    with pytest.raises(InvalidValueError, match="encoder_spec") as info:
        load_encoder(path)
    assert_one_line(info.value)


@pytest.mark.parametrize("fault", ["shape", "missing", "unknown"])
def test_a_file_of_another_shape(saved, tmp_path, fault):
    encoder, _ = saved
    state = {name: value.contiguous() for name, value in encoder.state_dict().items()}
    name = "features.18.0.weight"
    if fault == "shape":
        state[name] = state[name][:640].contiguous()
    elif fault == "missing":
        del state[name]
    else:
        name = "projection.weight"
        state[name] = torch.zeros(2)
    path = tmp_path / "other.safetensors"
    save_file(state, path, {"encoder_spec": SPEC.model_dump_json()})
    with pytest.raises(InvalidValueError, match=r"got 1 tensors") as info:
        load_encoder(path)
    assert name in str(info.value)
    assert_one_line(info.value)


# ImageNet, without a network.


def test_imagenet_weights_land_in_the_encoder(monkeypatch, capsys):
    torch.manual_seed(0)
    donor = mobilenet_v2(weights=None)
    asked = []

    def fake(url, *args, **kwargs):
        asked.append((url, kwargs))
        print("Downloading")  # as torch.hub does
        return donor.state_dict()

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", fake)
    encoder = build_encoder("imagenet", SPEC, seed=9)
    assert len(asked) == 1
    assert "mobilenet_v2" in asked[0][0]
    assert asked[0][1]["check_hash"] is True
    assert capsys.readouterr().out == ""
    for name, value in donor.features.state_dict().items():
        assert torch.equal(encoder.state_dict()[f"features.{name}"], value)
    spec = encoder.spec
    assert (spec.image_size, spec.stem) == (16, "stride1")
    assert spec.mean == backbone.IMAGENET_MEAN
    assert spec.std == backbone.IMAGENET_STD
    assert spec.weights == "imagenet"
    assert "ImageNet" in spec.data_licence


@pytest.mark.parametrize(
    "failure",
    [
        urllib.error.URLError("no\nhost"),
        ConnectionResetError("gone"),
        TimeoutError("slow"),
        RuntimeError('invalid hash value (expected "a",\n got "b")'),
        http.client.IncompleteRead(b"half"),
        EOFError("cut short"),
    ],
)
def test_imagenet_without_a_network(monkeypatch, failure):
    def fake(*args, **kwargs):
        raise failure

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", fake)
    with pytest.raises(UnavailableError, match="--encoder none") as info:
        build_encoder("imagenet", SPEC)
    assert_one_line(info.value)
    assert "mobilenet_v2" in str(info.value)
