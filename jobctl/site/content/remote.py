"""Talking to the remote repository: one connection, limits in time, the token to its own origin only."""

import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import pygit2
from pygit2.enums import ConfigLevel

from jobctl.durations import write_duration
from jobctl.errors import PermanentJobError, ServiceError
from jobctl.memory import MIB
from jobctl.settings.masking import masked_address
from jobctl.site.content.address import Address
from jobctl.site.content.limits import Limits, out_of_memory, variable_of
from jobctl.site.content.local_copy import OBJECTS_A_FILE, complete, copy_from_folder
from jobctl.text import quote

Answer = TypeVar("Answer")

_REFUSED = ("authentication", "status code: 401", "status code: 403")
_DAMAGED = ("object not found", "unable to read", "no match for id", "corrupt", "failed to find", "zlib")
_LOCAL = {
    "no space left": "free some space there",
    "disk quota": "free some space there, or raise the quota",
    "read-only file system": "have the project where it can be written",
    "permission denied": "give the folder to the user that jobctl runs as",
    "operation not permitted": "give the folder to the user that jobctl runs as",
    "too many open files": "raise the limit of open files (ulimit -n)",
}
_PASSING = ("no space left", "disk quota", "too many open files")
_CONFIG_LEVELS = (ConfigLevel.SYSTEM, ConfigLevel.XDG, ConfigLevel.GLOBAL, ConfigLevel.PROGRAMDATA)


class DamagedError(ServiceError):
    """The local repository cannot be used as it is; a new clone can."""


@dataclass(frozen=True, slots=True)
class Tip:
    """The remote's branch and its commit.

    Attributes:
        instead_of: the branch that was wanted and that the remote has not.
    """

    branch: str
    commit: str
    instead_of: str | None = None

    @property
    def warning(self) -> str | None:
        """What to say of a branch that the remote has not, as a sentence."""
        if self.instead_of is None:
            return None
        return (
            f"the content repository has no branch {quote(self.instead_of)} (GITHUB_BRANCH):"
            f" its default branch {self.branch} is used"
        )


def isolate(step: timedelta) -> None:
    """Forget the machine's and the user's git settings; give up on a silent server after ``step``."""
    for level in _CONFIG_LEVELS:
        pygit2.settings.search_path[level] = ""
    pygit2.settings.owner_validation = False
    pygit2.settings.enable_strict_object_creation(False)  # a file that was left out may stay in a tree
    pygit2.settings.server_timeout = int(step.total_seconds() * 1000)
    pygit2.settings.server_connect_timeout = min(30_000, int(step.total_seconds() * 1000))


class Remote:
    """The remote of a local repository.

    Args:
        repository: whose remote ``origin`` holds the address without credentials.
        address: with them.
        step: how long one network step may take.
        limits: of what is fetched.
    """

    def __init__(
        self, repository: pygit2.Repository, address: Address, step: timedelta, limits: Limits
    ) -> None:
        self._repository = repository
        self._address = address
        self._step = step
        self._limits = limits

    def tip(self, wanted: str | None) -> Tip:
        """The wanted branch's tip, or, where there is none, the default branch's. One round trip.

        Raises:
            PermanentJobError: the remote is empty, or the server refuses.
            ServiceError: it does not answer.
        """
        heads = self._step_of(self._list, f"{self._address.url} cannot be read")
        if not heads:
            raise self._empty()
        by_name = {head.name: str(head.oid) for head in heads}
        if wanted is not None and f"refs/heads/{wanted}" in by_name:
            return Tip(wanted, by_name[f"refs/heads/{wanted}"])
        default = next(
            (head.symref_target for head in heads if head.name == "HEAD" and head.symref_target), None
        )
        if default is None or default not in by_name:
            names = [name for name in by_name if name and name.startswith("refs/heads/")]
            same = [name for name in names if by_name[name] == by_name.get("HEAD")] or names
            if not same:
                raise self._empty()
            default = same[0]
        return Tip(default.removeprefix("refs/heads/"), by_name[default], wanted)

    def _empty(self) -> PermanentJobError:
        return PermanentJobError(
            f"the content repository {self._address.url} is empty", hint="push a first commit to it"
        )

    def fetch(self, tip: Tip, *, whole: bool) -> dict[pygit2.Oid, int]:
        """Fetch what is new on the branch; the first time only its newest commit.

        Returns:
            The sizes of files that were left out as too large.
        """
        if not self._address.over_network:
            return copy_from_folder(
                self._repository, self._address.folder, tip.commit, self._limits, whole=whole
            )
        pygit2.settings.pack_max_objects = self._limits.files * OBJECTS_A_FILE
        spec = f"+refs/heads/{tip.branch}:refs/jobctl/fetched"
        depth = 1 if whole else 0
        self._step_of(
            lambda callbacks: self._origin.fetch(
                [spec], callbacks=callbacks, proxy=self._proxy or None, depth=depth
            ),
            "the content folder cannot be written",
        )
        return {}

    def complete(self, files: Iterable[pygit2.Oid]) -> None:
        """Fetch files that were left out before, where they can be had by now."""
        if not self._address.over_network:
            complete(self._repository, self._address.folder, files, self._limits)

    def push(self, commit: str, branch: str) -> None:
        """Push a commit to the branch.

        Raises:
            PermanentJobError: it is refused.
            ServiceError: the server does not answer.
        """
        name = "refs/jobctl/push"
        self._repository.references.create(name, pygit2.Oid(hex=commit), force=True)
        try:
            self._step_of(
                lambda callbacks: self._origin.push(
                    [f"{name}:refs/heads/{branch}"], callbacks=callbacks, proxy=self._proxy or None
                ),
                f"{self._address.url} cannot be written",
            )
        finally:
            self._repository.references.delete(name)

    @property
    def _origin(self) -> pygit2.Remote:
        """Without a name, so that no ``pushurl`` of the copy's settings counts."""
        return self._repository.remotes.create_anonymous(self._address.url)

    @property
    def _proxy(self) -> bool:
        """Whether the environment's proxy is used: one would read a token that is not encrypted."""
        return self._address.encrypted or self._address.token is None

    def _list(self, callbacks: "_Callbacks") -> list[pygit2.remotes.RemoteHead]:
        return self._origin.list_heads(callbacks=callbacks, proxy=self._proxy or None)

    def _step_of(self, step: Callable[["_Callbacks"], Answer], what: str) -> Answer:
        """``what`` says what is not possible where this machine is at fault."""
        try:
            return step(_Callbacks(self._address, self._step, self._limits))
        except pygit2.GitError as error:
            raise _explained(error, self._address, what) from None


def look(address: Address, branch: str | None, step: timedelta) -> Tip:
    """The tip of a repository of which there is no copy; nothing is fetched.

    Raises:
        PermanentJobError: there is no such repository, it is empty, or the server refuses.
        ServiceError: it does not answer.
    """
    isolate(step)
    with tempfile.TemporaryDirectory(prefix="jobctl-") as folder:
        repository = pygit2.init_repository(folder, bare=True)
        repository.remotes.create("origin", address.url)
        return Remote(repository, address, step, Limits()).tip(branch)


def _origin_of(url: str) -> tuple[str, str | None, int]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)


class _Callbacks(pygit2.RemoteCallbacks):
    """The token is given to whom asks for it, if that is the address's origin: libgit2 would send a header
    of ours after a redirect to another port too."""

    def __init__(self, address: Address, step: timedelta, limits: Limits) -> None:
        super().__init__()
        self._limits = limits
        self._address = address
        self._limit = step
        self._end = time.monotonic() + step.total_seconds()
        self._given = False

    def credentials(self, url: str, username_from_url: str | None, allowed_types: int) -> pygit2.UserPass:  # noqa: ARG002
        token = self._address.token
        if token is not None and _origin_of(url) != _origin_of(self._address.url):
            raise PermanentJobError(
                f"the content repository redirects to {masked_address(url)}, which is not given the token",
                hint="set DATA_REPOSITORY to the new address",
            )
        if token is None or self._given:
            raise _refused(self._address)
        self._given = True
        return pygit2.UserPass(self._address.user, token.reveal())

    def push_update_reference(self, refname: str, message: str | None) -> None:
        if message is not None:
            raise PermanentJobError(f"the remote refuses {refname}: {message}")

    def transfer_progress(self, stats: pygit2.remotes.TransferProgress) -> None:
        if stats.received_bytes > self._limits.mib * MIB:
            raise self._limits.exceeded("mib")
        self._check_time()

    def sideband_progress(self, string: str) -> None:  # noqa: ARG002
        self._check_time()

    def push_transfer_progress(self, objects_pushed: int, total_objects: int, bytes_pushed: int) -> None:  # noqa: ARG002
        self._check_time()

    def _check_time(self) -> None:
        if time.monotonic() > self._end:
            raise ServiceError(
                f"the content repository took longer than {write_duration(self._limit)}",
                hint=f"on a slow line, raise {variable_of('seconds')}",
            )


def _refused(address: Address) -> PermanentJobError:
    if address.token is None:
        return PermanentJobError(f"{address.url} asks for a token", hint="set GH_TOKEN")
    what, where = ("password", "DATA_REPOSITORY") if address.own else ("token", "GH_TOKEN or GITHUB_TOKEN")
    return PermanentJobError(
        f"{address.url} refuses the {what}", hint=f"look at the one in {where}: is it valid, and for this?"
    )


def format_problem(error: Exception) -> str | None:
    """In what format a repository is that libgit2 does not read, as a clause; None where that is not the fault."""
    text = str(error).lower()
    if "object format" in text:
        return "has SHA-256 objects"
    if "refstorage" in text:
        return "keeps its branches as a reftable"
    if "unsupported extension" in text or "unsupported repository version" in text:
        return f"is in a newer format ({text.rpartition(': ')[2]})"
    return None


def local_problem(what: str, reason: str) -> PermanentJobError | ServiceError:
    """The error for what cannot be read or written on this machine, and what to do."""
    hint = next((hint for words, hint in _LOCAL.items() if words in reason.lower()), None)
    passing = hint is None or any(words in reason.lower() for words in _PASSING)
    return (ServiceError if passing else PermanentJobError)(f"{what}: {reason}", hint=hint)


def unusable(error: Exception, address: Address, folder: Path) -> PermanentJobError | ServiceError:
    """The error for a fault that a new clone has too: of the disk that the folder is on, or of the repository."""
    text = str(error)
    if any(words in text.lower() for words in _LOCAL):
        return local_problem(f"{folder} cannot be written", text)
    kind = (
        PermanentJobError if "failed to parse" in text else ServiceError
    )  # else it may be at work on itself
    return kind(f"the content repository {address.url} is damaged: {text}", hint="run git fsck in it")


def _explained(error: pygit2.GitError, address: Address, what: str) -> Exception:
    text = str(error).lower()
    problem = format_problem(error)
    if problem is not None:
        return PermanentJobError(
            f"the content repository {address.url} {problem}, which jobctl cannot read",
            hint="make it by git init --object-format=sha1 --ref-format=files, and push the content to it",
        )
    if "failed to lock" in text or any(word in text for word in _DAMAGED):
        return DamagedError(f"the copy of {address.url} cannot be used: {text}")
    if out_of_memory(error):
        return MemoryError(text)
    if any(word in text for word in _LOCAL):
        return local_problem(what, text)
    if "certificate" in text:
        return PermanentJobError(
            f"the certificate of {address.host} is not trusted",
            hint="an authority of your own goes into SSL_CERT_FILE",
        )
    if any(word in text for word in _REFUSED):
        return _refused(address)
    if "status code: 404" in text or "not found" in text or "could not find repository" in text:
        hint = "look at DATA_REPOSITORY; a private repository needs GH_TOKEN"
        return PermanentJobError(f"there is no repository at {address.url}", hint=hint)
    if "failed to resolve path" in text or "unsupported url" in text or "no such file" in text:
        return PermanentJobError(f"there is no repository at {address.url}", hint="look at DATA_REPOSITORY")
    if "non-fastforwardable" in text or "rejected" in text:
        return PermanentJobError(f"{address.url} refuses the push: {text}")
    return ServiceError(f"{address.url} did not answer: {text}")
