"""``jobctl check [PART]``: checks everything that is configured, and explains what is wrong."""

import os
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jobctl.checks import ON_REQUEST, PARTS, CheckResult, CheckState, check, exit_code, other_distribution
from jobctl.cli.context import Context
from jobctl.cli.terminal import Terminal, rows
from jobctl.cli.times import read_span
from jobctl.errors import ExitCode, UsageError
from jobctl.managers.status import AFTER_HINT, AFTER_IS_LOCAL
from jobctl.modes import Mode
from jobctl.settings.masking import cron_secret_weakness
from jobctl.text import quote, suggestion

if TYPE_CHECKING:
    from rich.console import RenderableType

_STATES = {
    CheckState.OK: ("completed", "green"),
    CheckState.FAILED: ("failed", "red"),
    CheckState.NOT_CONFIGURED: ("scheduled", "dim"),
}


def run(
    context: Context,
    part: Annotated[
        str | None,
        typer.Argument(
            metavar="PART",
            help=f"One of {', '.join(PARTS)}; without it all but {', '.join(ON_REQUEST)}.",
            autocompletion=lambda: list(PARTS),
        ),
    ] = None,
    *,
    timeout: Annotated[
        str, typer.Option("--timeout", metavar="DURATION", help="Time that each part may take.")
    ] = "10s",
) -> int:
    """Check every part that is configured.

    Examples:
        jobctl check
        jobctl check database
        jobctl check notify
        jobctl check --json
    """
    limit = read_span(timeout, "--timeout")
    parts = [_known(part)] if part else [name for name in PARTS if name not in ON_REQUEST]
    _ = context.catalogue  # reports what is wrong with it
    here = re.compile(rf"(?<!/){re.escape(f'{Path.cwd()}{os.sep}')}")  # a path, but not the middle of a URL

    def mask(text: str) -> str:
        return here.sub("", context.environment.mask(text))

    out = context.output
    results = []
    for name in parts:
        with out.working(f"checking {name}"):
            result = check(name, context.project, limit)
        checked = replace(result, detail=mask(result.detail), hint=mask(result.hint) if result.hint else None)
        results.append(checked)
        if out.json:
            continue
        if out.is_terminal:
            out.show(drawn(checked, out.terminal))
        else:
            out.lines(
                rows((), [(name, checked.state.value, checked.detail, checked.hint or "")], header=False)
            )
        out.flush()
    if out.json:
        out.document({"parts": [_document(checked) for checked in results]})
    for warning in _warnings(context) if "settings" in parts else ():
        out.warn(warning)
    code = exit_code(results)
    if part and results[0].state is CheckState.NOT_CONFIGURED:
        return ExitCode.NOT_RUN
    return code


def drawn(checked: CheckResult, terminal: Terminal) -> "RenderableType":
    """A checked part as a row. It is shown at once, so each row is a grid of its own."""
    sign, style = _STATES[checked.state]
    state = terminal.text(f"{terminal.sign(sign)} {checked.state.value}", style)
    detail = terminal.text(checked.detail)
    if checked.hint:
        detail.append("\nhint: ", "cyan").append_text(terminal.text(checked.hint))
    widths = max(map(len, PARTS)), 2 + max(len(state.value) for state in CheckState)
    return terminal.grid([(checked.part, state, detail)], widths=widths)


def _document(checked: CheckResult) -> dict[str, object]:
    return {**asdict(checked), "state": checked.state.value, "exit_code": int(checked.exit_code)}


def _warnings(context: Context) -> list[str]:
    weak = cron_secret_weakness(context.environment.secret("CRON_SECRET"))
    warnings = [*context.environment.warnings, *filter(None, (other_distribution(), weak))]
    if context.mode in {Mode.TRIGGER_DEV, Mode.VERCEL}:
        after = [job.id for job in context.catalogue if job.after and job.enabled]
        warnings += [f"{job_id} is not scheduled: {AFTER_IS_LOCAL}; {AFTER_HINT}" for job_id in after]
    return warnings


def _known(part: str) -> str:
    if part in PARTS:
        return part
    raise UsageError(
        f"there is no part {quote(part)}", hint=suggestion(part, PARTS, f"all: {', '.join(PARTS)}")
    )
