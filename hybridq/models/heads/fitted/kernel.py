"""Kernel machines on principal components: a bank of quantum kernels, arXiv:2506.14920.

Q2SAR reduces descriptors by PCA and trains a support vector machine on a combination of quantum and
classical kernels. Its kernels and their weights are not published: the bank, alignment as what
weighs it, and what is searched are ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.compiler import is_compiling

from hybridq.config import HeadConfig
from hybridq.errors import InvalidValueError
from hybridq.models.heads.base import seeded
from hybridq.models.heads.entry import HeadEntry
from hybridq.models.heads.fitted.components import (
    check_one_label,
    principal_components,
    searched_rows,
)
from hybridq.models.heads.fitted.kernel_bank import (
    CLASSICAL,
    FidelityKernel,
    is_quantum,
    kernel_names,
    make_kernel,
)
from hybridq.models.heads.fitted.support_vectors import (
    MachineKind,
    choose,
    combine,
    fewer,
    fit_machine,
)
from hybridq.quantum.kernels.alignment import aligned_weights, target_gram
from hybridq.quantum.kernels.measures import nearest_psd
from hybridq.quantum.modules import is_exact
from hybridq.utils.text import counted

if TYPE_CHECKING:
    from hybridq.quantum import Executable

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BANDWIDTHS = (0.25, 0.5, 1.0, 2.0)
"""Radians for a standard deviation of a component, which are searched."""
MOST = 10_000
"""Most rows that a machine is fitted to; their kernel takes 0.8 GB."""


class KernelConfig(HeadConfig):
    """A machine on a weighted sum of kernels of principal components."""

    kernels: str = "angle,zz,bsp,projected-zz"
    """Kernels that are combined, joined by commas: fidelities `angle`, `zz`, `bsp`, `reupload`; of
    reduced states `projected-zz` and so on; classical `rbf`, `linear`, `cubic`."""
    num_qubits: int = Field(4, ge=1, le=12)
    """Principal components, and qubits."""
    repeats: int = Field(1, ge=1, le=20)
    """How often a feature map is repeated."""
    entanglement: str = "linear"
    """Which qubits a feature map entangles: `linear`, `ring`, `full`, `none`."""
    bandwidth: float | None = Field(None, gt=0, le=100)
    """Radians for a standard deviation of a component; searched where it is not given."""
    machine: MachineKind = "svm"
    """What is fitted to the kernel: a support vector machine, `ridge` regression, or `gp`, the mode
    of a Gaussian process; its logits are calibrated within the labels."""
    support: int | None = Field(None, ge=2, le=100_000)
    """Most labelled images that decide, which are support vectors; as many as there are where it is
    not given. On a device every image is compared with each."""


class ClassicalKernelConfig(KernelConfig):
    """The same with classical kernels."""

    kernels: str = "rbf,linear,cubic"
    """Kernels that are combined, joined by commas: classical `rbf`, `linear`, `cubic`."""


class KernelHead(nn.Module):
    """The head `logits = slope * (sum_i alpha_i sum_k w_k K_k(x, x_i) + offset) + shift`.

    x are the first principal components of standardised features, each with variance 1, times a
    bandwidth. Weights w are those of centred alignment, C and bandwidth those of the least log loss
    on held-out parts of the labelled images, and slope and shift are Platt's, fitted to the same
    held-out decision values.

    Args:
        in_features: The number of features.
        num_classes: The number of logits.
        config: The config of the head.
        backend: Where circuits run; kernels without circuits ignore it.
        generator: Source of the weights of maps that have any.

    Attributes:
        support: Components of the rows that decide, `(support, num_qubits)`.

    Raises:
        InvalidValueError: If a name is unknown, or circuits have no backend or do not fit it.

    Shape: features `(batch, in_features)` to logits `(batch, num_classes)`.
    """

    mean: Tensor
    axes: Tensor
    bandwidth: Tensor
    weights: Tensor
    support: Tensor
    alpha: Tensor
    offset: Tensor
    slope: Tensor
    shift: Tensor

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        config: KernelConfig,
        backend: Executable | None,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.config = config
        self.num_classes = num_classes
        names, width = kernel_names(config.kernels), config.num_qubits
        sizes = width, config.repeats, config.entanglement
        self.kernels = nn.ModuleList(
            make_kernel(name, *sizes, backend, generator) for name in names
        )
        self.requires_grad_(False)
        machines = 1 if num_classes == 2 else num_classes
        empty = {
            "mean": (in_features,),
            "axes": (width, in_features),
            "bandwidth": (),
            "weights": (len(names),),
            "support": (0, width),
            "alpha": (0, machines),
            "offset": (machines,),
            "slope": (machines,),
            "shift": (machines,),
        }
        for name, shape in empty.items():
            self.register_buffer(name, torch.zeros(shape))

    @torch.no_grad()
    def fit(self, features: Tensor, labels: Tensor) -> None:
        """Fit components, weights, machines and calibration to labelled features.

        Args:
            features: `(images, in_features)`.
            labels: `(images,)` class numbers.

        Raises:
            InvalidValueError: If images have several labels, or are too many.
        """
        classes = labels.cpu().numpy()
        self._check(classes)
        inputs = features.double().cpu().numpy()
        mean, axes = principal_components(inputs, self.config.num_qubits)
        components = (inputs - mean) @ axes.T
        some = searched_rows(classes)
        widths = BANDWIDTHS if self.config.bandwidth is None else (self.config.bandwidth,)
        banks = [list(self._grams(components[some] * one)) for one in widths]
        chosen = choose(banks, classes[some], self.num_classes, seed=0, kind=self.config.machine)
        bandwidth, bank = widths[chosen.place], banks[chosen.place]
        weights = aligned_weights(bank, target_gram(classes[some], self.num_classes))
        whole = bank if len(some) == len(classes) else self._grams(components * bandwidth)
        gram = combine(whole, weights)
        machine = fit_machine(gram, classes, self.num_classes, chosen, self.config.machine)
        kept, machine = fewer(gram, machine, classes, self.config.support or len(classes))
        self._keep(
            mean=mean,
            axes=axes,
            bandwidth=np.array(bandwidth),
            weights=weights,
            support=components[kept],
            alpha=machine.alpha,
            offset=machine.offset,
            slope=machine.slope,
            shift=machine.shift,
        )

    def forward(self, features: Tensor) -> Tensor:
        """Map features `(batch, in_features)` to logits `(batch, num_classes)`."""
        components = (features - self.mean) @ self.axes.T
        rows, columns = components * self.bandwidth, self.support * self.bandwidth
        kernel = rows.new_zeros(rows.shape[0], columns.shape[0])
        for weight, one in zip(self.weights, self.kernels, strict=True):
            if is_compiling() or bool(weight):  # a device need not run what counts for nothing
                kernel = kernel + weight * one(rows, columns)
        logits: Tensor = self.slope * (kernel @ self.alpha + self.offset) + self.shift
        if self.num_classes > 2:
            return logits
        return torch.cat([torch.zeros_like(logits), logits], dim=1)

    def about_fit(self) -> str:
        """Say what was chosen: the weights of the kernels, the bandwidth, and what decides."""
        names = kernel_names(self.config.kernels)
        weights = zip(names, (self.weights / self.weights.sum()).tolist(), strict=True)
        parts = ", ".join(f"{name} {weight:.2f}" for name, weight in weights)
        return (
            f"shares of the kernels: {parts}; bandwidth {float(self.bandwidth):g}; "
            f"{counted(len(self.support), 'support vector')}"
        )

    def about_job(self, images: int, rows: int, seconds: float) -> list[tuple[str, str]]:
        """Say what the dry run of a job adds: what fewer support vectors would save.

        Args:
            images: The number of images.
            rows: The number of circuits to run.
            seconds: Their estimated QPU seconds.
        """
        count = len(self.support)
        of_pairs = sum(
            isinstance(one, FidelityKernel) and bool(weight)
            for weight, one in zip(self.weights, self.kernels, strict=True)
        )
        if count < 4 or not of_pairs:
            return []
        pairs, half = of_pairs * images * count, count // 2
        saved = of_pairs * images * (count - half)
        text = (
            f"{count}: {pairs:,} of {rows:,} circuits compare an image with one of them; `finetune "
            f"--head.support {half}` would save {saved:,}, about {seconds * saved / rows:.0f} s"
        )
        return [("support vectors", text)]

    def _grams(self, rows: Floats) -> Iterator[Floats]:
        """Compute the Gram matrix of every kernel, one after the other.

        Of one that is not computed exactly, negative eigenvalues are set to 0.
        """
        angles = torch.from_numpy(rows)
        for one in self.kernels:
            gram = one.gram(angles).double().cpu().numpy()  # type: ignore[operator]
            layer = getattr(one, "layer", None)
            yield gram if layer is None or is_exact(layer) else nearest_psd(gram)[0]

    def _keep(self, **values: Floats) -> None:
        for name, value in values.items():
            there: Tensor = getattr(self, name)
            setattr(self, name, torch.as_tensor(value).to(there))

    def _check(self, labels: Ints) -> None:
        check_one_label(labels, self.config.name)
        if len(labels) > MOST:
            raise InvalidValueError(
                f"Expected at most {MOST:,} labelled images with head {self.config.name!r}, whose "
                f"kernel is of all pairs, got {len(labels):,}: lower --labels, or take another "
                "head."
            )


def build_kernel(
    in_features: int,
    num_classes: int,
    config: KernelConfig,
    *,
    backend: Executable | None = None,
    generator: torch.Generator | None = None,
) -> KernelHead:
    """Build the head, as `HeadEntry.build` is called.

    Raises:
        InvalidValueError: If none of its kernels has a circuit.
    """
    if not any(map(is_quantum, kernel_names(config.kernels))):
        raise InvalidValueError(
            f"Expected a kernel with a circuit for head {config.name!r}, got {config.kernels!r}: "
            "take the head kernel, which is classical."
        )
    return KernelHead(in_features, num_classes, config, backend, seeded(generator))


def build_classical_kernel(
    in_features: int,
    num_classes: int,
    config: ClassicalKernelConfig,
    *,
    backend: Executable | None = None,
    generator: torch.Generator | None = None,
) -> KernelHead:
    """Build the control, which has no circuit.

    Raises:
        InvalidValueError: If one of its kernels has.
    """
    if quantum := [name for name in kernel_names(config.kernels) if is_quantum(name)]:
        raise InvalidValueError(
            f"Expected classical kernels for head {config.name!r}, got {quantum[0]!r}: take "
            f"{', '.join(CLASSICAL)}, or the head qkernel."
        )
    return KernelHead(in_features, num_classes, config, None, seeded(generator))


QKERNEL = HeadEntry(
    KernelConfig, build_kernel, "quantum kernels, aligned", control="kernel", fitted=True
)
KERNEL = HeadEntry(
    ClassicalKernelConfig, build_classical_kernel, "classical kernels, aligned", fitted=True
)
