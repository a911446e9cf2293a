"""The site's tables as its own migrations define them, and the column types and functions that differ between Postgres and SQLite."""

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
    """An instant: aware in Python; in the database in UTC, with a zone where ``zoned``.

    Postgres has both kinds of column in one site; SQLite keeps either as text that sorts by time.
    """

    impl = DateTime
    cache_ok = True

    def __init__(self, *, zoned: bool = False) -> None:
        super().__init__()
        self.zoned = zoned

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        """``timestamp`` or ``timestamptz``."""
        return dialect.type_descriptor(DateTime(timezone=self.zoned and dialect.name == "postgresql"))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Aware in, as the column keeps it out."""
        if value is None:
            return None
        instant = value.astimezone(UTC)
        return instant if self.zoned and dialect.name == "postgresql" else instant.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """As the column keeps it in, aware out."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class day_of(FunctionElement[Any]):  # noqa: N801 - reads as the function that it is
    """The UTC day of an instant."""

    name = "day_of"
    inherit_cache = True


class day_name(FunctionElement[Any]):  # noqa: N801
    """A day as ``YYYY-MM-DD``, whatever the server's date style."""

    name = "day_name"
    inherit_cache = True


class bytewise(FunctionElement[Any]):  # noqa: N801
    """A text to sort by its bytes: Postgres sorts by the database's collation, and ties must fall alike."""

    name = "bytewise"
    inherit_cache = True


class month_of(FunctionElement[Any]):  # noqa: N801
    """The UTC month of an instant."""

    name = "month_of"
    inherit_cache = True


@compiles(day_of, "postgresql")
def _day_on_postgres(element: day_of, compiler: Any, **options: Any) -> str:
    return f"({_in_utc(element, compiler, **options)})::date"


@compiles(day_of, "sqlite")
def _day_on_sqlite(element: day_of, compiler: Any, **options: Any) -> str:
    return f"substr({compiler.process(element.clauses, **options)}, 1, 10)"


@compiles(day_name, "postgresql")
def _name_on_postgres(element: day_name, compiler: Any, **options: Any) -> str:
    return f"to_char({compiler.process(element.clauses, **options)}, 'YYYY-MM-DD')"


@compiles(bytewise, "postgresql")
def _bytes_on_postgres(element: bytewise, compiler: Any, **options: Any) -> str:
    return f'{compiler.process(element.clauses, **options)} COLLATE "C"'


@compiles(day_name, "sqlite")
@compiles(bytewise, "sqlite")
def _as_it_is_on_sqlite(element: FunctionElement[Any], compiler: Any, **options: Any) -> str:
    return str(compiler.process(element.clauses, **options))


@compiles(month_of, "postgresql")
def _month_on_postgres(element: month_of, compiler: Any, **options: Any) -> str:
    return f"date_trunc('month', {_in_utc(element, compiler, **options)})"


@compiles(month_of, "sqlite")
def _month_on_sqlite(element: month_of, compiler: Any, **options: Any) -> str:
    return f"substr({compiler.process(element.clauses, **options)}, 1, 7)"


def _in_utc(element: FunctionElement[Any], compiler: Any, **options: Any) -> str:
    column: Any = next(iter(element.clauses))
    text: str = compiler.process(column, **options)
    kind = column.type
    return f"{text} AT TIME ZONE 'UTC'" if isinstance(kind, Utc) and kind.zoned else text


def month_text(value: datetime | str) -> str:
    """What ``month_of`` gave, as ``YYYY-MM``, whichever the database."""
    return value if isinstance(value, str) else f"{value.year:04}-{value.month:02}"


METADATA = MetaData()
_NOW = text("CURRENT_TIMESTAMP")


def _tenant_id() -> Column[str]:
    return Column("tenant_id", Text, ForeignKey("tenant.id"))


tenant = Table(
    "tenant",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("name", Text),
    Column("slug", Text),
    Column("status", Text),
    Column("created_at", Utc()),
)

users = Table(
    "users",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("email", Text, unique=True),
    _tenant_id(),
    Column("created_at", Utc(), nullable=False, server_default=_NOW),
    Column("updated_at", Utc(), nullable=False, server_default=_NOW),
    Column("deleted_at", Utc()),
)

client_profiles = Table(
    "client_profiles",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("userId", Text, ForeignKey("users.id"), key="user_id"),
    Column("email", Text),
    _tenant_id(),
    Column("name", Text, nullable=False),
    Column("display_name", Text),
    Column("created_at", Utc(), nullable=False, server_default=_NOW),
)

subscriptions = Table(
    "subscriptions",
    METADATA,
    Column("id", Text, primary_key=True),
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
    Column("created_at", Utc(), nullable=False, server_default=_NOW),
    Column("updated_at", Utc(), nullable=False, server_default=_NOW),
    _tenant_id(),
    CheckConstraint("NOT (auto_renewal AND cancel_at_period_end)"),
    UniqueConstraint("payment_provider", "subscription_id"),
)

subscription_history = Table(
    "subscriptionHistory",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("subscription_id", Text, ForeignKey("subscriptions.id"), nullable=False),
    Column("action", Text, nullable=False),
    Column("previous_status", Text),
    Column("new_status", Text),
    Column("previous_plan", Text),
    Column("new_plan", Text),
    Column("reason", Text),
    Column("metadata", Text),
    Column("created_at", Utc(), nullable=False, server_default=_NOW),
    _tenant_id(),
)

votes = Table(
    "votes",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("userid", Text, ForeignKey("client_profiles.id"), key="client_id", nullable=False),
    Column("item_id", Text, nullable=False),
    Column("vote_type", Text, nullable=False),
    Column("created_at", Utc(), nullable=False, server_default=_NOW),
    _tenant_id(),
    UniqueConstraint("client_id", "item_id"),
)

comments = Table(
    "comments",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("content", Text, nullable=False),
    Column("userId", Text, ForeignKey("client_profiles.id"), key="client_id", nullable=False),
    Column("itemId", Text, key="item_id", nullable=False),
    Column("rating", Integer),
    Column("created_at", Utc(zoned=True), nullable=False, server_default=_NOW),
    Column("deleted_at", Utc(zoned=True)),
    _tenant_id(),
)

item_views = Table(
    "item_views",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("item_id", Text, nullable=False),
    Column("viewer_id", Text, nullable=False),
    Column("viewed_date_utc", Text, nullable=False),
    Column("viewed_at", Utc(zoned=True), nullable=False, server_default=_NOW),
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
    Column("timestamp", Utc(), nullable=False, server_default=_NOW),
    _tenant_id(),
)


def missing(connection: Connection) -> list[str]:
    """What is not there: ``table "votes"`` or ``column "users"."deleted_at"``, all of it."""
    inspector = inspect(connection)
    found = []
    there = {*inspector.get_table_names(), *inspector.get_view_names()}
    for table in METADATA.sorted_tables:
        if table.name not in there:
            found.append(f'table "{table.name}"')
            continue
        columns = {column["name"] for column in inspector.get_columns(table.name)}
        found.extend(
            f'column "{table.name}"."{column.name}"' for column in table.columns if column.name not in columns
        )
    return found
