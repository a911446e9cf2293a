"""One of many schedulers on one Postgres store: ``python -m tests.benchmarks.peers.fleet_member FOLDER ADDRESS JOBS``.

Says ``ready``, then its CPU seconds for each line that it reads, and ends with its input.
"""

import os
import sys
import time
from contextlib import closing
from pathlib import Path

from jobctl.managers.local import LocalJobManager
from jobctl.model import Job
from jobctl.schedules import Cron
from jobctl.store.open import open_store


def main(folder: Path, address: str, jobs: int) -> None:
    folder.mkdir()
    (folder / "noop.py").write_text("def noop():\n    pass\n")
    with closing(open_store(address)) as store:
        made = LocalJobManager(
            store, project=folder, state=folder / "state", environment=dict(os.environ), workers=1
        )
        with made:
            made.add(Job(f"noop-{n}", "no-op", Cron("* * * * * *"), "noop:noop") for n in range(jobs))
            made.start()
            print("ready", flush=True)
            for _ in sys.stdin:
                print(time.process_time(), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
