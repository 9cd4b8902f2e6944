-- Incidents, the alerts that belong to each, and the group keys by which later alerts find theirs.

create table incidents (
    id integer not null primary key,
    title text not null,
    summary text not null,
    severity integer not null check (severity between 1 and 4),
    peak_severity integer not null check (peak_severity between 1 and 4),
    phase text not null check (phase in
        ('triage', 'investigating', 'mitigating', 'monitoring', 'resolved', 'closed', 'declined', 'merged')),
    phase_since integer not null,
    prior_phase text,
    service text,
    environment text,
    route text,
    group_key text,
    channel text not null,
    runbooks text not null,
    pages text not null,
    origin text not null,
    opened_at integer not null,
    last_fired_at integer,
    truncated integer not null default 0,
    roles text not null,
    milestones text not null,
    earlier text not null,
    -- It may have been merged into a later one, which a store that is read in row by row gets afterwards.
    merged_into integer references incidents (id) deferrable initially deferred,
    asked_at integer,
    open_runs integer not null default 0 check (open_runs >= 0),
    -- How many of its alerts are in each state: kept with every change of one, so that none has to be counted.
    firing integer not null default 0 check (firing >= 0),
    stale integer not null default 0 check (stale >= 0),
    resolved integer not null default 0 check (resolved >= 0)
) strict;

create index incidents_by_phase on incidents (phase, id);
create index incidents_by_service on incidents (service);
-- What retention looks through.
create index incidents_over on incidents (phase_since, id) where phase in ('resolved', 'closed', 'declined', 'merged');
create index incidents_by_target on incidents (merged_into) where merged_into is not null;

-- An incident has more than one key after others were merged into it.
create table incident_groups (
    group_key text not null,
    incident integer not null references incidents (id),
    primary key (group_key, incident)
) strict;

create index incident_groups_by_incident on incident_groups (incident);

-- is_quiet: the incident was declined, and the alert has not resolved since. cleared_in: the entry that says so.
create table incident_alerts (
    incident integer not null references incidents (id),
    alert integer not null,
    alert_key text not null,
    name text not null,
    severity integer not null,
    episode integer not null,
    state text not null check (state in ('firing', 'resolved', 'stale')),
    is_flapping integer not null default 0,
    is_quiet integer not null default 0,
    joined_at integer not null,
    fired_at integer not null,
    cleared_at integer,
    cleared_in text,
    silent_since integer,
    primary key (incident, alert)
) strict, without rowid;

create index incident_alerts_by_alert on incident_alerts (alert, incident);
create index incident_alerts_cleared on incident_alerts (incident, cleared_at) where cleared_at is not null;

-- What left for a file: an incident, runs that belong to none, or the oldest entries of the system's timeline, which begins
-- in the store where the last of them ends. Each with the runs in the file and its digest; and the timeline in it, if there
-- is one: the place after which it begins, and its end.
create table archives (
    name text not null primary key,
    title text not null,
    severity integer,
    phase text,
    ended_at integer not null,
    archived_at integer not null,
    file text not null,
    sha256 text not null,
    runs text not null,
    chain integer,
    base integer,
    seq integer,
    hash text
) strict;

create unique index archives_by_chain on archives (chain, seq);
