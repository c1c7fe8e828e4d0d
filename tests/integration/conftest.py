"""The loopback server for integration tests."""

from __future__ import annotations

import pytest

from tests.loopback import Loopback

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
