"""Promise 7: which setting, from which file and line, what was expected, what to do; nothing starts."""

import pytest

from tests.support.project import Site

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("command", ["run", "next repository-sync", "trigger repository-sync"])
@pytest.mark.parametrize(
    ("file", "text", "place", "words"),
    [
        (".env", "A=1\nSMTP_PORT=maybe\n", ".env:2", 'SMTP_PORT is "maybe"'),
        ("jobctl.toml", '[jobs.a]\ncall = "m:f"\ncrom = "* * * * *"\n', "jobctl.toml:3", "crom"),
        ("jobctl.toml", '[jobs.a]\ncall = "m:f"\ncron = "61 * * * *"\n', "jobctl.toml:3", "minute"),
        ("jobctl.toml", '[jobs.a]\ncall = "m:f"\ntimeout = "soon"\n', "jobctl.toml:3", "timeout"),
        ("jobctl.toml", "[jobs.a\n", "jobctl.toml:1", ""),
    ],
)
def test_wrong_settings(site: Site, command: str, file: str, text: str, place: str, words: str) -> None:
    site.write(file, text)

    refused = site.call(*command.split())

    assert refused.returncode == 2, refused
    assert place in refused.stderr
    assert words in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (site.folder / ".content").exists()


def test_an_unknown_job(site: Site) -> None:
    refused = site.call("trigger", "repositry-sync")

    assert refused.returncode == 2
    assert '"repositry-sync"' in refused.stderr
    assert '"repository-sync"' in refused.stderr
