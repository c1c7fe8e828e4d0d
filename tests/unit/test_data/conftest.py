"""Where the real data lies, and small data sets made on the spot."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def real_data():
    """The folder of real data sets; the test is skipped where there is none."""
    root = os.environ.get("HYBRIDQ_DATA")
    path = Path(root) if root else Path(__file__).parents[4] / "shared" / "data"
    if not (path / "medmnist").is_dir():
        pytest.skip("no real data: set HYBRIDQ_DATA, or put it at ../shared/data")
    return path


@pytest.fixture(autouse=True)
def _no_outside(monkeypatch, tmp_path_factory):
    """No data root and no cache of this machine, and no proxy on the way to 127.0.0.1."""
    monkeypatch.delenv("HYBRIDQ_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def npz(tmp_path):
    """Write an `.npz` in MedMNIST's format; keywords replace arrays, None removes one."""

    def write(name="own.npz", *, compressed=True, shape=(8, 8), classes=2, **changes):
        rng = np.random.default_rng(0)
        arrays = {}
        for split, count in (("train", 12), ("val", 6), ("test", 9)):
            arrays[f"{split}_images"] = rng.integers(0, 256, (count, *shape), dtype=np.uint8)
            arrays[f"{split}_labels"] = (np.arange(count) % classes).astype(np.uint8)[:, None]
        arrays.update(changes)
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        save = np.savez_compressed if compressed else np.savez
        save(path, **{key: value for key, value in arrays.items() if value is not None})
        return path

    return write


@pytest.fixture
def picture():
    """Write a picture with random pixels of a given mode and size (width, height)."""

    def write(path, *, size=(10, 8), mode="L", seed=None):
        path.parent.mkdir(parents=True, exist_ok=True)
        entropy = sum(map(ord, path.as_posix())) if seed is None else seed
        shape = (size[1], size[0]) if mode == "L" else (size[1], size[0], 3)
        pixels = np.random.default_rng(entropy).integers(0, 256, shape, dtype=np.uint8)
        Image.fromarray(pixels, mode).save(path)
        return path

    return write


@pytest.fixture
def folder(tmp_path, picture):
    """A folder `split/class/*.png` with two grey classes."""
    root = tmp_path / "cells"
    for split, count in (("train", 16), ("val", 4), ("test", 5)):
        for name in ("benign", "malignant"):
            for index in range(count):
                picture(root / split / name / f"{index}.png")
    return root


@pytest.fixture
def manifest(tmp_path, picture):
    """Write a folder with a manifest; every named image exists."""

    def write(rows, header="path,label,group,split"):
        root = tmp_path / "listed"
        root.mkdir(exist_ok=True)
        for row in rows:
            name = row.split(",")[0]
            if name.endswith(".png") and ".." not in name:
                picture(root / name)
        (root / "manifest.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
        return root

    return write
