"""The loopback server for contract tests; see `tests/integration/conftest.py`."""

from tests.integration.conftest import loopback, serve

__all__ = ["loopback", "serve"]
