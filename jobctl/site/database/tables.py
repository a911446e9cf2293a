"""The site's tables as its own migrations define them, as far as the jobs use them; for Postgres and SQLite.

A column's key is its name in ``snake_case``; ``name`` is its name in the database.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Connection,
    DateTime,
    Dialect,
    ForeignKey,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    inspect,
    text,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement
from sqlalchemy.types import TypeDecorator


class Utc(TypeDecorator[datetime]):
    """An instant: aware in Python, UTC in the database, with a time zone there if ``zoned``.

    The site has both kinds of column on Postgres; SQLite keeps either as text that sorts by time.
    """

    impl = DateTime
    cache_ok = True

    def __init__(self, *, zoned: bool = False) -> None:
        super().__init__()
        self.zoned = zoned

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        """``timestamp`` or ``timestamptz``."""
        return dialect.type_descriptor(DateTime(timezone=self._has_zone(dialect)))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """From Python to the database."""
        if value is None:
            return None
        instant = value.astimezone(UTC)
        return instant if self._has_zone(dialect) else instant.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """From the database to Python."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

    def _has_zone(self, dialect: Dialect) -> bool:
        return self.zoned and dialect.name == "postgresql"


class _ColumnFunction(FunctionElement[Any]):
    """A function of one column. ``{0}`` in its SQL is the column, ``{utc}`` the instant in UTC without a zone."""

    inherit_cache = True  # repeated in each subclass: SQLAlchemy asks for it there
    postgresql: str
    sqlite: str


class day_of(_ColumnFunction):  # noqa: N801 - SQL functions are written so
    """The UTC day of an instant."""

    name, postgresql, sqlite = "day_of", "({utc})::date", "substr({0}, 1, 10)"
    inherit_cache = True


class day_name(_ColumnFunction):  # noqa: N801
    """A day as ``YYYY-MM-DD``, whatever the server's date style."""

    name, postgresql, sqlite = "day_name", "to_char({0}, 'YYYY-MM-DD')", "{0}"
    inherit_cache = True


class month_of(_ColumnFunction):  # noqa: N801
    """The UTC month of an instant; see ``month_text``."""

    name, postgresql, sqlite = "month_of", "date_trunc('month', {utc})", "substr({0}, 1, 7)"
    inherit_cache = True


class bytewise(_ColumnFunction):  # noqa: N801
    """A text that sorts by its bytes, whatever the database's collation: the order is the same everywhere."""

    name, postgresql, sqlite = "bytewise", '{0} COLLATE "C"', "{0}"
    inherit_cache = True


@compiles(_ColumnFunction)
def _compile_column_function(element: _ColumnFunction, compiler: Any, **options: Any) -> str:
    column: Any = next(iter(element.clauses))
    sql = compiler.process(column, **options)
    zoned = isinstance(column.type, Utc) and column.type.zoned
    template = element.postgresql if compiler.dialect.name == "postgresql" else element.sqlite
    return template.format(sql, utc=f"{sql} AT TIME ZONE 'UTC'" if zoned else sql)


def month_text(value: datetime | str) -> str:
    """A value of ``month_of`` as ``YYYY-MM``: Postgres gives a datetime, SQLite a text."""
    return value if isinstance(value, str) else f"{value.year:04}-{value.month:02}"


METADATA = MetaData()
_NOW = text("CURRENT_TIMESTAMP")


def _id() -> Column[str]:
    return Column("id", Text, primary_key=True)


def _tenant_id() -> Column[str]:
    return Column("tenant_id", Text, ForeignKey("tenant.id"))


def _time(name: str, *, zoned: bool = False) -> Column[datetime]:
    """An instant that the database sets."""
    return Column(name, Utc(zoned=zoned), nullable=False, server_default=_NOW)


tenant = Table(
    "tenant",
    METADATA,
    _id(),
    Column("name", Text),
    Column("slug", Text),
    Column("status", Text),
    Column("created_at", Utc()),
)

users = Table(
    "users",
    METADATA,
    _id(),
    Column("email", Text, unique=True),
    _tenant_id(),
    _time("created_at"),
    _time("updated_at"),
    Column("deleted_at", Utc()),
)

client_profiles = Table(
    "client_profiles",
    METADATA,
    _id(),
    Column("userId", Text, ForeignKey("users.id"), key="user_id"),
    Column("email", Text),
    _tenant_id(),
    Column("name", Text, nullable=False),
    Column("display_name", Text),
    _time("created_at"),
)

subscriptions = Table(
    "subscriptions",
    METADATA,
    _id(),
    Column("userId", Text, ForeignKey("users.id"), key="user_id", nullable=False),
    Column("plan_id", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("start_date", Utc(), nullable=False),
    Column("end_date", Utc()),
    Column("payment_provider", Text, nullable=False),
    Column("subscription_id", Text),
    Column("currency", Text, server_default="usd"),
    Column("amount", Integer),
    Column("interval", Text, server_default="month"),
    Column("interval_count", Integer, server_default=text("1")),
    Column("auto_renewal", Boolean, server_default=text("true")),
    Column("renewal_reminder_sent", Boolean, server_default=text("false")),
    Column("cancelled_at", Utc()),
    Column("cancel_at_period_end", Boolean, server_default=text("false")),
    Column("cancel_reason", Text),
    _time("created_at"),
    _time("updated_at"),
    _tenant_id(),
    CheckConstraint("NOT (auto_renewal AND cancel_at_period_end)"),
    UniqueConstraint("payment_provider", "subscription_id"),
)

subscription_history = Table(
    "subscriptionHistory",
    METADATA,
    _id(),
    Column("subscription_id", Text, ForeignKey("subscriptions.id"), nullable=False),
    Column("action", Text, nullable=False),
    Column("previous_status", Text),
    Column("new_status", Text),
    Column("previous_plan", Text),
    Column("new_plan", Text),
    Column("reason", Text),
    Column("metadata", Text),
    _time("created_at"),
    _tenant_id(),
)

votes = Table(
    "votes",
    METADATA,
    _id(),
    Column("userid", Text, ForeignKey("client_profiles.id"), key="client_id", nullable=False),
    Column("item_id", Text, nullable=False),
    Column("vote_type", Text, nullable=False),
    _time("created_at"),
    _tenant_id(),
    UniqueConstraint("client_id", "item_id"),
)

comments = Table(
    "comments",
    METADATA,
    _id(),
    Column("content", Text, nullable=False),
    Column("userId", Text, ForeignKey("client_profiles.id"), key="client_id", nullable=False),
    Column("itemId", Text, key="item_id", nullable=False),
    Column("rating", Integer),
    _time("created_at", zoned=True),
    Column("deleted_at", Utc(zoned=True)),
    _tenant_id(),
)

item_views = Table(
    "item_views",
    METADATA,
    _id(),
    Column("item_id", Text, nullable=False),
    Column("viewer_id", Text, nullable=False),
    Column("viewed_date_utc", Text, nullable=False),
    _time("viewed_at", zoned=True),
    _tenant_id(),
    UniqueConstraint("item_id", "viewer_id", "viewed_date_utc"),
)

activity_logs = Table(
    "activityLogs",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("userId", Text, ForeignKey("users.id"), key="user_id"),
    Column("clientId", Text, ForeignKey("client_profiles.id"), key="client_id"),
    Column("action", Text, nullable=False),
    _time("timestamp"),
    _tenant_id(),
)


def missing_names(connection: Connection) -> list[str]:
    """Tables and columns that do not exist: ``table "votes"``, ``column "users"."deleted_at"``."""
    inspector = inspect(connection)
    existing = {*inspector.get_table_names(), *inspector.get_view_names()}
    found = []
    for table in METADATA.sorted_tables:
        if table.name not in existing:
            found.append(f'table "{table.name}"')
            continue
        columns = {column["name"] for column in inspector.get_columns(table.name)}
        found += [f'column "{table.name}"."{c.name}"' for c in table.columns if c.name not in columns]
    return found
