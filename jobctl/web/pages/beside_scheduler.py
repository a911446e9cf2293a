"""The process of the page that ``run --web`` starts: it reads the run store, and asks the scheduler through it.

``python -m jobctl.web.pages.beside_scheduler SOCKET``. It ends when its standard input does, so with the scheduler's process,
however that ends.
"""

import logging
import os
import socket
import sys
import threading
from pathlib import Path

from jobctl.project import ProjectContext
from jobctl.web.pages.application import ControlPage, page_alone
from jobctl.web.pages.asking import AsksScheduler
from jobctl.web.server import PageServer, config_of


def main(descriptor: int) -> None:
    """Serve on an inherited socket until the scheduler's process ends."""
    listening = socket.socket(fileno=descriptor)
    project = ProjectContext.find(Path.cwd(), pipes=False)  # they were read by the scheduler
    page = ControlPage(project, starter=AsksScheduler)

    app = page_alone(page)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers = [logging.NullHandler()]
        logging.getLogger(name).propagate = False
    server = PageServer(config_of(app, access_log=False))

    def end_with_scheduler() -> None:
        while os.read(sys.stdin.fileno(), 1024):
            continue
        server.should_exit = True

    threading.Thread(target=end_with_scheduler, name="jobctl-page-end", daemon=True).start()
    server.run(sockets=[listening])
    project.close()


if __name__ == "__main__":
    main(int(sys.argv[1]))
