"""Notifies the site of changed content: by its own sync endpoint, which clears its caches, or by a webhook."""

import hashlib
import hmac
import json
from typing import Any
from urllib.parse import urlsplit

from jobctl.errors import ServiceError
from jobctl.http import NO_RETRY, HttpClient, Response, authorization
from jobctl.settings.environment import Environment
from jobctl.settings.masking import address_secrets, path_secrets
from jobctl.urls import demand_private

URL, SECRET = "JOBCTL_CONTENT_CHANGED_URL", "JOBCTL_CONTENT_CHANGED_SECRET"
SIGNATURE = "X-Hub-Signature-256"
"""As GitHub signs its webhooks: ``sha256=`` and the HMAC of the body in hexadecimal."""
_SYNC = "/api/cron/sync"
_MOST_PATHS = 1000
_WEBHOOK_TIMEOUT_S, _SYNC_TIMEOUT_S = 10.0, 60.0


class ChangeNotice:
    """Requests to the address in ``JOBCTL_CONTENT_CHANGED_URL``.

    Raises:
        PermanentJobError: a secret would cross the network unencrypted.
        ConfigurationError: the secret cannot be sent.
    """

    def __init__(self, environment: Environment, url: str) -> None:
        parts = urlsplit(url)
        self._is_sync = parts.path.rstrip("/") == _SYNC
        self._secret = environment.secret("CRON_SECRET" if self._is_sync else SECRET)
        headers = {}
        if self._is_sync and self._secret is not None:
            demand_private(url, URL, "CRON_SECRET")
            headers = authorization("Bearer", self._secret, "CRON_SECRET")
        elif any(
            (*address_secrets(url), *path_secrets(url))
        ):  # other http addresses are often of a container
            demand_private(url, URL, "the secret in it")
        self._client = HttpClient(
            url,
            headers,
            timeout=_SYNC_TIMEOUT_S if self._is_sync else _WEBHOOK_TIMEOUT_S,
            retry=NO_RETRY,
        )

    def send(self, paths: list[str]) -> None:
        """Notify the site. A webhook gets the changed paths; the site's own sync finds them itself.

        Raises:
            ServiceError: it does not answer, or refuses.
        """
        if self._is_sync:
            self._demand_success(self._client.call())
        else:
            self._demand_success(self._post({"paths": paths[:_MOST_PATHS], "total": len(paths)}))

    def check(self) -> str:
        """Test it without a change: OPTIONS of the sync endpoint, or a webhook with ``"test": true``.

        Returns:
            A clause for people.

        Raises:
            ServiceError: it does not answer, or refuses.
        """
        if not self._is_sync:
            self._demand_success(self._post({"paths": [], "total": 0, "test": True}))
            return f"{self._client.host} accepted a test" + (", signed" if self._secret else ", not signed")
        response = self._client.call(method="OPTIONS")
        # Next.js answers 204 with Allow; a proxy may drop that, or allow no OPTIONS itself (405)
        if not (response.is_success or "GET" in response.headers.get("allow", "")):
            raise ServiceError(
                f"{self._client.host} answered {response.status}: it has no {_SYNC}", hint=f"see {URL}"
            )
        return f"{self._client.host} has {_SYNC}" + ("" if self._secret else "; CRON_SECRET is not set")

    def _post(self, body: dict[str, Any]) -> Response:
        headers = {}
        if self._secret is not None:
            key = self._secret.reveal().encode("utf-8", "surrogateescape")
            digest = hmac.new(key, json.dumps(body).encode(), hashlib.sha256).hexdigest()
            headers = {SIGNATURE: f"sha256={digest}"}
        return self._client.call(body=body, headers=headers)

    def _demand_success(self, response: Response) -> None:
        if not response.is_success:
            raise ServiceError(f"{self._client.host} answered {response.status}")
