"""Where the error of a trained model arises: approximation, estimation and optimisation.

The excess risk of a model over the least that any could have falls into three parts (Bottou &
Bousquet, "The Tradeoffs of Large Scale Learning", 2007, equation 2), which Quantum LEGO
(arXiv:2601.21780) and Pre-X + VQC (arXiv:2411.08552) bound block by block. The risk is the log
loss on new images, in which all classes weigh the same.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ErrorSplit:
    """The parts of a model's risk above a reference.

    Attributes:
        approximation: The risk of the best model of its kind above the reference.
        estimation: The part that comes from few labels: the risk of a model that is trained on them
            to the end, above that of the best of its kind.
        optimisation: The part that comes from short training: the risk of the model itself, above
            that of one that is trained to the end. It is negative where stopping early helps.
    """

    approximation: float
    estimation: float
    optimisation: float

    @property
    def total(self) -> float:
        """The risk above the reference."""
        return self.approximation + self.estimation + self.optimisation


def error_split(*, reference: float, best: float, fitted: float, trained: float) -> ErrorSplit:
    """Split the risk of a model above a reference.

    Args:
        reference: The risk of the Bayes classifier where it is known, or of the best model at hand.
        best: The risk of the best model of this kind: in practice of one that is trained to the end
            on all labels.
        fitted: The risk of one that is trained to the end on the labels at hand.
        trained: The risk of the model.
    """
    return ErrorSplit(best - reference, fitted - best, trained - fitted)
