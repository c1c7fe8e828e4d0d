"""One plotting kit: PNG files and inline SVG of a page from the same drawings, in one style."""

from hybridq.plotting.canvas import inline_svg, save_png
from hybridq.plotting.forest import Estimate, forest

__all__ = ["Estimate", "forest", "inline_svg", "save_png"]
