"""A noise study's pictures: which are written, what they show, and that nothing is empty."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from hybridq.data import ImageSplit
from hybridq.studies.noise.plots import save_noise_figures
from hybridq.studies.summary import PAIRED

pytestmark = pytest.mark.filterwarnings("error")

ALL = ["scale.png", "shots.png", "mitigation.png", "margin.png", "flips.png"]
DEVICES, SCALES, SHOTS = ("FakeA", "FakeB"), (0.0, 1.0, 2.0), (100, 1000, None)
COUNT = 20


def study(
    devices=DEVICES, scales=SCALES, shots=SHOTS, mitigations=("none", "trex"), seeds=3, **changes
):
    """Rows of a full grid, figures that worsen with noise; `changes` are set in every row."""
    rng = np.random.default_rng(7)
    rows = []
    for device, scale, count, mitigation, seed in itertools.product(
        devices, scales, shots, mitigations, range(seeds)
    ):
        error = 0.05 * scale + (0 if count is None else count**-0.5) + 0.01 * rng.random()
        rows.append(
            {
                "data": "phantom",
                "split": "test",
                "seed": seed,
                "device": device,
                "noise_scale": scale,
                "shots": count,
                "mitigation": mitigation,
                "auc": 0.9 - error,
                "balanced_accuracy": 0.8 - error,
                "adapted_balanced_accuracy": 0.8 - error / 2,
                "calibration_error": error / 3,
                "flips": error,
                "rms_error": error,
                **{f"margin_p{q:02d}": q / 100 - error for q in (5, 25, 50, 75, 95)},
                "noiseless_auc": 0.9,
                "noiseless_balanced_accuracy": 0.8,
                "noiseless_calibration_error": 0.02,
                "control_calibration_error": 0.03 + 0.001 * seed,
                "control_auc": 0.85 + 0.01 * seed,
                "control_balanced_accuracy": 0.75 + 0.01 * seed,
                **changes,
            }
        )
    return rows


def save(folder, rows, *, flipped=None, classes=2, channels=1):
    """Write the pictures; by default image 3 flips always, and image 5 in the first row."""
    if flipped is None:
        flipped = [[3, 5] if k == 0 else [3] for k in range(len(rows))]
    paths = save_noise_figures(
        folder,
        [{**row, "flipped": own} for row, own in zip(rows, flipped, strict=True)],
        ImageSplit(
            np.random.default_rng(1).integers(0, 256, (COUNT, 8, 8, channels), np.uint8),
            np.arange(COUNT) % classes,
            tuple(f"image-{k}" for k in range(COUNT)),
        ),
        [f"class {k}" for k in range(classes)],
    )
    assert sorted(folder.iterdir()) == sorted(paths)  # and no part left behind
    for path in paths:
        with Image.open(path) as picture:
            assert picture.format == "PNG"
            assert len(np.unique(np.asarray(picture.convert("L")))) > 10
    return [path.name for path in paths]


@pytest.fixture
def figures(monkeypatch):
    """The figures as they are saved, by the name of their file; small, to be quick."""
    seen = {}
    original = Figure.savefig

    def keep(self, path, **options):
        seen[path.name.split(".")[1]] = self
        original(self, path, format="png", dpi=40)

    monkeypatch.setattr(Figure, "savefig", keep)
    return seen


def texts(axes: Axes) -> list[str]:
    """The texts written into a panel."""
    return [text.get_text() for text in axes.texts]


def line(axes: Axes, label: str):
    """The drawn line of that name, with or without error bars."""
    bars = [bars.lines[0] for bars in axes.containers if bars.get_label() == label]
    (found,) = [*bars, *(line for line in axes.get_lines() if line.get_label() == label)]
    return found


@pytest.mark.usefixtures("whole_pictures")
@pytest.mark.parametrize(("classes", "channels"), [(2, 1), (4, 3)])
def test_a_full_grid_has_every_picture(tmp_path, classes, channels):
    assert save(tmp_path, study(), classes=classes, channels=channels) == ALL


def test_scale_shows_exact_means_and_the_control(tmp_path, figures):
    rows = study()
    save(tmp_path, rows)
    auc, balanced, adapted, calibration, flips, rms = figures["scale"].axes
    assert adapted.get_ylabel().endswith("chosen anew")
    assert calibration.get_ylabel() == "calibration error"
    for axes, name in ((auc, "auc"), (balanced, "balanced_accuracy"), (rms, "rms_error")):
        for device in DEVICES:
            expected = [
                np.mean(
                    [
                        r[name]
                        for r in rows
                        if (r["device"], r["noise_scale"], r["shots"], r["mitigation"])
                        == (device, scale, None, "none")
                    ]
                )
                for scale in SCALES
            ]
            # Beside each other, not on each other.
            np.testing.assert_allclose(line(axes, device).get_xdata(), SCALES, atol=0.05)
            np.testing.assert_allclose(line(axes, device).get_ydata(), expected)
    np.testing.assert_allclose(line(auc, "classical control").get_ydata(), 0.86)
    np.testing.assert_allclose(line(balanced, "classical control").get_ydata(), 0.76)
    assert flips.get_xlabel() == "noise scale (1 = the device)"
    title = figures["scale"].get_suptitle()
    assert all(part in title for part in ("exact values", "phantom, test split, 3 seeds"))


def test_without_exact_values_the_most_shots_are_shown(tmp_path, figures):
    save(tmp_path, study(shots=(100, 1000)))
    assert "1,000 shots" in figures["scale"].get_suptitle()
    assert "1,000 shots" in figures["margin"].get_suptitle()


def test_a_device_without_exact_values_is_not_dropped(tmp_path, figures):
    rows = [r for r in study() if (r["device"], r["shots"]) != ("FakeB", None)]
    save(tmp_path, rows)
    assert "1,000 shots" in figures["scale"].get_suptitle()
    assert len(line(figures["scale"].axes[0], "FakeB").get_xdata()) == len(SCALES)


def test_without_scale_zero_the_noiseless_mean_is_marked(tmp_path, figures):
    save(tmp_path, study(scales=(0.5, 2.0)))
    heights = [line(axes, "noiseless").get_ydata()[0] for axes in figures["scale"].axes]
    assert heights == pytest.approx([0.9, 0.8, 0.8, 0.02, 0, 0])
    assert line(figures["scale"].axes[0], "noiseless").get_xdata()[0] == 0
    assert "noise scale 0.5" in figures["shots"].get_suptitle()


def test_exact_is_the_rightmost_tick(tmp_path, figures):
    save(tmp_path, study())
    for axes in figures["shots"].axes:
        assert axes.get_xscale() == "log"
        assert [tick.get_text() for tick in axes.get_xticklabels()] == ["100", "1,000", "exact"]
        assert axes.get_xticks()[-1] == max(axes.get_xticks())


@pytest.mark.parametrize("shots", [(100,), (None,)])
def test_single_values_give_points_with_error_bars(tmp_path, figures, shots):
    names = save(tmp_path, study(scales=(1.0,), shots=shots, mitigations=("none",)))
    assert names == ["scale.png", "shots.png", "margin.png", "flips.png"]
    for name in ("scale", "shots"):
        for axes in figures[name].axes:
            bars = axes.containers
            assert [bar.get_label() for bar in bars] == list(DEVICES)
            places = [bar.lines[0].get_xdata()[0] for bar in bars]
            assert len(set(places)) == len(DEVICES)  # none hides another


def test_one_seed_has_no_band_and_no_warning(tmp_path, figures):
    assert save(tmp_path, study(seeds=1)) == ALL
    assert "1 seed" in figures["scale"].get_suptitle()
    assert "interval" not in figures["scale"].get_suptitle()
    assert "±" not in "".join(texts(figures["mitigation"].axes[0]))


def test_mitigation_cells(tmp_path, figures):
    rows = study(seeds=1, mitigations=("zne", "none", "dd"))
    rows = [r for r in rows if (r["device"], r["mitigation"]) != ("FakeB", "zne")]
    save(tmp_path, rows)
    chosen = {
        (r["device"], r["mitigation"]): f"{r['rms_error']:.3f}"
        for r in rows
        if r["noise_scale"] == 1 and r["shots"] == 1000
    }
    panel = figures["mitigation"].axes[0]
    order = itertools.product(DEVICES, ("none", "dd", "zne"))
    assert texts(panel) == [chosen.get(cell, "–") for cell in order]
    assert [tick.get_text() for tick in panel.get_xticklabels()] == ["none", "dd", "zne"]
    assert "noise scale 1, 1,000 shots" in figures["mitigation"].get_suptitle()
    assert "noiseless 0.800, classical control 0.750" in figures["mitigation"].axes[1].get_title()


def test_undefined_figures_leave_no_empty_panel(tmp_path, figures):
    undefined = ("auc", "noiseless_auc", "control_auc", "control_balanced_accuracy")
    rows = study(**dict.fromkeys(undefined, math.nan))
    assert save(tmp_path, rows) == ALL
    labels = [axes.get_ylabel() for axes in figures["scale"].axes]
    assert labels == [
        "balanced accuracy,\nthreshold kept",
        "balanced accuracy,\nthreshold chosen anew",
        "calibration error",
        "share of images that flip",
        "RMS error of expectation values",
    ]
    assert "classical control" not in [line.get_label() for line in figures["scale"].axes[0].lines]


def test_what_is_undefined_is_not_drawn(tmp_path):
    names = (*PAIRED, "flips", "rms_error")
    margins = [f"margin_p{q:02d}" for q in (5, 25, 50, 75, 95)]
    rows = study(**dict.fromkeys((*names, *margins), math.nan))
    assert save(tmp_path, rows) == ["flips.png"]


def test_the_gallery_shows_what_flips_most(tmp_path, figures):
    rows = [r for r in study(seeds=1) if r["shots"] is None]
    noisy = [r["mitigation"] == "none" and r["noise_scale"] > 0 for r in rows]
    assert sum(noisy) == 4
    first = noisy.index(True)
    # Image 9 flips only where it does not count; image 5 in one of four, image 3 in all.
    flipped = [[3, 5] if k == first else [3] if kept else [9] for k, kept in enumerate(noisy)]
    save(tmp_path, rows, flipped=flipped)
    *gallery, bars = figures["flips"].axes
    titles = [axes.get_title() for axes in gallery]
    assert titles == ["image-3\nclass 1\n100.0%", "image-5\nclass 1\n25.0%"]
    assert bars.get_title() == f"2 of {COUNT} images flip at least once"
    assert "4 noisy evaluations" in figures["flips"].get_suptitle()


def test_the_gallery_names_every_label_of_an_image(tmp_path, figures):
    rows = [{**row, "flipped": [1, 2]} for row in study(seeds=1)]
    images = np.zeros((3, 8, 8, 1), np.uint8)
    split = ImageSplit(images, np.array([[0, 1], [1, 1], [0, 0]]), ("a", "b", "c"))
    save_noise_figures(tmp_path, rows, split, ["left", "right"])
    titles = [axes.get_title().split("\n")[:2] for axes in figures["flips"].axes[:-1]]
    assert titles == [["b", "left+right"], ["c", ""]]


def test_the_gallery_holds_twelve(tmp_path, figures):
    rows = study(seeds=1)
    save(tmp_path, rows, flipped=[list(range(COUNT))] * len(rows))
    assert len(figures["flips"].axes) == 12 + 1


def test_the_picture_says_that_nothing_flips(tmp_path, figures):
    rows = study()
    save(tmp_path, rows, flipped=[[]] * len(rows))
    assert figures["flips"].axes == []
    assert "No image flips" in figures["flips"].texts[-1].get_text()


def test_without_noise_there_is_no_picture_of_flips(tmp_path):
    assert "flips.png" not in save(tmp_path, study(scales=(0.0,)))


def test_margin_has_a_panel_for_each_device(tmp_path, figures):
    rows = study(devices=("A", "B", "C", "D"), seeds=1)
    save(tmp_path, rows)
    panels = figures["margin"].axes
    assert [axes.get_title() for axes in panels] == ["A", "B", "C", "D"]
    expected = [
        r["margin_p50"]
        for r in rows
        if (r["device"], r["shots"], r["mitigation"]) == ("D", None, "none")
    ]
    np.testing.assert_allclose(line(panels[3], "median").get_ydata(), expected)
