"""Novu: https://docs.novu.co/api-reference/events/trigger-event."""

from typing import Any

from jobctl.errors import PermanentJobError, ServiceError
from jobctl.http import TIMEOUT_S, HttpClient, Response, Wait, authorization
from jobctl.settings.masking import Secret
from jobctl.site.mail.message import Message, Sender, encoded, one_line
from jobctl.site.mail.transport import MailRefusedError, Transport
from jobctl.urls import demand_private

_SENT_NOTHING = {
    "trigger_not_active": "is not active",
    "no_workflow_active_steps_defined": "has no active step",
    "no_workflow_steps_defined": "has no step",
}


class Novu(Transport):
    """The provider Novu: runs a workflow, whose e-mail step shows the payload's subject and content.

    ``subject``, ``body``, ``preheader`` and ``from`` are the payload of the Ever Works Template. The subscriber's id
    is the mail address, as there, so that a person stays one subscriber. Novu ignores a second trigger with the
    same ``transactionId``.
    """

    name = "novu"

    def __init__(
        self,
        base: str,
        key: Secret,
        sender: Sender,
        *,
        workflow: str = "email-default",
        timeout: float = TIMEOUT_S,
        wait: Wait | None = None,
    ) -> None:
        demand_private(base, "NOVU_BASE_URL")
        self.place = base
        self._sender = sender
        self._workflow = workflow
        headers = authorization("ApiKey", key, "NOVU_API_KEY")
        self._client = HttpClient(base, headers, timeout=timeout, wait=wait)

    def send(self, message: Message) -> None:
        """Trigger the workflow for one person."""
        response = self._client.call("/v1/events/trigger", self._trigger(message))
        if response.status in {200, 201}:
            self._check_event(response)
        elif "transactionId property is not unique" not in _detail(response):
            raise self._explained(response)
        # otherwise an older server, which refuses a mail that was sent before

    def _trigger(self, message: Message) -> dict[str, Any]:
        subject, sender = one_line(message.subject), encoded(self._sender.address)
        email = {"from": sender, "subject": subject}
        if self._sender.name:
            email["senderName"] = one_line(self._sender.name)
        to = {"subscriberId": message.to, "email": message.to}
        if message.name:
            to["firstName"] = one_line(message.name)
        payload: dict[str, Any] = {
            "subject": subject,
            "body": message.html,
            "preheader": message.text,
            "from": sender,
            "content": message.html,
            "html": message.html,
            "text": message.text,
        }
        if message.attachment is not None:
            page = {"name": message.attachment.name, "file": message.attachment.base64, "mime": "text/html"}
            payload["attachments"] = [page]
        return {
            "name": self._workflow,
            "to": to,
            "payload": payload,
            "overrides": {"email": email},
            "transactionId": message.digest,
        }

    def check(self) -> str:
        """Request the environment that the key belongs to."""
        response = self._client.call("/v1/environments/me")
        if response.status != 200:
            raise self._explained(response)
        data = response.fields.get("data")
        name = data.get("name") if isinstance(data, dict) else None
        return f"the key is valid, environment {name}" if name else "the key is valid"

    def _check_event(self, response: Response) -> None:
        """Raise an error if Novu accepted the event but sends no mail for it."""
        data = response.fields.get("data", response.fields)
        data = data if isinstance(data, dict) else {}
        status = data.get("status")
        if status == "processed":
            return
        if status is None:
            raise ServiceError(
                f"{self._client.host} does not answer like Novu: its response has no status",
                hint="see NOVU_BASE_URL",
            )
        if status in _SENT_NOTHING:
            raise PermanentJobError(
                f'Novu sent nothing: its workflow "{self._workflow}" {_SENT_NOTHING[status]}',
                hint="see NOVU_TEMPLATE_ID and the workflow",
            )
        errors = data.get("error")
        detail = "; ".join(map(str, errors)) if isinstance(errors, list) else str(errors or status)
        raise MailRefusedError(f"Novu refused it: {one_line(detail)[:200]}")

    def _explained(self, response: Response) -> Exception:
        status, detail = response.status, _detail(response)
        answer = f"{status} {detail}".rstrip()
        if status in {401, 403}:
            return PermanentJobError(f"Novu refused the key ({status})", hint="see NOVU_API_KEY")
        if status in {402, 429} or status >= 500:
            return ServiceError(f"Novu cannot send now: {answer}")
        if status == 404 or "workflow_not_found" in detail or 300 <= status < 400:
            return PermanentJobError(
                f"Novu refused it: {answer}", hint="see NOVU_TEMPLATE_ID and NOVU_BASE_URL"
            )
        return MailRefusedError(f"Novu refused it: {answer}")


def _detail(response: Response) -> str:
    return one_line(str(response.fields.get("message") or response.fields.get("error") or ""))[:200]
