"""Promise 8: no secret in logs, errors, arguments, the store or ``mode``; state is the owner's alone."""

import stat
from pathlib import Path

import pytest

from tests.support.project import Site, until

pytestmark = pytest.mark.slow

SECRET = "ghp_s3cr3tTokenThatMustNotLeak"
CODE = """
import os
def tell():
    print("the token is", os.environ["GH_TOKEN"])
    raise RuntimeError("refused " + os.environ["GH_TOKEN"])
"""


def test_a_secret_that_a_job_prints(site: Site) -> None:
    site.write(".env.local", f"GH_TOKEN={SECRET}\nTRIGGER_DEV_API_KEY=tr_dev_{SECRET}\n")
    site.jobs('[jobs.tell]\nevery = "1h"\ncall = "work:tell"\n', CODE)
    scheduler = site.run("-v")
    until(lambda: [run for run in site.runs("tell") if run["status"] == "failed"])
    arguments = Path(f"/proc/{scheduler.pid}/cmdline").read_text()
    shown = [
        site.call(*command.split()) for command in ("mode", "mode --json", "status", "runs", "logs tell")
    ]
    by_hand = site.call("trigger", "tell")
    scheduler.terminate()
    assert scheduler.wait() == 0

    texts = [site.log(scheduler), arguments, by_hand.stdout, by_hand.stderr]
    texts += [done.stdout + done.stderr for done in shown]
    assert "the token is ••••" in by_hand.stdout
    assert not [text for text in texts if SECRET in text]
    kept = [path for path in (site.folder / ".jobctl").rglob("*") if path.is_file()]
    assert len(kept) >= 3
    assert not [path for path in kept if SECRET.encode() in path.read_bytes()]


def test_a_secret_among_a_jobs_own_variables_also_after_an_edit(site: Site) -> None:
    code = 'import os\ndef tell():\n    print("with", os.environ["API_TOKEN"], os.environ["API_URL"])\n'
    variables = '{{ API_TOKEN = "{0}-1", API_URL = "https://me:{0}-2@localhost/" }}'
    tell = '[jobs.tell]\nevery = "1s"\ncall = "work:tell"\nenvironment = ' + variables + "\n"
    site.jobs(tell.format("s3cr3t"), code)

    by_hand = site.call("trigger", "tell")
    scheduler = site.run("-v")
    until(lambda: len(site.runs("tell")) >= 2)
    site.jobs(tell.format("an0ther"), code)
    until(lambda: "tell changed" in site.log(scheduler))
    known = len(site.runs("tell"))
    until(lambda: len(site.runs("tell")) >= known + 2)
    scheduler.terminate()
    assert scheduler.wait() == 0

    assert by_hand.stdout == "with •••• https://me:••••@localhost/\n"
    kept = [path.read_bytes() for path in (site.folder / ".jobctl").rglob("*") if path.is_file()]
    texts = [site.log(scheduler), site.call("logs", "tell").stdout, by_hand.stderr, *map(repr, kept)]
    assert not [text for text in texts if "s3cr3t" in text or "an0ther" in text]


def test_state_is_readable_by_its_owner_alone(site: Site) -> None:
    assert site.call("trigger", "repository-sync").returncode == 0

    state = site.folder / ".jobctl"
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (state, *state.rglob("*"))}
    assert {path: mode for path, mode in modes.items() if mode & 0o077} == {}


@pytest.mark.parametrize(
    "does",
    [
        "raise ValueError('cannot use ' + token)",
        "raise ValueError('x' * 480 + token)",
        "print('cannot use', token, flush=True); os._exit(3)",
    ],
)
def test_a_secret_that_a_module_prints_when_it_is_imported(site: Site, does: str) -> None:
    site.write("jobctl.toml", 'modules = ["mine"]\n')
    site.write("mine.py", f"import os\ntoken = os.environ['GH_TOKEN']\n{does}\n")
    site.write(".env", "GH_TOKEN=sesame-open-up\n")

    told = site.call("status")

    assert told.returncode == 2
    assert "mine" in told.stderr
    assert "sesame" not in told.stdout + told.stderr
