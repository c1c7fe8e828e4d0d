"""Downloads, from a server on this machine and from none."""

from __future__ import annotations

import hashlib
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from hybridq.data import MEDMNIST, fetch_data, load_data
from hybridq.data.sources import medmnist
from hybridq.errors import InvalidValueError, MissingFileError, UnavailableError


@pytest.fixture
def server(monkeypatch):
    """A server that answers every request with `server.body`; `server.asked` counts them."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.asked.append(self.path)
            self.send_response(self.server.status)
            self.send_header("Content-Length", str(len(self.server.body) + self.server.missing))
            self.end_headers()
            self.wfile.write(self.server.body)

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.asked, running.body, running.status, running.missing = [], b"", 200, 0
        monkeypatch.setattr(medmnist, "BASE_URL", f"http://127.0.0.1:{running.server_port}/files")
        thread = threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join(timeout=5)


def _expect(monkeypatch, body):
    """Let the table expect this file."""
    entry = MEDMNIST["breastmnist"]
    md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
    changed = {**vars(entry), "md5": (md5, *entry.md5[1:])}
    monkeypatch.setitem(MEDMNIST, "breastmnist", medmnist.MedMnistSet(**changed))


def test_download_once(server, monkeypatch, npz, tmp_path):
    server.body = npz("source.npz", shape=(28, 28)).read_bytes()
    _expect(monkeypatch, server.body)
    root = tmp_path / "root"
    path = fetch_data("breastmnist", data_root=root)
    assert path == root / "medmnist" / "breastmnist.npz"
    assert path.read_bytes() == server.body
    assert server.asked == ["/files/breastmnist.npz?download=1"]
    assert [entry.name for entry in path.parent.iterdir()] == ["breastmnist.npz"]
    assert len(load_data("breastmnist", data_root=root).splits["test"]) == 9
    assert len(server.asked) == 1


def test_download_to_the_cache(server, monkeypatch, npz):
    server.body = npz("source.npz", shape=(28, 28)).read_bytes()
    _expect(monkeypatch, server.body)
    path = fetch_data("breastmnist")
    assert "hybridq" in path.parts
    assert fetch_data("breastmnist") == path
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("status", "body", "missing", "words"),
    [
        (200, b"other bytes", 0, "MD5"),
        (404, b"not here", 0, "404"),
        (500, b"", 0, "500"),
        (200, b"cut", 1000, "breastmnist"),
    ],
    ids=["md5", "404", "500", "cut short"],
)
def test_failed_download_leaves_nothing(server, tmp_path, status, body, missing, words):
    server.status, server.body, server.missing = status, body, missing
    with pytest.raises(UnavailableError, match=words) as caught:
        load_data("breastmnist", data_root=tmp_path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(tmp_path / "medmnist" / "breastmnist.npz") in message
    assert MEDMNIST["breastmnist"].md5_of(28) in message
    assert list(tmp_path.iterdir()) == []


def test_no_network_names_file_and_place(monkeypatch, tmp_path):
    with socket.socket() as taken:  # a port on which nobody listens
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    monkeypatch.setattr(medmnist, "BASE_URL", f"http://127.0.0.1:{port}")
    with pytest.raises(UnavailableError) as caught:
        load_data("breastmnist,size=64", data_root=tmp_path)
    message = str(caught.value)
    assert "\n" not in message
    assert f"http://127.0.0.1:{port}/breastmnist_64.npz" in message
    assert str(tmp_path / "medmnist" / "breastmnist_64.npz") in message


def test_local_file_is_taken_as_it_is(server, npz, tmp_path):
    npz("breastmnist.npz", shape=(28, 28))  # its MD5 is not the official one
    assert fetch_data("breastmnist", data_root=tmp_path) == tmp_path / "breastmnist.npz"
    assert server.asked == []


def test_no_download_wanted(server, tmp_path):
    with pytest.raises(MissingFileError, match="hybridq data fetch breastmnist,size=128"):
        load_data("breastmnist,size=128", data_root=tmp_path, download=False)
    assert server.asked == []


def test_place_that_cannot_be_written(server, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UnavailableError, match="put it at"):
        fetch_data("breastmnist", data_root=tmp_path / "file")


def test_only_named_sets_are_fetched(tmp_path):
    with pytest.raises(InvalidValueError, match="phantom"):
        fetch_data("phantom")
    with pytest.raises(InvalidValueError, match="MedMNIST"):
        fetch_data(str(tmp_path))
