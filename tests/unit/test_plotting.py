"""The plotting kit: its palette to eyes of every kind, and what each drawing shows."""

from __future__ import annotations

import itertools
import re

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from hybridq.plotting import Estimate, forest, inline_svg, save_png
from hybridq.plotting.style import DARK, LIGHT, VERDICTS, drawing, theme_css

pytestmark = pytest.mark.filterwarnings("error")

# Machado, Oliveira & Fernandes, IEEE TVCG 15 (2009) 1291: no cones of one kind; on linear RGB.
EYES = {
    "three kinds of cones": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
         [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
         [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
         [0.004733, 0.691367, 0.303900]]
    ),
}  # fmt: skip
# Ottosson (2020): from linear RGB to responses of cones, and on to OKLab.
CONES = np.array(
    [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
     [0.0883024619, 0.2817188376, 0.6299787005]]
)  # fmt: skip
OKLAB = np.array(
    [[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
     [0.0259040371, 0.7827717662, -0.8086757660]]
)  # fmt: skip
JUST_SEEN = 0.02
"""Distance in OKLab of two colours side by side that are told apart."""


def linear(colour: str) -> np.ndarray:
    """Linear RGB of a colour like `#0b69b0` (IEC 61966-2-1)."""
    values = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, from 1 to 21 (WCAG 2)."""
    low, high = sorted(float(linear(c) @ [0.2126, 0.7152, 0.0722]) for c in (one, other))
    return (high + 0.05) / (low + 0.05)


def distances(colours, eye: str) -> dict[tuple[str, str], float]:
    """The distance of every two colours to a kind of eye."""
    seen = [OKLAB @ np.cbrt(CONES @ (EYES[eye] @ linear(c)).clip(0, 1)) for c in colours]
    pairs = itertools.combinations(zip(colours, seen, strict=True), 2)
    return {(a, b): float(np.linalg.norm(x - y)) for (a, x), (b, y) in pairs}


def series(theme) -> list[str]:
    return [colour for name, colour in theme.items() if re.fullmatch("c[0-9]", name)]


def test_the_measure_of_colours_is_right():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    red_and_green = ["#c8510b", "#8a7200"]
    to_most, to_some = (
        next(iter(distances(red_and_green, eye).values()))
        for eye in ("three kinds of cones", "protanopia")
    )
    assert to_some < 2 * JUST_SEEN < to_most / 2


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("eye", EYES)
def test_series_are_told_apart_by_every_eye(theme, eye):
    found = distances(series(theme), eye)
    assert len(found) == 15
    assert min(found.values()) > 3.5 * JUST_SEEN
    first = distances(series(theme)[:4], eye)
    assert min(first.values()) > 4.5 * JUST_SEEN
    beside = distances([*series(theme), theme["quiet"], theme["ink"]], eye)
    assert min(beside.values()) > 3 * JUST_SEEN


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_series_and_text_stand_out_from_the_paper(theme):
    assert min(contrast(colour, theme["paper"]) for colour in series(theme)) >= 3
    assert contrast(theme["quiet"], theme["paper"]) >= 4.5
    assert contrast(theme["ink"], theme["paper"]) >= 12


def test_pages_get_the_palette_as_variables():
    light, dark = theme_css().splitlines()
    assert dark.startswith("@media (prefers-color-scheme: dark)")
    for text, theme in ((light, LIGHT), (dark, DARK)):
        assert dict(re.findall(r"--(\w+): (#\w+);", text)) == theme


# A forest plot, and where drawings go.

ROWS = [
    Estimate("a less b", 0.03, 0.01, 0.05, "better"),
    Estimate("a less c", -0.04, -0.06, -0.02, "worse"),
    Estimate("a less d", 0.001, -0.008, 0.01, "equivalent"),
    Estimate(
        "a quantum head that has a long name less one that has another", 0, -1, 1, "undecided"
    ),
    Estimate("no interval", 0.02, np.nan, np.nan, "undecided"),
]


def draw(plot):
    """The figure after a drawing, laid out."""
    with drawing():
        figure = Figure(layout="constrained")
        plot(figure)
        figure.draw_without_rendering()
    return figure


def test_a_forest_has_a_row_for_each_estimate_from_the_top():
    figure = draw(lambda f: forest(f.subplots(), ROWS, xlabel="difference", margin=0.02))
    (axes,) = figure.axes
    assert [bar.get_label() for bar in axes.containers] == [row.label for row in ROWS]
    names = [tick.get_text() for tick in axes.get_yticklabels()]
    assert names[0] == "a less b"
    assert names[3].replace("\n", " ") == ROWS[3].label
    assert max(map(len, names[3].split("\n"))) <= 38
    bottom, top = axes.get_ylim()
    assert bottom > top
    for k, (bar, row) in enumerate(zip(axes.containers, ROWS, strict=True)):
        point, _, (line,) = bar.lines
        assert point.get_xydata().tolist() == [[row.value, k]]
        assert (point.get_color(), point.get_marker()) == VERDICTS[row.verdict]
        ends = [row.value, row.value] if np.isnan(row.low) else [row.low, row.high]
        np.testing.assert_allclose(line.get_segments()[0][:, 0], ends, atol=1e-12)
    assert [text.get_text() for text in axes.texts] == [row.verdict for row in ROWS]
    (band,) = axes.patches
    assert band.get_extents().transformed(axes.transData.inverted()).intervalx == pytest.approx(
        [-0.02, 0.02]
    )


def test_plain_estimates_have_neither_margin_nor_verdict():
    figure = draw(lambda f: forest(f.subplots(), [Estimate("AUC", 0.8, 0.7, 0.9)], xlabel="AUC"))
    (axes,) = figure.axes
    assert not axes.patches
    assert not axes.texts
    assert axes.get_xlabel() == "AUC"


@pytest.mark.usefixtures("whole_pictures")
def test_one_drawing_makes_a_file_and_an_element_with_the_same_colours(tmp_path):
    def plot(figure):
        forest(figure.subplots(), ROWS[:1], margin=0.02)

    path = save_png(tmp_path / "figures" / "forest.png", plot, width=4, height=1.5)
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert pixels.shape == (225, 600, 3)
    assert pixels[0, 0].tolist() == [255, 255, 255]
    colour = [int(LIGHT["c3"][k : k + 2], 16) for k in (1, 3, 5)]
    assert (pixels == colour).all(axis=2).any()
    element = inline_svg("forest", "T < 1", "What & how.", plot, width=4, height=1.5)
    assert "stroke: var(--c3)" in element
    assert "fill: var(--ink)" in element
    assert not re.findall("#[0-9a-f]{6}", element)
    assert "DejaVu" not in element
    assert element.startswith('<svg viewBox="0 0 288 108"')
    assert '<title id="forest-title">T &lt; 1</title>' in element
    assert '<desc id="forest-desc">What &amp; how.</desc>' in element
    assert set(re.findall(r'(?:url\(#|href="#)([^)"]+)', element)) <= set(
        re.findall(r'id="([^"]+)"', element)
    )
    assert all(name.startswith("forest-") for name in re.findall(r'id="([^"]+)"', element))
    assert inline_svg("forest", "T < 1", "What & how.", plot, width=4, height=1.5) == element


def settings():
    return {name: mpl.rcParams[name] for name in mpl.rcParams if name != "backend"}


def test_a_users_own_settings_neither_enter_nor_change(tmp_path):
    with mpl.rc_context({"font.size": 30, "axes.grid": False}):
        before = settings()
        other = inline_svg("a", "t", "d", lambda f: f.subplots())
        assert settings() == before
    assert other == inline_svg("a", "t", "d", lambda f: f.subplots())


def test_a_drawing_that_fails_leaves_no_file(tmp_path):
    with pytest.raises(ZeroDivisionError):
        save_png(tmp_path / "a.png", lambda figure: 1 / 0)
    assert list(tmp_path.iterdir()) == []
