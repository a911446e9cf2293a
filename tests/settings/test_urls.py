"""Web addresses in letters beyond ASCII: asked for as browsers do."""

from pathlib import Path

import pytest

from jobctl.catalogue.notify_settings import read_notify, resolved
from jobctl.settings.environment import Environment
from jobctl.urls import ascii_url, is_web_address

URLS = [
    ("https://faß.de/x", "https://xn--fa-hia.de/x"),
    ("https://Bücher.example:8443/ü?q=é#é", "https://xn--bcher-kva.example:8443/%C3%BC?q=%C3%A9#%C3%A9"),
    ("https://example.com/a%20b?c=d", "https://example.com/a%20b?c=d"),
    ("http://[::1]:1/é", "http://[::1]:1/%C3%A9"),
]


@pytest.mark.parametrize(("text", "wanted"), URLS)
def test_a_host_is_the_one_that_was_written(text: str, wanted: str) -> None:
    environment = Environment.load(Path("/nowhere"), {"NEXT_PUBLIC_APP_URL": text, "HOOK": text})

    assert is_web_address(text)
    assert ascii_url(text) == wanted
    assert environment.url("NEXT_PUBLIC_APP_URL") == wanted
    assert resolved("$HOOK", environment, "x") == wanted
    assert resolved(text, environment, "x") == wanted
    assert read_notify({"webhook": text}, "x")[1] == []


@pytest.mark.parametrize(
    "text", ["https://a\u2100b.example", "https://-\u00fc.example", "https://\u00fc" + "x" * 70]
)
def test_a_host_that_cannot_be(text: str) -> None:
    assert not is_web_address(text)
