"""APScheduler 3, its SQLite job store."""

from functools import partial

from tests.benchmarks.peers.apscheduler_peer import burst, drain, idle
from tests.benchmarks.peers.common import answer

answer(burst=partial(burst, kept=True), drain=partial(drain, kept=True), idle=partial(idle, kept=True))
