"""A trained run evaluated and used for prediction, on its own backend and on others."""

from __future__ import annotations

import csv
import json
import logging
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import roc_auc_score

from hybridq.config import EvaluateConfig, FinetuneConfig, PredictConfig, head_config
from hybridq.data import load_data
from hybridq.data.sources.images import read_image
from hybridq.data.transforms import prepare_images
from hybridq.evaluation import baselines
from hybridq.evaluation import evaluate as evaluate_module
from hybridq.evaluation.evaluate import evaluate
from hybridq.evaluation.predict import predict
from hybridq.evaluation.tables import evaluation_table
from hybridq.models import classify as classify_module
from hybridq.models.checkpoint import load_model
from hybridq.quantum.captured import captured
from hybridq.runs.folder import read_result
from hybridq.training.finetune import finetune
from hybridq_backends import open_backend

pytestmark = [pytest.mark.trains, pytest.mark.usefixtures("isolated", "single_thread")]

PHANTOM = "phantom,size=16,count=40"  # 10 images to test on

# What the kernels of single precision make of one image in a batch of another size, through 52
# layers; probabilities of different images are a hundred times as far apart.
ROUNDING = 1e-4


def evaluated(run: Path, **changes) -> Path:
    fields = {"resamples": 100, "baselines": False, **changes}
    return evaluate(EvaluateConfig(run=run, **fields))


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def probs_of(folder: Path, split: str = "test") -> np.ndarray:
    rows = read_csv(folder / "predictions" / f"{split}.csv")
    return np.array([[float(v) for k, v in row.items() if k.startswith("prob_")] for row in rows])


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def exact_evaluation(finetuned_pqc, tmp_path_factory):
    """The evaluation of the two-qubit run on its own backend, with baselines."""
    runs = tmp_path_factory.mktemp("runs")
    return evaluate(EvaluateConfig(run=finetuned_pqc, runs=runs, resamples=100))


def test_baselines_from_the_cache_have_the_same_figures(finetuned, monkeypatch):
    """With the cache empty, full, and left out."""
    logging.getLogger("hybridq").setLevel(logging.INFO)
    fits = []
    fit = baselines.LogisticBaseline.__init__
    monkeypatch.setattr(
        baselines.LogisticBaseline, "__init__", lambda self, *a: fits.append(1) or fit(self, *a)
    )
    first = read_result(evaluated(finetuned, baselines=True))["baselines"]
    assert len(fits) == 2
    again = evaluated(finetuned, baselines=True, seed=0, resamples=100)
    assert len(fits) == 2
    assert "taken from" in (again / "log.txt").read_text()
    without = read_result(evaluated(finetuned, baselines=True, baseline_cache=False))["baselines"]
    assert len(fits) == 4
    assert first == read_result(again)["baselines"] == without


def test_the_folder_of_an_evaluation(exact_evaluation, finetuned_pqc):
    names = {path.name for path in exact_evaluation.iterdir()}
    assert names == {
        "config.json", "environment.json", "log.txt", "report.json", "result.json",
        "predictions", "figures",
    }  # fmt: skip
    pictures = {path.name for path in (exact_evaluation / "figures").iterdir()}
    assert pictures == {"roc.png", "reliability.png", "confusion.png"}
    for path in (exact_evaluation / "figures").iterdir():
        with Image.open(path) as image:
            image.verify()
    result = read_result(exact_evaluation)
    assert result["run"] == str(finetuned_pqc)
    assert result["backend"]["name"] == "statevector"
    assert result["backend"]["engine"] == "torch"
    assert set(result["baselines"]) == {"majority", "raw_pixels", "random_encoder"}
    assert result["baselines"]["majority"]["figures"]["auc"]["value"] == 0.5
    assert result["positive"] == "lesion"
    assert result["circuit_jobs"] == 0  # the torch engine has none
    text = evaluation_table(result)
    assert all(name in text for name in ("pqc", "majority", "raw pixels", "random encoder"))


def test_predictions_and_figures_agree(exact_evaluation):
    rows = read_csv(exact_evaluation / "predictions" / "test.csv")
    assert list(rows[0]) == ["id", "label", "prob_0", "prob_1"]
    test = load_data(PHANTOM, splits=("test",)).splits["test"]
    assert [row["id"] for row in rows] == list(test.ids)
    assert [int(row["label"]) for row in rows] == test.labels.tolist()
    probs = probs_of(exact_evaluation)
    np.testing.assert_allclose(probs.sum(axis=1), 1, atol=1e-7)
    model = read_result(exact_evaluation)["model"]
    figures = model["figures"]
    assert figures["auc"]["value"] == pytest.approx(roc_auc_score(test.labels, probs[:, 1]))
    found = probs[:, 1] >= model["threshold"]
    lesion = test.labels == 1
    assert figures["sensitivity"]["value"] == pytest.approx(found[lesion].mean())
    assert figures["specificity"]["value"] == pytest.approx((~found[~lesion]).mean())
    for name, figure in figures.items():
        assert figure["low"] <= figure["high"], name


def test_the_majority_class_is_what_is_predicted(save_npz, isolated):
    labels = {
        f"{split}_labels": (np.arange(count) % 4 == 3).astype(np.uint8)[:, None]
        for split, count in (("train", 24), ("val", 12), ("test", 12))
    }
    run = finetune(
        FinetuneConfig(
            data=str(save_npz(**labels)),
            head=head_config(name="linear"),
            epochs=1,
            batch_size=8,
        )
    )
    entry = read_result(evaluate(EvaluateConfig(run=run, resamples=100)))["baselines"]["majority"]
    figures = {name: figure["value"] for name, figure in entry["figures"].items()}
    assert (figures["sensitivity"], figures["specificity"]) == (0, 1)
    assert figures["accuracy"] == 0.75
    assert figures["auc"] == 0.5


def test_the_run_itself_is_not_touched(finetuned_pqc):
    before = files(finetuned_pqc)
    folder = evaluated(finetuned_pqc)
    assert files(finetuned_pqc) == before
    again = evaluated(finetuned_pqc)
    assert folder != again
    assert (folder / "predictions" / "test.csv").read_bytes() == (
        again / "predictions" / "test.csv"
    ).read_bytes()
    without_time = [
        {k: v for k, v in read_result(f).items() if k != "seconds"} for f in (folder, again)
    ]
    assert without_time[0] == without_time[1]


@pytest.mark.parametrize(
    ("backend", "within"),
    [
        ("aer_statevector", 1e-7),
        ("aer_shots,shots=4096", 0.1),
        ("aer_noisy,device=FakeManilaV2,shots=4096", 0.3),
        ("fake_manila,shots=4096", 0.3),
        ("fake_manila,noise_scale=0,shots=none", 1e-6),
        ("ibm_rehearsal,shots=512", 0.3),
    ],
)
def test_another_backend_with_the_same_weights(finetuned_pqc, exact_evaluation, backend, within):
    """Near the exact probabilities: noise moves them, and another model would be far off."""
    exact = probs_of(exact_evaluation)
    folder = evaluated(finetuned_pqc, backend=backend)
    probs = probs_of(folder)
    assert np.abs(probs - exact).max() <= within
    if "shots=none" not in backend and backend != "aer_statevector":
        assert np.abs(probs - exact).max() > 1e-6  # it did run there
    result = read_result(folder)
    assert result["backend"]["name"] == backend
    assert result["circuit_jobs"] > 0
    environment = json.loads((folder / "environment.json").read_text())
    assert environment["backend"]["profile"] == backend.split(",")[0]


def prepared(images: np.ndarray, spec) -> torch.Tensor:
    return prepare_images(
        images,
        image_size=spec.image_size,
        mean=spec.mean,
        std=spec.std,
        crop_pct=spec.crop_pct,
    )


def test_more_noise_moves_the_expectation_values_further(finetuned_pqc):
    """Depolarising noise shrinks every |<Z>|, so logits move towards the readout's bias."""
    test = load_data(PHANTOM, splits=("test",)).splits["test"]
    sizes = []
    for rate in (0.0, 0.02, 0.1):
        with open_backend(
            f"depolarizing,error_rate_2q={rate},error_rate_1q=0,shots=none"
        ) as backend:
            model, spec = load_model(finetuned_pqc, backend=backend)
            with torch.no_grad(), captured(model.head) as expvals:
                model(prepared(test.images, spec.encoder))
            sizes.append(expvals[0].abs().mean().item())
    assert sizes[0] > sizes[1] > sizes[2]


def test_limit_draws_fewer_images(finetuned):
    folder = evaluated(finetuned, limit=4)
    rows = read_csv(folder / "predictions" / "test.csv")
    assert len(rows) == read_result(folder)["images"] == 4
    assert {row["label"] for row in rows} == {"0", "1"}
    whole = {r["id"]: r for r in read_csv(evaluated(finetuned) / "predictions" / "test.csv")}
    for row in rows:
        assert float(row["prob_1"]) == pytest.approx(
            float(whole[row["id"]]["prob_1"]), abs=ROUNDING
        )


def test_probabilities_are_the_mean_over_views(finetuned):
    found = probs_of(evaluated(finetuned, views="flip"))
    with open_backend("statevector") as backend:
        model, spec = load_model(finetuned, backend=backend)
    test = load_data(PHANTOM, splits=("test",)).splits["test"]
    seen = prepared(test.images, spec.encoder)
    mirrored = torch.from_numpy(seen.numpy()[..., ::-1].copy())
    with torch.inference_mode():
        both = [model(images).double().softmax(dim=1) for images in (seen, mirrored)]
    np.testing.assert_allclose(found, torch.stack(both).mean(dim=0).numpy(), atol=ROUNDING)


@pytest.mark.parametrize("limit", [None, 4])
def test_the_validation_split(finetuned, limit):
    folder = evaluated(finetuned, split="val", limit=limit)
    rows = read_csv(folder / "predictions" / "val.csv")
    assert len(rows) == (limit or 6)
    assert all(row["id"].startswith("val_") for row in rows)


def test_other_data_of_the_same_classes(finetuned):
    own, other = evaluated(finetuned), evaluated(finetuned, data="phantom,size=16,count=40,seed=9")
    assert read_csv(own / "predictions" / "test.csv") != read_csv(
        other / "predictions" / "test.csv"
    )


def test_an_evaluation_that_fails_leaves_nothing(finetuned, monkeypatch):
    def fail(*_args, **_kwargs):
        raise RuntimeError("boom")

    monkeypatch.setattr(evaluate_module, "classify", fail)
    with pytest.raises(RuntimeError, match="boom"):
        evaluated(finetuned)
    assert not Path("runs").exists()


def test_a_validation_split_of_one_class(save_npz, tmp_path):
    """Nothing to choose a threshold or a penalty by; the figures are those of the test split."""
    path = save_npz(val_labels=np.zeros((12, 1), np.uint8))
    run = finetune(
        FinetuneConfig(
            data=str(path),
            runs=tmp_path,
            head=head_config(name="linear"),
            epochs=1,
            freeze_encoder=True,
        )
    )
    result = read_result(evaluated(run, baselines=True))
    assert result["model"]["threshold"] == 0.5
    assert result["model"]["figures"]["auc"]["value"] is not None


@pytest.mark.parametrize("kind", ["multilabel", "multiclass"])
def test_other_tasks(save_npz, save_folder, tmp_path, kind, lively):
    source = save_npz("chest.npz", labels=14) if kind == "multilabel" else save_folder()
    run = finetune(
        FinetuneConfig(
            data=str(source), runs=tmp_path, head=head_config(name="mlp"), epochs=1, batch_size=6
        )
    )
    folder = evaluated(run, baselines=True)
    result = read_result(folder)
    assert result["positive"] is None
    assert "sensitivity" not in result["model"]["figures"]
    by_class = result["model"]["by_class"]
    assert list(by_class) == result["class_names"]
    assert {name for shares in by_class.values() for name in shares} == {
        "sensitivity",
        "specificity",
    }
    recalls = [shares["sensitivity"]["value"] for shares in by_class.values()]
    if kind == "multiclass":
        balanced = result["model"]["figures"]["balanced_accuracy"]["value"]
        assert np.mean(recalls) == pytest.approx(balanced)
    assert len(result["baselines"]) == 3
    test = load_data(str(source), splits=("test",)).splits["test"]
    rows = read_csv(folder / "predictions" / "test.csv")
    probs = probs_of(folder)
    expected = roc_auc_score(test.labels, probs, multi_class="ovr", average="macro")
    assert result["model"]["figures"]["auc"]["value"] == pytest.approx(expected)
    if kind == "multilabel":
        assert [row["label"] for row in rows] == ["".join(map(str, row)) for row in test.labels]
        assert not (folder / "figures" / "confusion.png").exists()
        picture = tmp_path / "one.png"
        Image.fromarray(test.images[0, ..., 0]).save(picture)
        predict(PredictConfig(run=run, images=(picture,), out=tmp_path / "out.csv"))
        (row,) = read_csv(tmp_path / "out.csv")
        found = [float(row[f"prob_{k}"]) for k in range(14)]
        np.testing.assert_allclose(found, probs[0], atol=ROUNDING)
        assert row["predicted"] == "+".join(str(k) for k in range(14) if found[k] >= 0.5)
    else:
        assert (folder / "figures" / "confusion.png").is_file()


# Prediction of image files.


def write_test_images(folder: Path, source: str = PHANTOM) -> list[Path]:
    """The test split as PNG files, in its order."""
    folder.mkdir()
    paths = []
    for index, image in enumerate(load_data(source, splits=("test",)).splits["test"].images):
        paths.append(folder / f"{index:03}.png")
        Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(paths[-1])
    return paths


def predicted_probs(path: Path) -> np.ndarray:
    return np.array([[float(v) for v in list(row.values())[2:]] for row in read_csv(path)])


@pytest.mark.parametrize("batch_size", [3, 128])
def test_predictions_of_files_are_those_of_the_evaluation(
    finetuned_pqc, exact_evaluation, batch_size
):
    paths = write_test_images(Path("images"))
    predict(
        PredictConfig(
            run=finetuned_pqc,
            images=(Path("images"),),
            out=Path("a/out.csv"),
            batch_size=batch_size,
        )
    )
    rows = read_csv(Path("a/out.csv"))
    assert list(rows[0]) == ["path", "predicted", "prob_no lesion", "prob_lesion"]
    assert [row["path"] for row in rows] == [str(path) for path in paths]
    found = predicted_probs(Path("a/out.csv"))
    np.testing.assert_allclose(found, probs_of(exact_evaluation), atol=ROUNDING)
    names = np.array(["no lesion", "lesion"])
    assert [row["predicted"] for row in rows] == names[found.argmax(axis=1)].tolist()
    assert not list(Path("a").glob("*.part"))


@pytest.mark.parametrize("image_size", [24, 12])
def test_predictions_are_those_of_the_evaluation_where_images_are_resized(image_size, lively):
    run = finetune(
        FinetuneConfig(
            data=PHANTOM,
            runs=Path("runs"),
            image_size=image_size,
            epochs=2,
            batch_size=8,
            head=head_config(name="linear"),
            learning_rate=1e-2,
        )
    )
    write_test_images(Path("images"))
    predict(PredictConfig(run=run, images=(Path("images"),), out=Path("out.csv")))
    np.testing.assert_allclose(
        predicted_probs(Path("out.csv")), probs_of(evaluated(run)), atol=ROUNDING
    )


def test_predictions_are_those_of_the_evaluation_on_a_folder(save_folder, lively):
    """Files as they lie in the folder that was evaluated, on another backend, too."""
    root = save_folder(size=20)
    run = finetune(
        FinetuneConfig(
            data=str(root),
            runs=Path("runs"),
            epochs=1,
            batch_size=6,
            head=head_config(name="pqc", num_qubits=2, num_layers=1, init_std=1.0),
        )
    )
    for backend in (None, "fake_manila,shots=none"):
        folder = evaluated(run, backend=backend)
        out = Path(f"{backend}.csv".replace(",", "-"))
        predict(PredictConfig(run=run, images=(root / "test",), out=out, backend=backend))
        paths = [Path(row["path"]) for row in read_csv(out)]
        ids = [row["id"] for row in read_csv(folder / "predictions" / "test.csv")]
        assert [path.relative_to(root).as_posix() for path in paths] == ids
        np.testing.assert_allclose(predicted_probs(out), probs_of(folder), atol=ROUNDING)


def test_colour_files_of_any_size_and_kind(finetuned):
    rng = np.random.default_rng(0)
    Path("images").mkdir()
    pixels = rng.integers(0, 256, (40, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save("images/colour.png")
    Image.fromarray(pixels[:9, :50, 0]).save("images/grey.bmp")
    Image.fromarray(pixels[..., 0].astype(np.uint16) * 257).save("images/deep.png")
    Image.fromarray(pixels[..., 0]).save("images/deep8.png")
    predict(PredictConfig(run=finetuned, images=(Path("images"),), out=Path("out.csv")))
    rows = {Path(row["path"]).stem: row for row in read_csv(Path("out.csv"))}
    assert len(rows) == 4
    assert rows["deep"]["prob_lesion"] == rows["deep8"]["prob_lesion"]


def test_nothing_is_computed_before_all_images_are_read(finetuned, monkeypatch):
    paths = write_test_images(Path("images"))
    paths[-1].write_bytes(b"damaged")

    def never(*_args, **_kwargs):
        raise AssertionError("computed")

    monkeypatch.setattr(classify_module.torch, "cat", never)
    with pytest.raises(ValueError, match=r"009\.png"):
        predict(PredictConfig(run=finetuned, images=(Path("images"),), out=Path("out.csv")))
    assert not Path("out.csv").exists()


def test_a_cut_file_is_refused_before_anything_is_computed(finetuned, monkeypatch):
    paths = write_test_images(Path("images"))
    paths[-1].write_bytes(paths[-1].read_bytes()[:-20])

    def never(*_args, **_kwargs):
        raise AssertionError("computed")

    monkeypatch.setattr(classify_module.torch, "cat", never)
    with pytest.raises(ValueError, match=r"009\.png"):
        predict(PredictConfig(run=finetuned, images=(Path("images"),), out=Path("out.csv")))


def test_few_whole_images_are_in_memory_at_a_time(finetuned, monkeypatch):
    """However many there are in a batch."""
    write_test_images(Path("images"))
    alive: set[int] = set()
    most = []

    def watched(path, *, channels):
        pixels = read_image(path, channels=channels).copy()
        alive.add(id(pixels))
        weakref.finalize(pixels, alive.discard, id(pixels))
        most.append(len(alive))
        return pixels

    monkeypatch.setattr(classify_module, "read_image", watched)
    predict(PredictConfig(run=finetuned, images=(Path("images"),), out=Path("out.csv")))
    assert len(most) == 10
    assert max(most) <= 2
    assert not alive


# Real data.


def test_breastmnist(data_root):
    """Malignant is label 0: sensitivity is the share of malignant images that are found."""
    if not (data_root / "medmnist" / "breastmnist.npz").is_file():
        pytest.skip("no breastmnist.npz in the data folder")
    run = finetune(
        FinetuneConfig(
            data="breastmnist",
            data_root=data_root,
            runs=Path("runs"),
            labels=0.1,
            epochs=1,
            head=head_config(name="linear"),
            freeze_encoder=True,
        )
    )
    folder = evaluated(run)
    result = read_result(folder)
    assert result["positive"] == "malignant"
    assert any("near-duplicate" in note for note in result["notes"])
    rows = read_csv(folder / "predictions" / "test.csv")
    assert len(rows) == 156
    malignant = np.array([row["label"] == "0" for row in rows])
    assert malignant.sum() == 42
    found = probs_of(folder)[:, 0] >= result["model"]["threshold"]
    figures = result["model"]["figures"]
    assert figures["sensitivity"]["value"] == pytest.approx(found[malignant].mean())
    assert figures["specificity"]["value"] == pytest.approx((~found[~malignant]).mean())
