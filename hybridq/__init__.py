"""hybridq: few-label medical image classification with a quantum layer on real hardware."""

from __future__ import annotations

__version__ = "0.1.0"
