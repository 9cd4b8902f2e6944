//! The real Prometheus and Alertmanager, from Debian's packages, on free ports and in a hurry.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use super::{free_address, http, until};

const PROMETHEUS: &str = "/usr/bin/prometheus";
const ALERTMANAGER: &str = "/usr/bin/prometheus-alertmanager";

/// The programs that a story about the real ones needs and that are not here.
pub(crate) fn missing() -> Vec<&'static str> {
    [PROMETHEUS, ALERTMANAGER].into_iter().filter(|program| !Path::new(program).exists()).collect()
}

/// A program that ends with its story.
struct Running {
    child: Child,
    log: PathBuf,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
        if std::thread::panicking() {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            let tail: Vec<&str> = log.lines().rev().take(20).collect();
            println!("--- the end of {}", self.log.display());
            tail.into_iter().rev().for_each(|line| println!("{line}"));
        }
    }
}

/// Both of them, watching one service and posting to one bot.
pub(crate) struct Monitoring {
    _running: [Running; 2],
}

/// Prometheus without an Alertmanager.
pub(crate) struct Alone {
    _running: Running,
    url: String,
}

impl Alone {
    /// Where it is reached.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Monitoring {
    /// Starts them. The alert `CheckoutErrorRate` fires when more than one request in twenty fails for two seconds.
    pub(crate) async fn start(folder: &Path, service: SocketAddr, webhook: &str, token: &str) -> Self {
        let (prometheus, alertmanager) = (free_address(), free_address());
        let write = |name: &str, text: String| fs::write(folder.join(name), text).unwrap();
        write("alertmanager.yml", alertmanager_yml(webhook, token));
        let alerting =
            format!("alerting:\n  alertmanagers:\n    - static_configs: [{{ targets: ['{alertmanager}'] }}]\n");
        write("prometheus.yml", prometheus_yml(service, &alerting));
        write("rules.yml", RULES.to_owned());
        let receiver = start(
            folder,
            ALERTMANAGER,
            "alertmanager",
            &[
                "--config.file=alertmanager.yml".to_owned(),
                "--storage.path=alertmanager".to_owned(),
                "--cluster.listen-address=".to_owned(),
                format!("--web.listen-address={alertmanager}"),
            ],
        );
        let watcher = start_prometheus(folder, prometheus);
        let monitoring = Self { _running: [receiver, watcher] };
        for address in [alertmanager, prometheus] {
            let url = format!("http://{address}/-/ready");
            let is_ready = async || http().get(&url).send().await.is_ok_and(|answer| answer.status().is_success());
            assert!(until(30, is_ready).await, "{url} does not get ready");
        }
        monitoring
    }
}

/// Starts only Prometheus, over the same service and with the same alert, with another section `alerting`.
pub(crate) async fn start_alone(folder: &Path, service: SocketAddr, alerting: &str) -> Alone {
    let address = free_address();
    fs::write(folder.join("prometheus.yml"), prometheus_yml(service, alerting)).unwrap();
    fs::write(folder.join("rules.yml"), RULES).unwrap();
    let watcher = start_prometheus(folder, address);
    let url = format!("http://{address}/-/ready");
    let is_ready = async || http().get(&url).send().await.is_ok_and(|answer| answer.status().is_success());
    assert!(until(30, is_ready).await, "{url} does not get ready");
    Alone { _running: watcher, url: format!("http://{address}") }
}

fn start_prometheus(folder: &Path, address: SocketAddr) -> Running {
    start(
        folder,
        PROMETHEUS,
        "prometheus",
        &[
            "--config.file=prometheus.yml".to_owned(),
            "--storage.tsdb.path=prometheus".to_owned(),
            format!("--web.listen-address={address}"),
        ],
    )
}

fn start(folder: &Path, program: &str, name: &str, arguments: &[String]) -> Running {
    let log = folder.join(format!("{name}.log"));
    let child = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    Running { child, log }
}

fn alertmanager_yml(webhook: &str, token: &str) -> String {
    format!(
        "\
route:
  receiver: firewarden
  group_by: [alertname, service]
  group_wait: 1s
  group_interval: 1s
  repeat_interval: 1h
receivers:
  - name: firewarden
    webhook_configs:
      - url: {webhook}
        send_resolved: true
        http_config:
          authorization:
            type: Bearer
            credentials: {token}
"
    )
}

fn prometheus_yml(service: SocketAddr, alerting: &str) -> String {
    format!(
        "\
global:
  scrape_interval: 1s
  evaluation_interval: 1s
rule_files: [rules.yml]
{alerting}
scrape_configs:
  - job_name: checkout
    static_configs: [{{ targets: ['{service}'] }}]
"
    )
}

const RULES: &str = r#"
groups:
  - name: checkout
    rules:
      - record: service:error_ratio:rate5s
        expr: >
          sum by (service) (rate(http_requests_total{code=~"5.."}[5s]))
          / sum by (service) (rate(http_requests_total[5s]))
      - alert: CheckoutErrorRate
        expr: service:error_ratio:rate5s{service="checkout"} > 0.05
        for: 2s
        labels: { severity: page, env: production }
        annotations:
          summary: '{{ $value | humanizePercentage }} of the requests to {{ $labels.service }} fail'
"#;
