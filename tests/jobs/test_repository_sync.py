"""``repository-sync`` as the job that workers call, and as the main job that ``jobctl run`` does."""

import hmac
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobctl.clock import SystemClock
from jobctl.errors import PermanentJobError
from jobctl.jobs.repository_sync import repository_sync
from tests.support.git_server import GitServer, Upstream, git, serving
from tests.support.project import Site, until
from tests.support.serving import Handler, serving_http
from tests.support.terminal import Cli

TOKEN = "ghp_loopbackToken456"


@pytest.fixture
def upstream(tmp_path: Path) -> Upstream:
    upstream = Upstream(tmp_path / "server")
    upstream.commit({"data/one/one.yml": "name: One\n"})
    return upstream


@pytest.fixture
def server(upstream: Upstream) -> Iterator[GitServer]:
    with serving(upstream.bare.parent, token=TOKEN) as running:
        yield running


def test_without_a_repository_it_makes_a_minimal_folder(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = repository_sync()

    assert result.success
    assert "no DATA_REPOSITORY is set" in result.message
    assert "warning:" in capsys.readouterr().out
    assert (here / ".content" / "data").is_dir()
    assert (here / ".content" / ".works" / "works.yml").read_text() == (
        f"site_name: Website\nitem_name: Item\nitems_name: Items\ncopyright_year: {SystemClock().now().year}\n"
    )


def test_a_minimal_folder_that_is_there_is_left_alone(here: Path) -> None:
    repository_sync()
    settings = here / ".content" / ".works" / "works.yml"
    settings.write_text("site_name: Mine\n")

    repository_sync()

    assert settings.read_text() == "site_name: Mine\n"


def test_a_minimal_folder_gives_way_to_the_first_clone(
    here: Path, monkeypatch: pytest.MonkeyPatch, upstream: Upstream
) -> None:
    repository_sync()
    monkeypatch.setenv("DATA_REPOSITORY", str(upstream.bare))

    repository_sync()

    assert (here / ".content" / "data" / "one" / "one.yml").exists()
    assert [path.name for path in here.iterdir()].count(".content") == 1
    assert not list(here.glob(".content.before-*"))


def test_it_reports_what_changed(
    here: Path, upstream: Upstream, server: GitServer, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / ".env.local").write_text(f"DATA_REPOSITORY={server.url}/content.git\nGITHUB_TOKEN={TOKEN}\n")
    first = repository_sync()
    upstream.commit({"data/two/two.yml": "name: Two\n", "data/one/one.yml": "name: Uno\n"})
    capsys.readouterr()

    second = repository_sync()
    third = repository_sync()

    assert first.message.startswith("first clone: 1 file of branch main")
    assert second.message == "1 new commit: 1 file added, 1 changed, 0 removed"
    assert (second.processed, second.successful, second.failed) == (2, 2, 0)
    assert second.details["folder"] == ".content"
    assert second.details["head"] == git(upstream.work, "rev-parse", "HEAD")
    assert third.message == "nothing new on branch main"
    output = capsys.readouterr().out
    assert f"Fetching {server.url}/content.git" in output
    assert TOKEN not in output


def test_on_vercel_the_content_goes_to_the_temporary_folder(
    here: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VERCEL", "1")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))

    repository_sync()

    assert (tmp_path / "temporary" / ".content" / ".works" / "works.yml").exists()
    assert not (here / ".content").exists()


@pytest.mark.parametrize("switch", [{"DISABLE_AUTO_SYNC": "1"}, {"VERCEL": "1"}])
def test_where_it_must_not_push_it_does_not(
    here: Path, monkeypatch: pytest.MonkeyPatch, upstream: Upstream, tmp_path: Path, switch: dict[str, str]
) -> None:
    for name, value in {**switch, "DATA_REPOSITORY": str(upstream.bare)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    repository_sync()
    folder = (tmp_path / "temporary" if "VERCEL" in switch else here) / ".content"
    (folder / "data" / "one" / "one.yml").write_text("name: Mine\n")
    upstream.commit({"data/one/one.yml": "name: Theirs\n"})

    result = repository_sync()

    assert "set aside" in result.details["notes"][0]
    assert "pushing is off" in result.details["notes"][0]
    assert git(upstream.bare, "log", "--format=%an", "main").split() == ["Author", "Author"]


SECRET = "cron-secret-0123456789"


class SiteServer:
    """The site beside jobctl: what it was asked, and as whom."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.url = ""


@pytest.fixture
def endpoint() -> Iterator[SiteServer]:
    server = SiteServer()

    class Answering(Handler):
        def answered(self) -> None:
            server.requests.append((self.command, self.path, self.lower_headers(), self.body()))
            is_sync = self.path.startswith("/api/cron/sync")
            if self.command == "OPTIONS":
                self.answer(
                    204 if is_sync else 404, b"", [("Allow", "GET, HEAD, OPTIONS")] if is_sync else []
                )
            else:
                self.answer(200, b"{}")

        do_GET = do_POST = do_OPTIONS = do_HEAD = answered

    with serving_http(Answering) as server.url:
        yield server


def test_the_sites_own_endpoint_is_asked_with_the_secret(
    here: Path, monkeypatch: pytest.MonkeyPatch, upstream: Upstream, endpoint: SiteServer, cli: Cli
) -> None:
    del here
    monkeypatch.setenv("DATA_REPOSITORY", str(upstream.bare))
    monkeypatch.setenv("CRON_SECRET", SECRET)
    monkeypatch.setenv("JOBCTL_CONTENT_CHANGED_URL", f"{endpoint.url}/api/cron/sync")

    checked = cli("check", "site")
    repository_sync()
    repository_sync()

    assert checked.code == 0
    assert "/api/cron/sync" in checked.stdout
    assert [(method, path) for method, path, _, _ in endpoint.requests] == [
        ("OPTIONS", "/api/cron/sync"),
        ("GET", "/api/cron/sync"),
    ]
    assert {headers["authorization"] for _, _, headers, _ in endpoint.requests} == {f"Bearer {SECRET}"}


@pytest.mark.parametrize("own", [None, "a-secret-of-its-own"])
def test_a_webhook_is_sent_what_changed_signed(
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    upstream: Upstream,
    endpoint: SiteServer,
    cli: Cli,
    own: str | None,
) -> None:
    del here
    monkeypatch.setenv("DATA_REPOSITORY", str(upstream.bare))
    monkeypatch.setenv("CRON_SECRET", SECRET)
    if own:
        monkeypatch.setenv("JOBCTL_CONTENT_CHANGED_SECRET", own)
    monkeypatch.setenv("JOBCTL_CONTENT_CHANGED_URL", f"{endpoint.url}/hooks/content")

    checked = cli("check", "site")
    repository_sync()
    repository_sync()

    assert (checked.code, "accepted a test, signed" in checked.stdout) == (0, True)
    assert [json.loads(body) for _, _, _, body in endpoint.requests] == [
        {"paths": [], "total": 0, "test": True},
        {"paths": ["data/one/one.yml"], "total": 1},
    ]
    for method, _, headers, body in endpoint.requests:
        assert method == "POST"
        expected = hmac.new((own or SECRET).encode(), body, "sha256").hexdigest()
        assert headers["x-hub-signature-256"] == f"sha256={expected}"
        assert "authorization" not in headers


def test_without_any_secret_a_webhook_is_not_signed(
    here: Path, monkeypatch: pytest.MonkeyPatch, upstream: Upstream, endpoint: SiteServer
) -> None:
    del here
    monkeypatch.setenv("DATA_REPOSITORY", str(upstream.bare))
    monkeypatch.setenv("JOBCTL_CONTENT_CHANGED_URL", f"{endpoint.url}/changed?site=1")

    repository_sync()

    ((_, path, headers, _),) = endpoint.requests
    assert path == "/changed?site=1"
    assert "x-hub-signature-256" not in headers


def test_the_secret_does_not_cross_the_network_in_clear(
    here: Path, monkeypatch: pytest.MonkeyPatch, upstream: Upstream, capsys: pytest.CaptureFixture[str]
) -> None:
    del here
    monkeypatch.setenv("DATA_REPOSITORY", str(upstream.bare))
    monkeypatch.setenv("CRON_SECRET", SECRET)
    monkeypatch.setenv("JOBCTL_CONTENT_CHANGED_URL", "http://site.invalid/api/cron/sync")

    assert repository_sync().success
    assert "so CRON_SECRET would cross the network unencrypted" in capsys.readouterr().out


def test_check_reports_an_address_that_is_no_site(
    monkeypatch: pytest.MonkeyPatch, here: Path, cli: Cli
) -> None:
    del here
    absent = cli("check", "site")

    class Nothing(Handler):
        def do_OPTIONS(self) -> None:
            self.answer(404, b"")

    with serving_http(Nothing) as url:
        monkeypatch.setenv("JOBCTL_CONTENT_CHANGED_URL", f"{url}/api/cron/sync")
        failed = cli("check", "site")

    assert (absent.code, failed.code) == (4, 5)
    assert "answered 404: it has no /api/cron/sync" in failed.stdout


def test_caches_that_do_not_answer_are_a_warning(
    here: Path, monkeypatch: pytest.MonkeyPatch, upstream: Upstream, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATA_REPOSITORY", str(upstream.bare))
    monkeypatch.setenv("JOBCTL_CONTENT_CHANGED_URL", "http://127.0.0.1:9/changed")

    assert repository_sync().success
    assert "warning: JOBCTL_CONTENT_CHANGED_URL was not notified" in capsys.readouterr().out


@pytest.mark.parametrize("secret", ["?token=s3cretS3cret", "/s3cretS3cret", "?s=open-sesame"])
def test_a_secret_of_theirs_does_not_cross_the_network_in_clear(
    secret: str,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    upstream: Upstream,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DATA_REPOSITORY", str(upstream.bare))
    monkeypatch.setenv("JOBCTL_CONTENT_CHANGED_URL", f"http://caches.invalid/changed{secret}")

    assert repository_sync().success
    assert "the secret in it would cross the network unencrypted" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("repository", "words"),
    [("file:///nowhere.git", "there is no repository at"), ("git@example.com:a/b.git", "cannot be used")],
)
def test_a_first_clone_that_fails_leaves_minimal_content(
    here: Path, monkeypatch: pytest.MonkeyPatch, upstream: Upstream, repository: str, words: str
) -> None:
    monkeypatch.setenv("DATA_REPOSITORY", repository)
    with pytest.raises(PermanentJobError, match=words):
        repository_sync()
    assert (here / ".content" / ".works" / "works.yml").read_text().startswith("site_name: Website\n")
    monkeypatch.setenv("DATA_REPOSITORY", str(upstream.bare))

    assert repository_sync().success

    assert (here / ".content" / "data" / "one" / "one.yml").exists()
    assert not list(here.glob(".content.before-*"))


def test_a_later_failure_leaves_the_content_as_it_is(
    here: Path, monkeypatch: pytest.MonkeyPatch, upstream: Upstream
) -> None:
    monkeypatch.setenv("DATA_REPOSITORY", str(upstream.bare))
    repository_sync()
    upstream.bare.rename(upstream.bare.with_name("moved.git"))

    with pytest.raises(PermanentJobError):
        repository_sync()

    assert not (here / ".content" / ".works").exists()


def test_the_default_branch_is_used_with_a_warning(
    here: Path, monkeypatch: pytest.MonkeyPatch, upstream: Upstream, cli: Cli
) -> None:
    del here
    for name, value in {"DATA_REPOSITORY": str(upstream.bare), "GITHUB_BRANCH": "master"}.items():
        monkeypatch.setenv(name, value)

    result = repository_sync()
    (checked,) = cli("check", "content", "--json").json["parts"]

    warning = 'the content repository has no branch "master" (GITHUB_BRANCH): its default branch main is used'
    assert result.success
    assert result.errors == (warning,)
    assert result.details["branch"] == "main"
    assert (checked["state"], warning in checked["detail"]) == ("ok", True)


def test_a_folder_that_cannot_be_made(here: Path) -> None:
    (here / ".content").write_text("a file")

    with pytest.raises(PermanentJobError, match="cannot be written"):
        repository_sync()


@pytest.mark.slow
def test_the_main_job(site: Site, upstream: Upstream, server: GitServer) -> None:
    """``jobctl run`` keeps the content in step, and another terminal sees that it does."""
    site.write(".env.local", f"DATA_REPOSITORY={server.url}/content.git\nGH_TOKEN={TOKEN}\n")
    site.write("jobctl.toml", '[jobs.repository-sync]\nevery = "1s"\n')
    scheduler = site.run()
    content = site.folder / ".content"
    until((content / "data" / "one" / "one.yml").exists)

    upstream.commit({"data/two/two.yml": "name: Two\n", "data/one/one.yml": None})
    until((content / "data" / "two" / "two.yml").exists)
    until(lambda: not (content / "data" / "one").exists())

    status = site.json("status")
    assert status["scheduler"]["running"]
    assert status["scheduler"]["pid"] == scheduler.pid
    seen = until(
        lambda: [run for run in site.runs() if "1 file added, 0 changed, 1 removed" in str(run["result"])]
    )
    assert (seen[0]["status"], seen[0]["trigger"]) == ("completed", "schedule")
    assert "1 new commit: 1 file added" in site.call("logs", seen[0]["run_id"]).stdout
    until(lambda: "[repository-sync] 1 new commit: 1 file added, 0 changed, 1 removed" in site.log(scheduler))
    scheduler.terminate()
    assert scheduler.wait() == 0
    kept = [path for path in site.folder.rglob("*") if path.is_file() and path.name != ".env.local"]
    assert not [path for path in kept if TOKEN.encode() in path.read_bytes()]


@pytest.mark.slow
def test_an_unreachable_server_is_tried_again_and_then_failed(site: Site) -> None:
    site.write(".env.local", "DATA_REPOSITORY=http://127.0.0.1:9/content.git\n")
    site.write("jobctl.toml", '[jobs.repository-sync]\nretries = 1\nretry_delay = "100ms"\n')

    done = site.call("trigger", "repository-sync")

    assert done.returncode == 1
    assert done.stdout.count("did not answer") >= 2
    (run,) = site.runs()
    assert (run["attempt"], run["status"], run["reason"]) == (2, "failed", "error")
    assert (site.folder / ".content" / ".works" / "works.yml").exists()  # a site can start with it


@pytest.mark.slow
def test_a_wrong_token_is_not_tried_again(site: Site, server: GitServer) -> None:
    site.write(".env.local", f"DATA_REPOSITORY={server.url}/content.git\nGH_TOKEN=wrongTokenOfMine\n")

    done = site.call("trigger", "repository-sync")

    assert done.returncode == 1
    assert "refuses the token" in done.stderr
    assert "wrongTokenOfMine" not in done.stdout + done.stderr
    assert site.runs()[0]["attempt"] == 1
