"""The content repository: its address, and requests to its server with time limits; the token goes to its origin only."""

import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal, TypeVar
from urllib.parse import unquote, urlsplit, urlunsplit

import pygit2
from pygit2.enums import ConfigLevel
from pygit2.remotes import TransferProgress

from jobctl.durations import write_duration
from jobctl.errors import PermanentJobError, ServiceError
from jobctl.files import with_home
from jobctl.memory_limit import MIB
from jobctl.run_context import progress_if_any
from jobctl.settings.masking import Secret, masked_address
from jobctl.site.content.limits import Limits, is_out_of_memory, variable_of
from jobctl.site.content.local_fetch import OBJECTS_A_FILE, copy_from_folder, copy_skipped_files
from jobctl.text import quote
from jobctl.urls import is_in_clear

Result = TypeVar("Result")

_DEFAULT_USER = "x-access-token"
_TOKENS = ("ghp_", "gho_", "ghs_", "ghu_", "github_pat_", "glpat-")
"""GitHub accepts a token in place of the user; clone addresses are often written so."""
_REFUSED = ("authentication", "status code: 401", "status code: 403")
_NOT_FOUND = ("status code: 404", "not found", "could not find repository")
_NO_SUCH_FOLDER = ("failed to resolve path", "unsupported url", "no such file")
_DAMAGED = (
    "failed to lock", "object not found", "unable to read", "no match for id", "corrupt", "failed to find", "zlib",
)  # fmt: skip
_OBJECTS_A_CHECK = 50
_LOCAL_HINTS = {
    "no space left": "free some space there",
    "disk quota": "free some space there, or raise the quota",
    "read-only file system": "move the project to a folder that can be written",
    "permission denied": "give the folder to the user that jobctl runs as",
    "operation not permitted": "give the folder to the user that jobctl runs as",
    "too many open files": "raise the limit of open files (ulimit -n)",
}
_LOCAL_TRANSIENT = ("no space left", "disk quota", "too many open files")


# The address


@dataclass(frozen=True, slots=True)
class RepositoryAddress:
    """A repository's URL without credentials, and the credentials.

    Attributes:
        own: whether the token is from the address itself.
    """

    url: str
    user: str = _DEFAULT_USER
    token: Secret | None = None
    own: bool = False

    @property
    def host(self) -> str:
        """The server; empty for a folder."""
        return (urlsplit(self.url).hostname or "") if self.over_network else ""

    @property
    def over_network(self) -> bool:
        """Whether it is read by HTTP, not from a folder."""
        return self.url.startswith(("http://", "https://"))

    @property
    def folder(self) -> Path:
        """The folder, if it is not read by HTTP."""
        return Path(unquote(urlsplit(self.url).path))

    @property
    def encrypted(self) -> bool:
        """Whether it is read over TLS. Otherwise a token is sent only to loopback, and past any proxy."""
        return self.url.startswith("https://")


def read_repository_address(text: str, token: Secret | None, folder: Path) -> RepositoryAddress:
    """Parse ``DATA_REPOSITORY``. A password in it is used instead of ``token``.

    Args:
        text: ``https://``, ``http://``, ``file://``, or a path, relative to ``folder``.
        token: the password, sent as HTTP Basic with the address's user, or ``x-access-token``.
        folder: the project's.

    Raises:
        PermanentJobError: it is none of these, or the password would be sent over a network unencrypted.
    """
    scheme, separator, rest = text.partition("://")
    if not separator:
        exists = os.path.exists(text)  # noqa: PTH110 - False for an impossible path
        if text.startswith("git@") or (":" in text.partition("/")[0] and not exists):
            raise _unsupported(text)
        return RepositoryAddress((folder / with_home(text, "DATA_REPOSITORY")).absolute().as_uri())
    scheme = scheme.lower()
    if scheme == "file":
        return RepositoryAddress(f"file://{rest}")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise _unsupported(text) from error
    if scheme not in {"http", "https"} or not host:
        raise _unsupported(text)
    place = (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")
    url = urlunsplit((parts.scheme, place, parts.path, "", ""))
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if not password and user.startswith(_TOKENS):
        user, password = "", user
    address = RepositoryAddress(
        url, user or _DEFAULT_USER, Secret(password) if password else token, own=bool(password)
    )
    if address.token is not None and is_in_clear(url):
        raise PermanentJobError(
            f"the token of {url} would go over http:// unencrypted",
            hint="use an https:// address, or take the token out",
        )
    return address


def _unsupported(text: str) -> PermanentJobError:
    return PermanentJobError(
        f"DATA_REPOSITORY is {quote(masked_address(text))}, which cannot be used",
        hint="use an https:// address with GH_TOKEN, a file:// address or a path",
    )


# Requests


class DamagedError(ServiceError):
    """The local repository is damaged; a new clone would work."""


@dataclass(frozen=True, slots=True)
class Tip:
    """A branch of the remote and its newest commit.

    Attributes:
        instead_of: the wanted branch, which the remote does not have.
    """

    branch: str
    commit: str
    instead_of: str | None = None

    @property
    def warning(self) -> str | None:
        """A sentence if the remote does not have the wanted branch."""
        if self.instead_of is None:
            return None
        return (
            f"the content repository has no branch {quote(self.instead_of)} (GITHUB_BRANCH):"
            f" its default branch {self.branch} is used"
        )


def isolate_git(step: timedelta) -> None:
    """Ignore the git settings of the machine and the user; give up on a silent server after ``step``."""
    for level in (ConfigLevel.SYSTEM, ConfigLevel.XDG, ConfigLevel.GLOBAL, ConfigLevel.PROGRAMDATA):
        pygit2.settings.search_path[level] = ""
    pygit2.settings.owner_validation = False
    pygit2.settings.enable_strict_object_creation(False)  # a tree may name a file that was skipped
    milliseconds = int(step.total_seconds() * 1000)
    pygit2.settings.server_timeout = milliseconds
    pygit2.settings.server_connect_timeout = min(30_000, milliseconds)


@contextmanager
def unverified() -> Iterator[None]:
    """Read objects without hashing each: for those that a fetch has just hashed."""
    pygit2.settings.enable_strict_hash_verification(False)
    try:
        yield
    finally:
        pygit2.settings.enable_strict_hash_verification(True)


def fetch_tip(address: RepositoryAddress, branch: str | None, step: timedelta) -> Tip:
    """The tip of a repository without a local copy; no content is fetched. Raises as ``Remote.tip`` does."""
    isolate_git(step)
    with tempfile.TemporaryDirectory(prefix="jobctl-") as folder:
        repository = pygit2.init_repository(folder, bare=True)
        repository.remotes.create("origin", address.url)
        return Remote(repository, address, step, Limits()).tip(branch)


class Remote:
    """The remote of a local repository.

    Args:
        repository: its remote ``origin`` has the address without credentials.
        step: the time limit of one network step.
        limits: of what is fetched.
    """

    def __init__(
        self, repository: pygit2.Repository, address: RepositoryAddress, step: timedelta, limits: Limits
    ) -> None:
        self._repository = repository
        self._address = address
        self._step = step
        self._limits = limits
        # anonymous, so that a ``pushurl`` in the copy's settings has no effect
        self._origin = repository.remotes.create_anonymous(address.url)
        # the environment's proxy; it could read an unencrypted token
        self._proxy: Literal[True] | None = True if address.encrypted or address.token is None else None

    def tip(self, wanted: str | None) -> Tip:
        """The tip of the wanted branch, or of the default branch. One round trip.

        Raises:
            PermanentJobError: the remote is empty, or the server refuses.
            ServiceError: it does not answer.
        """
        heads = self._run(
            lambda callbacks: self._origin.list_heads(callbacks=callbacks, proxy=self._proxy),
            f"{self._address.url} cannot be read",
        )
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
                raise PermanentJobError(
                    f"the content repository {self._address.url} is empty", hint="push a first commit to it"
                )
            default = same[0]
        return Tip(default.removeprefix("refs/heads/"), by_name[default], wanted)

    def fetch(self, tip: Tip, *, first: bool) -> dict[pygit2.Oid, int]:
        """Fetch the new commits of the branch; the first time only the newest one.

        Returns:
            The sizes of files that were skipped as too large, in bytes.
        """
        if not self._address.over_network:
            return copy_from_folder(
                self._repository, self._address.folder, tip.commit, self._limits, first=first
            )
        pygit2.settings.pack_max_objects = self._limits.files * OBJECTS_A_FILE
        spec = f"+refs/heads/{tip.branch}:refs/jobctl/fetched"
        self._run(
            lambda callbacks: self._origin.fetch(
                [spec], callbacks=callbacks, proxy=self._proxy, depth=1 if first else 0
            ),
            "the content folder cannot be written",
        )
        return {}

    def fetch_skipped_files(self, files: Iterable[pygit2.Oid]) -> None:
        """Fetch files that an earlier fetch skipped, if they are available now."""
        if not self._address.over_network:
            copy_skipped_files(self._repository, self._address.folder, files, self._limits)

    def push(self, commit: str, branch: str) -> None:
        """Push a commit to the branch.

        Raises:
            PermanentJobError: it is refused.
            ServiceError: the server does not answer.
        """
        name = "refs/jobctl/push"
        self._repository.references.create(name, pygit2.Oid(hex=commit), force=True)
        try:
            self._run(
                lambda callbacks: self._repository.remotes.create_anonymous(self._address.url).push(
                    [f"{name}:refs/heads/{branch}"], callbacks=callbacks, proxy=self._proxy
                ),
                f"{self._address.url} cannot be written",
            )
        finally:
            self._repository.references.delete(name)

    def _run(self, step: Callable[["_Callbacks"], Result], local_problem: str) -> Result:
        """Run a network step; ``local_problem`` begins the sentence if this machine is at fault."""
        try:
            return step(_Callbacks(self._address, self._step, self._limits))
        except pygit2.GitError as error:
            raise _explained(error, self._address, local_problem) from None


class _Callbacks(pygit2.RemoteCallbacks):
    """Limits of one network step.

    The token is given on request, and only to the address's origin: libgit2 would send a header after a redirect
    to another port, too.
    """

    def __init__(self, address: RepositoryAddress, step: timedelta, limits: Limits) -> None:
        super().__init__()
        self._limits = limits
        self._address = address
        self._step = step
        self._end = time.monotonic() + step.total_seconds()
        self._given = False
        self._objects = 0

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

    @property
    def transfer_progress(self) -> Callable[[TransferProgress], None] | None:  # type: ignore[override]
        """libgit2 asks for it at each object. Only some are counted: that costs more than to receive an object."""
        self._check_time()
        self._objects += 1
        return None if self._objects % _OBJECTS_A_CHECK else self._check_size

    def _check_size(self, stats: TransferProgress) -> None:
        progress_if_any(stats.received_objects, stats.total_objects, "receiving the content")
        if stats.received_bytes > self._limits.mib * MIB:
            raise self._limits.exceeded("mib")

    def sideband_progress(self, string: str) -> None:  # noqa: ARG002
        self._check_time()

    def push_transfer_progress(self, objects_pushed: int, total_objects: int, bytes_pushed: int) -> None:  # noqa: ARG002
        self._check_time()

    def _check_time(self) -> None:
        if time.monotonic() > self._end:
            raise ServiceError(
                f"the content repository took longer than {write_duration(self._step)}",
                hint=f"on a slow line, raise {variable_of('seconds')}",
            )


def _origin_of(url: str) -> tuple[str, str | None, int]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)


# Errors


def format_problem(error: Exception) -> str | None:
    """Why libgit2 cannot read the repository's format, as a clause; None if the format is not the reason."""
    text = str(error).lower()
    if "object format" in text:
        return "has SHA-256 objects"
    if "refstorage" in text:
        return "keeps its branches as a reftable"
    if "unsupported extension" in text or "unsupported repository version" in text:
        return f"is in a newer format ({text.rpartition(': ')[2]})"
    return None


def local_error(what: str, reason: str) -> PermanentJobError | ServiceError:
    """The error for something that cannot be read or written on this machine."""
    hint = next((hint for words, hint in _LOCAL_HINTS.items() if words in reason.lower()), None)
    transient = hint is None or _any(_LOCAL_TRANSIENT, reason.lower())
    return (ServiceError if transient else PermanentJobError)(f"{what}: {reason}", hint=hint)


def unusable_error(
    error: Exception, address: RepositoryAddress, folder: Path
) -> PermanentJobError | ServiceError:
    """The error for a fault that a new clone has, too: of the disk below the folder, or of the repository."""
    text = str(error)
    if _any(_LOCAL_HINTS, text.lower()):
        return local_error(f"{folder} cannot be written", text)
    # other damage may be an unfinished write there
    kind = PermanentJobError if "failed to parse" in text else ServiceError
    return kind(f"the content repository {address.url} is damaged: {text}", hint="run git fsck in it")


def _refused(address: RepositoryAddress) -> PermanentJobError:
    if address.token is None:
        return PermanentJobError(f"{address.url} asks for a token", hint="set GH_TOKEN")
    what, where = ("password", "DATA_REPOSITORY") if address.own else ("token", "GH_TOKEN or GITHUB_TOKEN")
    return PermanentJobError(
        f"{address.url} refuses the {what}",
        hint=f"check the {what} in {where}: is it valid, and for this repository?",
    )


def _explained(error: pygit2.GitError, address: RepositoryAddress, local_problem: str) -> Exception:
    text = str(error).lower()
    if problem := format_problem(error):
        return PermanentJobError(
            f"the content repository {address.url} {problem}, which jobctl cannot read",
            hint="make it by git init --object-format=sha1 --ref-format=files, and push the content to it",
        )
    if _any(_DAMAGED, text):
        return DamagedError(f"the copy of {address.url} cannot be used: {text}")
    if is_out_of_memory(error):
        return MemoryError(text)
    if _any(_LOCAL_HINTS, text):
        return local_error(local_problem, text)
    return _explained_remote(text, address)


def _explained_remote(text: str, address: RepositoryAddress) -> Exception:
    if "certificate" in text:
        return PermanentJobError(
            f"the certificate of {address.host} is not trusted",
            hint="set SSL_CERT_FILE to the certificate of your own authority",
        )
    if _any(_REFUSED, text):
        return _refused(address)
    if _any((*_NOT_FOUND, *_NO_SUCH_FOLDER), text):
        private = "; a private repository needs GH_TOKEN" if _any(_NOT_FOUND, text) else ""
        return PermanentJobError(
            f"there is no repository at {address.url}", hint=f"check DATA_REPOSITORY{private}"
        )
    if "non-fastforwardable" in text or "rejected" in text:
        return PermanentJobError(f"{address.url} refuses the push: {text}")
    return ServiceError(f"{address.url} did not answer: {text}")


def _any(words: Iterable[str], text: str) -> bool:
    return any(word in text for word in words)
