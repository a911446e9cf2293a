"""Events on their way to a reader who may be slow: a bounded queue, so that no publisher ever waits for one."""

import threading
from collections import Counter, deque
from datetime import datetime
from typing import NamedTuple

from jobctl.cli.views.events import level
from jobctl.events import Event, LinesNotShown, RunOutput

LINES = 50_000
TEXT = 8 * 1024 * 1024
NEWS = 10_000


class Published(NamedTuple):
    """An event, when it was published, and its place among all."""

    number: int
    at: datetime
    event: Event


class Backlog:
    """What was published and is not shown yet. Where it grows too long the oldest are left out, and counted.

    Printed lines, ordinary events, and warnings and errors have a bound each: a flood of lines never costs a
    failure its place.

    Args:
        lines: the most printed lines.
        text: the most characters in them.
        news: the most ordinary events, and the most warnings and errors.
    """

    def __init__(self, lines: int = LINES, text: int = TEXT, news: int = NEWS) -> None:
        self._output: deque[Published] = deque()
        self._routine: deque[Published] = deque()
        self._grave: deque[Published] = deque()
        self._most_lines, self._most_text, self._most_news = lines, text, news
        self._text = 0
        self._number = 0
        self._lines_left_out: Counter[str] = Counter()
        self._news_left_out = 0
        self._lock = threading.Lock()
        self._something = threading.Event()

    def put(self, event: Event, at: datetime) -> None:
        """Keep an event. From any thread; never waits for the reader."""
        with self._lock:
            self._number += 1
            published = Published(self._number, at, event)
            if isinstance(event, RunOutput):
                self._put_line(published, event)
            else:
                queue = self._routine if level(event) is None else self._grave
                queue.append(published)
                if len(queue) > self._most_news:
                    queue.popleft()
                    self._news_left_out += 1
        if not self._something.is_set():
            self._something.set()

    def _put_line(self, published: Published, event: RunOutput) -> None:
        self._output.append(published)
        self._text += len(event.line)
        while len(self._output) > self._most_lines or (
            self._text > self._most_text and len(self._output) > 1
        ):
            left_out = self._output.popleft().event
            if isinstance(left_out, RunOutput):
                self._text -= len(left_out.line)
                self._lines_left_out[left_out.job_id] += 1

    def wait(self) -> None:
        """Return when there is something to take, or ``wake`` was called."""
        self._something.wait()

    def wake(self) -> None:
        """Make ``wait`` return."""
        self._something.set()

    def take(self, now: datetime, most: int | None = None) -> list[Published]:
        """The oldest events in order, ``most`` at most; before them what was left out since the last call."""
        with self._lock:
            taken = self._left_out(now)
            queues = (self._output, self._routine, self._grave)
            rest = sum(map(len, queues))
            for _ in range(rest if most is None else min(most, rest)):
                published = min(queue[0] for queue in queues if queue)
                for queue in queues:
                    if queue and queue[0] is published:
                        queue.popleft()
                if isinstance(published.event, RunOutput):
                    self._text -= len(published.event.line)
                taken.append(published)
            if not any(queues):
                self._something.clear()
            return taken

    def _left_out(self, now: datetime) -> list[Published]:
        found: list[Event] = []
        if self._lines_left_out:
            job = next(iter(self._lines_left_out)) if len(self._lines_left_out) == 1 else None
            found.append(LinesNotShown(now, job, self._lines_left_out.total(), is_output=True))
        if self._news_left_out:
            found.append(LinesNotShown(now, None, self._news_left_out, is_output=False))
        self._lines_left_out.clear()
        self._news_left_out = 0
        return [Published(0, now, one) for one in found]
