"""The examples of the page "library", each run as it stands in a real process, and ended as people end it."""

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from jobctl.model import RunStatus
from tests.embedding.conftest import App
from tests.support.pages import example
from tests.support.project import until

JOB = 'lambda: print("tidied")'
SLOW = """lambda: __import__("jobs").slow()"""
DJANGO_SETTINGS = """
SECRET_KEY = "test"
DEBUG = True
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = ["jobs_app.apps.JobsConfig"]
ROOT_URLCONF = "urls"
WSGI_APPLICATION = "wsgi.application"
USE_TZ = True
"""
WSGI = """
import os
from django.core.wsgi import get_wsgi_application
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
application = get_wsgi_application()
"""
LOADED = "application loaded"
"""Each process of gunicorn writes it once it has imported the application; until then Ctrl-C is an error there."""


def script(write: Callable[[str, str], Path], job: str) -> None:
    write("script.py", example("library", "python", "run_forever").replace(JOB, job))


def fastapi(write: Callable[[str, str], Path], job: str) -> None:
    write("main.py", example("library", "python", "FastAPI").replace(JOB, job))


def fastapi_without_lifespan(write: Callable[[str, str], Path], job: str) -> None:
    code = (
        example("library", "python", "Flask")
        .replace("flask", "fastapi")
        .replace("Flask(__name__)", "FastAPI()")
    )
    write("main.py", code.replace("Flask", "FastAPI").replace(JOB, job))


def flask(write: Callable[[str, str], Path], job: str) -> None:
    code = example("library", "python", "Flask").replace(JOB, job)
    write("app.py", f"{code}print({LOADED!r}, flush=True)\n")


def django(write: Callable[[str, str], Path], job: str) -> None:
    folder = write("settings.py", DJANGO_SETTINGS).parent / "jobs_app"
    folder.mkdir()
    code = (
        example("library", "python", "AppConfig")
        .replace(JOB, job)
        .replace('name = "jobs"', 'name = "jobs_app"')
    )
    (folder / "apps.py").write_text(code)
    (folder / "__init__.py").touch()
    write("urls.py", "urlpatterns = []\n")
    write("wsgi.py", f"{WSGI}print({LOADED!r}, flush=True)\n")


UP = {
    "uvicorn": "Application startup complete",
    "--debug": "Debugger PIN",
    "flask": "CTRL+C to quit",
    "gunicorn": "Booting worker",
    "django": "Quit the server",
}
UPS = {"uvicorn --workers": 2, "gunicorn": 2, "gunicorn --preload": 2}
"""How often it says so where that is not once."""
SOCKET = ("--bind", "unix:app.sock")
# how it is started, and its exit status after Ctrl-C and SIGTERM, which is the server's own
SERVERS = {
    "script": (script, ("script.py",), 0, 0),
    "uvicorn": (fastapi, ("-m", "uvicorn", "main:app", "--uds", "app.sock"), 0, -signal.SIGTERM),
    "uvicorn without lifespan": (
        fastapi_without_lifespan, ("-m", "uvicorn", "main:app", "--uds", "app.sock"), 0, -signal.SIGTERM,
    ),
    "uvicorn --workers": (fastapi, ("-m", "uvicorn", "main:app", "--workers", "2", "--uds", "app.sock"), 0, 0),
    "uvicorn --reload": (fastapi, ("-m", "uvicorn", "main:app", "--reload", "--uds", "app.sock"), 0, 0),
    "flask run": (flask, ("-m", "flask", "run", "--host", "unix://app.sock"), 0, -signal.SIGTERM),
    "flask --debug": (flask, ("-m", "flask", "--debug", "run", "--host", "unix://app.sock"), 0, 0),
    "gunicorn": (flask, ("-m", "gunicorn", "app:app", "--workers", "2", *SOCKET), 0, 0),
    "gunicorn --preload": (flask, ("-m", "gunicorn", "app:app", "--workers", "2", "--preload", *SOCKET), 0, 0),
    "gunicorn --threads": (flask, ("-m", "gunicorn", "app:app", "--threads", "2", *SOCKET), 0, 0),
    "gunicorn with Django": (django, ("-m", "gunicorn", "wsgi:application", *SOCKET), 0, 0),
    "runserver": (django, ("-m", "django", "runserver", "--noreload", "127.0.0.1:0"), 0, -signal.SIGTERM),
    "runserver with its reloader": (django, ("-m", "django", "runserver", "127.0.0.1:0"), 0, 0),
}  # fmt: skip
ENVIRONMENT = {"DJANGO_SETTINGS_MODULE": "settings", "PYTHONPATH": ".", "PYTHONUNBUFFERED": "1"}
OF_OURS = ("jobctl", "sqlite", "Traceback", "Exception ignored", "Fatal")


def begin(app: App, name: str, job: str) -> subprocess.Popen[str]:
    write, arguments, _, _ = SERVERS[name]
    write(app.site.write, job)
    with (app.folder / "server.log").open("w") as output:
        process = app.begin(
            "", *arguments, env=ENVIRONMENT, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    if name != "script":
        until_up(app, process, UPS.get(name, 1))
    if name.startswith("gunicorn"):
        times = 1 if "--preload" in arguments else UPS.get(name, 1)
        until(lambda: process.poll() is not None or log(app).count(LOADED) >= times)
    return process


def until_up(app: App, process: subprocess.Popen[str], times: int = 1) -> None:
    """Wait until the server has said so often that it is up, and answers."""
    until(lambda: process.poll() is not None or times_up(app, process) >= times)
    until(lambda: process.poll() is not None or answers(app))


def times_up(app: App, process: subprocess.Popen[str]) -> int:
    words = [text for server, text in UP.items() if server in " ".join(map(str, process.args))]  # type: ignore[arg-type]
    return log(app).count(words[0])


def answers(app: App) -> bool:
    ports = re.findall(r"http://127.0.0.1:(\d+)", log(app))  # another after each reload
    try:
        with socket.socket(socket.AF_INET if ports else socket.AF_UNIX) as client:
            client.settimeout(5)
            client.connect(("127.0.0.1", int(ports[-1])) if ports else str(app.folder / "app.sock"))
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return bool(client.makefile("rb").read())
    except OSError:
        return False


def log(app: App) -> str:
    return (app.folder / "server.log").read_text()


def completed(app: App) -> bool:
    try:
        return any(one.status is RunStatus.COMPLETED for one in app.kept("tidy-up"))
    except FileNotFoundError:
        return False


def end(app: App, process: subprocess.Popen[str]) -> int:
    status, _, _ = app.end(process)
    assert not [word for word in OF_OURS if word in log(app)], log(app)
    return status


@pytest.mark.slow
@pytest.mark.parametrize("name", SERVERS)
def test_it_runs_its_job_and_ends_with_ctrl_c(app: App, name: str) -> None:
    process = begin(app, name, JOB)
    until(lambda: process.poll() is not None or completed(app))

    os.killpg(process.pid, signal.SIGINT)

    assert end(app, process) == SERVERS[name][2]
    assert [one.status for one in app.kept("tidy-up")] == [RunStatus.COMPLETED]


@pytest.mark.slow
@pytest.mark.parametrize("name", SERVERS)
def test_it_ends_with_sigterm_once_its_job_has_ended(app: App, name: str) -> None:
    process = begin(app, name, SLOW)
    app.until_there("slow-began", process)

    process.terminate()

    assert end(app, process) == SERVERS[name][3]
    assert [one.status for one in app.kept("tidy-up")] == [RunStatus.COMPLETED]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["uvicorn --reload", "flask --debug", "runserver with its reloader"])
def test_a_reload_ends_the_job_gracefully(app: App, name: str) -> None:
    process = begin(app, name, SLOW)
    app.until_there("slow-began", process)
    source = app.folder / {"uvicorn --reload": "main.py", "flask --debug": "app.py"}.get(name, "urls.py")
    ups = UPS.get(name, 1)

    changed = 0.0

    def reloaded() -> bool:
        # a reloader does not notice what changes before it has read its files for the first time
        nonlocal changed
        if time.monotonic() > changed + 5:
            source.write_text(source.read_text() + "\n")
            changed = time.monotonic()
        return process.poll() is not None or times_up(app, process) > ups

    until(reloaded)
    until_up(app, process, ups + 1)
    until(lambda: completed(app))
    os.killpg(process.pid, signal.SIGINT)

    assert end(app, process) == 0
    assert [one.status for one in app.kept("tidy-up")] == [RunStatus.COMPLETED]


@pytest.mark.slow
@pytest.mark.parametrize("preload", [False, True], ids=["", "preload"])
def test_a_reload_of_gunicorn(app: App, preload: bool) -> None:
    process = begin(app, "gunicorn --preload" if preload else "gunicorn", JOB)
    until(lambda: process.poll() is not None or completed(app))

    process.send_signal(signal.SIGHUP)

    until_up(app, process, 4)
    process.terminate()
    assert end(app, process) == 0
    assert [one.status for one in app.kept("tidy-up")] == [RunStatus.COMPLETED]
