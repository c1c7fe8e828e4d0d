"""Runs the tests marked `trains` as other machines compute them: `make test-machines`.

The last digit of a sum differs between processors, numbers of threads and the libraries' kernels,
and training amplifies it. A verdict must not hang on it. Each setting makes this machine compute as
another does; arguments are handed on to pytest.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass

LEVELS = {"AVX2": 1, "AVX512": 2}
"""What torch calls a processor's instructions, in order; SSE 4.1 is what every x86 has."""
NAMES = ("SSE 4.1", "AVX2", "AVX-512")


@dataclass(frozen=True)
class Setting:
    """Variables of the environment, and the least processor that they make a difference on."""

    environment: dict[str, str]
    level: int | None = None

    def __str__(self) -> str:
        return " ".join(f"{name}={value}" for name, value in self.environment.items())


SETTINGS = (
    *(
        Setting({"ATEN_CPU_CAPABILITY": value}, level)
        for level, value in enumerate(("default", "avx2", "avx512"))
    ),
    *(
        Setting({"ONEDNN_MAX_CPU_ISA": value}, level)
        for level, value in enumerate(("SSE41", "AVX2", "AVX512_CORE"))
    ),
    # Two pytest processes share the cores: threads that wait must not spin.
    Setting({"OMP_NUM_THREADS": "2", "TEST_THREADS": "2", "OMP_WAIT_POLICY": "passive"}),
)


def processor() -> int:
    """The instructions that torch uses here, as a place in `NAMES`; -1 if this is no x86."""
    import torch

    if platform.machine().lower() not in ("x86_64", "amd64"):
        return -1
    return LEVELS.get(torch.backends.cpu.get_cpu_capability(), 0)


def main(arguments: list[str]) -> int:
    """Run the tests under every setting; 1 if any failed."""
    here = processor()
    told = "no x86" if here < 0 else f"{NAMES[here]} at most"
    failed = []
    for setting in SETTINGS:
        if setting.level is not None and setting.level > here:
            print(f"{setting}: does nothing on this processor ({told}), left out", flush=True)
            continue
        print(f"{setting}:", flush=True)
        command = [sys.executable, "-m", "pytest", "-n", "2", "--dist", "worksteal"]
        started = time.monotonic()
        done = subprocess.run(
            [*command, "-q", "--no-header", "-m", "trains and not slow", *arguments],
            env={**os.environ, "OMP_NUM_THREADS": "1", **setting.environment},
        )
        print(f"{setting}: {time.monotonic() - started:.0f} s", flush=True)
        if done.returncode:
            failed.append(str(setting))
    print("\n".join(f"failed under {name}" for name in failed) or "the same verdicts everywhere")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
