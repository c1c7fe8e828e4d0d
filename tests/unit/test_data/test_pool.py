"""Pretraining on several sets together."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import hybridq as hq
from hybridq.config import AugmentConfig, FinetuneConfig, PretrainConfig
from hybridq.data import data_record, load_data
from hybridq.data.pool import Pool, load_pool
from hybridq.data.source import is_own, sources_of
from hybridq.data.transforms import channel_statistics, resize_images
from hybridq.errors import InvalidValueError
from hybridq.models.encoders.encoder import Encoder, EncoderSpec
from hybridq.models.encoders.file import load_encoder
from hybridq.runs.folder import read_config
from hybridq.runs.recorded import absolute_source
from hybridq.training.finetune import finetune
from hybridq.training.initial import Handed, initial_model
from hybridq.training.objectives.self_supervised import SelfSupervised
from hybridq.training.pretrain import pretrain

RNG = np.random.default_rng(0)
GREY, TEXTURE = "phantom,size=16,count=40", "phantom,finding=texture,size=20,count=40"


def arrays(shape: tuple[int, ...], name: str, low: int = 0, high: int = 256) -> hq.ImageData:
    images = RNG.integers(low, high, shape, dtype=np.uint8)
    train = images, np.arange(len(images)) % 2
    return hq.ImageData.from_arrays(train=train, val=(images[:2], [0, 1]), name=name)


def test_sources_are_joined_by_a_plus_unless_they_are_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a+b").mkdir()
    assert sources_of("breastmnist") == ("breastmnist",)
    assert sources_of(f"breastmnist,size=64 + {TEXTURE}") == ("breastmnist,size=64", TEXTURE)
    assert sources_of("a+b") == ("a+b",)
    assert sources_of(f"{tmp_path}/a+b") == (f"{tmp_path}/a+b",)
    Path("c").mkdir()
    assert absolute_source(f"c+{GREY}") == f"{tmp_path.resolve()}/c+{GREY}"
    assert is_own(f"{GREY}+c")
    assert not is_own(f"{GREY}+breastmnist")


@pytest.mark.parametrize("side", [7, 24, 40])
def test_images_are_resized_as_pillow_does(side):
    images = RNG.integers(0, 256, (3, 24, 18, 3), dtype=np.uint8)
    resized = resize_images(images, side)
    for ours, image in zip(resized, images, strict=True):
        theirs = np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BILINEAR))
        assert np.abs(ours.astype(int) - theirs.astype(int)).max() <= 1


def test_a_pool_has_one_size_and_as_many_channels_as_its_richest_set():
    pool = Pool((arrays((10, 12, 12), "grey"), arrays((16, 20, 24, 3), "colour")))
    assert len(pool) == 10 + 16
    assert pool.images(32).shape == (26, 20, 20, 3)
    small = pool.images(12)
    assert small.shape == (26, 12, 12, 3)
    grey = pool.first.splits["train"].images
    assert np.array_equal(small[:10], np.repeat(grey, 3, axis=3))
    assert pool.numbers.tolist() == [0] * 10 + [1] * 16


def test_one_set_stays_as_it_is():
    data = load_data(GREY, splits=("train",))
    pool = load_pool(GREY)
    assert np.array_equal(pool.images(99), data.splits["train"].images)
    assert pool.record() == data_record(data)
    assert (pool.name, pool.licence, pool.own) == (data.name, data.licence, data.own)


def test_the_record_tells_a_changed_set(tmp_path):
    first, second = arrays((8, 12, 12), "first"), arrays((8, 12, 12), "second")
    record = Pool((first, second)).record()
    assert record["name"] == "first+second"
    assert record["splits"]["train"]["images"] == 16
    assert [one["name"] for one in record["sets"]] == ["first", "second"]
    train = second.splits["train"]
    changed = replace(second, splits={"train": replace(train, images=train.images ^ 1)})
    other = Pool((first, changed)).record()
    assert other["splits"]["train"]["sha256"] != record["splits"]["train"]["sha256"]


def test_each_image_is_normalised_by_its_own_set():
    dark, bright = arrays((40, 12, 12), "dark", 0, 60), arrays((24, 12, 12), "bright", 150, 256)
    pool = Pool((dark, bright))
    still = AugmentConfig(crop_min=1, horizontal_flip=False, rotation=0, jitter=0, blur=0)
    config = PretrainConfig(augment=still, batch_size=4)
    encoder = Encoder(EncoderSpec(image_size=12), network=torch.nn.Conv2d(3, 4, 3))
    images = torch.from_numpy(pool.images(12)).permute(0, 3, 1, 2)
    objective = SelfSupervised(config, encoder, images, pool=pool)
    for number in (0, 1):
        whole = objective.prepared(np.flatnonzero(pool.numbers == number))
        assert whole.mean() == pytest.approx(0, abs=1e-5)
        assert whole.std() == pytest.approx(1, abs=1e-2)
    batches = objective.train_batches(0, 1)
    seen = torch.cat([sets for _, sets in batches])
    assert torch.bincount(seen).tolist() == [40, 24]  # every image once
    apart = 0
    for batch, sets in batches:
        assert torch.equal(batch.amax((1, 2, 3)) > 100, sets == 1)
        apart += len(sets.unique()) == 2
        views = objective.augment(batch, sets)
        mean, std = np.array(pool.statistics())[:, :, 0].T
        scale = (batch / 255).mean((1, 2, 3)).double()
        wanted = (scale - torch.from_numpy(mean)[sets]) / torch.from_numpy(std)[sets]
        assert torch.allclose(views.mean((1, 2, 3)).double(), wanted, atol=0.2)
    assert apart > len(batches) / 2


@pytest.fixture(scope="module")
def pooled(tmp_path_factory) -> Path:
    runs = tmp_path_factory.mktemp("runs")
    config = PretrainConfig(data=f"{GREY}+{TEXTURE}", runs=runs, steps=4, batch_size=16)
    return pretrain(config)


def test_a_run_on_several_sets_is_recorded_and_can_be_gone_on_with(pooled):
    assert json.loads((pooled / "result.json").read_text())["images"] == 48
    spec = load_encoder(pooled).spec
    first = load_data(GREY).splits["train"].images
    assert (spec.normalised_by_set, spec.image_size) == (True, 32)
    assert (spec.mean, spec.std) == channel_statistics(first)
    assert spec.weights == "simclr on phantom+phantom"
    assert read_config(pooled, PretrainConfig, "pretrain").data == f"{GREY}+{TEXTURE}"
    assert pretrain(PretrainConfig(resume=pooled)) == pooled


@pytest.mark.parametrize("source", [GREY, TEXTURE, "phantom,size=24,count=60,seed=3"])
def test_fine_tuning_normalises_by_the_set_at_hand(pooled, source, tmp_path):
    from hybridq.models.checkpoint import read_spec

    config = {"encoder": str(pooled), "epochs": 1, "head": "linear", "freeze_encoder": True}
    run = finetune(FinetuneConfig(data=source, runs=tmp_path, **config))
    images = load_data(source).splits["train"].images
    spec = read_spec(run).encoder
    assert (spec.mean, spec.std) == channel_statistics(images)
    handed = Handed(encoder=load_encoder(pooled))
    model = initial_model(FinetuneConfig(head="linear"), load_data(source), handed)
    assert model.encoder.spec.mean == spec.mean


def test_sets_are_handed_over_in_a_list():
    colour = arrays((24, 12, 12, 3), "colour")
    encoder = hq.pretrain([GREY, colour], steps=2, batch_size=8)
    assert encoder.spec.weights.startswith("simclr on phantom+")
    assert "colour: not stated" in encoder.spec.data_licence
    again = hq.pretrain([GREY, colour], encoder, steps=2, batch_size=8)
    assert again.spec.weights.count("phantom+") == 2


def test_names_of_folders_are_in_no_record(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number in range(12):
        path = Path("PAT_0815", "ab"[number % 2], f"{number}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(RNG.integers(0, 256, (16, 16), dtype=np.uint8)).save(path)
    data, key = f"PAT_0815+{GREY}", Path("key")
    run = pretrain(PretrainConfig(data=data, pseudonym_key=key, steps=2, batch_size=8))
    for path in (one for one in [run, *run.rglob("*")] if one.is_file()):
        assert b"PAT_0815" not in path.read_bytes(), path
    assert "PAT_0815" not in run.name
    assert load_encoder(run).spec.weights == "simclr on own images+phantom"
    with pytest.raises(InvalidValueError, match="is recorded as data-"):
        pretrain(PretrainConfig(resume=run, pseudonym_key=key))
    assert pretrain(PretrainConfig(resume=run, data=data, pseudonym_key=key)) == run
    with pytest.raises(InvalidValueError, match="Expected the data, and the key"):
        pretrain(PretrainConfig(resume=run, data=f"{GREY}+PAT_0815", pseudonym_key=key))


@pytest.mark.parametrize(
    ("train", "options", "got"),
    [
        (pretrain, {"data": f"{GREY}+{GREY}"}, "count=40 twice: give each once"),
        (pretrain, {"data": f"{GREY}+"}, "got ''"),
        (pretrain, {"data": f"{GREY}+breastmnits"}, "did you mean `breastmnist`"),
        (pretrain, {"data": f"{GREY}+{TEXTURE}", "probe": True}, "several sets, of other classes"),
        (finetune, {"data": "breastmnist+pneumoniamnist"}, "pretraining alone takes several sets"),
    ],
)
def test_what_is_no_pool_is_refused(train, options, got, tmp_path):
    kind = PretrainConfig if train is pretrain else FinetuneConfig
    with pytest.raises(InvalidValueError, match=got):
        train(kind(runs=tmp_path / "runs", **options))
    assert not (tmp_path / "runs").exists()
