"""Whether the site's database has every table and column that the jobs use."""

from sqlalchemy import Connection, inspect

from jobctl.database.tables import METADATA


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
