"""The command line: `hybridq COMMAND ...`.

Exit codes: 0 done, 2 what the user gave is wrong (one line on standard error), 3 partly done (jobs
are outstanding), 130 interrupted, 1 anything else.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import io
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from pydantic import Field, create_model

from hybridq import config
from hybridq.cli.complaints import explain, required
from hybridq.cli.config_file import narrowed, read_config_file
from hybridq.config.choices import CHOICES, entries, find_entry
from hybridq.config.complaints import shortened
from hybridq.errors import HybridqError, InvalidValueError
from hybridq.studies import STUDIES, StudyEntry
from hybridq.threads import set_environment
from hybridq.utils.files import read_json
from hybridq.utils.memory import keep_freed_memory
from hybridq.utils.outside import outside_cause, space_error
from hybridq.utils.pseudonyms import forget_names
from hybridq.version import __version__
from hybridq_backends.utils.by_name import by_name
from hybridq_backends.utils.suggest import nearest

DISTRIBUTION = "hybridq-med"
EXIT_FAILED = 1
EXIT_WRONG_INPUT = 2
EXIT_INTERRUPTED = 130


@dataclass(frozen=True)
class Command:
    """One command: its config, and the function `module:name` that takes it.

    Attributes:
        model: The config.
        function: Called with the config.
        more: What it is called with before the config.
    """

    model: type[config.Config]
    function: str
    more: tuple[Any, ...] = ()


def study_command(entry: StudyEntry) -> Command:
    """The command that runs a study."""
    return Command(entry.config, "hybridq.cli.print:run_study", (entry,))


COMMANDS: dict[str, Command] = {
    "data list": Command(config.DataListConfig, "hybridq.cli.print:data_list"),
    "data fetch": Command(config.DataFetchConfig, "hybridq.cli.print:data_fetch"),
    "data check": Command(config.DataCheckConfig, "hybridq.cli.print:data_check"),
    "data embed": Command(config.DataEmbedConfig, "hybridq.cli.print:data_embed"),
    "pretrain": Command(config.PretrainConfig, "hybridq.cli.print:run_pretrain"),
    "finetune": Command(config.FinetuneConfig, "hybridq.cli.print:run_finetune"),
    "evaluate": Command(config.EvaluateConfig, "hybridq.cli.print:run_evaluate"),
    "predict": Command(config.PredictConfig, "hybridq.cli.print:run_predict"),
    "export": Command(config.ExportConfig, "hybridq.cli.print:run_export"),
    "submit": Command(config.SubmitConfig, "hybridq.cli.print:run_submit"),
    "jobs list": Command(config.JobsListConfig, "hybridq.cli.print:jobs_list"),
    "jobs status": Command(config.JobsStatusConfig, "hybridq.cli.print:jobs_status"),
    "jobs collect": Command(config.JobsCollectConfig, "hybridq.cli.print:jobs_collect"),
    "jobs cancel": Command(config.JobsCancelConfig, "hybridq.cli.print:jobs_cancel"),
    "jobs recover": Command(config.JobsRecoverConfig, "hybridq.cli.print:jobs_recover"),
    **{f"study {name}": study_command(entry) for name, entry in STUDIES.items()},
    "report": Command(config.ReportConfig, "hybridq.cli.print:run_report"),
    "backends list": Command(config.BackendsListConfig, "hybridq.cli.print:backends_list"),
    "backends show": Command(config.BackendsShowConfig, "hybridq.cli.print:backends_show"),
    "backends check": Command(config.BackendsCheckConfig, "hybridq.cli.print:backends_check"),
    "backends save": Command(config.BackendsSaveConfig, "hybridq.cli.print:backends_save"),
    "demo": Command(config.DemoConfig, "hybridq.cli.print:run_demo"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        with terminated_as_interrupted(), paths_as_they_are():
            code = run(arguments)
            sys.stdout.flush()
    except HybridqError as error:
        if space_error(error) is None:
            complain(one_line(str(error)))
            return EXIT_WRONG_INPUT
        complain(str(outside_cause(error)))
        return EXIT_FAILED
    except KeyboardInterrupt:
        print("hybridq: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone: nothing is left to say, not even at exit.
        silence_output()
        return EXIT_FAILED
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
            name = shortened(repr(error.filename))
            complain(f"Expected a path that the system takes, got {name}: its name is too long.")
            return EXIT_WRONG_INPUT
        cause = outside_cause(error)
        if cause is None:
            raise
        try:
            sys.stdout.flush()
        except OSError:
            silence_output()  # it would fail again at exit
        complain(cause)
        return EXIT_FAILED
    return code


def run(arguments: list[str]) -> int:
    """Run one command; what ends it early is raised."""
    asks = bool(arguments) and arguments[0] in ("help", "-h", "--help")
    if asks and arguments[1:]:
        arguments = [*arguments[1:], "--help"]
    elif asks or not arguments:
        print(usage())
        return 0 if asks else EXIT_WRONG_INPUT
    if arguments[0] == "--version":
        print(f"hybridq {__version__}")
        warn_of_others()
        return 0
    name, command, rest = find_command(arguments)
    settings = parse(name, command.model, rest)
    set_up_logging()
    forget_names()
    keep_freed_memory()
    if "torch" not in sys.modules:  # or this is a call from a program that runs already
        set_environment()
    code: int = by_name(command.function)(*command.more, settings)
    return code


def warn_of_others() -> None:
    """Warn where another distribution has files in our package, as PyPI's `hybridq` does."""
    from importlib.metadata import packages_distributions

    others = {*packages_distributions().get("hybridq", [])} - {DISTRIBUTION}
    if others:
        names = " ".join(sorted(others))
        print(
            f"hybridq: warning: Expected files of {DISTRIBUTION} alone in the package hybridq, got "
            f"some of {names} too: pip uninstall {names}, then install {DISTRIBUTION} again.",
            file=sys.stderr,
        )


@contextlib.contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """Inside, a request to end (SIGTERM) is what Ctrl-C is, unless somebody else answers it."""
    is_ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    )
    if is_ours:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        if is_ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextlib.contextmanager
def paths_as_they_are() -> Iterator[None]:
    """Inside, printing never fails: a path that is no UTF-8 is printed as its own bytes."""
    output = sys.stdout
    if not isinstance(output, io.TextIOWrapper):
        yield
        return
    before = output.errors
    own = codecs.lookup(output.encoding).name == "utf-8"
    output.reconfigure(errors="surrogateescape" if own else "backslashreplace")
    try:
        yield
    finally:
        output.reconfigure(errors=before)


def silence_output() -> None:
    """Send what is left of the output nowhere."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def usage() -> str:
    """The text of `hybridq --help`."""
    lines = [
        "hybridq: few-label medical image classification with a quantum layer.",
        "",
        "usage: hybridq COMMAND [OPTIONS]       hybridq COMMAND --help tells each option",
        "",
    ]
    for name, command in COMMANDS.items():
        summary = (command.model.__doc__ or "").splitlines()[0]
        lines.append(f"  {name:<16} {summary}")
    lines += [
        "",
        "Options also come from --config FILE (TOML, or the config.json of a run); flags win.",
        "A first try, about four minutes:   hybridq demo",
        "Not a medical device.",
    ]
    return "\n".join(lines)


def find_command(arguments: list[str]) -> tuple[str, Command, list[str]]:
    """The command's name, the command, and the arguments that are left.

    Raises:
        InvalidValueError: if there is no such command.
    """
    for length in (2, 1):
        name = " ".join(arguments[:length])
        if name in COMMANDS:
            return name, COMMANDS[name], arguments[length:]
    if arguments[0] == "study" and arguments[1:] and not arguments[1].startswith("-"):
        entry = find_entry("study", arguments[1])
        return f"study {arguments[1]}", study_command(entry), arguments[2:]
    group = [name for name in COMMANDS if name.startswith(arguments[0] + " ")]
    if group and set(arguments[1:]) & {"-h", "--help"}:
        for name in group:
            print(f"hybridq {name:<16} {(COMMANDS[name].model.__doc__ or '').splitlines()[0]}")
        for name in entries("study").keys() - STUDIES.keys() if arguments[0] == "study" else ():
            print(f"hybridq study {name:<10} of another distribution")
        raise SystemExit(0)
    known = ", ".join(group or COMMANDS)
    got = " ".join(arguments[: 2 if group else 1])
    near = nearest(got, group or [*COMMANDS, *{name.split()[0] for name in COMMANDS}])
    remedy = f"did you mean `{near}`?" if near else "see --help."
    raise InvalidValueError(f"Expected one of the commands {known}, got {got!r}: {remedy}")


def parse(name: str, model: type[config.Config], arguments: list[str]) -> config.Config:
    """Arguments and the file after `--config` as a config.

    Raises:
        InvalidValueError: if an option is unknown or its value is not allowed.
        MissingFileError: if the file is missing.
    """
    file, rest = take_option(arguments, "--config")
    default = None if file is None else read_config_file(model, Path(file))
    resumes = [part for part in rest if part == "--resume" or part.startswith("--resume=")]
    if resumes and (file is not None or beside_resume(rest)):
        raise InvalidValueError(
            "Expected --resume RUN alone, got other options beside it: a resumed run goes on with "
            "the config in its folder."
        )
    needed = required(model)
    if not arguments and len(needed) > 1:
        raise InvalidValueError(
            f"Expected {' and '.join(needed)}, got nothing: see hybridq {name} --help."
        )
    given, model = model, with_choices(model, rest, default)
    if default is not None:
        default = narrowed(model, default)
    captured = io.StringIO()
    width = os.environ.get("COLUMNS")
    if not {"-h", "--help"} & set(rest):
        os.environ["COLUMNS"] = "100000"
    try:
        with contextlib.redirect_stderr(captured):
            parsed = tyro.cli(
                model,
                args=rest,
                prog=f"hybridq {name}",
                default=tyro.MISSING_NONPROP if default is None else default,
            )
    except SystemExit as stop:
        if not stop.code:
            raise
        raise InvalidValueError(explain(captured.getvalue(), name, model)) from stop
    finally:
        if width is None:
            os.environ.pop("COLUMNS", None)
        else:
            os.environ["COLUMNS"] = width
    if given is model:
        return parsed
    return given.model_validate({name: getattr(parsed, name) for name in given.model_fields})


def with_choices(
    model: type[config.Config], arguments: list[str], default: config.Config | None
) -> type[config.Config]:
    """Give each part that is chosen by name the fields of what is chosen.

    Args:
        model: The command's config.
        arguments: The arguments of the command; `--head NAME` and the like choose.
        default: What a file has chosen.
    """
    fields: dict[str, Any] = {}
    for field, choice in CHOICES.items():
        if field not in model.model_fields:
            continue
        name, _ = take_option(arguments, choice.option)
        chosen = choice.chosen(name, None if default is None else getattr(default, field))
        about = model.model_fields[field].description
        fields[field] = (type(chosen), Field(chosen, description=about))
    if not fields:
        return model
    # All fields have their descriptions by now: no source is searched for them.
    described = {"use_attribute_docstrings": False}
    made: type[config.Config] = create_model(
        model.__name__, __base__=model, __cls_kwargs__=described, **fields
    )
    made.__doc__ = model.__doc__
    return made


def beside_resume(arguments: list[str]) -> list[str]:
    """What stands beside `--resume RUN` and may not: of a run with pseudonyms all but its data."""
    resume, left = take_option(arguments, "--resume")
    path = Path(resume or "") / "config.json"
    if left and os.path.isfile(path):  # a name may also be too long
        kept = read_json(path, "the config of a run", "give the folder that the command printed.")
        if isinstance(kept, dict) and kept.get("pseudonyms") is True:
            for option in ("--data", "--pseudonym-key"):
                _, left = take_option(left, option)
    return left


def take_option(arguments: list[str], option: str) -> tuple[str | None, list[str]]:
    """Take `option VALUE` or `option=VALUE` out of the arguments."""
    value, rest, waiting = None, [], False
    for argument in arguments:
        if waiting:
            value, waiting = argument, False
        elif argument == option:
            waiting = True
        elif argument.startswith(option + "="):
            value = argument.removeprefix(option + "=")
        else:
            rest.append(argument)
    if waiting:
        raise InvalidValueError(f"Expected a value after {option}, got nothing: name a file.")
    return value, rest


def complain(line: str) -> None:
    """Say on standard error what is wrong; it never fails, whatever names are in the line."""
    text = line.encode(errors="backslashreplace").decode()
    print(f"hybridq: error: {text}", file=sys.stderr)


def one_line(text: str) -> str:
    """The text without line breaks."""
    return " ".join(text.split())


def set_up_logging() -> None:
    """Log of hybridq to standard error: rich on a terminal, plain lines elsewhere.

    Of several processes of one training only the first, by `LOCAL_RANK` and `RANK`, tells.
    """
    logger = logging.getLogger("hybridq")
    first = os.environ.get("LOCAL_RANK", "0") == "0" and os.environ.get("RANK", "0") == "0"
    logger.setLevel(logging.INFO if first else logging.WARNING)
    logger.propagate = False
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.logging import RichHandler

        logger.addHandler(
            RichHandler(console=Console(stderr=True), show_path=False, show_level=False)
        )
    else:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(handler)


if __name__ == "__main__":
    sys.exit(main())
