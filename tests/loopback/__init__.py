"""IBM Quantum on the loopback interface, for tests with the unmodified IBM client."""

from __future__ import annotations

from tests.loopback.faults import Faults
from tests.loopback.records import Accepted, OpenSession, Request
from tests.loopback.server import Loopback

__all__ = ["Accepted", "Faults", "Loopback", "OpenSession", "Request"]
