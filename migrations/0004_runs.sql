-- Runs and their journals: every attempt has a row before it happens, so that a restart knows what may have happened.

create table runs (
    id integer not null primary key,
    runbook text not null,
    plan text not null,
    plan_hash text not null,
    trigger_key text not null unique,
    service text not null,
    environment text not null,
    incident integer,
    cause text,
    requested_by text not null,
    mode text not null,
    state text not null,
    pass text not null,
    inputs text not null,
    hold text,
    reason text,
    revision integer not null,
    epoch integer not null,
    owner text,
    lease_until integer,
    may_overlap integer not null,
    wake_at integer,
    cancelled_by text,
    needs_approval integer not null,
    mutated_at integer,
    started_at integer not null,
    ended_at integer
) strict;

create index runs_at_work on runs (state, id) where ended_at is null;
create index runs_open on runs (id) where ended_at is null;
create index runs_by_incident on runs (incident, id);
create index runs_by_budget on runs (runbook, service, environment, mutated_at);

create table steps (
    run integer not null references runs (id),
    path text not null,
    pass text not null check (pass in ('do', 'undo', 'probe')),
    attempt integer not null,
    seq integer not null,
    state text not null check (state in ('intent', 'done', 'failed', 'skipped', 'in_doubt')),
    epoch integer not null,
    about integer,
    effect text not null,
    action text not null,
    fields text not null,
    before text not null,
    output text not null,
    error text,
    may_have_changed integer not null,
    verdict text,
    due_at integer,
    question integer,
    started_at integer not null,
    ended_at integer,
    primary key (run, path, pass, attempt)
) strict;

create table approvals (
    id integer not null primary key,
    run integer not null references runs (id),
    asks text not null,
    path text not null,
    revision integer not null,
    epoch integer not null,
    question text not null,
    approvers text not null,
    people integer not null,
    bound text not null,
    state text not null,
    answers text not null,
    asked_at integer not null,
    expires_at integer not null,
    decided_at integer
) strict;

create index approvals_by_run on approvals (run, id);
create index approvals_open on approvals (id) where state = 'open';

-- One holder per target, whatever the runbook.
create table locks (
    service text not null,
    environment text not null,
    run integer not null,
    at integer not null,
    primary key (service, environment)
) strict;

create table cooldowns (
    runbook text not null,
    service text not null,
    environment text not null,
    level integer not null,
    at integer not null,
    until integer not null,
    alert text,
    primary key (runbook, service, environment)
) strict;
