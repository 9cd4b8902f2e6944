-- Runs and their journals: every attempt has a row before it happens, so that a restart knows what may have happened.

create table plans (
    hash text not null primary key,
    plan text not null
) strict;

create table runs (
    id integer not null primary key,
    runbook text not null,
    plan_hash text not null references plans (hash),
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
    concurrency text,
    hold text,
    reason text,
    revision integer not null,
    epoch integer not null,
    owner text,
    lease_until integer,
    may_overlap integer not null,
    wake_at integer,
    cancelled_by text,
    paused_by text,
    deadline integer,
    failure text,
    ending text,
    parent text,
    root integer,
    needs_approval integer not null,
    mutated_at integer,
    started_at integer not null,
    ended_at integer
) strict;

create index runs_open on runs (id) where ended_at is null;
create index runs_on_target on runs (service, environment, runbook, id) where ended_at is null;
create index runs_free on runs (id) where owner is null and state = 'running' and ended_at is null;
create index runs_driven on runs (owner, id) where owner is not null and ended_at is null;
create index runs_by_incident on runs (incident, id) where incident is not null;
create index runs_by_concurrency on runs (concurrency, id) where ended_at is null;
create index runs_by_plan on runs (plan_hash);
create index runs_by_budget on runs (runbook, service, environment, mutated_at);
-- What retention looks through, and which runs were started by others.
create index runs_over on runs (ended_at, id) where incident is null and ended_at is not null;
create index runs_by_starter on runs (requested_by) where requested_by like '{"run"%';

-- How many runs have left for files, so that none is forgotten by who counts them.
create table runs_left (
    runbook text not null,
    state text not null,
    number integer not null,
    primary key (runbook, state)
) strict;

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
    system text,
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

create index steps_in_flight on steps (system) where state = 'intent';

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

-- One owner per service, who keeps everybody else's runs from it until the lease ends.
create table service_locks (
    service text not null primary key,
    owner text not null,
    reason text not null,
    at integer not null,
    until integer not null
) strict;

create table freezes (
    service text not null primary key,
    until integer not null,
    reason text not null,
    actor text not null,
    at integer not null
) strict;

-- What was taken from a service's budget, under the key of the effect, so that one effect is charged once.
create table spendings (
    effect text not null primary key,
    service text not null,
    run integer not null,
    at integer not null,
    steps integer not null,
    pods integer not null,
    percent integer not null
) strict;

create index spendings_by_service on spendings (service, at);

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

-- How often alerts fired that start a runbook only when they fire often.
create table firings (
    runbook text not null,
    incident integer not null,
    at integer not null,
    times integer not null,
    primary key (runbook, incident, at)
) strict;
