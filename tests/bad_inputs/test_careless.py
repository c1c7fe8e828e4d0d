"""What is typed in haste: wrong words, values, paths and formats, each with one line that helps."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.trains

PHANTOM = "phantom,size=16,count=40"
TRAIN = ["finetune", "--data", PHANTOM]

# The command, and the words of its line that say what to do.
WORDS: dict[str, tuple[list[str], str]] = {
    "a command without a letter": (["finetun"], "did you mean `finetune`?"),
    "a command with two letters changed": (["evalute"], "did you mean `evaluate`?"),
    "help on such a command": (["help", "pretrian"], "did you mean `pretrain`?"),
    "a command as a module": (["fine_tune"], "did you mean `finetune`?"),
    "a command in capitals": (["REPORT", "a"], "did you mean `report`?"),
    "half of two words": (["jobs"], "jobs list"),
    "the second of two words": (["jobs", "stats"], "did you mean `jobs status`?"),
    "two words in one": (["study-noise"], "did you mean `study noise`?"),
    "a study that is none": (["study", "nois"], "did you mean 'noise'?"),
    "a flag without a letter": (["finetune", "--epoch", "3"], "did you mean --epochs?"),
    "a flag with two letters changed": (["finetune", "--lables", "1"], "did you mean --labels?"),
    "a flag with a single dash": (["finetune", "-epochs", "3"], "hybridq finetune --help"),
    "a flag of another command": (["pretrain", "--labels", "0.1"], "hybridq pretrain --help"),
    "a flag without its value": (["finetune", "--epochs"], "--epochs"),
    "two values for one": (["finetune", "--epochs", "3", "4"], "got 4"),
    "a word for a number": (["finetune", "--epochs", "many"], "Expected a whole number for"),
    "a fraction for a count": (["finetune", "--epochs", "2.5"], "Expected a whole number for"),
    "a comma in a number": (["finetune", "--labels", "0,1"], "Expected a number for --labels"),
    "a number with a sign of per cent": (["finetune", "--labels", "10%"], "Expected a number for"),
    "labels in per cent": (["finetune", "--labels", "10"], "less than or equal to 1 for --labels"),
    "no labels": (["finetune", "--labels", "0"], "greater than 0 for --labels"),
    "no epochs": (["finetune", "--epochs", "0"], "greater than or equal to 1 for --epochs"),
    "no machines": (["pretrain", "--num-nodes", "0"], "equal to 1 for --num-nodes"),
    "a head with two letters changed": (["finetune", "--head", "pcq"], "did you mean 'pqc'?"),
    "an encoder of another number": (
        [*TRAIN, "--encoder.name", "resnet51"], "did you mean 'resnet50'?",
    ),
    "a method in capitals": (["pretrain", "--ssl", "SimCLR"], "simclr"),
    "an entanglement that is none": (
        [*TRAIN, "--head.entanglement", "rings"], "did you mean 'ring'?",
    ),
    "too many qubits": (["finetune", "--head.num-qubits", "40"], "for --head.num-qubits"),
    "a set with a letter missing": (["pretrain", "--data", "brestmnist"], "breastmnist"),
    "a folder that is not there": (["pretrain", "--data", "./nothere"], "nothere"),
    "a size that there is not": (["data", "fetch", "breastmnist,size=100"], "28"),
    "a field of the phantom": (["pretrain", "--data", "phantom,sise=32"], "phantom,size=VALUE"),
    "a backend by half its name": ([*TRAIN, "--backend", "aer"], "aer_statevector"),
    "a backend with a letter missing": (
        [*TRAIN, "--backend", "fake_torin"], "did you mean 'fake_torino'?",
    ),
    "a field of a backend": ([*TRAIN, "--backend", "aer_shots,shot=100"], "did you mean `shots`?"),
    "shots below nothing": ([*TRAIN, "--backend", "aer_shots,shots=-3"], "shots"),
    "IBM without a budget": ([*TRAIN, "--backend", "ibm"], "max_qpu_seconds"),
    "a device that is none": (
        [*TRAIN, "--backend", "aer_noisy,device=FakeTorin"], "did you mean FakeTorino?",
    ),
    "a positive class that is none": ([*TRAIN, "--positive", "cancer"], "lesion"),
    "a GPU that is not there": ([*TRAIN, "--accelerator", "tpu"], "--accelerator tpu"),
    "patience without best": ([*TRAIN, "--patience", "3"], "--keep best"),
    "no run": (["evaluate"], "hybridq evaluate --help"),
    "a run that is not there": (["evaluate", "nothere"], "nothere"),
    "a run to predict by that is not there": (["predict", "nothere", "one.png"], "nothere"),
    "a split of another name": (["evaluate", "nothere", "--split", "test2"], "--split"),
    "few resamples": (["evaluate", "nothere", "--resamples", "50"], "--resamples"),
    "a file of settings that is not there": (["finetune", "--config", "no.toml"], "no.toml"),
    "YAML": (["finetune", "--config", "c.yaml"], "`epochs = 3` where YAML says `epochs: 3`"),
    "a misspelt setting": (["finetune", "--config", "c.toml"], "did you mean `epochs`?"),
    "settings twice": (["finetune", "--config", "twice.toml"], "Expected `precision` once"),
    "a precision that is none": (["finetune", "--config", "p.toml"], "--precision"),
    "a report of nothing": (["report"], "Expected FOLDERS and --out, got nothing"),
    "a report without folders": (["report", "--out", "r.html"], "got none: name those"),
    "a report of a folder that is none": (["report", "nothere", "--out", "r.html"], "nothere"),
    "a report over a file": (["report", "nothere", "--out", "one.png"], "--force"),
    "an export of nothing": (["export"], "Expected RUN and --out, got nothing"),
    "an export to nowhere": (["export", "nothere"], "--out"),
    "an export of a run that is not there": (
        ["export", "nothere", "--out", "new", "--format", "qpy"], "nothere",
    ),
    "a format with a letter missing": (
        ["export", "nothere", "--out", "new", "--format", "onx"], "did you mean 'onnx'?",
    ),
    "a format as a file's ending": (
        ["export", "nothere", "--out", "new", "--format", "qasm"], "did you mean 'qasm3'?",
    ),
    "an export over a file": (
        ["export", "nothere", "--out", "one.png", "--format", "qpy"], "is no folder",
    ),
    "an export over other files": (
        ["export", "nothere", "--out", "alone", "--format", "qpy", "--force"], "there is 'test'",
    ),
    "a study of nothing": (["study", "noise"], "give run folders of `hybridq finetune`"),
    "a submission of nothing": (["submit"], "hybridq submit --help"),
    "a picture as data": (["pretrain", "--data", "one.png"], "one.png"),
    "an archive as data": (["pretrain", "--data", "all.zip"], "all.zip"),
    "a text as data": (["data", "check", "notes.txt"], "notes.txt"),
    "an empty folder": (["data", "check", "empty"], "empty"),
    "one class": (["finetune", "--data", "alone"], "class"),
    "arrays that are none": (["pretrain", "--data", "broken.npz"], "broken.npz"),
    "runs in a file": ([*TRAIN, "--runs", "one.png"], "one.png"),
}  # fmt: skip


@pytest.fixture
def desk(bare_bench):
    """A working folder with the things that lie about in one."""
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16), dtype=np.uint8)
    Image.fromarray(pixels).save("one.png")
    with zipfile.ZipFile("all.zip", "w") as archive:
        archive.write("one.png")
    for split in ("train", "val", "test"):
        folder = Path("alone", split, "benign")
        folder.mkdir(parents=True)
        for name in "abc":
            Image.fromarray(pixels).save(folder / f"{name}.png")
    Path("empty").mkdir()
    Path("broken.npz").write_bytes(b"PK\x03\x04 no archive")
    Path("notes.txt").write_text("benign: a, b\n")
    Path("c.yaml").write_text("head:\n  name: pqc\nepochs: 3\n")
    Path("c.toml").write_text("epoch = 3\n")
    Path("twice.toml").write_text('precision = "32"\n[compute]\nprecision = "16"\n')
    Path("p.toml").write_text(f'data = "{PHANTOM}"\nprecision = "half"\n')
    return bare_bench


@pytest.mark.parametrize("name", WORDS)
def test_a_careless_command_gets_one_line_that_helps(desk, name):
    arguments, says = WORDS[name]
    desk.refused(*arguments, says=says)


def test_help_is_found_wherever_it_is_asked_for(bare_bench):
    whole = bare_bench.call("--help")
    assert bare_bench.call("help") == bare_bench.call("-h") == whole
    for asked in (["help", "predict"], ["-h", "predict"], ["--help", "predict"]):
        code, out, _ = bare_bench.call(*asked)
        assert code == 0
        assert "usage: hybridq predict" in out
    assert "hybridq study noise" in bare_bench.call("help", "study")[1]


def test_a_file_of_settings_takes_the_names_of_the_flags(bare_bench):
    """With hyphens, without the part where the flag has none, and a head by its name alone.

    What is left out is as the command has it, also in a part of which something is said.
    """
    from hybridq.cli.main import parse
    from hybridq.config import FinetuneConfig

    Path("c.toml").write_text(
        'precision = "bf16-mixed"\nbatch-size = 32\nhead = "mlp"\n'
        '[augment]\ncrop-min = 0.8\n[compute]\ndevices = "2"\n'
    )
    flags = "--precision bf16-mixed --batch-size 32 --head mlp --augment.crop-min 0.8 --devices 2"
    from_file = parse("finetune", FinetuneConfig, ["--config", "c.toml"])
    assert from_file == parse("finetune", FinetuneConfig, flags.split())


def test_runs_that_are_of_another_kind(bench):
    """Those of a pretraining, of other classes, and what is read beside a run."""
    pretrained, linear = bench.copy("pretrain"), bench.copy("linear")
    Image.fromarray(np.zeros((16, 16), np.uint8)).save("one.png")
    Path("out.csv").write_text("mine")
    for arguments, says in (
        (["evaluate", pretrained], "hybridq finetune"),
        (["predict", pretrained, "one.png"], "hybridq finetune"),
        (["export", pretrained, "--out", "new", "--format", "torch"], "hybridq finetune"),
        (["export", linear, "--out", "new", "--format", "qpy"], "take --format onnx or torch"),
        (["export", linear, "--out", linear, "--format", "torch"], "in which there is"),
        (["predict", linear], "image files or folders after the run"),
        (["predict", linear, "nothere.png"], "nothere.png"),
        (["predict", linear, "one.png", "--out", "out.csv"], "--force"),
        (["evaluate", linear, "--backend", "aer"], "aer_statevector"),
        (["evaluate", linear, "--limit", "0"], "--limit"),
        (["submit", linear], "circuit"),
        (["finetune", "--data", PHANTOM, "--encoder", "nothere"], "nothere"),
        (["finetune", "--resume", linear, "--epochs", "9"], "--resume RUN alone"),
    ):
        bench.refused(*arguments, says=says)
    assert Path("out.csv").read_text() == "mine"
