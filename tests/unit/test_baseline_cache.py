"""Baselines from the cache are those that would be computed, or they are computed."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest

from hybridq.data import load_data
from hybridq.evaluation import baseline_cache
from hybridq.evaluation.baseline_cache import cached_baselines, entry_key
from hybridq.models.encoders.build import build_encoder
from hybridq.models.encoders.encoder import EncoderSpec

SPEC = EncoderSpec(image_size=16)


@pytest.fixture(scope="module")
def splits():
    data = load_data("phantom,size=16,count=40", splits=("train", "val", "test"))
    return tuple(data.splits[name] for name in ("train", "val", "test"))


@pytest.fixture
def computed(monkeypatch, tmp_path, splits):
    """Calls of what fits the baselines, made quick; a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    calls = []

    def fit(train, val, test, encoder, num_classes, seed):
        calls.append(seed)
        rng = np.random.default_rng(seed)
        return {
            name: (rng.random((len(val), num_classes)), rng.random((len(test), num_classes)))
            for name in baseline_cache.NAMES
        }

    monkeypatch.setattr("hybridq.evaluation.baselines.baseline_probs", fit)
    return calls


@pytest.fixture(scope="module")
def encoder():
    return build_encoder("none", SPEC)


def equal(one, other) -> bool:
    return one.keys() == other.keys() and all(
        np.array_equal(a, b) for name in one for a, b in zip(one[name], other[name], strict=True)
    )


def entries():
    return sorted(baseline_cache.cache_folder().glob("*.bin"))


def test_the_second_time_nothing_is_computed(computed, splits, encoder, caplog):
    caplog.set_level(logging.INFO, "hybridq")
    first = cached_baselines(*splits, encoder, 2, 5)
    assert not caplog.records
    second = cached_baselines(*splits, encoder, 2, 5)
    assert equal(first, second)
    assert computed == [5]
    assert "taken from" in caplog.text
    for on_val, on_test in second.values():
        on_val += 1  # the arrays are the caller's own
        on_test += 1
    assert equal(cached_baselines(*splits, encoder, 2, 5), first)


def test_whatever_the_numbers_follow_from_makes_another_key(splits, monkeypatch):
    train, val, test = splits
    pixels = test.images.copy()
    pixels[-1, -1, -1, -1] ^= 1
    labels = train.labels.copy()
    labels[0] = 1 - labels[0]
    keys = [
        entry_key(train, val, test, SPEC, 2, 0),
        entry_key(train, val, test, SPEC, 2, 1),
        entry_key(train, val, test, SPEC, 3, 0),
        entry_key(train, val, test, SPEC.model_copy(update={"image_size": 32}), 2, 0),
        entry_key(train, val, test, SPEC.model_copy(update={"stem": "stride1"}), 2, 0),
        entry_key(train, val, replace(test, images=pixels), SPEC, 2, 0),
        entry_key(replace(train, labels=labels), val, test, SPEC, 2, 0),
        entry_key(train.take(np.arange(20)), val, test, SPEC, 2, 0),
        entry_key(train, test, val, SPEC, 2, 0),
    ]
    for name in baseline_cache.LIBRARIES:
        version = baseline_cache.metadata.version
        with monkeypatch.context() as patch:
            patch.setattr(
                baseline_cache.metadata,
                "version",
                lambda one, name=name, version=version: version(one) + "+" * (one == name),
            )
            keys.append(entry_key(train, val, test, SPEC, 2, 0))
    with monkeypatch.context() as patch:
        patch.setenv("ONEDNN_MAX_CPU_ISA", "SSE41")
        keys.append(entry_key(train, val, test, SPEC, 2, 0))
    with monkeypatch.context() as patch:
        patch.setattr(baseline_cache, "CODE", baseline_cache.CODE[1:])
        keys.append(entry_key(train, val, test, SPEC, 2, 0))
    assert len(set(keys)) == len(keys)
    trained = SPEC.model_copy(update={"weights": "a run of pretrain"})
    assert entry_key(train, val, test, trained, 2, 0) == keys[0]  # the random one has none of it


@pytest.mark.parametrize("damage", ["cut", "longer", "flipped", "empty", "of another key"])
def test_a_damaged_entry_is_computed_again(computed, splits, encoder, damage, caplog):
    first = cached_baselines(*splits, encoder, 2, 0)
    (path,) = entries()
    content = path.read_bytes()
    if damage == "of another key":
        cached_baselines(*splits, encoder, 2, 1)
        (other,) = set(entries()) - {path}
        path.write_bytes(other.read_bytes())
        computed.pop()
    else:
        flipped = content[:100] + bytes([content[100] ^ 1]) + content[101:]
        path.write_bytes(
            {"cut": content[:-8], "longer": content + b"0", "flipped": flipped, "empty": b""}[
                damage
            ]
        )
    assert equal(cached_baselines(*splits, encoder, 2, 0), first)
    assert computed == [0, 0]
    assert path.read_bytes() == content
    (record,) = [one for one in caplog.records if one.levelno >= logging.WARNING]
    assert "damaged" in record.message


def test_a_cache_that_cannot_be_written_stops_nothing(computed, splits, encoder, caplog, tmp_path):
    (tmp_path / "cache").write_text("no folder")
    assert cached_baselines(*splits, encoder, 2, 0).keys() == set(baseline_cache.NAMES)
    assert computed == [0]
    (record,) = [one for one in caplog.records if one.levelno >= logging.WARNING]
    assert "could not be kept" in record.message


def test_the_cache_is_bounded(computed, splits, encoder, monkeypatch):
    import os

    monkeypatch.setattr(baseline_cache, "MOST_ENTRIES", 3)
    for seed in range(3):
        cached_baselines(*splits, encoder, 2, seed)
        (newest,) = [path for path in entries() if path.stat().st_mtime > 1000]
        os.utime(newest, (seed, seed))
    oldest = min(entries(), key=lambda path: path.stat().st_mtime)
    cached_baselines(*splits, encoder, 2, 0)  # it was used: now the second is the oldest
    assert oldest.stat().st_mtime > 1000
    cached_baselines(*splits, encoder, 2, 3)
    assert len(entries()) == 3
    assert oldest in entries()
    size = oldest.stat().st_size
    monkeypatch.setattr(baseline_cache, "MOST_BYTES", 5 * size)
    monkeypatch.setattr(baseline_cache, "MOST_ENTRIES", 100)
    for seed in range(10, 20):
        cached_baselines(*splits, encoder, 2, seed)
        assert sum(path.stat().st_size for path in entries()) <= 5 * size
    assert len(entries()) == 5


def test_a_class_without_an_image_is_computed_each_time(computed, splits, encoder, monkeypatch):
    """Its column is missing: such arrays are not of the shape that an entry has."""
    fit = baseline_cache.baselines.baseline_probs

    def narrow(*arguments):
        return {name: (a[:, :1], b[:, :1]) for name, (a, b) in fit(*arguments).items()}

    monkeypatch.setattr("hybridq.evaluation.baselines.baseline_probs", narrow)
    for _ in range(2):
        found = cached_baselines(*splits, encoder, 2, 0)
        assert found["majority"][0].shape[1] == 1
    assert computed == [0, 0]
    assert not entries()
