"""A floor: bare asyncio timers that run the jobs themselves. Nothing is kept, nothing isolated."""

import asyncio
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.peers.common import Starts, answer, first_second, idle_here


def burst(_: Path, jobs: int, seconds: int) -> dict[str, Any]:
    starts = Starts()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        first = first_second()
        offset = loop.time() - time.time()
        for due in (first + second for second in range(seconds)):
            for _ in range(jobs):
                loop.call_at(due + offset, starts.started, due)
        await asyncio.sleep(seconds + 4)

    asyncio.run(main())
    return {"late_s": starts.late}


def idle(_: Path, jobs: int, seconds: int) -> dict[str, Any]:
    found: dict[str, Any] = {}

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for _ in range(jobs):
            loop.call_later(100_000, print)
        found.update(await asyncio.to_thread(idle_here, seconds))

    asyncio.run(main())
    return found


answer(burst=burst, idle=idle)
