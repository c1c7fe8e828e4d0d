"""Fuse the channels of a circuit into fewer ones.

Channels on the same two qubits (rarely on one, or on more than two), with nothing on either of them
in between, become one channel, together with the single-qubit channels before and after them. One
that an input enters is kept apart from those that all samples share, and none depends on more than
`MOST_ANGLES` angles, as the number of its matrices is 3 to their number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

from hybridq.quantum.density.channels import Channel

MOST_ANGLES = 2


@dataclass(eq=False)
class _Stretch:
    """Consecutive channels on the same qubits, ascending, before anything else touches them."""

    qubits: tuple[int, ...]
    channels: list[Channel] = field(default_factory=list)


def fuse(channels: Sequence[Channel], on_inputs: Sequence[bool]) -> list[Channel]:
    """Fuse channels into fewer ones on ascending qubits, in a valid order.

    Args:
        channels: The channels of a circuit.
        on_inputs: For each angle whether it differs between the samples.
    """
    waiting: dict[int, list[Channel]] = {}  # on one qubit, until a wider one takes them along
    newest: dict[int, _Stretch] = {}
    stretches: list[_Stretch] = []

    def stretch_on(qubits: tuple[int, ...]) -> _Stretch:
        """Return the newest stretch if it is on exactly these qubits, or a new one."""
        found = newest.get(qubits[0])
        if found is None or found.qubits != qubits or any(newest[q] is not found for q in qubits):
            found = _Stretch(qubits)
            stretches.append(found)
            newest.update(dict.fromkeys(qubits, found))
        return found

    def extend(stretch: list[Channel], channel: Channel) -> None:
        """Multiply a channel to the last one, if the two may be fused."""
        if stretch:
            together = stretch[-1].angles + channel.angles
            if len(together) <= MOST_ANGLES and len({on_inputs[one] for one in together}) <= 1:
                channel = stretch.pop().then(channel)
        stretch.append(channel)

    def take_waiting(stretch: _Stretch, qubits: Sequence[int]) -> None:
        """List the waiting single-qubit channels, first those that act first on their qubits."""
        for ones in zip_longest(*(waiting.pop(qubit, []) for qubit in qubits)):
            for one in ones:
                if one is not None:
                    extend(stretch.channels, one.on(stretch.qubits))

    for channel in channels:
        if len(channel.qubits) == 1:
            extend(waiting.setdefault(channel.qubits[0], []), channel)
        else:
            stretch = stretch_on(tuple(sorted(channel.qubits)))
            take_waiting(stretch, stretch.qubits)
            extend(stretch.channels, channel.on(stretch.qubits))
    while waiting:  # what comes after the last stretch on a qubit
        qubit = next(iter(waiting))
        stretch = newest.get(qubit) or stretch_on((qubit,))
        take_waiting(stretch, [one for one in stretch.qubits if newest[one] is stretch])
    return [channel for stretch in stretches for channel in stretch.channels]
