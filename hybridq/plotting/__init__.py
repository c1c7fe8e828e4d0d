"""One plotting kit: PNG files and inline SVG of a page from the same drawings, in one style."""

from hybridq.plotting.canvas import inline_svg, save_png
from hybridq.plotting.grids import confusion, gallery, heat_map, scatter
from hybridq.plotting.heat import beside_heat, data_address
from hybridq.plotting.intervals import Estimate, forest, forest_height
from hybridq.plotting.series import (
    Line,
    band,
    legend_below,
    lines,
    net_benefit,
    panels,
    precision_recall,
    reference,
    reliability,
    roc,
)

__all__ = [
    "Estimate",
    "Line",
    "band",
    "beside_heat",
    "confusion",
    "data_address",
    "forest",
    "forest_height",
    "gallery",
    "heat_map",
    "inline_svg",
    "legend_below",
    "lines",
    "net_benefit",
    "panels",
    "precision_recall",
    "reference",
    "reliability",
    "roc",
    "save_png",
    "scatter",
]
