# %% [markdown]
# # From a trained model to jobs on a device
#
# You will see how the test images of a trained model are sent to a quantum device as jobs: what it
# will cost, where on the device the circuit goes, what happens when the sending process is killed
# in the middle, and how the results differ from those without noise.
#
# **This is a rehearsal.** The backend is `ibm_rehearsal`: circuits are compiled, checked, cut into
# jobs and recorded as for IBM hardware, but the jobs run on a simulated copy of the 133-qubit
# device ibm_torino, on this machine. Nothing in this notebook has been measured on hardware. With
# an account, the same calls with `ibm` in place of `ibm_rehearsal`, and a budget of QPU seconds,
# would send them to a device.

# %%
import hybridq

hybridq.share_machine()  # before torch is imported: other programs may run beside this one

import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

from hybridq.config import (
    AugmentConfig,
    FinetuneConfig,
    JobsCollectConfig,
    SubmitConfig,
    head_config,
)
from hybridq.evaluation.tables import table
from hybridq.models.checkpoint import load_model
from hybridq.runs.folder import read_result
from hybridq.submissions import (
    ChunkState,
    all_progress,
    collect,
    plan_table,
    progress,
    result_table,
    status_table,
    submit,
)
from hybridq.training.finetune import finetune
from hybridq_backends import open_backend
from hybridq_backends.layout.choose import rank_layouts

FAST = os.environ.get("HYBRIDQ_FAST") == "1"  # short, for the tests: nothing is learnt
IMAGES = 60 if FAST else 2400
EPOCHS = 1 if FAST else 20
SENT = 12 if FAST else 156  # test images that are sent; 156 is the test split of BreastMNIST
IN_A_JOB = 3 if FAST else 26
SHOTS = 1024
PLANNED_SHOTS = (256, 1024) if FAST else (256, 1024, 4096, 16384)
PLANNED_LEVELS = (0, 1) if FAST else (0, 1, 2)
PLACES = 20 if FAST else 1000

plt.rcParams.update({"figure.dpi": 85, "axes.grid": True, "grid.alpha": 0.3})
BLUE, ORANGE, GREEN, GREY = "#2a6f97", "#e07a5f", "#3d8361", "#8d99ae"
scratch = tempfile.TemporaryDirectory()
runs = Path(scratch.name) / "runs"

# %% [markdown]
# ## A model
#
# As in the quickstart, on generated images: an encoder and a head with a circuit of four qubits,
# trained without noise. The training is short and without pretraining, so the model is modest. What
# follows does not need a good one.

# %%
run = finetune(
    FinetuneConfig(
        data=f"phantom,size=32,count={IMAGES}",
        runs=runs,
        seed=1,
        head=head_config(name="pqc"),
        image_size=32,
        stem="stride2",
        epochs=EPOCHS,
        batch_size=32,
        learning_rate=5e-3,
        augment=AugmentConfig(crop_min=0.9, rotation=0.0, blur=0.0),
    )
)
print(f"validation AUC {read_result(run)['kept']['val_auc']:.3f}")

# %% [markdown]
# ## The plan, before anything is posted
#
# The encoder runs here and makes four angles of each image. Only the circuits with these angles
# are sent, never an image. A dry run does all of that work but the sending, and tells what it came
# to.


# %%
def backend_of(shots, level):
    """The backend with a number of shots and a level of mitigation."""
    return f"ibm_rehearsal,shots={shots},resilience_level={level}"


def dry_run(shots, level):
    """The plan of sending the images; nothing is posted or written."""
    backend = backend_of(shots, level)
    return submit(SubmitConfig(run=run, backend=backend, limit=SENT, dry_run=True, runs=runs)).plan


plan = dry_run(SHOTS, 1)
print(plan_table(plan))

# %% [markdown]
# ## Where on the device
#
# The circuit needs four qubits, and the device has 133, of different quality. `submit` compares
# places by their *expected error*: the probability that at least one gate, reading or wait goes
# wrong, by the errors that the device's calibration reports. Here the comparison is made once more,
# for more places than `submit` asks for.

# %%
with open_backend("statevector") as backend:
    model, _ = load_model(run, backend=backend)
    circuit = model.head.block.qnn.split.circuit
with open_backend("ibm_rehearsal") as backend:
    couplings = sorted({tuple(sorted(pair)) for pair in backend.device.coupling_map.get_edges()})
    places = rank_layouts(circuit, backend.device.target, most=PLACES)
marked = {
    "best": (places[0], GREEN),
    "in the middle": (places[len(places) // 2], BLUE),
    "worst": (places[-1], ORANGE),
}
for name, (place, _) in marked.items():
    print(
        f"{name:14} qubits {', '.join(map(str, place.layout)):18} expected error "
        f"{place.expected_error:.3f}, {place.two_qubit_gates} two-qubit gates"
    )
print("the plan has the best:", plan.layout == places[0].layout)

# %%
# ibm_torino has rows of 15 qubits, numbered along, with 4 qubits between a row and the next.
spots = {19 * row + i: (i, -2 * row) for row in range(7) for i in range(15)}
for first, second in couplings:
    if second not in spots:  # a qubit between rows stands below its neighbour
        spots[second] = (spots[first][0], spots[first][1] - 1)

fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4.4), width_ratios=(1.1, 1))
for pair in couplings:
    left.plot(
        *zip(*(spots[qubit] for qubit in pair), strict=True), color="lightgrey", lw=1, zorder=0
    )
left.scatter(*zip(*spots.values(), strict=True), s=18, color="lightgrey")
for name, (place, colour) in marked.items():
    left.scatter(
        *zip(*(spots[q] for q in place.qubits), strict=True), s=60, color=colour, label=name
    )
left.set(title="The device: qubits and their couplings", xticks=[], yticks=[])
left.grid(visible=False)
left.set_frame_on(False)
left.legend(loc="upper center", bbox_to_anchor=(0.5, 0.02), ncols=3, fontsize=8, frameon=False)
right.plot([place.expected_error for place in places], color=GREY)
for name, (place, colour) in marked.items():
    right.plot(places.index(place), place.expected_error, "o", color=colour, label=name)
right.set(title=f"{len(places)} places for the same circuit", xlabel="place, the best first")
right.set(ylabel="expected error (lower is better)", ylim=(0, None))
fig.tight_layout()
plt.show()

# %% [markdown]
# ## What it would cost
#
# IBM's Open plan grants 600 seconds of QPU time in 28 days. IBM's quick estimate of a job is 2 s,
# and 0.35 ms for each shot of each circuit. How many circuits there are depends on the mitigation:
# level 0 has none; level 1, TREX, adds a calibration of the readout; level 2 runs each circuit at
# three strengths of noise, to extrapolate (ZNE). Every bar is a dry run of the same images.

# %%
LEVELS = {0: "level 0: none", 1: "level 1: TREX", 2: "level 2: TREX, twirling and ZNE"}
plans = {
    (shots, level): dry_run(shots, level) for level in PLANNED_LEVELS for shots in PLANNED_SHOTS
}

fig, ax = plt.subplots(figsize=(8.5, 3.8))
for level, colour in zip(PLANNED_LEVELS, (GREY, BLUE, ORANGE), strict=False):
    where = np.arange(len(PLANNED_SHOTS)) + 0.28 * (level - (len(PLANNED_LEVELS) - 1) / 2)
    seconds = [plans[shots, level].quick_seconds for shots in PLANNED_SHOTS]
    bars = ax.bar(where, seconds, 0.26, color=colour, label=LEVELS[level])
    ax.bar_label(bars, fmt="%.0f s", fontsize=8)
ax.axhline(600, color="black", lw=1, ls="--")
ax.text(-0.45, 640, "Open plan, 28 days", fontsize=8)
ax.set_xticks(range(len(PLANNED_SHOTS)), PLANNED_SHOTS)
ax.set(xlabel="shots", ylabel="estimated QPU seconds (logarithmic)", yscale="log")
ax.set_title(f"{SENT} images: what they take of the 600 s of the Open plan")
ax.set_ylim(None, 4 * max(600, *(plan.quick_seconds for plan in plans.values())))
ax.legend(fontsize=8, loc="upper left", ncols=3)
fig.tight_layout()
plt.show()

# %% [markdown]
# ## Sending, and a process that is killed
#
# The images go out in several jobs, here by a low limit on the executions of one. So that there is
# something to interrupt, another process does the sending: `hybridq submit` with the same settings,
# as one would type it. While it waits for the answer to its third post, it is killed. It has no
# chance to tidy up, as in a power cut.
#
# A *chunk* is the images of one job. Before a chunk is posted, the ledger in the submission's
# folder notes `posting`, with a tag; after it, `posted` and the job's id.

# %%
sent = SubmitConfig(
    run=run,
    backend=backend_of(SHOTS, 1),
    limit=SENT,
    job_executions=(IN_A_JOB + 1) * SHOTS,  # one circuit more, for the calibration of the readout
    runs=runs,
)
command = f"submit {run} --backend {sent.backend} --limit {sent.limit}"
command += f" --job-executions {sent.job_executions} --runs {runs}"
process = subprocess.Popen(
    [sys.executable, "-m", "hybridq", *command.split()],
    stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL,
)
while process.poll() is None:
    found = all_progress(runs)
    chunks = found[0].chunks if found else ()
    if len(chunks) > 2 and chunks[2].state is ChunkState.POSTING:
        process.kill()
        break
    time.sleep(0.005)
process.wait()
folder = all_progress(runs)[0].folder
before = progress(folder)
print(status_table(before))

# %% [markdown]
# The ledger tells what is known. Two jobs were accepted. Of the third nobody here can know
# whether it arrived: posting it again could pay for it twice, and not posting it could lose it. So
# the next call first looks for a job with its tag, and posts only if there is none. (A rehearsal
# can be sure of that at once. On hardware a job may be listed late: then the chunk is looked up
# again, and stays `uncertain` until you decide.)
#
# The very same call goes on, this time in this process:

# %%
outcome = submit(sent)
after = progress(folder)
print("went on with the same submission:", outcome.folder == folder)
print(status_table(after))

# %% [markdown]
# Was anything posted twice? The jobs that had been accepted still have their tags, ids and times;
# every chunk has one job; and a third call finds nothing to do.

# %%
submit(sent)
final = progress(folder)
rows = []
for old, new in zip(before.chunks, final.chunks, strict=True):
    if old.job_id is not None:
        did = "nothing" if (old.job_id, old.posted_at) == (new.job_id, new.posted_at) else "CHANGED"
    else:
        did = "found by its tag" if old.posted_at == new.posted_at else "posted"
    rows.append([new.tag, str(old.state), str(new.state), did])
print(table(["tag of the job", "after the kill", "at the end", "what later calls did"], rows))
at_service = {file.stem for file in (folder / "rehearsed").iterdir()}
print(f"\n{len(final.chunks)} chunks, {len(at_service)} jobs at the rehearsed service, ", end="")
print(
    "one for each chunk" if at_service == {chunk.job_id for chunk in final.chunks} else "NOT equal"
)

# %% [markdown]
# ## Collecting
#
# Any process, on any day, can fetch what is done. `collect` keeps the values in the ledger and
# writes predictions and figures beside it. The threshold on the probability is the one that
# validation chose without noise.

# %%
collect(JobsCollectConfig(submission=folder))
print(result_table(read_result(folder)))

# %% [markdown]
# The three columns: `ideal` is the model without noise. `simulated` is the noise of the device as
# it was calibrated, on the same qubits, exact, so without shots and without mitigation.
# `rehearsal` is what the jobs brought; on a device that column is called `hardware`. The brackets
# are 95% intervals over the images, in the last column also over the shots.
#
# For comparison the same images are sent once more without readout mitigation, at level 0.

# %%
without = submit(SubmitConfig(run=run, backend=backend_of(SHOTS, 0), limit=SENT, runs=runs)).folder
collect(JobsCollectConfig(submission=without))
print(result_table(read_result(without)))

# %% [markdown]
# ## Every expectation value
#
# Four expectation values come back for each image, one for each qubit. The figure shows how far
# each is from its value without noise. The grey band holds 95% of the errors that shots alone
# would make.

# %%
arrays = np.load(folder / "images.npz")
ideal, simulated = arrays["ideal"], arrays["simulated"]


def collected(where):
    """The predictions file of a submission as rows."""
    with (where / "predictions" / "device.csv").open() as file:
        return list(csv.DictReader(file))


def values_of(where):
    """The expectation values that came back, `(images, 4)`."""
    return np.array([[float(row[f"expval_{q}"]) for q in range(4)] for row in collected(where)])


columns = {
    "simulated\n(no shots)": simulated,
    "rehearsal, level 0\n(no mitigation)": values_of(without),
    "rehearsal, level 1\n(readout mitigation)": values_of(folder),
}
grid = np.linspace(-1, 1, 201)
band = 1.96 * np.sqrt((1 - grid**2) / SHOTS)
fig, axes = plt.subplots(1, 3, figsize=(10, 3.7), sharex=True, sharey=True)
for ax, (name, values) in zip(axes, columns.items(), strict=True):
    if "rehearsal" in name:
        ax.fill_between(grid, -band, band, color=GREY, alpha=0.35, lw=0, label="shots alone, 95%")
    ax.axhline(0, color="black", lw=0.8)
    for qubit, colour in enumerate((BLUE, ORANGE, GREEN, "#6d597a")):
        error = values[:, qubit] - ideal[:, qubit]
        ax.plot(
            ideal[:, qubit], error, "o", ms=2.5, color=colour, alpha=0.6, label=f"qubit {qubit}"
        )
    ax.set(title=name, xlabel="value without noise")
axes[0].set_ylabel("value minus value without noise")
handles, labels = axes[1].get_legend_handles_labels()
fig.legend(handles, labels, fontsize=8, ncols=5, loc="lower center", markerscale=2, frameon=False)
fig.tight_layout(rect=(0, 0.07, 1, 1))
plt.show()

# %% [markdown]
# ## Does the noise account for it?
#
# Errors that have nothing to do with each other add in squares. So without mitigation the RMS
# error should be the root of *simulated* squared plus *shots* squared. In a rehearsal it has to be,
# since the device there is nothing but its calibration. On hardware this is the line to look at:
# what is measured above that sum is something that the calibration does not tell.

# %%
results = {0: read_result(without), 1: read_result(folder)}
rms = {level: result["compared"]["rehearsal"]["rms_error"] for level, result in results.items()}
shot_noise = {level: result["shot_noise"] for level, result in results.items()}
of_noise = results[0]["compared"]["simulated"]["rms_error"]
expected = (of_noise**2 + shot_noise[0] ** 2) ** 0.5
left_over = {level: max(0.0, rms[level] ** 2 - shot_noise[level] ** 2) ** 0.5 for level in (0, 1)}
print(f"level 0: simulated noise {of_noise:.4f} and shots {shot_noise[0]:.4f}", end=" ")
print(f"make {expected:.4f} together; the jobs brought {rms[0]:.4f}")
print(
    f"level 1: of {rms[1]:.4f}, shots are {shot_noise[1]:.4f}; mitigation left {left_over[1]:.4f}"
)

# %% [markdown]
# ## What it does to the answers
#
# On the left the error, with the part that shots alone make. In the middle the AUC, with 95%
# intervals. On the right the images whose predicted class changed.

# %%
names = ("ideal", "simulated", "rehearsal\nlevel 0", "rehearsal\nlevel 1")
entries = [results[0]["compared"][name] for name in ("ideal", "simulated", "rehearsal")]
entries.append(results[1]["compared"]["rehearsal"])
colours = (GREEN, GREY, ORANGE, BLUE)
fig, axes = plt.subplots(1, 3, figsize=(10.5, 3.5))
bars = axes[0].bar(names, [entry["rms_error"] for entry in entries], color=colours)
axes[0].bar_label(bars, fmt="%.3f", fontsize=8)
for place, level in ((2, 0), (3, 1)):
    axes[0].plot([place - 0.4, place + 0.4], [shot_noise[level]] * 2, color="black", lw=1.5)
axes[0].plot([], [], color="black", lw=1.5, label="shots alone")
axes[0].set_title("RMS error of a value")
axes[0].set_ylim(0, 1.3 * max(entry["rms_error"] for entry in entries))
axes[0].legend(fontsize=8, loc="upper left")
for place, (entry, colour) in enumerate(zip(entries, colours, strict=True)):
    auc = entry["figures"]["auc"]
    axes[1].plot([place, place], [auc["low"], auc["high"]], color=colour, lw=3, alpha=0.6)
    axes[1].plot(place, auc["value"], "o", color=colour)
axes[1].axhline(0.5, color="black", lw=0.8, ls=":")
axes[1].set_xticks(range(4), names)
axes[1].set(title="AUC, 95% intervals (dotted: chance)", xlim=(-0.5, 3.5))
bars = axes[2].bar(names, [entry["flips"] for entry in entries], color=colours)
axes[2].bar_label(bars, fontsize=8)
axes[2].set_ylim(0, 1.15 * max(1, *(entry["flips"] for entry in entries)))
axes[2].set_title(f"Predictions that flip, of {SENT}")
for ax in axes:
    ax.tick_params(axis="x", labelsize=8)
fig.tight_layout()
plt.show()

# %% [markdown]
# Which images flip? The model's readout makes probabilities of the values, here of those without
# noise and of those that came back. An image flips if the two are on different sides of the
# threshold.

# %%
threshold = json.loads((folder / "submission.json").read_text())["threshold"]
features = torch.from_numpy(arrays["features"])
with open_backend("statevector") as backend, torch.no_grad():
    model.use_backend(backend)
    logits = model.head(features)
    clean = torch.softmax(logits, dim=1)[:, 1].numpy()
fig, axes = plt.subplots(1, 2, figsize=(9, 4), sharex=True, sharey=True)
for ax, (level, where) in zip(axes, ((0, without), (1, folder)), strict=True):
    noisy = np.array([float(row["prob_1"]) for row in collected(where)])
    flipped = (clean >= threshold) != (noisy >= threshold)
    ax.axhline(threshold, color="black", lw=0.8, ls="--")
    ax.axvline(threshold, color="black", lw=0.8, ls="--", label="threshold")
    ax.axline((threshold, threshold), slope=1, color=GREY, lw=0.8)
    ax.plot(clean[~flipped], noisy[~flipped], "o", ms=4, color=BLUE, alpha=0.5, label="same class")
    ax.plot(clean[flipped], noisy[flipped], "o", ms=5, color=ORANGE, label="flipped")
    ax.set(title=f"level {level}: {flipped.sum()} of {SENT} flip", xlabel="P(lesion) without noise")
axes[0].set_ylabel("P(lesion) in the rehearsal")
axes[0].legend(fontsize=8)
fig.tight_layout()
plt.show()
scratch.cleanup()

# %% [markdown]
# ## What this shows, and what it does not
#
# - What a submission costs is known before it is paid for. At 1024 shots these images would fit
#   about ten times into the 600 s of the Open plan, or three times with ZNE; at 4096 shots with ZNE
#   not once. The seconds are IBM's quick estimate, not a bill.
# - A process that is killed in the middle does no harm: what had been accepted is not posted
#   again, and the one chunk in doubt is looked up by its tag. A rehearsed service keeps its jobs in
#   a folder and lists them at once. What the real one does in such a moment is not tested here.
# - Noise pulls all values towards 0, and most where they are large. Readout mitigation takes away
#   a part of that; what the gates do stays. The AUC hardly moves, because nearly the same pull on
#   all images, qubit by qubit, hardly changes their order. Here hardly an image crosses the
#   threshold: one without mitigation, and three with it, all of them next to it. That depends on
#   how many lie there: the noise study over five seeds in `docs/results/noise.md` has more.
# - The expected error chooses a place; it does not predict the error of a value.
# - The rehearsal agrees with the simulation because both know the same calibration and nothing
#   else. A device drifts, has crosstalk and coherent errors, and may have been calibrated hours
#   ago. None of that is in these numbers, and they are no evidence of what hardware would give.
# - Nor is anything here evidence for an advantage of a quantum layer. The model is trained briefly
#   on generated images, and its classical control, a head of about the same size, needs no device,
#   no shots and no mitigation: it would have answered on this machine, in a moment.
