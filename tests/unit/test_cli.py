"""The command line: what it takes, what it refuses in one line, and what it prints."""

from __future__ import annotations

import errno
import json
import os
import pickle
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hybridq import __version__, config
from hybridq.cli import main as cli
from hybridq.config import EvaluateConfig, FinetuneConfig, PretrainConfig
from hybridq.errors import InvalidValueError
from hybridq.models.encoders.encoder import Encoder, EncoderSpec
from hybridq.models.encoders.file import save_encoder
from hybridq.runs.folder import read_result, write_config
from hybridq.utils.weights import save_weights

pytestmark = pytest.mark.usefixtures("isolated", "single_thread")

PHANTOM = "phantom,size=16,count=40"
TOKEN = "kept-out-of-sight-0123456789"


@pytest.fixture
def run(capsys):
    """Call the command line; returns exit code, standard output and standard error."""

    def call(*arguments):
        capsys.readouterr()
        try:
            code = cli.main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = stop.code or 0
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def refused(run, tmp_path, tree):
    """Call the command line, which must refuse in one line and write nothing; returns the line."""

    def call(*arguments):
        before = tree(tmp_path)
        code, out, err = run(*arguments)
        assert code == 2, err
        assert err.startswith("hybridq: error: "), err
        assert err.count("\n") == 1, err
        assert "Traceback" not in err
        assert out == ""
        assert tree(tmp_path) == before
        return err

    return call


# Data that is wrong.


@pytest.mark.parametrize("command", ["pretrain", "finetune"])
@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("brestmnist", "did you mean `breastmnist`"),
        ("nonexist", "no folder of that name"),
        ("missing/folder", "missing/folder"),
        ("missing.npz", "missing.npz"),
        ("phantom,size=3", "from 16 to 512"),
        ("phantom,colour=1", "colour"),
        ("", "got ''"),
    ],
)
def test_unknown_data(refused, command, data, words):
    assert words in refused(command, "--data", data)


def test_a_corrupt_image_in_a_folder(refused, save_folder):
    root = save_folder()
    (root / "train" / "grey" / "3.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    for command in ("pretrain", "finetune"):
        assert "grey/3.png" in refused(command, "--data", root)


def test_an_empty_class(refused, save_folder):
    root = save_folder()
    (root / "train" / "purple").mkdir()
    assert "purple" in refused("finetune", "--data", root)


def test_a_missing_validation_split(refused, save_npz):
    path = save_npz(val_images=None, val_labels=None)
    assert "val_" in refused("finetune", "--data", path, "--head", "linear")


class Bomb:
    """Leaves a mark if it is ever unpickled."""

    def __reduce__(self):
        return (os.mkdir, ("exploded",))


@pytest.mark.parametrize("where", ["train_images", "train_labels"])
def test_a_pickle_in_an_npz_is_not_opened(refused, save_npz, where):
    path = save_npz(**{where: np.array([Bomb()], dtype=object)})
    for command in ("pretrain", "finetune"):
        assert "pickle" in refused(command, "--data", path)
    path.write_bytes(pickle.dumps(Bomb()))
    refused("pretrain", "--data", path)
    assert not Path("exploded").exists()


def test_a_group_in_two_splits(refused, tmp_path):
    root = tmp_path / "listed"
    root.mkdir()
    lines = ["path,label,group,split"]
    for index in range(8):
        Image.fromarray(np.full((16, 16), 20 * index, np.uint8)).save(root / f"{index}.png")
        split = ("train", "val")[index % 2]
        lines.append(f"{index}.png,{('a', 'b')[index // 2 % 2]},p{index // 4},{split}")
    (root / "manifest.csv").write_text("\n".join(lines) + "\n")
    assert "p0" in refused("finetune", "--data", root)


# Options that are wrong.


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--head", "linaer"), "did you mean"),
        (("--backend", "aer_statevectr"), "did you mean"),
        (("--backend", "aer_noisy,colour=red"), "colour"),
        (("--backend", "aer_noisy,shots=-1"), "shots"),
        (("--backend", "aer_noisy,device=FakeNowhere"), "FakeNowhere"),
        (("--backend", "aer_statevector,engine=torch"), "aer"),
        (("--bananas", "3"), "bananas"),
        (("--labels", "0"), "--labels"),
        (("--labels", "1.5"), "--labels"),
        (("--labels", "some"), "--labels"),
        (("--epochs", "0"), "--epochs"),
        (("--epochs", "3.5"), "Expected a whole number for --epochs, got '3.5'"),
        (("--epochs", "1" + "0" * 30), "less than or equal to 100000 for --epochs"),
        (("--epochs", "1" + "0" * 5000), "thousands of digits"),
        (("--head.num-layers", "100000"), "less than or equal to 200 for --head.num-layers"),
        (("--devices", "1000000"), "1000000"),
        (("--num-nodes", "1000"), "MASTER_ADDR"),
        (("--image-size", "1000000"), "--image-size"),
        (("--data", "x" * 5000), "at most 4096 characters for --data"),
        (("--epochs",), "--epochs"),
        (("--seed", "-1"), "--seed"),
        (("--learning-rate", "0"), "--learning-rate"),
        (("--learning-rate", "nan"), "Expected a finite number for --learning-rate"),
        (("--learning-rate", "inf"), "--learning-rate"),
        (("--stem", "stride3"), "one of 'auto', 'stride1', 'stride2' for --stem, got 'stride3'"),
        (("--head.num-qubits", "0"), "for --head.num-qubits, got 0"),
        (("--head.num-qubits", "21"), "for --head.num-qubits, got 21"),
        (("--head.encoding", "morse"), "morse"),
        (("--head.ansatz", "spaghetti"), "spaghetti"),
        (("--head.entanglement", "some"), "some"),
        (("--augment.crop-min", "0"), "a value greater than 0 for --augment.crop-min"),
        (("--encoder", "missing.safetensors"), "missing.safetensors"),
        (("--positive", "unicorn"), "unicorn"),
        (("surplus",), "surplus"),
    ],
    ids=str,
)
def test_wrong_options(refused, arguments, words):
    assert words in refused("finetune", "--data", PHANTOM, *arguments)


def test_a_missing_option_is_described(refused, finetuned):
    assert "Expected --out, HTML file to write, got nothing" in refused("report", finetuned)
    assert "Expected --out, JSON file" in refused("backends", "save", "fake_manila")
    assert "the run folder of `hybridq finetune`, got nothing" in refused("evaluate")
    assert "a MedMNIST name, a folder" in refused("data", "check")


@pytest.mark.parametrize("command", ["pretrain", "finetune"])
@pytest.mark.parametrize(
    ("option", "value"), [("--accelerator", "abacus"), ("--precision", "7-bit"), ("--devices", "x")]
)
def test_settings_that_lightning_cannot_use(refused, command, option, value):
    assert value in refused(command, "--data", PHANTOM, option, value)


@pytest.mark.parametrize("seed", [2**64, 10**30])
def test_a_seed_that_is_too_large(refused, seed):
    assert "seed" in refused("pretrain", "--data", PHANTOM, "--seed", seed)


def test_more_qubits_than_the_backend_has(refused):
    line = refused(
        "finetune", "--data", PHANTOM, "--backend", "fake_manila", "--head.num-qubits", 6
    )
    assert "6" in line
    assert "5" in line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("pretrian",), "pretrian"),
        (("data",), "data check"),
        (("data", "burn"), "burn"),
        (("backends", "show", "nowhere"), "nowhere"),
        (("backends", "show"), "BACKEND"),
        (("backends", "check", "aer_noisy,shots=x"), "shots"),
        (("data", "check", "nowhere"), "nowhere"),
        (("data", "fetch", "nowhere"), "nowhere"),
        (("evaluate",), "RUN"),
        (("predict",), "RUN"),
        (("--verbose",), "--verbose"),
    ],
    ids=str,
)
def test_wrong_commands(refused, arguments, words):
    assert words.lower() in refused(*arguments).lower()


def test_no_command_at_all(run):
    code, out, _ = run()
    assert code == 2
    assert "usage" in out


@pytest.mark.parametrize("place", ["taken", "taken/runs"])
def test_a_file_where_runs_should_be(refused, place):
    Path("taken").write_text("x")
    line = refused("finetune", "--data", PHANTOM, "--head", "linear", "--runs", place)
    assert "--runs" in line


def test_an_encoder_of_another_shape(refused, tmp_path):
    import torch

    encoder = Encoder(EncoderSpec(image_size=16))
    state = {**encoder.state_dict(), "features.0.0.weight": torch.zeros(16, 3, 3, 3)}
    path = tmp_path / "other.safetensors"
    save_weights(path, state, "encoder_spec", encoder.spec.model_dump(mode="json"))
    line = refused("finetune", "--data", PHANTOM, "--encoder", path)
    assert "features.0.0.weight" in line


def test_a_pickled_encoder_is_not_opened(refused, tmp_path):
    path = tmp_path / "encoder.safetensors"
    path.write_bytes(pickle.dumps(Bomb()))
    assert "encoder_spec" in refused("pretrain", "--data", PHANTOM, "--encoder", path)
    assert not Path("exploded").exists()


# Config files.


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("epoch = 3", "`epoch`"),
        ("[head]\nqubits = 3", "`head.qubits`"),
        ("labels = 0", "labels"),
        ("labels = ", "TOML"),
        ('epochs = "many"', "epochs"),
    ],
)
def test_wrong_config_files(refused, text, words):
    Path("options.toml").write_text(text)
    line = refused("finetune", "--config", "options.toml")
    assert words in line
    assert "options.toml" in line


@pytest.mark.parametrize("text", ["[1]", "null", "{", '{"epochs": 0}'])
def test_wrong_json_config_files(refused, text):
    Path("options.json").write_text(text)
    assert "options.json" in refused("finetune", "--config", "options.json")


def test_a_config_file_with_a_mark_in_front():
    Path("marked.toml").write_bytes(b"\xef\xbb\xbfepochs = 3\n")
    assert cli.parse("finetune", FinetuneConfig, ["--config", "marked.toml"]).epochs == 3


def test_missing_config_files(refused):
    assert "nowhere.toml" in refused("finetune", "--config", "nowhere.toml")
    assert "--config" in refused("finetune", "--config")
    Path("folder").mkdir()
    assert "folder" in refused("finetune", "--config", "folder")


def parsed(name, *arguments):
    return cli.parse(name, cli.COMMANDS[name].model, list(arguments))


def test_flags_win_over_the_file():
    Path("options.toml").write_text(
        'epochs = 7\nlabels = 0.3\n[head]\nname = "mlp"\nnum_qubits = 3\n'
    )
    found = parsed(
        "finetune", "--config", "options.toml", "--epochs", "9", "--head.num-qubits", "5"
    )
    assert (found.epochs, found.labels) == (9, 0.3)
    assert (found.head.name, found.head.num_qubits, found.head.num_layers) == ("mlp", 5, 2)
    assert parsed("finetune", "--head", "linear", "--config=options.toml").head.name == "linear"


@pytest.mark.parametrize("name", ["pretrain", "finetune", "demo", "data list", "backends list"])
def test_without_options_the_defaults_hold(name):
    model = cli.COMMANDS[name].model
    assert parsed(name) == model()


def test_the_config_of_a_run_is_accepted(finetuned, finetuned_pqc, pretrained):
    for folder, model, name in (
        (finetuned, FinetuneConfig, "finetune"),
        (finetuned_pqc, FinetuneConfig, "finetune"),
        (pretrained, PretrainConfig, "pretrain"),
    ):
        path = folder / "config.json"
        expected = model.model_validate_json(path.read_text())
        assert parsed(name, "--config", str(path)) == expected
        other = parsed(name, "--config", str(path), "--seed", "5")
        assert other == expected.model_copy(update={"seed": 5})


def test_every_field_survives_a_config_file():
    """Each field of each config, at a value that is not its default, through JSON and back."""
    evaluated = EvaluateConfig(
        run=Path("r"), data="d", split="val", limit=3, baselines=False, name="n"
    )
    Path("c.json").write_text(evaluated.model_dump_json())
    assert parsed("evaluate", "--config", "c.json") == evaluated
    predicted = config.PredictConfig(
        run=Path("r"), images=(Path("a.png"), Path("b")), out=Path("o.csv"), force=True
    )
    Path("c.json").write_text(predicted.model_dump_json())
    assert parsed("predict", "--config", "c.json") == predicted


# Run folders that are wrong.


def test_resume_with_other_options(refused, finetuned):
    for extra in (("--epochs", "3"), ("--head", "mlp"), ("surplus",)):
        assert "--resume RUN alone" in refused("finetune", "--resume", finetuned, *extra)
    assert "alone" in refused("finetune", "--epochs", "3", f"--resume={finetuned}")
    Path("options.toml").write_text("epochs = 3")
    assert "alone" in refused("finetune", "--config", "options.toml", "--resume", finetuned)


def test_resume_of_no_run(refused, pretrained):
    Path("empty").mkdir()
    assert "empty" in refused("finetune", "--resume", "empty")
    assert "nowhere" in refused("pretrain", "--resume", "nowhere")
    assert "--resume" in refused("pretrain", "--resume")
    assert "hybridq finetune" in refused("finetune", "--resume", pretrained)


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_a_run_that_is_none(refused, pretrained, command):
    Path("a.png").write_bytes(b"")
    images = ("a.png",) if command == "predict" else ()
    Path("empty").mkdir()
    for folder in ("empty", "nowhere"):
        assert folder in refused(command, folder, *images)
    assert "hybridq finetune" in refused(command, pretrained, *images)


def test_an_unfinished_run_says_how_to_go_on(refused, tmp_path):
    for command, model in (("pretrain", PretrainConfig), ("finetune", FinetuneConfig)):
        (tmp_path / command).mkdir()
        write_config(tmp_path / command, model())
    Path("a.png").write_bytes(b"")
    trained, encoder = tmp_path / "finetune", tmp_path / "pretrain"
    for arguments, folder in (
        (("evaluate", trained), trained),
        (("predict", trained, "a.png"), trained),
        (("report", trained, "--out", "report.html"), trained),
        (("study", "noise", trained), trained),
        (("finetune", "--encoder", encoder), encoder),
    ):
        assert f"hybridq {folder.name} --resume {folder}" in refused(*arguments)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.json", b"{"),
        ("config.json", b'{"format": 2}'),
        ("model.safetensors", b"half"),
        ("config.json", None),
        ("model.safetensors", None),
    ],
)
def test_a_damaged_model(refused, finetuned, tmp_path, file, content):
    import shutil

    folder = tmp_path / "copied"
    shutil.copytree(finetuned, folder)
    if content is None:
        (folder / "model" / file).unlink()
    else:
        (folder / "model" / file).write_bytes(content)
    assert str(folder) in refused("evaluate", folder)


def test_weights_of_another_head(refused, finetuned, finetuned_pqc, tmp_path):
    import shutil

    folder = tmp_path / "copied"
    shutil.copytree(finetuned, folder)
    shutil.copy(finetuned_pqc / "model" / "model.safetensors", folder / "model")
    assert "model.safetensors" in refused("evaluate", folder)


def test_evaluate_with_data_of_other_classes(refused, finetuned, save_folder):
    assert "dark" in refused("evaluate", finetuned, "--data", save_folder())
    two = save_folder("two", classes=("a", "b"))
    assert "no lesion" in refused("evaluate", finetuned, "--data", two)


def test_evaluate_with_data_of_another_task(refused, run, save_npz):
    """Three classes and three labels have the same names `0`, `1`, `2`."""
    classes, labels = save_npz("classes.npz", classes=3), save_npz("labels.npz", labels=3)
    code, out, _ = run(
        "finetune", "--data", classes, "--head", "linear", "--epochs", 1, "--freeze-encoder"
    )
    assert code == 0
    assert "multilabel" in refused("evaluate", out.strip(), "--data", labels)


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_another_backend_that_does_not_fit(refused, finetuned_pqc, command):
    """A device of one qubit does not hold a circuit of two."""
    Image.fromarray(np.zeros((16, 16), np.uint8)).save("good.png")
    arguments = (command, finetuned_pqc, *(["good.png"] if command == "predict" else []))
    assert "nowhere" in refused(*arguments, "--backend", "nowhere")
    line = refused(*arguments, "--backend", "fake_manila,device=FakeArmonkV2")
    assert "qubit" in line


def test_predict_needs_images(refused, finetuned):
    refused("predict", finetuned)
    Path("empty").mkdir()
    assert "empty" in refused("predict", finetuned, "empty")
    assert "nowhere.png" in refused("predict", finetuned, "nowhere.png")


def test_predict_refuses_a_corrupt_image(refused, finetuned):
    Image.fromarray(np.zeros((16, 16), np.uint8)).save("good.png")
    Path("bad.png").write_bytes(b"no image")
    line = refused("predict", finetuned, "good.png", "bad.png", "--out", "out.csv")
    assert "bad.png" in line
    assert "got a file that is none" in line
    assert not Path("out.csv").exists()


def test_predict_does_not_overwrite(refused, run, finetuned):
    Image.fromarray(np.zeros((16, 16), np.uint8)).save("good.png")
    Path("out.csv").write_text("precious")
    assert "--force" in refused("predict", finetuned, "good.png", "--out", "out.csv")
    assert Path("out.csv").read_text() == "precious"
    code, _, _ = run("predict", finetuned, "good.png", "--out", "out.csv", "--force")
    assert code == 0
    assert Path("out.csv").read_text().startswith("path,predicted,prob_no lesion,prob_lesion\n")


@pytest.mark.parametrize("out", ["folder", "file/below.csv"])
def test_predict_to_a_place_that_is_none(refused, finetuned, out):
    Image.fromarray(np.zeros((16, 16), np.uint8)).save("good.png")
    Path("folder").mkdir()
    Path("file").write_text("x")
    for force in ((), ("--force",)):
        line = refused("predict", finetuned, "good.png", "--out", out, *force)
        assert "--out" in line
        assert "is a folder" in line or "lies below" in line


# What it prints.


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_help_of_every_command(run, name):
    code, out, err = run(*name.split(), "--help")
    assert code == 0
    assert err == ""
    for field in cli.COMMANDS[name].model.model_fields:
        if field not in ("head", "augment", "compute"):
            assert field.replace("_", "-").lower() in out.lower() or field.upper() in out


def test_help_of_a_group(run):
    code, out, _ = run("backends", "--help")
    assert code == 0
    assert all(name in out for name in ("backends list", "backends show", "backends check"))


def test_usage_and_version(run):
    code, out, err = run("--help")
    assert (code, err) == (0, "")
    assert all(f"  {name} " in out for name in cli.COMMANDS)
    assert "Not a medical device" in out
    assert run("--version") == (0, f"hybridq {__version__}\n", "")


def test_the_demo_runs(run):
    """The first of the README's two commands, with one epoch of each training."""
    code, out, _ = run("demo", "--pretrain-epochs", 1, "--epochs", 1)
    assert code == 0
    rows = [line.split("  ")[0] for line in out.splitlines()[2:9]]
    assert rows == [
        "logistic regression on raw pixels",
        "network from scratch, linear",
        "SimCLR, linear",
        "SimCLR, mlp",
        *["SimCLR, pqc"] * 3,
    ]
    assert out.count(" [0.") >= 8  # intervals


def test_another_distribution_in_the_same_package_is_told(tmp_path, monkeypatch):
    """PyPI has an unrelated `hybridq`."""
    done = subprocess.run([sys.executable, "-m", "hybridq", "--version"], capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    folder = tmp_path / "hybridq-0.8.2.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: hybridq\nVersion: 0.8.2\n")
    (folder / "top_level.txt").write_text("hybridq\n")
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-m", "hybridq", "--version"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    assert done.stdout == f"hybridq {__version__}\n"
    assert "got some of hybridq too: pip uninstall hybridq, then" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_project_with_a_package_named_backends_is_no_trap(tmp_path):
    """`python -m` and notebooks put the working folder first."""
    (tmp_path / "backends").mkdir()
    (tmp_path / "backends" / "__init__.py").write_text("raise SystemExit('not this one')\n")
    for arguments in (["-m", "hybridq", "backends", "list"], ["-c", "import hybridq.quantum"]):
        done = subprocess.run([sys.executable, *arguments], cwd=tmp_path, capture_output=True)
        assert (done.returncode, done.stderr) == (0, b""), arguments


def test_help_is_quick_to_load():
    """`hybridq --help` imports none of the heavy packages."""
    script = (
        "import sys; from hybridq.cli.main import main; code = main(['--help']);"
        "heavy = {'torch', 'qiskit', 'lightning', 'numpy', 'sklearn'} & set(sys.modules);"
        "print(heavy, file=sys.stderr); sys.exit(code or len(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "set()\n"


@pytest.mark.parametrize("arguments", [["backends", "list"], ["backends", "show", "aer_noisy"]])
def test_backends_are_listed_without_torch(arguments):
    script = (
        "import sys; from hybridq.cli.main import main; code = main(sys.argv[1:]);"
        "sys.exit(code or 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def full_disk(_):
    with Path("/dev/full").open("w") as file:
        file.write("x")


FAULTS = {
    "a full disk": (full_disk, "none left (No space left on device)"),
    "a folder": (lambda folder: folder.read_text(), "IsADirectoryError"),
    "a file as a folder": (lambda folder: (folder / "file" / "x").mkdir(), "NotADirectoryError"),
    "no database": (lambda folder: sqlite3.connect(folder), "OperationalError"),
    "a damaged database": (
        lambda folder: sqlite3.connect(folder / "file").execute("select * from t"),
        "DatabaseError",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_disk_that_fails_is_told_in_one_line(run, tmp_path, monkeypatch, name):
    fault, said = FAULTS[name]
    folder = tmp_path / TOKEN
    folder.mkdir()
    (folder / "file").write_text("neither a folder nor a database " * 99)
    monkeypatch.setenv("QISKIT_IBM_TOKEN", TOKEN)
    monkeypatch.setattr("hybridq.cli.print.data_list", lambda _: fault(folder))
    code, out, err = run("data", "list")
    assert (code, out) == (1, "")
    expected = "space on the disk" if "full" in name else "files that can be read and written"
    assert err.startswith(f"hybridq: error: Expected {expected}, got ")
    assert said in err
    assert err.count("\n") == 1
    assert TOKEN not in err


SHORT_OF_MEMORY = [
    MemoryError(),
    RuntimeError(
        "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: "
        "you tried to allocate 64 bytes. Error code 12 (Cannot allocate memory)"
    ),
    RuntimeError("could not create a primitive"),
    RuntimeError("std::bad_alloc"),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
    ImportError("libx.so: failed to map segment from shared object"),
]


@pytest.mark.parametrize("error", SHORT_OF_MEMORY)
def test_too_little_memory_is_told_in_one_line(run, monkeypatch, error):
    def fail(_):
        raise error

    monkeypatch.setattr("hybridq.cli.print.data_list", fail)
    code, out, err = run("data", "list")
    assert (code, out) == (1, "")
    assert err.startswith("hybridq: error: Expected enough memory, got none left (")
    assert "--batch-size" in err
    assert err.count("\n") == 1


def test_numpy_without_memory_is_told_in_one_line(run, monkeypatch):
    monkeypatch.setattr("hybridq.cli.print.data_list", lambda _: np.empty(2**60, dtype=np.uint8))
    code, _, err = run("data", "list")
    assert code == 1
    assert err.startswith("hybridq: error: Expected enough memory, got none left (MemoryError: Una")


@pytest.mark.parametrize("error", [RuntimeError("a defect"), KeyError("x"), SystemError("y")])
def test_a_defect_stays_a_traceback(monkeypatch, isolated, error):
    def fail(_):
        raise error

    monkeypatch.setattr("hybridq.cli.print.data_list", fail)
    with pytest.raises(type(error)):
        cli.main(["data", "list"])


def test_an_output_that_takes_nothing_is_told_in_one_line():
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "hybridq", "--version"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("hybridq: error: Expected space on the disk, got none left")
    assert done.stderr.count("\n") == 1


def test_a_request_to_end_is_an_interrupt(run, monkeypatch):
    monkeypatch.setattr(
        "hybridq.cli.print.data_list", lambda _: signal.raise_signal(signal.SIGTERM)
    )
    assert run("data", "list") == (130, "", "hybridq: interrupted\n")
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_data_list(run):
    code, out, err = run("data", "list")
    assert (code, err) == (0, "")
    assert out.splitlines()[0].split()[:2] == ["name", "task"]
    row = next(line for line in out.splitlines() if line.startswith("breastmnist"))
    for word in ("binary", "546/78/156", "CC BY 4.0"):
        assert word in row
    assert "phantom" in out


def test_data_check(run, save_folder):
    code, out, err = run("data", "check", PHANTOM)
    assert (code, err) == (0, "")
    assert "24 images: no lesion 12, lesion 12" in out
    root = save_folder()
    assert run("data", "check", root)[0] == 0
    (root / "train" / "grey" / "3.png").write_bytes(b"nothing")
    (root / "val" / "grey" / "0.png").write_bytes((root / "train" / "dark" / "0.png").read_bytes())
    code, out, err = run("data", "check", root)
    assert code == 2
    assert err.startswith("hybridq: error: ")
    assert err.count("\n") == 1
    assert any(line.startswith("error") and "3.png" in line for line in out.splitlines())
    assert any(line.startswith("warning") and "two splits" in line for line in out.splitlines())


def test_backends_list_and_show(run):
    code, out, err = run("backends", "list")
    assert (code, err) == (0, "")
    names = [line.split()[0] for line in out.splitlines()[2:]]
    assert {"aer_statevector", "aer_noisy", "fake_manila", "ibm", "ibm_rehearsal"} <= set(names)
    code, out, err = run("backends", "show", "aer_noisy,shots=77")
    assert (code, err) == (0, "")
    shown = {line.split()[0]: line.split()[1] for line in out.splitlines()[2:]}
    assert shown["shots"] == "77"
    assert shown["kind"] == "noisy"


def test_a_profile_of_ones_own(run):
    Path("backends.d").mkdir()
    Path("backends.d/mine.toml").write_text('summary = "my own"\nkind = "statevector"\nshots = 9\n')
    code, out, _ = run("backends", "list")
    assert code == 0
    assert "my own" in out
    code, out, _ = run("backends", "show", "mine")
    assert "9" in out


@pytest.mark.parametrize("backend", ["aer_statevector", "statevector", "statevector,dtype=float32"])
def test_backends_check(run, backend):
    code, out, _ = run("backends", "check", backend)
    assert code == 0, out
    assert "ok" in out
    assert "FAILED" not in out
    assert ("gradients of the shipped circuits" in out) == backend.startswith("statevector")


def test_backends_check_finds_a_wrong_engine(run, monkeypatch):
    from hybridq.quantum.statevector.simulator import StatevectorEngine

    right = StatevectorEngine.__call__
    monkeypatch.setattr(StatevectorEngine, "__call__", lambda *a: right(*a) * (1 + 1e-9))
    code, out, _ = run("backends", "check", "statevector")
    assert code == 1
    assert "FAILED" in out


def test_backends_check_fails_with_code_1(run, monkeypatch):
    """A probe that fails is not the user's mistake."""
    import types

    import hybridq_backends

    probe = types.SimpleNamespace(passed=False, name="order", expected="0.5", measured="0.4")
    report = types.SimpleNamespace(passed=False, probes=[probe])
    monkeypatch.setattr(hybridq_backends, "check_executable", lambda _executable: report)
    code, out, _ = run("backends", "check", "aer_statevector")
    assert code == 1
    assert out.splitlines()[2].split() == ["FAILED", "order", "0.5", "0.4"]


# Whole commands.


def test_pretrain_finetune_evaluate(run):
    code, out, _ = run(
        "pretrain", "--data", PHANTOM, "--epochs", 1, "--batch-size", 8, "--name", "a b"
    )
    assert code == 0
    encoder = Path(out.strip())
    assert encoder.name.endswith("-a_b")
    assert (encoder / "encoder.safetensors").is_file()
    code, out, _ = run(
        "finetune", "--data", PHANTOM, "--epochs", 1, "--batch-size", 8, "--encoder", encoder,
        "--head", "mlp", "--labels", 0.5, "--freeze-encoder",
    )  # fmt: skip
    assert code == 0
    folder = Path(out.strip())
    assert json.loads((folder / "config.json").read_text())["encoder"]["weights"] == str(encoder)
    code, out, _ = run("evaluate", folder, "--resamples", 100, "--no-baselines")
    assert code == 0
    lines = out.splitlines()
    assert "phantom test split, 10 images, 50% of the labels" in lines[0]
    assert "positive class: lesion" in out
    assert "synthetic images" in out
    result = read_result(Path(lines[-1]))
    assert result["baselines"] == {}
    assert result["labels"] == 0.5


def test_predict_prints_a_table(run, finetuned):
    Path("images").mkdir()
    for index in range(3):
        Image.fromarray(np.full((16, 16), 60 * index, np.uint8)).save(f"images/{index}.png")
    code, out, _ = run("predict", finetuned, "images")
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == "path,predicted,prob_no lesion,prob_lesion"
    assert [line.split(",")[0] for line in lines[1:]] == [f"images/{i}.png" for i in range(3)]
    for line in lines[1:]:
        _, name, first, second = line.split(",")
        assert float(first) + float(second) == pytest.approx(1, abs=1e-7)
        assert name == ("no lesion" if float(first) >= float(second) else "lesion")


def test_interrupted(run, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("hybridq.cli.print.data_list", interrupt)
    code, out, err = run("data", "list")
    assert (code, out) == (130, "")
    assert err == "hybridq: interrupted\n"


def test_a_fault_of_our_own_is_not_hidden(monkeypatch):
    def fail(_):
        raise ZeroDivisionError("ours")

    monkeypatch.setattr("hybridq.cli.print.data_list", fail)
    with pytest.raises(ZeroDivisionError, match="ours"):
        cli.main(["data", "list"])


def test_columns_are_left_as_they_were(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "61")
    run("finetune", "--bananas")
    assert os.environ["COLUMNS"] == "61"
    monkeypatch.delenv("COLUMNS")
    run("finetune", "--bananas")
    assert "COLUMNS" not in os.environ


def test_take_option():
    assert cli.take_option(["a", "--config", "x", "b"], "--config") == ("x", ["a", "b"])
    assert cli.take_option(["--config=x=y"], "--config") == ("x=y", [])
    assert cli.take_option(["a"], "--config") == (None, ["a"])
    with pytest.raises(InvalidValueError, match="--config"):
        cli.take_option(["--config"], "--config")


# Accounts.


def test_ibm_without_an_account(refused):
    """No host is contacted: there is no token, and the home is empty."""
    line = refused("finetune", "--data", PHANTOM, "--backend", "ibm,max_qpu_seconds=9")
    assert "account" in line
    assert "ibm_rehearsal" in line


def test_a_token_is_never_shown(refused, run, monkeypatch):
    """The service refuses and quotes the token: neither output nor files may repeat it."""
    from qiskit_ibm_runtime.exceptions import IBMNotAuthorizedError

    class Service:
        def __init__(self, **_options):
            raise IBMNotAuthorizedError(f"401: token {os.environ['QISKIT_IBM_TOKEN']} is invalid")

        @staticmethod
        def saved_accounts(**_options):
            return {}

    monkeypatch.setenv("QISKIT_IBM_TOKEN", TOKEN)
    monkeypatch.setattr("hybridq_backends.ibm.account.QiskitRuntimeService", Service)
    line = refused("finetune", "--data", PHANTOM, "--backend", "ibm,max_qpu_seconds=9")
    assert TOKEN not in line
    assert "***" in line
    line = refused(
        "finetune", "--data", PHANTOM, "--backend", f"ibm,service_options.token={TOKEN}x"
    )
    assert TOKEN not in line


def test_a_token_is_not_written_into_a_run(run, monkeypatch):
    monkeypatch.setenv("QISKIT_IBM_TOKEN", TOKEN)
    code, _, _ = run(
        "finetune", "--data", PHANTOM, "--head", "linear", "--epochs", 1, "--freeze-encoder"
    )
    assert code == 0
    for path in Path("runs").rglob("*"):
        assert path.is_dir() or TOKEN.encode() not in path.read_bytes()


def test_a_saved_encoder_is_an_encoder(run, tmp_path):
    """A file made through the library works as `--encoder`."""
    path = tmp_path / "mine.safetensors"
    save_encoder(Encoder(EncoderSpec(image_size=16, stem="stride1")), path)
    code, _, _ = run(
        "finetune", "--data", PHANTOM, "--encoder", path, "--head", "linear", "--epochs", 1
    )
    assert code == 0


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["finetun"], "finetune"),
        (["evalute", "run"], "evaluate"),
        (["study", "ablaton"], "ablation"),
        (["backends", "lst"], "backends list"),
        (["backend", "list"], "backends"),
    ],
)
def test_a_mistyped_command_is_guessed(capsys, words, meant):
    assert cli.main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "did you mean" in line
    assert line.rstrip("?`'").endswith(meant)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            "pretrain --steps 5 --epochs 3",
            "Expected steps or epochs, got both: leave one out.",
        ),
        (
            "finetune --head lqer --head.registers 3",
            "Expected registers that share 4 qubits evenly, got 3: take a divisor of num_qubits.",
        ),
        (
            "finetune --freeze enc",
            "Expected blocks of encoder, reducer, head, got 'enc' for --freeze: see hybridq "
            "finetune --help.",
        ),
    ],
)
def test_what_options_contradict_is_said_once(run, arguments, line):
    code, _, err = run(*arguments.split())
    assert (code, err.strip().splitlines()[-1]) == (2, f"hybridq: error: {line}")
