"""Renders the templates of each kind of mail: a subject, HTML, and plain text with the same content."""

from functools import cache
from typing import TYPE_CHECKING, Any

from jobctl.site.english_formats import long_date, money, per, plan_name

if TYPE_CHECKING:
    from jinja2 import Environment

KINDS = ("renewal_reminder", "subscription_ended", "report")


def render(kind: str, **facts: Any) -> tuple[str, str, str]:
    """The subject, HTML and text of a mail.

    Args:
        kind: one of ``KINDS``; ``templates/<kind>.html`` and ``.txt``, whose first line is the subject.
        facts: the variables of its templates; a missing one raises an error.
    """
    templates = _templates()
    facts = {name: _one_line(value) for name, value in facts.items()}
    subject, _, text = templates.get_template(f"{kind}.txt").render(facts).partition("\n")
    html = templates.get_template(f"{kind}.html").render(facts, subject=subject)
    return subject.strip(), html, text.strip() + "\n"


@cache
def _templates() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    templates = Environment(
        loader=PackageLoader("jobctl.site.mail"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
    )
    templates.filters.update(plan_name=plan_name, money=money, long_date=long_date, per=per, column=_column)
    return templates


def _column(value: str, width: int) -> str:
    """Pad to ``width``; a negative one pads on the left."""
    return value.ljust(width) if width > 0 else value.rjust(-width)


def _one_line(value: Any) -> Any:
    """A text on one line, so that a name cannot begin a line of its own."""
    return " ".join(value.split()) if isinstance(value, str) else value
