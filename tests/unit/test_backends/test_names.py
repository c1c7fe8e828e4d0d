"""Names as text that every file can hold, and that differ where the names do."""

from __future__ import annotations

import os
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hybridq_backends import list_backends, parse_backend
from hybridq_backends.utils.names import legible


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"M\xfcller.png", r"M\xfcller.png"),
        ("Müller.png".encode(), "Müller.png"),
        (rb"M\xfcller.png", r"M\x5cxfcller.png"),
        (rb"a\b\x.png", r"a\b\x.png"),
        (b"\\\xfc", r"\\xfc"),
    ],
)
def test_a_name_as_text(raw, text):
    assert legible(os.fsdecode(raw)) == text


PIECES = st.sampled_from(
    ["\\", "x", "u", "d", "f", "c", "8", "0", "5", "\udcfc", "\udc5c", "\ud800"]
)


@given(st.lists(PIECES).map("".join))
@example("\\x5c")
@example("\\\\xfc")
@example("\\udcfc\udcfc")
def test_the_name_can_be_told_from_the_text(name):
    text = legible(name)
    text.encode()
    back = re.sub(r"\\x([0-9a-f]{2})|\\u(d[89a-f][0-9a-f]{2})", _read, text)
    assert back == name


def _read(found):
    if found[2]:
        return chr(int(found[2], 16))
    code = int(found[1], 16)
    return chr(code if code < 0x80 else 0xDC00 + code)


def test_a_profile_in_a_file_whose_name_is_not_utf8(tmp_path, monkeypatch):
    monkeypatch.setenv("HYBRIDQ_PROFILES", str(tmp_path))
    text = 'summary = "my own"\nkind = "statevector"\nshots = 9\n'
    (tmp_path / os.fsdecode(b"M\xfcller.toml")).write_text(text)
    found = list_backends()[r"M\xfcller"]
    found.source.encode()
    for name in (r"M\xfcller", "M\udcfcller"):
        assert parse_backend(name).shots == 9
