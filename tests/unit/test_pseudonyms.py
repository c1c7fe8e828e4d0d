"""Pseudonyms: keyed, repeatable, and with a key that nobody else reads."""

from __future__ import annotations

import csv
import os
import pickle
import stat

import pytest

from hybridq.config import EvaluateConfig, FinetuneConfig
from hybridq.data import check_data, load_data
from hybridq.errors import HybridqError, InvalidValueError
from hybridq.runs.recorded import recorded
from hybridq.utils.pseudonyms import (
    KEY_VARIABLE,
    Pseudonyms,
    default_path,
    is_pseudonym,
    make_key,
    pseudonyms_of,
    read_key,
)

pytestmark = pytest.mark.usefixtures("isolated")

NAME = "Muster^Erika_19610412"


@pytest.fixture(autouse=True)
def no_outside_key(monkeypatch):
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)


@pytest.fixture
def key(tmp_path):
    make_key(tmp_path / "key")
    return tmp_path / "key"


@pytest.fixture
def patients(save_folder):
    """A folder of images whose names are those of a patient."""
    root = save_folder(f"PAT_{NAME}", counts=(4, 3, 3), size=16)
    for path in root.rglob("*.png"):
        path.rename(path.with_name(f"{NAME}_{path.name}"))
    return root


def test_the_same_key_gives_the_same_pseudonyms(key, tmp_path):
    first, again = Pseudonyms(key), Pseudonyms(key)
    make_key(tmp_path / "other")
    other = Pseudonyms(tmp_path / "other")
    names = [NAME, "a", "", "ü", "M\udcfcller"]
    for give in ("image", "data", "group"):
        found = [getattr(first, give)(name) for name in names]
        assert found == [getattr(again, give)(name) for name in names]
        assert len(set(found)) == len(names)
        assert not set(found) & {getattr(other, give)(name) for name in names}
        assert all(text.startswith(f"{give}-") and len(text) == len(give) + 25 for text in found)
    assert is_pseudonym(first.data(NAME))
    assert not is_pseudonym(first.image(NAME))
    assert not is_pseudonym("data-set")


def test_it_is_hmac_sha256(monkeypatch):
    """By the definition of HMAC, RFC 2104, with the hash function alone."""
    import hashlib

    def block(pad):
        return bytes(byte ^ pad for byte in key.ljust(64, b"\0"))

    key = b"0123456789abcdef"
    inner = hashlib.sha256(block(0x36) + b"image\0x.png").digest()
    monkeypatch.setenv(KEY_VARIABLE, key.decode())
    assert Pseudonyms().image("x.png") == (
        "image-" + hashlib.sha256(block(0x5C) + inner).hexdigest()[:24]
    )


def test_a_key_is_made_for_its_owner_alone(tmp_path, caplog):
    path = default_path()
    assert path.is_relative_to(tmp_path / "home")
    with caplog.at_level("INFO"):
        made = read_key(None)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(made) == 64
    assert read_key(None) == made == read_key(path)
    assert str(path) in caplog.text
    assert made.decode() not in caplog.text
    assert sorted(os.listdir(path.parent)) == [path.name]
    make_key(path)
    assert read_key(path) == made
    assert made.decode() not in repr(Pseudonyms(path))
    assert made not in pickle.dumps(Pseudonyms(path))


def test_a_key_that_others_can_read_is_told(key, caplog):
    read_key(key)
    assert caplog.text == ""
    key.chmod(0o644)
    read_key(key)
    assert "chmod 600" in caplog.text


def test_keys_that_are_none(tmp_path, monkeypatch):
    for content in ("", "short", "\0" * 40):
        (tmp_path / "key").write_text(content)
        with pytest.raises(HybridqError, match="Expected a key for pseudonyms"):
            read_key(tmp_path / "key")
    with pytest.raises(HybridqError, match="a folder"):
        read_key(tmp_path)
    monkeypatch.setenv(KEY_VARIABLE, "short")
    with pytest.raises(
        InvalidValueError, match=r"at least 16 characters in \$HYBRIDQ_PSEUDONYM_KEY"
    ):
        read_key(None)
    monkeypatch.setenv(KEY_VARIABLE, "long enough to be one")
    assert read_key(None) == b"long enough to be one"


def test_when_a_command_has_them(key, tmp_path):
    plain = FinetuneConfig()
    assert pseudonyms_of(plain) is None
    assert pseudonyms_of(FinetuneConfig(pseudonyms=True)) is not None
    assert pseudonyms_of(FinetuneConfig(pseudonym_key=key)).path == key
    assert pseudonyms_of(EvaluateConfig(run=tmp_path), plain) is None
    of_run = FinetuneConfig(pseudonyms=True)
    assert pseudonyms_of(EvaluateConfig(run=tmp_path), of_run) is not None
    with pytest.raises(InvalidValueError, match="outside"):
        pseudonyms_of(FinetuneConfig(pseudonym_key=key), folder=tmp_path)


def test_data_of_ones_own_have_them(patients, key, caplog):
    own = load_data(str(patients))
    with caplog.at_level("INFO"):
        hidden = load_data(str(patients), pseudonyms=Pseudonyms(key))
    assert caplog.text == ""
    assert hidden.name == Pseudonyms(key).data(patients.name)
    assert hidden.class_names == own.class_names
    for name, split in hidden.splits.items():
        plain = own.splits[name]
        assert (split.images == plain.images).all()
        assert split.ids == tuple(Pseudonyms(key).image(one) for one in plain.ids)
        assert not any("Muster" in one for one in split.ids)


def test_an_npz_of_ones_own_has_them(save_npz, key):
    hidden = load_data(str(save_npz(f"{NAME}.npz")), pseudonyms=Pseudonyms(key))
    assert hidden.name == Pseudonyms(key).data(NAME)


def test_public_sets_keep_their_names():
    data = load_data("phantom,size=16,count=20", pseudonyms=Pseudonyms())
    assert (data.name, data.splits["test"].ids[0]) == ("phantom", "test_0")
    assert not default_path().exists()


def test_a_config_is_recorded_without_the_path(patients, key):
    data = load_data(str(patients), pseudonyms=Pseudonyms(key))
    config = FinetuneConfig(data=str(patients), data_root=patients.parent, pseudonym_key=key)
    kept = recorded(config, data, Pseudonyms(key))
    assert kept.pseudonyms
    text = kept.model_dump_json()
    assert "Muster" not in text
    assert str(key) not in text
    with pytest.raises(InvalidValueError, match="--data that is recorded as data-"):
        load_data(kept.data)


def spoil(root):
    (root / "train" / "dark" / f"{NAME}_0.png").write_bytes(b"broken")
    (root / "train" / "dark" / f"{NAME}_folder").mkdir()
    (root / "train" / f"{NAME}.png").write_bytes(b"")
    (root / "val" / "dark" / f"{NAME}_gone.png").symlink_to("nowhere")
    copy = root / "test" / "grey" / f"{NAME}_copy.png"
    copy.write_bytes((root / "train" / "grey" / f"{NAME}_1.png").read_bytes())


def test_the_check_names_nobody(patients, key):
    spoil(patients)
    plain = check_data(str(patients))
    hidden = check_data(str(patients), pseudonyms=Pseudonyms(key))
    assert [(one.level, one.subject) for one in plain] == [
        (one.level, one.subject) for one in hidden
    ]
    assert sum("Muster" in one.detail for one in plain) == 5
    assert not any("Muster" in one.detail for one in hidden)
    assert not any(str(patients.parent) in one.detail for one in hidden)
    wanted = Pseudonyms(key).image(f"train/dark/{NAME}_0.png")
    assert sum(wanted in one.detail for one in hidden) == 1


def test_the_check_of_a_manifest_names_nobody(patients, key):
    images = sorted(patients.rglob("*.png"))
    rows = [
        [path.relative_to(patients).as_posix(), path.parent.name, NAME, path.parts[-3]]
        for path in images
    ]
    rows += [[f"{NAME}.png", "dark", "g", "train"], [f"../{NAME}.png", "dark", "g", "train"]]
    rows += [rows[0]]
    with (patients / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["path", "label", "group", "split"], *rows])
    plain = check_data(str(patients))
    hidden = check_data(str(patients), pseudonyms=Pseudonyms(key))
    assert sum("Muster" in one.detail for one in plain) >= 4
    assert not any("Muster" in one.detail for one in hidden)
    assert any(Pseudonyms(key).group(NAME) in one.detail for one in hidden)
