"""Novu: https://docs.novu.co/api-reference/events/trigger-event."""

from typing import Any

from jobctl.errors import PermanentJobError, ServiceError
from jobctl.http import TIMEOUT_S, HttpClient, Response, Wait, authorization
from jobctl.settings.masking import Secret
from jobctl.site.mail.message import Message, Sender, encoded, one_line
from jobctl.site.mail.transport import MailRefusedError, Stateless
from jobctl.urls import demand_private

_SILENT = {
    "trigger_not_active": "is not active",
    "no_workflow_active_steps_defined": "has no active step",
    "no_workflow_steps_defined": "has no step",
}


class Novu(Stateless):
    """The provider Novu: it runs a workflow, whose e-mail step shows the payload's subject and content.
    ``subject``, ``body``, ``preheader`` and ``from`` are what the template sends.

    It ignores a second trigger with the same ``transactionId``. The subscriber's id is the mail address,
    as in the template, so that one person stays one subscriber.
    """

    name = "novu"
    repeatable = True

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
        self._client = HttpClient(
            base, authorization("ApiKey", key, "NOVU_API_KEY"), timeout=timeout, wait=wait
        )

    def send(self, message: Message) -> None:
        """Trigger the workflow for one person."""
        subject = one_line(message.subject)
        address = encoded(self._sender.address)
        email = {"from": address, "subject": subject}
        if self._sender.name:
            email["senderName"] = one_line(self._sender.name)
        to = {"subscriberId": message.to, "email": message.to}
        if message.name:
            to["firstName"] = one_line(message.name)
        payload: dict[str, Any] = {
            "subject": subject,
            "body": message.html,
            "preheader": message.text,
            "from": address,
            "content": message.html,
            "html": message.html,
            "text": message.text,
        }
        if message.attachment is not None:
            page = {"name": message.attachment.name, "file": message.attachment.base64, "mime": "text/html"}
            payload["attachments"] = [page]
        body = {
            "name": self._workflow,
            "to": to,
            "payload": payload,
            "overrides": {"email": email},
            "transactionId": message.digest,
        }
        response = self._client.call("/v1/events/trigger", body)
        if response.status in {200, 201}:
            self._look_at(response)
        elif "transactionId property is not unique" not in _said(response):
            raise self._explained(response)
        # an older server refuses what a newer one passes over: a mail that was sent before

    def check(self) -> str:
        """Ask which environment the key is of."""
        response = self._client.call("/v1/environments/me")
        if response.status != 200:
            raise self._explained(response)
        data = response.fields.get("data")
        name = data.get("name") if isinstance(data, dict) else None
        return f"the key is good, environment {name}" if name else "the key is good"

    def _look_at(self, response: Response) -> None:
        """An event can be taken and come to nothing all the same."""
        data = response.fields.get("data", response.fields)
        status = data.get("status") if isinstance(data, dict) else None
        if status == "processed":
            return
        if status is None:
            raise ServiceError(
                f"{self._client.host} answered as Novu never does, without a status", hint="see NOVU_BASE_URL"
            )
        if status in _SILENT:
            raise PermanentJobError(
                f'Novu sent nothing: its workflow "{self._workflow}" {_SILENT[status]}',
                hint="see NOVU_TEMPLATE_ID and the workflow",
            )
        errors = data.get("error") if isinstance(data, dict) else None
        said = one_line("; ".join(map(str, errors)) if isinstance(errors, list) else str(errors or status))
        raise MailRefusedError(f"Novu refused it: {said[:200]}")

    def _explained(self, response: Response) -> Exception:
        said = _said(response)
        if response.status in {401, 403}:
            return PermanentJobError(f"Novu refused the key ({response.status})", hint="see NOVU_API_KEY")
        if response.status in {402, 429} or response.status >= 500:
            return ServiceError(f"Novu sends nothing now: {response.status} {said}".rstrip())
        if response.status == 404 or "workflow_not_found" in said or 300 <= response.status < 400:
            return PermanentJobError(
                f"Novu refused it: {response.status} {said}".rstrip(),
                hint="see NOVU_TEMPLATE_ID and NOVU_BASE_URL",
            )
        return MailRefusedError(f"Novu refused it: {response.status} {said}".rstrip())


def _said(response: Response) -> str:
    return one_line(str(response.fields.get("message") or response.fields.get("error") or ""))[:200]
