"""Images of patients under `--pseudonyms`: no name of a file or folder is left anywhere."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from PIL import Image

from hybridq.cli import main as cli
from hybridq.data import load_data
from hybridq.utils.pseudonyms import KEY_VARIABLE, Pseudonyms, make_key

pytestmark = pytest.mark.usefixtures("isolated", "single_thread")

NAME = "Muster^Erika_19610412"
SMALL = ("--epochs", "1", "--batch-size", "8")
HEAD = ("--head.num-qubits", "2", "--head.num-layers", "1", "--freeze-encoder")


@pytest.fixture(scope="module")
def patients(tmp_path_factory):
    """Images of two classes, of patients whose names are in those of files and folder."""
    root = tmp_path_factory.mktemp("data") / f"PAT_{NAME}"
    rng = np.random.default_rng(0)
    for split, count in (("train", 8), ("val", 4), ("test", 6)):
        for level, label in enumerate(("benign", "malignant")):
            folder = root / split / label
            folder.mkdir(parents=True)
            for index in range(count):
                pixels = rng.integers(80 * level, 80 * level + 120, (16, 16), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{NAME}_{index}.png")
    return root


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    path = tmp_path_factory.mktemp("keys") / "key"
    make_key(path)
    return path


@pytest.fixture(autouse=True)
def no_outside_key(monkeypatch):
    monkeypatch.delenv(KEY_VARIABLE, raising=False)


@pytest.fixture
def hybridq(capsys):
    """Call the command line, which must succeed and name nobody; returns its last line."""

    def call(*arguments, code=0):
        capsys.readouterr()
        assert cli.main([str(argument) for argument in arguments]) == code
        out, err = capsys.readouterr()
        assert "Muster" not in out
        assert "recorded as they are" not in err
        if code == 0:
            assert "Muster" not in err
        return out.splitlines()[-1] if out else err

    return call


def names_left(root):
    """Files, by their names or what is in them, that name a patient."""
    found = []
    for path in root.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        if path.suffix == ".npz":
            with np.load(path) as arrays:
                content = repr({name: arrays[name].tolist() for name in arrays.files}).encode()
        if b"Muster" in content or b"19610412" in content or "Muster" in path.name:
            found.append(path)
    return found


def ids_in(path, column):
    with path.open() as file:
        return [row[column] for row in csv.DictReader(file)]


def test_a_model_and_its_report_name_nobody(hybridq, patients, key, isolated):
    hidden = ("--pseudonyms", "--pseudonym-key", key)
    data = ("--data", patients)
    few = ("--resamples", "100", "--no-baselines")
    run = hybridq("finetune", *data, *hidden, *SMALL, "--freeze-encoder", "--head", "linear")
    evaluated = hybridq("evaluate", run, *data, *hidden, *few)
    out = ("--out", "report.html", "--resamples", "100", "--gallery", "2", "--embedding", "none")
    hybridq("report", evaluated, *data, *hidden, *out)
    hybridq("predict", run, patients / "test", *hidden, "--out", "predicted.csv")
    hybridq("data", "check", patients, *hidden)
    assert names_left(isolated) == []
    secret = key.read_bytes().strip()
    written = [path.read_bytes() for path in isolated.rglob("*") if path.is_file()]
    assert len(written) > 15
    assert not any(secret in content for content in written)

    given = Pseudonyms(key)
    ids = ids_in(isolated / evaluated / "predictions" / "test.csv", "id")
    assert ids == [given.image(name) for name in load_data(str(patients)).splits["test"].ids]
    images = sorted((patients / "test").rglob("*.png"))
    assert ids_in(isolated / "predicted.csv", "path") == [given.image(str(p)) for p in images]
    page = (isolated / "report.html").read_text()
    assert any(name in page for name in ids)  # the images of its gallery, found by --data
    assert given.data(patients.name) in page

    # What is made of such a run has pseudonyms unasked, the same by the same key.
    again = hybridq("evaluate", run, *data, "--pseudonym-key", key, *few)
    assert ids_in(isolated / again / "predictions" / "test.csv", "id") == ids
    assert "--data that is recorded as data-" in hybridq("evaluate", run, code=2)


@pytest.mark.slow
def test_studies_and_submissions_name_nobody(hybridq, patients, key, isolated):
    hidden = ("--pseudonyms", "--pseudonym-key", key)
    data = ("--data", patients)
    encoder = hybridq("pretrain", *data, *hidden, *SMALL)
    train = ("finetune", *data, *hidden, *SMALL, *HEAD, "--encoder", encoder, "--head")
    runs = [hybridq(*train, head) for head in ("pqc", "mlp")]
    noise = hybridq(
        *("study", "noise", *runs, *data, *hidden, "--device", "FakeManila"),
        *("--noise-scale", "1", "--shots", "none", "--workers", "1"),
    )
    ablation = hybridq(
        *("study", "ablation", *data, *hidden, "--seeds", "1", "--labels", "1", "--workers", "1"),
        *("--pretrain-epochs", "1", "--steps", "2", "--num-qubits", "2", "--num-layers", "1"),
        *("--subsets", "1", "--whole-networks", "1", "--whole-heads", "mlp", "--whole-steps", "2"),
        *("--whole-rates", "1e-3"),
    )
    again = ("--data", patients, "--pseudonym-key", key)
    for kind, study in (("noise", noise), ("ablation", ablation)):
        (isolated / study / "result.json").unlink()
        assert "recorded as data-" in hybridq("study", kind, "--resume", study, code=2)
        hybridq("study", kind, "--resume", study, *again)
        assert (isolated / study / "result.json").is_file()
    rehearsal = ("--backend", "ibm_rehearsal,shots=64", "--layout-seeds", "1")
    submitted = hybridq("submit", runs[0], *data, *hidden, *rehearsal)
    hybridq("jobs", "collect", submitted)
    hybridq("submit", runs[0], patients / "test", *hidden, *rehearsal)
    out = ("--out", "report.html", "--resamples", "100", "--gallery", "2", "--embedding", "none")
    hybridq("report", noise, ablation, submitted, *data, *hidden, *out)
    assert names_left(isolated) == []


def test_going_on_needs_the_same_data_and_key(
    hybridq, patients, key, isolated, tmp_path, save_folder
):
    begun = hybridq("pretrain", "--data", patients, "--pseudonym-key", key, *SMALL)
    config = json.loads((isolated / begun / "config.json").read_text())
    assert config["data"] == Pseudonyms(key).data(patients.name)
    (isolated / begun / "result.json").unlink()
    assert "recorded as data-" in hybridq("pretrain", "--resume", begun, code=2)
    other = save_folder("other", classes=("benign", "malignant"))
    make_key(tmp_path / "other-key")
    for data, own in ((other, key), (patients, tmp_path / "other-key")):
        line = hybridq(
            "pretrain", "--resume", begun, "--data", data, "--pseudonym-key", own, code=2
        )
        assert "the same --data and --pseudonym-key" in line
    assert not (isolated / begun / "result.json").exists()
    hybridq("pretrain", "--resume", begun, "--data", patients, "--pseudonym-key", key)
    assert (isolated / begun / "result.json").exists()
    assert names_left(isolated) == []
    line = hybridq("pretrain", "--resume", begun, "--data", patients, "--epochs", 2, code=2)
    assert "--resume RUN alone" in line


def test_records_without_pseudonyms_are_told_and_not_hidden_later(patients, key, isolated, capsys):
    data = ("--data", str(patients))
    assert cli.main(["finetune", *data, *SMALL, "--freeze-encoder", "--head", "linear"]) == 0
    out, err = capsys.readouterr()
    run = out.splitlines()[-1]
    assert err.count("recorded as they are; --pseudonyms records") == 1
    assert cli.main(["evaluate", run, "--resamples", "100", "--no-baselines"]) == 0
    out, err = capsys.readouterr()
    assert err.count("recorded as they are") == 1
    evaluated = out.splitlines()[-1]
    own = ["--pseudonym-key", str(key)]
    for again in (["evaluate", run], ["report", evaluated, "--out", "page.html"]):
        assert cli.main([*again, *own]) == 2
        assert "--pseudonyms" in capsys.readouterr().err
    assert not (isolated / "page.html").exists()


def test_an_encoder_never_names_its_images(patients, isolated, capsys):
    assert cli.main(["pretrain", "--data", str(patients), *SMALL]) == 0
    run = capsys.readouterr().out.splitlines()[-1]
    again = ["pretrain", "--data", str(patients), *SMALL, "--encoder", run]
    assert cli.main(again) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    for folder in (run, last):
        content = (isolated / folder / "encoder.safetensors").read_bytes()
        assert b"simclr on own images" in content
        assert b"Muster" not in content
        assert b"PAT_" not in content
