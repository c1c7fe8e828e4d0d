"""The runtime's REST API: which request is answered how."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.loopback import devices
from tests.loopback.records import Accepted, OpenSession
from tests.loopback.replies import RefusedError, Reply, json_reply

if TYPE_CHECKING:
    from tests.loopback.server import Loopback

Query = dict[str, list[str]]
NO_CONTENT = Reply(204)


def answer(server: Loopback, method: str, path: str, query: Query, body: bytes) -> Reply:
    """Answer one authorized request of the runtime's API.

    Args:
        server: The server, with its account, device, queue and sessions.
        method: The request's method.
        path: Its path below the API's root.
        query: Its query.
        body: Its body.

    Returns:
        The reply.

    Raises:
        RefusedError: If the service would refuse it.
    """
    for known, pattern, handler in _ROUTES:
        match = pattern.fullmatch(path)
        if known == method and match:
            return handler(server, match.groups(), query, body)
    raise RefusedError(404, 1000, f"No such endpoint: {method} {path}")


def _read(body: bytes) -> dict[str, Any]:
    """Read a JSON object."""
    try:
        data = json.loads(body)
    except ValueError as error:
        raise RefusedError(400, 1000, "The body is not JSON.") from error
    if not isinstance(data, dict):
        raise RefusedError(400, 1000, "The body is not an object.")
    return data


def _named(server: Loopback, name: str) -> str:
    """Check the name of a device."""
    if name not in (devices.NAME, devices.MOCK):
        raise RefusedError(404, 1007, "Backend not found.")
    return name


def _backends(server: Loopback, _: Any, query: Query, __: bytes) -> Reply:
    waiting = server.jobs_waiting()
    available = server.operational and server.status_message == "active"
    status = {"name": "online" if available else "offline", "reason": server.status_message}
    names = [devices.NAME] + [devices.MOCK] * ("include_mocks" in query)
    listed = [
        {
            "name": name,
            "class": "mock" if name == devices.MOCK else "qpu",
            "status": status,
            "is_simulator": False,
            "qubits": server.device.num_qubits,
            "queue_length": waiting,
        }
        for name in names
    ]
    return json_reply({"devices": listed})


def _configuration(server: Loopback, found: Any, _: Query, __: bytes) -> Reply:
    return json_reply(devices.configuration(server.device, _named(server, found[0])))


def _properties(server: Loopback, found: Any, _: Query, __: bytes) -> Reply:
    return json_reply(devices.properties(server.device, _named(server, found[0])))


def _status(server: Loopback, found: Any, _: Query, __: bytes) -> Reply:
    _named(server, found[0])
    return json_reply(
        {
            "state": server.operational,
            "status": server.status_message,
            "message": "",
            "length_queue": server.jobs_waiting(),
            "backend_version": server.device.backend_version or "1.0.0",
        }
    )


def _usage(server: Loopback, _: Any, __: Query, ___: bytes) -> Reply:
    return json_reply(server.account.usage())


def _post_job(server: Loopback, _: Any, __: Query, body: bytes) -> Reply:
    known = server.queue.unanswered(body)
    if known is not None:
        return _accepted(known)
    server.throttle.check()
    posted = _read(body)
    if posted.get("program_id") != "executor":
        raise RefusedError(404, 1207, "Program not found.")
    _named(server, posted.get("backend", devices.NAME))
    if server.account.seconds_left <= 0:
        raise RefusedError(409, 409, "This instance has met its usage limit.")
    session_id = posted.get("session_id")
    if session_id is not None and not _session(server, session_id).accepting_jobs:
        raise RefusedError(400, 1217, "Session has been closed")
    return _accepted(server.queue.accept(posted, body))


def _accepted(job: Accepted) -> Reply:
    """Tell the poster the job's id."""
    return json_reply({"id": job.id, "backend": job.backend, "session_id": job.session_id})


def _list_jobs(server: Loopback, _: Any, query: Query, __: bytes) -> Reply:
    return json_reply(server.queue.listing(query))


def _get_job(server: Loopback, found: Any, query: Query, _: bytes) -> Reply:
    job = server.queue.get(found[0])
    return json_reply(job.describe(with_params=query.get("exclude_params") != ["true"]))


def _results(server: Loopback, found: Any, _: Query, __: bytes) -> Reply:
    job = server.queue.get(found[0])
    text = job.result or job.reason
    return NO_CONTENT if job.pending or not text else Reply(200, text.encode())


def _metrics(server: Loopback, found: Any, _: Query, __: bytes) -> Reply:
    return json_reply(server.queue.get(found[0]).metrics())


def _logs(server: Loopback, found: Any, _: Query, __: bytes) -> Reply:
    server.queue.get(found[0])
    return Reply(200, b"", content_type="text/plain")


def _cancel(server: Loopback, found: Any, _: Query, __: bytes) -> Reply:
    server.queue.cancel(found[0])
    return NO_CONTENT


def _tags(server: Loopback, found: Any, _: Query, body: bytes) -> Reply:
    server.queue.get(found[0]).tags = list(_read(body).get("tags", []))
    return NO_CONTENT


def _delete(server: Loopback, found: Any, _: Query, __: bytes) -> Reply:
    server.queue.get(found[0]).deleted = True
    return NO_CONTENT


def _open_session(server: Loopback, _: Any, __: Query, body: bytes) -> Reply:
    posted = _read(body)
    mode = posted.get("mode", "dedicated")
    if mode == "dedicated" and server.account.plan == "open":
        message = "You are not authorized to run a session when using the open plan."
        raise RefusedError(400, 1352, message)
    name = _named(server, posted.get("backend", devices.NAME))
    session = OpenSession(uuid.uuid4().hex, mode, name, posted.get("max_ttl"))
    server.sessions[session.id] = session
    return json_reply(_described(server, session))


def _get_session(server: Loopback, found: Any, _: Query, __: bytes) -> Reply:
    return json_reply(_described(server, _session(server, found[0])))


def _patch_session(server: Loopback, found: Any, _: Query, body: bytes) -> Reply:
    session = _session(server, found[0])
    session.accepting_jobs = bool(_read(body).get("accepting_jobs", session.accepting_jobs))
    session.closed = session.closed or not session.accepting_jobs
    return NO_CONTENT


def _close_session(server: Loopback, found: Any, _: Query, __: bytes) -> Reply:
    session = _session(server, found[0])
    session.accepting_jobs, session.closed = False, True
    server.queue.cancel_session(session.id)
    return NO_CONTENT


def _session(server: Loopback, session_id: str) -> OpenSession:
    """Find a session."""
    if session_id not in server.sessions:
        raise RefusedError(404, 1216, "Session not found.")
    return server.sessions[session_id]


def _described(server: Loopback, session: OpenSession) -> dict[str, Any]:
    """Write a session as the service does."""
    jobs = [job for job in list(server.accepted) if job.session_id == session.id]
    busy = any(job.pending for job in jobs)
    ended = session.closed and not busy
    return {
        "id": session.id,
        "backend_name": session.backend,
        "mode": session.mode,
        "interactive_ttl": 60,
        "max_ttl": session.max_ttl or 28800,
        "active_ttl": 28800,
        "state": "closed" if ended else "active" if jobs else "open",
        "accepting_jobs": session.accepting_jobs,
        "started_at": session.created,
        "elapsed_time": sum(job.charge for job in jobs),
        "timestamps": [],
    }


_JOB = r"/jobs/([^/]+)"
_ROUTES: list[tuple[str, re.Pattern[str], Callable[..., Reply]]] = [
    (method, re.compile(pattern), handler)
    for method, pattern, handler in (
        ("GET", "/backends", _backends),
        ("GET", "/backends/([^/]+)/configuration", _configuration),
        ("GET", "/backends/([^/]+)/properties", _properties),
        ("GET", "/backends/([^/]+)/status", _status),
        ("GET", "/instances/usage", _usage),
        ("POST", "/jobs", _post_job),
        ("GET", "/jobs", _list_jobs),
        ("GET", _JOB, _get_job),
        ("GET", f"{_JOB}/results", _results),
        ("GET", f"{_JOB}/metrics", _metrics),
        ("GET", f"{_JOB}/logs", _logs),
        ("POST", f"{_JOB}/cancel", _cancel),
        ("PUT", f"{_JOB}/tags", _tags),
        ("DELETE", _JOB, _delete),
        ("POST", "/sessions", _open_session),
        ("GET", "/sessions/([^/]+)", _get_session),
        ("PATCH", "/sessions/([^/]+)", _patch_session),
        ("DELETE", "/sessions/([^/]+)/close", _close_session),
    )
]
