-- Alerts as they stand, and what was said of them that changed nothing.

-- The record is the whole alert; the other columns are what is looked up by.
-- The id is the store's own: rows about an alert stand in its order, where keys would scatter them over the whole table.
create table alerts (
    id integer not null primary key autoincrement,
    key text not null unique,
    state text not null check (state in ('firing', 'resolved', 'stale')),
    -- When the passing of time may change it.
    due_at integer,
    last_seen integer not null,
    record text not null
) strict;

create index alerts_due on alerts (due_at) where due_at is not null;
-- By the id and not by the key, so that a new alert is added at one end.
create index alerts_open on alerts (state, id) where state <> 'resolved';

-- Statements that were ignored, and why: one row for each reason, however often it happened.
create table suppressions (
    alert text not null,
    reason text not null,
    source text not null,
    first_at integer not null,
    last_at integer not null,
    count integer not null,
    primary key (alert, reason, source)
) strict;

create index suppressions_by_age on suppressions (last_at);
