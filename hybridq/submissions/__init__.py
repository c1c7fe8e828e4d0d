"""Submit jobs to IBM hardware at most once, and collect their results on any day.

The commands call `submit`, `compare_backends`, `collect` and `recover`. `progress` reads how far a
submission has come, `read_values` returns the values of each image, and `report` puts both into
words. Progress goes to the logger `hybridq`; from Python it shows once logging is set up, as by
`logging.basicConfig(level=logging.INFO)`.
"""

from __future__ import annotations

from hybridq.submissions.collect import Progress, all_progress, cancel, collect, progress
from hybridq.submissions.compare import Compared, compare_backends
from hybridq.submissions.plan.plan import Plan
from hybridq.submissions.plan.values import Values, read_values
from hybridq.submissions.recover import recover
from hybridq.submissions.report import plan_table, result_table, status_table
from hybridq.submissions.submit import Outcome, submit
from hybridq_backends.jobs.ledger.chunks import Chunk, ChunkState

__all__ = [
    "Chunk",
    "ChunkState",
    "Compared",
    "Outcome",
    "Plan",
    "Progress",
    "Values",
    "all_progress",
    "cancel",
    "collect",
    "compare_backends",
    "plan_table",
    "progress",
    "read_values",
    "recover",
    "result_table",
    "status_table",
    "submit",
]
