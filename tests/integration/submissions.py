"""What tests ask of submissions made in the current folder."""

from __future__ import annotations

from pathlib import Path

from hybridq_backends.jobs.ledger.ledger import Ledger

PLAIN = "resilience_level=0,shots=2048"


def folders():
    return sorted(Path("runs/submit").glob("*"))


def newest():
    return folders()[-1]


def states(folder):
    with Ledger.read(folder) as ledger:
        return [str(chunk.state) for chunk in ledger.chunks()]


def posts(server):
    return [(r.method, r.path) for r in server.requests if r.method == "POST" and r.path == "/jobs"]
