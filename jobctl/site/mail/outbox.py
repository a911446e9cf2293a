"""A folder of ``.eml`` files, for mails without a provider. Any mail program opens them."""

import os
import re
from pathlib import Path

from jobctl.clock import SystemClock
from jobctl.errors import ServiceError, reason_of
from jobctl.files import PRIVATE_FILE, open_private, private_folder, write_whole
from jobctl.site.mail.message import Message, Sender, to_bytes
from jobctl.site.mail.transport import Transport


class Outbox(Transport):
    """Writes each mail as a file. The same key again replaces its file."""

    name = "outbox"

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
            raise self._write_error(error) from error

    def check(self) -> str:
        """Write a file and remove it."""
        probe = self._folder / f".check.{os.getpid()}"
        try:
            private_folder(self._folder)
            os.close(open_private(probe, os.O_WRONLY))
            probe.unlink()
        except OSError as error:
            raise self._write_error(error) from error
        return "mails are written as files"

    def _write_error(self, error: OSError) -> ServiceError:
        return ServiceError(f"the outbox {self._folder} cannot be written: {reason_of(error)}")
