"""Error output: the one place where an error becomes a message or a JSON document, and an exit code."""

import os
import re
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from jobctl.cli.context import Context
from jobctl.cli.options import MOST, Common
from jobctl.cli.output import NONE_KNOWN, Output, cannot_write
from jobctl.errors import EXHAUSTED, ExitCode, JobctlError, UsageError, reason_of
from jobctl.files import open_private, state_folder
from jobctl.settings.masking import Mask
from jobctl.text import quote, suggestion


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
    folder = context.project.state
    state_folder(folder)
    path = folder / f"crash-{context.now():%Y%m%d-%H%M%S}.txt"
    handle = open_private(path, os.O_WRONLY | os.O_EXCL)
    with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(context.output.mask("".join(traceback.format_exception(error))))
    return path


def conclude(call: Callable[[], int | None], args: list[str]) -> int:
    """Do it, tell what went wrong, and answer with the exit code. Never raises."""
    try:
        code = call()
        sys.stdout.flush()
        return int(code or 0)
    except BrokenPipeError:
        forsake_output()
        return 1
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except Exception as error:
        return _tell(error, args)


def forsake_output() -> None:
    """Point standard output at nothing, so that what is still buffered fails nobody at exit."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _tell(error: Exception, args: list[str]) -> int:
    common = Common.guess(args)
    told = _for_people(error)
    try:
        if Output.mask is NONE_KNOWN:  # it happened before the project's settings were known
            from jobctl.settings.masking import secret_texts

            Output.mask = Mask(secret_texts(os.environ))
        output = Output(common, os.environ)
        if told is None or (common.verbose and not isinstance(told, UsageError)):
            from jobctl.cli.context import Context

            context = Context(common, output=output)
            if common.verbose:
                output.traceback(error)
            told = told or record(error, context)
        output.problem(told)
    except OSError:
        forsake_output()
    except JobctlError as second:  # standard output took no document
        Output(Common(), os.environ).problem(second)
        told = second
    if told is None or told.code == "output":
        forsake_output()
    return int(told.exit_code) if told is not None else ExitCode.INTERNAL


def _for_people(error: Exception) -> JobctlError | None:
    if isinstance(error, JobctlError):
        return error
    typer = sys.modules.get("typer")
    if typer is not None and isinstance(
        error, typer.BadParameter.__mro__[1]
    ):  # its usage error's home is private
        return _usage(error)
    if isinstance(error, OSError) and error.filename is None and error.errno is not None:
        import errno

        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EBADF, errno.EFBIG}:
            return cannot_write(error)
    return _exhausted(error)


def _exhausted(error: Exception) -> JobctlError | None:
    """The system, or a limit, allows no more. A library that cannot be loaded says so by its text alone."""
    if isinstance(error, OSError) and error.errno in EXHAUSTED:
        reason = reason_of(error)
    elif isinstance(error, MemoryError) or (
        isinstance(error, ImportError) and ("map segment" in str(error) or "allocate memory" in str(error))
    ):
        reason = "out of memory"
    else:
        return None
    return JobctlError(
        f"the system allows no more: {reason}",
        hint="raise the limits of processes, open files and memory (ulimit -u, -n, -v), or end other programs",
    )


def _limits(error: Exception) -> str | None:
    """What a number may be, where it is none or out of its range; None for any other error."""
    param = getattr(error, "param", None)
    kind = getattr(param, "type", None)
    if getattr(kind, "name", "") not in {"integer", "int range"} or not hasattr(error, "message"):
        return None
    least, most = getattr(kind, "min", None), getattr(kind, "max", None)
    found = re.match(r"(?:'(.*)'|(\S+)) is not (?:in the range|a valid)", str(error.message), re.DOTALL)
    if param is None or found is None:
        return None
    number = "" if found[2] else "a whole number "
    bounds = f"between {least} and {most}" if most not in {None, MOST} else f"{least} or more"
    return f"{max(param.opts, key=len)} must be {number}{bounds}, not {quote(found[1] or found[2])}"


def _usage(error: Exception) -> UsageError:
    """Typer's sentence in our form: lower case, no full stop, and what was probably meant."""
    text = str(error.format_message() if hasattr(error, "format_message") else error)
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "jobctl"
    hint = f"{path} --help shows what it takes"
    missing = getattr(error, "option_name", None)
    if missing is not None and text.lower().startswith("no such option"):
        text = f'there is no option "{missing}"'
        known = [name for one in context.command.get_params(context) for name in one.opts] if context else []
        hint = suggestion(missing, known, hint)
    if (limits := _limits(error)) is not None:
        return UsageError(limits, hint=hint)
    text = text.strip().rstrip(".")
    return UsageError(text[:1].lower() + text[1:].replace("'", '"'), hint=hint)
