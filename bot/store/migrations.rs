//! Brings a database forward to this version's schema, never back.

use std::{borrow::Cow, cmp::Ordering};

use sqlx::{
    AssertSqlSafe, PgConnection, SqlSafeStr, SqliteConnection,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
};

use super::{Fault, FaultKind, Reader, Result, dialect};

/// Every migration that was ever shipped, in order: number, what it changes, statements.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "the log", include_str!("../../migrations/0001_the_log.sql")),
    (2, "alerts", include_str!("../../migrations/0002_alerts.sql")),
    (3, "incidents", include_str!("../../migrations/0003_incidents.sql")),
    (4, "runs", include_str!("../../migrations/0004_runs.sql")),
];

/// Whether the store has exactly this version's schema: one that is only read is not brought forward.
///
/// # Errors
/// [`FaultKind::Newer`] or [`FaultKind::Older`] when it has another one.
pub(super) async fn fits(reader: &mut Reader) -> Result<()> {
    let newest = MIGRATIONS.last().map_or(0, |(number, ..)| *number);
    let applied = reader.row("select max(version) as version from _sqlx_migrations", &[]).await;
    let applied = applied.map_err(|fault| {
        let is_none = fault.kind == FaultKind::Defect;
        if is_none { Fault::new(FaultKind::Corrupt, "it is no store of `firewarden`") } else { fault }
    })?;
    let applied = applied.map_or(Ok(None), |row| row.opt_int("version"))?.unwrap_or_default();
    match applied.cmp(&newest) {
        Ordering::Greater => Err(Fault::new(FaultKind::Newer, format!("it has migration {applied}"))),
        Ordering::Less => Err(Fault::new(FaultKind::Older, format!("it ends with migration {applied}"))),
        Ordering::Equal => Ok(()),
    }
}

/// Applies to a file what is missing, each migration in a transaction of its own.
///
/// # Errors
/// [`FaultKind::Newer`] when it has a migration that this program does not know, or one with other contents.
pub(super) async fn sqlite(connection: &mut SqliteConnection) -> Result<()> {
    let migrator = migrator(Cow::Borrowed);
    migrator.run_direct(None, connection, false).await.map_err(fault)?;
    sqlx::query(INSTANCE).bind(uuid::Uuid::now_v7().to_string()).execute(connection).await?;
    Ok(())
}

/// The same for a server; of several processes that start together, one does it.
pub(super) async fn postgres(connection: &mut PgConnection) -> Result<()> {
    let migrator = migrator(|sql| Cow::Owned(dialect::postgres_schema(sql)));
    migrator.run_direct(None, connection, false).await.map_err(fault)?;
    sqlx::query(INSTANCE).bind(uuid::Uuid::now_v7().to_string()).execute(connection).await?;
    Ok(())
}

/// Names the store, once.
const INSTANCE: &str = "insert into instance (id) select $1 where not exists (select 1 from instance)";

fn migrator(words: fn(&'static str) -> Cow<'static, str>) -> Migrator {
    let migrations = MIGRATIONS.iter().map(|(number, name, sql)| {
        let sql = AssertSqlSafe(words(sql).into_owned()).into_sql_str();
        Migration::new(*number, Cow::Borrowed(*name), MigrationType::Simple, sql, false)
    });
    Migrator::with_migrations(migrations.collect())
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
