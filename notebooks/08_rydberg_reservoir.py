# %% [markdown]
# # A reservoir of Rydberg atoms
#
# You will see atoms that follow known formulas, how features become an embedding in them, how near
# circuits of gates come to their evolution, and how a regression on the embedding does with few
# labels beside classical embeddings of the same length.
#
# A reservoir is not trained. Features set the detunings of a chain of atoms, the atoms evolve, and
# what is read from them at several times is all that a regression gets to see.

# %%
import hybridq

hybridq.share_machine()  # before torch is imported: other programs may run beside this one

import math
import os

import matplotlib.pyplot as plt
import numpy as np
import torch

import hybridq as hq
from hybridq.evaluation.metrics.scores import auc
from hybridq.models.heads.fitted.components import principal_components
from hybridq.quantum import QuantumLayer
from hybridq.quantum.reservoir.rydberg import RydbergChain, embed
from hybridq.quantum.reservoir.trotter import reservoir_observables, trotter_circuits
from hybridq.training.feature_classifier import FeatureClassifier

FAST = os.environ.get("HYBRIDQ_FAST") == "1"  # short, for the tests: nothing is learnt
POINTS = 60 if FAST else 800
LABELS = (16,) if FAST else (20, 40, 80, 160)
SUBSETS = 1 if FAST else 12
ATOMS = 3 if FAST else 6
TROTTER = (2, 4) if FAST else (1, 2, 3, 4, 6, 8, 12, 16)

plt.rcParams.update({"figure.dpi": 85, "axes.grid": True, "grid.alpha": 0.3})
BLUE, ORANGE, GREEN, GREY = "#2a6f97", "#e07a5f", "#3d8361", "#8d99ae"

# %% [markdown]
# ## Atoms that follow formulas
#
# A laser drives each atom between its ground state and a Rydberg state. One atom without detuning
# swings as `cos(Omega t)`. With a detuning Delta it swings faster and less far. Two atoms that are
# near each other cannot both be excited: together they swing faster, by the square root of 2. Lines
# are the formulas, dots the evolution that the package computes.

# %%
times = tuple(np.linspace(0.02, 1.5, 60))
omega = 2 * math.pi
now = np.array(times)
alone = RydbergChain(1, rabi=omega, times=times)
near = RydbergChain(2, spacing=4.0, rabi=omega, times=times)


def excited(chain, detunings):
    """The share of Rydberg atoms at each time, `(times, atoms)`."""
    read = embed(chain, torch.tensor([detunings], dtype=torch.float64))
    atoms = chain.num_atoms
    values = read.reshape(len(chain.times), -1)[:, :atoms].numpy()
    return (1 - values) / 2


detuned = 6.0
faster = math.hypot(omega, detuned)
formulas = {
    "one atom": (excited(alone, [0.0])[:, 0], np.sin(omega * now / 2) ** 2),
    "one atom, detuned by 6 rad/us": (
        excited(alone, [detuned])[:, 0],
        (omega / faster) ** 2 * np.sin(faster * now / 2) ** 2,
    ),
    "two atoms 4 um apart, both": (
        excited(near, [0.0, 0.0]).sum(axis=1),
        np.sin(math.sqrt(2) * omega * now / 2) ** 2,
    ),
}
fig, axes = plt.subplots(1, 3, figsize=(10, 3), sharey=True)
for ax, (title, (found, formula)) in zip(axes, formulas.items(), strict=True):
    ax.plot(now, formula, color=ORANGE, label="formula")
    ax.plot(now, found, ".", color=BLUE, ms=4, label="computed")
    ax.set(title=title, xlabel="time (us)")
    print(f"{title}: largest difference {np.abs(found - formula).max():.1e}")
axes[0].set_ylabel("Rydberg atoms")
axes[0].legend(fontsize=8, loc="upper right")
fig.tight_layout()
plt.show()

# %% [markdown]
# ## From features to an embedding
#
# The features are generated: four hidden values, mixed into 24 with some noise, of two classes with
# a curved boundary between them. In the package they are those of a frozen encoder. Principal
# components, brought to [-1, 1], times a largest detuning, set the atoms. Z of each atom and ZZ of
# each pair are read at four times.


# %%
def made(count, seed):
    """Features `(count, 24)` and labels of two classes with a curved boundary between them."""
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(count, 4))
    mixing = np.random.default_rng(0).normal(size=(4, 24))
    curved = (hidden[:, :2] ** 2).sum(axis=1) - 1.39 + 0.6 * hidden[:, 2]
    return hidden @ mixing + 0.4 * rng.normal(size=(count, 24)), (curved > 0).astype(int)


train, test = made(POINTS, 1), made(POINTS, 2)
features, labels = {"train": train[0], "test": test[0]}, {"train": train[1], "test": test[1]}
print({name: one.shape for name, one in features.items()})

# %%
mean, axes_of = principal_components(features["train"], ATOMS, whiten=False)
components = (features["train"] - mean) @ axes_of.T
chain = RydbergChain(ATOMS, times=(0.5, 1.0, 1.5, 2.0))
shown = np.concatenate([np.flatnonzero(labels["train"] == one)[:8] for one in (0, 1)])
detunings = torch.from_numpy(6.0 * components[shown]).double()
embedding = embed(chain, detunings).numpy()
fig, axes = plt.subplots(1, 2, figsize=(10, 3.2), width_ratios=[1, 4])
axes[0].imshow(components[shown], aspect="auto", cmap="RdBu", vmin=-1, vmax=1)
axes[0].set(title="components", xlabel="atom", ylabel="sample (first class above)")
axes[1].imshow(embedding, aspect="auto", cmap="RdBu", vmin=-1, vmax=1)
axes[1].set(title=f"embedding: {embedding.shape[1]} values", xlabel="Z and ZZ, time after time")
for ax in axes:
    ax.grid(False)
fig.tight_layout()
plt.show()

# %% [markdown]
# ## Gates in place of atoms
#
# A device of gates has no such atoms, but circuits that follow their evolution in small steps, by
# Trotter's formula. More steps come nearer, and are deeper. Circuits let neighbours interact and no
# others, so that the difference ends at a floor. Letting atoms two places apart interact, too,
# lowers the floor, and needs gates between qubits that are not neighbours.


# %%
def by_circuits(steps, reach):
    """The embedding by circuits, and the number of two-qubit gates of the deepest."""
    made = trotter_circuits(chain, steps, reach=reach)
    values = []
    with hq.open_backend("statevector") as backend, torch.no_grad():
        for one in made:
            layer = QuantumLayer(
                one.circuit,
                input_params=one.input_params,
                weight_params=one.weight_params,
                observables=reservoir_observables(ATOMS),
                backend=backend,
            )
            values.append(layer(detunings).numpy())
    return np.concatenate(values, axis=1), made[-1].circuit.num_nonlocal_gates()


fig, ax = plt.subplots(figsize=(6, 3.4))
print(f"{'steps':>6} {'interacting':>22} {'RMS difference':>15} {'two-qubit gates':>16}")
for reach, colour, words in ((1, BLUE, "neighbours"), (2, ORANGE, "up to two places apart")):
    errors = []
    for steps in TROTTER:
        values, gates = by_circuits(steps, reach)
        errors.append(np.sqrt(((values - embedding) ** 2).mean()))
        print(f"{steps:6} {words:>22} {errors[-1]:15.4f} {gates:16}")
    ax.plot(TROTTER, errors, "o-", color=colour, ms=4, label=words)
ax.set(xscale="log", yscale="log", xlabel="Trotter steps in half a microsecond")
ax.set_ylabel("RMS difference of a value")
ax.set_title("Circuits against the atoms' exact evolution")
ax.legend(fontsize=8)
fig.tight_layout()
plt.show()

# %% [markdown]
# ## Few labels
#
# The head `reservoir` is made of these circuits, and a regression whose penalty is searched within
# the labels reads them. Its control has random Fourier features of the same number, at a scale that
# is searched in the same way. Products of up to three components, and the components alone, stand
# beside them.


# %%
def aucs(head, options, count):
    """AUC on the test samples after each of some choices of labelled samples."""
    found = []
    for seed in range(SUBSETS):
        rng = np.random.default_rng(seed)
        rows = np.concatenate(
            [
                rng.permutation(np.flatnonzero(labels["train"] == one))[: count // 2]
                for one in (0, 1)
            ]
        )
        model = FeatureClassifier(head, head_options=options, standardize=False)
        model.fit(features["train"][rows], labels["train"][rows])
        found.append(auc(labels["test"], model.predict_proba(features["test"])))
    return np.array(found)


HEADS = {
    "reservoir": (BLUE, {"num_qubits": ATOMS}),
    "random_fourier": (ORANGE, {"num_qubits": ATOMS}),
    "cubic": (GREEN, {"num_qubits": ATOMS}),
    "components": (GREY, {"num_qubits": ATOMS}),
}
results = {
    head: [aucs(head, options, count) for count in LABELS] for head, (_, options) in HEADS.items()
}
print(f"{'labels':>8} " + " ".join(f"{head:>15}" for head in HEADS))
for place, count in enumerate(LABELS):
    print(f"{count:8} " + " ".join(f"{results[head][place].mean():15.3f}" for head in HEADS))

# %%
fig, ax = plt.subplots(figsize=(6.5, 3.6))
for shift, (head, (colour, _)) in zip((0.93, 0.98, 1.02, 1.07), HEADS.items(), strict=True):
    places = np.array(LABELS) * shift
    for place, values in zip(places, results[head], strict=True):
        ax.plot([place] * len(values), values, ".", color=colour, alpha=0.4)
    ax.plot(places, [one.mean() for one in results[head]], "o-", color=colour, ms=5, label=head)
ax.set(xscale="log", xlabel="labelled samples", ylabel="AUC, test samples")
ax.set_xticks(LABELS, [str(count) for count in LABELS])
ax.minorticks_off()
ax.set_title("Embeddings with few labels (dots: choices of labelled samples)")
ax.legend(fontsize=8)
fig.tight_layout()
plt.show()

# %% [markdown]
# ## What this shows, and what it does not
#
# - The evolution follows the formulas of one and two atoms, and circuits follow the evolution, with
#   an error that is known and that the regression, which is fitted to the circuits, does not see.
# - The control, random Fourier features of the same number, has the same regression and the same
#   search; compare the lines. Nothing here is evidence for an advantage of the atoms over a
#   classical embedding.
# - Nothing is shown of real atoms, which lose coherence and are read with errors, nor of noise on
#   gates: these circuits are deep. The data are generated, so that the figures say nothing about
#   medical images.
