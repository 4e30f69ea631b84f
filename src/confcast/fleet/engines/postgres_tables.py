"""The tables that a fleet's configurations have in PostgreSQL, and the statements on them.

Guarantees. A head and its entry are written by one statement, which also notifies: whoever listens is told at the
commit, in the order of commits, and of no write that was refused. A host needs the rights that `Tables.grants` has, and
no other one. Each row has a key, so that many configurations share the four tables.

A trigger notifies of what is written by hand, too: a deleted head, a table that was emptied. It sends what the
statement sends, and PostgreSQL folds equal notifications of one transaction into one.

A publisher drops entries beyond the newest `engine.MOST_ENTRIES`, and reports older than KEPT; whoever wants the audit
trail for longer copies it. `confcast_payload.at` is when a payload was put last.

The content columns are bytea, since heads are compared byte by byte; for a person:

    select convert_from(content, 'UTF8') from confcast_audit where key = 'shop' order by id desc;

Rejected: the head in the notification (8,000 bytes at the most, and a full queue refuses every publisher sooner), and a
channel for each key (an administrator could not listen to one channel to see all that happens).
"""

from __future__ import annotations

CHANNEL = "confcast"
"""What LISTEN and NOTIFY name; the payload is the head's number of writes."""

KEPT = 3600
"""Seconds for which a report is kept at the least."""

_TABLES = """
create table if not exists {schema}.confcast_head (
    key text primary key,
    content bytea not null,
    rev bigint not null default 1,
    at timestamptz not null default clock_timestamp()
);
create table if not exists {schema}.confcast_payload (
    key text not null,
    digest text not null,
    content bytea not null,
    at timestamptz not null default clock_timestamp(),
    primary key (key, digest)
);
create table if not exists {schema}.confcast_audit (
    id bigint generated always as identity primary key,
    key text not null,
    content bytea not null,
    at timestamptz not null default clock_timestamp()
);
create index if not exists confcast_audit_by_key on {schema}.confcast_audit (key, id);
create table if not exists {schema}.confcast_report (
    key text not null,
    host text not null,
    content bytea not null,
    at timestamptz not null default clock_timestamp(),
    primary key (key, host)
);
create or replace function {schema}.confcast_notify() returns trigger language plpgsql as $$
begin
    perform pg_catalog.pg_notify('confcast', coalesce(new.rev::text, ''));
    return null;
end
$$;
drop trigger if exists confcast_written on {schema}.confcast_head;
create trigger confcast_written after insert or update or delete on {schema}.confcast_head
    for each row execute function {schema}.confcast_notify();
drop trigger if exists confcast_emptied on {schema}.confcast_head;
create trigger confcast_emptied after truncate on {schema}.confcast_head
    for each statement execute function {schema}.confcast_notify();
"""

_GRANTS = """
grant usage on schema {schema} to {role};
grant select on {schema}.confcast_head, {schema}.confcast_payload to {role};
grant select, insert, update on {schema}.confcast_report to {role};
"""

# One maker at a time: `if not exists` alone lets two collide. The number is confcast's, in this database.
LOCK = "select pg_advisory_xact_lock(7163384699739271270)"
COUNT = "select count(*) from pg_tables where schemaname = $1 and tablename = any($2)"
NAMES = ["confcast_head", "confcast_payload", "confcast_audit", "confcast_report"]

# Each is one statement in READ COMMITTED: a second writer of the same head waits for the first, and then finds no row.
_SWAP = """
with written as (
    update {schema}.confcast_head set content = $2, rev = rev + 1, at = clock_timestamp()
    where key = $1 and content = $4 returning rev
), recorded as (
    insert into {schema}.confcast_audit (key, content) select $1, $3 from written
)
select rev, pg_notify('confcast', rev::text) from written
"""
_FIRST = """
with written as (
    insert into {schema}.confcast_head (key, content) values ($1, $2) on conflict do nothing returning rev
), recorded as (
    insert into {schema}.confcast_audit (key, content) select $1, $3 from written
)
select rev, pg_notify('confcast', rev::text) from written
"""

# What is read is bounded, whatever somebody has put there.
_HEAD = "select substring(content for 65536) as content from {schema}.confcast_head where key = $1"
_PAYLOAD = "select substring(content for $3) as content from {schema}.confcast_payload where key = $1 and digest = $2"
_PUT_PAYLOAD = """
insert into {schema}.confcast_payload (key, digest, content) values ($1, $2, $3)
on conflict (key, digest) do update set at = clock_timestamp()
"""
_OLD_PAYLOADS = """
select digest, at from {schema}.confcast_payload
where key = $1 and at < clock_timestamp() - make_interval(secs => $2) order by at limit $3
"""
# Whoever puts one at the same time is waited for; then its row has another time, and stays.
_DROP_PAYLOADS = """
delete from {schema}.confcast_payload as there using unnest($2::text[], $3::timestamptz[]) as old (digest, at)
where there.key = $1 and there.digest = old.digest and there.at = old.at
"""
_TRIM = """
delete from {schema}.confcast_audit where key = $1 and id in (
    select id from {schema}.confcast_audit where key = $1 order by id desc offset $2 limit 100
)
"""
_REPORT = """
insert into {schema}.confcast_report (key, host, content) values ($1, $2, $3)
on conflict (key, host) do update set content = excluded.content, at = clock_timestamp()
"""
_PRUNE = """
delete from {schema}.confcast_report where key = $1 and at < clock_timestamp() - make_interval(secs => $2)
"""
_REPORTS = """
select content, greatest(0, extract(epoch from clock_timestamp() - at))::float8 as age
from {schema}.confcast_report where key = $1 and at >= clock_timestamp() - make_interval(secs => $2)
"""
_ENTRIES = "select content from {schema}.confcast_audit where key = $1 order by id desc limit $2"


class Tables:
    """The statements for the tables of one schema.

    Args:
        schema: Its name, as in the database.
    """

    def __init__(self, schema: str) -> None:
        self._schema = quoted(schema)
        self.head, self.payload, self.put_payload = self._on(_HEAD), self._on(_PAYLOAD), self._on(_PUT_PAYLOAD)
        self.old_payloads, self.drop_payloads = self._on(_OLD_PAYLOADS), self._on(_DROP_PAYLOADS)
        self.trim = self._on(_TRIM)
        self.swap, self.first, self.entries = self._on(_SWAP), self._on(_FIRST), self._on(_ENTRIES)
        self.report, self.reports, self.prune = self._on(_REPORT), self._on(_REPORTS), self._on(_PRUNE)

    @property
    def ddl(self) -> str:
        """What makes the tables, where they are missing; for their owner, who is the publisher or an administrator."""
        return self._on(_TABLES)

    def grants(self, role: str) -> str:
        """What gives a host's role all rights that it needs, by the tables' owner."""
        return _GRANTS.format(schema=self._schema, role=quoted(role))

    def _on(self, statement: str) -> str:
        return statement.replace("{schema}", self._schema)


def quoted(name: str) -> str:
    """A name as an identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'
