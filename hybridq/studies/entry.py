"""What a study has to say of itself to be called by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hybridq.config import Config


@dataclass(frozen=True)
class StudyEntry:
    """A study that `hybridq study NAME` runs.

    Functions may also be given as `package.module:name`.

    Attributes:
        config: What it can be told; its first line of documentation is its summary.
        run: What runs a config and gives the folder of the finished study.
        show: What makes of that folder the text that is printed.
        plan: What makes of a config with `plan` the text that is printed in place of a run; None
            where the study has no plan.
    """

    config: type[Config]
    run: Callable[[Any], Path] | str
    show: Callable[[Path], str] | str
    plan: Callable[[Any], str] | str | None = None
