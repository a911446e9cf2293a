"""An internal error of jobctl: nothing of it in the response, all of it in the log, without secrets."""

import logging

import pytest
from starlette.testclient import TestClient

from jobctl.web import request_runner
from jobctl.web.app import create_app
from tests.support.project import Site
from tests.web.conftest import SECRET


def test_a_fault_is_logged_and_not_answered(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CRON_SECRET", SECRET)

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError(f"what {SECRET} did")

    monkeypatch.setattr(request_runner.Runner, "run", broken)
    client = TestClient(create_app(site.folder), raise_server_exceptions=False)

    with caplog.at_level(logging.ERROR, "jobctl"):
        answer = client.get("/api/cron/jobs/quick", headers={"Authorization": f"Bearer {SECRET}"})

    assert (answer.status_code, answer.json()["error"]) == (500, "internal error of jobctl")
    assert "RuntimeError: what •••• did" in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.slow
def test_a_failed_rerun_is_logged_with_its_job(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CRON_SECRET", SECRET)
    with TestClient(create_app(site.folder), headers={"Authorization": f"Bearer {SECRET}"}) as client:
        client.post("/api/cron/jobs/broken")
        (run,) = site.runs("broken")
        with caplog.at_level(logging.ERROR, "jobctl"):
            client.post(f"/api/runs/{run['run_id']}/rerun")

    assert f"broken: run {site.runs('broken')[0]['run_id']} failed (error): ValueError: " in caplog.text
