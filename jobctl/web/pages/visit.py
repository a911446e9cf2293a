"""A request to the page: who asks, what was sent, and the answers that all views share."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlsplit

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from jobctl.modes import Mode
from jobctl.text import printable
from jobctl.web.pages.access import Visitor
from jobctl.web.pages.rendering import HEADERS, NAVIGATION, SITE, render

if TYPE_CHECKING:
    from jobctl.web.pages.application import ControlPage

_LONGEST_REASON = 500


class Visit(NamedTuple):
    """A request that is allowed.

    Attributes:
        form: the fields of a form, in order; a name may occur several times.
    """

    page: "ControlPage"
    request: Request
    visitor: Visitor
    form: tuple[tuple[str, str], ...] = ()

    @property
    def root(self) -> str:
        """Where the page is mounted, without a slash at the end."""
        return root_of(self.request)

    @property
    def query(self) -> Mapping[str, str]:
        """The query of the address."""
        return self.request.query_params

    def field(self, name: str) -> str:
        """A field of the form; empty where there is none."""
        return next((value for key, value in self.form if key == name), "").strip()

    @property
    def actor(self) -> str:
        """Who asks, for the list of actions."""
        return f"page from {client_of(self.request)}"

    @property
    def reason(self) -> str | None:
        """The reason that was given with an action."""
        return printable(self.field("reason"))[:_LONGEST_REASON] or None

    def show(self, template: str, context: Mapping[str, Any], *, status: int = 200) -> Response:
        """A page from a template."""
        return render(template, {**self._common(), **context}, status=status)

    def message(self, title: str, text: str, *, hint: str | None = None, status: int = 200) -> Response:
        """A page that says one thing."""
        shown = {"title": title, "text": text, "hint": hint}
        return self.show("message.html", shown, status=status)

    def done(self, path: str, notice: str) -> Response:
        """Go to a path of the page, which says what was done."""
        signed = self.page.notices.dumps(notice)
        return RedirectResponse(f"{self.root}{quote(path)}?notice={quote(signed)}", 303, headers=HEADERS)

    def _common(self) -> dict[str, Any]:
        reader = self.page.reader
        mode = reader.mode
        return {
            "root": self.root,
            "mask": reader.project.environment.mask,
            "path": self.request.url.path.removeprefix(self.root) or "/",
            "site_name": reader.project.folder.name,
            "now": reader.clock.now(),
            "navigation": (*NAVIGATION, SITE) if reader.is_site else NAVIGATION,
            "mode": mode.value,
            "visitor": self.visitor,
            "token": Markup(self.page.access.token(self.visitor)),  # noqa: S704 - of hexadecimal digits
            "warning": reader.warning,
            "notice": self.page.read_notice(self.query.get("notice", "")),
            "live": "off" if mode is Mode.DISABLED else "poll" if self.page.polls else "events",
        }


def root_of(request: Request) -> str:
    """Where the page is mounted, without a slash at the end."""
    return str(request.scope.get("root_path", "")).rstrip("/")


def client_of(request: Request) -> str:
    """The address that a request comes from."""
    return request.client.host if request.client else "an unknown address"


def local_path(text: str) -> str:
    """A path of the page from a query or a form; ``/`` where it is the address of something else."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return "/"
    is_path = text.startswith("/") and not text.startswith(("//", "/\\")) and text.isprintable()
    return text if is_path and not parts.netloc and not parts.scheme and "\\" not in text else "/"
