"""Error codes of PostgreSQL: https://www.postgresql.org/docs/current/errcodes-appendix.html."""

SERIALIZATION_FAILURE, DEADLOCK = "40001", "40P01"
LOCK_TIMEOUT, STATEMENT_TIMEOUT = "55P03", "57014"
UNDEFINED_TABLE, UNDEFINED_COLUMN, UNDEFINED_SCHEMA = "42P01", "42703", "3F000"
LOGIN_REFUSED = "28"
"""The first two characters of several codes."""
UNDEFINED_DATABASE, NO_PRIVILEGE, READ_ONLY, DISK_FULL = "3D000", "42501", "25006", "53100"
UNAVAILABLE = ("57P01", "57P02", "57P03", "53300")
"""The server stops, starts or has no connection free."""
