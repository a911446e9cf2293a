"""A folder of ``.eml`` files: where mails go that have no provider. Any mail program opens them."""

import os
import re
from pathlib import Path

from jobctl.clock import SystemClock
from jobctl.errors import ServiceError, reason_of
from jobctl.files import PRIVATE_FILE, open_private, private_folder, write_whole
from jobctl.site.mail.message import Message, Sender, to_bytes
from jobctl.site.mail.transport import Stateless


class Outbox(Stateless):
    """Writes each mail whole. The same key again replaces the earlier file."""

    name = "outbox"
    repeatable = True

    def __init__(self, folder: Path, sender: Sender) -> None:
        self.place = str(folder)
        self._folder = folder
        self._sender = sender

    def send(self, message: Message) -> None:
        """Write one file, named by time, subject and key."""
        now = SystemClock().now()
        slug = re.sub(r"[^a-z0-9]+", "-", message.subject.lower()).strip("-")[:40] or "mail"
        mark = message.digest[:12]
        try:
            private_folder(self._folder)
            earlier = list(self._folder.glob(f"*-{mark}.eml"))
            file = earlier[0] if earlier else self._folder / f"{now:%Y%m%d-%H%M%S}-{slug}-{mark}.eml"
            write_whole(file, to_bytes(message, self._sender, now), mode=PRIVATE_FILE)
        except OSError as error:
            raise _cannot(self._folder, error) from error

    def check(self) -> str:
        """Whether files can be written there."""
        probe = self._folder / f".check.{os.getpid()}"
        try:
            private_folder(self._folder)
            os.close(open_private(probe, os.O_WRONLY))
            probe.unlink()
        except OSError as error:
            raise _cannot(self._folder, error) from error
        return "mails are written as files"


def _cannot(folder: Path, error: OSError) -> ServiceError:
    return ServiceError(f"the outbox {folder} cannot be written: {reason_of(error)}")
