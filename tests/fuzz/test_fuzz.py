"""What users hand over, damaged at random for minutes: refused in one line, or read."""

from __future__ import annotations

import io
import json
import random
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from tests.bad_inputs.test_sources import GOOD, archive, noisy
from tests.fuzz.mutations import (
    VALUES,
    WORDS,
    damaged_bytes,
    damaged_document,
    damaged_json,
    damaged_text,
    fuzz,
)

pytestmark = pytest.mark.usefixtures("isolated", "single_thread")

LENGTHS = [pytest.param(2.0, id="briefly"), pytest.param(300.0, id="long", marks=pytest.mark.slow)]
each_length = pytest.mark.parametrize("seconds", LENGTHS)


@each_length
def test_manifests(seconds):
    from hybridq.data import check_data, load_data

    for place, split in enumerate(("train", "val", "test")):
        for index in range(4):
            path = Path(f"cells/{split}{index}.png")
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(noisy(10 * place + index))
    rows = [line.split(",") for line in GOOD.splitlines()]

    def read(rng: random.Random) -> None:
        if rng.random() < 0.5:
            changed = [list(row) for row in rows]
            for _ in range(rng.randint(1, 6)):
                row = rng.choice(changed)
                row[rng.randrange(len(row))] = rng.choice(
                    (rng.choice(WORDS), rng.choice(rng.choice(rows)))
                )
                if rng.random() < 0.3:
                    changed.insert(rng.randrange(len(changed)), list(rng.choice(changed)))
            content = "\n".join(",".join(row) for row in changed).encode("utf-8", "surrogatepass")
        else:
            content = damaged_bytes(GOOD.encode(), rng)
        Path("cells/manifest.csv").write_bytes(content)
        if rng.random() < 0.2:
            check_data("cells")
        load_data("cells")

    assert fuzz(read, seconds=seconds) > 10


@each_length
def test_archives(seconds):
    from hybridq.data import load_data

    good = archive()
    members = dict(np.load(io.BytesIO(good), allow_pickle=False))
    shapes = [(12, 8, 8), (12, 8, 8, 3), (12, 1), (12, 3), (12,), (0, 8, 8), (6, 9, 9), ()]
    types = [np.uint8, np.int64, np.float64, np.bool_, np.uint64, np.complex128, "U3", "M8[s]"]

    def read(rng: random.Random) -> None:
        if rng.random() < 0.5:
            content = damaged_bytes(good, rng)
        else:
            changes = {}
            for _ in range(rng.randint(1, 3)):
                name = rng.choice(list(members))
                array = np.zeros(rng.choice(shapes), dtype=np.int64) + rng.choice((0, 1, -1, 300))
                changes[name] = rng.choice((None, array.astype(rng.choice(types))))
            content = archive(**changes)
        Path("own.npz").write_bytes(content)
        load_data("own.npz")

    assert fuzz(read, seconds=seconds) > 10


@each_length
def test_configs(seconds, finetuned_pqc, pretrained, noise_study_folder):
    from hybridq.cli.main import COMMANDS, parse

    good = {
        "finetune": json.loads((finetuned_pqc / "config.json").read_text()),
        "pretrain": json.loads((pretrained / "config.json").read_text()),
        "study noise": json.loads((noise_study_folder / "config.json").read_text()),
    }

    def read(rng: random.Random) -> None:
        command = rng.choice(list(good))
        arguments = []
        if rng.random() < 0.7:
            file = rng.choice(("c.json", "c.toml"))
            content = damaged_document(good[command], rng)
            if file == "c.toml":
                lines = [
                    f"{name} = {json.dumps(value)}"
                    for name, value in damaged_json(good[command], rng).items()
                ]
                content = damaged_text("\n".join(lines), rng).encode("utf-8", "surrogatepass")
            Path(file).write_bytes(content)
            arguments = ["--config", file]
        else:
            for _ in range(rng.randint(1, 4)):
                name = rng.choice(list(good[command])).replace("_", "-")
                arguments += [f"--{name}", rng.choice((rng.choice(WORDS), str(rng.choice(VALUES))))]
        parse(command, COMMANDS[command].model, arguments)

    assert fuzz(read, seconds=seconds) > 10


@each_length
def test_backend_strings(seconds):
    from hybridq_backends import list_backends, parse_backend

    names = list(list_backends())
    fields = sorted({name for p in list_backends().values() for name in type(p.spec).model_fields})

    def read(rng: random.Random) -> None:
        parts = [rng.choice(names)]
        for _ in range(rng.randint(0, 4)):
            parts.append(f"{rng.choice(fields)}={rng.choice((rng.choice(WORDS), rng.random()))}")
        text = ",".join(parts)
        parse_backend(damaged_text(text, rng) if rng.random() < 0.6 else text)

    assert fuzz(read, seconds=seconds) > 10


@each_length
def test_profiles_and_calibrations(seconds):
    from hybridq.cli.main import main
    from hybridq_backends import list_backends, open_backend, parse_backend

    assert main(["backends", "save", "fake_manila", "--out", "good.json"]) == 0
    calibration = json.loads(Path("good.json").read_text())
    profile = 'summary = "my own"\nkind = "noisy"\ndevice = "FakeManilaV2"\nshots = 100\n'
    Path("backends.d").mkdir()

    def read(rng: random.Random) -> None:
        if rng.random() < 0.5:
            content = damaged_bytes(profile.encode(), rng)
            Path("backends.d/mine.toml").write_bytes(content)
            list_backends()
            parse_backend("mine")
        else:
            Path("backends.d/mine.toml").unlink(missing_ok=True)
            Path("device.json").write_bytes(damaged_document(calibration, rng))
            open_backend("aer_noisy,device=device.json").close()

    assert fuzz(read, seconds=seconds) > 5


@each_length
def test_models(seconds, finetuned_pqc):
    from hybridq.models.checkpoint import load_model
    from hybridq_backends import open_backend

    run = Path("run")
    shutil.copytree(finetuned_pqc, run, ignore=shutil.ignore_patterns("checkpoints"))
    config = (run / "model/config.json").read_bytes()
    weights = (run / "model/model.safetensors").read_bytes()
    header = 8 + int.from_bytes(weights[:8], "little")

    with open_backend("statevector") as exact:

        def read(rng: random.Random) -> None:
            new_config, new_weights = config, weights
            choice = rng.random()
            if choice < 0.5:
                new_config = damaged_document(json.loads(config), rng)
            elif choice < 0.75:
                new_weights = damaged_bytes(weights[:header], rng) + weights[header:]
            else:
                new_weights = damaged_bytes(weights, rng)
            (run / "model/config.json").write_bytes(new_config)
            (run / "model/model.safetensors").write_bytes(new_weights)
            load_model(run, backend=exact)

        assert fuzz(read, seconds=seconds) > 1


@each_length
def test_encoders(seconds, pretrained):
    from hybridq.models.encoders.file import load_encoder

    good = (pretrained / "encoder.safetensors").read_bytes()
    header = 8 + int.from_bytes(good[:8], "little")
    with safe_open(pretrained / "encoder.safetensors", "pt") as file:
        spec = json.loads(file.metadata()["encoder_spec"])
    description = json.loads(good[8:header])

    def read(rng: random.Random) -> None:
        if rng.random() < 0.6:
            metadata = dict(description["__metadata__"])
            metadata["encoder_spec"] = damaged_document(spec, rng).decode("utf-8", "replace")
            text = json.dumps({**description, "__metadata__": metadata}).encode()
            content = len(text).to_bytes(8, "little") + text + good[header:]
        else:
            content = damaged_bytes(good[:header], rng) + good[header:]
        Path("encoder.safetensors").write_bytes(content)
        load_encoder(Path("encoder.safetensors"))

    assert fuzz(read, seconds=seconds) > 1


@each_length
def test_ledgers(seconds, submitted):
    from hybridq.submissions.collect import all_progress, progress
    from hybridq.submissions.report import list_table, next_steps, status_table
    from hybridq_backends.jobs.ledger.ledger import Ledger

    folder = Path("runs/submit/one")
    shutil.copytree(submitted, folder)
    path = folder / "jobs.sqlite"
    good = path.read_bytes()
    with sqlite3.connect(path) as connection:
        names = [
            name
            for (name,) in connection.execute("select name from sqlite_master where type='table'")
            if not name.startswith("sqlite_")
        ]
        columns = [
            (table, row[1])
            for table in names
            for row in connection.execute(f"pragma table_info({table})")
        ]
    connection.close()
    cells = ["word", "", b"", b"\0\xff", -1, 0, 2**62, 1e308, None, "planned", "done", "x" * 400]

    def read(rng: random.Random) -> None:
        path.write_bytes(good)
        if rng.random() < 0.7:
            connection = sqlite3.connect(path)
            for _ in range(rng.randint(1, 4)):
                table, column = rng.choice(columns)
                try:
                    connection.execute(f"update {table} set {column} = ?", (rng.choice(cells),))
                    if rng.random() < 0.1:
                        connection.execute(f"delete from {rng.choice(names)}")
                except sqlite3.Error:
                    continue
            connection.commit()
            connection.close()
        else:
            path.write_bytes(damaged_bytes(good, rng))
        readers = [
            lambda: status_table(progress(folder)),
            lambda: next_steps(progress(folder)),
            lambda: list_table(all_progress(Path("runs"))),
            everything,
        ]
        rng.choice(readers)()

    def everything() -> None:
        with Ledger.read(folder) as ledger:
            ledger.chunks()
            ledger.counts()
            ledger.jobs()
            ledger.results()
            ledger.has_doubts()
            ledger.spent({chunk.index: 1.0 for chunk in ledger.chunks()})

    assert fuzz(read, seconds=seconds) > 10


@each_length
def test_reports(seconds, evaluated, noise_study_folder, finetuned_pqc):
    """Every file of a run that the report reads."""
    from hybridq.config import ReportConfig
    from hybridq.reports import report

    runs = {}
    for name, source in (("e", evaluated[0]), ("n", noise_study_folder), ("f", finetuned_pqc)):
        shutil.copytree(source, name, ignore=shutil.ignore_patterns("checkpoints", "figures"))
        runs[name] = [
            path
            for path in Path(name).rglob("*")
            if path.suffix in (".json", ".jsonl", ".csv", ".md") and path.is_file()
        ]

    def read(rng: random.Random) -> None:
        name = rng.choice(list(runs))
        path = rng.choice(runs[name])
        good = path.read_bytes()
        try:
            document = json.loads(good)
        except ValueError:
            document = None
        new = damaged_bytes(good, rng) if document is None else damaged_document(document, rng)
        path.write_bytes(new)
        try:
            report(
                ReportConfig(
                    folders=(Path(name),),
                    out=Path("report.html"),
                    force=True,
                    embedding="none",
                    gallery=0,
                    resamples=100,
                )
            )
        finally:
            path.write_bytes(good)

    assert fuzz(read, seconds=seconds) > 1
