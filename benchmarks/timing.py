"""What the timing benchmarks share: interleaved measurement, and a line on the machine."""

from __future__ import annotations

import gc
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version

Step = Callable[[], object]


def nothing() -> None:
    """What most steps need before them."""


def interleave(
    steps: dict[str, Step],
    before: dict[str, Step] | None = None,
    *,
    rounds: int,
    seconds: float = 20.0,
    warm: int = 3,
) -> dict[str, list[float]]:
    """Time each step once a round, so that a busy moment hits all of them alike.

    Args:
        steps: What is timed.
        before: What is called before a step and not timed, where there is such a thing.
        rounds: The most rounds.
        seconds: After this time in a step, summed over the rounds, it is left out of later ones;
            each is measured at least twice.
        warm: Calls before the first round, fewer where a call takes long.

    Returns:
        Seconds of each call.
    """
    prelude = {name: (before or {}).get(name, nothing) for name in steps}
    for name, step in steps.items():
        prelude[name]()
        begun = time.perf_counter()
        for _ in range(warm):
            step()
            if time.perf_counter() - begun > seconds / 4:
                break
    taken: dict[str, list[float]] = {name: [] for name in steps}
    gc.collect()
    gc.disable()
    try:
        for turn in range(rounds):
            names = list(steps)
            first = turn % len(names)  # each is sometimes the first
            for name in names[first:] + names[:first]:
                if len(taken[name]) >= 2 and sum(taken[name]) > seconds:
                    continue
                prelude[name]()
                begun = time.perf_counter()
                steps[name]()
                taken[name].append(time.perf_counter() - begun)
            gc.collect()
    finally:
        gc.enable()
    return taken


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Lower quartile, median, upper quartile."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def milliseconds(seconds: Sequence[float], digits: int = 1) -> dict[str, float]:
    """Median and quartiles as the columns `ms`, `ms_low` and `ms_high`, rounded."""
    low, middle, high = (round(1e3 * value, digits) for value in quartiles(seconds))
    return {"ms": middle, "ms_low": low, "ms_high": high}


def machine() -> str:
    """The processor and the system."""
    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model n")]
        model = f"{len(named)} cores of {named[0]}" if named else model
    except OSError:
        pass
    return f"{model}, {platform.system()} {platform.machine()}, Python {platform.python_version()}"


def versions(*names: str) -> str:
    """Versions of installed packages, in words."""
    return ", ".join(f"{name} {version(name)}" for name in names)
