//! What the measurements of whole programs share: the real bot over a folder of its own, its neighbors, and who calls them.

#![allow(dead_code, reason = "each measurement uses its part of it")]

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// How long anything is waited for.
const PATIENCE: Duration = Duration::from_mins(5);
/// The token of who calls.
pub(crate) const TOKEN: &str = "a-token-for-the-measurement";
/// The program and the package of Debian's Alertmanager.
const ALERTMANAGER: &str = "prometheus-alertmanager";

/// A runtime for whoever calls.
pub(crate) fn run<T>(measure: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(measure)
}

/// The number after `--`, if there is one.
pub(crate) fn number(usual: usize) -> usize {
    std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(usual)
}

/// An address that is free.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Where a program of Debian's is, if it is installed. Says so if it is not.
pub(crate) fn installed(program: &str, package: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.is_file());
    if found.is_none() {
        println!("(`{program}` is left out: `apt-get install {package}`)\n");
    }
    found
}

/// The memory that this process holds, in MiB.
pub(crate) fn memory(process: u32) -> f64 {
    status(process, "VmRSS:")
}

/// A figure that the kernel gives of a process in kB, in MiB.
fn status(process: u32, name: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}

/// How many ticks a second the kernel counts in `/proc`: 100 wherever Linux runs.
/// <https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html>
const TICKS: u64 = 100;

/// The time that a process has computed so far.
fn cpu(process: u32) -> Duration {
    let status = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // What stands before may hold anything: it is the name of the program.
    let fields = status.rsplit_once(')').unwrap().1;
    let ticks: u64 = fields.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 1_000 / TICKS)
}

/// A process that ends with its measurement.
pub(crate) struct Running {
    child: Child,
    kept: Option<TempDir>,
}

impl Running {
    /// Starts it in a folder, without a word.
    pub(crate) fn start(folder: &Path, command: &mut Command) -> Self {
        let log = fs::OpenOptions::new().create(true).append(true).open(folder.join("log")).unwrap();
        command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Self { child: command.spawn().unwrap(), kept: None }
    }

    /// Keeps its folder as long as it runs.
    #[must_use]
    pub(crate) fn keep(mut self, folder: TempDir) -> Self {
        self.kept = Some(folder);
        self
    }

    /// Kills it where it stands.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The time that it has computed so far.
    pub(crate) fn cpu(&self) -> Duration {
        cpu(self.child.id())
    }

    /// The memory that it holds, in MiB.
    pub(crate) fn memory(&self) -> f64 {
        memory(self.child.id())
    }

    /// The most memory that it has held, in MiB.
    pub(crate) fn most_memory(&self) -> f64 {
        status(self.child.id(), "VmHWM:")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

/// What takes triggers and starts something.
pub(crate) struct Target {
    /// Its folder.
    pub(crate) folder: TempDir,
    /// Where it is reached.
    pub(crate) address: SocketAddr,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    Bot,
    Webhook,
    Alertmanager,
}

impl Target {
    /// The real bot. Each alert starts the program `start` of its folder with the alert's name, by a step whose outcome is
    /// looked for in the file `out` if nobody knows it.
    pub(crate) fn bot() -> Self {
        let target = Self::bot_with(CONFIG);
        let at = target.folder.path().display();
        target.write("runbooks/start.yaml", &RUNBOOK.replace("FOLDER", &at.to_string()));
        target
    }

    /// The real bot with this configuration and no runbooks. The file `token` is the token of who calls.
    pub(crate) fn bot_with(config: &str) -> Self {
        let target = Self::in_a_folder(Kind::Bot);
        target.write("token", TOKEN);
        target.write("firewarden.toml", &format!("[web]\nlisten = \"{}\"\n\n{config}", target.address));
        fs::create_dir(target.folder.path().join("runbooks")).unwrap();
        target
    }

    /// Debian's Alertmanager, if it is installed. It notifies nobody.
    pub(crate) fn alertmanager() -> Option<Self> {
        installed(ALERTMANAGER, ALERTMANAGER)?;
        let target = Self::in_a_folder(Kind::Alertmanager);
        target.write("alertmanager.yml", "route: { receiver: nobody }\nreceivers: [{ name: nobody }]\n");
        Some(target)
    }

    /// adnanh's webhook, if it is installed, which starts the same program with the same name.
    pub(crate) fn webhook() -> Option<Self> {
        installed("webhook", "webhook")?;
        let target = Self::in_a_folder(Kind::Webhook);
        let at = target.folder.path().display();
        let hooks = format!(
            r#"[{{"id":"start","execute-command":"{at}/start","pass-arguments-to-command":[{{"source":"payload","name":"id"}}]}}]"#
        );
        target.write("hooks.json", &hooks);
        Some(target)
    }

    fn in_a_folder(kind: Kind) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), address: free_address(), kind }
    }

    /// Writes a file of its folder.
    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// Writes the program that each trigger starts.
    pub(crate) fn program(&self, text: &str) {
        use std::os::unix::fs::PermissionsExt;
        let text = format!("#!/bin/sh\n{}\n", text.replace("FOLDER", &self.folder.path().display().to_string()));
        self.write("start", &text);
        fs::set_permissions(self.folder.path().join("start"), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Starts it and waits until it takes triggers; how long that took.
    pub(crate) async fn start(&self) -> (Running, Duration) {
        let mut command = match self.kind {
            Kind::Bot => {
                let mut command = Command::new(env!("CARGO_BIN_EXE_firewarden"));
                command.arg("serve").env("FIREWARDEN_LOG", "warn");
                command
            }
            Kind::Webhook => {
                let mut command = Command::new("webhook");
                let port = self.address.port().to_string();
                command.args(["-hooks", "hooks.json", "-ip", "127.0.0.1", "-port", &port]);
                command
            }
            Kind::Alertmanager => {
                let mut command = Command::new(ALERTMANAGER);
                command.args(["--config.file=alertmanager.yml", "--storage.path=data", "--cluster.listen-address="]);
                command.arg(format!("--web.listen-address={}", self.address));
                command
            }
        };
        let path = match self.kind {
            Kind::Bot => "/readyz",
            Kind::Webhook => "/",
            Kind::Alertmanager => "/-/ready",
        };
        let begun = Instant::now();
        let running = Running::start(self.folder.path(), &mut command);
        ready(self.address, path).await;
        (running, begun.elapsed())
    }

    /// Sends a trigger; whether it was acknowledged.
    pub(crate) async fn trigger(&self, connection: &mut Option<TcpStream>, id: &str) -> bool {
        let (path, body) = match self.kind {
            Kind::Bot => ("/webhooks/alertmanager", alert(id)),
            Kind::Webhook => ("/hooks/start", format!(r#"{{"id":"{id}"}}"#)),
            Kind::Alertmanager => panic!("it starts nothing"),
        };
        if connection.is_none() {
            *connection = TcpStream::connect(self.address).await.ok();
        }
        let Some(stream) = connection else { return false };
        let answered = request(stream, "POST", path, &body).await;
        if answered.is_err() {
            *connection = None;
        }
        answered.is_ok_and(|status| (200..300).contains(&status))
    }
}

/// Waits until a GET of this path is answered with 200.
pub(crate) async fn ready(address: SocketAddr, path: &str) {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Ok(mut stream) = TcpStream::connect(address).await
            && request(&mut stream, "GET", path, "").await.is_ok_and(|status| status == 200)
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("{address} does not get ready");
}

/// Sends a request over an open connection and reads the whole answer; its status.
pub(crate) async fn request(stream: &mut TcpStream, method: &str, path: &str, body: &str) -> std::io::Result<u16> {
    stream.set_nodelay(true)?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {TOKEN}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + body).as_bytes()).await?;
    let broken = || std::io::Error::other("the connection was closed");
    let mut answer = Vec::new();
    let mut part = [0; 4096];
    loop {
        let read = stream.read(&mut part).await?;
        if read == 0 {
            return Err(broken());
        }
        answer.extend_from_slice(&part[..read]);
        let text = String::from_utf8_lossy(&answer);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let head = head.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        let is_whole = match length {
            Some(length) => body.len() >= length,
            None => !head.contains("transfer-encoding: chunked") || body.ends_with("0\r\n\r\n"),
        };
        if is_whole {
            return head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(broken);
        }
    }
}

/// A quantile in milliseconds.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
pub(crate) fn quantile(took: &mut [Duration], quantile: f64) -> f64 {
    took.sort();
    let index = (took.len() as f64 * quantile) as usize;
    took.get(index).map_or(f64::NAN, |took| took.as_secs_f64() * 1_000.0)
}

/// What Alertmanager sends of an alert with this name, which belongs to one of 50 services.
fn alert(id: &str) -> String {
    let service = id.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte))) % 50;
    format!(
        r#"{{"version":"4","receiver":"bench","status":"firing","groupKey":"{{}}","groupLabels":{{}},"commonLabels":{{}},"commonAnnotations":{{}},"externalURL":"","truncatedAlerts":0,"alerts":[{{"status":"firing","labels":{{"alertname":"Start","instance":"{id}","service":"s{service}","severity":"warning"}},"annotations":{{"summary":"It is to be started"}},"startsAt":"2026-11-23T03:00:00.000Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":"","fingerprint":"0"}}]}}"#
    )
}

const CONFIG: &str = r#"
[[sources]]
name = "alertmanager"
kind = "alertmanager"
auth = { bearer = { file = "token" } }

[[routes]]
name = "start"
match = ['alertname="Start"']
service = { label = "service" }
severity = { label = "severity", default = "SEV3" }
runbooks = ["start"]
"#;

/// The runbook of [`Target::bot`].
pub(crate) const RUNBOOK: &str = r#"
name: start
mode: auto
trigger:
  alert:
    match: ['alertname="Start"']
inputs:
  id: { type: text, label: instance }
target: { service: "{{ id }}", environment: production }
steps:
  - name: start it
    action: shell
    with: { argv: ["FOLDER/start", "{{ id }}"] }
    timeout: 1m
    probe:
      action: shell
      with: { argv: ["grep", "-qx", "{{ id }}", "FOLDER/out"], expect_exit: [0, 1] }
      settle: 1s
      found: "output.exit == 0"
"#;
