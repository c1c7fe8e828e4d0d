"""The look of every drawing: one palette, in a light and a dark theme, and matplotlib's settings.

The colours of a series are told apart by eyes that see red, green or blue less (the tests simulate
them), and stand out from the paper of their theme by a contrast of at least 3. Markers and line
styles say the same a second time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

NAMES = ("paper", "ink", "quiet", "c1", "c2", "c3", "c4", "c5", "c6")
"""Paper, text, lines beside the matter, and six series: the names of a page's CSS variables."""
_LIGHT = "#ffffff #1b1f24 #656f7a #0b69b0 #e8590c #3d9f6f #8f1f6b #755700 #8073ea"
_DARK = "#14171a #e6e9ec #a3adb7 #5db3f0 #ed7e3d #91dda5 #bb6c9e #e0bd39 #8980f8"
LIGHT, DARK = (dict(zip(NAMES, theme.split(), strict=True)) for theme in (_LIGHT, _DARK))
PAPER, INK, QUIET, *SERIES = LIGHT.values()
# As many as there are no colours, so that further series are pairs of their own.
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
VERDICTS = {
    "better": (SERIES[2], ">"),
    "worse": (SERIES[1], "<"),
    "equivalent": (SERIES[0], "s"),
    "undecided": (QUIET, "o"),
}
"""The colour and the marker of what a comparison found."""

SETTINGS: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "hybridq",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "image.cmap": "gray",
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": QUIET,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "errorbar.capsize": 3,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "figure.titlesize": 12,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}


@contextmanager
def drawing(*, math: bool = False) -> Iterator[None]:
    """Let matplotlib draw in this style inside, whatever the user's own settings are.

    Args:
        math: Whether `$` in a text begins a formula; never where names of the user's are drawn.
    """
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(cast("Any", SETTINGS | {"text.parse_math": math}))
        yield


def look(number: int) -> dict[str, Any]:
    """Return the colour, marker and line style of a series by its number, as matplotlib's words."""
    return {
        "color": SERIES[number % len(SERIES)],
        "marker": MARKERS[number % len(MARKERS)],
        "linestyle": LINES[number % len(LINES)],
    }


def theme_css() -> str:
    """Return the palette as CSS variables of a page, light or dark as the reader's system is."""
    light, dark = (
        ":root { " + " ".join(f"--{name}: {colour};" for name, colour in theme.items()) + " }"
        for theme in (LIGHT, DARK)
    )
    return f"{light}\n@media (prefers-color-scheme: dark) {{ {dark} }}\n"
