"""Find the cheapest places of a device where a pattern of coupled qubits fits.

As mapomatic does (Nation and Treinish, PRX Quantum 4, 010327, 2023), a compiled circuit is
moved to every place of the device with the couplings it uses. The search goes qubit by qubit
and turns back where even the best of the rest would not be among the cheapest.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

Coupling: TypeAlias = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Pattern:
    """A pattern of qubits to be placed, with the cost of each place.

    Attributes:
        nodes: For each of the V qubits of the pattern, its cost on each of the Q physical
            qubits, (V, Q); infinite where it cannot be.
        couplings: For each coupled pair (u, v) of the pattern, the cost of each ordered pair of
            physical qubits (a, b) with u on a and v on b; pairs that are left out cannot be used.
    """

    nodes: Sequence[Sequence[float]]
    couplings: Mapping[Coupling, Mapping[Coupling, float]]


def cheapest_places(
    pattern: Pattern, *, most: int, steps: int = 200_000
) -> list[tuple[float, tuple[int, ...]]]:
    """Find the cheapest places of a pattern.

    Args:
        pattern: The qubits to place.
        most: How many places to find.
        steps: The most steps of the search, shared evenly among the physical qubits that it
            starts from; patterns of a few qubits need far fewer, and the result is exact.

    Returns:
        Cost and physical qubit of each qubit of the pattern, cheapest first; the same for the
        same pattern. Empty if it fits nowhere.
    """
    search = _Search(pattern, most)
    first = search.order[0]
    starts = sorted(
        (cost, place) for place, cost in enumerate(pattern.nodes[first]) if math.isfinite(cost)
    )
    for cost, place in starts:
        search.steps_left = max(1, steps // len(starts))
        search.place(first, place, cost)
    return sorted((-negative, tuple(-q for q in places)) for negative, places in search.found)


class _Search:
    """A depth-first search that keeps the cheapest places found so far."""

    def __init__(self, pattern: Pattern, most: int) -> None:
        """Order the qubits, each after one it is coupled to, and bound what is left."""
        self.pattern = pattern
        self.most = most
        self.found: list[tuple[float, tuple[int, ...]]] = []  # a heap, dearest first
        self.steps_left = 0
        self._places: dict[int, int] = {}
        self._coupled = _both_ways(pattern)
        self._near = {pair: _neighbours(costs) for pair, costs in self._coupled.items()}
        self.order = _order(len(pattern.nodes), self._coupled)
        self._depth = {node: depth for depth, node in enumerate(self.order)}
        self._rest = self._bounds()

    def place(self, node: int, place: int, cost: float) -> None:
        """Put a qubit of the pattern on a physical qubit, and continue the search."""
        depth = self._depth[node] + 1
        if self._is_hopeless(cost + self._rest[depth]) or self.steps_left <= 0:
            return
        self.steps_left -= 1
        self._places[node] = place
        if depth == len(self.order):
            self._keep(cost)
        else:
            following = self.order[depth]
            for step, further in self._choices(following):
                if self._is_hopeless(cost + step + self._rest[depth + 1]):
                    break
                self.place(following, further, cost + step)
        del self._places[node]

    def _choices(self, node: int) -> list[tuple[float, int]]:
        """List where a qubit can go, cheapest first."""
        placed = [other for other in self._places if (other, node) in self._coupled]
        near = (
            self._near[placed[0], node].get(self._places[placed[0]], ())
            if placed
            else range(len(self.pattern.nodes[node]))
        )
        taken = set(self._places.values())
        choices = []
        for place in near:
            cost = self.pattern.nodes[node][place]
            for other in placed:
                pair = (self._places[other], place)
                cost += self._coupled[other, node].get(pair, math.inf)
            if math.isfinite(cost) and place not in taken:
                choices.append((cost, place))
        return sorted(choices)

    def _keep(self, cost: float) -> None:
        """Keep a full placement, and drop the most expensive if there are too many."""
        places = tuple(-self._places[node] for node in range(len(self.order)))
        heapq.heappush(self.found, (-cost, places))
        if len(self.found) > self.most:
            heapq.heappop(self.found)

    def _is_hopeless(self, cost: float) -> bool:
        """Whether a placement of this cost would not be kept."""
        return len(self.found) == self.most and cost > -self.found[0][0]

    def _bounds(self) -> list[float]:
        """Compute for each depth the least cost of the remaining qubits."""
        bounds = [0.0]
        for node in reversed(self.order):
            least = min(self.pattern.nodes[node])
            for other in self.order[: self._depth[node]]:
                if (other, node) in self._coupled:
                    least += min(self._coupled[other, node].values(), default=math.inf)
            bounds.append(bounds[-1] + least)
        return bounds[::-1]


def _both_ways(pattern: Pattern) -> dict[Coupling, dict[Coupling, float]]:
    """Write each pair of the pattern, and its costs, in both orders."""
    both: dict[Coupling, dict[Coupling, float]] = {}
    for (u, v), costs in pattern.couplings.items():
        both[u, v] = dict(costs)
        both[v, u] = {(b, a): cost for (a, b), cost in costs.items()}
    return both


def _neighbours(costs: Mapping[Coupling, float]) -> dict[int, list[int]]:
    """List for each physical qubit those where the next qubit can be."""
    near: dict[int, list[int]] = {}
    for a, b in sorted(costs):
        near.setdefault(a, []).append(b)
    return near


def _order(size: int, coupled: Mapping[Coupling, object]) -> list[int]:
    """Order the qubits: the most coupled first, then those coupled to most that are placed."""
    degree = [sum(u == node for u, _ in coupled) for node in range(size)]
    order: list[int] = []
    left = set(range(size))
    while left:
        node = max(left, key=lambda n: (sum((o, n) in coupled for o in order), degree[n], -n))
        order.append(node)
        left.remove(node)
    return order
