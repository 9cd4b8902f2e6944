-- Alerts as they stand, and what was said of them that changed nothing.

-- The record is the whole alert; the other columns are what is looked up by.
-- The id is the store's own: rows about an alert stand in its order, where keys would scatter them over the whole table.
create table alerts (
    id integer not null primary key,
    key text not null,
    state text not null check (state in ('firing', 'resolved', 'stale')),
    -- When the passing of time may change it.
    due_at integer,
    last_seen integer not null,
    record text not null
) strict;

-- Keys are hashes, so each new one changes a page of its index that no other does. What has resolved has an index of its
-- own, so that a storm changes only the small one, however much lies behind. Whoever writes an alert looks in both first.
create unique index alerts_present on alerts (key) where state <> 'resolved';
create unique index alerts_past on alerts (key) where state = 'resolved';
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
