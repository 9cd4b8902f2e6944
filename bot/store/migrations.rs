//! Brings a database forward to this version's schema, never back.
//!
//! On a server the programs of two releases work side by side while one takes the place of the other. So a migration only
//! adds: tables, columns that may be empty or have a default, indexes. What a release no longer uses is taken away by the
//! next one at the earliest. The same holds for what stands in the rows: a release writes what the one before can read.
//! The store says which program it asks for at least, so that an older one lets go of it and a newer one need not.

use std::borrow::Cow;

use sqlx::{
    AssertSqlSafe, PgConnection, SqlSafeStr, SqliteConnection,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
};

use super::{Fault, FaultKind, Reader, Result, dialect, postgres::LOCK};

/// What a version of the program knows of schemas.
struct Version {
    /// Every migration that was ever shipped, in order: number, what it changes, statements.
    migrations: &'static [(i64, &'static str, &'static str)],
    /// A program must know the migrations up to this one to work with what this version writes: those of the release
    /// before this one.
    asks_for: i64,
}

const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "the log", include_str!("../../migrations/0001_the_log.sql")),
    (2, "alerts", include_str!("../../migrations/0002_alerts.sql")),
    (3, "incidents", include_str!("../../migrations/0003_incidents.sql")),
    (4, "runs", include_str!("../../migrations/0004_runs.sql")),
    (5, "silences", include_str!("../../migrations/0005_silences.sql")),
    (6, "deployments", include_str!("../../migrations/0006_deployments.sql")),
];

/// Nothing was released before this version.
const THIS: Version = Version { migrations: MIGRATIONS, asks_for: MIGRATIONS[MIGRATIONS.len() - 1].0 };

/// What a store says of itself.
#[derive(Debug, Clone, Copy, Default)]
struct Found {
    /// Its newest migration.
    applied: i64,
    /// The newest migration that a program must know.
    asks_for: i64,
}

impl Version {
    fn newest(&self) -> i64 {
        self.migrations.last().map_or(0, |(number, ..)| *number)
    }

    /// Whether the store is behind this version.
    ///
    /// # Errors
    /// [`FaultKind::Newer`] if it is so far ahead that this version must not work with it.
    fn is_ahead_of(&self, found: Found) -> Result<bool> {
        if found.applied > self.newest() && found.asks_for > self.newest() {
            return Err(Fault::new(FaultKind::Newer, format!("it has migration {}", found.applied)));
        }
        Ok(found.applied < self.newest())
    }
}

/// The number of the newest migration that this program knows.
pub(super) fn newest() -> i64 {
    THIS.newest()
}

/// Whether this version can read the store: one that is only read is not brought forward.
///
/// # Errors
/// [`FaultKind::Newer`] or [`FaultKind::Older`] when it cannot.
pub(super) async fn fits(reader: &mut Reader) -> Result<()> {
    THIS.fits(reader).await
}

impl Version {
    async fn fits(&self, reader: &mut Reader) -> Result<()> {
        let applied = reader.row("select max(version) as version from _sqlx_migrations", &[]).await;
        let applied = applied.map_err(|fault| {
            let is_none = fault.kind == FaultKind::Defect;
            if is_none { Fault::new(FaultKind::Corrupt, "it is no store of `firewarden`") } else { fault }
        })?;
        let mut found = Found::default();
        if let Some(applied) = applied.map_or(Ok(None), |row| row.opt_int("version"))? {
            let row = reader.row("select asks_for from instance", &[]).await?;
            found = Found { applied, asks_for: row.map_or(Ok(0), |row| row.int("asks_for"))? };
        }
        if self.is_ahead_of(found)? {
            return Err(Fault::new(FaultKind::Older, format!("it ends with migration {}", found.applied)));
        }
        Ok(())
    }
}

/// What the store says of itself, by either database's connection.
macro_rules! found {
    ($connection:expr, $is_there:literal) => {{
        let is_there: bool = sqlx::query_scalar($is_there).fetch_one(&mut *$connection).await?;
        let newest = "select max(version) from _sqlx_migrations";
        let applied: Option<i64> =
            if is_there { sqlx::query_scalar(newest).fetch_one(&mut *$connection).await? } else { None };
        match applied {
            Some(applied) => {
                let asks_for: Option<i64> =
                    sqlx::query_scalar("select max(asks_for) from instance").fetch_one(&mut *$connection).await?;
                Found { applied, asks_for: asks_for.unwrap_or_default() }
            }
            None => Found::default(),
        }
    }};
}

/// Names the store, once, and lets it ask for what it needs.
macro_rules! name {
    ($connection:expr, $version:expr) => {{
        let id = uuid::Uuid::now_v7().to_string();
        let insert = "insert into instance (id) select $1 where not exists (select 1 from instance)";
        sqlx::query(insert).bind(id).execute(&mut *$connection).await?;
        let update = "update instance set asks_for = $1 where asks_for < $1";
        sqlx::query(update).bind($version.asks_for).execute(&mut *$connection).await?;
    }};
}

/// Applies to a file what is missing, each migration in a transaction of its own.
///
/// # Errors
/// [`FaultKind::Newer`] when it asks for a newer program, or has a migration with other contents.
pub(super) async fn sqlite(connection: &mut SqliteConnection) -> Result<()> {
    bring_file(&THIS, connection).await
}

async fn bring_file(version: &Version, connection: &mut SqliteConnection) -> Result<()> {
    let found = found!(connection, "select count(*) > 0 from sqlite_master where name = '_sqlx_migrations'");
    version.is_ahead_of(found)?;
    if found.applied <= version.newest() {
        version.migrator(Cow::Borrowed).run_direct(None, &mut *connection, false).await.map_err(fault)?;
        name!(connection, version);
    }
    Ok(())
}

/// The same for a server. Nobody writes meanwhile, and of several processes that start together one does it.
pub(super) async fn postgres(connection: &mut PgConnection) -> Result<()> {
    bring_server(&THIS, connection).await
}

async fn bring_server(version: &Version, connection: &mut PgConnection) -> Result<()> {
    sqlx::query("select pg_advisory_lock($1)").bind(LOCK).execute(&mut *connection).await?;
    let found = found!(connection, "select to_regclass('_sqlx_migrations') is not null");
    let is_behind = version.is_ahead_of(found)?;
    if found.applied <= version.newest() {
        // An index on a large table takes its time.
        sqlx::query("set statement_timeout = 0").execute(&mut *connection).await?;
        let migrator = version.migrator(|sql| Cow::Owned(dialect::postgres_schema(sql)));
        migrator.run_direct(None, &mut *connection, false).await.map_err(fault)?;
        sqlx::query("reset statement_timeout").execute(&mut *connection).await?;
        name!(connection, version);
    }
    if is_behind && found.applied > 0 {
        // Statements that others have prepared give other columns by now, and would fail for ever: they begin anew.
        sqlx::query(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() \
             and usename = current_user and application_name = $1 and pid <> pg_backend_pid()",
        )
        .bind(super::postgres::PROGRAM)
        .execute(&mut *connection)
        .await?;
    }
    sqlx::query("select pg_advisory_unlock($1)").bind(LOCK).execute(&mut *connection).await?;
    Ok(())
}

impl Version {
    fn migrator(&self, words: fn(&'static str) -> Cow<'static, str>) -> Migrator {
        let migrations = self.migrations.iter().map(|(number, name, sql)| {
            let sql = AssertSqlSafe(words(sql).into_owned()).into_sql_str();
            Migration::new(*number, Cow::Borrowed(*name), MigrationType::Simple, sql, false)
        });
        Migrator::with_migrations(migrations.collect())
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the library may add kinds; each is a mistake of the program")]
fn fault(error: MigrateError) -> Fault {
    match error {
        MigrateError::VersionMissing(version) => Fault::new(FaultKind::Newer, format!("it has migration {version}")),
        MigrateError::VersionMismatch(version) => {
            Fault::new(FaultKind::Newer, format!("its migration {version} is another one than this program's"))
        }
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => Fault::from(error),
        other => Fault::defect(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use sqlx::Connection as _;

    use super::*;
    use crate::store::{Address, Store, trial::Home};

    /// The first release after this version, and the one after that: it adds a column, and asks for the one before it.
    const NEXT: [Version; 2] = [version(&[CHANGE], THIS.asks_for), version(&[CHANGE], 9_001)];
    const CHANGE: (i64, &str, &str) = (9_001, "what comes later", "alter table halts add column until integer;");

    const fn version(migrations: &'static [(i64, &'static str, &'static str)], asks_for: i64) -> Version {
        Version { migrations, asks_for }
    }

    /// All that this version knows, and one more.
    fn with_all(version: &Version) -> Version {
        let all = MIGRATIONS.iter().chain(version.migrations).copied().collect::<Vec<_>>();
        Version { migrations: all.leak(), asks_for: version.asks_for }
    }

    async fn brought(home: &Home, version: &Version) -> Result<()> {
        match home.address() {
            Address::File(path) => {
                let mut connection =
                    SqliteConnection::connect(&format!("sqlite://{}?mode=rwc", path.display())).await.unwrap();
                bring_file(version, &mut connection).await
            }
            Address::Server(server) => {
                let mut connection = PgConnection::connect_with(&server.options).await.unwrap();
                bring_server(version, &mut connection).await
            }
        }
    }

    /// While a release takes the place of the one before it, both work; one that is older still does not.
    #[tokio::test]
    async fn a_release_works_with_what_the_next_one_has_added() {
        let home = Home::new().await;
        let store = Store::open(home.address()).await.unwrap();
        let (id, halts) = ("select id from instance", "select * from halts");
        store.read().await.unwrap().row(halts, &[]).await.unwrap();
        let name = store.read().await.unwrap().row(id, &[]).await.unwrap().unwrap().text("id").unwrap();
        brought(&home, &with_all(&NEXT[0])).await.unwrap();
        if home.address().file().is_none() {
            // What was prepared before the change is prepared anew.
            store.decide(crate::store::Beat(crate::domain::time::Time::EPOCH)).await.unwrap();
            store.read().await.unwrap().row(halts, &[]).await.unwrap();
        }
        store.close().await;
        let store = Store::open(home.address()).await.unwrap();
        let same = store.read().await.unwrap().row(id, &[]).await.unwrap().unwrap().text("id").unwrap();
        assert_eq!(same, name);
        store.close().await;
        crate::store::ReadOnly::open(home.address()).await.unwrap();

        brought(&home, &with_all(&NEXT[1])).await.unwrap();
        let faults = [
            Store::open(home.address()).await.err().unwrap(),
            crate::store::ReadOnly::open(home.address()).await.err().unwrap(),
        ];
        for fault in faults {
            assert_eq!(fault.kind, FaultKind::Newer);
            assert!(fault.to_string().contains("run the newer `firewarden`"), "{fault}");
        }
    }

    /// An older program must not take back what a newer one asks for.
    #[tokio::test]
    async fn what_a_store_asks_for_only_grows() {
        let home = Home::file();
        brought(&home, &with_all(&NEXT[1])).await.unwrap();
        brought(&home, &with_all(&NEXT[0])).await.unwrap();
        let fault = Store::open(home.address()).await.err().unwrap();
        assert_eq!(fault.kind, FaultKind::Newer);
    }

    /// A file whose migrations are others than this program's under the same number is somebody else's.
    #[tokio::test]
    async fn another_migration_under_the_same_number_is_refused() {
        let home = Home::new().await;
        let other = [(1, "another log", "create table instance (id text, asks_for integer not null default 0);")];
        brought(&home, &version(Box::leak(Box::new(other)), 1)).await.unwrap();
        let fault = Store::open(home.address()).await.err().unwrap();
        assert_eq!(fault.kind, FaultKind::Newer, "{fault}");
    }
}
