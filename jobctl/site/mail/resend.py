"""Resend: https://resend.com/docs/api-reference/emails/send-email."""

import re
from typing import Any

from jobctl.errors import PermanentJobError, ServiceError
from jobctl.http import TIMEOUT_S, HttpClient, Response, RetryPolicy, Wait, authorization, is_transient
from jobctl.settings.masking import Secret
from jobctl.site.mail.message import Message, Sender, mailbox, one_line
from jobctl.site.mail.transport import MailRefusedError, Transport
from jobctl.urls import demand_private

_WRONG_KEY = {"missing_api_key", "invalid_api_key", "restricted_api_key", "invalid_access"}
_QUOTA = {"daily_quota_exceeded", "monthly_quota_exceeded"}
_KEY = re.compile(r"[!-~]{1,256}")


class Resend(Transport):
    """The provider Resend. It recognizes a mail by its idempotency key for 24 hours."""

    name = "resend"

    def __init__(
        self, base: str, key: Secret, sender: Sender, *, timeout: float = TIMEOUT_S, wait: Wait | None = None
    ) -> None:
        demand_private(base, "RESEND_BASE_URL")
        self.place = base
        self._sender = sender
        self._client = HttpClient(
            base,
            authorization("Bearer", key, "RESEND_API_KEY"),
            timeout=timeout,
            retry=RetryPolicy(is_retried=_is_retried),
            wait=wait,
        )

    def send(self, message: Message) -> None:
        """Send one mail."""
        body: dict[str, Any] = {
            "from": mailbox(self._sender.address, self._sender.name),
            "to": [mailbox(message.to, message.name)],
            "subject": one_line(message.subject),
            "html": message.html,
            "text": message.text,
            "headers": {"Auto-Submitted": "auto-generated"},
        }
        if message.attachment is not None:
            body["attachments"] = [
                {"filename": message.attachment.name, "content": message.attachment.base64}
            ]
        key = message.key if _KEY.fullmatch(message.key) else message.digest
        response = self._client.call("/emails", body, {"Idempotency-Key": key})
        if _error_name(response) == "invalid_idempotent_request":
            return  # the same key with another content: this mail was sent before
        if response.status not in {200, 201}:
            raise self._explained(response)
        if not response.fields.get("id"):
            raise ServiceError(
                f"{self._client.host} does not answer like Resend: its response has no id",
                hint="see RESEND_BASE_URL",
            )

    def check(self) -> str:
        """Request the account's domains; a key that may only send mails is good, too."""
        response = self._client.call("/domains")
        if response.status == 200:
            return "the key is valid"
        if _error_name(response) == "restricted_api_key":
            return "the key is valid, only for sending"
        raise self._explained(response)

    def _explained(self, response: Response) -> Exception:
        status, name = response.status, _error_name(response)
        detail = one_line(str(response.fields.get("message") or ""))[:200]
        text = f"Resend refused it: {status} {detail or name}"
        if status == 401 or name in _WRONG_KEY:
            return PermanentJobError(f"Resend refused the key ({status} {name})", hint="see RESEND_API_KEY")
        if name == "invalid_from_address" or (status == 403 and "domain" in detail.lower()):
            return PermanentJobError(text, hint="see EMAIL_FROM: its domain must be verified with Resend")
        if is_transient(response) or name in _QUOTA:
            return ServiceError(f"Resend cannot send now: {status} {detail or name}")
        if status == 404 or 300 <= status < 400:
            return PermanentJobError(text, hint="see RESEND_BASE_URL")
        return MailRefusedError(text)


def _error_name(response: Response) -> str:
    return str(response.fields.get("name") or "")


def _is_retried(response: Response) -> bool:
    """A quota is not: it lasts longer than any retry."""
    name = _error_name(response)
    return name == "concurrent_idempotent_requests" or (is_transient(response) and name not in _QUOTA)
