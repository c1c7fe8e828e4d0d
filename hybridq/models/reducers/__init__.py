"""Reducers: maps from an encoder's features to the few angles of a circuit."""

from __future__ import annotations

from hybridq.models.reducers.angle import (
    MAPS,
    AngleReducer,
    check_reducer,
    reducer_of,
)
from hybridq.models.reducers.linear import make_linear

__all__ = ["MAPS", "AngleReducer", "check_reducer", "make_linear", "reducer_of"]
