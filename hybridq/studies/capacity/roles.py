"""The role of the circuit, by rules that were fixed before anything was read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from hybridq.records.findings import Verdict
from hybridq.studies.capacity.arms import MEAN, RESET

Name: TypeAlias = Literal[
    "contributor", "dead weight", "interchangeable", "regulariser", "undecided"
]

SMALL = ("mlp", "rff", "low_rank", "identity")
"""Classical blocks no larger than the circuit."""
POLYNOMIAL = "trig"
"""The larger block that holds every circuit of the encoding."""

WORDS: dict[Name, str] = {
    "contributor": "better than every classical block of its size",
    "dead weight": "nothing is lost when it is taken away",
    "interchangeable": "nothing is lost with a classical block in its place",
    "regulariser": "better than the free polynomial that contains it, not than the small blocks",
    "undecided": "no rule applies to what could be decided",
}


@dataclass(frozen=True)
class Role:
    """A role of the circuit, and what it rests on.

    Attributes:
        name: The role.
        rests_on: The arms whose comparisons with the circuit say so.
    """

    name: Name
    rests_on: tuple[str, ...] = ()


def roles(verdicts: Mapping[str, Verdict]) -> tuple[Role, ...]:
    """Say what the circuit is, from verdicts on it.

    The first role counts, the others hold beside it. The rules, in their order:

    - *contributor*: better than every classical block of its size (`SMALL`);
    - *dead weight*: its mean, or its weights as they began, does no worse in its place;
    - *interchangeable*: its matched MLP, the polynomial or the identity does no worse;
    - *regulariser*: better than the polynomial that contains it, and no contributor;
    - *undecided*: none of these.

    "Does no worse" is a verdict on the circuit of `equivalent` or `worse`: nothing is lost by the
    exchange.

    Args:
        verdicts: The verdicts on the circuit, by the arm that it was compared with; comparisons
            that were not made are left out.

    Returns:
        At least one role.
    """

    def not_beaten(*arms: str) -> tuple[str, ...]:
        return tuple(arm for arm in arms if verdicts.get(arm) in ("equivalent", "worse"))

    found = []
    small = tuple(arm for arm in SMALL if arm in verdicts)
    is_contributor = bool(small) and all(verdicts[arm] == "better" for arm in small)
    if is_contributor:
        found.append(Role("contributor", small))
    if rests_on := not_beaten(MEAN, RESET):
        found.append(Role("dead weight", rests_on))
    if rests_on := not_beaten("mlp", POLYNOMIAL, "identity"):
        found.append(Role("interchangeable", rests_on))
    if verdicts.get(POLYNOMIAL) == "better" and not is_contributor:
        found.append(Role("regulariser", (POLYNOMIAL,)))
    return tuple(found) or (Role("undecided"),)
