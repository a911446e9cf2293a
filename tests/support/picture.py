"""The README's picture: what the real ``jobctl status`` draws on a terminal, as an SVG.

``python -m tests.support.picture`` writes the file again.
"""

import os
import re
import sys
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from tests.support.project import Site, until
from tests.support.screen import Terminal

FILE = Path(__file__).parents[2] / ".github/status.svg"
COLUMNS = 88
JOBS = """
builtin = false

[jobs.import-orders]
every = "10m"
call = "work:import_orders"

[jobs.send-newsletter]
every = "1h"
command = ["false"]
retries = 3
retry_delay = "45s"

[jobs.resize-images]
every = "6h"
command = ["sleep", "60"]

[jobs.update-search-index]
every = "5m"
command = ["true"]

[jobs.nightly-backup]
cron = "30 2 * * *"
command = ["true"]
"""
CODE = """
def import_orders():
    raise ConnectionError("shop.example.com refused the connection")
"""
STATES = {
    "import-orders": "failed",
    "send-newsletter": "running",
    "resize-images": "running",
    "update-search-index": "completed",
    "nightly-backup": "scheduled",
}
_FONT_FACE = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
_FONT = "ui-monospace, 'Cascadia Mono', 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace"


def draw(folder: Path) -> str:
    """Run the scheduler with ``JOBS`` in a folder, and draw ``jobctl status`` while it runs."""
    site = Site(folder)
    try:
        site.write("jobctl.toml", JOBS)
        site.write("work.py", CODE)
        site.run()

        def is_ready() -> bool:
            jobs = site.json("status")["jobs"]
            retrying = any((job.get("retry_at") is not None) for job in jobs)
            return retrying and {job["id"]: job["status"] for job in jobs} == STATES

        until(is_ready)
        terminal = Terminal(site, ["status"], rows=40, columns=COLUMNS)
        assert terminal.end() == 0
    finally:
        site.clean_up()
    shown = terminal.bytes.decode().replace("\r\n", "\n").replace(os.uname().nodename, "devbox")
    return as_svg(f"$ jobctl status\n{shown.strip()}")


def as_svg(ansi: str) -> str:
    """Draw text with ANSI colours; the picture refers to no font or file elsewhere."""
    console = Console(
        record=True, width=COLUMNS, file=StringIO(), force_terminal=True, color_system="truecolor"
    )
    console.print(Text.from_ansi(ansi), no_wrap=True, crop=False)
    svg = console.export_svg(title="jobctl status", theme=MONOKAI, unique_id="status")
    return _FONT_FACE.sub("", svg).replace("Fira Code, monospace", _FONT)


def words(svg: str) -> list[str]:
    """The words that the picture shows, with ``…`` for each time, duration, pid and place of a window."""
    text = " ".join(re.findall(r"<text[^>]*>([^<]*)</text>", svg)).replace("&#160;", " ")
    text = re.sub(r"\d+(\.\d+)? ?(ms|s|m|h|d)\b|\bpid \d+|\bnow\b|\b(in|ago)\b", "…", text)
    return [word for word in text.split() if word != "…" and not set(word) <= set("─—-")]


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        FILE.write_text(draw(Path(folder)), encoding="utf-8")
    sys.stdout.write(f"{FILE}\n")
