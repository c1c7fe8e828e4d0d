"""What a study of blocks crosses, and what it asks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hybridq.config import BlocksStudyConfig, CircuitHeadConfig, HeadConfig, head_config
from hybridq.errors import InvalidValueError
from hybridq.evaluation.statistics import Question
from hybridq.models.heads import control_of, head_entry
from hybridq.models.reducers import MAPS
from hybridq.studies.heads.given import Given
from hybridq.studies.lists import entries, names_of, qubits_of

PRETRAINED, RANDOM, IMAGENET, PIXELS = "pretrained", "random", "imagenet", "pixels"
KINDS = (PRETRAINED, RANDOM, IMAGENET, PIXELS)
"""What heads stand on: features of the runs' encoders, of untrained ones, of the one that was
trained on ImageNet, or raw pixels."""
ONCE = (IMAGENET, PIXELS)
"""Those that are the same whatever the run."""
WITHOUT = "none"
"""The reducer of a head that has none, or one of its own."""


@dataclass(frozen=True)
class Combination:
    """An encoder, a reducer and a head that are put together.

    Attributes:
        kind: What the head stands on.
        reducer: How features become angles; `none` where the head does not say.
        head: The name of the head.
        qubits: Qubits of its circuit, or the width of a control; 0 where the head does not say.
        config: The config of the head.
    """

    kind: str
    reducer: str
    head: str
    qubits: int
    config: HeadConfig

    @property
    def name(self) -> str:
        """Its name in tables and files."""
        return name_of(self.kind, self.reducer, self.head, self.qubits)


def name_of(kind: str, reducer: str, head: str, qubits: int) -> str:
    """Name a combination, in tables and files."""
    return f"{kind}-{reducer}-{head.replace(':', '.')}-{qubits}"


def kinds_of(config: BlocksStudyConfig) -> tuple[str, ...]:
    """Read what heads stand on."""
    return names_of("encoders", config.encoders, KINDS)


def combinations(config: BlocksStudyConfig, given: Given) -> list[Combination]:
    """List what is put together; a head that has no reducer or no qubits stands there once.

    Raises:
        InvalidValueError: If a name is unknown, or a config cannot be.
    """
    reducers = names_of("reducers", config.reducers, tuple(MAPS))
    qubits = qubits_of(config.qubits)
    heads = entries("heads", config.heads, _named)
    found: dict[str, Combination] = {}
    for kind in kinds_of(config):
        for head in heads:
            for one in _settings(head, reducers, qubits, config, given):
                if kind == PIXELS and head_entry(head).input == "map":
                    continue  # pixels have no feature maps
                own = Combination(kind, *one)
                found.setdefault(own.name, own)
    return list(found.values())


def _named(word: str) -> str:
    head_entry(word)
    return word


def _settings(
    head: str, reducers: tuple[str, ...], qubits: list[int], config: BlocksStudyConfig, given: Given
) -> Iterator[tuple[str, str, int, HeadConfig]]:
    known = head_entry(head).config.model_fields
    asked = {"num_layers": config.num_layers, "encoding": config.encoding}
    asked |= {"ansatz": config.ansatz, "entanglement": config.entanglement}
    same: dict[str, Any] = {key: value for key, value in asked.items() if value is not None}
    if head_entry(head).config is CircuitHeadConfig:  # those of papers have circuits of their own
        same = given.circuit | same
    same = {key: value for key, value in same.items() if key in known and key != "num_qubits"}
    for reducer in reducers if "reducer" in known else (WITHOUT,):
        for width in qubits if "num_qubits" in known else (0,):
            fields = dict(same)
            if reducer != WITHOUT:
                fields |= {"reducer": reducer, "tt_rank": config.tt_rank}
            if width:
                fields["num_qubits"] = width
            yield reducer, head, width, head_config(head, **fields)


def called(name: str) -> str:
    """Say what a combination is, by its name."""
    kind, reducer, rest = name.split("-", 2)
    head, _, qubits = rest.rpartition("-")
    on = {RANDOM: "untrained", IMAGENET: "ImageNet", PIXELS: "raw pixels"}.get(kind, kind)
    parts = [on, *([reducer] if reducer != WITHOUT else []), head]
    return ", ".join([*parts, f"{qubits} qubits"] if qubits != "0" else parts)


ENCODERS, REDUCERS, CONTROLS = "encoders", "reducers", "controls"


def questions(found: list[Combination]) -> list[Question]:
    """List what is asked beforehand of quantum heads on pretrained encoders.

    It is asked of what they stand on, of their reducers, and of their controls.
    """
    there = {one.name: one for one in found}

    def like(one: Combination, **changes: str) -> str | None:
        parts = {"kind": one.kind, "reducer": one.reducer, "head": one.head} | changes
        name = name_of(**parts, qubits=one.qubits)
        return name if name in there else None

    asked = []

    def ask(topic: str, text: str, one: Combination, other: str | None) -> None:
        if other is not None:
            asked.append(Question(topic, text, one.name, other, topic, primary=True))

    for one in found:
        control = control_of(one.head)
        if one.kind != PRETRAINED or control is None:
            continue
        ask(ENCODERS, "is it worth pretraining", one, like(one, kind=RANDOM))
        ask(ENCODERS, "does it beat the same on ImageNet's features", one, like(one, kind=IMAGENET))
        ask(ENCODERS, "does it beat the same on raw pixels", one, like(one, kind=PIXELS))
        if one.reducer not in ("linear", WITHOUT):
            ask(REDUCERS, "does it beat a dense reducer", one, like(one, reducer="linear"))
        ask(CONTROLS, "does the circuit beat its control", one, like(one, head=control))
    return asked


def check_combinations(config: BlocksStudyConfig, found: list[Combination]) -> None:
    """Refuse a study in which nothing can be put together.

    Raises:
        InvalidValueError: If there is nothing.
    """
    if not found:
        raise InvalidValueError(
            f"Expected heads that can stand on {config.encoders}, got {config.heads}: heads that "
            "take feature maps need an encoder."
        )
