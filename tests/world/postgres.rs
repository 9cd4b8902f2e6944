//! Databases on the server that `FIREWARDEN_TEST_POSTGRES` names; `tests/run` starts one.

use sqlx::Connection;

/// The URL of a new database, if there is a server.
pub(crate) async fn database() -> Option<String> {
    let server = std::env::var("FIREWARDEN_TEST_POSTGRES").ok()?;
    let name = format!("story_{}", uuid::Uuid::now_v7().simple());
    let mut connection = sqlx::PgConnection::connect(&server).await.unwrap();
    let statement = sqlx::AssertSqlSafe(format!("create database {name}"));
    sqlx::query(statement).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let (base, _) = server.rsplit_once('/').unwrap();
    Some(format!("{base}/{name}"))
}
