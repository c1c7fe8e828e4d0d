"""The package from Python: arrays in, models, figures and jobs out."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback
from torch import nn

import hybridq as hq
from hybridq.cli.main import main
from hybridq.runs.folder import read_result

SOURCE = "phantom,size=16,count=60"
QUICK = {"epochs": 1, "freeze_encoder": True}


class Net(nn.Module):
    """A network of one's own, from images to feature vectors."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 7, 3, stride=2)
        self.norm = nn.BatchNorm2d(7)

    def forward(self, images):
        return torch.relu(self.norm(self.layer(images))).mean((2, 3))


class Head(nn.Module):
    """A head of one's own that takes feature maps."""

    input = "map"

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(7, 2)

    def forward(self, maps):
        return self.layer(maps.mean((2, 3)))


@pytest.fixture(scope="module")
def data():
    whole = hq.load_data(SOURCE)
    images = np.concatenate([split.images for split in whole.splits.values()])
    labels = np.concatenate([split.labels for split in whole.splits.values()])
    return hq.ImageData.from_arrays(images, labels, class_names=["no lesion", "lesion"])


@pytest.fixture(scope="module")
def encoder(data):
    return hq.pretrain(data, epochs=1, batch_size=8)


@pytest.fixture(scope="module")
def model(data, encoder):
    return hq.finetune(encoder, data, labels=0.5, head="pqc", **QUICK)


def test_the_root_is_light_and_complete():
    code = (
        "import sys, time; start = time.perf_counter(); import hybridq; "
        "assert time.perf_counter() - start < 2; "
        "assert not {'torch', 'qiskit', 'numpy', 'matplotlib'} & set(sys.modules), sys.modules; "
        "assert set(hybridq.__all__) <= set(dir(hybridq))"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
    for name in hq.__all__:
        assert getattr(hq, name).__doc__ if name != "__version__" else hq.__version__
    with pytest.raises(AttributeError, match="no attribute 'finetun'"):
        _ = hq.finetun


def test_images_of_every_form_give_the_same_probabilities(model, data, tmp_path):
    from PIL import Image

    images = data.splits["test"].images
    expected = model.predict(images)
    assert expected.shape == (len(images), 2)
    np.testing.assert_allclose(expected.sum(axis=1), 1)
    paths = [tmp_path / f"{number:02}.png" for number in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image[..., 0]).save(path)
    tensor = torch.from_numpy(images).permute(0, 3, 1, 2)
    for given in (
        images[..., 0], tensor, tensor / 255, data.splits["test"], list(images), paths, tmp_path,
        torch.utils.data.TensorDataset(tensor, torch.zeros(len(images))),
    ):  # fmt: skip
        np.testing.assert_allclose(model.predict(given, batch_size=5), expected, atol=1e-6)
    with torch.no_grad():
        logits = model(model.module.encoder.prepare(images))
    np.testing.assert_allclose(logits.double().softmax(1).numpy(), expected, atol=1e-6)


def test_features_and_expectation_values_are_those_of_the_model(model, data):
    images = data.splits["test"].images[:4]
    features, expvals = model.features(images), model.expvals(images)
    assert features.shape == (4, 1280)
    assert np.abs(expvals).max() <= 1
    head = model.module.head
    with torch.no_grad():
        angles = head.reducer(torch.from_numpy(features))
        np.testing.assert_allclose(head.block(angles).numpy(), expvals, atol=1e-6)
    noisy = model.expvals(images, backend="fake_manila")
    assert 1e-4 < np.abs(noisy - expvals).max() < 0.5


def test_an_image_of_pillow_is_one_image(model, data):
    from PIL import Image

    images = data.splits["test"].images[:2]
    pictures = [Image.fromarray(image[..., 0]) for image in images]
    expected = model.predict(images)
    np.testing.assert_allclose(model.predict(pictures[0]), expected[:1], atol=1e-6)
    np.testing.assert_allclose(model.predict(pictures), expected, atol=1e-6)


def test_data_of_every_form_are_evaluated_compared_and_sent(model, data, tmp_path):
    order = ("train", "val", "test")
    images = np.concatenate([data.splits[name].images for name in order])
    labels = np.concatenate([data.splits[name].labels for name in order])
    dataset = torch.utils.data.TensorDataset(
        torch.from_numpy(images).permute(0, 3, 1, 2), torch.from_numpy(labels)
    )
    dealt = hq.ImageData.from_arrays(images, labels, class_names=data.class_names)
    options = {"resamples": 50, "baselines": False}
    expected = model.evaluate(dealt, **options)
    assert expected.auc == expected["auc"] == expected.figures["auc"]
    with pytest.raises(hq.HybridqError, match=r"a figure among auc, .* got 'aux'"):
        _ = expected["aux"]
    named = [data.class_names[label] for label in labels]
    for form in ((images, labels), (images, named), dataset, str(dealt.save(tmp_path / "x.npz"))):
        found = model.evaluate(form, **options)
        np.testing.assert_allclose(found.probs, expected.probs, atol=1e-6)
    assert hq.compare(model, model, (images, labels)).difference == 0
    own, posted = model.kept_as(None, None), {"backend": "ibm_rehearsal", "runs": tmp_path}
    for form in ((images, labels), dataset, tmp_path / "x.npz"):
        plan = hq.submit(own, form, dry_run=True, limit=4, **posted).plan
        assert plan.images == 4


def test_an_evaluation_is_that_of_the_command(model, data, capsys, tmp_path):
    trained = hq.finetune(None, SOURCE, head="linear", runs=tmp_path, **QUICK)
    found = trained.evaluate(resamples=100)
    assert (
        main(["evaluate", str(trained.folder), "--resamples", "100", "--runs", str(tmp_path)]) == 0
    )
    told = capsys.readouterr().out
    result = read_result(Path(told.splitlines()[-1]), "evaluate")
    assert {**found.result["model"]} == result["model"]
    assert found["auc"].value == result["model"]["figures"]["auc"]["value"]
    assert str(found).splitlines()[2:8] == told.splitlines()[2:8]
    assert set(found.baselines) == {"majority", "raw_pixels", "random_encoder"}
    assert found.probs.shape == (len(found.labels), 2)
    assert "<pre>" in found._repr_html_()
    noisy = model.evaluate(data, backend="fake_manila", resamples=100, baselines=False, limit=4)
    assert noisy.result["backend"]["device"]
    assert noisy.result["images"] == 4


def test_a_model_is_saved_and_loaded_and_taken_by_commands(model, data, tmp_path, capsys):
    folder = model.kept_as(None, None).save(tmp_path / "mine")
    again = hq.load(folder)
    images = data.splits["test"].images
    np.testing.assert_array_equal(again.predict(images), model.predict(images))
    assert again.history == model.history
    np.savez(
        tmp_path / "set.npz",
        **{f"{name}_{kind}": getattr(split, kind) for name, split in data.splits.items()
           for kind in ("images", "labels")},
    )  # fmt: skip
    with pytest.raises(hq.HybridqError, match="was handed over in Python"):
        again.evaluate()
    assert main(["evaluate", str(folder), "--runs", str(tmp_path / "runs")]) == 2
    assert "was handed over in Python" in capsys.readouterr().err
    with pytest.raises(hq.HybridqError, match="new or empty folder"):
        model.save(folder)


def test_modules_of_ones_own_are_encoder_and_head(data, tmp_path):
    net, head = Net(), Head()
    before = net.layer.weight.clone()
    encoder = hq.pretrain(data, encoder=net, epochs=1, batch_size=8, ssl="vicreg", seed=3)
    assert torch.equal(net.layer.weight, before)
    assert encoder.spec.weights == "vicreg on own images, from handed over"
    model = hq.finetune(encoder, data, head=head, epochs=2)
    assert "Net" in repr(model)
    assert "Head" in repr(model)
    found = model.evaluate(data, resamples=100)
    assert found.result["head"] == "Head"
    folder = model.save(tmp_path / "own")
    assert "Net" in (folder / "model" / "MODEL_CARD.md").read_text()
    with pytest.raises(
        hq.HybridqError, match=r"Expected the encoder itself, 'Net'.*load\(run, enc"
    ):
        hq.load(folder)
    again = hq.load(folder, encoder=Net(), head=Head())
    images = data.splits["test"].images
    np.testing.assert_allclose(again.predict(images), model.predict(images), atol=1e-7)


def test_training_is_that_of_the_command_and_goes_on(tmp_path, capsys):
    arguments = ["--data", SOURCE, "--head", "mlp", "--epochs", "1", "--freeze-encoder"]
    assert main(["finetune", *arguments, "--runs", str(tmp_path / "cli")]) == 0
    by_command = hq.load(capsys.readouterr().out.strip())
    by_call = hq.finetune(None, SOURCE, head="mlp", runs=tmp_path / "api", **QUICK)
    state = by_call.module.state_dict()
    for name, values in by_command.module.state_dict().items():
        assert torch.equal(values, state[name]), name
    again = hq.finetune(None, SOURCE, resume=by_call.folder)
    assert again.folder == by_call.folder
    assert not list(tmp_path.glob("api/finetune/.*"))


def test_backends_of_every_form(model, data, encoder):
    from qiskit_ibm_runtime.fake_provider import FakeManilaV2

    from hybridq_backends import parse_backend

    images = data.splits["test"].images[:3]
    text = "aer_noisy,device=FakeManilaV2,shots=none"
    expected = model.predict(images, backend=text)
    spec = parse_backend(text)
    np.testing.assert_array_equal(model.predict(images, backend=spec), expected)
    with hq.open_backend(spec) as executable:
        np.testing.assert_array_equal(model.predict(images, backend=executable), expected)
        executable.check_open()
    assert model.predict(images, backend=FakeManilaV2()).shape == expected.shape
    trained = hq.finetune(encoder, data, backend=spec, **QUICK)
    assert parse_backend(trained.spec.backend) == spec
    np.testing.assert_array_equal(
        trained.predict(images), trained.predict(images, backend=trained.spec.backend)
    )


def test_nothing_is_left_or_told_of_a_folder_that_is_gone(data, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    caplog.set_level("INFO", logger="hybridq")
    encoder = hq.pretrain(data, epochs=1, batch_size=8)
    model = hq.finetune(encoder, data, head="linear", **QUICK)
    assert not list(tmp_path.iterdir())
    assert str(tmp_path) not in caplog.text
    path = encoder.save(tmp_path / "encoder.safetensors")
    again = hq.finetune(path, data, head="linear", **QUICK)
    images = data.splits["test"].images
    np.testing.assert_array_equal(again.predict(images), model.predict(images))


def test_jobs_are_sent_and_fetched(model, data, tmp_path):
    own = model.kept_as(None, None)
    plan = hq.submit(own, data, backend="ibm_rehearsal", runs=tmp_path, dry_run=True, limit=4)
    assert plan.folder is None
    assert "QPU" in str(plan)
    sent = hq.submit(own, data, backend="ibm_rehearsal", runs=tmp_path, limit=4)
    assert own.folder is not None
    assert own.folder.parent == tmp_path / "finetune"
    found = hq.collect(sent.folder, wait=60)
    assert found.result["complete"]
    assert found.result["images"] == 4
    assert "rehearsal" in str(found)
    assert (
        hq.submit(own, data, backend="ibm_rehearsal", runs=tmp_path, limit=4).folder == sent.folder
    )
    bare = hq.submit(own, data.splits["test"].images[:2], backend="ibm_rehearsal", runs=tmp_path)
    assert bare.collect(wait=60).result["images"] == 2


def test_models_are_compared_as_by_the_statistics(model, data, encoder):
    from hybridq.evaluation.statistics import compare

    other = hq.finetune(encoder, data, labels=0.5, head="mlp", **QUICK)
    found = hq.compare([model, model], [other, other], data, margin=0.1)
    test = data.splits["test"]
    scores = [np.stack([one.predict(test)[:, 1]] * 2) for one in (model, other)]
    assert found.as_dict() == {
        **compare(test.labels, *scores, margin=0.1).as_dict(), "name": found.name,
    }  # fmt: skip
    assert hq.compare(model, model, data, figure="accuracy").verdict == "equivalent"


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda m, d: hq.finetune(None, d, epoch=3), "did you mean `epochs`?"),
        (lambda m, d: hq.finetune(None, d, epochs=0), "for `epochs`, got 0"),
        (lambda m, d: hq.finetune(None, d, head=3), "got a int"),
        (lambda m, d: hq.finetune(None, d, head="pqcc"), "did you mean 'pqc'?"),
        (
            lambda m, d: hq.finetune(None, d, head={"name": "pqc", "qubits": 3}),
            "option of head 'pqc', got `qubits`: did you mean `num_qubits`?",
        ),
        (lambda m, d: hq.finetune(None, d, head={"num_qubits": 99}), "for `num_qubits`, got 99"),
        (lambda m, d: hq.pretrain(d, ssl={"name": "simclr", "temprature": 1}), "`temperature`?"),
        (lambda m, d: hq.finetune(None, d, lr=0.1), "did you mean `learning_rate`?"),
        (lambda m, d: hq.finetune(None, d, device="cuda"), "mean `compute={'accelerator': ...}`?"),
        (lambda m, d: hq.finetune("resnet17", d), "encoder"),
        (lambda m, d: hq.finetune(None, d, backend="ibm,max_qpu_seconds=5"), "Expected `runs`"),
        (lambda m, d: hq.finetune(None, d, devices="2"), "`compute={'devices': ...}`?"),
        (lambda m, d: m.evaluate(d.splits["test"].images), "with labels, got images alone"),
        (lambda m, d: hq.finetune(None, d.splits["test"].images), "with labels, got images alone"),
        (lambda m, d: hq.finetune(SOURCE, None), "got None: give data in its place"),
        (lambda m, d: hq.pretrain(Net(), d), "got a Net: give data in its place"),
        (lambda m, d: hq.pretrain(torch.utils.data.DataLoader([1])), "give its dataset"),
        (lambda m, d: m.predict(torch.utils.data.DataLoader([1])), "give its dataset"),
        (lambda m, d: m.predict(d.splits["test"].images[0]), "give image[None]"),
        (lambda m, d: m.evaluate(replace(d, splits={"val": d.splits["val"]})), "a train split in"),
        (lambda m, d: hq.finetune(None, d, callbacks=[print]), "got a builtin_function_or_method"),
        (lambda m, d: hq.finetune(None, d, callbacks=[Callback]), "make one: Callback()"),
        (lambda m, d: hq.pretrain(d, callbacks=Callback()), "a list of callbacks, got a Callback"),
        (lambda m, d: hq.finetune(None, d, criterion="focal"), "a function of logits and labels"),
        (lambda m, d: hq.finetune(None, d, criterion=nn.MSELoss), "make one: MSELoss()"),
        (lambda m, d: hq.finetune(None, d, criterion=nn.BCEWithLogitsLoss()), "a criterion of log"),
        (lambda m, d: hq.finetune(None, d, criterion=lambda x, y: x), "a loss of shape (2, 2)"),
        (lambda m, d: hq.study("ablation", data=d), "data=images.save('images.npz')"),
        (
            lambda m, d: hq.study("ablation", data=hq.load_data(SOURCE)),
            f"give their name, {SOURCE!r}",
        ),
        (lambda m, d: m.evaluate(), "ImageData.save"),
        (lambda m, d: m.evaluate("phantom,size=16,count=40"), "classes"),
        (lambda m, d: m.predict(d.splits["test"].images, backend="ibm"), "cost QPU time"),
        (lambda m, d: m.predict([]), "got none"),
        (lambda m, d: m.predict(d.splits["test"].images, batch_size=0), "`batch_size`"),
        (lambda m, d: m.predict("nothere.png"), "nothere.png"),
        (lambda m, d: hq.compare(m, [], d), "got 1 and 0"),
        (lambda m, d: hq.study("noise", m.kept_as(None, None)), "kept nowhere"),
        (lambda m, d: hq.study("ablation", m), "got models"),
        (lambda m, d: hq.study("nois"), "did you mean 'noise'?"),
    ],
)
def test_what_is_given_wrongly_is_told_in_one_line(call, words, model, data):
    if "classes" in words:
        data = hq.load_data(SOURCE)
        train = data.splits["train"]
        numbered = hq.ImageData.from_arrays(train.images, train.labels)
        model = hq.finetune(None, numbered, head="linear", **QUICK)
    with pytest.raises(hq.HybridqError, match=r"^Expected .*: ") as caught:
        call(model, data)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


class Wrong(nn.Module):
    """A module that does with its input what it is told."""

    def __init__(self, does, *layers):
        super().__init__()
        self.does = does
        self.layers = nn.ModuleList(layers)

    def forward(self, inputs):
        return self.does(inputs, *self.layers)


def pooled(images, *layers):
    for layer in layers:
        images = layer(images)
    return images.mean((2, 3))


@pytest.mark.parametrize(
    ("encoder", "words"),
    [
        (Net, "got the class Net: make one: Net()."),
        (Wrong(lambda x: (pooled(x), x)), "got a tuple: return that tensor alone."),
        (Wrong(lambda x: x.mean((1, 2, 3))), "got (2,): take off"),
        (Wrong(lambda x: pooled(x).mean(0, keepdim=True)), "got float32 (1, 3) from two"),
        (Wrong(lambda x: pooled(x).double()), "got float64 (2, 3) from two"),
        (Wrong(pooled, nn.Conv2d(1, 4, 3)), "to have 1 channels"),
        (Wrong(pooled, nn.Conv2d(3, 4, 3).double()), "float32 images (batch, 3, 16, 16), got Runt"),
        (Wrong(pooled, nn.Conv2d(3, 4, 20)), "or give another `image_size`"),
        (Wrong(lambda x: x.nothing), "no attribute 'nothing'"),
        (Wrong(lambda x: pooled(x) / 0), "to finite features"),
        (Wrong(pooled, nn.LazyConv2d(4, 3)), "got one with lazy layers"),
        (3, "got a int"),
    ],
)
@pytest.mark.parametrize("call", ["pretrain", "finetune"])
def test_a_module_that_is_no_encoder_is_told_before_training(call, encoder, words, data, tmp_path):
    options = {"head": "linear"} if call == "finetune" else {}
    with pytest.raises(hq.HybridqError, match=r"^Expected .*: ") as caught:
        getattr(hq, call)(data=data, encoder=encoder, runs=tmp_path, **options)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (Head, "got the class Head: make one: Head()."),
        (nn.Linear(3, 1), "logits (2, 2), got (2, 1): make it for 3 features and 2 classes."),
        (nn.Linear(3, 5), "got (2, 5)"),
        (nn.Linear(9, 2), "float32 features (2, 3) to logits (2, 2), got mat1 and mat2"),
        (nn.Linear(3, 2).double(), "must have the same dtype"),
        (Wrong(lambda x: (x[:, :2],)), "got a tuple"),
        (Head(), "feature maps of 3 x 1 x 1"),
    ],
)
def test_a_module_that_is_no_head_is_told_before_training(head, words, data, tmp_path):
    with pytest.raises(hq.HybridqError, match=r"^Expected .*: ") as caught:
        hq.finetune(Wrong(pooled), data, head=head, balance="none", runs=tmp_path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_network_of_ones_own_sees_images_at_their_size_and_needs_no_weights(data):
    fixed = Wrong(lambda x: torch.cat([pooled(x), x.std((2, 3))], 1))
    narrow = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 4))  # takes one size alone
    assert hq.finetune(narrow, data, head="linear", epochs=1).features(data.splits["val"]).any()
    model = hq.finetune(fixed, data, head=nn.Linear(6, 2), epochs=1)
    assert model.spec.encoder.image_size == data.splits["train"].images.shape[1] == 16
    assert model.features(data.splits["test"].images[:3]).shape == (3, 6)
    with pytest.raises(hq.HybridqError, match="weights to train, got one without any"):
        hq.pretrain(data, encoder=fixed, epochs=1)


def test_a_study_computes_here_unless_told_otherwise(tmp_path, monkeypatch):
    from hybridq.config.study import StudyConfig
    from hybridq.studies import STUDIES, StudyEntry

    told = []
    entry = StudyEntry(
        StudyConfig, run=lambda config: told.append(config.workers) or tmp_path, show=str
    )
    monkeypatch.setitem(STUDIES, "probe", entry)
    assert hq.study("probe").folder == tmp_path
    hq.study("probe", workers=3)
    hq.study("probe", resume=tmp_path)  # whose own config counts
    assert told == [1, 3, StudyConfig().workers]


def test_what_is_shown_of_data_and_encoders_is_short(data, encoder):
    words = "train 42 images of 16 x 16 x 1; val 6 images of 16 x 16 x 1; test 12 images of"
    assert words in repr(data)
    assert repr(data).startswith("ImageData(arrays, binary, classes no lesion, lesion; ")
    assert repr(encoder) == "Encoder(MobileNetV2, 32 px, weights: simclr on own images)"
    grouped = replace(data.splits["val"], groups=np.array(list("aabbcc")))
    assert repr(grouped) == "ImageSplit(6 images of 16 x 16 x 1 in 3 groups)"


def test_runs_of_another_kind_are_told(data, tmp_path):
    """Where a run of the one command is given in place of one of the other."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "encoder.safetensors").touch()
    (tmp_path / "b" / "model").mkdir(parents=True)
    with pytest.raises(hq.HybridqError, match=r"of `hybridq pretrain`, which has an encoder"):
        hq.load(tmp_path / "a")
    with pytest.raises(hq.HybridqError, match=r"a run of `hybridq finetune`: .* `start` in Python"):
        hq.finetune(tmp_path / "b", data)


def test_no_sub_package_has_the_name_of_a_function():
    """Importing it would hide the function."""
    parts = {path.stem for path in Path(hq.__file__).parent.iterdir()}
    assert not set(hq.__all__) & parts
