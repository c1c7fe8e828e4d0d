"""Exported models give the probabilities of the package, and are whole or not there."""

from __future__ import annotations

import errno
import importlib.util
import json
import os
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from qiskit import qasm3, qpy
from qiskit.primitives import StatevectorEstimator
from qiskit.quantum_info import SparsePauliOp
from torch import nn

import hybridq as hq
from hybridq.api.model import Model
from hybridq.cli.main import main
from hybridq.config import head_config
from hybridq.config.handed import handed_name
from hybridq.exports.programs import Call, calls_of
from hybridq.models.checkpoint import ModelSpec
from hybridq.models.classifier import build_model
from hybridq.models.encoders.encoder import Encoder, EncoderSpec
from hybridq.models.heads import head_entry

ROOT = Path(__file__).resolve().parents[2]
CLASSES = {"binary": ("benign", "malignant"), "multilabel": ("fluid", "mass", "node")}
TOLERANCE = 1e-6


def made(head, task="binary"):
    """A model with the smallest encoder, whose weights and statistics are not those of a start."""
    name = "tests.contract.narrow_encoder:NARROW"
    about = EncoderSpec(
        architecture=name, image_size=12, crop_pct=0.9, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.25)
    )
    encoder = Encoder(about, generator_seed=1)
    options = {"num_qubits": 2, "num_layers": 1, "init_std": 0.7}
    options |= {"registers": 2} if head == "lqer" else {}
    is_own = isinstance(head, nn.Module)
    known = {} if is_own else head_entry(head).config.model_fields
    names = CLASSES[task]
    config = (
        head_config(handed_name(head))
        if is_own
        else head_config(head, **{key: options[key] for key in options if key in known})
    )
    module = build_model(
        encoder, config, len(names), backend="statevector", seed=3, head=head if is_own else None
    )
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
                part.momentum = 1.0
        module(torch.rand(6, 3, 12, 12, generator=torch.Generator().manual_seed(0)))
        if hasattr(module.head, "alpha"):
            module.head.alpha.fill_(0.7)
    spec = ModelSpec(
        encoder=about,
        head=config,
        task=task,
        class_names=names,
        positive=1 if task == "binary" else None,
        data="own",
        data_licence="mine",
        labels=1.0,
        backend="statevector",
        seed=3,
    )
    return Model(module.eval(), spec)


@pytest.fixture(scope="module")
def models():
    return {
        "generated": made("generated"),
        "linear": made("linear"),
        "mlp": made("mlp", "multilabel"),
        "pqc": made("pqc"),
        "pqc_residual": made("pqc_residual"),
    }


@pytest.fixture
def images():
    """Grey and colour images of other sizes than the encoder's, and of its own."""
    rng = np.random.default_rng(0)
    shapes = [(5, 16, 16), (3, 31, 9, 3), (1, 13, 13, 1), (2, 12, 12, 1)]
    return [rng.integers(0, 256, shape, dtype=np.uint8) for shape in shapes]


def runner(folder):
    """The program beside the files, as a module."""
    about = importlib.util.spec_from_file_location("run", folder / "run.py")
    module = importlib.util.module_from_spec(about)
    about.loader.exec_module(module)
    return module


def needs_onnx():
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name)


@pytest.mark.parametrize("head", ["linear", "mlp", "pqc", "pqc_residual", "generated"])
def test_onnx_gives_the_probabilities_of_the_package(models, images, head, tmp_path):
    needs_onnx()
    model = models[head]
    before = {name: value.clone() for name, value in model.module.state_dict().items()}
    folder = hq.export(model, tmp_path / "out")
    circuit = ["circuit.qasm", "circuit.qpy"]
    programs = ["encoder.onnx", *circuit, "readout.onnx"] if "pqc" in head else ["model.onnx"]
    assert {path.name for path in folder.iterdir()} == {*programs, "model.json", "run.py"}
    probabilities = runner(folder).probabilities
    for given in images:
        np.testing.assert_allclose(probabilities(given), model.predict(given), atol=TOLERANCE)
    with pytest.raises(ValueError, match=r"Expected uint8 images .* scale them to"):
        probabilities(images[0] / 255)
    expected = model.predict(images[0])
    assert np.ptp(expected, axis=0).max() > 1e-3  # or nothing was compared
    after = model.module.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    content = b"".join(path.read_bytes() for path in folder.iterdir())
    assert str(ROOT).encode() not in content
    assert b"site-packages" not in content
    about = json.loads((folder / "model.json").read_text())
    assert about["note"].startswith("Not a medical device")
    assert about["class_names"] == list(model.class_names)
    assert about["positive"] == ("malignant" if head != "mlp" else None)
    if head == "linear":
        check_prepared_images(model, folder, images[0])
    if "pqc" in head:
        residual = head == "pqc_residual"
        assert about["programs"]["readout.onnx"].startswith("features") == residual


def check_prepared_images(model, folder, images):
    """The program alone takes any number of them."""
    import onnxruntime

    session = onnxruntime.InferenceSession(folder / "model.onnx")
    (taken,) = session.get_inputs()
    assert (taken.name, taken.shape) == ("images", ["batch", 3, 12, 12])
    for count in (1, 5):
        given = model.module.encoder.prepare(images[:count, ..., None])
        (probs,) = session.run(["probabilities"], {"images": given.numpy()})
        np.testing.assert_allclose(probs, model.predict(images[:count]), atol=TOLERANCE)


@pytest.mark.parametrize("head", ["linear", "dependent"])
def test_torch_gives_the_probabilities_of_the_package(models, images, head, tmp_path):
    model = made(Two(dependent=True)) if head == "dependent" else models[head]
    folder = hq.export(model, tmp_path / "out", format="torch")
    assert {path.name for path in folder.iterdir()} == {"model.pt2", "model.json"}
    program = torch.export.load(folder / "model.pt2").module()
    for given in images:
        colour = torch.from_numpy(given.reshape(*given.shape[:3], -1))
        colour = colour.expand(-1, -1, -1, 3).contiguous()
        np.testing.assert_allclose(program(colour), model.predict(given), atol=TOLERANCE)


@pytest.mark.parametrize("format", ["qpy", "qasm3"])
def test_circuits_are_those_of_the_layer(models, images, format, tmp_path):  # noqa: A002
    model = models["pqc"]
    folder = hq.export(model, tmp_path / "out", format=format)
    assert len(list(folder.iterdir())) == 2
    (about,) = json.loads((folder / "model.json").read_text())["circuits"]
    if format == "qpy":
        with (folder / about["qpy"]).open("rb") as file:
            (circuit,) = qpy.load(file)
    else:
        circuit = qasm3.loads((folder / about["qasm3"]).read_text())
    assert {parameter.name for parameter in circuit.parameters} == set(about["inputs"])
    with torch.no_grad():
        prepared = model.module.encoder.prepare(images[1])
        angles = model.module.head.reducer(model.module.features(prepared)).double()
    observables = [[SparsePauliOp.from_list(terms)] for terms in about["observables"]]
    pub = (circuit, observables, {tuple(about["inputs"]): angles.numpy()})
    found = StatevectorEstimator().run([pub]).result()[0].data.evs.T
    np.testing.assert_allclose(found, model.expvals(images[1]), atol=TOLERANCE)


class Two(nn.Module):
    """Two circuits of which one is asked twice, the second time perhaps about the first's answer.

    Args:
        dependent: Whether it is.
    """

    def __init__(self, dependent):
        super().__init__()
        self.dependent = dependent
        self.one, self.other = layer("Z"), layer("X")
        self.readout = nn.Linear(3, 2)

    def forward(self, features):
        angles = features[:, :2]
        first = self.one(angles)
        again = self.one(angles.sin() + (first.mean() if self.dependent else 0))
        return self.readout(torch.cat([first, again, self.other(angles)], dim=1))


def layer(pauli):
    parts = hq.build_circuit(2, num_layers=1)
    return hq.QuantumLayer(
        parts.circuit,
        input_params=parts.input_params,
        weight_params=parts.weight_params,
        observables=[{f"I{pauli}": 0.5, "ZZ": 0.25}],
        backend="statevector",
        init_std=1.0,
    )


def test_heads_with_several_circuits(images, tmp_path):
    model = made(Two(dependent=False))
    folder = hq.export(model, tmp_path / "out", format="qpy")
    about = json.loads((folder / "model.json").read_text())["circuits"]
    assert [one["qpy"] for one in about] == ["circuit_0.qpy", "circuit_0.qpy", "circuit_1.qpy"]
    assert [one["angles"] for one in about] == ["angles_0", "angles_1", "angles_2"]
    assert about[2]["observables"] == [[["IX", 0.5], ["ZZ", 0.25]]]
    with pytest.raises(hq.HybridqError, match=r"some that take the results of others: take --form"):
        hq.export(made(Two(dependent=True)), tmp_path / "none", format="qasm3")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("shape", ["several", "attention", "pairs", "registers", "weights"])
def test_onnx_of_heads_with_several_circuits(shape, images, tmp_path):
    """Two circuits in a head, one that is asked about each place of a map, or about each pair."""
    needs_onnx()
    heads = {
        "several": Two(dependent=False),
        "attention": "tests.contract.swap_attention:SWAP",
        "pairs": "swap_attention",
        "registers": "lqer",
        "weights": "hyper",
    }
    model = made(heads[shape])
    probabilities = runner(hq.export(model, tmp_path / "out")).probabilities
    for given in images:
        np.testing.assert_allclose(probabilities(given), model.predict(given), atol=TOLERANCE)


class Alone(nn.Module):
    """A module with circuits that are not in a layer."""

    backend = "statevector"

    def use_backend(self, backend):
        """Stay."""

    def circuits(self):
        """None that one could write."""
        return []

    def forward(self, features):
        return features[:, :2]


def test_circuits_elsewhere_are_refused(tmp_path):
    with pytest.raises(hq.HybridqError, match="Expected circuits in a QuantumLayer, got a Alone"):
        hq.export(made(Alone()), tmp_path / "out", format="qpy")


class Uneven(nn.Module):
    """A head whose path depends on its values."""

    def forward(self, features):
        return features[:, :2] if features.sum() > 0 else features[:, 2:4]


def test_what_cannot_be_traced_is_one_line(tmp_path, capfd):
    with pytest.raises(hq.HybridqError, match=r"Expected a model that torch.export can hold, got"):
        hq.export(made(Uneven()), tmp_path / "out", format="torch")
    assert not list(tmp_path.iterdir())
    assert capfd.readouterr() == ("", "")


def test_the_command_makes_the_folder_of_the_call(models, tmp_path, capsys):
    run = models["pqc"].kept_as(None, None).save(tmp_path / "run")
    out, called = tmp_path / "out", tmp_path / "called"
    arguments = ["export", str(run), "--out", str(out), "--format", "qasm3", "--threshold", "0.3"]
    assert main(arguments) == 0
    assert capsys.readouterr().out == f"{out}\n"
    hq.export(run, called, format="qasm3", threshold=0.3)
    for path in called.iterdir():
        assert path.read_bytes() == (out / path.name).read_bytes()
    assert json.loads((out / "model.json").read_text())["threshold"] == 0.3
    again = ["export", str(run), "--out", str(out), "--format", "qpy"]
    assert main(again) == 2
    assert "which holds an export: choose another, or add --force" in capsys.readouterr().err
    assert main([*again, "--force"]) == 0
    assert {path.name for path in out.iterdir()} == {"circuit.qpy", "model.json"}
    (out / "notes.txt").write_text("mine")
    assert main([*again, "--force"]) == 2
    assert "in which there is 'notes.txt'" in capsys.readouterr().err
    assert (out / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--format", "onx"], "got 'onx': did you mean 'onnx'?"),
        (["--format", "ONNX"], "did you mean 'onnx'?"),
        (["--format", "onnx"], "pip install onnx onnxscript, or take --format torch"),
        (["--format", "qpy"], "got linear, which has none: take --format onnx or torch"),
        (["--threshold", "1.5"], "--threshold"),
        (["--out", "{run}"], "in which there is"),
        (["--out", "{run}/model/config.json"], "is no folder"),
        (["--out", "{run}/model/config.json/out"], "lies below the file"),
    ],
)
def test_what_cannot_be_exported(models, arguments, words, tmp_path, capsys, monkeypatch, tree):
    run = models["linear"].kept_as(None, None).save(tmp_path / "run")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    before = tree(tmp_path)
    out = [] if "--out" in arguments else ["--out", str(tmp_path / "new" / "out")]
    given = [word.format(run=run) for word in arguments]
    format_of = [] if "--format" in arguments else ["--format", "torch"]
    assert main(["export", str(run), *out, *format_of, *given]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert tree(tmp_path) == before


def test_a_full_disk_leaves_what_was_there(models, tmp_path, monkeypatch, tree):
    model, out = models["pqc"], tmp_path / "above" / "out"
    full = OSError(errno.ENOSPC, "No space left on device", "a file")

    def fail(handle):
        raise full

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="No space left"):
            hq.export(model, out, format="qpy")
    assert not list(tmp_path.iterdir())
    hq.export(model, out, format="qpy")
    before = tree(tmp_path)
    rename = Path.rename
    for failing in (1, 2):
        calls = []

        def broken(path, target, failing=failing, calls=calls):
            calls.append(path)
            if len(calls) == failing:
                raise full
            return rename(path, target)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "rename", broken)
            with pytest.raises(OSError, match="No space left"):
                hq.export(model, out, format="qasm3", force=True)
        assert tree(tmp_path) == before


def test_calls_hold_angles_of_the_head(models, images):
    module = models["pqc"].module
    prepared = module.encoder.prepare(images[0][..., None])
    (call,) = calls_of(module, prepared)
    assert isinstance(call, Call)
    assert call.layer is module.head.block
    with torch.no_grad():
        expected = module.head.reducer(module.features(prepared))
    torch.testing.assert_close(call.angles, expected)


@pytest.mark.slow
def test_run_py_needs_onnxruntime_qiskit_and_numpy_alone(
    models, finetuned, finetuned_pqc, images, tmp_path
):
    """In a new environment, from the weights of a trained MobileNetV2, too.

    A network of fifty layers in single precision is itself up to a few millionths from its values
    in double precision, so that another library is no closer to it.
    """
    needs_onnx()
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    python = environment / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    pip = [python, "-I", "-m", "pip", "--disable-pip-version-check"]
    install = [*pip, "install", "-q", "--constraint", ROOT / "constraints.txt"]
    packages = ["onnxruntime", "qiskit", "numpy"]
    installed = subprocess.run([*install, *packages], capture_output=True, text=True)
    if installed.returncode:
        pytest.skip(f"no package index: {installed.stderr.strip().splitlines()[-1]}")
    listed = subprocess.run([*pip, "list"], capture_output=True, text=True)
    assert not {"torch", "onnx", "hybridq-med"} & {
        line.split()[0] for line in listed.stdout.splitlines() if line
    }
    trained = {"linear, trained": hq.load(finetuned), "pqc, trained": hq.load(finetuned_pqc)}
    for number, (name, model) in enumerate({**models, **trained}.items()):
        given = images[number % 3]
        np.save(tmp_path / "images.npy", given)
        folder = hq.export(model, tmp_path / name)
        ran = subprocess.run(
            [python, "-I", folder / "run.py", tmp_path / "images.npy"],
            capture_output=True,
            text=True,
            cwd=tmp_path,
        )
        assert ran.returncode == 0, ran.stderr
        found = np.loadtxt(ran.stdout.splitlines(), delimiter=",", ndmin=2)
        expected = model.predict(given)
        difference = np.abs(found - expected).max()
        rounding = rounding_of(model, images) if name in trained else 0
        print(f"{name}: {difference:.1e}, the package's own rounding {rounding:.1e}")
        assert difference < max(TOLERANCE, 5 * rounding)


def rounding_of(model, images):
    """How far the probabilities of a model are from those that it gives in double precision."""
    double = deepcopy(model.module).double()
    found = []
    for given in images:
        prepared = model.module.encoder.prepare(given.reshape(*given.shape[:3], -1)).double()
        with torch.no_grad():
            found.append(np.abs(double(prepared).softmax(1).numpy() - model.predict(given)).max())
    return max(found)
