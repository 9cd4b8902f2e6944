//! Databases on the server that `FIREWARDEN_TEST_POSTGRES` names; `tests/run` starts one.
//!
//! The store's own tests use this file too.

use sqlx::Connection as _;

/// The URL of a new database, if there is a server.
pub(crate) async fn database() -> Option<String> {
    let server = std::env::var("FIREWARDEN_TEST_POSTGRES").ok()?;
    let name = format!("test_{}", uuid::Uuid::now_v7().simple());
    let mut connection = sqlx::PgConnection::connect(&server).await.unwrap();
    let statement = sqlx::AssertSqlSafe(format!("create database {name}"));
    sqlx::query(statement).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let (address, options) = server.find('?').map_or((server.as_str(), ""), |place| server.split_at(place));
    let (address, _) = address.rsplit_once('/').unwrap();
    Some(format!("{address}/{name}{options}"))
}
