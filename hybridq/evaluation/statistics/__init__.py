"""Statistics: which of two models is better, equivalent, or not yet told apart."""

from hybridq.evaluation.statistics.bootstrap import Metrics, stratified_bootstrap
from hybridq.evaluation.statistics.comparing import compare, compare_measured, family
from hybridq.evaluation.statistics.comparison import Comparison
from hybridq.evaluation.statistics.crossed import CrossedVariance, crossed_variance
from hybridq.evaluation.statistics.delong import auc_covariance
from hybridq.evaluation.statistics.equivalence import tost
from hybridq.evaluation.statistics.hypotheses import McNemar, hedges_g, holm, mcnemar
from hybridq.evaluation.statistics.intervals import (
    auc_interval,
    class_counts,
    enough_images,
    mean_interval,
)
from hybridq.evaluation.statistics.measured import (
    Measured,
    measure_auc,
    measure_figures,
    measure_mean,
)
from hybridq.evaluation.statistics.plan import (
    Design,
    chance_of_equivalence,
    smallest_difference,
)
from hybridq.evaluation.statistics.questions import Question, answers

__all__ = [
    "Comparison",
    "CrossedVariance",
    "Design",
    "McNemar",
    "Measured",
    "Metrics",
    "Question",
    "answers",
    "auc_covariance",
    "auc_interval",
    "chance_of_equivalence",
    "class_counts",
    "compare",
    "compare_measured",
    "crossed_variance",
    "enough_images",
    "family",
    "hedges_g",
    "holm",
    "mcnemar",
    "mean_interval",
    "measure_auc",
    "measure_figures",
    "measure_mean",
    "smallest_difference",
    "stratified_bootstrap",
    "tost",
]
