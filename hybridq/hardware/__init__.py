"""Jobs on IBM hardware: submitted at most once, surviving anything, collected on any day.

`submit` and `collect` are what `hybridq submit` and `hybridq jobs collect` call; `progress` reads
how far a submission has come, `read_values` what came back for each image, `report` puts it into
words. Progress is told to the logger `hybridq`: from Python it shows once logging is set up, as by
`logging.basicConfig(level=logging.INFO)`.
"""

from __future__ import annotations

from hybridq.hardware.chunks import Chunk, ChunkState
from hybridq.hardware.collect import Progress, all_progress, cancel, collect, progress
from hybridq.hardware.plan import Plan
from hybridq.hardware.report import plan_table, result_table, status_table
from hybridq.hardware.submit import Outcome, submit
from hybridq.hardware.values import Values, read_values

__all__ = [
    "Chunk",
    "ChunkState",
    "Outcome",
    "Plan",
    "Progress",
    "Values",
    "all_progress",
    "cancel",
    "collect",
    "plan_table",
    "progress",
    "read_values",
    "result_table",
    "status_table",
    "submit",
]
