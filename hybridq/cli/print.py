"""What each command prints: results to standard output, progress to the log."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridq.config import (
    BackendsCheckConfig,
    BackendsListConfig,
    BackendsSaveConfig,
    BackendsShowConfig,
    Config,
    DataCheckConfig,
    DataEmbedConfig,
    DataFetchConfig,
    DataListConfig,
    DemoConfig,
    EvaluateConfig,
    ExportConfig,
    FinetuneConfig,
    JobsCancelConfig,
    JobsCollectConfig,
    JobsListConfig,
    JobsRecoverConfig,
    JobsStatusConfig,
    PredictConfig,
    PretrainConfig,
    ReportConfig,
    SubmitConfig,
)
from hybridq.evaluation.tables import evaluation_table, table
from hybridq.utils.files import check_out
from hybridq_backends.utils.by_name import by_name

if TYPE_CHECKING:
    from hybridq.studies import StudyEntry
    from hybridq.submissions import Progress
    from hybridq_backends.ibm.trouble import ServiceError


def run_pretrain(config: PretrainConfig) -> int:
    """Pretrain, and print the run folder."""
    from hybridq.training.pretrain import pretrain
    from hybridq.training.run import is_first_rank

    folder = pretrain(config)
    if is_first_rank(config.compute):
        print(folder)
    return 0


def run_finetune(config: FinetuneConfig) -> int:
    """Fine-tune, and print the run folder."""
    from hybridq.training.finetune import finetune
    from hybridq.training.run import is_first_rank

    folder = finetune(config)
    if is_first_rank(config.compute):
        print(folder)
    return 0


def run_evaluate(config: EvaluateConfig) -> int:
    """Evaluate, and print the figures and the folder."""
    from hybridq.evaluation.evaluate import evaluate
    from hybridq.runs.folder import read_result

    folder = evaluate(config)
    print(evaluation_table(read_result(folder, "evaluate")))
    print(folder)
    return 0


def run_predict(config: PredictConfig) -> int:
    """Predict; the CSV goes to standard output or a file."""
    from hybridq.evaluation.predict import predict

    predict(config)
    return 0


def run_export(config: ExportConfig) -> int:
    """Export, and print the folder."""
    from hybridq.exports.export import export_run

    print(export_run(config))
    return 0


def run_demo(config: DemoConfig) -> int:
    """Run the demo, which prints its own table."""
    from hybridq.cli.demo import demo

    print(demo(config))
    return 0


def data_list(config: DataListConfig) -> int:
    """Print the named data sets."""
    from hybridq.data import list_data

    rows = [
        [
            row.name,
            row.task,
            str(row.num_classes),
            str(row.channels),
            "/".join(str(count) for count in row.counts),
            row.licence,
            ", ".join(str(size) for size in row.local_sizes) or "-",
        ]
        for row in list_data(config.data_root)
    ]
    header = ["name", "task", "classes", "channels", "train/val/test", "licence", "here (px)"]
    print(table(header, rows))
    print("phantom is generated: phantom,size=32,count=600,balance=0.5,seed=0")
    return 0


def data_fetch(config: DataFetchConfig) -> int:
    """Download a data set, and print its file."""
    from hybridq.data import fetch_data

    print(fetch_data(config.name, data_root=config.data_root))
    return 0


def data_check(config: DataCheckConfig) -> int:
    """Print what is in a data set; exit code 2 if it cannot be used as it is."""
    from hybridq.data import check_data
    from hybridq.data.source import is_own, own_name
    from hybridq.utils.pseudonyms import pseudonyms_of

    pseudonyms = pseudonyms_of(config)
    findings = check_data(config.data, data_root=config.data_root, pseudonyms=pseudonyms)
    print(table(["level", "about", "finding"], [[f.level, f.subject, f.detail] for f in findings]))
    errors = sum(finding.level == "error" for finding in findings)
    if errors:
        name = config.data
        if pseudonyms is not None and is_own(name):
            name = pseudonyms.data(own_name(name))
        print(
            f"hybridq: error: Expected data without faults, got {errors} in {name}: mend "
            "what the table calls an error.",
            file=sys.stderr,
        )
    return 2 if errors else 0


def data_embed(config: DataEmbedConfig) -> int:
    """Write features to a file, and print its path."""
    from hybridq.evaluation.embed import embed_data

    print(embed_data(config))
    return 0


def backends_list(config: BackendsListConfig) -> int:
    """Print the backend profiles."""
    from hybridq_backends.specs.profiles import sound_backends

    profiles, broken = sound_backends()
    rows = [[p.name, p.spec.kind, p.summary, p.source] for p in profiles.values()]
    print(table(["name", "kind", "what it is", "from"], rows))
    for name, error in broken.items():
        line = " ".join(str(error).split())
        print(f"hybridq: warning: the profile {name!r} cannot be used: {line}", file=sys.stderr)
    return 0


def backends_show(config: BackendsShowConfig) -> int:
    """Print every field of a profile with its meaning."""
    from hybridq_backends import parse_backend
    from hybridq_backends.devices.snapshots import check_device

    spec = parse_backend(config.backend)
    check_device(spec)
    values: dict[str, Any] = spec.model_dump(mode="json")
    rows = [
        [name, "none" if value is None else str(value), type(spec).model_fields[name].description]
        for name, value in values.items()
    ]
    print(table(["field", "value", "meaning"], [[str(cell or "") for cell in row] for row in rows]))
    return 0


def backends_check(config: BackendsCheckConfig) -> int:
    """Print the probes; exit code 1 if one fails."""
    from hybridq_backends import check_executable, open_backend

    with open_backend(config.backend) as executable:
        probes = list(check_executable(executable).probes)
        fields = () if executable.spec is None else type(executable.spec).model_fields
        if executable.rule is not None and "engine" in fields:  # with Aer's to compare with
            from hybridq.quantum.checks import check_torch_engine

            probes += check_torch_engine(executable)
    rows = [
        ["ok" if probe.passed else "FAILED", probe.name, probe.expected, probe.measured]
        for probe in probes
    ]
    print(table(["", "probe", "expected", "measured"], rows))
    return 0 if all(probe.passed for probe in probes) else 1


def backends_save(config: BackendsSaveConfig) -> int:
    """Save a device's calibration, and print the file."""
    from hybridq_backends import parse_backend
    from hybridq_backends.devices.calibration import save_calibration
    from hybridq_backends.ibm.account import calibrated_device

    check_out(config.out, force=config.force)
    print(save_calibration(calibrated_device(parse_backend(config.backend)), config.out))
    return 0


def run_study(entry: StudyEntry, config: Config) -> int:
    """Run a study, and print what it says of itself and its folder; or print its plan."""
    if entry.plan is not None and getattr(config, "plan", False):
        print(by_name(entry.plan)(config))
        return 0
    folder = by_name(entry.run)(config)
    print(by_name(entry.show)(folder))
    print(folder)
    return 0


def run_report(config: ReportConfig) -> int:
    """Write a report, and print its path."""
    from hybridq.reports import report

    print(report(config))
    return 0


def run_submit(config: SubmitConfig) -> int:
    """Submit, and print what it costs, how far it came and the folder."""
    from hybridq.submissions.report import plan_table
    from hybridq.submissions.submit import submit

    if config.levels or config.compare:
        return _run_comparison(config)
    outcome = submit(config)
    if outcome.plan is not None:
        print(plan_table(outcome.plan))
    if outcome.folder is None:
        return _end_dry_run(outcome.same)
    return _end_submit(config, outcome.folder, outcome.trouble)


def _run_comparison(config: SubmitConfig) -> int:
    """Submit to several backends, and print what they cost together."""
    from hybridq.submissions.compare import compare_backends
    from hybridq.submissions.compared import plans_table

    outcome = compare_backends(config)
    if outcome.plans:
        print(plans_table(outcome.plans, budget=config.max_qpu_seconds))
    if outcome.folder is None:
        return _end_dry_run(outcome.same)
    return _end_submit(config, outcome.folder, outcome.trouble)


def _end_dry_run(same: Path | None) -> int:
    print("dry run: nothing was posted")
    if same is not None:
        print(f"submitted already in {same}: without --dry-run it goes on with that")
    return 0


def _end_submit(config: SubmitConfig, folder: Path, trouble: ServiceError | None) -> int:
    """Wait for results as long as asked, and print how far it came and the folder."""
    from dataclasses import replace

    from hybridq.submissions.compared import collect_each, each_progress

    found = each_progress(folder)
    if config.wait > 0 and trouble is None:
        waited = JobsCollectConfig(
            submission=folder, wait=config.wait, settle_seconds=config.settle_seconds
        )
        found = collect_each(waited)
        _print_result(folder)
    elif trouble is not None:
        found[-1] = replace(found[-1], trouble=trouble)
    code = _end(found, collected=config.wait > 0)
    print(folder)
    return code


def jobs_list(config: JobsListConfig) -> int:
    """Print the submissions."""
    from hybridq.submissions.collect import all_progress
    from hybridq.submissions.compared import list_comparisons
    from hybridq.submissions.report import list_table

    print(list_table(all_progress(config.runs)))
    for line in list_comparisons(config.runs):
        print(line)
    return 0


def jobs_status(config: JobsStatusConfig) -> int:
    """Print where each chunk stands; exit code 3 unless all are done."""
    from hybridq.submissions.compared import each_progress, exit_code_of_all
    from hybridq.submissions.report import exit_code

    found = each_progress(config.submission)
    _print_status(found)
    return exit_code_of_all([exit_code(one, collected=True) for one in found])


def jobs_collect(config: JobsCollectConfig) -> int:
    """Fetch results, and print what they say; exit code 3 unless all are here."""
    from hybridq.submissions.compared import collect_each

    found = collect_each(config)
    _print_result(config.submission)
    return _end(found, collected=True)


def jobs_cancel(config: JobsCancelConfig) -> int:
    """Cancel jobs, and print where each chunk stands; exit code 3 unless all have ended."""
    from hybridq.submissions.compared import cancel_each
    from hybridq.submissions.report import EXIT_PARTLY

    found = cancel_each(config)
    _print_status(found)
    return 0 if all(one.trouble is None and one.ended for one in found) else EXIT_PARTLY


def jobs_recover(config: JobsRecoverConfig) -> int:
    """Rebuild a ledger, and print where each chunk stands; exit code 3 if some stay in doubt."""
    from hybridq.submissions.recover import recover
    from hybridq.submissions.report import exit_code

    found = recover(config)
    _print_status([found])
    return exit_code(found, collected=False)


def _print_status(found: Sequence[Progress]) -> None:
    from hybridq.submissions.report import status_table

    for one in found:
        if len(found) > 1:
            print(one.folder)
        print(status_table(one))


def _end(found: Sequence[Progress], *, collected: bool) -> int:
    """Print what to do next; a refusal is told on standard error as well. Returns the exit code."""
    from hybridq.submissions.compared import exit_code_of_all
    from hybridq.submissions.report import EXIT_REFUSED, exit_code, next_steps

    for one in found:
        lines = next_steps(one)
        if len(found) > 1 and lines:
            print(one.folder)
        for line in lines:
            print(line)
    trouble = next((one.trouble for one in found if one.trouble is not None), None)
    if trouble is not None and all(one.untouched for one in found):
        print(f"hybridq: error: {trouble}", file=sys.stderr)
        return EXIT_REFUSED
    return exit_code_of_all([exit_code(one, collected=collected) for one in found])


def _print_result(folder: Path) -> None:
    from hybridq.runs.folder import read_result
    from hybridq.submissions.compared import comparison_table
    from hybridq.submissions.plan.comparison import is_comparison
    from hybridq.submissions.report import result_table

    print((comparison_table if is_comparison(folder) else result_table)(read_result(folder)))
