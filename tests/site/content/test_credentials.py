"""Which server is given the token, and as whose."""

import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from jobctl.errors import PermanentJobError
from jobctl.settings.masking import Secret
from jobctl.site.content.remote import read_repository_address
from tests.site.content.conftest import START, TOKEN, Sync, files
from tests.site.content.test_local_changes import LONG
from tests.support.git_server import GitServer, Upstream, git, serving
from tests.support.serving import serving_http


@pytest.mark.parametrize(
    ("login", "token", "sent"),
    [
        ("acme", TOKEN, ("acme", TOKEN)),  # Azure DevOps and Bitbucket write it so
        ("acme:", TOKEN, ("acme", TOKEN)),
        ("oauth2", TOKEN, ("oauth2", TOKEN)),  # GitLab
        ("a%40b", TOKEN, ("a@b", TOKEN)),
        ("acme:own%2F", TOKEN, ("acme", "own/")),
        (":own", TOKEN, ("x-access-token", "own")),
        ("ghp_own", TOKEN, ("x-access-token", "ghp_own")),  # GitHub takes a token in the name's place
        ("github_pat_own", None, ("x-access-token", "github_pat_own")),
        ("acme", None, ("acme", None)),
        ("", TOKEN, ("x-access-token", TOKEN)),
    ],
)
def test_a_login_in_the_address(login: str, token: str | None, sent: tuple[str, str | None]) -> None:
    address = read_repository_address(
        f"https://{login}@git.example/a/b", Secret(token) if token else None, Path("/p")
    )

    assert address.url == "https://git.example/a/b"
    assert (address.user, address.token and address.token.reveal()) == sent


def test_a_refused_password_of_the_address_is_not_called_that_of_the_environment(
    sync: Sync, server: GitServer
) -> None:
    with pytest.raises(PermanentJobError, match="refuses the password") as caught:
        sync(url=server.url.replace("://", "://acme:wrong@") + "/content.git")

    hint = str(caught.value.hint)
    assert "DATA_REPOSITORY" in hint
    assert "GH_TOKEN" not in hint
    assert "wrong" not in f"{caught.value}{hint}"


def test_the_user_of_the_address_logs_in_with_the_token(folder: Path, sync: Sync, upstream: Upstream) -> None:
    with serving(upstream.bare.parent, token=TOKEN, user="acme") as server:
        sync(url=server.url.replace("://", "://acme@") + "/content.git")

    assert files(folder) == START


@pytest.mark.parametrize("login", ["", "acme:password@"])
def test_no_token_goes_over_a_network_unencrypted(sync: Sync, login: str) -> None:
    with pytest.raises(PermanentJobError, match="would go over http:// unencrypted") as caught:
        sync(url=f"http://{login}git.example/content.git")

    assert "https://" in str(caught.value.hint)
    assert "password" not in str(caught.value)


def test_a_redirect_within_the_origin_is_followed(
    sync: Sync, folder: Path, server: GitServer, upstream: Upstream
) -> None:
    server.moved = ("/old.git", "/content.git")

    sync(url=f"{server.url}/old.git")
    upstream.commit({"README.md": "new\n"})
    (folder / "README.md").write_text("mine\n")
    sync(url=f"{server.url}/old.git")

    assert files(folder) == {**START, "README.md": "new\n"}


@pytest.mark.parametrize("ask", [False, True], ids=["at once", "once the token is there"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_redirect_to_another_origin_is_not_given_the_token(
    sync: Sync, server: GitServer, upstream: Upstream, host: str, ask: bool
) -> None:
    elsewhere = server.url.replace("127.0.0.1", host)
    with (
        serving(upstream.bare.parent, redirect_to=elsewhere, ask_before_redirect=ask) as old,
        pytest.raises(PermanentJobError, match="redirects to"),
    ):
        sync(url=f"{old.url}/content.git")

    assert [one for one in server.authorizations if one] == []


def test_settings_of_the_copy_lead_no_token_elsewhere(
    sync: Sync, folder: Path, server: GitServer, upstream: Upstream
) -> None:
    upstream.commit({"README.md": LONG})
    sync()
    with serving(upstream.bare.parent) as other:
        git(folder, "config", "remote.origin.pushurl", f"{other.url}/content.git")
        (folder / "README.md").write_text(LONG.replace("line 2\n", "mine\n"))
        upstream.commit({"README.md": LONG.replace("line 17\n", "theirs\n")})
        assert sync().pushed
        upstream.pull()
        git(folder, "config", f"url.{other.url}/.insteadOf", f"{server.url}/")
        upstream.commit({"other.md": "other\n"})
        assert sync().changes.paths

        assert other.requests == []


def test_a_proxy_is_not_given_the_token_in_clear(
    sync: Sync, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str | None] = []
    asked = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            return

        def do_GET(self) -> None:
            seen.append(self.headers.get("Authorization"))
            asked.set()
            self.send_error(502)

    with serving_http(Handler) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        sync()

    assert files(folder) == START
    assert (seen, asked.is_set()) == ([], False)
