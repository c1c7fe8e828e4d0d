"""The account: access tokens, the instance and its plan, what is left of its time."""

from __future__ import annotations

import base64
import json
import threading
import time
import uuid
from typing import Any
from urllib.parse import parse_qs

from tests.loopback.replies import RefusedError, Reply, json_reply

TOKEN = "loopback-api-key-that-must-never-be-shown"
CRN = "crn:v1:bluemix:public:quantum-computing:us-east:a/loopback:instance-of-tests::"
PLAN_ID = "plan-of-tests"
LIFETIME = 3600

_PLANS = {"open": ("Open", "free"), "paid": ("Pay-as-you-go", "paygo")}


class Account:
    """One API key with one instance, or more.

    Attributes:
        plan: open or paid.
        seconds_left: QPU seconds left.
        crns: Its instances, which share everything.
    """

    def __init__(self, plan: str, seconds_left: float) -> None:
        """Open the account."""
        if plan not in _PLANS:
            raise ValueError(f"Expected `plan` to be open or paid, got {plan!r}.")
        self.plan = plan
        self.seconds_left = float(seconds_left)
        self.crns = [CRN]
        self._limit = float(seconds_left)
        self._valid: set[str] = set()
        self._lock = threading.Lock()

    def issue(self, body: bytes) -> Reply:
        """Answer IAM's `POST /identity/token`."""
        form = parse_qs(body.decode("utf-8", "replace"))
        if form.get("apikey") != [TOKEN]:
            refusal = {
                "errorCode": "BXNIM0415E",
                "errorMessage": "Provided API key could not be found.",
            }
            return json_reply(refusal, 400)
        start = int(time.time())
        claims = {"iat": start, "exp": start + LIFETIME, "jti": uuid.uuid4().hex}
        token = ".".join([_part({"alg": "RS256", "typ": "JWT"}), _part(claims), "c2lnbmF0dXJl"])
        with self._lock:
            self._valid.add(token)
        return json_reply(
            {
                "access_token": token,
                "refresh_token": "not_supported",
                "token_type": "Bearer",
                "expires_in": LIFETIME,
                "expiration": start + LIFETIME,
                "scope": "ibm openid",
            }
        )

    def expire_tokens(self) -> None:
        """Stop accepting every access token issued so far."""
        with self._lock:
            self._valid.clear()

    def check(self, authorization: str) -> None:
        """Refuse a request without a valid access token or API key.

        Raises:
            RefusedError: 401.
        """
        kind, _, secret = authorization.partition(" ")
        with self._lock:
            known = secret in self._valid
        if not (known if kind == "Bearer" else kind == "apikey" and secret == TOKEN):
            raise RefusedError(401, 1201, "Invalid credentials.")

    def search(self) -> Reply:
        """Answer the global search for instances."""
        items = [
            {
                "crn": crn,
                "name": "loopback",
                "service_plan_unique_id": PLAN_ID,
                "tags": [],
                "doc": {"extensions": {"allocation": "tests"}},
            }
            for crn in self.crns
        ]
        return json_reply({"items": items, "limit": 100})

    def catalog(self) -> Reply:
        """Answer the global catalog about the plan."""
        name, pricing = _PLANS[self.plan]
        return json_reply(
            {
                "id": PLAN_ID,
                "overview_ui": {"en": {"display_name": name}},
                "metadata": {"pricing": {"type": pricing}},
            }
        )

    def usage(self) -> dict[str, Any]:
        """Write what `GET /instances/usage` answers."""
        left = max(self.seconds_left, 0.0)
        limit = max(self._limit, left)
        return {
            "instance_id": CRN,
            "plan_id": PLAN_ID,
            "usage_limit_seconds": limit,
            "usage_allocation_seconds": limit,
            "usage_consumed_seconds": limit - left,
            "usage_remaining_seconds": left,
            "usage_limit_reached": left <= 0,
        }


def _part(data: dict[str, Any]) -> str:
    """Encode one part of a JWT."""
    return base64.urlsafe_b64encode(json.dumps(data).encode()).rstrip(b"=").decode()
