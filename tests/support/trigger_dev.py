"""A real HTTP server that speaks Trigger.dev's management API, holds schedules and runs, and can misbehave.

Its rules are those of the webapp (triggerdotdev/trigger.dev, 2026-08); ``tests/trigger_dev/test_oracles.py``
holds it against the schemas that ``@trigger.dev/core`` publishes and against the official client.
"""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.support.serving import Handler, serving_http
from tests.support.trigger_dev_rules import (
    FINAL,
    RefusalError,
    check_cron,
    check_hourly,
    check_schedule,
    check_trigger,
    delayed_until,
    known_zones,
    now,
    shown,
    shown_run,
)

KEYS = {
    "tr_prod_abcdefghijklmnop": "PRODUCTION",
    "tr_stg_abcdefghijklmnop": "STAGING",
    "tr_dev_abcdefghijklmnop": "DEVELOPMENT",
}
KEY = "tr_prod_abcdefghijklmnop"
VERSION = "2025-07-16"


@dataclass
class Asked:
    """A request as it came in."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass
class Fault:
    """Instead of an answer: a status, or ``drop``, ``half``, ``hang``, or ``lost`` (done, and then dropped)."""

    kind: str = "status"
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    only: str = ""


@dataclass
class Cloud:
    """One project.

    Attributes:
        tasks: those of the deployed worker.
        windows: whether the server is new enough to spread times.
        free: whether the plan is, and so limits schedules.
    """

    tasks: set[str] = field(default_factory=set)
    deployed: bool = True
    limit: int = 1000
    windows: bool = True
    free: bool = False
    schedules: dict[str, dict[str, Any]] = field(default_factory=dict)
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    path: tuple[str, ...] = ("QUEUED", "EXECUTING", "COMPLETED")
    output: Any = None
    error: str | None = None
    unlisted: bool = False
    asked: list[Asked] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)
    looked: threading.Event = field(default_factory=threading.Event)
    url: str = ""
    _seen: dict[str, Any] = field(default_factory=dict)
    _number: int = 0
    _lock: threading.RLock = field(default_factory=threading.RLock)

    # For tests

    def schedule(self, task: str, cron: str = "0 9 * * *", **more: Any) -> dict[str, Any]:
        """A schedule that exists already; by default one of jobctl's."""
        values = {"key": f"jobctl:production:{task}", "environment": "PRODUCTION", "window": "0m", **more}
        key = values.pop("key")
        made = self._new_schedule(values.pop("environment"), task, key)
        made.update({"cron": cron, "externalId": task, **values})
        return made

    def run(
        self, task: str, status: str = "COMPLETED", *, ago: float = 60, took: float = 1.5, **more: Any
    ) -> str:
        """A run that was there already: of a schedule, unless ``schedule`` is None."""
        begun = now() - timedelta(seconds=ago)
        more.setdefault("schedule", "sched_1")
        # the engine dates such a run by its nominal time
        created = begun.replace(second=0, microsecond=0) if more["schedule"] else begun
        run_id = self._new_id("run")
        self.runs[run_id] = {
            "task": task, "status": status, "path": [], "created": created, "started": begun,
            "finished": begun + timedelta(seconds=took) if status in FINAL else None, "output": None, "error": None,
            "environment": "PRODUCTION", "key": None, **more,
        }  # fmt: skip
        return run_id

    def sent(self, method: str, path: str) -> list[Asked]:
        """The requests of one kind."""
        return [one for one in self.asked if one.method == method and re.fullmatch(path, one.path)]

    def writes(self) -> list[tuple[str, str]]:
        """Whatever changed something."""
        return [(one.method, one.path) for one in self.asked if one.method != "GET"]

    # Answers

    def answer(self, asked: Asked) -> Any:
        with self._lock:
            if asked.path == "/api/v1/timezones":
                return {"timezones": sorted(known_zones())}
            environment = self._environment(asked)
            self._check_headers(asked)
            for method, pattern, handler in _ROUTES:
                found = re.fullmatch(pattern, asked.path)
                if found and method == asked.method:
                    return handler(self, asked, environment, *(unquote(one) for one in found.groups()))
            if any(re.fullmatch(pattern, asked.path) for _, pattern, _ in _ROUTES):
                raise RefusalError(405, "Method Not Allowed")
            raise RefusalError(404, "Not found")

    def _environment(self, asked: Asked) -> str:
        header = asked.headers.get("authorization", "")
        if not header:
            told = {"title": "Unauthorized", "status": 401, "detail": "No API key", "error": "No API key"}
            raise RefusalError(401, told)
        environment = KEYS.get(header.removeprefix("Bearer "))
        if environment is None:
            raise RefusalError(401, "Invalid or Missing API Key")
        return environment

    def _check_headers(self, asked: Asked) -> None:
        """What the server takes without them, but not as it is meant."""
        if asked.headers.get("x-trigger-source") == "sdk":
            return
        if asked.headers.get("x-trigger-api-version") != VERSION:
            self.complaints.append(f"{asked.method} {asked.path}: without the API's version")
        if not re.fullmatch(r"[0-9a-f-]{36}", asked.headers.get("x-trigger-request-idempotency-key", "")):
            self.complaints.append(f"{asked.method} {asked.path}: without a request idempotency key")
        if "trigger-version" in asked.headers or "x-trigger-worker" in asked.headers:
            self.complaints.append(f"{asked.method} {asked.path}: pretends to be the SDK")

    def _new_id(self, kind: str) -> str:
        self._number += 1
        return f"{kind}_{self._number:022d}"

    def _new_schedule(self, environment: str, task: str, key: str) -> dict[str, Any]:
        schedule_id = self._new_id("sched")
        made = {
            "id": schedule_id, "task": task, "key": key, "active": True, "type": "IMPERATIVE", "externalId": None,
            "timezone": "UTC", "environment": environment, "window": None,
        }  # fmt: skip
        self.schedules[schedule_id] = made
        return made

    def create_schedule(self, asked: Asked, environment: str) -> Any:
        body = check_schedule(asked.body)
        if body["task"] not in self.tasks:
            raise RefusalError(422, f"Task with identifier {body['task']} not found in project.")
        check_cron(body["cron"])
        if body.get("timezone", "UTC") not in known_zones():
            raise RefusalError(422, f"Invalid IANA timezone: '{body['timezone']}'")
        if self.free:
            check_hourly(body["cron"])
        kept = next((one for one in self.schedules.values() if one["key"] == body["deduplicationKey"]), None)
        if kept is not None and kept["type"] == "DECLARATIVE":
            raise RefusalError(422, "Cannot update a declarative schedule")
        if kept is None:
            active = [
                one
                for one in self.schedules.values()
                if one["active"] and one["environment"] != "DEVELOPMENT"
            ]
            if environment != "DEVELOPMENT" and len(active) >= self.limit:
                raise RefusalError(
                    422,
                    f"You have created {len(active)}/{self.limit} schedules so you'll need to increase your limits.",
                )
            kept = self._new_schedule(environment, body["task"], body["deduplicationKey"])
        kept["environment"] = environment
        kept["cron"] = body["cron"]
        kept["timezone"] = body.get("timezone", "UTC")
        kept["externalId"] = body.get("externalId")
        kept["window"] = body.get("window")
        return self._shown(kept)

    def _shown(self, kept: dict[str, Any]) -> dict[str, Any]:
        return shown(kept, windows=self.windows, free=self.free)

    def list_schedules(self, asked: Asked, environment: str) -> Any:
        page, size = int(asked.query.get("page", 1)), min(100, int(asked.query.get("perPage", 20)))
        mine = (
            [one for one in self.schedules.values() if one["environment"] == environment]
            if self.deployed
            else []
        )
        mine.reverse()
        pages = -(-len(mine) // size)
        return {
            "data": [self._shown(one) for one in mine[(page - 1) * size : page * size]],
            "pagination": {"currentPage": page, "totalPages": pages, "count": len(mine)},
        }

    def _schedule(self, name: str, environment: str) -> dict[str, Any]:
        for one in self.schedules.values():
            if name in {one["id"], one["key"]} and one["environment"] == environment:
                return one
        raise RefusalError(404, "Schedule not found")

    def get_schedule(self, asked: Asked, environment: str, name: str) -> Any:
        return self._shown(self._schedule(name, environment))

    def put_schedule(self, asked: Asked, environment: str, name: str) -> Any:
        body = check_schedule({**asked.body, "deduplicationKey": "-"})
        check_cron(body["cron"])
        kept = self._schedule(name, environment)
        more = {"timezone": body.get("timezone", "UTC"), "externalId": body.get("externalId")}
        kept.update({"cron": body["cron"], "window": body.get("window"), **more})
        return self._shown(kept)

    def activate(self, asked: Asked, environment: str, name: str, verb: str) -> Any:
        kept = self._schedule(name, environment)
        kept["active"] = verb == "activate"
        return self._shown(kept)

    def delete_schedule(self, asked: Asked, environment: str, name: str) -> Any:
        kept = self._schedule(name, environment)
        del self.schedules[kept["id"]]
        return {"id": kept["id"]}

    def trigger(self, asked: Asked, environment: str, task: str) -> Any:
        body = check_trigger(asked.body)
        options = body.get("options") or {}
        if task not in self.tasks:
            raise RefusalError(404, "Task not found")
        again = asked.headers.get("x-trigger-request-idempotency-key", "")
        if again in self._seen:
            return {"id": self._seen[again], "isCached": False}
        key = options.get("idempotencyKey")
        for run_id, run in self.runs.items():
            if key and run["key"] == key and run["status"] not in {"FAILED", "EXPIRED"}:
                return {"id": run_id, "isCached": True}
        until = delayed_until(options.get("delay"))
        path = self.path if until is None else ("DELAYED", *self.path)
        run_id = self._new_id("run")
        self.runs[run_id] = {
            "task": task, "status": path[0], "path": list(path[1:]), "created": now(), "started": None,
            "finished": None, "output": self.output, "error": self.error, "environment": environment, "key": key,
            "payload": body.get("payload"), "tags": options.get("tags") or [], "delayed": until,
        }  # fmt: skip
        self._seen[again] = run_id
        return {"id": run_id, "isCached": False}

    def get_run(self, asked: Asked, environment: str, run_id: str) -> Any:
        run = self.runs.get(run_id)
        if run is None or run["environment"] != environment:
            raise RefusalError(404, "Run not found")
        self._end_delay(run)
        answer = shown_run(run_id, run, whole=True)
        if run["path"] and run["status"] != "DELAYED":
            run["status"] = run["path"].pop(0)
            if run["status"] not in {"QUEUED", "PENDING_VERSION", "DELAYED"}:
                run["started"] = run["started"] or now()
            if run["status"] in FINAL:
                run["finished"] = now()
        self.looked.set()
        return answer

    def _end_delay(self, run: dict[str, Any]) -> None:
        """A delayed run goes into the queue at its time."""
        if run["status"] == "DELAYED" and run.get("delayed") and run["delayed"] <= now():
            run["status"] = run["path"].pop(0)

    def list_runs(self, asked: Asked, environment: str) -> Any:
        query = asked.query
        size = int(query.get("page[size]", 25))
        if not 1 <= size <= 100:
            raise RefusalError(400, {"error": "Query Error", "details": [{"path": ["page[size]"]}]})
        wanted = {name: set(query[f"filter[{name}]"].split(",")) for name in ("taskIdentifier", "status")
                  if f"filter[{name}]" in query}  # fmt: skip
        week_ago = int((now() - timedelta(days=7)).timestamp() * 1000)  # where nothing is asked for
        since = int(query.get("filter[createdAt][from]", week_ago))
        for run in self.runs.values():
            self._end_delay(run)
        mine = [
            (run_id, run) for run_id, run in self.runs.items()
            if run["environment"] == environment and not self.unlisted
            and run["task"] in wanted.get("taskIdentifier", {run["task"]})
            and run["status"] in wanted.get("status", {run["status"]})
            and run["created"].timestamp() * 1000 >= since
        ]  # fmt: skip
        mine.sort(key=lambda one: (one[1]["created"], one[0]), reverse=True)
        ids = [one for one, _ in mine]
        begin = ids.index(query["page[after]"]) + 1 if query.get("page[after]") in ids else 0
        page = mine[begin : begin + size]
        more = {"next": page[-1][0]} if begin + size < len(mine) else {}
        return {"data": [shown_run(one, run, whole=False) for one, run in page], "pagination": more}

    def cancel(self, asked: Asked, environment: str, run_id: str) -> Any:
        self.runs[run_id].update(status="CANCELED", path=[], finished=now())
        return {"id": run_id}

    def replay(self, asked: Asked, environment: str, run_id: str) -> Any:
        """As ``replayTaskRun.server.ts``: a run in any state may be replayed. The new one belongs to no schedule, and has
        the payload, the tags and no idempotency key; a repeated request starts another."""
        before = self.runs.get(run_id)
        if before is None or before["environment"] != environment:
            raise RefusalError(404, "Run not found")
        if before["task"] not in self.tasks:
            raise RefusalError(400, "Failed to create new run")
        new_id = self._new_id("run")
        self.runs[new_id] = {
            "task": before["task"], "status": self.path[0], "path": list(self.path[1:]), "created": now(),
            "started": None, "finished": None, "output": self.output, "error": self.error, "environment": environment,
            "key": None, "payload": before.get("payload"), "tags": before.get("tags") or [],
        }  # fmt: skip
        return {"id": new_id}


_ROUTES: list[tuple[str, str, Any]] = [
    ("POST", "/api/v1/schedules", Cloud.create_schedule),
    ("GET", "/api/v1/schedules", Cloud.list_schedules),
    ("POST", "/api/v1/schedules/([^/]+)/((?:de)?activate)", Cloud.activate),
    ("GET", "/api/v1/schedules/([^/]+)", Cloud.get_schedule),
    ("PUT", "/api/v1/schedules/([^/]+)", Cloud.put_schedule),
    ("DELETE", "/api/v1/schedules/([^/]+)", Cloud.delete_schedule),
    ("POST", "/api/v1/tasks/([^/]+)/trigger", Cloud.trigger),
    ("GET", "/api/v3/runs/([^/]+)", Cloud.get_run),
    ("GET", "/api/v1/runs", Cloud.list_runs),
    ("POST", "/api/v2/runs/([^/]+)/cancel", Cloud.cancel),
    ("POST", "/api/v1/runs/([^/]+)/replay", Cloud.replay),
]


class _Handler(Handler):
    cloud: Cloud
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        data = self.body()
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        asked = Asked(
            self.command, parts.path, query, self.lower_headers(), json.loads(data) if data else None
        )
        self.cloud.asked.append(asked)
        fault = self._fault(asked)
        if fault is not None and fault.kind != "lost":
            self._misbehave(fault)
            return
        try:
            status, body = 200, self.cloud.answer(asked)
        except RefusalError as refused:
            status, body = refused.status, refused.body
        if fault is not None:
            self._misbehave(Fault("drop"))
            return
        self.answer(status, json.dumps(body).encode(), [("Content-Type", "application/json")])

    def _fault(self, asked: Asked) -> Fault | None:
        for one in self.cloud.faults:
            if one.only in f"{asked.method} {asked.path}":
                self.cloud.faults.remove(one)
                return one
        return None

    def _misbehave(self, fault: Fault) -> None:
        if fault.kind == "status":
            self.answer(fault.status, fault.body, fault.headers.items())
            return
        if fault.kind == "hang":
            self.cloud.released.wait(60)
        if fault.kind == "half":
            self.wfile.write(
                b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{"data": ['
            )
        self.close_connection = True

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _serve


@contextmanager
def trigger_dev(*tasks: str) -> Iterator[Cloud]:
    """A server whose worker has these tasks; at the end every request must have been a proper one."""
    cloud = Cloud(set(tasks))
    with serving_http(type("Handler", (_Handler,), {"cloud": cloud})) as cloud.url:
        try:
            yield cloud
        finally:
            cloud.released.set()
    assert cloud.complaints == []
