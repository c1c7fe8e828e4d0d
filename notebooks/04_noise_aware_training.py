# %% [markdown]
# # Training with the noise of a device in the loop
#
# You will see the same quantum head trained twice, on an exact simulator and under the noise of a
# device snapshot, and then both tested under noise from none to four times that of the device.

# %%
import hybridq

hybridq.share_machine()  # before torch is imported: other programs may run beside this one

import os
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

from hybridq.config import AugmentConfig, FinetuneConfig, head_config
from hybridq.data import load_data
from hybridq.evaluation.metrics.scores import binary_auc
from hybridq.models.checkpoint import load_model
from hybridq.models.heads import build_head, num_trainable
from hybridq.quantum import running_on
from hybridq.quantum.captured import captured
from hybridq.training.finetune import finetune
from hybridq_backends import open_backend

FAST = os.environ.get("HYBRIDQ_FAST") == "1"  # short, for the tests: nothing can be concluded
ENCODER_IMAGES, ENCODER_EPOCHS = (60, 1) if FAST else (3000, 20)
IMAGES = 100 if FAST else 2400
LABELS = 40 if FAST else 200
SEEDS = range(2) if FAST else range(8)
STEPS = 4 if FAST else 60
SCALES = (0.0, 1.0, 4.0) if FAST else (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0)

plt.rcParams.update({"figure.dpi": 85, "axes.grid": True, "grid.alpha": 0.3})
BLUE, ORANGE, GREEN, GREY = "#2a6f97", "#e07a5f", "#3d8361", "#8d99ae"

# %% [markdown]
# ## Images and features
#
# The images are generated: grey and speckled like ultrasound, half of them with a lesion. An
# encoder is trained on one set of them, with all its labels. Then it is frozen, and the heads
# below learn from a second set of images, of which each of them gets few labels. That way a head
# trains in a second, and can be trained many times.

# %%
with tempfile.TemporaryDirectory() as folder:
    run = finetune(
        FinetuneConfig(
            data=f"phantom,size=32,count={ENCODER_IMAGES},seed=1",
            runs=Path(folder),
            head=head_config(name="linear"),
            image_size=32,
            stem="stride2",
            epochs=ENCODER_EPOCHS,
            learning_rate=5e-3,
            augment=AugmentConfig(crop_min=0.9, rotation=0.0, blur=0.0),
        )
    )
    encoder = load_model(run, backend=None)[0].encoder

splits = load_data(f"phantom,size=32,count={IMAGES},seed=0").splits
features, labels = {}, {}
for name in ("train", "test"):
    images = splits[name].images
    with torch.no_grad():
        parts = [encoder(encoder.prepare(images[i : i + 128])) for i in range(0, len(images), 128)]
    features[name] = torch.cat(parts)
    labels[name] = torch.from_numpy(splits[name].labels)
print(f"{LABELS} of {len(labels['train'])} labels for each head, {len(labels['test'])} test images")

# %%
fig, axes = plt.subplots(1, 6, figsize=(9, 1.9))
for index, ax in enumerate(axes):
    kind = index % 2
    number = np.flatnonzero(splits["test"].labels == kind)[index // 2]
    ax.imshow(splits["test"].images[number, ..., 0], cmap="gray", vmin=0, vmax=255)
    ax.set(title=("no lesion", "lesion")[kind], xticks=[], yticks=[])
fig.suptitle("Generated test images, 32 x 32 pixels")
fig.tight_layout()
plt.show()

# %% [markdown]
# ## Three ways to train a head
#
# - **noiseless**: the circuit is exact while it trains.
# - **noise-aware**: the circuit has the noise of FakeTorino, a calibration of the 133-qubit device
#   ibm_torino, while it trains. The engine computes noisy expectation values exactly, as if there
#   were endless shots, and their gradients.
# - **noise-aware, 4 times**: the same with noise four times as strong.
#
# The **classical control** has a small classical network of as nearly as possible as many
# parameters in place of the circuit. It has no noise. Each kind of head is trained several times,
# each time with other initial weights and other labelled images, the same for all kinds.

# %%
NOISY = "fake_torino,engine=torch,shots=none,noise_scale={:g}"
backends = {scale: open_backend(NOISY.format(scale)) for scale in {*SCALES, 1.0, 4.0}}
KINDS = {
    "noiseless": ("pqc", open_backend("statevector"), BLUE),
    "noise-aware": ("pqc", backends[1.0], ORANGE),
    "noise-aware, 4 times": ("pqc", backends[4.0], GREEN),
    "classical control": ("mlp", None, GREY),
}


def train(kind, seed):
    """A head trained on few labels, chosen by the seed."""
    name, backend, _ = KINDS[kind]
    chosen = np.random.default_rng(seed).permutation(len(labels["train"]))[:LABELS]
    x, y = features["train"][chosen], labels["train"][chosen]
    head = build_head(
        x.shape[1],
        2,
        head_config(name=name, init_std=0.3),
        backend=backend,
        generator=torch.Generator().manual_seed(seed),
    )
    optimizer = torch.optim.AdamW(head.parameters(), lr=0.02, weight_decay=0.05)
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(head(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return head.eval(), losses


heads, losses = {}, {}
for kind in KINDS:
    for seed in SEEDS:
        heads[kind, seed], losses[kind, seed] = train(kind, seed)
    size = num_trainable(heads[kind, SEEDS[0]])
    last = np.mean([losses[kind, seed][-1] for seed in SEEDS])
    print(f"{kind:21} {size} parameters, last loss {last:.3f} in the mean of {len(SEEDS)} seeds")

# %%
fig, ax = plt.subplots(figsize=(5.5, 3.3))
for kind, (_, _, colour) in KINDS.items():
    curves = np.array([losses[kind, seed] for seed in SEEDS])
    ax.plot(range(1, STEPS + 1), curves.mean(axis=0), color=colour, label=kind)
ax.set(title="Training loss, mean of the seeds", xlabel="step", ylabel="cross-entropy")
ax.legend(fontsize=8)
fig.tight_layout()
plt.show()

# %% [markdown]
# ## Tested under noise
#
# Now every trained head runs at each strength of the noise: 0 is none, 1 is the device's. Two
# figures tell different things. The *AUC* asks whether images with a lesion get a higher score
# than those without. It does not change when all scores shrink alike. The *cross-entropy* asks
# whether the probabilities are right, and does notice.


# %%
@torch.no_grad()
def figures(head, backend):
    """AUC and cross-entropy on the test images."""
    with running_on(head, backend):
        logits = head(features["test"])
    scores = logits.softmax(dim=1)[:, 1].numpy()
    loss = torch.nn.functional.cross_entropy(logits, labels["test"]).item()
    return binary_auc(splits["test"].labels == 1, scores), loss


# kind -> (seeds, strengths, AUC and cross-entropy)
table = {
    kind: np.array(
        [[figures(heads[kind, seed], backends[scale]) for scale in SCALES] for seed in SEEDS]
    )
    for kind in KINDS
}
print(f"{'':21}   AUC at noise " + " ".join(f"{scale:6g}" for scale in SCALES))
for kind in KINDS:
    print(f"{kind:21} {'':15} " + " ".join(f"{v:6.3f}" for v in table[kind][..., 0].mean(axis=0)))
print(f"\n{'':18} cross-entropy at " + " ".join(f"{scale:6g}" for scale in SCALES))
for kind in KINDS:
    print(f"{kind:21} {'':15} " + " ".join(f"{v:6.3f}" for v in table[kind][..., 1].mean(axis=0)))

# %%
fig, axes = plt.subplots(1, 2, figsize=(9, 3.6))
for column, (ax, label) in enumerate(zip(axes, ("AUC", "cross-entropy"), strict=True)):
    for kind, (_, _, colour) in KINDS.items():
        values = table[kind][..., column]
        style = "--" if kind == "classical control" else "-"
        ax.plot(SCALES, values.mean(axis=0), style, color=colour, marker="o", ms=3, label=kind)
        if kind in ("noiseless", "classical control"):
            low, high = values.min(axis=0), values.max(axis=0)
            ax.fill_between(SCALES, low, high, color=colour, alpha=0.12, lw=0)
    ax.set(xlabel="noise in the test, times the device's", ylabel=label)
axes[0].set_title("AUC (higher is better)")
axes[1].set_title("Cross-entropy (lower is better)")
axes[0].legend(fontsize=7)
fig.suptitle(
    "Mean of the seeds; shaded: lowest to highest seed, noiseless training and classical control",
    fontsize=10,
)
fig.tight_layout()
plt.show()

# %% [markdown]
# The bands show how much seeds differ from each other, which is far more than the ways of training
# differ. Seeds can be compared in pairs, though: the same initial weights, the same labels, one
# head trained with noise and one without.

# %%
fig, axes = plt.subplots(1, 2, figsize=(9, 3.4))
for column, (ax, label) in enumerate(zip(axes, ("AUC", "cross-entropy"), strict=True)):
    for kind in ("noise-aware", "noise-aware, 4 times"):
        difference = table[kind][..., column] - table["noiseless"][..., column]
        colour = KINDS[kind][2]
        ax.plot(SCALES, difference.T, color=colour, lw=0.6, alpha=0.4)
        ax.plot(SCALES, difference.mean(axis=0), color=colour, lw=2.2, label=kind)
    ax.axhline(0, color="black", lw=0.8)
    ax.set(xlabel="noise in the test, times the device's", ylabel=f"difference of the {label}")
axes[0].set_title("AUC: above 0, noise in training helped")
axes[1].set_title("Cross-entropy: below 0, it helped")
axes[0].legend(fontsize=8)
fig.suptitle("Noise-aware minus noiseless training (thin: each seed, thick: mean)")
fig.tight_layout()
plt.show()

for kind in ("noise-aware", "noise-aware, 4 times"):
    for scale in (1.0, 4.0):
        at = SCALES.index(scale)
        difference = table[kind][:, at] - table["noiseless"][:, at]
        mean, spread = difference.mean(axis=0), difference.std(axis=0, ddof=1)
        print(
            f"{kind:21} minus noiseless, tested at {scale:g}: AUC {mean[0]:+.4f} (spread of the "
            f"seeds {spread[0]:.4f}), cross-entropy {mean[1]:+.4f} ({spread[1]:.4f})"
        )

# %% [markdown]
# ## Why so little
#
# Noise draws expectation values towards 0, and on one qubit nearly by the same factor for all
# images: each streak on the left is one qubit. What follows the circuit is a linear readout. Its
# weights can make up for such factors, and on the right they do: under four times the noise they
# become larger, while that of the device itself is too weak to show. The order of the scores, which
# is all that the AUC looks at, hardly depends on it.

# %%
head = heads["noiseless", SEEDS[0]]
outputs = {}
for scale in (0.0, 1.0, 4.0):
    with torch.no_grad(), running_on(head, backends[scale]), captured(head) as expvals:
        head(features["test"])
    outputs[scale] = expvals[0].numpy()

fig, axes = plt.subplots(1, 2, figsize=(9, 3.6))
for scale, colour in ((1.0, ORANGE), (4.0, GREEN)):
    axes[0].plot(outputs[0.0].ravel(), outputs[scale].ravel(), ".", ms=2, color=colour, alpha=0.5)
    slope, offset = np.polyfit(outputs[0.0].ravel(), outputs[scale].ravel(), 1)
    left = np.linspace(-1, 1, 2)
    axes[0].plot(
        left, slope * left + offset, color=colour, label=f"noise {scale:g}: slope {slope:.2f}"
    )
axes[0].plot([-1, 1], [-1, 1], color="black", lw=0.8, label="no noise: slope 1")
axes[0].set(title="Noise shrinks the outputs of the circuit", xlabel="expectation value, no noise")
axes[0].set_ylabel("expectation value, with noise")
axes[0].legend(fontsize=8)
names = ("noiseless", "noise-aware", "noise-aware, 4 times")
for place, kind in enumerate(names):
    sizes = [heads[kind, seed].classifier.weight.norm().item() for seed in SEEDS]
    axes[1].plot([place] * len(sizes), sizes, "o", ms=4, color=KINDS[kind][2], alpha=0.6)
    axes[1].plot(place, np.mean(sizes), "_", ms=24, mew=2, color=KINDS[kind][2])
axes[1].set_xticks(range(3), names, fontsize=8)
axes[1].set_xlim(-0.5, 2.5)
axes[1].set(title="Size of the readout's weights after training", ylabel="norm of the weights")
fig.tight_layout()
plt.show()

# %% [markdown]
# ## What this shows, and what it does not
#
# - Heads can be trained under the noise of a device snapshot, with exact gradients. In this task
#   it makes no difference that could be told from chance: the AUC differs by less than seeds do.
#   Noise in the test costs almost no AUC either, however a head was trained. But with so few labels
#   all heads are weak here, with an AUC of about 0.6, and weak heads have little to lose.
# - The cross-entropy shows what does happen. Noise makes a head less sure of itself. That does
#   these heads good, which are too sure of what they learnt from few labels. A head trained under
#   four times the noise has a larger readout, and is too sure of itself where there is less noise
#   in the test; even at its own noise it is no better than a head trained without.
# - It is no evidence for a quantum layer. The classical control, with one parameter more, is level
#   with every quantum head, and is never troubled by noise.
# - One task of generated images, one small circuit, endless shots, one snapshot. Deep circuits, in
#   which noise does more than shrink, and noise that the snapshot leaves out, such as drift and
#   crosstalk, can turn out otherwise. A rescaling readout would not help where few shots drown a
#   small signal.
