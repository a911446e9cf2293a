"""Lines that python-dotenv, which many Python programs use, reads otherwise than Next.js and jobctl do.

A job that calls ``load_dotenv`` itself would work with another value than the site: worth a warning.
"""

import io
import re
from collections.abc import Iterator

from jobctl.settings.dotenv import parse

_SUSPICIOUS = re.compile(
    r"[$`\\] | \S\# | ^[^\S\n]*(?:export\s+)?[\w.-]+\s*:\s | [\"'].*[\"'].*[\"'] | =\s*[\"'][^\"'\n]*$",
    re.MULTILINE | re.VERBOSE,
)
_LONGEST = 64 * 1024
_BARE_REFERENCE = re.compile(r"(?<!\\)\$[A-Za-z_]|\\\$")


def read_otherwise(text: str) -> Iterator[tuple[str, int]]:
    """Each variable of a file whose value differs, with its line from 1.

    python-dotenv is loaded only for a text in which the two could differ at all. It takes ten seconds for
    1 MiB, so a text that is longer than any real one is not compared.
    """
    if len(text) > _LONGEST or not _SUSPICIOUS.search(text):
        return
    from dotenv.parser import parse_stream

    theirs: dict[str, str | None] = {}
    for binding in parse_stream(io.StringIO(text.removeprefix("\ufeff"))):
        if binding.key is not None and not binding.error:
            theirs[binding.key] = binding.value
    entries, _ = parse(text)
    last = {entry.name: entry for entry in entries}
    for entry in last.values():
        same = entry.name in theirs and (theirs[entry.name] or "") == entry.text
        if not same or _BARE_REFERENCE.search(entry.text):
            yield entry.name, entry.line
