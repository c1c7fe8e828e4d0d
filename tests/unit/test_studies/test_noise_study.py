"""A noise study on two tiny trained models: its table against other routes to the same figures."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from hybridq.cli import main as cli
from hybridq.config import EvaluateConfig, FinetuneConfig, NoiseStudyConfig, head_config
from hybridq.errors import InvalidValueError, UnavailableError
from hybridq.evaluation.evaluate import evaluate
from hybridq.evaluation.metrics.scores import auc, true_margins
from hybridq.runs.folder import read_config, read_result
from hybridq.studies.engine.study import show
from hybridq.studies.noise.study import noise_study
from hybridq.studies.noise.unit import load
from hybridq.training.finetune import finetune
from hybridq_backends.devices.calibration import save_calibration
from hybridq_backends.devices.snapshots import fake_device
from tests.forks import Fork

pytestmark = [pytest.mark.trains, pytest.mark.usefixtures("isolated", "single_thread")]

DEVICE = "FakeManilaV2"
TABLES = ("study.csv", "summary.csv", "flips.csv")


@pytest.fixture
def models(finetuned_pqc, finetuned_control):
    return (finetuned_pqc, finetuned_control)


def study(models, **changes):
    fields = {"device": DEVICE, "noise_scale": "0,1,3", "shots": "none,100", "workers": 1}
    return noise_study(NoiseStudyConfig(models=models, **{**fields, **changes}))


@pytest.fixture(scope="module")
def whole(tmp_path_factory, single_thread, finetuned_pqc, finetuned_control):
    """A study that was never stopped, in one process."""
    models = (finetuned_pqc, finetuned_control)
    return study(models, runs=tmp_path_factory.mktemp("whole"))


def table(folder, name="study.csv"):
    with (folder / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def tables(folder):
    return [(folder / name).read_bytes() for name in TABLES]


def evaluated(run, **changes):
    folder = evaluate(EvaluateConfig(run=run, resamples=100, baselines=False, **changes))
    with (folder / "predictions" / "test.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    probs = np.array([[float(row["prob_0"]), float(row["prob_1"])] for row in rows])
    return read_result(folder)["model"], np.array([int(row["label"]) for row in rows]), probs


def test_rows_equal_evaluations_on_aer(models):
    """Exact rows are what `hybridq evaluate` finds on Aer's density matrix; the control too."""
    folder = study(models, repeats=8)
    every = table(folder)
    rows = {(row["noise_scale"], row["shots"]): row for row in every}
    assert len(rows) == 6
    assert len(every) == 3 * (1 + 8)
    model, labels, noiseless = evaluated(models[0], backend="aer_statevector")
    _, _, noisy = evaluated(models[0], backend=f"aer_noisy,device={DEVICE},shots=none")
    _, _, control = evaluated(models[1])
    still, moved = rows["0.0", "none"], rows["1.0", "none"]
    assert float(still["flips"]) == 0.0
    assert float(still["rms_error"]) < 1e-12
    assert float(still["auc"]) == pytest.approx(model["figures"]["auc"]["value"], abs=1e-12)
    assert float(moved["auc"]) == pytest.approx(auc(labels, noisy), abs=1e-12)
    margins = np.where(labels == 1, 1, -1) * (noisy[:, 1] - noisy[:, 0])
    assert float(moved["margin_p50"]) == pytest.approx(np.median(margins), abs=1e-5)
    threshold = model["threshold"]
    flips = (noisy[:, 1] >= threshold) != (noiseless[:, 1] >= threshold)
    assert float(moved["flips"]) == pytest.approx(flips.mean())
    for row in every:
        assert float(row["control_auc"]) == pytest.approx(auc(labels, control), abs=1e-12)
        assert float(row["noiseless_auc"]) == float(still["auc"])
        assert row["calibration_date"].startswith("20")
        assert row["engine"] == "torch"
    errors = [float(rows[scale, "none"]["rms_error"]) for scale in ("0.0", "1.0", "3.0")]
    assert errors == sorted(errors)
    config = read_config(folder, NoiseStudyConfig, "study noise")
    loaded = load(*models, config)
    values = loaded.of_study(loaded.expvals[0]).numpy()
    variance = (1 - values**2) / 100  # of a mean of 100 signs
    found = [
        float(row["rms_error"]) ** 2
        for row in every
        if (row["noise_scale"], row["shots"]) == ("0.0", "100")
    ]
    # the square of a normal error has twice its variance, squared, as variance of its own
    spread = np.sqrt(2 * np.mean(variance**2) / (variance.size * len(found)))
    assert abs(np.mean(found) - variance.mean()) < 5 * spread
    names = {path.name for path in (folder / "figures").iterdir()}
    assert {"scale.png", "shots.png", "flips.png", "margin.png"} <= names
    text = show(folder)
    assert DEVICE in text
    assert "AUC less control's" in text


def test_mitigation_by_name(models):
    """Readout mitigation brings the values nearer, and each row says who computed it."""
    folder = study(
        models,
        noise_scale="5",
        shots="20000",
        mitigation="none,trex,zne,dd,zne_by_scale",
        limit=6,
    )
    rows = {row["mitigation"]: row for row in table(folder)}
    engines = {name: row["engine"] for name, row in rows.items()}
    assert engines == {
        "none": "torch",
        "trex": "ibm",
        "zne": "ibm",
        "dd": "ibm",
        "zne_by_scale": "torch",
    }
    errors = {name: float(row["rms_error"]) for name, row in rows.items()}
    assert errors["trex"] < 0.8 * errors["none"]
    assert errors["dd"] > 0.9 * errors["none"]  # memoryless noise is not refocused
    assert all(int(row["images"]) == 6 for row in rows.values())
    assert (folder / "figures" / "mitigation.png").is_file()


def test_extrapolation_over_the_scale_is_named_as_such(models):
    folder = study(models, noise_scale="0.5", shots="none", mitigation="none,zne")
    rows = {row["mitigation"]: row for row in table(folder)}
    assert set(rows) == {"none", "zne_by_scale"}
    # a quadratic through three scales leaves the third order of the error
    assert float(rows["zne_by_scale"]["rms_error"]) < 0.2 * float(rows["none"]["rms_error"])


def test_repeats_are_draws_of_the_shots(models):
    folder = study(models, noise_scale="1", shots="none,50", repeats=3)
    rows = table(folder)
    assert [(row["shots"], row["repeat"]) for row in rows] == [
        ("none", "0"),
        ("50", "0"),
        ("50", "1"),
        ("50", "2"),
    ]
    assert len({row["rms_error"] for row in rows}) == 4


def test_a_setting_does_not_depend_on_the_others(models, whole):
    few = table(study(models, noise_scale="3", shots="100"))
    many = table(whole)
    assert few == [row for row in many if (row["noise_scale"], row["shots"]) == ("3.0", "100")]


def test_processes_give_the_same_tables(models, whole):
    assert tables(study(models, workers=2)) == tables(whole)


@pytest.mark.slow
def test_a_cluster_gives_the_same_tables(models, whole):
    pytest.importorskip("ray")
    assert tables(study(models, ray="local")) == tables(whole)


def units_of(folder):
    return sorted(folder.glob("units/noise/*.json"))


def test_a_stopped_study_goes_on(whole):
    folder = shutil.copytree(whole, Path("stopped"))
    kept, *gone = units_of(folder)
    for path in (*gone, *(folder / name for name in (*TABLES, "result.json", "report.json"))):
        path.unlink()
    before = kept.stat().st_mtime_ns
    assert noise_study(NoiseStudyConfig(resume=folder)) == folder
    assert tables(folder) == tables(whole)
    assert units_of(folder) == [kept, *gone]
    assert kept.stat().st_mtime_ns == before
    assert show(folder) == show(whole)


def test_a_unit_of_other_settings_and_a_folder_of_an_earlier_version(whole):
    folder = shutil.copytree(whole, Path("other"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "shots": "none,50"}))
    with pytest.raises(InvalidValueError, match=r"units/noise/.*other settings: remove it"):
        noise_study(NoiseStudyConfig(resume=folder))
    (folder / "units.jsonl").write_text("{}\n")
    with pytest.raises(InvalidValueError, match=r"begin anew with `hybridq study noise --config"):
        noise_study(NoiseStudyConfig(resume=folder))


def test_killed_and_resumed(models):
    """A real process, killed without warning."""
    options = ["--device", DEVICE, "--noise-scale", "0,0.5,1,1.5,2,2.5,3", "--shots", "none,100"]
    process = Fork("study", "noise", *models, *options, "--workers", "1")
    deadline = time.monotonic() + 240
    folder = None
    try:
        while time.monotonic() < deadline and process.poll() is None:
            found = list(Path("runs/study").glob("*/units/noise/*.json"))
            if found:
                folder = found[0].parents[2]
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.01)
    finally:
        process.kill()
        process.communicate()
    assert folder is not None
    assert len(units_of(folder)) < 7
    noise_study(NoiseStudyConfig(resume=folder))
    whole = study(models, noise_scale="0,0.5,1,1.5,2,2.5,3")
    assert tables(folder) == tables(whole)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--noise-scale", "0,x"], "numbers from 0 to 100"),
        (["--noise-scale", "-1"], "numbers from 0 to 100"),
        (["--noise-scale", "1,1.0"], "each entry of --noise-scale once"),
        (["--shots", "0"], "counts from 1"),
        (["--shots", "many"], "counts from 1"),
        (["--device", "FakeTurin"], "did you mean FakeTorino?"),
        (["--mitigation", "tres"], "did you mean 'trex'?"),
        (["--mitigation", "trex"], "Expected shots with --mitigation trex"),
        (["--data", "phantom,size=16,count=3"], "Expected"),
        (["--workers", "0"], "--workers"),
        (["--ray", "127.0.0.1:1"], "check --ray"),
    ],
)
def test_bad_settings_are_one_line(models, options, message, capsys, tmp_path, tree):
    before = tree(tmp_path)
    assert cli.main(["study", "noise", *map(str, models), *options]) == 2
    error = capsys.readouterr().err
    line = error.strip().splitlines()[-1]
    assert line.startswith("hybridq: error: ")
    assert message in line
    assert {name for name in tree(tmp_path) if "study/" in name} <= set(before)


def test_a_missing_control_is_named(models, capsys):
    assert cli.main(["study", "noise", str(models[0])]) == 2
    error = capsys.readouterr().err
    assert "--head mlp" in error
    assert cli.main(["study", "noise", str(models[1])]) == 2
    assert re.search(r"one run with a head of .*\bpqc, pqc_residual", capsys.readouterr().err)
    assert cli.main(["study", "noise", "nowhere"]) == 2
    assert cli.main(["study", "noise"]) == 2


def test_models_that_a_mean_over_seeds_would_mix_up(models, capsys, tmp_path):
    """Another head of the same seed, a second control, and one run given twice."""
    run = read_config(models[0], FinetuneConfig, "finetune")
    options = run.model_copy(update={"runs": tmp_path / "more"})
    head = run.head.model_copy(update={"num_layers": 2})
    deeper = finetune(options.model_copy(update={"head": head}))
    assert cli.main(["study", "noise", *map(str, models), str(deeper)]) == 2
    assert "differ by their seed alone" in capsys.readouterr().err
    control = finetune(
        options.model_copy(update={"head": run.head.model_copy(update={"name": "mlp"})})
    )
    assert cli.main(["study", "noise", *map(str, models), str(control)]) == 2
    assert "one run of its control" in capsys.readouterr().err
    again = Path(os.path.relpath(models[0]))
    folder = study((*models, again), noise_scale="1,1.0000001", shots="none")
    assert len({row["noise_scale"] for row in table(folder)}) == 2


def test_a_device_too_small_is_found_before_any_work(models, capsys, tmp_path):
    options = ["--device", f"{DEVICE},FakeArmonkV2", "--shots", "none"]
    assert cli.main(["study", "noise", *map(str, models), *options]) == 2
    assert "at most 1 qubits" in capsys.readouterr().err
    options = ["--noise-scale", "0,50", "--shots", "none", "--mitigation", "zne_by_scale"]
    assert cli.main(["study", "noise", *map(str, models), *options]) == 2
    assert "up to 33.3333" in capsys.readouterr().err
    assert not list(Path().rglob("units"))


def test_a_saved_calibration_and_a_resume_from_another_folder(models, whole, monkeypatch, tmp_path):
    save_calibration(fake_device("manila"), "mine.json")
    folder = study(models, device="mine.json", noise_scale="1", shots="none").resolve()
    settings = {"noise_scale": "1.0", "shots": "none"}
    (same,) = (row for row in table(whole) if settings.items() <= row.items())
    row = table(folder)[0]
    assert row["device"] == "mine"
    assert float(row["auc"]) == float(same["auc"])
    assert float(row["rms_error"]) == pytest.approx(float(same["rms_error"]), rel=1e-6)
    before = tables(folder)
    (folder / "study.csv").unlink()
    monkeypatch.chdir(tmp_path)
    assert noise_study(NoiseStudyConfig(resume=folder)) == folder
    assert tables(folder) == before


def test_a_resume_that_fails_keeps_the_folder(models):
    folder = study(models, noise_scale="1", shots="none")
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name not in ("config.json", "environment.json", "log.txt"):
            path.unlink()
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "ray": "127.0.0.1:1"}))
    with pytest.raises(UnavailableError):
        noise_study(NoiseStudyConfig(resume=folder))
    assert (folder / "config.json").is_file()


def test_margins_of_several_classes_and_labels():
    probs = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]])
    np.testing.assert_allclose(true_margins(np.array([0, 1]), probs), [0.2, -0.5])
    labels = np.array([[1, 0], [0, 1]])
    found = true_margins(labels, np.array([[0.9, 0.2], [0.6, 0.5]]))
    np.testing.assert_allclose(found, [0.8, 0.6, -0.2, 0.0], atol=1e-12)


def test_several_classes(save_folder, pretrained):
    data = str(save_folder())
    runs = tuple(
        finetune(
            FinetuneConfig(
                data=data,
                encoder=str(pretrained),
                freeze_encoder=True,
                head=head_config(name=head, num_qubits=2, num_layers=1),
                epochs=1,
                batch_size=8,
            )
        )
        for head in ("pqc", "mlp")
    )
    rows = table(study(runs, noise_scale="1", shots="none"))
    assert len(rows) == 1
    assert 0 <= float(rows[0]["auc"]) <= 1


def test_several_labels_of_an_image(save_npz, pretrained):
    data = str(save_npz(labels=3))
    runs = tuple(
        finetune(
            FinetuneConfig(
                data=data,
                encoder=str(pretrained),
                freeze_encoder=True,
                head=head_config(name=head, num_qubits=2, num_layers=1),
                epochs=1,
                batch_size=8,
            )
        )
        for head in ("pqc", "mlp")
    )
    folder = study(runs, noise_scale="3", shots="16")
    (found,) = table(folder)
    assert 0 <= float(found["flips"]) <= 1
    with np.load(data) as arrays:
        labels = ["".join(map(str, row)) for row in arrays["test_labels"].tolist()]
    assert [row["label"] for row in table(folder, "flips.csv")] == labels
    assert (folder / "figures" / "flips.png").is_file()
