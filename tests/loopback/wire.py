"""HTTP: reading requests, letting faults happen, sending replies in one piece."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from tests.loopback.records import Request
from tests.loopback.replies import Reply

if TYPE_CHECKING:
    from tests.loopback.server import Loopback


class Wire(ThreadingHTTPServer):
    """The listening socket and its connections; `close` ends them all."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, loopback: Loopback) -> None:
        """Listen on a free port of 127.0.0.1."""
        self.loopback = loopback
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Handler)
        self._thread = threading.Thread(
            target=self.serve_forever, args=(0.05,), name="loopback-http", daemon=True
        )

    @property
    def root(self) -> str:
        """The address with its port."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def start(self) -> None:
        """Start serving."""
        self._thread.start()

    def close(self) -> None:
        """Stop serving and end every connection."""
        self.shutdown()
        self.server_close()
        with self._guard:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(timeout=10.0)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread of its own."""
        with self._guard:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """End a connection."""
        with self._guard:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of connections that the client, or a fault, broke off."""


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Wire
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # a reply leaves in one piece: in two it costs 40 ms
    disable_nagle_algorithm = True

    def log_message(self, *_: Any) -> None:
        """Stay silent."""

    def _serve(self) -> None:
        """Answer one request, as a fault has it."""
        came = time.monotonic()
        loopback = self.server.loopback
        parts = urlsplit(self.path)
        path = loopback.path_below_root(parts.path)
        query = parse_qs(parts.query, keep_blank_values=True)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))

        def process() -> Reply:
            authorization = self.headers.get("Authorization") or ""
            return loopback.answer(self.command, parts.path, query, body, authorization)

        processed: Reply | None = None
        reply: Reply | None = None
        fault = loopback.faults.take(self.command, path)
        if fault is None:
            reply = processed = process()
        else:
            for _ in range(fault.copies):
                process()
            processed = process() if fault.accept else None
            if fault.hang > 0:
                loopback.stopping.wait(fault.hang)
            if not fault.drop:
                reply = fault.reply() or processed
                if reply is None:
                    reply = processed = process()
        if self.command == "POST" and processed is not None and reply is not None:
            loopback.settle(path, body, processed, reply)
        status = None if reply is None else reply.status
        instance = self.headers.get("Service-CRN")
        loopback.requests.append(
            Request(self.command, path, query, len(body), status, came, instance)
        )
        if reply is None:
            self.close_connection = True
            return
        self._send(reply)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    def _send(self, reply: Reply) -> None:
        """Send a reply."""
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.status != 204:
            self.send_header("Content-Type", reply.content_type)
            self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if reply.status != 204:
            self.wfile.write(reply.body)
