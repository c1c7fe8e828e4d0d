"""hybridq: few-label medical image classification with a quantum layer on real hardware."""

from __future__ import annotations

from hybridq.threads import share_machine

__all__ = ["__version__", "share_machine"]

__version__ = "0.1.0"
