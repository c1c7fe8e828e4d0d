"""The plotting kit: its palette to eyes of every kind, and what each drawing shows."""

from __future__ import annotations

import io
import itertools
import re
from functools import partial

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from hybridq.plotting import (
    Estimate,
    Line,
    band,
    beside_heat,
    confusion,
    forest,
    forest_height,
    gallery,
    heat_map,
    inline_svg,
    legend_below,
    lines,
    panels,
    reference,
    reliability,
    roc,
    save_png,
    scatter,
)
from hybridq.plotting.style import (
    DARK,
    LIGHT,
    LINES,
    MARKERS,
    SERIES,
    VERDICTS,
    drawing,
    look,
    theme_css,
)

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


def test_thirty_series_have_looks_of_their_own():
    assert len({tuple(look(k)[key] for key in ("color", "linestyle")) for k in range(30)}) == 30
    assert len({tuple(look(k)[key] for key in ("color", "marker")) for k in range(30)}) == 30


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


def texts_of(figure):
    """Every text that is drawn."""
    yield from figure.texts
    for legend in figure.legends:
        yield from legend.texts
    for axes in figure.axes:
        yield from (axes.title, axes.xaxis.label, axes.yaxis.label, *axes.texts)
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
            yield from (tick.label1 for tick in ticks if tick.label1.get_visible())


def draw(plot):
    """The figure after a drawing, laid out; none of its texts is cut."""
    with drawing():
        figure = Figure((4.6, 3.9), layout="constrained")
        plot(figure)
        figure.draw_without_rendering()
        boxes = {text: text.get_window_extent() for text in texts_of(figure) if text.get_text()}
    whole = figure.bbox.padded(1)
    cut = [text for text, box in boxes.items() if not whole.contains(*box.min)]
    assert cut + [text for text, box in boxes.items() if not whole.contains(*box.max)] == []
    return figure


def test_a_forest_has_a_row_for_each_estimate_from_the_top():
    figure = draw(lambda f: forest(f.subplots(), ROWS, xlabel="difference", margin=0.02))
    (axes,) = figure.axes
    assert [bar.get_label() for bar in axes.containers] == [row.label for row in ROWS]
    texts = [text.get_text() for text in axes.texts]
    assert texts[1::2] == [row.verdict for row in ROWS]
    assert [text.replace("\n", " ") for text in texts[::2]] == [row.label for row in ROWS]
    assert max(len(line) for text in texts for line in text.split("\n")) <= 50
    bottom, top = axes.get_ylim()
    assert bottom > top
    places = []
    for k, (bar, row) in enumerate(zip(axes.containers, ROWS, strict=True)):
        point, _, (line,) = bar.lines
        ((x, y),) = point.get_xydata()
        places.append(y)
        assert x == row.value
        assert axes.texts[2 * k].xy == (0, pytest.approx(y - 0.4))  # its label is above it
        assert (point.get_color(), point.get_marker()) == VERDICTS[row.verdict]
        ends = [row.value, row.value] if np.isnan(row.low) else [row.low, row.high]
        np.testing.assert_allclose(line.get_segments()[0][:, 0], ends, atol=1e-12)
    assert np.diff(places).tolist() == [2, 2, 3, 2]  # one more where a label has two lines
    (band,) = axes.patches
    assert band.get_extents().transformed(axes.transData.inverted()).intervalx == pytest.approx(
        [-0.02, 0.02]
    )


def test_a_forest_is_as_high_as_its_labels_need():
    short, long = (Estimate("word " * count, 0, 0, 0) for count in (9, 12))
    heights = [forest_height(rows) for rows in ([], [short], [short, short], [short, long])]
    one, two, three = np.diff(heights)
    assert one == pytest.approx(two)
    assert three == pytest.approx(two / 2)


def test_plain_estimates_have_neither_margin_nor_verdict():
    figure = draw(lambda f: forest(f.subplots(), [Estimate("AUC", 0.8, 0.7, 0.9)], xlabel="AUC"))
    (axes,) = figure.axes
    assert not axes.patches
    assert [text.get_text() for text in axes.texts] == ["AUC", ""]
    assert axes.get_xlabel() == "AUC"


@pytest.mark.usefixtures("whole_pictures")
def test_one_drawing_makes_a_file_and_an_element_with_the_same_colours(tmp_path):
    def plot(figure):
        forest(figure.subplots(), ROWS[:1], margin=0.02)

    path = save_png(tmp_path / "figures" / "forest.png", plot, width=4, height=1.5)
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"))
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


@pytest.mark.usefixtures("whole_pictures")
def test_a_title_wider_than_the_figure_is_not_cut(tmp_path):
    def plot(figure, words=1):
        figure.subplots()
        figure.suptitle("of a data set " * words)

    sizes = []
    for words in (1, 9):
        path = save_png(tmp_path / "a.png", partial(plot, words=words), width=3, height=2)
        with Image.open(path) as picture:
            sizes.append(picture.size)
    (width, height), (wide, high) = sizes
    assert (wide > 2 * width, high) == (True, height)


def test_a_drawing_that_fails_leaves_no_file(tmp_path):
    with pytest.raises(ZeroDivisionError):
        save_png(tmp_path / "a.png", lambda figure: 1 / 0)
    assert list(tmp_path.iterdir()) == []


# Lines and curves.

X = np.arange(1.0, 4.0)
TWO = [Line("first", X, X, X - 1, X + 1), Line("second", X, 2 * X, X, 3 * X)]


def test_lines_have_bands_and_dashes():
    def plot(figure):
        lines(figure.subplots(), TWO, xlabel="epoch", ylim=(0, 9))
        legend_below(figure)

    figure = draw(plot)
    (axes,) = figure.axes
    for k, (line, shown) in enumerate(zip(axes.lines, TWO, strict=True)):
        np.testing.assert_array_equal(line.get_xydata().T, [shown.x, shown.y])
        assert (line.get_label(), line.get_color()) == (shown.name, SERIES[k])
        assert line.get_marker() == ""
        ends = axes.collections[k].get_paths()[0].get_extents()
        assert (ends.y0, ends.y1) == (shown.low.min(), shown.high.max())
    assert axes.lines[0].get_linestyle() != axes.lines[1].get_linestyle()
    assert (axes.get_xlabel(), axes.get_ylim()) == ("epoch", (0, 9))
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.texts] == ["first", "second"]


def test_points_have_bars_beside_each_other():
    figure = draw(lambda f: lines(f.subplots(), TWO, markers=True, apart=0.2))
    (axes,) = figure.axes
    for k, (bars, shown) in enumerate(zip(axes.containers, TWO, strict=True)):
        line, _, (ends,) = bars.lines
        np.testing.assert_allclose(line.get_xdata(), shown.x + (-0.1, 0.1)[k])
        assert (line.get_marker(), line.get_linestyle()) == (MARKERS[k], LINES[0])
        np.testing.assert_allclose(
            [segment[:, 1] for segment in ends.get_segments()],
            np.stack([shown.low, shown.high], axis=1),
        )


def test_on_a_logarithmic_axis_a_share_keeps_them_apart():
    figure = draw(lambda f: lines(f.subplots(), TWO, markers=True, apart=0.1, xscale="log"))
    first, second = (bars.lines[0].get_xdata() for bars in figure.axes[0].containers)
    np.testing.assert_allclose(second / first, 1.1)


def test_lines_without_intervals_may_be_means_of_faint_ones_and_have_a_style():
    faint = ((X, X + 1), (X, X - 1))
    line = Line("mean", X, X, faint=faint, style={"color": "red", "linestyle": "--"})
    (axes,) = draw(lambda f: lines(f.subplots(), [line], markers=True)).axes
    assert not axes.containers
    *thin, mean = axes.lines
    assert [each.get_ydata().tolist() for each in thin] == [(X + 1).tolist(), (X - 1).tolist()]
    assert {each.get_color() for each in axes.lines} == {"red"}
    assert (mean.get_linestyle(), mean.get_marker()) == ("--", MARKERS[0])


def test_a_band_of_one_point_is_a_bar():
    (axes,) = draw(lambda f: band(f.subplots(), np.ones(1), np.zeros(1), np.ones(1))).axes
    (bar,) = axes.collections
    np.testing.assert_array_equal(bar.get_segments(), [[[1, 0], [1, 1]]])
    assert bar.get_linewidth()[0] > 5


def test_an_undefined_interval_is_a_point():
    nan = np.full(3, np.nan)
    (axes,) = draw(lambda f: lines(f.subplots(), [Line("a", X, X, nan, nan)], markers=True)).axes
    (bars,) = axes.containers
    _, _, (ends,) = bars.lines
    assert all(np.ptp(segment[:, 1]) == 0 for segment in ends.get_segments())


def test_a_roc_curve_is_read_against_chance():
    curve = Line("a", np.array([0, 0, 1.0]), np.array([0, 0.8, 1]))
    (axes,) = draw(lambda f: roc(f.subplots(), [curve])).axes
    assert axes.lines[0].get_xydata().tolist() == [[0, 0], [0, 0.8], [1, 1]]
    assert axes.lines[1].get_slope() == 1
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("1 - specificity", "sensitivity")


def test_reliability_has_the_numbers_of_images_below():
    shown = [Line(name, X / 4, X / 4, X / 5, X / 3) for name in "ab"]
    images = [np.array([3, 4, 5.0]), np.array([6, 7, 8.0])]
    figure = draw(lambda f: reliability(f, shown, images, bins=10))
    shares, counts = figure.axes
    assert [bars.get_label() for bars in shares.containers] == ["a", "b"]
    heights = [[bar.get_height() for bar in bars] for bars in counts.containers]
    assert heights == [[3, 4, 5], [6, 7, 8]]
    for bars in zip(*counts.containers, strict=True):
        ends = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in bars]
        assert ends[0][1] == pytest.approx(ends[1][0])
        middle = ends[0][1]  # of the bin
        assert middle * 10 % 1 == pytest.approx(0.5)


def test_panels_are_in_rows_and_share_one_legend():
    def plot(figure):
        for axes in panels(figure, 5, 3, 2, sharey=True):
            lines(axes, TWO)
            reference(axes, 1, label="chance")
        legend_below(figure)

    figure = draw(plot)
    assert len(figure.axes) == 5
    assert figure.get_size_inches().tolist() == [9, 5]
    assert len({axes.get_ylim() for axes in figure.axes}) == 1
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.texts] == ["first", "second", "chance"]


def test_a_long_legend_is_broken_and_stays_inside():
    long = "SimCLR frozen, a quantum bottleneck of four qubits: AUC 0.842"
    figure = draw(lambda f: (lines(f.subplots(), [Line(long, X, X)]), legend_below(f)))
    (legend,) = figure.legends
    assert legend.texts[0].get_text().replace("\n", " ") == long


# Matrices, images and points.


def test_a_heat_map_is_the_fuller_the_larger():
    shares = np.array([[0, 0.5, 1], [1, np.nan, 0]])
    texts = [["a", "b", "c"], ["d", "–", "f"]]
    figure = draw(lambda f: heat_map(f.subplots(), shares, texts, ["x", "y"], ["1", "2", "3"]))
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts] == [text for row in texts for text in row]
    assert [text.get_position() for text in axes.texts[:4]] == [(0, 0), (1, 0), (2, 0), (0, 1)]
    cells = axes.patches[::2]
    opacity = np.array([cell.get_alpha() for cell in cells]).reshape(2, 3)
    assert opacity[0, 0] == 0
    np.testing.assert_allclose(opacity[0, 1] * 2, opacity[0, 2])
    assert cells[4].get_facecolor()[:3] != cells[0].get_facecolor()[:3]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["x", "y"]


def test_numbers_are_legible_on_the_fullest_cell():
    for theme in (LIGHT, DARK):
        for name in ("c1", "c2"):
            paper, full = (
                [int(theme[key][k : k + 2], 16) for k in (1, 3, 5)] for key in ("paper", name)
            )
            mixed = np.round(0.45 * np.array(full) + 0.55 * np.array(paper)).astype(int)
            assert contrast("#{:02x}{:02x}{:02x}".format(*mixed), theme["ink"]) >= 4.5


@pytest.mark.parametrize("count", [2, 8])
def test_a_confusion_matrix_counts(count):
    matrix = np.diag(np.arange(1.0, count + 1))
    matrix[0, 1] = 3
    names = [f"class {k}, with a long name" for k in range(count)]
    (axes,) = draw(lambda f: confusion(f.subplots(), matrix, names)).axes
    texts = [text.get_text() for text in axes.texts]
    assert [text.split("\n")[0] for text in texts] == [f"{n:.4g}" for n in matrix.ravel()]
    assert ("75%" in texts[1]) is (count == 2)
    assert [tick.get_text().replace("\n", " ") for tick in axes.get_xticklabels()] == names
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "actual")


def test_a_gallery_shows_each_image_under_its_title():
    images = [np.full((4, 4, channels), k, np.uint8) for k, channels in enumerate((1, 3, 1))]
    figure = draw(lambda f: gallery(f, images, ["a", "b", "c"], 2))
    assert [axes.get_title() for axes in figure.axes] == ["a", "b", "c"]
    for axes, image in zip(figure.axes, images, strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), image.squeeze())
    tops = [round(axes.get_position().y1, 3) for axes in figure.axes]
    assert tops[0] == tops[1] > tops[2]


@pytest.mark.parametrize(("count", "pixels"), [(10, False), (2000, True)])
def test_points_look_like_their_class(count, pixels):
    points = np.random.default_rng(0).normal(size=(count, 2))
    labels = np.arange(count) % 2
    (axes,) = draw(lambda f: scatter(f.subplots(), points, labels, ["a", "b"])).axes
    for k, cloud in enumerate(axes.collections):
        np.testing.assert_array_equal(cloud.get_offsets(), points[labels == k])
        assert (cloud.get_label(), cloud.get_rasterized()) == ("ab"[k], pixels)
    first, second = (cloud.get_facecolor()[0].tolist() for cloud in axes.collections)
    assert first != second


def test_heat_is_over_the_image_in_grey_beside_it():
    image = np.zeros((4, 4, 3), np.uint8)
    image[..., 0] = 90
    heat = np.zeros((2, 2))
    heat[0, 0] = 1
    with Image.open(io.BytesIO(beside_heat(image, heat, side=40))) as file:
        found = np.asarray(file).astype(int)
    assert found.shape == (40, 84, 3)
    assert (found[:, :40] == (90, 0, 0)).all()
    assert (found[30, 80] == (30, 30, 30)).all()  # without heat it is plain grey
    red, _, blue = found[5, 50]
    assert red > blue + 60  # the yellow end
