"""What do two trainings at once cost each other, and what does the short spin cost one alone?

    python benchmarks/shared_machine.py

`hybridq finetune` on 400 generated images for 6 epochs, each run a process of its own: alone and
beside another, with the spin that hybridq sets and with the OpenMP runtime's own
(`GOMP_SPINCOUNT=300000`, which libgomp takes by itself). Runs alone take turns, so that a busy
moment hits both settings alike. The table, with a line on what has to hold, goes to
`docs/results/shared_machine.csv` and `.md`; the exit code is 1 where it does not hold.

The machine has to do nothing else. Two at once by the runtime's own spin take minutes on two cores:
`--no-own-pair` leaves them out, and the rest takes about two minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from timing import machine, versions

from hybridq.threads import MARK, SHORT_SPIN, SPIN_NAMES, THREAD_NAMES, usable_threads
from hybridq.utils.files import write_csv, write_text

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "results"
SETTINGS = {"short spin": {}, "the runtime's own": {"GOMP_SPINCOUNT": "300000"}}
"""What a user has set: nothing, so that hybridq sets its spin, or what libgomp takes by itself."""
MOST_AT_ONCE = 2.0
"""By how much two commands at once may take longer than one alone."""
MOST_LOSS = 1.05
"""By how much one alone may take longer with the short spin."""


@dataclass(frozen=True)
class Taken:
    """Seconds of one training: of the whole command, of its epochs, and of processors."""

    command: float
    epochs: float
    processors: float


def train(setting: str, at_once: int, images: int, epochs: int) -> list[Taken]:
    """Run so many trainings at once; what each took."""
    foreign = {*SPIN_NAMES, *THREAD_NAMES, MARK}
    environment = {name: value for name, value in os.environ.items() if name not in foreign}
    path = os.pathsep.join(
        filter(None, [str(ROOT), str(ROOT / "backends"), os.environ.get("PYTHONPATH", "")])
    )
    environment |= {"PYTHONPATH": path, **SETTINGS[setting]}
    command = [sys.executable, "-m", "hybridq", "finetune"]
    command += ["--data", f"phantom,count={images}", "--epochs", str(epochs)]
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        running, taken = {}, []
        for number in range(at_once):
            with Path(folder, f"{number}.txt").open("wb") as said:
                started = subprocess.Popen(
                    [*command, "--runs", f"{folder}/{number}"],
                    env=environment,
                    stdout=said,
                    stderr=said,
                )
            running[started.pid] = number
        while running:
            process, status, used = os.wait4(-1, 0)
            seconds = time.perf_counter() - begun
            if process not in running:
                continue
            number = running.pop(process)
            if status:
                said_last = Path(folder, f"{number}.txt").read_text(encoding="utf-8")[-1000:]
                raise SystemExit(f"Expected a finished training, got {status}: {said_last}")
            (run,) = Path(folder, str(number), "finetune").iterdir()
            result = json.loads((run / "result.json").read_text(encoding="utf-8"))
            recorded = json.loads((run / "environment.json").read_text(encoding="utf-8"))
            expected = SETTINGS[setting] or SHORT_SPIN
            if recorded["computing"]["spin"] != expected:
                raise SystemExit(f"Expected the spin {expected}, got {recorded['computing']}.")
            taken.append(Taken(seconds, result["seconds"], used.ru_utime + used.ru_stime))
    return taken


def middle(taken: list[Taken], what: str) -> float:
    """The median of one of the times."""
    return statistics.median(getattr(one, what) for one in taken)


def table_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The table of the page, from the rows of the CSV file."""
    return [
        "| threads wait by | trainings at once | command | epochs | processor time |",
        "|---|---|---|---|---|",
        *(
            f"| {r['waiting']} | {r['at_once']} | {r['command_s']:.1f} s | {r['epochs_s']:.1f} s "
            f"| {r['processor_s']:.1f} s |"
            for r in rows
        ),
    ]


def main() -> None:
    """Measure, write the table, and judge it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5, help="of the runs alone")
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--no-own-pair", action="store_true", help="no pair by the runtime's spin")
    args = parser.parse_args()

    short, own = SETTINGS
    train(short, 1, args.images, args.epochs)  # reads the libraries from the disk
    taken: dict[tuple[str, int], list[Taken]] = {(name, 1): [] for name in SETTINGS}
    for turn in range(args.rounds):
        for name in list(SETTINGS)[:: -1 if turn % 2 else 1]:
            taken[name, 1] += train(name, 1, args.images, args.epochs)
    pairs = max(1, args.rounds // 2)
    taken[short, 2] = [
        one for _ in range(pairs) for one in train(short, 2, args.images, args.epochs)
    ]
    if not args.no_own_pair:
        taken[own, 2] = train(own, 2, args.images, args.epochs)

    rows = [
        {
            "waiting": name,
            "at_once": at_once,
            "command_s": round(middle(runs, "command"), 2),
            "epochs_s": round(middle(runs, "epochs"), 2),
            "processor_s": round(middle(runs, "processors"), 2),
            "runs": len(runs),
        }
        for (name, at_once), runs in sorted(taken.items(), key=lambda item: (item[0][1], item[0]))
    ]
    alone, beside = taken[short, 1], taken[short, 2]
    at_once = middle(beside, "command") / middle(alone, "command")
    loss = middle(alone, "command") / middle(taken[own, 1], "command")
    verdicts = [
        f"- Two at once take {at_once:.2f} times as long as one alone (at most {MOST_AT_ONCE:g} "
        f"wanted), and one alone {loss:.3f} times as long as with the runtime's own spin (at most "
        f"{MOST_LOSS:g}).",
        f"- Their epochs alone, without the start of Python and its libraries, take "
        f"{middle(beside, 'epochs') / middle(alone, 'epochs'):.2f} times as long: each of the two "
        "has half of the cores.",
    ]
    write_csv(RESULTS / "shared_machine.csv", list(rows[0]), [list(r.values()) for r in rows])
    lines = [
        *table_lines(rows),
        "",
        *verdicts,
        "",
        f"Medians; {args.images} generated images, {args.epochs} epochs, {usable_threads()} "
        f"threads. Made by `python benchmarks/shared_machine.py` on {machine()}; "
        f"{versions('torch')}.",
        "",
    ]
    write_text(RESULTS / "shared_machine.md", "\n".join(lines))
    print("\n".join(lines))
    raise SystemExit(0 if at_once <= MOST_AT_ONCE and loss <= MOST_LOSS else 1)


if __name__ == "__main__":
    main()
