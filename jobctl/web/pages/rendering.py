"""Templates, and the headers of every page."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from markupsafe import Markup
from starlette.responses import HTMLResponse, StreamingResponse

from jobctl.clock import iso
from jobctl.durations import ago, format_duration, milliseconds, until
from jobctl.text import printable

if TYPE_CHECKING:
    from jinja2 import Environment
    from jinja2.runtime import Context

    from jobctl.settings.masking import Mask

FOLDER = Path(__file__).parent
SIGNS = {
    "failed": "✗", "late": "!", "retrying": "↻", "running": "●", "completed": "✓", "scheduled": "○", "skipped": "»",
    "cancelled": "⊘", "stopped": "■", "waiting": "◷",
}  # fmt: skip
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self';"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
NAVIGATION = (
    ("/", "Jobs"),
    ("/runs", "Runs"),
    ("/timeline", "Timeline"),
    ("/actions", "Actions"),
)
"""The main paths, and their names."""
_PIECE = 256 * 1024
SITE = ("/site", "Site")
STATIC = {"page.css": "text/css; charset=utf-8", "page.js": "text/javascript; charset=utf-8"}


@cache
def asset(name: str) -> tuple[bytes, str]:
    """A file of the page and its version."""
    data = (FOLDER / "static" / name).read_bytes()
    return data, hashlib.sha256(data).hexdigest()[:12]


@cache
def _templates() -> "Environment":
    # a call of an endpoint needs none of it
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context

    found = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        auto_reload=False,
        finalize=pass_context(_visible),
    )
    found.filters |= {
        "took": format_duration,
        "dated": dated,
        "iso": iso,
        "ms": milliseconds,
        "as_json": as_json,
    }
    found.globals |= {
        "sign": SIGNS.get,
        "ago": _ago,
        "until": _until,
        "version": lambda name: asset(name)[1],
    }
    return found


def _visible(context: "Context", value: Any) -> Any:
    """What an expression of a template shows: without secrets, and without characters that hide or turn the text around.

    Markup, such as a log in colour or ``x|e``, is shown as it is.
    """
    if type(value) is not str:
        return value
    text: str = context["mask"](value)
    return text if text.isprintable() else "\n".join(map(printable, text.replace("\r\n", "\n").split("\n")))


def render(template: str, context: dict[str, Any], *, status: int = 200) -> HTMLResponse:
    """A page from a template. The context has ``mask``, for all that it shows."""
    text = _templates().get_template(template).render(context)
    return HTMLResponse(text, status, headers=HEADERS)


def in_pieces(file: BinaryIO, headers: Mapping[str, str], mask: "Mask | None" = None) -> StreamingResponse:
    """A file, piece by piece: several may be larger than the memory. A ``mask`` is for each line of a text."""

    def pieces() -> Iterator[bytes]:
        with file:
            while mask is not None and (lines := file.readlines(_PIECE)):
                text = b"".join(lines).decode("utf-8", "surrogateescape")
                yield mask(text).encode("utf-8", "surrogateescape")
            while piece := file.read(_PIECE):
                yield piece

    return StreamingResponse(pieces(), headers=headers)


def dated(instant: datetime) -> str:
    """``Tue 2026-11-24 09:00:00 CET``, in this machine's zone."""
    return f"{instant.astimezone():%a %Y-%m-%d %H:%M:%S %Z}"


def as_json(value: Any) -> str:
    """A JSON value on one line."""
    return json.dumps(value, ensure_ascii=False)


def _ago(instant: datetime | None, now: datetime) -> Markup:
    return _time(instant, "ago", ago(instant, now))


def _until(instant: datetime | None, now: datetime) -> Markup:
    return _time(instant, "until", until(instant, now))


def _time(instant: datetime | None, kind: str, words: str) -> Markup:
    """A time as it is far away, which the script keeps up to date; the exact one is its title."""
    if instant is None:
        return Markup('<span class="none">{}</span>').format(words)
    exact = dated(instant)
    return Markup('<time datetime="{}" data-relative="{}" title="{}">{}</time>').format(
        iso(instant), kind, exact, words
    )
