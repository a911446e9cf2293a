"""What differs between Postgres and SQLite in columns: how times are kept, how days and months are cut."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Dialect
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
