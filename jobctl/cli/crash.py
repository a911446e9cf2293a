"""A fault of jobctl itself: one sentence for people, the details in a file that its owner alone can read."""

import os
import traceback
from contextlib import suppress
from pathlib import Path

from jobctl.cli.options import Common
from jobctl.clock import SystemClock
from jobctl.errors import JobctlError
from jobctl.text import Mask


def record(error: Exception, common: Common) -> JobctlError:
    """Keep the traceback, masked, and answer with what to tell. Never raises."""
    last = traceback.extract_tb(error.__traceback__)
    place = Path(last[-1].filename).stem if last else "start"
    sentence = f"jobctl itself failed; this is a bug ({type(error).__name__} in {place})"
    try:
        kept = _keep(error, common)
    except Exception:  # the fault may well be in what finds the project; the sentence must still come
        return JobctlError(sentence, hint="--verbose shows the details")
    return JobctlError(sentence, hint=f"details are in {kept}; --verbose shows them")


def _keep(error: Exception, common: Common) -> Path:
    from jobctl.cli.context import Context

    context = Context(common)
    text = "".join(traceback.format_exception(error))
    secrets: list[str] = [value for name, value in os.environ.items() if _sounds_secret(name)]
    with suppress(Exception):  # the settings may be what is broken
        secrets.extend(context.environment.secret_texts())
    folder = context.state_folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    moment = SystemClock().now().strftime("%Y%m%d-%H%M%S")
    path = folder / f"crash-{moment}.txt"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(Mask(secrets)(text))
    return path


def _sounds_secret(name: str) -> bool:
    return any(word in name.upper() for word in ("TOKEN", "KEY", "SECRET", "PASSWORD", "DATABASE_URL", "DSN"))
