"""Options that cannot be: every number of every command, and words that are none of the known."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from hybridq.cli.main import COMMANDS

POSITIONALS = {
    "evaluate": ["none"],
    "predict": ["none", "none.png"],
    "export": ["none", "--out", "out"],
    "submit": ["none"],
    "jobs status": ["none"],
    "jobs collect": ["none"],
    "jobs cancel": ["none"],
    "jobs recover": ["none"],
    "study noise": ["none"],
    "report": ["none", "--out", "report.html"],
    "backends show": ["statevector"],
    "backends check": ["statevector"],
    "backends save": ["fake_manila", "--out", "device.json"],
    "data fetch": ["breastmnist"],
    "data check": ["phantom"],
}
"""What a command needs beside the option that is wrong."""


def numbers(model: type[BaseModel], prefix: str = "") -> list[tuple[str, bool]]:
    """Every option of a command that takes a number, and whether it takes whole ones only."""
    found = []
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            inner = "" if name == "compute" else f"{name}."
            found += numbers(kind, prefix + inner)
            continue
        words = str(kind)
        if kind in (int, float) or "int |" in words or "float |" in words:
            whole = kind is int or "int |" in words
            found.append((f"--{prefix}{name.replace('_', '-')}", whole))
    return found


def wrong_numbers() -> list[tuple[str, str, str]]:
    cases = []
    for command, entry in COMMANDS.items():
        for option, whole in numbers(entry.model):
            values = ["-1", str(10**30), "1e400", "many"]
            values += ["0.5"] if whole else ["nan"]
            cases += [(command, option, value) for value in values]
    return cases


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_numbers_out_of_bounds(bare_bench, command):
    """Below, far above, infinite, not a number, not whole: each refused before anything is read."""
    cases = [case for case in wrong_numbers() if case[0] == command]
    for _, option, value in cases:
        needed = POSITIONALS.get(command, [])
        line = bare_bench.refused(*command.split(), *needed, f"{option}={value}")
        assert option.lstrip("-").replace("-", "_").split(".")[-1] in line.replace("-", "_"), line


def test_every_number_is_among_them():
    assert len(wrong_numbers()) > 300


NOISY = "fake_manila,engine=torch,shots=none"
WORDS = {
    "no command": ["train"],
    "half a command": ["study"],
    "another half": ["data", "lists"],
    "an unknown option": ["finetune", "--epoch", "3"],
    "an option of another command": ["pretrain", "--head", "pqc"],
    "an option without its value": ["finetune", "--epochs"],
    "an option twice": ["finetune", "--epochs", "2", "--epochs"],
    "a positional too many": ["finetune", "run"],
    "an unknown head": ["finetune", "--head", "resnet"],
    "an unknown head as a word with a comma": ["finetune", "--head", "pqc,mlp"],
    "an unknown encoding": ["finetune", "--head.encoding", "amplitude"],
    "an unknown ansatz": ["finetune", "--head.ansatz", "qaoa"],
    "an unknown entanglement": ["finetune", "--head.entanglement", "star"],
    "an unknown stem": ["finetune", "--stem", "stride3"],
    "an unknown gradient": ["finetune", "--gradient", "adjoint"],
    "an unknown epoch to keep": ["finetune", "--keep", "first"],
    "patience without best": ["finetune", "--patience", "3"],
    "epochs that val-every does not divide": ["finetune", "--epochs", "5", "--val-every", "2"],
    "qubits beyond the limit": ["finetune", "--head.num-qubits", "21"],
    "no labels": ["finetune", "--labels", "0"],
    "more than all labels": ["finetune", "--labels", "1.1"],
    "an unknown accelerator": ["finetune", "--accelerator", "abacus"],
    "no devices": ["finetune", "--devices", "0"],
    "devices that are no number": ["finetune", "--devices", "two"],
    "more devices than there are": ["finetune", "--devices", "1000000"],
    "an unknown strategy": ["finetune", "--strategy", "alone"],
    "an unknown precision": ["finetune", "--precision", "17"],
    "an empty precision": ["pretrain", "--precision", ""],
    "a curriculum without noise": ["finetune", "--noise-curriculum", "0,1"],
    "a curriculum of words": [
        "finetune", "--backend", NOISY, "--noise-curriculum", "a,b",
    ],
    "a curriculum below nothing": [
        "finetune", "--backend", NOISY, "--noise-curriculum", "-1",
    ],
    "a curriculum with a gap": [
        "finetune", "--backend", NOISY, "--noise-curriculum", "0,,1",
    ],
    "a run that is none to start from": ["finetune", "--start", "none"],
    "a run that is none to go on with": ["finetune", "--resume", "none"],
    "a run to go on with and more": ["finetune", "--resume", "none", "--epochs", "3"],
    "a study that is none to go on with": ["study", "noise", "--resume", "none"],
    "an ablation that is none to go on with": ["study", "ablation", "--resume", "none"],
    "no models for a study": ["study", "noise"],
    "labels of an ablation that are none": ["study", "ablation", "--labels", "a"],
    "labels of an ablation below nothing": ["study", "ablation", "--labels", "-0.1"],
    "labels of an ablation twice": ["study", "ablation", "--labels", "0.5,0.5"],
    "labels of an ablation, empty": ["study", "ablation", "--labels", ""],
    "labels of whole networks that are none": ["study", "ablation", "--whole-labels", "x"],
    "encoders of an ablation that are none": ["study", "ablation", "--encoder-runs", "none"],
    "an encoder that is none": ["finetune", "--encoder", "none.safetensors"],
    "an encoder that is a folder without one": ["finetune", "--encoder", "."],
    "images that are too small": ["finetune", "--image-size", "7"],
    "images that are too large": ["finetune", "--image-size", "1000000"],
    "batches that do not fit": ["finetune", "--batch-size", "100000000000"],
    "layers without end": ["finetune", "--head.num-layers", "100000"],
    "a temperature of nothing": ["pretrain", "--temperature", "1e-300"],
    "a hidden layer without end": ["pretrain", "--hidden-dim", "1000000000000"],
    "a seed below nothing": ["demo", "--seed", "-1"],
    "no run to evaluate": ["evaluate"],
    "an unknown split": ["evaluate", "none", "--split", "train"],
    "unknown views": ["evaluate", "none", "--views", "all"],
    "a missing run": ["evaluate", "none"],
    "an empty run": ["evaluate", ""],
    "a run with a NUL": ["evaluate", "a\0b"],
    "a run of a name that is too long": ["evaluate", "a" * 5000],
    "an export to a name that is too long": [
        "export", "none", "--format", "qpy", "--out", "a" * 5000,
    ],
    "an export to a name with a NUL": ["export", "none", "--format", "qpy", "--out", "a\0b"],
    "an export in no format": ["export", "none", "--format", "", "--out", "out"],
    "no images to predict": ["predict", "none"],
    "a report without a file": ["report", "none"],
    "a report of nothing": ["report", "--out", "report.html"],
    "an unknown embedding": ["report", "none", "--out", "r.html", "--embedding", "pca"],
    "a report in a folder": ["report", "none", "--out", "."],
    "runs where no folder can be": ["finetune", "--data", "phantom", "--runs", "/dev/null/runs"],
    "a data root that is none": ["data", "check", "breastmnist", "--data-root", "none"],
    "a submission that is none": ["jobs", "status", "none"],
    "a submission to collect that is none": ["jobs", "collect", "none"],
    "a submission to cancel that is none": ["jobs", "cancel", "none"],
    "a name that is only dots": ["backends", "show", "..."],
    "an unknown set": ["data", "fetch", "imagenet"],
    "a size of a set that there is not": ["data", "fetch", "breastmnist,size=63"],
    "a file to save to without .json": ["backends", "save", "fake_manila", "--out", "device.txt"],
    "a backend without a device": ["backends", "save", "statevector", "--out", "device.json"],
}  # fmt: skip


@pytest.mark.parametrize("name", WORDS)
def test_words_that_are_wrong(bare_bench, name):
    bare_bench.refused(*WORDS[name], says="xpected")


CONFIG_FILES = {
    "nothing named so": ("none.toml", None),
    "not TOML": ("c.toml", "epochs = "),
    "not JSON": ("c.json", "{"),
    "a list": ("c.json", "[1]"),
    "null": ("c.json", "null"),
    "a number": ("c.json", "3"),
    "an unknown field": ("c.toml", "epoch = 3"),
    "a field of another type": ("c.toml", 'epochs = "three"'),
    "a table for a number": ("c.toml", "[epochs]\nx = 1"),
    "a number for a table": ("c.toml", "head = 3"),
    "an unknown field in a table": ("c.toml", "[head]\nqubits = 3"),
    "a field twice": ("c.toml", "epochs = 3\nepochs = 4"),
    "an infinite number": ("c.toml", "learning_rate = inf"),
    "not a number": ("c.toml", "learning_rate = nan"),
    "not a number in JSON": ("c.json", '{"learning_rate": NaN}'),
    "infinity in JSON": ("c.json", '{"learning_rate": Infinity}'),
    "a number of 5,000 digits": ("c.json", '{"seed": ' + "9" * 5000 + "}"),
    "a number of 5,000 digits in TOML": ("c.toml", "seed = " + "9" * 5000),
    "deep lists": ("c.json", "[" * 100_000),
    "deep lists that end": ("c.json", "[" * 50_000 + "]" * 50_000),
    "deep lists in TOML": ("c.toml", "epochs = " + "[" * 50_000),
    "deep tables in TOML": ("c.toml", "a = " + "{a=" * 5000 + "1" + "}" * 5000),
    "a key of 5,000 dots": ("c.toml", ".".join("a" * 5000) + " = 1"),
    "Latin-1": ("c.toml", 'name = "Müller"'.encode("latin-1")),
    "UTF-16": ("c.toml", "epochs = 3".encode("utf-16")),
    "NUL bytes": ("c.toml", b"epochs = 3\0"),
    "a NUL in the folder of runs": ("c.json", '{"runs": "a\\u0000b"}'),
    "a NUL in the folder of runs in TOML": ("c.toml", 'runs = "a\\u0000b"'),
    "a NUL in the data": ("c.json", '{"data": "a\\u0000b"}'),
    "a NUL in the data root": ("c.json", '{"data": "breastmnist", "data_root": "a\\u0000b"}'),
    "a NUL in the run to start from": ("c.json", '{"start": "a\\u0000b"}'),
    "a NUL in the encoder": ("c.json", '{"encoder": "a\\u0000b"}'),
    "half a surrogate in the folder of runs": ("c.json", '{"runs": "a\\ud800b"}'),
    "an empty path": ("c.json", '{"data": ""}'),
    "a bit for a number": ("c.json", '{"epochs": null}'),
    "a picture": ("c.toml", b"\x89PNG\r\n\x1a\n" + bytes(range(256))),
}


@pytest.mark.parametrize("name", CONFIG_FILES)
def test_files_of_options(bare_bench, name):
    file, content = CONFIG_FILES[name]
    if content is not None:
        bare_bench.put(file, content)
    bare_bench.refused("finetune", "--config", file, says="xpected")
    bare_bench.refused("study", "ablation", "--config", file, says="xpected")


def test_files_of_options_that_are_no_files(bare_bench):
    import os
    from pathlib import Path

    os.mkfifo("fifo.toml")
    Path("folder.toml").mkdir()
    Path("dangling.toml").symlink_to("nothing")
    Path("loop.toml").symlink_to("loop.toml")
    Path("zero.toml").symlink_to("/dev/zero")
    for name in ("fifo", "folder", "dangling", "loop", "zero"):
        bare_bench.refused("finetune", "--config", f"{name}.toml", says=f"{name}.toml")
