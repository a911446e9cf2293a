"""Secrets are taken out of texts in each form in which programs write them."""

import ast
import base64
import html
import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from unicodedata import normalize
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape, quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobctl.settings.environment import Environment
from jobctl.settings.masking import MASK, Mask, is_secret, masked_address, shown
from jobctl.text import quote as text_quote

SECRETS = ["ghp_SESAMEopenSESAME", 'p@ss/w0rd+ho"use', "it's 100% <safe> & sound\\", "naïve €  𝄞 word", "a\tb\nc=d;e{f}"]  # fmt: skip
WRITERS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "percent": lambda one: quote(one, safe=""),
    "percent of a path": quote,
    "lower percent": lambda one: re.sub("%..", lambda found: found[0].lower(), quote(one, safe="")),
    "form": quote_plus,
    "JSON": json.dumps,
    "JSON with all characters": lambda one: json.dumps(one, ensure_ascii=False),
    "JSON in JSON": lambda one: json.dumps(json.dumps({"key": one})),
    "JSON for pages": lambda one: json.dumps(one).replace("<", "\\u003C").replace("&", "\\u0026"),
    "repr": repr,
    "ascii": ascii,
    "shell": shlex.quote,
    "shell in double quotes": lambda one: one.replace("\\", "\\\\").replace('"', '\\"'),
    "HTML": html.escape,
    "XML": escape,
    "attribute": quoteattr,
    "collapsed": lambda one: " ".join(one.split()),
    "repr of bytes": lambda one: repr(one.encode())[1:],
    "octal as git": lambda one: re.sub(
        "[^ -~\\s]", lambda it: "".join(f"\\{byte:03o}" for byte in it[0].encode()), one
    ),
    "percent twice": lambda one: quote(quote(one, safe=""), safe=""),
    "SQL": lambda one: f"'{one.replace(chr(39), chr(39) * 2)}'",
    "CSV": lambda one: f'"{one.replace(chr(34), chr(34) * 2)}"',
    "decomposed": lambda one: normalize("NFD", one),
}


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("writer", WRITERS)
def test_a_secret_is_masked_as_programs_write_it(writer: str, secret: str) -> None:
    written = WRITERS[writer](secret)

    found = Mask([secret])(f"before {written} after")

    assert MASK in found
    assert found.strip("\"'").startswith("before ")
    assert found.endswith(" after")
    assert len(found) <= len("before  after") + len(MASK) + 32  # quotes around it


@given(st.sampled_from(SECRETS), st.binary(max_size=8), st.binary(max_size=8), st.booleans())
def test_a_secret_is_masked_wherever_it_stands_in_base64(
    secret: str, before: bytes, after: bytes, urlsafe: bool
) -> None:
    encode = base64.urlsafe_b64encode if urlsafe else base64.b64encode
    written = encode(before + secret.encode() + after).decode()

    found = Mask([secret])(f"Authorization: Basic {written}")

    left = found.removeprefix("Authorization: Basic ").replace(MASK, "")
    assert MASK in found
    assert len(left) <= (len(before) + len(after)) * 4 // 3 + 6


@pytest.mark.parametrize("secret", ["hunter2hunter2", "sésame-öffne-dich", 'p@ss/w0rd+ho"use'])
@pytest.mark.parametrize("user", ["", "a:", "me:", "bob:"])
def test_base64_of_other_encodings_is_masked(secret: str, user: str) -> None:
    text, encode = f"{user}{secret}", base64.b64encode
    for data in (
        text.encode("latin-1"),
        text.encode("utf-16-le"),
        encode(text.encode()),
        encode(f"x{text}".encode()),
    ):
        left = Mask([secret])(encode(data).decode())
        assert MASK in left
        assert len(left) <= len(MASK) + 20


def test_latin_1_is_masked_in_percent_and_bytes() -> None:
    mask = Mask(["sésame-öffne-dich"])
    for text in (
        quote("sésame-öffne-dich", encoding="latin-1"),
        repr("sésame-öffne-dich".encode("latin-1"))[2:-1],
    ):
        assert mask(text) == MASK


def test_base64_in_lines_is_masked() -> None:
    secret = "0123456789abcdef" * 20
    found = Mask([secret])(base64.encodebytes(secret.encode()).decode())
    assert set(found) <= {"•", "\n"}


def test_a_secret_of_several_lines_is_masked_line_by_line() -> None:
    key = "-----BEGIN KEY-----\nMIIEvgIBADANBgkq\nAQEFAASCBKgwggSk\n-----END KEY-----\n"
    mask = Mask([key])
    assert mask("first MIIEvgIBADANBgkq\n  AQEFAASCBKgwggSk") == "first ••••\n  ••••"
    assert mask(json.dumps({"key": key})) in {'{"key": "••••\\n"}', '{"key": "••••"}'}


def test_a_key_within_json_is_masked_line_by_line(tmp_path: Path) -> None:
    text = json.dumps({"private_key": "-----BEGIN KEY-----\nMIIEvgIBADANBgkq\n-----END KEY-----"})
    mask = Environment.load(tmp_path, {"GOOGLE_CREDENTIALS": text}).mask
    assert mask("a MIIEvgIBADANBgkq b") == "a •••• b"


def test_secrets_that_overlap_or_touch_leave_nothing() -> None:
    mask = Mask(["abcdef9", "def9ghi", "12345678", "1234"])
    assert mask("xabcdef9ghix 12345678 abcdef9def9ghi aabcdef9abcdef9") == "x••••x •••• •••• a••••"


def test_the_beginning_of_a_secret_that_a_message_quotes_is_masked() -> None:
    mask = Mask(["0123456789" * 10])
    assert mask(f"expected a time, not {text_quote('0123456789' * 10)}") == 'expected a time, not "••••…"'
    assert mask("01234…") == "01234…"


def test_short_texts_and_words_are_not_masked() -> None:
    assert Mask(["abc", " ab ", "true", "None", ""])("abc ab true none") == "abc ab true none"
    assert Mask(["  abcd  "])("abcd") == MASK


def test_a_weak_secret_is_masked_where_it_stands_alone() -> None:
    mask = Mask(["2026", "sync", "postgres"])
    for text in ("2026-11-29T10:00:00Z", "repository-sync syncs", "postgresql://", "12026 2026.5", "x_sync"):
        assert mask(text) == text
    assert mask("pin=2026, 'sync' //postgres:postgres@h 2026.") == "pin=••••, '••••' //••••:••••@h ••••."
    assert mask(r"a\nsync %20sync%20") == r"a\n•••• %20••••%20"
    assert mask.value({"count": 2026, "pin": "2026"}) == {"count": 2026, "pin": MASK}


def test_a_text_is_never_cut_within_a_secret() -> None:
    mask = Mask(["0123456789"])
    for at in range(30):
        shown, rest = mask.split("xxxxxxxxxx0123456789yyyyyyyyyy", at)
        assert shown + mask(rest) == "xxxxxxxxxx••••yyyyyyyyyy"


def test_a_result_has_no_secret_in_texts_keys_or_numbers() -> None:
    mask = Mask(["hunter2hunter2", "12345678"])
    value = {"hunter2hunter2": [12345678, {"a": ("x hunter2hunter2")}], "n": 5, "t": True, "f": None}
    assert mask.value(value) == {MASK: [MASK, {"a": f"x {MASK}"}], "n": 5, "t": True, "f": None}


@pytest.mark.parametrize(
    "name",
    [
        "SMTP_PASS", "smtp_pass", "DBPASS", "PASS", "MYSQL_PWD", "DB_PASSWD", "SSH_PASSPHRASE", "BASIC_AUTH",
        "Slack_Webhook", "SLACK_WEBHOOK_URL", "SENTRY_DSN", "API_KEY", "ApiToken", "MY_SECRET_THING",
        "AWS_CREDENTIALS", "PROXY_AUTHORIZATION", "GITLAB_PAT", "SESSION_COOKIE", "PGPASSWORD", "x-api-key",
        "DB_PW", "DB_PASS2", "API_BEARER", "HTTP_BASIC", "ENCRYPTION_SALT", "VAPID_PRIVATE", "BORG_PASSCOMMAND",
        "SESSION", "MY_SESSION", "SESSION_ID", "PHPSESSID", "COOKIES", "DBPW", "clientSecret", "API_KEY_2", "KEYCLOAK_ADMIN_PASSWORD", "SECRET_KEY_BASE",
    ],
)  # fmt: skip
def test_names_of_secrets(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ACCESS_TOKEN_TTL", "1440"), ("CACHE_KEY_PREFIX", "sync"), ("KEYCLOAK_REALM", "main"), ("PRIMARY_KEY", "jobs"),
        ("TOKEN_YEAR", "2026"), ("SESSION_TOKEN_EXPIRES_IN", "2026-11-29"), ("SECRET_NAME", "site-keys"),
        ("TOKEN_URL", "https://a.example/token"), ("PRIVATE_KEY_PATH", "/etc/site/key.pem"), ("KEY_ENV", "production"),
        ("TOKENIZERS_PARALLELISM", "parallel-2"), ("KEYBOARD_LAYOUT", "de-latin1"), ("DESKTOP_SESSION", "ubuntu-xorg"),
    ],
)  # fmt: skip
def test_values_that_are_no_secrets(tmp_path: Path, name: str, text: str) -> None:
    assert Environment.load(tmp_path, {name: text}).mask(f"a {text} b") == f"a {text} b"


@pytest.mark.parametrize("name", ["DB_PASSWORD", "MYSQL_PWD", "ADMIN_PW", "CLIENT_SECRET", "SMTP_PASS"])
def test_a_word_is_a_secret_where_the_name_says_password(tmp_path: Path, name: str) -> None:
    mask = Environment.load(tmp_path, {name: "sesame"}).mask

    assert mask("login with sesame, open-sesame") == f"login with {MASK}, open-sesame"


def test_a_pin_in_a_variable_of_jobctl_is_a_secret(tmp_path: Path) -> None:
    mask = Environment.load(tmp_path, {"SMTP_PASSWORD": "2026"}).mask
    assert mask("2026-11-29 pin 2026") == f"2026-11-29 pin {MASK}"


def test_what_stands_in_the_path_of_the_content_hook_is_secret(tmp_path: Path) -> None:
    url = "http://localhost:3000/api/revalidate/x9f4K2mQ7vLz?s=open-sesame"
    mask = Environment.load(tmp_path, {"JOBCTL_CONTENT_CHANGED_URL": url}).mask
    assert mask(f"POST {url}") == "POST http://localhost:3000••••?s=••••"
    url = "http://localhost:3000/api/revalidate"
    assert Environment.load(tmp_path, {"JOBCTL_CONTENT_CHANGED_URL": url}).mask(url) == url


@pytest.mark.parametrize(
    "name",
    ["PWD", "OLDPWD", "COMPASS", "BYPASS", "SSH_AUTH_SOCK", "AUTHOR", "SMTP_USER", "PATH", "NEXT_PUBLIC_KEY", "PGUSER"],
)  # fmt: skip
def test_names_of_no_secrets(name: str) -> None:
    assert not is_secret(name)


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("postgresql://app:hunter2hunter2@db/site", "hunter2hunter2"),
        ("postgresql://username:otS33+tb/e4=@127.0.0.1:5432/database", "otS33+tb/e4="),
        ("postgresql://app:p@ss@word@h1:5432,h2:5433/db?target_session_attrs=any", "p@ss@word"),
        ("postgresql://app:hunter2hunter2@db/site?contact=a@b.example", "hunter2hunter2"),
        ("postgresql://db/site?user=u&password=hunter22secret&sslmode=require", "hunter22secret"),
        ("https://example.com/?access_token=hunter22secret#x", "hunter22secret"),
        ("host=db user=app password=hunter2hunter2 dbname=site", "hunter2hunter2"),
        ("host=db password = 'it\\'s  me\\\\' dbname=site", "it's  me\\"),
        ("Server=db;Password=hunter2hunter2;Database=x", "hunter2hunter2"),
        ("Server=db;Pwd=hunter2hunter2", "hunter2hunter2"),
        ("postgres//app:hunter2hunter2/site", "hunter2hunter2"),
        ("postgresql://app:hunter2hunter2/site", "hunter2hunter2"),
        ("-Durl=jdbc:mysql://u:hunter2hunter2@h/db -Dx=y", "hunter2hunter2"),
        ("https://ghp_SESAMEopenSESAME12@github.com/a/b", "ghp_SESAMEopenSESAME12"),
        ("amqp://u:p%40ss%2Fword@h", "p@ss/word"),
        ("redis://:hunter2hunter2@h:6379/0", "hunter2hunter2"),
        ("postgresql://u:correct horse@h/db", "correct horse"),
        ("postgres://u:p#hunter2?x@h/db", "p#hunter2?x"),
        ("one=https://a.example/ two=https://u:hunter2hunter2@h/", "hunter2hunter2"),
        ("https://discord.com/api/webhooks/123456789/aBcDeFgHiJ_kLmN-12", "aBcDeFgHiJ_kLmN-12"),
        ("https://hooks.slack.com/services/T0AAAA/B0BBBB/wXyZsEcReT", "wXyZsEcReT"),
        ("https://ghp_SESAMEopenSESAME12:x-oauth-basic@github.com/a/b", "ghp_SESAMEopenSESAME12"),
        ("https://x9f4K2mQ7vLz:@api.stripe.example/v1", "x9f4K2mQ7vLz"),
        ("https://sk_test_openSESAME:@api.stripe.com", "sk_test_openSESAME"),
        ("redis://hunter2hunter2@h:6379", "hunter2hunter2"),
        ("amqps://x9f4K2mQ7vLz@h", "x9f4K2mQ7vLz"),
        ("postgres://app:sesame@h/db", "sesame"),
        ("u:hunter2@tcp(h:3306)/db", "hunter2"),
        ("u:hunter2@h:5432/db", "hunter2"),
        ("//u:hunter2@h", "hunter2"),
        ("postgresql:u:hunter2@h", "hunter2"),
        ("jdbc:oracle:thin:scott/hunter2@h:1521:xe", "hunter2"),
        ("jdbc:oracle:thin:scott/hunter2@//h:1521/xe", "hunter2"),
        ("user:hunt@er2@10.0.0.1:25", "hunt@er2"),
        ("DSN=u:hunter2@h/db", "hunter2"),
        ("root:hunter2@/db", "hunter2"),
        ("redis://p4ssw0rd@h", "p4ssw0rd"),
        ("authorization:Bearer aBc-hunter2", "aBc-hunter2"),
        ('{"headers": {"Authorization": "Bearer aBc-hunter2"}}', "aBc-hunter2"),
        ('{"passwords": {"alice": "hunter2"}}', "hunter2"),
        (base64.b64encode(b'{"private_key": "hunter2"}').decode(), "hunter2"),
        ("curl -H 'Authorization: Bearer aBc-hunter2' https://a.example", "aBc-hunter2"),
        ("Authorization: Basic bWU6aHVudGVyMjI=", "hunter22"),
        ("tool --password hunter2 --verbose", "hunter2"),
        ("tool --db-password 'hunter 2'", "hunter 2"),
        ("curl -u me:hunter2 https://a.example", "hunter2"),
        ("curl --user 'me:hunter2'", "hunter2"),
        ("https://api.telegram.org/bot123:AAAA/sendMessage", "123:AAAA"),
        ("https://a.example/in/aB3dE5fG7hJ9kL1mN2pQ/x", "aB3dE5fG7hJ9kL1mN2pQ"),
        ("sk_live_openSESAME", "sk_live_openSESAME"),
        ("sk-proj-openSESAME", "sk-proj-openSESAME"),
        ("xoxb-123-open-sesame", "xoxb-123-open-sesame"),
        ("glpat-openSESAME", "glpat-openSESAME"),
        ("re_openSESAME_1", "re_openSESAME_1"),
        (
            "AKIAIOSFODNN7EXAMPLE:wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        ),
        ('{"private_key": "-----open\\nsesame-----", "type": "x"}', "-----open\nsesame-----"),
        ('{"auths": {"h.example": {"auth": "bWU6aHVudGVyMjI="}}}', "hunter22"),
        ('{"password": "sesame"}', "sesame"),
        ('[{"dbPassword": "hunter2"}, {"x": "postgres://u:hunter3@h"}]', "hunter3"),
        ("config: {'password':'hunter2'}", "hunter2"),
        ("password: hunter2", "hunter2"),
    ],
)
def test_a_password_anywhere_in_an_address_is_secret(tmp_path: Path, text: str, secret: str) -> None:
    environment = Environment.load(tmp_path, {"OTHER": text})
    assert environment.mask(f"<{secret}>") == "<••••>"
    assert secret not in environment.mask(text)


@pytest.mark.parametrize(
    ("text", "user"),
    [
        ("postgresql://postgres@db/site", "postgres"),
        ("https://organisation@dev.azure.com/organisation/x", "organisation"),
        ("postgresql://[::1]:5432/site", "5432"),
        ("postgresql://h1:5432,h2:5433/db", "5432"),
        ("postgresql://db/site?require_auth=scram-sha-256", "scram-sha-256"),
        ("http://127.0.0.1:8080/path", "8080"),
        ("postgres://app@h", "app"),
        ("postgres://site_prod_2024:hunter2@h", "site_prod_2024"),
        ("smtp://anna.smith85%40example.com:hunter2@h", "anna.smith85"),
        ("mailto:support@example.com", "support"),
        ("Name: <first.last@example.com>", "first.last"),
        ("redis://worker@h", "worker"),
        ("uses basic authentication", "authentication"),
        ("node:20.1-slim@sha256:abcd", "20.1-slim"),
        ("npm:left-pad@1.3.0", "left-pad"),
        ("git@github.com:owner/name.git", "owner/name.git"),
        ("https://a.example/?page_token=1440&primary_key=jobs", "1440"),
        ('{"key_id": "hunter2hunter2", "token": 1440}', "hunter2hunter2"),
        ("tool --use-token --verbose", "--verbose"),
    ],
)
def test_names_and_places_are_no_secrets(tmp_path: Path, text: str, user: str) -> None:
    environment = Environment.load(tmp_path, {"OTHER": text})
    assert environment.mask(f"<{user}>") == f"<{user}>"


@pytest.mark.parametrize("url", ["https://hooks.slack.example/services/T0AAAA/B0BBBB/wXyZsEcReT", "$MONITOR"])
def test_the_url_of_a_monitor_is_secret(tmp_path: Path, url: str) -> None:
    environment = Environment.load(
        tmp_path, {"MONITOR": "https://hooks.slack.example/services/T0AAAA/B0BBBB/wXyZsEcReT"}
    )
    environment.hide([url, None])
    for text in ("https://hooks.slack.example/services/T0AAAA/B0BBBB/wXyZsEcReT", "wXyZsEcReT"):
        assert environment.mask(f"to {text}.") == "to ••••."
    assert environment.mask("POST /services/T0AAAA/B0BBBB/wXyZsEcReT HTTP/1.1") == "POST •••• HTTP/1.1"
    assert environment.mask("hooks.slack.example services") == "hooks.slack.example services"


@pytest.mark.parametrize(
    "text",
    [
        "host=db user=app password=hunter2hunter2 dbname=site",
        "postgres//app:hunter2hunter2/site",
        "Server=db;Password=hunter2hunter2;",
        "postgresql://app:hunter2hunter2/site",
        "hunter2hunter2",
        "postgresql://app:hunter2/hunter2@db/site",
        "postgresql://db/site?password=hunter2hunter2",
        " postgresql:/app:hunter2hunter2@db",
    ],
)
def test_what_cannot_be_read_as_an_address_is_not_shown(tmp_path: Path, text: str) -> None:
    environment = Environment.load(tmp_path, {"DATABASE_URL": text})
    told = [*map(str, environment.check()), environment.value("DATABASE_URL").shown]
    assert "hunter2" not in repr(told)


def test_addresses_are_shown_without_their_secrets() -> None:
    assert shown("DATABASE_URL", "postgresql://u:pw@h1:1,h2/db?x=1") == '"postgresql://••••@h1:1,h2/db?••••"'
    assert shown("DATA_REPOSITORY", "../content") == '"../content"'
    assert shown("DATABASE_URL", "sqlite:///site.db") == '"sqlite:///site.db"'
    assert masked_address("git@github.com:a/b.git") == "••••@github.com:a/b.git"
    assert masked_address("localhost:4318") == "localhost:4318"


def test_the_writers_can_be_read_back() -> None:
    assert all(ast.literal_eval(repr(secret)) == secret for secret in SECRETS)
