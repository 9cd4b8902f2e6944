-- The log and what every feature needs beside it: which inputs were taken, what is due when, and what waits to be said.

create table instance (
    id text not null primary key,
    -- A program must know the migrations up to this one to work with the store.
    asks_for integer not null default 0,
    -- When a write succeeded last that only tried whether one can.
    beat_at integer,
    -- What the store was restored from, until the bot has held all that would go on from it by itself.
    restored text,
    -- Where the revisions of questions begin, so that no button of the store it was copied from fits one of this.
    revisions_from integer not null default 1
) strict;

-- The newest entry of each chain, so that adding one reads one row.
create table chains (
    chain integer not null primary key,
    seq integer not null,
    hash text not null
) strict;

create table timeline (
    id integer not null primary key,
    chain integer not null,
    seq integer not null,
    at integer not null,
    source_at integer,
    actor text not null,
    kind text not null,
    body text not null,
    text text not null,
    hash text not null,
    unique (chain, seq)
) strict;

-- Inputs that carry an identity of their own (an interaction, a request with a key): a second arrival gets the first answer.
create table inputs (
    source_key text not null primary key,
    at integer not null,
    answer text not null
) strict;

create index inputs_by_age on inputs (at);

create table timers (
    kind text not null,
    subject text not null,
    due_at integer not null,
    primary key (kind, subject)
) strict;

create index timers_by_time on timers (due_at);

-- Messages that are sent once, in order. Lane 0 is for pages and goes ahead of lane 1.
create table posts (
    id integer not null primary key,
    channel text not null,
    lane integer not null,
    incident integer,
    body text not null,
    nonce text not null,
    created_at integer not null,
    expires_at integer,
    state text not null check (state in ('waiting', 'sent', 'expired', 'refused')),
    sent_at integer,
    message text,
    trouble text,
    -- When somebody was told another way of a page that no chat takes.
    told_at integer
) strict;

create index posts_waiting on posts (lane, channel, id) where state = 'waiting';
create index posts_undelivered on posts (lane, id) where state in ('waiting', 'refused');
create index posts_refused on posts (id) where state = 'refused';
create index posts_by_incident on posts (incident, id);

-- Cards are desired state: the newest revision is rendered when it is sent.
create table cards (
    subject text not null primary key,
    channel text not null,
    incident integer,
    lane integer not null,
    wanted integer not null,
    shown integer not null default 0,
    -- The chat's name of the message, by which it is found wherever it stands.
    message text,
    -- How often the message was found to be gone: a part of its nonce.
    lost integer not null default 0,
    thread text,
    changed_at integer not null,
    trouble text,
    told_at integer
) strict;

create index cards_waiting on cards (lane, changed_at) where wanted > shown;
create index cards_by_thread on cards (thread) where thread is not null;
create index cards_by_incident on cards (incident);

-- Standing orders to change nothing; scope is '*' or a service.
create table halts (
    scope text not null primary key,
    reason text not null,
    actor text not null,
    at integer not null
) strict;
