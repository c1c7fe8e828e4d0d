# %% [markdown]
# # Noise, readout error, and what mitigation recovers
#
# You will see how far the outputs of a quantum layer are off under the noise of a device snapshot,
# how much of that the usual mitigation methods recover, and what they cost.
#
# Everything runs in *rehearsal*: the circuits are compiled, mitigated and sent with IBM's own
# estimator, as for hardware, to a simulated copy of the 133-qubit device ibm_torino. No account is
# needed. A rehearsal has the errors that one calibration of the device reports, and no others.

# %%
import hybridq

hybridq.share_machine()  # before torch is imported: other programs may run beside this one

import os
import time

import matplotlib.pyplot as plt
import numpy as np
import torch

from hybridq.quantum import QuantumLayer, build_circuit, z_observables
from hybridq_backends import open_backend

FAST = os.environ.get("HYBRIDQ_FAST") == "1"  # short, for the tests: nothing can be concluded
INPUTS = 4 if FAST else 24
SHOTS = 512 if FAST else 4096
REPEATS = 2 if FAST else 5
SCALES = (1.0,) if FAST else (1.0, 4.0)
TWIRLED_INPUTS = 0 if FAST else 12

plt.rcParams.update({"figure.dpi": 85, "axes.grid": True, "grid.alpha": 0.3})
BLUE, ORANGE, GREEN, GREY = "#2a6f97", "#e07a5f", "#3d8361", "#8d99ae"

# %% [markdown]
# ## The layer and its true values
#
# Four qubits, random weights, random inputs. The truth is what the exact, noiseless simulator
# gives: four expectation values, between -1 and 1, for each input.

# %%
parts = build_circuit(4, encoding="angle", ansatz="ry_cz", num_layers=2)
inputs = torch.from_numpy(np.random.default_rng(0).uniform(0, np.pi, (INPUTS, 4)))


def outputs(profile, points=inputs, repeats=1, **fields):
    """Outputs of the layer on a backend, `(repeats, inputs, 4)`, and the seconds of one repeat."""
    with open_backend(profile, **fields) as backend, torch.no_grad():
        layer = QuantumLayer(
            parts.circuit,
            input_params=parts.input_params,
            weight_params=parts.weight_params,
            observables=z_observables(4),
            backend=backend,
            generator=torch.Generator().manual_seed(3),
            init_std=1.0,
        )
        started = time.perf_counter()
        values = np.stack([layer(points).numpy() for _ in range(repeats)])
        return values, (time.perf_counter() - started) / repeats


def rms(differences):
    """Root of the mean square."""
    return float(np.sqrt(np.mean(np.square(differences))))


truth = outputs("statevector")[0][0]
print(f"{truth.size} true values, from {truth.min():.2f} to {truth.max():.2f}")

# %% [markdown]
# ## The methods
#
# - **TREX** measures how often outcomes are read wrongly, and divides that out. It corrects
#   readout error only.
# - **ZNE** runs each circuit three times, with the two-qubit gates once, three and five times as
#   noisy (a gate, its inverse and the gate again do the same as the gate, at more noise), and
#   extrapolates to no noise. It corrects gate error only.
# - **TREX + ZNE** is both.
# - **DD**, dynamical decoupling, puts pulses on qubits that wait.
#
# Each is run several times, with new shots each time. That separates two kinds of error: the
# *systematic* one is what the mean of all runs is off by, and more shots do not help against it;
# the *scatter* is how much one run differs from another, and falls with more shots.

# %%
METHODS = {
    "none": {},
    "TREX": {"measure_mitigation": True},
    "ZNE": {"zne_mitigation": True},
    "TREX + ZNE": {"measure_mitigation": True, "zne_mitigation": True},
    "DD": {"dynamical_decoupling": True},
}


def errors(values, true):
    """Total, systematic and random RMS error of repeated values, `(repeats, inputs, 4)`."""
    scatter = float(np.sqrt(values.var(axis=0, ddof=1).mean()))
    # The mean of the repeats still scatters a little, which is no systematic error.
    off = rms(values.mean(axis=0) - true) ** 2 - scatter**2 / len(values)
    return {"total": rms(values - true), "systematic": max(0.0, off) ** 0.5, "scatter": scatter}


SNAPSHOT = {"rehearse": "FakeTorino", "resilience_level": 0, "shots": SHOTS}  # level 0: none

results = {}
for scale in SCALES:
    print(f"noise {scale:g} times that of the snapshot")
    print(f"{'method':12} {'RMS error':>10} {'systematic':>11} {'scatter':>9} {'seconds':>8}")
    for method, fields in METHODS.items():
        values, seconds = outputs(
            "ibm_rehearsal", repeats=REPEATS, noise_scale=scale, **SNAPSHOT, **fields
        )
        row = {**errors(values, truth), "seconds": seconds}
        results[scale, method] = {**row, "values": values[0]}
        print(
            f"{method:12} {row['total']:10.4f} {row['systematic']:11.4f} {row['scatter']:9.4f}"
            f" {row['seconds']:8.1f}"
        )
    print()

# %%
fig, axes = plt.subplots(1, len(SCALES), figsize=(4.6 * len(SCALES), 3.6), squeeze=False)
for ax, scale in zip(axes[0], SCALES, strict=True):
    places = np.arange(len(METHODS))
    for offset, what, colour in (
        (-0.27, "total", BLUE),
        (0, "systematic", ORANGE),
        (0.27, "scatter", GREY),
    ):
        heights = [results[scale, method][what] for method in METHODS]
        ax.bar(places + offset, heights, 0.25, color=colour, label=what)
    ax.set_xticks(places, METHODS, rotation=20)
    ax.set(title=f"noise {scale:g} times the snapshot", ylabel="RMS error of an expectation value")
axes[0][0].legend(fontsize=8)
fig.suptitle(f"What each method leaves of the error ({SHOTS} shots, lower is better)")
fig.tight_layout()
plt.show()

# %% [markdown]
# One value is one point in the next figure. Without mitigation all values shrink towards 0: the
# points lie on a line that is flatter than the diagonal, and lower or higher by what readout
# prefers. Mitigation puts them back on the diagonal, within the scatter.

# %%
scale = SCALES[-1]
shown = ("none", "TREX", "TREX + ZNE")
fig, axes = plt.subplots(1, 3, figsize=(9, 3.3), sharex=True, sharey=True)
for ax, method in zip(axes, shown, strict=True):
    values = results[scale, method]["values"]
    slope = np.polyfit(truth.ravel(), values.ravel(), 1)[0]
    ax.plot([-1, 1], [-1, 1], color="black", lw=0.8, label="true")
    ax.plot(truth.ravel(), values.ravel(), "o", ms=3, color=BLUE, alpha=0.7, label="rehearsal")
    ax.set(title=f"mitigation: {method}\nslope {slope:.2f}", xlabel="true value")
axes[0].set_ylabel("value in rehearsal")
axes[0].legend(fontsize=8, loc="upper left")
fig.suptitle(f"Every expectation value, at noise {scale:g} times the snapshot")
fig.tight_layout()
plt.show()

# %% [markdown]
# ## What it costs
#
# With 4096 shots for a circuit, ZNE runs each circuit at three noise levels, so it takes three
# times the shots. TREX spreads the same shots over circuits with randomly flipped outcomes and
# adds a calibration, which is shared by all inputs of a job. On a device both are paid for in
# time.
#
# The other price is scatter. Extrapolation multiplies errors: a straight line through the values
# at 1, 3 and 5 times the noise puts weights of 23/24, 8/24 and -7/24 on them to arrive at 0, and
# the alternative, an exponential, scatters more where a value is near 0. Compare the grey bars.
#
# **Gate twirling** surrounds two-qubit gates with random Pauli gates. It turns coherent errors
# into random ones. The snapshot has no coherent errors, so it has nothing to do here, and the
# added gates bring a little error of their own. Since every randomisation is a circuit of its own,
# it is slower in a simulation. It is tried on some of the inputs.

# %%
if TWIRLED_INPUTS:
    few, true = inputs[:TWIRLED_INPUTS], truth[:TWIRLED_INPUTS]
    for label, fields in (("without", {}), ("with", {"gate_twirling": True})):
        values, seconds = outputs("ibm_rehearsal", few, REPEATS, **SNAPSHOT, **fields)
        row = errors(values, true)
        print(
            f"{label:7} gate twirling: systematic error {row['systematic']:.4f}, scatter "
            f"{row['scatter']:.4f}, {seconds:.1f} s"
        )
else:
    print("left out in the short version")

# %% [markdown]
# **Dynamical decoupling** undoes slow drifts of waiting qubits: a pulse turns the qubit round, and
# what drifted before the pulse drifts back after it. That needs noise with a memory. The simulated
# relaxation has none (it is Markovian): what is lost in one moment has no relation to what is lost
# in the next, and pulses cannot bring it back. So decoupling cannot help here, and in the table it
# makes as good as no difference. Whether it helps on a device has to be measured on the device.
#
# ## Extrapolation without shots
#
# How good can extrapolation be? The package's torch engine computes noisy values exactly, at any
# strength of the noise. Here *all* noise of the snapshot, readout included, is made 1, 2 and 3
# times as strong, and the values are extrapolated to 0. This is a calculation, not a method for
# hardware: a device cannot turn up its noise so evenly, and gate folding does not touch readout.

# %%
strengths = np.array([1.0, 2.0, 3.0])
grid = np.array([0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0])
scaled = {
    s: outputs("fake_torino", engine="torch", shots=None, noise_scale=float(s))[0][0] for s in grid
}
measured = np.stack([scaled[s].ravel() for s in strengths])
fits = {
    "straight line": np.polyfit(strengths, measured, 1),
    "parabola": np.polyfit(strengths, measured, 2),
}
print(f"RMS error at the noise of the snapshot:     {rms(scaled[1.0] - truth):.5f}")
for name, fit in fits.items():
    print(f"RMS error after extrapolation, {name + ':':15} {rms(fit[-1] - truth.ravel()):.5f}")

# %%
fig, axes = plt.subplots(1, 2, figsize=(9, 3.5))
for number, colour in zip(range(4), (BLUE, ORANGE, GREEN, GREY), strict=True):
    line = [scaled[s][0, number] for s in grid]
    axes[0].plot(grid, line, color=colour, lw=1, label=f"qubit {number}")
    axes[0].plot(strengths, [scaled[s][0, number] for s in strengths], "o", ms=4, color=colour)
    axes[0].plot(0, truth[0, number], "*", ms=10, color=colour)
axes[0].set(title="One input: values by strength of the noise", xlabel="noise, times the snapshot")
axes[0].set_ylabel("expectation value (star: true)")
axes[0].legend(fontsize=8)
names = ["none", *fits]
heights = [rms(scaled[1.0] - truth), *(rms(fit[-1] - truth.ravel()) for fit in fits.values())]
bars = axes[1].bar(names, heights, color=(GREY, BLUE, GREEN))
axes[1].bar_label(bars, fmt="%.4f", fontsize=8)
axes[1].set(title="Error left by the extrapolation, no shots", yscale="log")
axes[1].set_ylabel("RMS error (logarithmic)")
axes[1].set_ylim(min(heights) / 2, max(heights) * 2)
fig.tight_layout()
plt.show()

# %% [markdown]
# ## What this shows, and what it does not
#
# - Under the snapshot's noise, readout and gates each make about half of this circuit's error.
#   TREX removes the one, ZNE the other, and only both together remove nearly all that is
#   systematic.
# - The price is scatter. With both methods it is half as large again as without at the noise of
#   the snapshot, and about twice as large at four times that noise. It is then most of what
#   remains: more shots would be the next step, and they cost time on the device.
# - Extrapolation is only as good as the curve that is fitted. Without shots a parabola leaves a
#   tenth of what a straight line leaves; with shots the scatter of a parabola would be larger
#   still.
# - A classical block of the same size in place of the circuit, the control of the other notebooks,
#   has none of these errors and needs no mitigation. All of this is the cost of using a device,
#   and nothing here is evidence for an advantage of a quantum layer that would be worth it.
# - Nothing is shown of what the snapshot leaves out: drift, crosstalk, leakage, coherent errors.
#   It is against those that decoupling and twirling are made. The numbers are of one circuit with
#   one set of weights, and no prediction for a device.
