//! Brings a file forward to this version's schema, never back.

use std::borrow::Cow;

use sqlx::{
    SqlSafeStr, SqliteConnection, SqlitePool,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
};

use super::{Fault, FaultKind, Result};

/// Every migration that was ever shipped, in order: number, what it changes, statements.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "the log", include_str!("../../migrations/0001_the_log.sql")),
    (2, "alerts", include_str!("../../migrations/0002_alerts.sql")),
    (3, "incidents", include_str!("../../migrations/0003_incidents.sql")),
    (4, "runs", include_str!("../../migrations/0004_runs.sql")),
];

/// Whether the file has exactly this version's schema: one that is only read is not brought forward.
///
/// # Errors
/// [`FaultKind::Newer`] or [`FaultKind::Older`] when it has another one.
pub(super) async fn fits(pool: &SqlitePool) -> Result<()> {
    let newest = MIGRATIONS.last().map_or(0, |(number, ..)| *number);
    let applied = sqlx::query_scalar::<_, Option<i64>>("select max(version) from _sqlx_migrations").fetch_one(pool);
    let applied = applied.await.map_err(|error| match Fault::from(error) {
        fault if fault.kind == FaultKind::Defect => Fault::new(FaultKind::Corrupt, "it is no store of `firewarden`"),
        fault => fault,
    })?;
    match applied.unwrap_or_default() {
        applied if applied > newest => Err(Fault::new(FaultKind::Newer, format!("it has migration {applied}"))),
        applied if applied < newest => Err(Fault::new(FaultKind::Older, format!("it ends with migration {applied}"))),
        _ => Ok(()),
    }
}

/// Applies what is missing, each migration in a transaction of its own.
///
/// # Errors
/// [`FaultKind::Newer`] when the file has a migration that this program does not know, or one with other contents.
pub(super) async fn migrate(connection: &mut SqliteConnection) -> Result<()> {
    let migrations = MIGRATIONS
        .iter()
        .map(|(number, name, sql)| {
            Migration::new(*number, Cow::Borrowed(*name), MigrationType::Simple, (*sql).into_sql_str(), false)
        })
        .collect();
    let migrator = Migrator::with_migrations(migrations);
    #[expect(clippy::wildcard_enum_match_arm, reason = "the library may add kinds; each is a mistake of the program")]
    migrator.run_direct(None, connection, false).await.map_err(|error| match error {
        MigrateError::VersionMissing(version) => Fault::new(FaultKind::Newer, format!("it has migration {version}")),
        MigrateError::VersionMismatch(version) => {
            Fault::new(FaultKind::Newer, format!("its migration {version} is another one than this program's"))
        }
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => Fault::from(error),
        other => Fault::defect(other.to_string()),
    })?;
    sqlx::query("insert into instance (id) select $1 where not exists (select 1 from instance)")
        .bind(uuid::Uuid::now_v7().to_string())
        .execute(connection)
        .await?;
    Ok(())
}
