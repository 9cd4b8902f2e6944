//! Databases on the server that `FIREWARDEN_TEST_POSTGRES` names; `tests/run` starts one.
//!
//! The store's own tests use this file too.

use std::{ops::Deref, thread};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

/// The URL of a database that is dropped with it, whoever is still connected.
pub(crate) struct Database {
    server: String,
    name: String,
    url: String,
}

/// A new database, if there is a server.
pub(crate) async fn database() -> Option<Database> {
    let server = std::env::var("FIREWARDEN_TEST_POSTGRES").ok()?;
    let name = format!("test_{}", uuid::Uuid::now_v7().simple());
    let (address, options) = server.find('?').map_or((server.as_str(), ""), |place| server.split_at(place));
    let (address, _) = address.rsplit_once('/').unwrap();
    let url = format!("{address}/{name}{options}");
    // Whoever gave up waiting leaves none behind: what a task gives to nobody is dropped.
    let created = tokio::spawn(async move {
        ask(&server, format!("create database {name}")).await.unwrap();
        Database { server, name, url }
    });
    Some(created.await.unwrap())
}

async fn ask(server: &str, statement: String) -> sqlx::Result<()> {
    let mut connection = PgConnection::connect(server).await?;
    sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await?;
    connection.close().await
}

impl Deref for Database {
    type Target = str;

    fn deref(&self) -> &str {
        &self.url
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), &self.name);
        let drops = ask_alone(server, format!("drop database if exists {name} with (force)"));
        if !drops {
            println!("the database `{name}` is left behind");
        }
    }
}

/// Asks on a thread of its own, for what is dropped may be dropped anywhere; whether it was done.
fn ask_alone(server: String, statement: String) -> bool {
    let asks = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
        runtime.block_on(ask(&server, statement)).ok()
    };
    thread::spawn(asks).join().is_ok_and(|done| done.is_some())
}
