"""The machines of a study of kernels, and what it asks of them."""

from __future__ import annotations

from dataclasses import dataclass

from hybridq.config import HeadConfig, KernelsStudyConfig, head_config
from hybridq.errors import InvalidValueError
from hybridq.evaluation.statistics import Question
from hybridq.models.heads import control_of, head_entry
from hybridq.models.heads.fitted.kernel import KernelConfig
from hybridq.models.heads.fitted.kernel_bank import is_quantum, kernel_names
from hybridq.studies.lists import entries, numbers, qubits_of

BANK, CLASSICAL_BANK, BOOSTING = "quantum-bank", "classical-bank", "boosting"
"""Quantum kernels together, classical ones together, and boosted trees."""
RESERVOIR = "reservoir"
EMBEDDINGS = ("random_fourier", "random_tanh", "cubic", "components")
"""Heads that the reservoir is compared with."""
MOST_QUBITS = 12
CALLED = {
    BANK: "quantum kernels, aligned",
    CLASSICAL_BANK: "classical kernels, aligned",
    BOOSTING: "boosted trees",
    "components": "logistic regression",
}
"""What machines are called in words; others by the name of their kernel or head."""


@dataclass(frozen=True)
class Machine:
    """A machine on the first principal components of the features.

    Attributes:
        kind: Its kernel or head, or one of the names above.
        qubits: The number of components, and of qubits where it has circuits.
        head: What is built; None for boosted trees.
    """

    kind: str
    qubits: int
    head: HeadConfig | None

    @property
    def is_quantum(self) -> bool:
        """Whether it has circuits."""
        return self.head is not None and control_of(self.head.name) is not None

    @property
    def is_kernel(self) -> bool:
        """Whether it is a machine on kernels."""
        return isinstance(self.head, KernelConfig)

    @property
    def name(self) -> str:
        """Its name in tables and files."""
        return name_of(self.kind, self.qubits)


def name_of(kind: str, qubits: int) -> str:
    """Name a machine, in tables and files."""
    return f"{kind}-{qubits}"


def called(name: str) -> str:
    """Say what a machine is, by its name."""
    kind, _, qubits = name.rpartition("-")
    return f"{CALLED.get(kind, kind)}, {qubits} components"


def machines_of(config: KernelsStudyConfig) -> list[Machine]:
    """List the machines of a study.

    Raises:
        InvalidValueError: If a name is unknown, a head is trained by gradient, or there is none.
    """
    names = kernel_names(config.kernels)
    heads = () if config.heads == "none" else entries("heads", config.heads, _fitted)
    found: list[Machine] = []
    for qubits in qubits_of(config.qubits, most=MOST_QUBITS):
        for name in names:
            found.append(_machine(name, (name,), qubits))
        banks = {
            BANK: tuple(name for name in names if is_quantum(name)),
            CLASSICAL_BANK: tuple(name for name in names if not is_quantum(name)),
        }
        found += [_machine(name, own, qubits) for name, own in banks.items() if len(own) > 1]
        for head in heads:
            made = head_config(head, num_qubits=qubits)
            found.append(Machine(_own(head, names), qubits, made))
        if config.boosting:
            found.append(Machine(BOOSTING, qubits, None))
    return found


def _own(head: str, kernels: list[str]) -> str:
    """Name a head so that no kernel is called alike."""
    return f"{head}-embedding" if head in kernels else head.replace(":", ".")


def _machine(kind: str, kernels: tuple[str, ...], qubits: int) -> Machine:
    quantum = any(map(is_quantum, kernels))
    head = head_config(
        "qkernel" if quantum else "kernel", kernels=",".join(kernels), num_qubits=qubits
    )
    return Machine(kind, qubits, head)


def _fitted(word: str) -> str:
    entry = head_entry(word)
    if not entry.fitted or "num_qubits" not in entry.config.model_fields:
        raise InvalidValueError(
            f"Expected --heads that are fitted in closed form on components, got {word!r}: take "
            "`study blocks` for it."
        )
    return word


def bandwidths_of(config: KernelsStudyConfig) -> tuple[float, ...]:
    """Read the bandwidths at which kernels are described."""
    what = "numbers above 0 and at most 100: such as 0.5,1"
    return numbers("bandwidths", config.bandwidths, lambda one: 0 < one <= 100, what)


KERNELS, TOGETHER, RESERVOIRS = "kernels", "banks", "reservoirs"


def questions(machines: list[Machine]) -> list[Question]:
    """List what is asked beforehand, of quantum machines and classical ones of as many components.

    The bank of quantum kernels is asked about the classical ones, the tuned radial kernel, logistic
    regression and boosted trees; each quantum kernel about the radial one; the reservoir about
    classical embeddings. The verdicts of a topic and an amount of labels
    hold together, over all numbers of qubits.
    """
    there = {one.name for one in machines}
    by_head = {(one.head.name, one.qubits): one for one in machines if one.head is not None}
    asked = []

    def ask(topic: str, text: str, one: Machine, kind: str) -> None:
        other = name_of(kind, one.qubits)
        if other in there:
            asked.append(Question(topic, text, one.name, other, topic, primary=True))

    for one in machines:
        if not one.is_quantum:
            continue
        if one.kind == BANK:
            ask(TOGETHER, "do quantum kernels beat classical ones", one, CLASSICAL_BANK)
            ask(TOGETHER, "do they beat the tuned radial kernel", one, "rbf")
            ask(TOGETHER, "do they beat logistic regression", one, "components")
            ask(TOGETHER, "do they beat boosted trees", one, BOOSTING)
        elif one.head is not None and one.head.name == RESERVOIR:
            for head in EMBEDDINGS:
                if (head, one.qubits) in by_head:
                    kind = by_head[head, one.qubits].kind
                    ask(RESERVOIRS, "does the reservoir beat a classical embedding", one, kind)
        elif one.is_kernel:
            ask(KERNELS, "does the kernel beat the tuned radial one", one, "rbf")
    return asked
