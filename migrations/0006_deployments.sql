-- The ledger: what was deployed where, what became of it, and what else changed about a service.

create table deployments (
    id integer not null primary key,
    service text not null,
    environment text not null,
    repository text,
    sha text not null,
    version text,
    deployer text,
    source text not null,
    external text,
    url text,
    run integer,
    state text not null check (state in ('pending', 'failed', 'succeeded')),
    began_at integer,
    ended_at integer,
    bake integer not null,
    migration integer,
    incident integer,
    rolled_back_by integer,
    recorded_at integer not null
) strict;

create index deployments_by_target on deployments (service, environment, id);
create index deployments_by_run on deployments (run) where run is not null;
create unique index deployments_by_external on deployments (external, service) where external is not null;

create table bans (
    service text not null,
    environment text not null,
    sha text not null,
    reason text not null,
    actor text not null,
    at integer not null,
    primary key (service, environment, sha)
) strict;

create table changes (
    external text not null,
    service text not null,
    environment text,
    kind text not null,
    what text not null,
    at integer not null,
    person text,
    url text,
    run integer,
    primary key (external, service)
) strict;

create index changes_by_service on changes (service, at);
create index changes_by_age on changes (at);
