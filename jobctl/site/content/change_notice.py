"""Telling the site that its content changed: by its own sync endpoint, which drops its caches, or by a webhook."""

import hashlib
import hmac
import json
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from jobctl.errors import ServiceError
from jobctl.http import NO_RETRY, HttpClient, Response, authorization
from jobctl.settings.environment import Environment
from jobctl.settings.masking import address_secrets, path_secrets
from jobctl.urls import demand_private

URL, SECRET = "JOBCTL_CONTENT_CHANGED_URL", "JOBCTL_CONTENT_CHANGED_SECRET"
SIGNATURE = "X-Hub-Signature-256"
"""As GitHub signs its webhooks: ``sha256=`` and the HMAC of the body in hexadecimal characters."""
_SYNC = "/api/cron/sync"
_MOST_PATHS = 1000
_WEBHOOK_S, _SYNC_S = 10.0, 60.0


class Receiver:
    """Whom ``JOBCTL_CONTENT_CHANGED_URL`` names.

    Raises:
        PermanentJobError: a secret would cross the network in clear.
        ConfigurationError: the secret cannot be sent.
    """

    def __init__(self, environment: Environment, url: str) -> None:
        parts = urlsplit(url)
        self._path = urlunsplit(("", "", parts.path, parts.query, ""))
        self._is_sync = parts.path.rstrip("/") == _SYNC
        self._secret = environment.secret("CRON_SECRET" if self._is_sync else SECRET)
        headers = {}
        if self._is_sync and self._secret is not None:
            demand_private(url, URL, "CRON_SECRET")
            headers = authorization("Bearer", self._secret, "CRON_SECRET")
        elif any((*address_secrets(url), *path_secrets(url))):
            demand_private(
                url, URL, "the secret in it"
            )  # other addresses are often of a container beside this one
        timeout = _SYNC_S if self._is_sync else _WEBHOOK_S
        self._client = HttpClient(
            f"{parts.scheme}://{parts.netloc}", headers, timeout=timeout, retry=NO_RETRY
        )

    def tell(self, paths: list[str]) -> None:
        """Tell it which paths changed; its own sync finds that out by itself.

        Raises:
            ServiceError: it did not response, or refused.
        """
        if self._is_sync:
            self._demand(self._client.call(self._path))
        else:
            self._demand(self._post({"paths": paths[:_MOST_PATHS], "total": len(paths)}))

    def check(self) -> str:
        """Try it without a change: OPTIONS of the sync endpoint, a webhook with ``"test": true``; a clause about it.

        Raises:
            ServiceError: it did not response, or refused.
        """
        if not self._is_sync:
            self._demand(self._post({"paths": [], "total": 0, "test": True}))
            return f"{self._client.host} took a test" + (", signed" if self._secret else ", not signed")
        response = self._client.call(self._path, method="OPTIONS")
        # Next.js answers 204 with Allow; a proxy may leave that out, or allow no OPTIONS itself (405)
        if not (response.is_success or "GET" in response.headers.get("allow", "")):
            raise ServiceError(
                f"{self._client.host} answered {response.status}: it has no {_SYNC}", hint=f"see {URL}"
            )
        return f"{self._client.host} has {_SYNC}" + ("" if self._secret else "; CRON_SECRET is not set")

    def _post(self, body: dict[str, Any]) -> Response:
        headers = {}
        if self._secret is not None:
            key = self._secret.reveal().encode("utf-8", "surrogateescape")
            headers = {
                SIGNATURE: f"sha256={hmac.new(key, json.dumps(body).encode(), hashlib.sha256).hexdigest()}"
            }
        return self._client.call(self._path, body, headers)

    def _demand(self, response: Response) -> None:
        if not response.is_success:
            raise ServiceError(f"{self._client.host} answered {response.status}")
