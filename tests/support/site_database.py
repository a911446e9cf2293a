"""The site's database on either engine, filled row by row: the tests' own way in, beside the code's."""

import sqlite3
from abc import ABC, abstractmethod
from datetime import UTC, datetime
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.postgres import Postgres

if TYPE_CHECKING:
    from psycopg import Connection

SCHEMA = (Path(__file__).parent / "site_schema.sql").read_text(encoding="utf-8")
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
_numbers = count(1)


class SiteDatabase(ABC):
    """One database with the site's tables; ``url`` is its ``DATABASE_URL``."""

    url: str
    engine: str

    @abstractmethod
    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Beside the code under test."""

    @abstractmethod
    def execute(self, statement: str, *values: Any) -> None:
        """Beside the code under test."""

    def add(self, table: str, **values: Any) -> str:
        """Insert one row; its id is made up where none is given."""
        values.setdefault("id", f"{table[:4].strip()}-{next(_numbers):05}")
        columns = ", ".join(f'"{name}"' for name in values)
        marks = ", ".join("?" for _ in values)
        self.execute(f'INSERT INTO "{table}" ({columns}) VALUES ({marks})', *map(self.kept, values.values()))
        return str(values["id"])

    @abstractmethod
    def close(self) -> None:
        """Let go of the connection."""

    @abstractmethod
    def kept(self, value: Any) -> Any:
        """A value as this engine's driver takes it."""

    # What the site's users do

    def tenant(self, tenant_id: str = "t1", status: str = "active", created_at: datetime = NOW) -> str:
        return self.add("tenant", id=tenant_id, name=tenant_id.upper(), status=status, created_at=created_at)

    def user(
        self, created_at: datetime = NOW, tenant_id: str = "t1", name: str = "Ada Lovelace", **more: Any
    ) -> str:
        """A user with a profile, whose id is the user's with ``p-`` before it."""
        number = next(_numbers)
        user_id = more.pop("id", f"u{number:05}")
        email = more.pop("email", f"{user_id}@example.com")
        display_name = more.pop("display_name", None)
        self.add("users", id=user_id, email=email, tenant_id=tenant_id, created_at=created_at, **more)
        self.add(
            "client_profiles", id=f"p-{user_id}", userId=user_id, email=email, tenant_id=tenant_id, name=name,
            display_name=display_name,
        )  # fmt: skip
        return str(user_id)

    def vote(
        self, user: str, item: str, at: datetime = NOW, kind: str = "upvote", tenant_id: str = "t1"
    ) -> str:
        return self.add(
            "votes", userid=f"p-{user}", item_id=item, vote_type=kind, created_at=at, tenant_id=tenant_id
        )

    def comment(self, user: str, item: str, at: datetime = NOW, tenant_id: str = "t1", **more: Any) -> str:
        return self.add(
            "comments",
            userId=f"p-{user}",
            itemId=item,
            content="well",
            created_at=at,
            tenant_id=tenant_id,
            **more,
        )

    def view(self, item: str, at: datetime = NOW, viewer: str | None = None, tenant_id: str = "t1") -> str:
        return self.add(
            "item_views", item_id=item, viewer_id=viewer or f"v{next(_numbers)}", viewed_at=at,
            viewed_date_utc=f"{at.astimezone(UTC):%Y-%m-%d}", tenant_id=tenant_id,
        )  # fmt: skip

    def subscription(self, user: str, end: datetime | None, **more: Any) -> str:
        values = {
            "plan_id": "premium", "status": "active", "payment_provider": "stripe", "amount": 19, "currency": "usd",
            "interval": "month", "interval_count": 1, "auto_renewal": True, "renewal_reminder_sent": False,
            "tenant_id": "t1", "start_date": NOW, **more,
        }  # fmt: skip
        return self.add("subscriptions", userId=user, end_date=end, **values)


class OnSQLite(SiteDatabase):
    engine = "sqlite"

    def __init__(self, file: Path) -> None:
        from sqlalchemy import create_engine

        from jobctl.site.database.tables import METADATA

        engine = create_engine(f"sqlite:///{file}")
        METADATA.create_all(engine)
        engine.dispose()
        self.file = file
        self.url = f"sqlite:///{file}"

        self._connection = sqlite3.connect(self.file, timeout=30, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = OFF")

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        return self._connection.execute(query, values).fetchall()

    def execute(self, statement: str, *values: Any) -> None:
        self._connection.execute(statement, values)

    def close(self) -> None:
        self._connection.close()

    def kept(self, value: Any) -> Any:
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}" if isinstance(value, datetime) else value


class OnPostgres(SiteDatabase):
    engine = "postgresql"

    def __init__(self, server: Postgres) -> None:
        self.server = server
        self.name = server.create(SCHEMA)
        self.url = server.url(self.name)

    @cached_property
    def _connection(self) -> "Connection[tuple[Any, ...]]":
        import psycopg

        return psycopg.connect(self.url, autocommit=True, options="-c timezone=UTC")

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        return self._connection.execute(query.replace("?", "%s"), values).fetchall()

    def execute(self, statement: str, *values: Any) -> None:
        self._connection.execute(statement.replace("?", "%s"), values)

    def close(self) -> None:
        if "_connection" in self.__dict__:
            self._connection.close()

    def kept(self, value: Any) -> Any:
        """UTC whichever the column: the server stands in New York."""
        return value.astimezone(UTC) if isinstance(value, datetime) else value
