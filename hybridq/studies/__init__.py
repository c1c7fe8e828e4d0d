"""Studies of trained models, each over a grid of settings, by name."""

from __future__ import annotations

from hybridq.config import (
    AblationStudyConfig,
    BlocksStudyConfig,
    CapacityStudyConfig,
    KernelsStudyConfig,
    NoiseStudyConfig,
)
from hybridq.studies.entry import StudyEntry

__all__ = ["STUDIES", "StudyEntry"]

STUDIES: dict[str, StudyEntry] = {
    "noise": StudyEntry(
        NoiseStudyConfig,
        run="hybridq.studies.noise.study:noise_study",
        show="hybridq.studies.engine.study:show",
    ),
    "ablation": StudyEntry(
        AblationStudyConfig,
        run="hybridq.studies.ablation.study:ablation_study",
        show="hybridq.studies.engine.study:show",
        plan="hybridq.studies.ablation.plan:ablation_plan",
    ),
    "capacity": StudyEntry(
        CapacityStudyConfig,
        run="hybridq.studies.capacity.study:capacity_study",
        show="hybridq.studies.engine.study:show",
    ),
    "blocks": StudyEntry(
        BlocksStudyConfig,
        run="hybridq.studies.blocks.study:blocks_study",
        show="hybridq.studies.engine.study:show",
    ),
    "kernels": StudyEntry(
        KernelsStudyConfig,
        run="hybridq.studies.kernels.study:kernels_study",
        show="hybridq.studies.engine.study:show",
    ),
}
"""The studies. One of units, tables and sentences is made by `hybridq.studies.engine.of_units`."""
