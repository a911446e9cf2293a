"""The page of ``run --web``: a process of its own, so that no visitor takes time from the scheduler."""

import subprocess
import sys
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Self

from jobctl import thread_start
from jobctl.cli.context import Context
from jobctl.errors import NotRunError, install_hint
from jobctl.events import Event, JobsChanged

if TYPE_CHECKING:
    import socket

_END_S = 5.0


class PageProcess:
    """Listens at once, and serves within its block.

    Args:
        port: on this machine's own address; 0 is any free one.
        opens: whether a browser shows it.

    Raises:
        NotRunError: a package that it needs is not installed.
        UsageError: the port is not free.
    """

    def __init__(self, context: Context, port: int, *, opens: bool) -> None:
        try:
            from jobctl.web.pages import application  # noqa: F401 - its packages are needed in the process
            from jobctl.web.server import listen_on
        except ModuleNotFoundError as error:
            raise NotRunError(
                f"--web needs the package {error.name}, which is not installed", hint=install_hint("web")
            ) from error
        self._context = context
        self._opens = opens
        self._listening: socket.socket = listen_on("127.0.0.1", port)
        self._process: subprocess.Popen[bytes] | None = None
        self._is_stale = False

    @property
    def address(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}/"

    def __call__(self, event: Event) -> None:
        """An event of the scheduler: after an edit of the project file the page must show the new jobs."""
        if isinstance(event, JobsChanged):
            self._is_stale = True

    def __enter__(self) -> Self:
        self._start()
        out, environment = self._context.output, self._context.environment
        out.note(f"page: {self.address}")
        has_secret = any(
            environment.secret(name) for name in ("JOBCTL_PAGE_SECRET", "JOBCTL_PAGE_READONLY_SECRET")
        )
        if not has_secret and environment.text("NODE_ENV") != "development":
            out.warn("the page is closed: set JOBCTL_PAGE_SECRET or CRON_SECRET")
        if self._opens:
            import webbrowser

            thread_start.start(threading.Thread(target=webbrowser.open, args=(self.address,), daemon=True))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()
        self._listening.close()

    def poll(self) -> None:
        """Start it anew where it has ended, or the jobs have changed."""
        process = self._process
        if process is not None and (self._is_stale or process.poll() is not None):
            self._is_stale = False
            self._end()
            self._start()

    def _start(self) -> None:
        descriptor = self._listening.fileno()
        project = self._context.project
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "jobctl.web.pages.beside_scheduler", str(descriptor)],
            cwd=project.folder,
            # with the settings of .env files: such a file may be a pipe, which was read here
            env={**project.environment.merged(), "JOBCTL_PROJECT": str(project.folder)},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=(descriptor,),
            start_new_session=True,  # Ctrl-C is for the scheduler, which ends it
        )
        thread_start.start(threading.Thread(target=self._warn, args=(self._process,), daemon=True))

    def _warn(self, process: "subprocess.Popen[bytes]") -> None:
        """Show what it reports."""
        if process.stderr is not None:
            with process.stderr as lines:
                for line in lines:
                    self._context.output.warn(f"page: {line.decode('utf-8', 'replace').rstrip()}")

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
