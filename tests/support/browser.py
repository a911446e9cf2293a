"""A real browser, driven over the DevTools protocol by a pipe; fetched once where the machine has none."""

import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.npm import alone, do_without, fetch

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_PACKAGE = "@sparticuz/chromium"  # a headless Chromium inside an npm package: nothing else is downloaded
_UNPACK = f"import chromium from '{_PACKAGE}'; console.log(await chromium.executablePath())"
_FLAGS = (
    "--headless=shell", "--no-sandbox", "--no-zygote", "--single-process", "--in-process-gpu", "--disable-gpu",
    "--hide-scrollbars", "--no-first-run", "--remote-debugging-pipe", "--disable-dev-shm-usage",
)  # fmt: skip


def find_browser(cache: Path) -> Path:
    """The browser's program; skips the test where there is none to be had, but fails it in CI."""
    named = os.environ.get("JOBCTL_TEST_BROWSER")
    found = named or next((path for name in _NAMES if (path := shutil.which(name))), None)
    if found:
        return Path(found)
    fetch(cache, {_PACKAGE: "*"})
    with alone(cache / "unpacking"):
        program = cache / "chromium"
        if not program.exists():
            _unpack(cache)
    return program


def _unpack(cache: Path) -> None:
    done = subprocess.run(
        ["node", "-e", _UNPACK, "--input-type=module"],
        cwd=cache,
        check=False,
        env={**os.environ, "TMPDIR": str(cache), "AWS_LAMBDA_JS_RUNTIME": "nodejs22.x"},
        timeout=110,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        do_without(f"the browser cannot be unpacked: {done.stderr[-300:]}")


class Browser:
    """One process; close it by leaving the block."""

    def __init__(self, program: Path) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="jobctl-browser-"))
        commands, answers = os.pipe(), os.pipe()
        libraries = program.parent / "al2023" / "lib"
        environment = {**os.environ, "HOME": str(self._folder), "LD_LIBRARY_PATH": str(libraries)}
        # it reads commands from descriptor 3 and answers on 4
        line = f'exec 3<&{commands[0]} 4>&{answers[1]}; exec "$0" "$@"'
        self._process = subprocess.Popen(
            ["/bin/bash", "-c", line, program, *_FLAGS, f"--user-data-dir={self._folder}", "about:blank"],
            pass_fds=(commands[0], answers[1]),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(commands[0])
        os.close(answers[1])
        self._commands, self._answers = os.fdopen(commands[1], "wb", 0), os.fdopen(answers[0], "rb")
        self._number = 0
        self.events: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._commands.close()
        self._answers.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def call(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """One command and its answer; events that come between are kept."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        self._commands.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result
            self.events.append(answer)

    def wait_for(self, method: str, since: int) -> None:
        """Read events until there is one of this name at place ``since`` or after it in ``events``."""
        while not any(event.get("method") == method for event in self.events[since:]):
            self.events.append(self._read())

    def _read(self) -> dict[str, Any]:
        data = bytearray()
        while (byte := self._answers.read(1)) != b"\0":
            assert byte, "the browser has gone"
            data += byte
        message: dict[str, Any] = json.loads(data)
        return message

    def open(
        self, page: Path | str, *, width: int, height: int = 740, dark: bool = False, scripts: bool = True
    ) -> "Tab":
        """Load a file or an address in a window of this size."""
        url = page if isinstance(page, str) else page.as_uri()
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable", session)
        tab = Tab(self, session, url, target)
        tab.show(width=width, height=height, dark=dark)
        if not scripts:
            self.call("Emulation.setScriptExecutionDisabled", session, value=True)
        before = len(self.events)  # the page may have loaded before the answer comes
        self.call("Page.navigate", session, url=url)
        self.wait_for("Page.loadEventFired", before)
        return tab


class Tab:
    """A loaded page."""

    def __init__(self, browser: Browser, session: str, url: str, target: str) -> None:
        self._browser, self._session, self._url, self._target = browser, session, url, target

    def close(self) -> None:
        """Close it, with its connections."""
        self._browser.call("Target.closeTarget", targetId=self._target)

    def show(self, *, width: int, height: int = 740, dark: bool = False) -> None:
        """In a window of this size, light or dark."""
        call, session = self._browser.call, self._session
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        call("Emulation.setEmulatedMedia", session, features=scheme)
        call(
            "Emulation.setDeviceMetricsOverride", session, width=width, height=height, deviceScaleFactor=1,
            mobile=width < 600,
        )  # fmt: skip

    def press(self, key: str) -> None:
        """Press a key: a character, Enter or Tab."""
        code, text = {"Enter": (13, "\r"), "Tab": (9, "")}.get(key, (ord(key.upper()[0]), key))
        common = {"key": key, "windowsVirtualKeyCode": code}
        self._browser.call("Input.dispatchKeyEvent", self._session, type="keyDown", text=text, **common)
        self._browser.call("Input.dispatchKeyEvent", self._session, type="keyUp", **common)

    def click(self, x: float, y: float) -> None:
        """Click at a place."""
        for kind in ("mousePressed", "mouseReleased"):
            self._browser.call(
                "Input.dispatchMouseEvent", self._session, type=kind, x=x, y=y, button="left", clickCount=1
            )

    def wait_until(self, script: str, seconds: float = 20.0) -> None:
        """Wait until an expression is true in the page, through loads of other pages."""
        end = time.monotonic() + seconds
        while not self._is_true(script):
            assert time.monotonic() < end, f"not within {seconds} s: {script}"
            threading.Event().wait(0.05)

    def _is_true(self, script: str) -> bool:
        answer = self._browser.call("Runtime.evaluate", self._session, expression=script, returnByValue=True)
        return bool(answer["result"].get("value"))

    def evaluate(self, script: str) -> Any:
        """The value of an expression in the page."""
        answer = self._browser.call(
            "Runtime.evaluate", self._session, expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    @property
    def _events(self) -> list[dict[str, Any]]:
        return [one for one in self._browser.events if one.get("sessionId") == self._session]

    @property
    def requests(self) -> list[str]:
        """What the page requested, apart from itself."""
        sent = [one for one in self._events if one.get("method") == "Network.requestWillBeSent"]
        urls = [one["params"]["request"]["url"] for one in sent]
        return [one for one in urls if one != self._url and not one.startswith("data:")]

    @property
    def complaints(self) -> list[str]:
        """What the console said."""
        names = {"Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown"}
        return [json.dumps(one["params"]) for one in self._events if one.get("method") in names]
