"""Running statistics of batch norm that hold nothing of their initial values."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


class EvenStatistics:
    """Average the first batches evenly in the running statistics of every batch norm.

    The running mean and variance begin as 0 and 1, and with a momentum of 0.1 a share of 0.9^n of
    that is left after n batches. The variances in an untrained MobileNetV2 are below 0.001, so that
    after 60 batches the share decides, each of the 52 layers scales its input wrongly, and the
    network gives all images one class outside training. Here batch n enters with a weight of
    1/(n+1) while that is above the momentum: nothing of the initial values is left after the first.
    Training itself uses the statistics of its batches and does not change.

    Args:
        module: Has the layers.
    """

    def __init__(self, module: nn.Module) -> None:
        self._young: list[tuple[_BatchNorm, float]] = [
            (layer, layer.momentum)
            for layer in module.modules()
            if isinstance(layer, _BatchNorm) and layer.momentum and layer.track_running_stats
        ]

    def before_batch(self) -> None:
        """Set the weight of the batch, until the layer's own momentum is the larger."""
        young = []
        for layer, momentum in self._young:
            seen = 0 if layer.num_batches_tracked is None else int(layer.num_batches_tracked)
            layer.momentum = max(momentum, 1 / (seen + 1))
            if layer.momentum > momentum:
                young.append((layer, momentum))
        self._young = young

    def end(self) -> None:
        """Give the layers their own momentum back."""
        for layer, momentum in self._young:
            layer.momentum = momentum
