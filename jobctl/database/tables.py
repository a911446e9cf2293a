"""The site's tables: names, quoting and types as its own migrations have them, as far as the jobs use them.

A column's key is its name in ``snake_case``; ``name`` is what the database says.
"""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from jobctl.database.columns import Utc

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
