"""A spec as users write a backend."""

from __future__ import annotations

import pytest

from hybridq_backends import list_backends, parse_backend
from hybridq_backends.specs.texts import backend_text

WRITTEN = [
    "aer_noisy,device=FakeManilaV2,shots=1024,noise_scale=2.5",
    "aer_noisy,device=FakeTorino,shots=none",
    "statevector,engine=aer",
    "depolarizing,error_rate_2q=0.03",
    "ibm,device=ibm_fez,mode=session,max_qpu_seconds=60,shots=512",
    "ibm,service_options.filename=account.json",
    "ibm_rehearsal,rehearse=FakeManilaV2,seed=4",
]


@pytest.mark.parametrize("text", [*list_backends(), *WRITTEN])
def test_a_text_leads_to_the_spec_that_it_was_written_of(text):
    spec = parse_backend(text)
    written = backend_text(spec)
    assert written is not None
    assert parse_backend(written) == spec
    assert written.count(",") <= text.count(",")


def test_a_secret_is_not_written():
    spec = parse_backend("ibm", service_options={"token": "not to be seen"})
    written = backend_text(spec)
    assert written is None or "not to be seen" not in written
