"""A fault of jobctl itself: one sentence for people, the details in a file that its owner alone can read."""

import os
import traceback
from pathlib import Path

from jobctl.cli.context import Context
from jobctl.errors import JobctlError
from jobctl.files import open_private, state_folder


def record(error: Exception, context: Context) -> JobctlError:
    """Keep the traceback, masked, and answer with what to tell. Never raises."""
    frames = traceback.extract_tb(error.__traceback__)
    place = Path(frames[-1].filename).stem if frames else "start"
    sentence = f"jobctl itself failed; this is a bug ({type(error).__name__} in {place})"
    try:
        kept = _keep(error, context)
    except Exception:  # the fault may well be in what finds the project; the sentence must still come
        return JobctlError(sentence, hint="--verbose shows the details")
    return JobctlError(sentence, hint=f"details are in {kept}; --verbose shows them")


def _keep(error: Exception, context: Context) -> Path:
    folder = context.state_folder()
    state_folder(folder)
    path = folder / f"crash-{context.now():%Y%m%d-%H%M%S}.txt"
    handle = open_private(path, os.O_WRONLY | os.O_EXCL)
    with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(context.output.mask("".join(traceback.format_exception(error))))
    return path
