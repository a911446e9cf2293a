"""``.works/works.yml`` of the content before the environment, as on the site."""

import os
from pathlib import Path

import pytest

from jobctl.errors import ConfigurationError, NotRunError
from jobctl.modes import explain
from jobctl.settings.environment import Environment
from jobctl.site.mail.providers import mail_settings, note, open_transport, unmet
from tests.support.terminal import Cli

WORKS = """
company_name: Toolshelf
app_url: https://toolshelf.example/
mail: { provider: Novu, template_id: shelf, default_from: shelf@example.com, backend_url: "https://eu.novu.example" }
"""
OWN = {"EMAIL_PROVIDER": "smtp", "SMTP_HOST": "h", "COMPANY_NAME": "Own", "NOVU_API_KEY": "key-0123456789"}


def put(project: Path, text: str) -> Path:
    file = project / ".content" / ".works" / "works.yml"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    return file


def test_the_content_wins_over_the_environment(tmp_path: Path) -> None:
    put(tmp_path, WORKS)
    environment = Environment.load(tmp_path, OWN)

    assert mail_settings(environment) == ("https://toolshelf.example", "Toolshelf", "shelf@example.com")
    with open_transport(environment, tmp_path) as transport:
        assert (transport.name, transport.place) == ("novu", "https://eu.novu.example")
    value = environment.value("EMAIL_PROVIDER")
    assert str(value.source) == ".content/.works/works.yml, mail.provider"
    assert [str(place) for place in value.hidden] == ["process environment"]
    assert environment.text("NOVU_TEMPLATE_ID") == "shelf"


def test_without_the_provider_there_novus_own_keys_do_not_count(tmp_path: Path) -> None:
    put(tmp_path, "mail: { provider: resend, template_id: shelf, backend_url: https://evil.example }\n")
    environment = Environment.load(tmp_path, {"EMAIL_PROVIDER": "novu"})

    assert environment.text("NOVU_TEMPLATE_ID") == "email-default"
    assert environment.url("NOVU_BASE_URL") == "https://api.novu.co"


@pytest.mark.parametrize(
    "text", ["", "mail:\n", "mail: resend\n", "mail: [x]\n", "mail: {provider: 5}\n", "- mail\n"]
)
def test_a_file_without_values_changes_nothing(text: str, tmp_path: Path) -> None:
    put(tmp_path, text)
    environment = Environment.load(tmp_path, OWN)

    assert environment.choice("EMAIL_PROVIDER") == "smtp"
    assert environment.from_content() == []


def test_a_bad_file_stops_mail_but_not_the_scheduler(tmp_path: Path) -> None:
    put(tmp_path, "mail: [\n")
    environment = Environment.load(tmp_path, OWN)

    assert environment.check() == []
    assert any("works.yml" in one for one in explain(environment).warnings)
    with pytest.raises(ConfigurationError, match=r"works\.yml: it cannot be read as YAML"):
        unmet(environment)


def test_an_unknown_provider_is_reported_with_its_place(tmp_path: Path) -> None:
    put(tmp_path, "mail: {provider: pigeon}\n")
    environment = Environment.load(tmp_path, OWN)

    assert environment.check() == []
    with pytest.raises(ConfigurationError, match='EMAIL_PROVIDER is "pigeon"') as caught:
        unmet(environment)
    assert caught.value.where == ".content/.works/works.yml, mail.provider"


def test_a_file_that_others_may_write_is_refused(tmp_path: Path) -> None:
    file = put(tmp_path, WORKS)
    os.chmod(file, 0o666)  # noqa: PTH101

    with pytest.raises(ConfigurationError, match="may be written by every user"):
        open_transport(Environment.load(tmp_path, OWN), tmp_path)


def test_a_link_that_leaves_the_content_is_not_read(tmp_path: Path) -> None:
    file = put(tmp_path, "")
    file.unlink()
    (tmp_path / "elsewhere.yml").write_text(WORKS)
    file.symlink_to(tmp_path / "elsewhere.yml")

    assert Environment.load(tmp_path, OWN).from_content() == []


def test_a_key_is_never_sent_unencrypted(tmp_path: Path) -> None:
    from jobctl.errors import PermanentJobError

    put(tmp_path, WORKS.replace("https://eu", "http://eu"))

    with pytest.raises(PermanentJobError, match="cross the network unencrypted"):
        open_transport(Environment.load(tmp_path, OWN), tmp_path)


def test_ethereal_is_an_outbox_with_a_note(tmp_path: Path) -> None:
    environment = Environment.load(tmp_path, {"EMAIL_PROVIDER": "ethereal", "NODE_ENV": "production"})

    assert unmet(environment) is None
    assert "EMAIL_PROVIDER is ethereal (process environment)" in (note(environment) or "")
    assert note(Environment.load(tmp_path, OWN)) is None


def test_without_the_key_of_the_contents_provider_no_mail_is_sent(tmp_path: Path) -> None:
    put(tmp_path, WORKS)
    environment = Environment.load(tmp_path, {**OWN, "NOVU_API_KEY": "", "NODE_ENV": "production"})

    with pytest.raises(NotRunError, match="NOVU_API_KEY is not set"):
        open_transport(environment, tmp_path)


def test_mode_and_check_show_the_place(cli: Cli, here: Path) -> None:
    put(here, "mail: {provider: ETHEREAL, default_from: a@b.example}\n")

    mode = cli("mode", EMAIL_PROVIDER="smtp")
    document = cli("mode", "--json", EMAIL_PROVIDER="smtp").json
    check = cli("check", "mail", "--json").json

    assert 'EMAIL_PROVIDER "ETHEREAL", .content/.works/works.yml, mail.provider' in mode.stdout
    assert {
        "name": "EMAIL_PROVIDER",
        "source": "process environment",
        "by": ".content/.works/works.yml, mail.provider",
    } in document["hidden"]
    assert [one["name"] for one in document["content"]] == ["EMAIL_PROVIDER", "EMAIL_FROM"]
    (mail,) = [one for one in check["parts"] if one["part"] == "mail"]
    assert "EMAIL_FROM is from .content/.works/works.yml, mail.default_from" in mail["detail"]
    assert "EMAIL_PROVIDER is ethereal" in mail["detail"]
