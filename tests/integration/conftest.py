"""The loopback server, and a report with everything in it, for integration tests."""

from __future__ import annotations

import json

import pytest
from urllib3.util.retry import Retry

from hybridq.cli.main import main
from tests.integration.report_page import make_report
from tests.integration.submissions import PLAIN
from tests.loopback import Loopback

PHANTOM = "phantom,size=16,count=40"

# What could lead the client past the loopback server, or lend it another account.
FOREIGN = (
    "QISKIT_FUNCTIONS_EXPERIMENTAL",
    "QISKIT_IBM_RUNTIME_API_TOKEN",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
)


@pytest.fixture
def serve(isolated, monkeypatch):
    """A function that starts a Loopback and makes it the only account, in an empty home."""
    running = []
    # The client asks again at once: its growing waits between tries are not what is tested.
    monkeypatch.setattr(Retry, "get_backoff_time", lambda _: 0.0)

    def start(**options):
        server = Loopback(**options).__enter__()
        running.append(server)
        for name in FOREIGN:
            monkeypatch.delenv(name, raising=False)
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        return server

    yield start
    for server in running:
        server.__exit__(None, None, None)


@pytest.fixture
def loopback(serve):
    """A Loopback without noise, the only account."""
    return serve(ideal=True)


@pytest.fixture(scope="session")
def varied_run(tmp_path_factory, pretrained):
    """A run of four qubits whose angles differ from image to image."""
    import torch

    from hybridq.config import FinetuneConfig, head_config
    from hybridq.data import load_data
    from hybridq.models.checkpoint import hashes_of, load_model, save_model
    from hybridq.training.finetune import finetune
    from hybridq_backends import open_backend

    folder = finetune(
        FinetuneConfig(
            data=PHANTOM,
            runs=tmp_path_factory.mktemp("runs"),
            encoder=str(pretrained),
            head=head_config(name="pqc", init_std=0.8),
            freeze_encoder=True,
            epochs=1,
            batch_size=8,
        )
    )
    with open_backend("statevector") as exact:
        model, spec = load_model(folder, backend=exact)
        images = load_data(PHANTOM, splits=("test",)).splits["test"].images
        with torch.no_grad():
            reduced = model.head.reducer.linear(model.features(model.encoder.prepare(images)))
            model.head.reducer.norm.running_mean.copy_(reduced.mean(dim=0))
            model.head.reducer.norm.running_var.copy_(reduced.var(dim=0))
        save_model(folder / "model", model, spec)
    result = json.loads((folder / "result.json").read_text())
    (folder / "result.json").write_text(json.dumps({**result, "hashes": {}}))
    (folder / "result.json").write_text(json.dumps({**result, "hashes": hashes_of(folder)}))
    return folder


@pytest.fixture
def command(capsys):
    """Run a command; its exit code, what it printed, and what it logged."""

    def call(*arguments):
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return code, captured.out, captured.err

    return call


@pytest.fixture
def submit(command, varied_run):
    """Submit the test split of the run."""

    def call(*arguments, backend=f"ibm,{PLAIN}"):
        settled = ("--settle-seconds", "0.2", "--posts-per-minute", "1000")
        return command("submit", varied_run, "--backend", backend, *settled, *arguments)

    return call


@pytest.fixture(scope="session")
def everything(evaluated, noise_study_folder, ablation_folder, submitted):
    """One folder of every kind that a report is made from."""
    return [*evaluated, noise_study_folder, ablation_folder, submitted]


@pytest.fixture(scope="session")
def report_file(tmp_path_factory, everything):
    """The report of all of them."""
    out = tmp_path_factory.mktemp("report") / "report.html"
    assert make_report(everything, out, "--gallery", "4") == 0
    return out
