"""Turns errors into messages or JSON documents, and exit codes."""

import os
import re
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from jobctl.cli.context import Context
from jobctl.cli.output import NO_MASK, Common, Output, cannot_write
from jobctl.errors import EXHAUSTED, ExitCode, JobctlError, UsageError, reason_of
from jobctl.files import open_private, state_folder
from jobctl.settings.masking import Mask
from jobctl.text import alternatives, quote, suggestion


def record_crash(error: Exception, context: Context) -> JobctlError:
    """Save the masked traceback of an internal error, and return the error to report. Never raises."""
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


def exit_code_of(call: Callable[[], int | None], words: list[str]) -> int:
    """Make the call, report its error, and return the exit code. Never raises.

    Args:
        words: of the command line, for how an error is reported.
    """
    try:
        code = call()
        sys.stdout.flush()
        return int(code or 0)
    except BrokenPipeError:
        discard_output()
        return 1
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except Exception as error:
        return ExitCode.INTERRUPTED if _is_interrupt(error) else _report(error, words)


def _is_interrupt(error: Exception) -> bool:
    """Whether Ctrl-C caused it: Python 3.11 raises a ``RuntimeError`` from what ends the making of a class."""
    cause = error.__cause__
    while cause is not None:
        if isinstance(cause, KeyboardInterrupt):
            return True
        cause = cause.__cause__
    return False


def discard_output() -> None:
    """Point standard output at the null device, so that nothing buffered raises at exit."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _report(error: Exception, words: list[str]) -> int:
    common = Common.guess(words)
    known = _as_known(error)
    try:
        if Output.mask is NO_MASK:  # raised before the project's settings were known
            from jobctl.settings.masking import secret_texts

            Output.mask = Mask(secret_texts(os.environ))
        output = Output(common, os.environ)
        if known is None or (common.verbose and not isinstance(known, UsageError)):
            from jobctl.cli.context import Context

            context = Context(common, output=output)
            if common.verbose:
                output.traceback(error)
            known = known or record_crash(error, context)
        output.problem(known)
    except OSError:
        discard_output()
    except JobctlError as second:  # standard output took no document
        Output(Common(), os.environ).problem(second)
        known = second
    if known is None or known.code == "output":
        discard_output()
    return int(known.exit_code) if known is not None else ExitCode.INTERNAL


def _as_known(error: Exception) -> JobctlError | None:
    """The error with a message for users; None for an internal error."""
    if isinstance(error, JobctlError):
        return error
    if hasattr(error, "format_message"):  # Typer's errors of usage: their base class is private
        return _usage_error(error)
    if isinstance(error, OSError) and error.filename is None and error.errno is not None:
        import errno

        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EBADF, errno.EFBIG}:
            return cannot_write(error)
    return _exhausted(error)


def _exhausted(error: Exception) -> JobctlError | None:
    """The error for exhausted memory, processes or open files; None for another error."""
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


def _usage_error(error: Any) -> UsageError:
    """Typer's error as a ``UsageError``: in lower case, without a full stop, with a suggestion."""
    context: Any = getattr(error, "ctx", None)
    parameter: Any = getattr(error, "param", None)
    path = context.command_path if context is not None else "jobctl"
    hint = f"{path} --help shows what it takes"
    text = str(error.format_message()).strip().rstrip(".")
    if (name := getattr(error, "option_name", None)) is not None and text.lower().startswith(
        "no such option"
    ):
        known = (
            [opt for option in context.command.get_params(context) for opt in option.opts] if context else []
        )
        return UsageError(f'there is no option "{name}"', hint=suggestion(name, known, hint))
    if parameter is not None and text.startswith("Missing argument"):
        example = context.command.epilog.split("\n")[0].strip()
        name = parameter.human_readable_name if parameter.metavar else parameter.name.upper()
        return UsageError(
            f"{context.command.name} needs {name}: {_lower(parameter.help)}", hint=f"such as: {example}"
        )
    if (extra := re.match(r"Got unexpected extra argument\S* \((.*)\)", text, re.DOTALL)) is not None:
        if context.command.name == "run":
            return UsageError(
                "run takes no argument: it is the scheduler",
                hint="one job now: jobctl trigger ID; what ran: jobctl runs",
            )
        return UsageError(f"{context.command.name} does not take {quote(extra[1])}", hint=hint)
    if parameter is not None and (wrong := _wrong_value(parameter, text)) is not None:
        return UsageError(wrong[0], hint=wrong[1] or hint)
    return UsageError(_lower(text).replace("'", '"'), hint=hint)


def _wrong_value(parameter: Any, text: str) -> tuple[str, str | None] | None:
    """The message and the suggestion for a value that is not a number, out of range, or not a choice."""
    found = re.search(r": (?:'(.*)'|(\S+)) is not (?:in the range|a valid|one of)", text, re.DOTALL)
    if found is None:
        return None
    value = found[2] if found[1] is None else found[1]
    name = max(parameter.opts, key=len) if parameter.param_type_name == "option" else parameter.name.upper()
    if choices := [str(choice) for choice in getattr(parameter.type, "choices", ())]:
        close = suggestion(value, choices, "")
        return (
            f"{name} must be {alternatives(choices)}, not {quote(value)}",
            close or None,
        )
    least, most = getattr(parameter.type, "min", None), getattr(parameter.type, "max", None)
    bounds = f"{least} or more" if most is None else f"between {least} and {most}"
    number = "" if found[2] else "a whole number, " if most is None else "a whole number "
    return f"{name} must be {number}{bounds}, not {quote(value)}", None


def _lower(text: str) -> str:
    return (text[:1].lower() + text[1:]).rstrip(".")
