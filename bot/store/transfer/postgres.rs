//! What a transfer needs of a server beyond what the bot at work needs: as much time as it takes.

use std::time::Duration;

use sqlx::{ConnectOptions as _, postgres::PgConnectOptions};
use tokio::time::timeout;

use crate::store::{
    Fault, FaultKind, Reader, Result, Server, Tx,
    connection::Connection,
    migrations,
    postgres::{BESIDE, PROGRAM},
};

/// How long the server may take to let somebody in.
const ENTRY: Duration = Duration::from_secs(10);

/// A connection that may write for as long as it takes, to a database whose schema is of this version.
///
/// # Errors
/// [`FaultKind::Locked`] while a bot is at work on the database.
pub(super) async fn alone(server: &Server) -> Result<Tx> {
    let options = PgConnectOptions::clone(&server.options).application_name(BESIDE);
    let entered = timeout(ENTRY, options.disable_statement_logging().connect()).await;
    let late = |_| Fault::new(FaultKind::Unreachable, format!("no answer within {} s", ENTRY.as_secs()));
    let mut connection = entered.map_err(late)??;
    migrations::postgres(&mut connection).await?;
    let mut tx = Tx::over(Connection::Postgres(Box::new(connection)));
    if is_at_work(&mut tx).await? {
        return Err(Fault::new(FaultKind::Locked, ""));
    }
    Ok(tx)
}

/// Lets a snapshot be read for as long as it takes.
pub(super) async fn without_haste(reader: &mut Reader) -> Result<()> {
    reader
        .row(
            "select set_config('statement_timeout', '0', true) as statements, \
             set_config('idle_in_transaction_session_timeout', '0', true) as pauses",
            &[],
        )
        .await?;
    Ok(())
}

/// Whether a bot is connected to the database, by the name that it connects under.
pub(super) async fn is_at_work(reader: &mut Reader) -> Result<bool> {
    let row = reader
        .row(
            "select count(*) as others from pg_stat_activity where datname = current_database() \
             and application_name = $1 and pid <> pg_backend_pid()",
            &[PROGRAM.into()],
        )
        .await?;
    Ok(row.map_or(Ok(0), |row| row.int("others"))? > 0)
}
