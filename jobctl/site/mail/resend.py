"""Resend: https://resend.com/docs/api-reference/emails/send-email."""

import re
from typing import Any

from jobctl.errors import PermanentJobError, ServiceError
from jobctl.http import TIMEOUT_S, HttpClient, Response, RetryPolicy, Wait, authorization, is_transient
from jobctl.settings.masking import Secret
from jobctl.site.mail.message import Message, Sender, mailbox, one_line
from jobctl.site.mail.transport import MailRefusedError, Stateless
from jobctl.urls import demand_private

_WRONG_KEY = {"missing_api_key", "invalid_api_key", "restricted_api_key", "invalid_access"}
_WRONG_SENDER = {"invalid_from_address"}
_KEY = re.compile(r"[!-~]{1,256}")
_QUOTA = {"daily_quota_exceeded", "monthly_quota_exceeded"}


class Resend(Stateless):
    """The provider Resend. It knows a mail by its idempotency key for 24 hours."""

    name = "resend"
    repeatable = True

    def __init__(
        self, base: str, key: Secret, sender: Sender, *, timeout: float = TIMEOUT_S, wait: Wait | None = None
    ) -> None:
        demand_private(base, "RESEND_BASE_URL")
        self.place = base
        self._sender = sender
        self._client = HttpClient(
            base, authorization("Bearer", key, "RESEND_API_KEY"), timeout=timeout, wait=wait
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
        response = self._client.call("/emails", body, {"Idempotency-Key": key}, retry=_RETRY)
        if _name(response) == "invalid_idempotent_request":
            return  # the same key with other words: this mail was sent before
        if response.status not in {200, 201}:
            raise self._explained(response)
        if not response.fields.get("id"):
            raise ServiceError(
                f"{self._client.host} answered as Resend never does, without the mail's id",
                hint="see RESEND_BASE_URL",
            )

    def check(self) -> str:
        """Ask for the account's domains; a key that may send and nothing else is good, too."""
        response = self._client.call("/domains")
        if response.status == 200:
            return "the key is good"
        if _name(response) == "restricted_api_key":
            return "the key is good, for sending alone"
        raise self._explained(response)

    def _explained(self, response: Response) -> Exception:
        name, said = _name(response), one_line(str(response.fields.get("message") or ""))[:200]
        text = f"Resend refused it: {response.status} {said or name}"
        if response.status == 401 or name in _WRONG_KEY:
            return PermanentJobError(
                f"Resend refused the key ({response.status} {name})", hint="see RESEND_API_KEY"
            )
        if name in _WRONG_SENDER or (response.status == 403 and "domain" in said.lower()):
            return PermanentJobError(text, hint="see EMAIL_FROM: its domain must be verified with Resend")
        if response.status == 429 or response.status >= 500 or name in _QUOTA:
            return ServiceError(f"Resend sends nothing now: {response.status} {said or name}")
        if response.status == 404 or 300 <= response.status < 400:
            return PermanentJobError(text, hint="see RESEND_BASE_URL")
        return MailRefusedError(text)


def _name(response: Response) -> str:
    return str(response.fields.get("name") or "")


def _may_pass(response: Response) -> bool:
    """A quota lasts for longer than anybody waits."""
    name = _name(response)
    return name == "concurrent_idempotent_requests" or (is_transient(response) and name not in _QUOTA)


_RETRY = RetryPolicy(is_retried=_may_pass)
