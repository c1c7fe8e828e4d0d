"""Submit the same images to several backends (`hybridq submit --levels`, `--compare`)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hybridq.config import SubmitConfig
from hybridq.errors import InvalidValueError
from hybridq.runs.folder import create_run, write_config
from hybridq.submissions.deduplication import find_same
from hybridq.submissions.plan.comparison import FOLDER, Comparison, Member, find_comparison
from hybridq.submissions.plan.images import without_names
from hybridq.submissions.plan.plan import REHEARSAL, Plan
from hybridq.submissions.plan.submission import Submission, fingerprint_of, runtime_spec
from hybridq.submissions.resume import go_on
from hybridq.submissions.submit import (
    Asked,
    Work,
    check_options,
    compute_inputs,
    create,
    making,
    prepare,
    read_asked,
)
from hybridq_backends import open_backend
from hybridq_backends.ibm.trouble import ServiceError, Trouble
from hybridq_backends.jobs.budget import check_budget, share_budget
from hybridq_backends.jobs.rate_limit import Clock


@dataclass(frozen=True)
class Compared:
    """The outcome of `compare_backends`.

    Attributes:
        folder: The folder of the comparison; None for a dry run.
        plans: The plan of each submission; empty if an earlier comparison was continued.
        trouble: The error that ended the posting early, or None.
        same: An earlier comparison of the same work, for a dry run.
    """

    folder: Path | None
    plans: tuple[Plan, ...] = ()
    trouble: ServiceError | None = None
    same: Path | None = None


def compare_backends(config: SubmitConfig, *, clock: Clock | None = None) -> Compared:
    """Post the same images to several backends, or continue a comparison that was begun.

    Args:
        config: The config of the command; `backend`, `compare` and `levels` name the backends.
        clock: The time; None takes the system's.

    Raises:
        HybridqError: If the comparison cannot be made; nothing is posted then.
    """
    clock = clock or Clock()
    own = _each(config)
    for one in own:
        check_options(one)
    asked = read_asked(config)
    fingerprints = [fingerprint_of(asked.content, one.backend) for one in own]
    if len(set(fingerprints)) < len(own):
        raise InvalidValueError(
            f"Expected backends that differ, got {', '.join(one.backend for one in own)}: leave "
            "out what is there twice."
        )
    own_by = dict(zip(fingerprints, own, strict=True))
    folder = None if config.again else find_comparison(config.runs, fingerprints)
    if folder is not None and not config.dry_run:
        return Compared(folder, trouble=_post(config, own_by, folder, clock))
    for one in own:  # refused before anything is computed
        _find(one, asked, fingerprints)
    works = _prepare(config, own, asked)
    new = [
        place for place, one in enumerate(own) if _find(one, asked, fingerprints) is None
    ]  # what was submitted before counts by what it took
    works = _with_budget(config, own, works, new)
    plans = tuple(work.plan for work in works)
    if config.dry_run:
        return Compared(None, plans, same=folder)
    with making(config.runs):
        # another process may have made it in the meantime
        folder = None if config.again else find_comparison(config.runs, fingerprints)
        is_new = folder is None
        if folder is None:
            folder = _create(config, own, works, asked, fingerprints)
    trouble = _post(config, own_by, folder, clock)
    return Compared(folder, plans if is_new else (), trouble)


def _each(config: SubmitConfig) -> list[SubmitConfig]:
    """Make the config of a submission to each backend."""
    backends = [config.backend, *config.compare]
    if config.levels:
        plain = [re.sub(r",\s*resilience_level\s*=[^,]*", "", backend) for backend in backends]
        backends = [f"{one},resilience_level={level}" for one in plain for level in config.levels]
    return [
        config.model_copy(update={"backend": one, "levels": (), "compare": ()}) for one in backends
    ]


def _find(config: SubmitConfig, asked: Asked, fingerprints: Sequence[str]) -> Path | None:
    """Find an earlier submission of the same work to one of the backends.

    Raises:
        InvalidValueError: If another submission may have posted some of the images.
    """
    if config.again:
        return None
    return find_same(
        config.runs,
        fingerprint_of(asked.content, config.backend),
        asked.content,
        is_paid=runtime_spec(config.backend).is_paid and not config.dry_run,
        beside=fingerprints,
    )


def _prepare(config: SubmitConfig, own: Sequence[SubmitConfig], asked: Asked) -> list[Work]:
    """Compile, check and count for each backend.

    If the account chooses the device, it is the same device for all backends of the account.
    """
    works: list[Work] = []
    devices: dict[str, str] = {}
    with open_backend("statevector") as exact:
        inputs = compute_inputs(config, asked, exact)
        for one in own:
            account = _account(one)
            # the whole budget is shared below, and not here
            alone = one.model_copy(update={"max_qpu_seconds": None})
            works.append(prepare(alone, inputs, device=devices.get(account)))
            devices.setdefault(account, works[-1].plan.device)
    return works


def _account(config: SubmitConfig) -> str:
    """Identify the account of a backend by its options."""
    spec = runtime_spec(config.backend)
    return repr((spec.rehearse, sorted(spec.service_options.items())))


def _with_budget(
    config: SubmitConfig, own: Sequence[SubmitConfig], works: Sequence[Work], new: Sequence[int]
) -> list[Work]:
    """Share the budget among all jobs.

    Args:
        config: The config of the command.
        own: The config of a submission to each backend.
        works: The prepared submission of each backend.
        new: The backends without a submission.

    Raises:
        InvalidValueError: If all together are more than the account or the budget allows.
    """
    plans = [works[place].plan for place in new]
    for account in {_account(own[place]) for place in new}:
        mine = [works[place].plan for place in new if _account(own[place]) == account]
        check_budget(
            sum(plan.qpu_seconds for plan in mine), mine[0].seconds_left, budget=None, agreed=True
        )
    check_budget(
        sum(plan.qpu_seconds for plan in plans),
        None,
        budget=config.max_qpu_seconds,
        agreed=config.yes or config.dry_run or all(plan.mode == REHEARSAL for plan in plans),
        larger=sum(plan.larger_seconds for plan in plans),
    )
    least = [
        [job.estimate.least_limit(tight=config.tight_budget) for job in work.plan.jobs]
        for work in works
    ]
    total = sum(sum(least[place]) for place in new)
    shared = list(works)
    for place in new:
        caps = share_budget(
            least[place],
            runtime_spec(own[place].backend).max_execution_time,
            config.max_qpu_seconds,
            reserved=total - sum(least[place]),
        )
        plan = works[place].plan
        jobs = zip(plan.jobs, caps, strict=True)
        plan = replace(plan, jobs=tuple(replace(job, max_seconds=cap) for job, cap in jobs))
        update = {"plan": plan.to_dict(), "max_qpu_seconds": config.max_qpu_seconds}
        submission = works[place].submission.model_copy(update=update)
        shared[place] = replace(works[place], submission=submission, plan=plan)
    return shared


def _create(
    config: SubmitConfig,
    own: Sequence[SubmitConfig],
    works: Sequence[Work],
    asked: Asked,
    fingerprints: Sequence[str],
) -> Path:
    """Write the submissions that do not exist yet, and then the comparison.

    Nothing is posted before the comparison is written.
    """
    members = []
    for one, work in zip(own, works, strict=True):
        folder = _find(one, asked, fingerprints) or create(one, work, asked)
        fingerprint = work.submission.fingerprint
        members.append(Member(name=folder.name, backend=one.backend, fingerprint=fingerprint))
    folder = create_run(config.runs, FOLDER, config.name or config.run.name)
    write_config(folder, without_names(config, asked.source, asked.pseudonyms))
    found = Comparison(members=tuple(members), max_qpu_seconds=config.max_qpu_seconds)
    found.save(folder)
    return folder


def _post(
    config: SubmitConfig, own: Mapping[str, SubmitConfig], folder: Path, clock: Clock
) -> ServiceError | None:
    """Continue each submission of a comparison in turn.

    Args:
        config: The config of the command.
        own: The config of a submission to each backend, by fingerprint.
        folder: The comparison's folder.
        clock: The time.

    Returns:
        The error that ended it early, or None. A device that takes no jobs holds up only its own
        submission.
    """
    comparison = Comparison.load(folder)
    found = comparison.folders(folder)
    for one in found:
        submission = Submission.load(one).at(config.run, one)
        if submission.comparison != folder.name:
            submission.model_copy(update={"comparison": folder.name}).save(one)
    first: ServiceError | None = None
    for member, one in zip(comparison.members, found, strict=True):
        trouble = go_on(own[member.fingerprint], one, clock)
        if trouble is not None and trouble.trouble is not Trouble.DEVICE:
            return trouble
        first = first or trouble
    return first
