# %% [markdown]
# # Quickstart
#
# You will see the whole job once: an encoder is pretrained without labels, a quantum head and its
# classical control are fine-tuned with labels, both are evaluated with intervals, some images are
# classified, and the same weights run on other backends.

# %%
import hybridq

hybridq.share_machine()  # before torch is imported: other programs may run beside this one

import csv
import json
import os
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.image import imsave

from hybridq.config import (
    AugmentConfig,
    EvaluateConfig,
    FinetuneConfig,
    PredictConfig,
    PretrainConfig,
    head_config,
)
from hybridq.data import load_data
from hybridq.evaluation.evaluate import evaluate
from hybridq.evaluation.predict import predict
from hybridq.evaluation.tables import evaluation_table, interval, table
from hybridq.models.checkpoint import load_model
from hybridq.runs.folder import read_result
from hybridq.training.finetune import finetune
from hybridq.training.pretrain import pretrain
from hybridq_backends import list_backends, open_backend

FAST = os.environ.get("HYBRIDQ_FAST") == "1"  # short, for the tests: nothing is learnt
IMAGES = 60 if FAST else 2400
PRETRAIN_EPOCHS = 1 if FAST else 8
EPOCHS = 1 if FAST else 20
RESAMPLES = 100 if FAST else 1000
DATA = f"phantom,size=32,count={IMAGES}"

plt.rcParams.update({"figure.dpi": 85, "axes.grid": True, "grid.alpha": 0.3})
BLUE, ORANGE, GREEN, GREY = "#2a6f97", "#e07a5f", "#3d8361", "#8d99ae"
scratch = tempfile.TemporaryDirectory()
runs = Path(scratch.name) / "runs"

# %% [markdown]
# ## The images
#
# They are generated on the spot: grey and speckled as in ultrasound. An image with a lesion holds
# a dark, irregular region, taller than wide, with a shadow below it. Most of the others hold a
# dark region as well, but smooth and wide. They stand for no organ and no patient.

# %%
data = load_data(DATA)
for name, split in data.splits.items():
    print(f"{name:5} {len(split)} images, {int(split.labels.sum())} with a lesion")

fig, axes = plt.subplots(2, 6, figsize=(9, 3.4))
test = data.splits["test"]
for kind, row in enumerate(axes):
    for ax, number in zip(row, np.flatnonzero(test.labels == kind), strict=False):
        ax.imshow(test.images[number, ..., 0], cmap="gray", vmin=0, vmax=255)
        ax.set(xticks=[], yticks=[])
    row[0].set_ylabel(data.class_names[kind])
fig.suptitle("Generated images, 32 x 32 pixels")
fig.tight_layout()
plt.show()

# %% [markdown]
# ## Pretrain and fine-tune
#
# `pretrain` trains a MobileNetV2 by SimCLR: two random views of one image should get similar
# features. It sees no labels. `finetune` then trains that encoder together with a head: `pqc`,
# which holds a quantum circuit of four qubits, or `mlp`, its control, which holds a small
# classical network of about as many parameters in its place. Each call makes a run folder and
# returns it.
#
# To keep this short, the network takes the images at their 32 pixels, where the package would
# enlarge them, and SimCLR trains far too briefly to help.

# %%
mild = AugmentConfig(crop_min=0.9, rotation=0.0, blur=0.0)
encoder = pretrain(
    PretrainConfig(
        data=DATA, runs=runs, epochs=PRETRAIN_EPOCHS, image_size=32, stem="stride2", batch_size=64
    )
)
trained = {
    head: finetune(
        FinetuneConfig(
            data=DATA,
            runs=runs,
            encoder=str(encoder),
            head=head_config(name=head),
            epochs=EPOCHS,
            learning_rate=5e-3,
            augment=mild,
        )
    )
    for head in ("pqc", "mlp")
}
for head, run in trained.items():
    result = read_result(run)
    print(f"{head}: {result['trainable_parameters']} parameters, of the head", end=" ")
    print(f"{result['head_parameters']}; validation AUC {result['kept']['val_auc']:.3f}")

# %%


def metrics(run, what):
    """One value for each epoch."""
    return [json.loads(line)[what] for line in (run / "metrics.jsonl").read_text().splitlines()]


fig, axes = plt.subplots(1, 3, figsize=(10, 3.2))
steps = range(1, PRETRAIN_EPOCHS + 1)
axes[0].plot(steps, metrics(encoder, "loss"), color=GREEN, marker="o", ms=3)
axes[0].set(title="Pretraining (SimCLR)", xlabel="epoch", ylabel="contrastive loss")
for head, colour in (("pqc", BLUE), ("mlp", ORANGE)):
    steps = range(1, EPOCHS + 1)
    axes[1].plot(steps, metrics(trained[head], "loss"), color=colour, label=head)
    axes[2].plot(steps, metrics(trained[head], "val_auc"), color=colour, label=head)
axes[1].set(title="Fine-tuning, training images", xlabel="epoch", ylabel="cross-entropy")
axes[2].set(title="Fine-tuning, validation images", xlabel="epoch", ylabel="AUC (0.5 is chance)")
axes[1].legend()
fig.tight_layout()
plt.show()

# %% [markdown]
# ## Evaluate, with intervals
#
# `evaluate` reads the test images, which training never sees. The brackets hold 95% intervals over
# those images. Three baselines stand beside the model: always the larger class, a logistic
# regression on the raw pixels, and one on the features of an untrained encoder.


# %%
def evaluated(head, backend=None, baselines=False):
    """The result of an evaluation."""
    config = EvaluateConfig(
        run=trained[head], backend=backend, baselines=baselines, resamples=RESAMPLES, runs=runs
    )
    return read_result(evaluate(config))


results = {"pqc": evaluated("pqc", baselines=True), "mlp": evaluated("mlp")}
print(evaluation_table(results["pqc"]))
print()
print(evaluation_table(results["mlp"]))

# %%
shown = {
    "pqc (quantum)": results["pqc"]["model"],
    "mlp (control)": results["mlp"]["model"],
    **{name.replace("_", " "): entry for name, entry in results["pqc"]["baselines"].items()},
}
fig, ax = plt.subplots(figsize=(6.5, 2.8))
for place, (name, entry) in enumerate(shown.items()):
    auc = entry["figures"]["auc"]
    colour = BLUE if "pqc" in name else ORANGE if "mlp" in name else GREY
    ax.plot([auc["low"], auc["high"]], [place, place], color=colour, lw=3, alpha=0.6)
    ax.plot(auc["value"], place, "o", color=colour)
ax.axvline(0.5, color="black", lw=0.8, ls=":")
ax.set_yticks(range(len(shown)), shown)
ax.invert_yaxis()
ax.set(title="AUC on the test images, with 95% intervals", xlabel="AUC (dotted: chance)")
fig.tight_layout()
plt.show()

# %% [markdown]
# ## Classify some images
#
# `predict` takes image files, and writes one row for each with the probabilities of the classes.
# The first three test images of each class are saved as files here, whatever the model makes of
# them. With so modest an AUC it has to be wrong often.

# %%
folder = Path(scratch.name) / "images"
folder.mkdir()
chosen = [*np.flatnonzero(test.labels == 0)[:3], *np.flatnonzero(test.labels == 1)[:3]]
for number in chosen:
    imsave(folder / f"{number:04d}.png", test.images[number, ..., 0], cmap="gray", vmin=0, vmax=255)
out = Path(scratch.name) / "predictions.csv"
files = tuple(folder / f"{number:04d}.png" for number in chosen)
predict(PredictConfig(run=trained["pqc"], images=files, out=out))
with out.open() as file:
    rows = list(csv.DictReader(file))

fig, axes = plt.subplots(1, 6, figsize=(10, 2.3))
for ax, number, row in zip(axes, chosen, rows, strict=True):
    ax.imshow(test.images[number, ..., 0], cmap="gray", vmin=0, vmax=255)
    truth = data.class_names[test.labels[number]]
    right = row["predicted"] == truth
    ax.set(xticks=[], yticks=[], xlabel=f"truth: {truth}")
    ax.set_title(
        f"{row['predicted']}\nP(lesion) = {float(row['prob_lesion']):.2f}",
        fontsize=9,
        color=GREEN if right else ORANGE,
    )
fig.suptitle("What the quantum head says (green: right, orange: wrong)")
fig.tight_layout()
plt.show()

# %% [markdown]
# ## The way through the model
#
# The encoder makes 1280 features from an image, a linear layer makes four angles from them, one
# for each qubit, the circuit makes four expectation values from the angles, and a linear readout
# makes the classes' scores from those. Here are the angles and the expectation values of the test
# images.

# %%
with open_backend("statevector") as backend:
    model, _ = load_model(trained["pqc"], backend=backend)
    with torch.no_grad():
        images = test.images[:256]
        angles = model.head.reducer(model.features(model.encoder.prepare(images)))
        expvals = model.head.block(angles)

fig, axes = plt.subplots(2, 4, figsize=(10, 4.4), sharey="row")
for qubit in range(4):
    for kind, colour in ((0, BLUE), (1, ORANGE)):
        of_kind = test.labels[:256] == kind
        label = data.class_names[kind]
        axes[0, qubit].hist(
            angles[of_kind, qubit].numpy(),
            bins=np.linspace(0, np.pi, 25),
            color=colour,
            alpha=0.6,
            label=label,
        )
        axes[1, qubit].hist(
            expvals[of_kind, qubit].numpy(), bins=np.linspace(-1, 1, 25), color=colour, alpha=0.6
        )
    axes[0, qubit].set(title=f"qubit {qubit}", xlabel="angle (radians)")
    axes[1, qubit].set(xlabel="expectation value of Z")
axes[0, 0].set_ylabel("images")
axes[1, 0].set_ylabel("images")
axes[0, 0].legend(fontsize=8)
fig.suptitle("Into the circuit (above) and out of it (below), by class")
fig.tight_layout()
plt.show()

# %% [markdown]
# ## Other backends
#
# The weights stay, the place where the circuit runs changes. `aer_statevector` is the exact
# simulator of Qiskit. `fake_torino` has the noise of a calibration of the 133-qubit device
# ibm_torino and 4096 shots. `ibm_rehearsal` is the code path of IBM hardware, readout mitigation
# included, on the simulated device. With an account, `ibm` would be the device itself. The control
# has no circuit, and gives the same everywhere.

# %%
print("profiles:", ", ".join(list_backends()))
print()
names = ("statevector", "aer_statevector", "fake_torino", "ibm_rehearsal")
switched = {
    name: results["pqc"] if name == "statevector" else evaluated("pqc", name) for name in names
}
everything = {
    **{f"pqc on {name}": result for name, result in switched.items()},
    "mlp": results["mlp"],
}
rows = [
    [name, *(interval(result["model"]["figures"][what]) for what in ("auc", "balanced_accuracy"))]
    for name, result in everything.items()
]
print(table(["model", "AUC", "balanced accuracy"], rows))

# %%
fig, ax = plt.subplots(figsize=(6.5, 2.8))
for place, (name, result) in enumerate(everything.items()):
    auc = result["model"]["figures"]["auc"]
    colour = BLUE if "pqc" in name else ORANGE
    ax.plot([auc["low"], auc["high"]], [place, place], color=colour, lw=3, alpha=0.6)
    ax.plot(auc["value"], place, "o", color=colour)
ax.axvline(0.5, color="black", lw=0.8, ls=":")
ax.set_yticks(range(len(everything)), everything)
ax.invert_yaxis()
ax.set(title="The same weights on other backends", xlabel="AUC with 95% interval (dotted: chance)")
fig.tight_layout()
plt.show()
scratch.cleanup()

# %% [markdown]
# ## What this shows, and what it does not
#
# - All parts work together, and a trained model moves between backends with the weights it has.
#   Noise and shots change the AUC here by far less than the width of an interval.
# - It is no evidence for or against a quantum advantage. The AUC of the quantum head, of its
#   classical control and of a logistic regression on the raw pixels are so close that their
#   intervals overlap, the images are generated, and there is one seed. Figures at a threshold, such
#   as the accuracy, depend on the threshold that a few validation images chose.
# - Nor is it evidence for the networks: on these images they have to train for longer than this to
#   be clearly ahead of the raw pixels.
# - The interval is about the test images only. How far training itself scatters, only more seeds
#   show.
