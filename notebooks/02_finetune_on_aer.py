# %% [markdown]
# # Fine-tuning on the Aer simulator
#
# You will see what the quantum layer computes, that Qiskit Aer and the package's own torch engine
# give the same values, gradients and training curves, and what changes when the expectation values
# are estimated from a finite number of shots.

# %%
import hybridq

hybridq.share_machine()  # before torch is imported: other programs may run beside this one

import json
import math
import os
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

from hybridq.config import AugmentConfig, FinetuneConfig, head_config
from hybridq.models.checkpoint import load_model
from hybridq.models.encoders.file import save_encoder
from hybridq.quantum import QuantumLayer, build_circuit, z_observables
from hybridq.training.finetune import finetune
from hybridq_backends import open_backend

FAST = os.environ.get("HYBRIDQ_FAST") == "1"  # short, for the tests: nothing is learnt
ENCODER_IMAGES, ENCODER_EPOCHS = (60, 1) if FAST else (3000, 20)
IMAGES = 60 if FAST else 1000
EPOCHS = 2 if FAST else 16
SHOTS = (64, 1024) if FAST else (64, 256, 1024, 4096)
REPEATS = 2 if FAST else 6
BATCH = 8 if FAST else 32

plt.rcParams.update({"figure.dpi": 85, "axes.grid": True, "grid.alpha": 0.3})
BLUE, ORANGE, GREEN, GREY = "#2a6f97", "#e07a5f", "#3d8361", "#8d99ae"
scratch = tempfile.TemporaryDirectory()

# %% [markdown]
# ## The circuit
#
# Four qubits. The inputs `x` are angles that the classical part of the model makes from an image:
# each turns one qubit. Two layers of trainable turns `w` follow, with CZ gates in a ring between
# the qubits. At the end Z is measured on each qubit. Its expectation value is a number from -1 to
# 1, and the four of them are all that the classifier behind the circuit gets to see.

# %%
parts = build_circuit(4, encoding="angle", ansatz="ry_cz", num_layers=2)
print(parts.circuit.draw("text", fold=110))

# %% [markdown]
# ## What the layer computes
#
# A `QuantumLayer` is a torch module: angles in, expectation values out. Here one angle goes from 0
# to pi while the other three stay at pi/2, for weights near zero, as training begins, and for
# random weights. With weights near zero a qubit answers to its own angle only, as `cos(x)`. The
# trained turns mix: then all four outputs depend on the first angle.


# %%
def make_layer(backend, init_std):
    """A layer on `backend`, with the same weights each time."""
    return QuantumLayer(
        parts.circuit,
        input_params=parts.input_params,
        weight_params=parts.weight_params,
        observables=z_observables(4),
        backend=backend,
        generator=torch.Generator().manual_seed(5),
        init_std=init_std,
    )


aer = open_backend("aer_statevector")
engine = open_backend("statevector")
sweep = torch.full((60, 4), math.pi / 2, dtype=torch.float64)
sweep[:, 0] = torch.linspace(0, math.pi, 60)

fig, axes = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True)
for ax, std, title in zip(
    axes, (0.01, 1.0), ("weights near zero, as training begins", "random weights"), strict=True
):
    with torch.no_grad():
        values = make_layer(aer, std)(sweep)
    for qubit, colour in enumerate((BLUE, ORANGE, GREEN, GREY)):
        ax.plot(sweep[:, 0], values[:, qubit], color=colour, label=f"qubit {qubit}")
    ax.set(title=title, xlabel="angle of qubit 0 (radians)")
axes[0].set_ylabel("expectation value of Z")
axes[1].legend(loc="upper right", fontsize=8)
fig.suptitle("Output of the quantum layer as its first input changes")
fig.tight_layout()
plt.show()

# %% [markdown]
# ## Gradients on Aer
#
# To train the weights, the derivative of each output by each angle is needed. A quantum computer
# cannot run a circuit backwards, but for these gates the derivative is exactly half the difference
# of two values, with the angle shifted by +pi/2 and by -pi/2: the parameter-shift rule. The layer
# packs all shifted settings of a whole batch into one job. The torch engine, which knows the state
# itself, computes the derivative in reverse mode instead. Both must give the same numbers.

# %%
angles = math.pi * torch.rand(BATCH, 4, dtype=torch.float64, generator=torch.manual_seed(0))


def gradients(layer):
    """Values, gradients by inputs and weights, and seconds of forward and backward."""
    inputs = angles.clone().requires_grad_()
    layer.zero_grad()
    started = time.perf_counter()
    values = layer(inputs)
    between = time.perf_counter()
    values.square().sum().backward()
    seconds = (between - started, time.perf_counter() - between)
    return values.detach(), inputs.grad, layer.weight.grad.clone(), seconds


found = {}
for name, backend in (("Aer", aer), ("torch engine", engine)):
    layer = make_layer(backend, 1.0)
    gradients(layer)  # the first call also compiles the circuit
    jobs = backend.num_jobs
    runs = [gradients(layer) for _ in range(REPEATS)]
    jobs = (backend.num_jobs - jobs) / REPEATS
    found[name] = runs[-1][:3], np.median([run[3] for run in runs], axis=0)
    print(f"{name}: {jobs:.0f} jobs for one forward and one backward of {BATCH} samples")

print()
for index, what in enumerate(("values", "gradients by the inputs", "gradients by the weights")):
    difference = (found["Aer"][0][index] - found["torch engine"][0][index]).abs().max()
    print(f"largest difference of {what}: {difference:.1e}")
ratio = found["Aer"][1].sum() / found["torch engine"][1].sum()
print(f"\nAer takes {ratio:.0f} times as long as the torch engine, forward and backward together.")

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4))
for index, label, colour in ((1, "by the inputs", BLUE), (2, "by the weights", ORANGE)):
    pair = [found[name][0][index].flatten() for name in ("torch engine", "Aer")]
    left.plot(*pair, "o", ms=4, color=colour, alpha=0.7, label=label)
ends = left.get_xlim()
left.plot(ends, ends, color="black", lw=0.8, zorder=0, label="equal")
left.set(title="Every gradient, on both", xlabel="torch engine, reverse mode")
left.set_ylabel("Aer, parameter shift")
left.legend(fontsize=8)
for offset, name, colour in ((-0.2, "Aer", BLUE), (0.2, "torch engine", ORANGE)):
    bars = right.bar(np.arange(2) + offset, 1e3 * found[name][1], 0.38, color=colour, label=name)
    right.bar_label(bars, fmt="%.1f", fontsize=8)
right.set(title=f"Time for {BATCH} samples", ylabel="milliseconds (logarithmic)", yscale="log")
right.set_ylim(top=right.get_ylim()[1] * 5)
right.set_xticks(range(2), ["forward", "backward"])
right.legend(fontsize=8)
fig.tight_layout()
plt.show()

# %% [markdown]
# ## Training on both
#
# Now the same fine-tuning twice, with the same seed: once with every circuit on Aer, once on the
# torch engine. The images are generated. The encoder is trained first, on other images, and then
# frozen, so that only the head is trained, on a quarter of the labels, and an epoch is quick. The
# third run is the classical control, `mlp`: the same head with a small classical network of about
# as many parameters in place of the circuit.

# %%
runs = Path(scratch.name)
first = finetune(
    FinetuneConfig(
        data=f"phantom,size=32,count={ENCODER_IMAGES},seed=1",
        runs=runs,
        head=head_config(name="linear"),
        image_size=32,
        stem="stride2",
        epochs=ENCODER_EPOCHS,
        learning_rate=5e-3,
        augment=AugmentConfig(crop_min=0.9, rotation=0.0, blur=0.0),
    )
)
encoder = runs / "encoder.safetensors"
save_encoder(load_model(first, backend=None)[0].encoder, encoder)


# %%
def train(head, backend):
    """One row for each epoch of a fine-tuning, and the seconds it took."""
    started = time.perf_counter()
    run = finetune(
        FinetuneConfig(
            data=f"phantom,size=32,count={IMAGES}",
            runs=runs,
            encoder=str(encoder),
            head=head_config(name=head, init_std=0.5),
            freeze_encoder=True,
            head_start="random",  # far from the end, so that there are curves to compare
            labels=0.25,
            backend=backend,
            epochs=EPOCHS,
            batch_size=BATCH,
        )
    )
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return rows, time.perf_counter() - started


curves = {
    "Aer": train("pqc", "aer_statevector"),
    "torch engine": train("pqc", "statevector"),
    "classical control": train("mlp", "statevector"),
}
for name, (rows, seconds) in curves.items():
    last = rows[-1]
    print(f"{name:18} {seconds:5.1f} s, loss {last['loss']:.4f}, AUC {last['val_auc']:.4f}")
for what in ("loss", "val_loss", "val_auc"):
    pairs = zip(curves["Aer"][0], curves["torch engine"][0], strict=True)
    difference = max(abs(one[what] - other[what]) for one, other in pairs)
    print(f"largest difference of {what} between Aer and the torch engine: {difference:.1e}")

# %%
styles = {
    "Aer": {"color": BLUE, "lw": 5, "alpha": 0.35},
    "torch engine": {"color": BLUE, "lw": 1.5},
    "classical control": {"color": ORANGE, "lw": 1.5, "ls": "--"},
}


def plot_curves(curves, styles, title):
    """Training loss and validation AUC by epoch."""
    fig, axes = plt.subplots(1, 2, figsize=(9, 3.4))
    for name, (rows, _) in curves.items():
        epochs = [row["epoch"] + 1 for row in rows]
        axes[0].plot(epochs, [row["loss"] for row in rows], label=name, **styles[name])
        axes[1].plot(epochs, [row["val_auc"] for row in rows], label=name, **styles[name])
    axes[0].set(title="Loss on the training images", xlabel="epoch", ylabel="cross-entropy")
    axes[1].set(title="AUC on the validation images", xlabel="epoch", ylabel="AUC (0.5 is chance)")
    axes[0].legend(fontsize=8)
    fig.suptitle(title)
    fig.tight_layout()
    plt.show()


plot_curves(curves, styles, "The same training on two engines, and the classical control")

# %% [markdown]
# The thin line lies in the middle of the thick one: it does not matter which engine trains. So the
# package trains on the quicker one, and a model trained there is evaluated anywhere.
#
# ## Shots
#
# A device does not show expectation values. It shows single outcomes, and the mean of so many
# *shots* is off by about 1/sqrt(shots). The same holds for each gradient. Below, the gradient of
# the weights is estimated several times from shots and compared with the exact one.

# %%
exact = found["torch engine"][0][2]
errors = []
for shots in SHOTS:
    with open_backend("aer_shots", shots=shots) as backend:
        layer = make_layer(backend, 1.0)
        squares = [(gradients(layer)[2] - exact).square().mean() for _ in range(REPEATS)]
    errors.append(math.sqrt(np.mean(squares)))

sampled = {"exact": curves["torch engine"]}
for shots in (SHOTS[0], 1024):
    sampled[f"{shots} shots"] = train("pqc", f"aer_shots,shots={shots}")
sampled["classical control"] = curves["classical control"]
for name, (rows, _) in sampled.items():
    print(f"{name:18} last loss {rows[-1]['loss']:.4f}, last AUC {rows[-1]['val_auc']:.4f}")

# %%
fig, ax = plt.subplots(figsize=(5, 3.4))
ax.loglog(SHOTS, errors, "o", color=BLUE, label="measured")
scale = np.mean([error * math.sqrt(shots) for error, shots in zip(errors, SHOTS, strict=True)])
reference = [scale / math.sqrt(shots) for shots in SHOTS]
ax.loglog(SHOTS, reference, color=GREY, label="falling as 1/sqrt(shots)")
ax.set(title="Error of the gradient from shots", xlabel="shots for each circuit")
ax.set_ylabel("RMS error of a weight's gradient")
ax.set_xticks(SHOTS, SHOTS)
ax.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
ax.legend()
fig.tight_layout()
plt.show()

# %%
styles = {
    "exact": {"color": BLUE, "lw": 1.5},
    f"{SHOTS[0]} shots": {"color": GREEN, "lw": 1.5, "marker": "o", "ms": 3},
    "1024 shots": {"color": GREY, "lw": 1.5, "marker": "s", "ms": 3},
    "classical control": {"color": ORANGE, "lw": 1.5, "ls": "--"},
}
plot_curves(sampled, styles, "Training from shots")
scratch.cleanup()

# %% [markdown]
# ## What this shows, and what it does not
#
# - Values and gradients of the two engines agree to rounding, and so do whole training curves with
#   the same seed. Aer is the reference, the torch engine is the one to train on.
# - Gradients from shots scatter as statistics says. Training bears that well here, since the
#   scatter averages out over the samples of a batch and over the steps.
# - The AUC says nothing about the circuit. There are 150 generated validation images and one seed,
#   the curves differ by a few hundredths, and the classical control of the same size runs beside
#   them: a demonstration that the parts work, and no evidence for or against a quantum layer.
# - Times are of this machine and four qubits; each further qubit doubles the state.
