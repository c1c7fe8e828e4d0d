"""Send a trained run to a device as jobs, each posted at most once (`hybridq submit`)."""

from __future__ import annotations

import logging
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from qiskit import QuantumCircuit
from torch import nn

from hybridq.config import FinetuneConfig, SubmitConfig
from hybridq.errors import InvalidValueError
from hybridq.models.checkpoint import ModelSpec, load_model, read_spec
from hybridq.runs.environment import write_environment
from hybridq.runs.folder import create_run, read_config, write_config
from hybridq.runs.recorded import check_hidden
from hybridq.submissions.deduplication import find_same
from hybridq.submissions.plan.circuit import Program
from hybridq.submissions.plan.comparison import fingerprints_beside
from hybridq.submissions.plan.images import (
    Source,
    features_of,
    source_of,
    threshold_of,
    without_names,
)
from hybridq.submissions.plan.plan import (
    REHEARSAL,
    Limits,
    Plan,
    mitigation_words,
    plan_jobs,
)
from hybridq.submissions.plan.requests import computed, note, read
from hybridq.submissions.plan.submission import (
    COMMAND,
    Images,
    Submission,
    content_of,
    fingerprint_of,
    model_hash,
    runtime_spec,
)
from hybridq.submissions.resume import go_on
from hybridq.utils.pseudonyms import Pseudonyms, pseudonyms_of
from hybridq_backends import Executable, open_backend
from hybridq_backends.deferred import Deferred, Layouts
from hybridq_backends.ibm.job_size import ProgramSize, program_size, repetition_delay
from hybridq_backends.ibm.preflight import preflight
from hybridq_backends.ibm.trouble import ServiceError
from hybridq_backends.jobs.budget import check_budget
from hybridq_backends.jobs.ledger.ledger import Ledger
from hybridq_backends.jobs.opening import open_jobs
from hybridq_backends.jobs.rate_limit import Clock
from hybridq_backends.layout.choose import ScoredLayout, rank_layouts
from hybridq_backends.utils.lock import locked

logger = logging.getLogger("hybridq")

MOST_SIMULATED_QUBITS = 8
"""The width of the compiled circuit, in qubits, up to which the device is also simulated.

With eight qubits an image takes about 0.07 s on one core, with twelve 15 s."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of `submit`.

    Attributes:
        folder: The folder of the submission; None for a dry run.
        plan: The plan with its cost; None if an earlier submission was continued.
        trouble: The error that ended the posting early, or None.
        same: An earlier submission of the same work, for a dry run.
    """

    folder: Path | None
    plan: Plan | None = None
    trouble: ServiceError | None = None
    same: Path | None = None


@dataclass(frozen=True)
class Asked:
    """The images and the model that a command names.

    Attributes:
        spec: The spec of the model.
        source: The images.
        content: The hash of both.
        pseudonyms: The pseudonyms of images, or None.
    """

    spec: ModelSpec
    source: Source
    content: str
    pseudonyms: Pseudonyms | None = None


@dataclass(frozen=True)
class Inputs:
    """The inputs of the jobs, computed without noise; they are the same for every backend.

    Attributes:
        asked: The images and the model.
        head: The model's head.
        features: The input of the head, `(images, *feature_shape)`.
        ideal: Expectation values of all rows, `(rows, columns)`.
        threshold: The threshold of the model.
    """

    asked: Asked
    head: nn.Module
    features: torch.Tensor
    ideal: NDArray[np.float64]
    threshold: float


@dataclass(frozen=True)
class Work:
    """A new submission, ready to be written and posted.

    Attributes:
        submission: The content of `submission.json`.
        images: The images.
        program: The circuits and their angles.
        plan: The plan with its cost.
    """

    submission: Submission
    images: Images
    program: Program
    plan: Plan


def submit(
    config: SubmitConfig, *, source: Source | None = None, clock: Clock | None = None
) -> Outcome:
    """Post the images of a run as jobs, or go on with the submission that did.

    Args:
        config: What to send where, to one backend.
        source: The images, in place of those that the config names.
        clock: The time; the system's if None.

    Raises:
        HybridqError: If what was asked for cannot be done; nothing is posted then.
    """
    clock = clock or Clock()
    if config.levels or config.compare:
        raise InvalidValueError(
            "Expected one backend, got levels or backends to compare: call `compare_backends`."
        )
    check_options(config)
    asked = read_asked(config, source)
    fingerprint = fingerprint_of(asked.content, config.backend)
    is_paid = runtime_spec(config.backend).is_paid and not config.dry_run

    def same() -> Path | None:
        if config.again:
            return None
        beside = fingerprints_beside(config.runs, fingerprint)
        return find_same(config.runs, fingerprint, asked.content, is_paid=is_paid, beside=beside)

    folder = same()
    if folder is not None and not config.dry_run:
        Submission.load(folder).at(config.run, folder)
        return Outcome(folder, trouble=go_on(config, folder, clock))
    with open_backend("statevector") as exact:
        work = prepare(config, compute_inputs(config, asked, exact))
    if config.dry_run:
        return Outcome(None, work.plan, same=folder)
    check_budget(
        work.plan.qpu_seconds,
        work.plan.seconds_left,
        budget=config.max_qpu_seconds,
        agreed=config.yes or work.plan.mode == REHEARSAL,
        larger=work.plan.larger_seconds,
    )
    with making(config.runs):
        # another process may have made it in the meantime
        folder = same()
        is_new = folder is None
        if folder is None:
            folder = create(config, work, asked)
    trouble = go_on(config, folder, clock, is_new=is_new)
    return Outcome(folder, work.plan if is_new else None, trouble)


@contextmanager
def making(runs: Path) -> Iterator[None]:
    """Hold the lock of the process that makes submissions in a folder of runs."""
    runs.mkdir(parents=True, exist_ok=True)
    with locked(runs / f".{COMMAND}.lock", "makes a submission there", wait_seconds=60.0):
        yield


def check_options(config: SubmitConfig) -> None:
    """Refuse options that contradict each other.

    Raises:
        InvalidValueError: If some do, or the backend takes no jobs.
    """
    if runtime_spec(config.backend).max_qpu_seconds is not None:
        raise InvalidValueError(
            "Expected the budget of a submission in --max-qpu-seconds, got it in "
            f"{config.backend!r}: take it out of --backend."
        )
    if config.again and (config.repost or config.retry_failed):
        raise InvalidValueError(
            "Expected either a new submission (--again) or the old one's chunks posted anew "
            "(--repost, --retry-failed), got both: leave one out."
        )


def create(config: SubmitConfig, work: Work, asked: Asked) -> Path:
    """Write a new submission; its ledger is written last, and makes it count.

    If it cannot be written completely, nothing is left of it.

    Args:
        config: The config of the command.
        work: The submission.
        asked: The images and the model.
    """
    folder = create_run(config.runs, COMMAND, config.name or config.run.name)
    name = f"hybridq-{uuid.uuid4().hex[:12]}"
    try:
        write_config(folder, without_names(config, asked.source, asked.pseudonyms))
        write_environment(folder, seed=config.seed, backend={"plan": work.plan.to_dict()})
        work.submission.model_copy(update={"name": name}).save(folder)
        work.images.save(folder)
        work.program.save(folder)
        Ledger.create(folder, [(job.start, job.stop) for job in work.plan.jobs], name=name)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)  # nothing of it was posted
        raise
    logger.info("submission folder %s", folder)
    return folder


def read_asked(config: SubmitConfig, source: Source | None = None) -> Asked:
    """Read the images and the model that a command names.

    Args:
        config: Names the run and the images.
        source: The images, in place of those that the config names.

    Raises:
        HybridqError: If it cannot be read, or the model has no circuit.
    """
    run = read_config(config.run, FinetuneConfig, "finetune")
    spec = read_spec(config.run)
    pseudonyms = pseudonyms_of(config, run, folder=config.runs)
    check_hidden(run, pseudonyms)
    source = source or source_of(config, run, spec, pseudonyms)
    content = content_of(config.run, source.ids, source.images)
    return Asked(spec, source, content, pseudonyms)


def compute_inputs(config: SubmitConfig, asked: Asked, exact: Executable) -> Inputs:
    """Compute the inputs of the jobs of every backend.

    Args:
        config: The config of the command.
        asked: The images and the model.
        exact: A backend without noise.
    """
    model, _ = load_model(config.run, backend=exact)
    features = features_of(model, asked.source)
    later = Deferred(exact)
    note(model.head, features, later)
    ideal = computed(later, exact)
    read(model.head, features, later, ideal)  # refuses circuits that need each other's results
    threshold = threshold_of(model, asked.spec, asked.source)
    return Inputs(asked, model.head, features, ideal, threshold)


def prepare(config: SubmitConfig, inputs: Inputs, *, device: str | None = None) -> Work:
    """Compile the circuits, check them and plan the jobs; nothing is written or posted.

    Args:
        config: The config of the command.
        inputs: The inputs of the jobs.
        device: The device to take if the backend leaves the choice to the account.
    """
    asked, head, features, ideal = inputs.asked, inputs.head, inputs.features, inputs.ideal
    source, spec = asked.source, asked.spec
    runtime = runtime_spec(config.backend)
    if runtime.is_paid and runtime.device is None and device is not None:
        runtime = runtime.model_copy(update={"device": device})
    with open_backend(runtime) as backend:
        target = backend.device.target
        # the first seed is that of the final compilation
        seeds = range(runtime.compiler_seed, runtime.compiler_seed + config.layout_seeds)

        ranked: dict[int, list[ScoredLayout]] = {}  # by the identity of the layers' circuits

        def best(circuit: QuantumCircuit) -> tuple[int, ...]:
            if id(circuit) not in ranked:
                level = runtime.optimization_level
                ranked[id(circuit)] = rank_layouts(
                    circuit, target, optimization_level=level, seeds=seeds
                )
            return ranked[id(circuit)][0].layout

        later = Deferred(backend, layouts=best)
        note(head, features, later)
        program = Program.of(later)
        narrow = [backend.device_for(request.prepared) for request in later.requests]
        for part, device_in_use in zip(program.parts, narrow, strict=True):
            preflight(part.circuit, part.column, part.angles, device_in_use)
        delay = repetition_delay(backend.device)

        def size_of(start: int, stop: int) -> ProgramSize:
            own = narrow[program.part_of(start)]
            return program_size(*program.pub(start, stop), runtime, own, rep_delay=delay)

        jobs = plan_jobs(
            [len(part.angles) for part in program.parts],
            size_of,
            limits=Limits(config.job_executions, config.job_bytes),
            max_seconds=runtime.max_execution_time,
            budget=config.max_qpu_seconds,
            tight=config.tight_budget,
        )
        hardware = runtime.is_paid
        place = max(range(len(narrow)), key=lambda one: program.parts[one].circuit.depth())
        deepest = program.parts[place].circuit
        layouts = ranked[id(later.requests[place].circuit)]
        service = open_jobs(runtime, Path(), backend.device)
        plan = Plan(
            device=backend.device.name,
            calibration_date=backend.describe()["calibration_date"],
            backend=config.backend,
            mode=runtime.mode if hardware else REHEARSAL,
            shots=runtime.shots,
            mitigation=mitigation_words(runtime),
            layout=layouts[0].layout,
            expected_error=layouts[0].expected_error,
            layouts_compared=len(layouts),
            depth=deepest.depth(),
            two_qubit_gates=deepest.num_nonlocal_gates(),
            circuits=len(program.parts),
            images=len(source.ids),
            jobs=jobs,
            seconds_left=service.seconds_left(),
            is_timed=size_of(0, 1).device_seconds is not None,
        )
        remark = getattr(head, "about_job", None)
        if callable(remark):
            told = remark(len(source.ids), plan.rows_in_all, plan.qpu_seconds)
            plan = replace(plan, remarks=tuple(told))
        simulated = ideal[:0]
        if not config.dry_run:
            simulated = _simulated(backend, head, features, best)
    return Work(
        Submission(
            fingerprint=fingerprint_of(asked.content, config.backend),
            content=asked.content,
            run=config.run.absolute(),
            model_hash=model_hash(config.run),
            backend=config.backend,
            device=backend.device.name if hardware else None,
            data=source.name,
            split=source.split,
            class_names=spec.class_names,
            positive=spec.positive,
            task=spec.task,
            threshold=inputs.threshold,
            plan=plan.to_dict(),
            seed=config.seed,
            max_qpu_seconds=config.max_qpu_seconds,
        ),
        Images(source.ids, source.labels, inputs.features.float().numpy(), ideal, simulated),
        program,
        plan,
    )


def _simulated(
    backend: Executable, head: nn.Module, features: torch.Tensor, layouts: Layouts
) -> NDArray[np.float64]:
    """Compute the exact values of the calibrated device on the same qubits."""
    with backend.simulated() as twin:
        later = Deferred(twin, layouts=layouts)
        note(head, features, later)
        width = max(request.prepared.circuit.num_qubits for request in later.requests)
        if width > MOST_SIMULATED_QUBITS:
            most = MOST_SIMULATED_QUBITS
            logger.info("circuit on %d qubits, more than %d: device not simulated", width, most)
            columns = max(request.prepared.num_observables for request in later.requests)
            return np.empty((0, columns))
        return computed(later, twin)
