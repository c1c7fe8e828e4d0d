"""What a noise study asks: its settings, and which trained models it asks about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from hybridq.config import NoiseStudyConfig
from hybridq.errors import InvalidValueError
from hybridq.models.checkpoint import ModelSpec, read_spec
from hybridq.models.heads import control_of, quantum_heads
from hybridq.quantum import look_up
from hybridq.studies.lists import entries, numbers
from hybridq_backends.devices.snapshots import fake_device
from hybridq_backends.utils.names import legible

BY_SCALE = "zne_by_scale"
REHEARSED: dict[str, dict[str, bool]] = {
    "trex": {"measure_mitigation": True},
    "zne": {"zne_mitigation": True},
    "dd": {"dynamical_decoupling": True},
    "trex+zne": {"measure_mitigation": True, "zne_mitigation": True},
}
"""Mitigation by IBM's estimator, as fields of a rehearsal at resilience level 0."""

MOST_SCALE = 100.0
MOST_SETTINGS = 100_000
MITIGATIONS = ("none", *REHEARSED, BY_SCALE)


@dataclass(frozen=True)
class Grid:
    """The settings of a study; every combination is one.

    Attributes:
        devices: Fake devices, or saved calibrations.
        noise_scales: Strengths, factors.
        shots: Counts; None is exact.
        mitigations: Names in `MITIGATIONS`.
        repeats: Draws of the shots for each setting that has shots.
    """

    devices: tuple[str, ...]
    noise_scales: tuple[float, ...]
    shots: tuple[int | None, ...]
    mitigations: tuple[str, ...]
    repeats: int

    def points(self) -> list[tuple[int | None, str, int]]:
        """Shots, mitigation and repeat of each setting on one device at one noise scale."""
        return [
            (shots, mitigation, repeat)
            for shots in self.shots
            for mitigation in self.mitigations
            for repeat in range(1 if shots is None else self.repeats)
        ]


def read_grid(config: NoiseStudyConfig) -> Grid:
    """Read the lists of a config.

    Raises:
        InvalidValueError: If an entry is no number, unknown or twice there, the mitigation needs
            shots and there are none, or there are too many settings.
    """
    grid = Grid(
        devices=entries("device", config.device, _device, name=device_name),
        noise_scales=numbers(
            *("noise-scale", config.noise_scale, lambda scale: 0.0 <= scale <= MOST_SCALE),
            "numbers from 0 to 100: write 0,0.5,1,2",
        ),
        shots=entries("shots", config.shots, _count),
        mitigations=entries("mitigation", config.mitigation, _mitigation),
        repeats=config.repeats,
    )
    if grid.shots == (None,):  # no estimator extrapolates exact values: we do, and say so
        named = (BY_SCALE if name == "zne" else name for name in grid.mitigations)
        grid = replace(grid, mitigations=tuple(dict.fromkeys(named)))
    if BY_SCALE in grid.mitigations and 3 * max(grid.noise_scales) > MOST_SCALE:
        raise InvalidValueError(
            f"Expected --noise-scale up to {MOST_SCALE / 3:g} with {BY_SCALE}, which looks at "
            f"three times the scale, got {max(grid.noise_scales):g}: lower it."
        )
    sampled = [name for name in grid.mitigations if name in REHEARSED]
    if None in grid.shots and sampled:
        raise InvalidValueError(
            f"Expected shots with --mitigation {sampled[0]}, which IBM's estimator does, got "
            f"`none` in --shots {config.shots}: give counts alone, or take {BY_SCALE}."
        )
    settings = len(grid.devices) * len(grid.noise_scales) * len(grid.points())
    if settings > MOST_SETTINGS:
        raise InvalidValueError(
            f"Expected at most {MOST_SETTINGS} settings of devices, scales, shots, mitigation and "
            f"repeats together, got {settings}: make several studies."
        )
    return grid


def _device(word: str) -> str:
    fake_device(word)
    return word


def device_name(device: str) -> str:
    """A fake device's name, or that of a calibration's file without its folder."""
    return legible(Path(device).stem) if device.endswith(".json") else device


def _count(word: str) -> int | None:
    if word.lower() == "none":
        return None
    if not word.isdecimal() or not 1 <= int(word) <= 10_000_000:
        raise InvalidValueError(
            f"Expected --shots of counts from 1 to 10000000, or `none`, got {word!r}: write "
            "none,1024,4096."
        )
    return int(word)


def _mitigation(word: str) -> str:
    return look_up("mitigation", word, {name: name for name in MITIGATIONS})


@dataclass(frozen=True)
class Pair:
    """A trained quantum model, and the classical control trained like it.

    Attributes:
        run: Run folder of the quantum model.
        control: Run folder of its control.
        spec: What the quantum model is.
    """

    run: Path
    control: Path
    spec: ModelSpec


def pair_with_controls(models: tuple[Path, ...]) -> list[Pair]:
    """Find for each quantum model its control among the models.

    Raises:
        MissingFileError: If a folder has no model.
        InvalidValueError: If there is no quantum model, a control is missing, or the models are
            of different data.
    """
    specs = {run: read_spec(run) for run in dict.fromkeys(run.resolve() for run in models)}
    quantum = {run: spec for run, spec in specs.items() if control_of(spec.head.name)}
    if not quantum:
        raise InvalidValueError(
            f"Expected at least one run with a head of {', '.join(quantum_heads())}, got "
            f"{len(specs)} without: give run folders of `hybridq finetune`."
        )
    _check_alike(quantum)
    pairs = []
    for run, spec in quantum.items():
        wanted = control_of(spec.head.name) or ""
        found = [one for one, other in specs.items() if _likeness(other) == _likeness(spec, wanted)]
        if len(found) != 1:
            raise InvalidValueError(
                f"Expected beside {str(run)!r} one run of its control, with head {wanted}, the "
                f"same data, labels and seed, got {len(found)}: train it with `hybridq finetune "
                f"--config {run / 'config.json'} --head {wanted}`, and give that one too."
            )
        pairs.append(Pair(run, found[0], spec))
    return pairs


def _check_alike(quantum: Mapping[Path, ModelSpec]) -> None:
    """Refuse models that a table of means over seeds would mix up."""
    kinds = {
        (spec.data, spec.class_names, spec.labels, spec.head, spec.encoder.weights)
        for spec in quantum.values()
    }
    seeds = [spec.seed for spec in quantum.values()]
    if len(kinds) != 1 or len(set(seeds)) != len(seeds):
        what = "one seed twice" if len(kinds) == 1 else "different ones"
        raise InvalidValueError(
            f"Expected quantum models that differ by their seed alone (data, labels, head and "
            f"encoder alike, each seed once), got {what}: make a study of each kind."
        )


def _likeness(spec: ModelSpec, head: str | None = None) -> tuple[object, ...]:
    """What a model and its control have in common, and the name of the head."""
    name = spec.head.name if head is None else head
    trained = (spec.data, spec.class_names, spec.labels, spec.seed, spec.encoder.weights)
    return (name, getattr(spec.head, "num_qubits", None), *trained)
