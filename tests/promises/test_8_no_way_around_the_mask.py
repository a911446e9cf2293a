"""Promise 8: every way by which a text leaves goes through the mask, whatever the form of the secret in it."""

from base64 import b64encode
from pathlib import Path

import pytest

from tests.support.http_server import Reply, http_server
from tests.support.project import Site, until

pytestmark = pytest.mark.slow

PASSWORD = 'p@ss/w0rd+ho"use'
PHRASE = "correct  horse  battery"
HOOK = "/services/T0AAAA/B0BBBB/wXyZsEcReT"
SECRETS = {"SMTP_PASS": PASSWORD, "SSH_PASSPHRASE": PHRASE}
FORMS = [
    "w0rd",
    "correct horse",
    "correct  horse",
    b64encode(PASSWORD.encode()).decode()[2:16],
    "wXyZsEcReT",
    "leak1leak1",
]
CODE = """
import base64, json, os, sys
from urllib.parse import quote
values = [os.environ[name] for name in ("SMTP_PASS", "SSH_PASSPHRASE", "MONITOR", "SITE_DB")]
def tell():
    for one in values:
        print(one, quote(one), json.dumps(one), repr(one), base64.b64encode(b"x" + one.encode()).decode())
    return {"password": values[0], "encoded": [quote(values[0], safe="")]}
def fail():
    raise RuntimeError("x" * 1990 + " " + values[0] + " and " + values[1])
def leave():
    sys.exit("left with " + " ".join(values))
"""


def clean(text: str) -> bool:
    return [one for one in FORMS if one in text] == []


@pytest.fixture
def told(site: Site) -> Site:
    site.write(
        ".env",
        f"SMTP_PASS='{PASSWORD}'\nSSH_PASSPHRASE='{PHRASE}'\n"
        "SITE_DB=\"host=db user=app password='leak1leak1' dbname=site\"\n",
    )
    return site


def test_output_errors_results_events_and_news(told: Site) -> None:
    with http_server(lambda _: Reply(200)) as receiver:
        told.write(".env.local", f"MONITOR={receiver.url}{HOOK}\n")
        jobs = "".join(
            f'[jobs.{one}]\nevery = "1h"\ncall = "work:{one}"\n' for one in ("tell", "fail", "leave")
        )
        told.jobs(jobs, CODE)
        file = (told.folder / "jobctl.toml").read_text()
        told.write("jobctl.toml", f'notify = {{ webhook = "$MONITOR" }}\n{file}')
        plain = told.run("-v")
        until(lambda: len(told.runs()) >= 3 and all(run["status"] != "running" for run in told.runs()))
        plain.terminate()
        assert plain.wait() == 0
        events = told.run("--json", "-v")
        by_hand = [told.call("trigger", job, *more) for job in ("tell", "fail") for more in ((), ("--json",))]
        events.terminate()
        assert events.wait() == 0
        bodies = repr([request.body for request in receiver.requests])
    shown = [
        told.call(*words.split())
        for words in (
            "status", "status fail", "status --json", "runs --json", "logs tell", "logs fail", "metrics",
            "metrics --format prometheus", "mode", "mode --json", "check settings", "check settings --json",
        )
    ]  # fmt: skip

    texts = [one.stdout + one.stderr for one in [*by_hand, *shown]]
    texts += [told.log(plain), told.log(events), bodies]
    assert [text for text in texts if not clean(text)] == []
    assert "••••" in bodies
    kept = [path for path in (told.folder / ".jobctl").rglob("*") if path.is_file()]
    assert [path for path in kept if not clean(path.read_text("utf-8", "replace"))] == []


def test_what_cannot_be_read_as_an_address_is_named_only_by_its_variable(site: Site) -> None:
    for text in ("postgres/app:hunter2hunter2@site", "postgres//app:hunter2hunter2/site", "hunter2hunter2"):
        for words in ("status", "status --json", "check", "mode", "run --verbose"):
            done = site.call(*words.split(), env={"DATABASE_URL": text})
            assert "hunter2" not in done.stdout + done.stderr
            if words == "mode":
                continue
            assert "DATABASE_URL cannot be read as an address" in done.stdout + done.stderr
            assert done.returncode == (0 if words.startswith("status") else 2)


def test_a_fault_of_jobctl_itself(site: Site) -> None:
    site.write(".env", f"SSH_PASSPHRASE='{PHRASE}'\nSMTP_PORT=maybe\n")
    code = f"""
import sys
from jobctl.cli import context
find = context.Context.project.func
def broken(self):
    try:
        return find(self)
    finally:
        raise ZeroDivisionError("with {PHRASE}")
context.Context.project.func = broken
from jobctl.cli.main import main
sys.argv = ["jobctl", *{{}}]
main()
"""
    for words in (["status"], ["status", "--verbose"]):
        done = site.python(code.replace("*{}", f"*{words!r}"))
        assert "ZeroDivisionError" in done.stderr
        assert clean(done.stdout + done.stderr)
    crashes = list(site.folder.rglob("crash-*.txt"))
    assert all(clean(file.read_text()) for file in crashes)


def test_a_module_that_prints_its_secret_in_another_form(told: Site, tmp_path: Path) -> None:
    told.write("jobctl.toml", 'modules = ["mine"]\n')
    for does in (
        "raise ValueError(p)",
        "raise ValueError('x' * 490 + p)",
        "print(p, flush=True); os._exit(3)",
    ):
        told.write("mine.py", f"import os\np = os.environ['SSH_PASSPHRASE']\n{does}\n")
        done = told.call("status")
        assert done.returncode == 2
        assert clean(done.stdout + done.stderr)


def test_no_cache_keeps_a_secret_that_a_decorator_was_given(told: Site) -> None:
    told.call("trigger", "repository-sync")
    told.write("jobctl.toml", 'modules = ["mine"]\n')
    told.write(
        "mine.py",
        "import os\nfrom jobctl import job\n"
        '@job(every="1h", name="with " + os.environ["SMTP_PASS"])\ndef tidy_up(): pass\n',
    )
    shown = told.call("status")
    assert "tidy-up" in shown.stdout
    kept = list((told.folder / ".jobctl").rglob("*.json"))
    assert [path for path in kept if not clean(path.read_text())] == []
    assert clean(shown.stdout)
