"""Documents of the user's are read within bounds, and every fault is told in one line."""

from __future__ import annotations

import os

import pytest

from hybridq_backends.errors import InvalidValueError, MissingFileError
from hybridq_backends.utils.files import (
    MAX_DEPTH,
    open_regular,
    parse_json,
    read_json,
    read_text,
    read_toml,
)


def _refused(error, path):
    text = str(error.value)
    assert text.startswith("Expected a profile ")
    assert ", got " in text
    assert str(path) in text
    assert text.endswith(": correct it.")
    assert "\n" not in text
    return text


@pytest.mark.parametrize("read", [read_text, read_json, read_toml, open_regular])
@pytest.mark.parametrize(
    ("make", "got"),
    [
        (lambda path: None, "No such file"),
        (lambda path: path.mkdir(), "a folder"),
        (os.mkfifo, "a named pipe"),
        (lambda path: path.symlink_to("/dev/zero"), "a device"),
        (lambda path: path.symlink_to(path.with_name("nothing")), "a link to nothing"),
        (lambda path: path.symlink_to(path), "symbolic links"),
    ],
    ids=["missing", "folder", "fifo", "device", "dangling", "loop"],
)
def test_only_regular_files_are_read(tmp_path, read, make, got):
    path = tmp_path / "x"
    make(path)
    with pytest.raises(MissingFileError) as error:
        read(path, "a profile", "correct it.")
    assert got in _refused(error, path)


@pytest.mark.parametrize("name", ["nul\0in.json", "lone\ud800.json", "x" * 300])
def test_names_that_no_file_can_have(name):
    with pytest.raises(MissingFileError, match=r"^Expected a profile at .+, got .+: correct it\.$"):
        read_json(name, "a profile", "correct it.")


def test_a_link_to_a_file_is_followed(tmp_path):
    (tmp_path / "real.json").write_text('{"a": 1}')
    (tmp_path / "link.json").symlink_to("real.json")
    assert read_json(tmp_path / "link.json", "a profile", "correct it.") == {"a": 1}


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_byte_order_mark_is_taken_off(tmp_path, mark):
    path = tmp_path / "x"
    path.write_bytes(mark + 'k = "ü"'.encode())
    assert read_text(path, "a profile", "correct it.") == 'k = "ü"'
    assert read_toml(path, "a profile", "correct it.") == {"k": "ü"}


@pytest.mark.parametrize("read", [read_json, read_toml])
@pytest.mark.parametrize(
    ("content", "got"),
    [
        (b"\xff\xfe", "no UTF-8 at byte 0"),
        (b"a\0b", "a NUL byte"),
        (b" " * 101, "more than 100 bytes"),
        (b"nothing of the kind", "damaged"),
    ],
)
def test_what_is_no_such_text(tmp_path, read, content, got):
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(InvalidValueError) as error:
        read(path, "a profile", "correct it.", limit=100)
    assert got in _refused(error, path)


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ('{"a": NaN}', "not finite"),
        ("[1e999]", "not finite"),
        ("[-Infinity]", "not finite"),
        ('{"a": 1, "a": 2}', "the key 'a' twice"),
        ('{"a": "x\\u0000"}', "a NUL character"),
        ("[" * 100_000, "levels within"),
        ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "levels within"),
        ("9" * 5000, "thousands of digits"),
        ('{"a": 1', "damaged JSON"),
    ],
)
def test_json_that_python_would_take_or_break_at(tmp_path, text, got):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(InvalidValueError) as error:
        read_json(path, "a profile", "correct it.")
    assert got in _refused(error, path)


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("a = nan", "not finite"),
        ("a = 1e999", "not finite"),
        ("a = 1\na = 2", "damaged TOML"),
        ('a = "\\u0000"', "a NUL character"),
        ("a = " + "[" * 100_000, "levels within"),
        (".".join("a" * 5000) + " = 1", "levels within"),
        ("a = " + "9" * 5000, "thousands of digits"),
    ],
)
def test_toml_that_python_would_take_or_break_at(tmp_path, text, got):
    path = tmp_path / "x.toml"
    path.write_text(text)
    with pytest.raises(InvalidValueError) as error:
        read_toml(path, "a profile", "correct it.")
    assert got in _refused(error, path)


def test_the_deepest_document_that_is_read():
    text = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    found = parse_json(text, "a profile", "correct it.")
    for _ in range(MAX_DEPTH - 1):
        (found,) = found
    assert found == []
