"""Finished runs that were damaged or edited, given to every command that takes one."""

from __future__ import annotations

import json
import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tests.bad_inputs.test_sources import noisy

PHANTOM = "phantom,size=16,count=40"
SMALL = ("--head.num-qubits", "2", "--head.num-layers", "1")
DEEP = "[" * 100_000
TEXTS = {
    "missing": None,
    "empty": "",
    "no JSON": "{",
    "a list": "[]",
    "null": "null",
    "nothing in it": "{}",
    "not UTF-8": b'{"name": "\xff"}',
    "NUL bytes": b"\0" * 100,
    "deep lists": DEEP,
    "a number of 5,000 digits": '{"seed": ' + "9" * 5000 + "}",
    "an unknown field": '{"future": 1}',
}


def use(bench, number: int, run: Path, says: str = "xpected") -> None:
    """Give a damaged run to one of the commands that use models, in turn."""
    bench.put("good.png", noisy(1, 16))
    commands = (
        ("evaluate", run, "--no-baselines", "--resamples", "100"),
        ("predict", run, "good.png"),
        ("study", "noise", run, "--device", "FakeManilaV2", "--limit", "4"),
        ("submit", run, "--backend", "ibm_rehearsal,shots=64", "--limit", "4"),
        ("finetune", "--data", PHANTOM, *SMALL, "--start", run),
    )
    bench.refused(*commands[number % len(commands)], says=says)


@pytest.mark.parametrize("number", range(len(TEXTS)), ids=list(TEXTS))
def test_the_config_of_a_run(bench, number):
    run = bench.copy("pqc")
    bench.put(run / "config.json", list(TEXTS.values())[number])
    for shift in (0, 1):
        use(bench, shift, run)


@pytest.mark.parametrize("number", range(len(TEXTS)), ids=list(TEXTS))
def test_the_config_of_a_model(bench, number):
    run = bench.copy("pqc")
    bench.put(run / "model" / "config.json", list(TEXTS.values())[number])
    for shift in range(3):
        use(bench, number + shift, run)


def test_configs_that_are_no_files(bench):
    for place in ("config.json", "model/config.json", "model/model.safetensors"):
        for number, make in enumerate((os.mkfifo, os.mkdir)):
            run = bench.copy("pqc")
            bench.put(run / place, None)
            make(run / place)
            use(bench, number, run)
            os.system(f"rm -rf {run}")


EDITS = {
    "another data set's config": ("config.json", "epochs", "three"),
    "a backend that is none": ("config.json", "backend", "abacus"),
    "a backend with a secret": ("config.json", "backend", "ibm,service_options.token=x"),
    "data that is none": ("config.json", "data", "nothing"),
    "another encoding": ("model/config.json", "head.encoding", "zz"),
    "an unknown encoding": ("model/config.json", "head.encoding", "amplitude"),
    "another ansatz": ("model/config.json", "head.ansatz", "real_amplitudes"),
    "an unknown head": ("model/config.json", "head.name", "resnet"),
    "another head": ("model/config.json", "head.name", "pqc_residual"),
    "a qubit more": ("model/config.json", "head.num_qubits", 3),
    "too many qubits": ("model/config.json", "head.num_qubits", 2000),
    "a layer more": ("model/config.json", "head.num_layers", 2),
    "layers without end": ("model/config.json", "head.num_layers", 10**9),
    "no head": ("model/config.json", "head", ...),
    "no encoder": ("model/config.json", "encoder", ...),
    "an unknown encoder": ("model/config.json", "encoder.architecture", "resnet50"),
    "an unknown stem": ("model/config.json", "encoder.stem", "stride3"),
    "the other stem": ("model/config.json", "encoder.stem", "stride1"),
    "images of no pixels": ("model/config.json", "encoder.image_size", 0),
    "images below nothing": ("model/config.json", "encoder.image_size", -32),
    "enormous images": ("model/config.json", "encoder.image_size", 10**6),
    "images of another size": ("model/config.json", "encoder.image_size", 40),
    "images of half a pixel": ("model/config.json", "encoder.image_size", 31.5),
    "a crop of nothing": ("model/config.json", "encoder.crop_pct", 0),
    "a crop of next to nothing": ("model/config.json", "encoder.crop_pct", 1e-9),
    "a crop of more than all": ("model/config.json", "encoder.crop_pct", 2),
    "a mean far away": ("model/config.json", "encoder.mean", [1e30] * 3),
    "a mean of one channel": ("model/config.json", "encoder.mean", [0.5]),
    "a mean that is no number": ("model/config.json", "encoder.mean", [float("nan")] * 3),
    "another mean": ("model/config.json", "encoder.mean", [0.1, 0.1, 0.1]),
    "a deviation of nothing": ("model/config.json", "encoder.std", [0, 0, 0]),
    "a deviation below nothing": ("model/config.json", "encoder.std", [-1, -1, -1]),
    "an infinite deviation": ("model/config.json", "encoder.std", [float("inf")] * 3),
    "an unknown task": ("model/config.json", "task", "regression"),
    "another task": ("model/config.json", "task", "multilabel"),
    "one class": ("model/config.json", "class_names", ["lesion"]),
    "three classes": ("model/config.json", "class_names", ["a", "b", "c"]),
    "classes in the other order": ("model/config.json", "class_names", ["lesion", "no lesion"]),
    "a class twice": ("model/config.json", "class_names", ["lesion", "lesion"]),
    "classes that are numbers": ("model/config.json", "class_names", [0, 1]),
    "a positive class beyond": ("model/config.json", "positive", 99),
    "a positive class below": ("model/config.json", "positive", -5),
    "a positive class by name": ("model/config.json", "positive", "lesion"),
    "no labels": ("model/config.json", "labels", -1),
    "a version to come": ("model/config.json", "format", 99),
    "a field to come": ("model/config.json", "future", 1),
}


@pytest.mark.parametrize("number", range(len(EDITS)), ids=list(EDITS))
def test_an_edited_field(bench, number):
    run = bench.copy("pqc")
    place, field, value = list(EDITS.values())[number]
    bench.edit(run / place, field, value)
    commands = (number, number + 1) if place.startswith("model") else (0, 1)
    if "data that" in list(EDITS)[number] or "data set" in list(EDITS)[number]:
        commands = (0,)
    for command in commands:
        use(bench, command, run)


def changed(path: Path, change) -> None:
    """Write weights again after a change to the tensors, with their metadata."""
    tensors = load_file(path)
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    change(tensors)
    path.unlink()
    save_file(tensors, path, metadata)


def _set(name: str, value: float):
    def change(tensors):
        tensors[name] = tensors[name].clone()
        tensors[name].view(-1)[0] = value

    return change


def first_of_floats(tensors, prefix=""):
    """Name of the first tensor of real numbers."""
    return next(
        name
        for name in sorted(tensors)
        if name.startswith(prefix) and tensors[name].is_floating_point()
    )


def _in_the_encoder(tensors):
    _set(first_of_floats(tensors, "encoder."), float("nan"))(tensors)


def _rename(tensors):
    tensors["head.other"] = tensors.pop("head.classifier.bias")


def _leave_out(tensors):
    del tensors["head.classifier.weight"]


def _add(tensors):
    tensors["extra"] = torch.zeros(3)


def _reshape(tensors):
    tensors["head.classifier.weight"] = tensors["head.classifier.weight"].t().contiguous()[:1]


def _nudge(tensors):
    tensors["head.classifier.bias"] = tensors["head.classifier.bias"] + 1e-3


WEIGHTS = {
    "NaN in the classifier": _set("head.classifier.bias", float("nan")),
    "infinity in the classifier": _set("head.classifier.weight", float("inf")),
    "NaN in the circuit": _set("head.block.connector.weight", float("nan")),
    "infinity in the circuit": _set("head.block.connector.weight", float("inf")),
    "NaN in the reducer": _set("head.reducer.linear.weight", float("nan")),
    "NaN in a running variance": _set("head.reducer.norm.running_var", float("nan")),
    "NaN in the encoder": _in_the_encoder,
    "a tensor of another name": _rename,
    "a tensor too few": _leave_out,
    "a tensor too many": _add,
    "a tensor of another shape": _reshape,
    "a bias that somebody changed": _nudge,
}


@pytest.mark.parametrize("number", range(len(WEIGHTS)), ids=list(WEIGHTS))
def test_weights_of_a_model(bench, number):
    run = bench.copy("pqc")
    path = run / "model" / "model.safetensors"
    changed(path, list(WEIGHTS.values())[number])
    for shift in range(2):
        use(bench, number + shift, run)


def _bytes_of(path: Path) -> dict[str, bytes]:
    good = path.read_bytes()
    flipped = bytearray(good)
    flipped[-1000] ^= 0x10
    return {
        "empty": b"",
        "text": b"no weights",
        "cut off": good[:-1000],
        "the header alone": good[: 8 + struct.unpack("<Q", good[:8])[0]],
        "a header without end": struct.pack("<Q", 2**60) + b"{}",
        "a header that is no JSON": struct.pack("<Q", 4) + b"nope",
        "one bit flipped": bytes(flipped),
        "a pickle": pickle.dumps({"a": 1}),
        "zeros": bytes(len(good) // 100),
    }


NAMES = (
    *("empty", "text", "cut off", "the header alone", "a header without end"),
    *("a header that is no JSON", "one bit flipped", "a pickle", "zeros"),
)


@pytest.mark.parametrize("number", range(len(NAMES)), ids=list(NAMES))
def test_bytes_of_weights(bench, number):
    run = bench.copy("pqc")
    path = run / "model" / "model.safetensors"
    bench.put(path, _bytes_of(path)[NAMES[number]])
    for shift in range(2):
        use(bench, number + shift, run)


@pytest.mark.parametrize("number", range(len(NAMES)), ids=list(NAMES))
def test_bytes_of_an_encoder(bench, number):
    run = bench.copy("pretrain")
    path = run / "encoder.safetensors"
    bench.put(path, _bytes_of(path)[NAMES[number]])
    command = ("finetune", "pretrain")[number % 2]
    where = run if number % 3 else path
    bench.refused(command, "--data", "phantom,size=16,count=40", "--encoder", where, says="xpected")


SPECS = {
    "no spec": None,
    "no JSON": "{",
    "deep lists": DEEP,
    "another architecture": {"architecture": "resnet"},
    "a deviation that is no number": {"std": [float("nan")] * 3},
    "a deviation of nothing": {"std": [0.0] * 3},
    "an infinite mean": {"mean": [float("inf")] * 3},
    "a mean of two channels": {"mean": [0.5, 0.5]},
    "enormous images": {"image_size": 10**6},
    "images below nothing": {"image_size": -1},
    "an unknown stem": {"stem": "stride9"},
    "a crop of next to nothing": {"crop_pct": 1e-9},
    "a field to come": {"future": 1},
}


@pytest.mark.parametrize("name", SPECS)
def test_the_spec_of_an_encoder(bench, name):
    run = bench.copy("pretrain")
    path = run / "encoder.safetensors"
    tensors = load_file(path)
    with safe_open(path, "pt") as file:
        spec = json.loads(file.metadata()["encoder_spec"])
    change = SPECS[name]
    metadata = None if change is None else {"encoder_spec": str(change)}
    if isinstance(change, dict):
        spec.pop("sha256")
        metadata = {"encoder_spec": json.dumps({**spec, **change})}
    path.unlink()
    save_file(tensors, path.with_name("own.safetensors"), metadata)
    own = path.with_name("own.safetensors")
    is_json = change is None or (
        isinstance(change, dict)
        and np.isfinite(
            [number for value in change.values() if isinstance(value, list) for number in value]
        ).all()
    )
    told = "has no hash" if is_json else None  # which is looked for in what can be read
    bench.refused("finetune", "--data", PHANTOM, "--encoder", own, says="xpected", told=told)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_an_encoder_that_is_not_finite(bench, value):
    run = bench.copy("pretrain")
    path = run / "encoder.safetensors"
    changed(path, _set(first_of_floats(load_file(path)), value))
    for command in ("finetune", "pretrain"):
        line = bench.refused(command, "--data", "phantom,size=16,count=40", "--encoder", run)
        assert "diverged" not in line


CHECKPOINTS = {
    "missing": None,
    "empty": b"",
    "text": b"no checkpoint",
    "a pickle that runs code": b"cos\nsystem\n(S'touch ran'\ntR.",
    "a zip": b"PK\x03\x04" + bytes(100),
}


@pytest.mark.parametrize("command", ["pretrain", "finetune"])
@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_checkpoint_to_go_on_from(bench, name, command):
    run = bench.copy({"pretrain": "pretrain", "finetune": "linear"}[command])
    bench.put(run / "result.json", None)
    bench.put(run / "checkpoints" / "last.ckpt", CHECKPOINTS[name])
    before = (run / "metrics.jsonl").read_bytes()
    code, out, err = bench.call(command, "--resume", run)
    assert "Traceback" not in out + err
    assert not Path("ran").exists()
    if code != 0:  # a run without a checkpoint may begin anew
        assert code == 2, err
        assert len([line for line in err.splitlines() if "hybridq: error: " in line]) == 1, err
        assert (run / "metrics.jsonl").read_bytes() == before


def test_weights_as_numpy_would_write_them(bench):
    run = bench.copy("pqc")
    np.savez(run / "model" / "other.npz", a=np.zeros(3))
    bench.put(run / "model" / "model.safetensors", (run / "model" / "other.npz").read_bytes())
    (run / "model" / "other.npz").unlink()
    use(bench, 0, run)
