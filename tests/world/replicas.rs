//! Several bots on one database: each with a wire of its own to the server, which can be cut, and a server that can be
//! stopped in the middle of everything and started again.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use sqlx::Connection as _;
use tempfile::TempDir;

use super::{Bot, Config, Form, World, free_address, wire::Wire};

/// A private cluster of PostgreSQL on loopback. Its programs refuse to run as root.
pub(crate) struct Cluster {
    home: TempDir,
    programs: PathBuf,
    port: u16,
}

impl Cluster {
    /// Makes and starts one; `None` where PostgreSQL is not installed.
    pub(crate) fn start() -> Option<Self> {
        let mut versions: Vec<PathBuf> =
            std::fs::read_dir("/usr/lib/postgresql").ok()?.flatten().map(|entry| entry.path().join("bin")).collect();
        versions.retain(|programs| programs.join("initdb").is_file());
        versions.sort();
        let cluster =
            Self { home: tempfile::tempdir().unwrap(), programs: versions.pop()?, port: free_address().port() };
        if is_root() {
            let given = Command::new("chown").arg("postgres").arg(cluster.home.path()).status().unwrap();
            assert!(given.success());
        }
        cluster.runs("initdb", &["-D", &cluster.data(), "-A", "trust", "-U", "postgres", "--no-sync"]);
        cluster.starts();
        Some(cluster)
    }

    fn data(&self) -> String {
        self.home.path().join("data").display().to_string()
    }

    /// Starts it, or starts it again, and waits until it lets people in.
    pub(crate) fn starts(&self) {
        // Durability is not what is tried here: nobody cuts the power.
        let home = self.home.path().display();
        let options =
            format!("-p {} -k {home} -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=100", self.port);
        let log = self.home.path().join("server.log").display().to_string();
        self.runs("pg_ctl", &["-D", &self.data(), "-l", &log, "-w", "-t", "30", "start", "-o", &options]);
    }

    /// Stops it as a crash would.
    pub(crate) fn stops(&self) {
        self.runs("pg_ctl", &["-D", &self.data(), "-m", "immediate", "stop"]);
    }

    fn runs(&self, program: &str, arguments: &[&str]) {
        let program = self.programs.join(program);
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--", "env", "-C", "/"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        let done = command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        assert!(done.unwrap().success(), "{command:?}");
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// A new database, by its name.
    pub(crate) async fn database(&self) -> String {
        let name = format!("test_{}", uuid::Uuid::now_v7().simple());
        let mut connection = sqlx::PgConnection::connect(&url(self.address(), "postgres")).await.unwrap();
        let statement = sqlx::AssertSqlSafe(format!("create database {name}"));
        sqlx::query(statement).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        name
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let user: &[&str] = if is_root() { &["runuser", "-u", "postgres", "--", "env", "-C", "/"] } else { &["env"] };
        let stop = Command::new(user[0])
            .args(&user[1..])
            .arg(self.programs.join("pg_ctl"))
            .args(["-D", &self.data(), "-m", "immediate", "stop"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        drop(stop);
    }
}

/// The URL of a database of this server.
pub(crate) fn url(address: SocketAddr, database: &str) -> String {
    format!("postgres://postgres@{address}/{database}")
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|this| std::os::unix::fs::MetadataExt::uid(&this) == 0)
}

/// A bot with its wire to the database.
pub(crate) struct Member {
    /// The process.
    pub(crate) bot: Bot,
    /// How it reaches the server.
    pub(crate) wire: Wire,
    _folder: Option<TempDir>,
}

impl Member {
    /// Whether it takes requests, and whether it leads.
    pub(crate) async fn stands(&self) -> (bool, bool) {
        stands(&self.bot).await
    }

    /// Sends its process a signal.
    pub(crate) fn signal(&self, name: &str) {
        signal(&self.bot, name);
    }
}

/// Whether a bot takes requests, and whether it leads.
pub(crate) async fn stands(bot: &Bot) -> (bool, bool) {
    let request = super::http().get(format!("{}/readyz", bot.url())).timeout(std::time::Duration::from_secs(3));
    let Ok(answer) = request.send().await else { return (false, false) };
    let is_ready = answer.status().is_success();
    let said: serde_json::Value = answer.json().await.unwrap_or_default();
    (is_ready, said["leads"] == true)
}

/// Sends the process of a bot a signal.
pub(crate) fn signal(bot: &Bot, name: &str) {
    let pid = bot.pid().unwrap().to_string();
    assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
}

/// A world with so many bots on one database of this server, none of them started yet. The first is the world's own.
pub(crate) async fn on(server: SocketAddr, database: &str, config: &Config, number: usize) -> (World, Vec<Member>) {
    let url = url(server, database);
    let world = World::prepare(None, config.clone().server(&url).wired()).await;
    let mut members = vec![Member { bot: world.bot.clone(), wire: world.wire().clone(), _folder: None }];
    for _ in 1..number {
        let (wire, folder, listens) = (Wire::to(&url).await, tempfile::tempdir().unwrap(), free_address());
        config.clone().server(wire.url()).write(folder.path(), listens, &world.service);
        let bot = Bot::new(Path::new(folder.path()), Form::Program, listens);
        members.push(Member { bot, wire, _folder: Some(folder) });
    }
    (world, members)
}
