//! Databases on the server that `FIREWARDEN_TEST_POSTGRES` names; `tests/run` starts one.
//!
//! The store's own tests use this file too.

use std::{ops::Deref, sync::mpsc, thread, time::Duration};

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
        let (server, statement) = (self.server.clone(), format!("drop database if exists {} with (force)", self.name));
        let (done, is_done) = mpsc::channel();
        // On a thread of its own, for it may be dropped anywhere.
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let _left = runtime.map(|runtime| runtime.block_on(ask(&server, statement)).is_ok());
            let _nobody_waits = done.send(());
        });
        // A server that is slow does it later, and stories that are told at the same time go on.
        let _later = is_done.recv_timeout(Duration::from_secs(1));
    }
}
