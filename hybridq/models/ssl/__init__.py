"""Self-supervised methods, the views of images that they compare, and the dict `SSL`."""

from __future__ import annotations

from hybridq.config.choices import find_entry
from hybridq.models.ssl.byol import BYOL
from hybridq.models.ssl.entry import Method, SslEntry
from hybridq.models.ssl.simclr import SIMCLR
from hybridq.models.ssl.vicreg import VICREG

__all__ = ["SSL", "Method", "SslEntry", "ssl_entry", "ssl_label"]

SSL: dict[str, SslEntry] = {"simclr": SIMCLR, "byol": BYOL, "vicreg": VICREG}


def ssl_entry(name: str) -> SslEntry:
    """Find the method of a name: in `SSL`, in another distribution, or by import.

    Raises:
        InvalidValueError: If there is none.
    """
    found: SslEntry = find_entry("ssl", name)
    return found


def ssl_label(name: str) -> str:
    """Return the label of a method, or its name if it is not known here."""
    return SSL[name].label if name in SSL else name
