-- Silences, and the alerts that began under one: held back until they end, or begin again under none.

-- told: how people were last told that it stands. The times say how it stands.
create table silences (
    id integer not null primary key,
    uuid text unique,
    matchers text not null,
    starts_at integer not null,
    ends_at integer not null,
    author text not null,
    comment text not null,
    annotations text not null,
    set_by text not null,
    updated_at integer not null,
    told text not null check (told in ('pending', 'active', 'expired'))
) strict;

create index silences_standing on silences (ends_at) where told <> 'expired';
create index silences_by_end on silences (ends_at);

create table silenced (
    alert text not null primary key,
    since integer not null
) strict;
