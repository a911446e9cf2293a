"""Finds ``@job`` functions in modules, in a child process: ours never imports job code."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from jobctl.catalogue.caches import cache_folder
from jobctl.clock import SystemClock
from jobctl.errors import ConfigurationError, reason_of
from jobctl.files import PRIVATE_FILE, private_folder, write_whole
from jobctl.masking import Mask
from jobctl.text import printable, quote
from jobctl.trust import owner_to_drop_to

TIMEOUT_S = 60
_FORMAT = 4
_SHAPE = {"id": str, "settings": dict, "origin": str, "dry_run": bool}
_KEPT_PRINTS = 65536


class Source(NamedTuple):
    """Modules to look into.

    Attributes:
        modules: their names.
        place: where they are listed, for messages.
        cache: the name of the file, beside the run store, that keeps what was found.
        versions: what else decides whether that still counts.
    """

    modules: Sequence[str]
    place: str
    cache: str
    versions: Sequence[str] = ()


def discover(
    folder: Path, source: Source, environment: Mapping[str, str], state: Path, mask: Mask
) -> list[dict[str, Any]]:
    """Each decorated job as ``{"id", "settings", "origin", "dry_run"}``, in the order of the modules.

    What was found is kept beside the run store until a file of theirs, or of the project, changes; not where a
    job has an environment, which may hold secrets, or anything else of them does.

    Raises:
        ConfigurationError: a module cannot be imported, or not in 60 seconds.
    """
    key = [_FORMAT, sys.version, str(folder), list(source.modules), list(source.versions)]
    cache = cache_folder(state) / source.cache
    kept = _kept(cache, key)
    if kept is None:
        answer = _ask(folder, source, environment, mask)
        if "error" in answer:
            fault = answer["error"]
            raise ConfigurationError(
                f"module {fault['module']} cannot be imported: {_shown(fault['error'], mask)[:500]}",
                where=fault["where"],
                hint=f"it is listed in {source.place}",
            )
        kept = answer["jobs"]
        if owner_to_drop_to(folder) is None:  # root writes nothing where an owner may put links
            _keep(cache, {"key": key, **answer}, mask)
    return kept


def missing(
    folder: Path, targets: Sequence[str], environment: Mapping[str, str], mask: Mask
) -> dict[str, str]:
    """Each ``module:function`` that cannot be called, with the reason; they are imported by a child process.

    Raises:
        ConfigurationError: the modules end that process, or take more than 60 seconds.
    """
    if not targets:
        return {}
    faults = _ask(folder, Source(targets, "the jobs", ""), environment, mask)["faults"]
    return {
        target: _shown(fault["error"], mask)[:500]
        for target, fault in zip(targets, faults, strict=True)
        if fault
    }


def _ask(folder: Path, source: Source, environment: Mapping[str, str], mask: Mask) -> dict[str, Any]:
    import json

    names = quote(", ".join(source.modules), 100)[1:-1]
    try:
        child = _start(folder, source.modules, environment)
    except (OSError, ValueError) as error:  # ValueError: a zero character in a variable
        reason = reason_of(error) if isinstance(error, OSError) else error
        raise ConfigurationError(
            f"importing {names} cannot be started: {reason}", where=source.place
        ) from error
    with child:
        try:
            said, printed = _listen(child)
        except TimeoutError:
            raise ConfigurationError(
                f"importing {names} took longer than {TIMEOUT_S} s", where=source.place
            ) from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)  # with whatever the modules started
    try:
        answer: dict[str, Any] = json.loads(said)
    except ValueError:
        last = _shown(printed.decode("utf-8", "replace").strip(), mask, last=True)[:300]
        raise ConfigurationError(
            f"importing {names} ended with code {child.returncode}: {last}", where=source.place
        ) from None
    return answer


def _shown(text: str, mask: Mask, *, last: bool = False) -> str:
    """What a module said, or the last line of it, without the secrets that it may have read."""
    shown = mask(text)
    return printable(" ".join((shown.rpartition("\n")[2] if last else shown).split()))


def _start(folder: Path, modules: Sequence[str], environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    rights: dict[str, Any] = {}
    if (owner := owner_to_drop_to(folder)) is not None:
        from jobctl.users import groups_of, home_of

        rights = {"user": owner.st_uid, "group": owner.st_gid}
        rights["extra_groups"] = groups_of(owner.st_uid, owner.st_gid)
        environment = {**environment, "HOME": str(home_of(owner.st_uid) or folder)}
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "jobctl.catalogue.discover_child", *modules],
        cwd=folder,
        env=dict(environment),
        **rights,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def _listen(child: "subprocess.Popen[bytes]") -> tuple[bytes, bytes]:
    """The child's answer, one line, and the end of what the modules printed.

    Waits for no process that the modules started, though it holds their standard error.

    Raises:
        TimeoutError: no answer in time.
    """
    import selectors

    clock = SystemClock()
    deadline = clock.monotonic() + TIMEOUT_S
    answers, prints = cast("IO[bytes]", child.stdout), cast("IO[bytes]", child.stderr)
    said, printed = bytearray(), bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(answers, selectors.EVENT_READ, said)
        selector.register(prints, selectors.EVENT_READ, printed)
        while answers in selector.get_map() and not said.endswith(b"\n"):
            ready = selector.select(max(0.0, deadline - clock.monotonic()))
            if not ready or clock.monotonic() > deadline:
                raise TimeoutError
            for key, _ in ready:
                data = os.read(key.fd, 65536)
                key.data.extend(data)
                if not data:
                    selector.unregister(key.fileobj)
            del printed[:-_KEPT_PRINTS]
    if not said.endswith(b"\n"):
        with suppress(subprocess.TimeoutExpired):
            child.wait(1)  # it ended by itself: its own code is the one to tell
    return bytes(said), bytes(printed)


def _kept(file: Path, key: list[Any]) -> list[dict[str, Any]] | None:
    import json

    try:
        data = json.loads(file.read_bytes())
        if data["key"] != key:
            return None
        for path, changed, size in data["files"]:
            state = os.stat(path)  # noqa: PTH116 - a listing may name thousands
            if (state.st_mtime_ns, state.st_size) != (changed, size):
                return None
        jobs: Any = data["jobs"]
        sound = isinstance(jobs, list) and all(
            {key: type(one[key]) for key in _SHAPE} == _SHAPE for one in jobs
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return jobs if sound else None


def _keep(file: Path, data: Mapping[str, Any], mask: Mask) -> None:
    """Only where the state folder is there already: looking makes none."""
    import json

    text = json.dumps(data)
    if any(one["settings"].get("environment") for one in data["jobs"]) or mask(text) != text:
        return
    with suppress(OSError):
        if file.parent.parent.is_dir():
            private_folder(file.parent)
        write_whole(file, text.encode(), mode=PRIVATE_FILE)
