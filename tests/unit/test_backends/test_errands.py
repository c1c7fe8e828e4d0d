from __future__ import annotations

import threading

import pytest

from hybridq_backends.ibm.timed_requests import Errand, GivenUpError, Sent


def test_nothing_goes_out_after_the_wait_was_interrupted(monkeypatch):
    """A key that interrupts the wait does not reach the thread."""
    go, sent = threading.Event(), []

    def call():
        go.wait(10)
        errand.leave(creates=True)
        sent.append("POST")

    errand = Errand(call)
    join = threading.Thread.join

    def interrupt(self, timeout=None):
        monkeypatch.setattr(threading.Thread, "join", join)
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "join", interrupt)
    with pytest.raises(KeyboardInterrupt):
        errand.answer(10.0)
    go.set()
    errand.join(10.0)
    assert sent == []
    assert errand.sent is Sent.NOTHING
    with pytest.raises(GivenUpError):
        errand.leave()
