//! Connects to a cluster as its kubeconfig or the pod's service account says.

use std::{
    path::Path,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use hyper_util::{
    client::legacy::{Client as Sender, connect::HttpConnector},
    rt::TokioExecutor,
};
use kube::{
    Client, Config,
    client::ConfigExt,
    config::{Kubeconfig, KubeconfigError},
};
use tower::{BoxError, ServiceBuilder};

use super::Access;
use crate::engine::cluster::Trouble;

/// How long a connection may take to come about.
const CONNECTING: Duration = Duration::from_secs(5);
/// How long what a kubeconfig's program said is taken for true.
const KEPT: Duration = Duration::from_mins(5);

/// What is known of a file without reading it.
type Stamp = Option<(SystemTime, u64)>;

/// The connection to a cluster, once there is one.
pub(super) struct Connection {
    access: Access,
    made: Mutex<Option<Made>>,
}

struct Made {
    client: Client,
    stamp: Stamp,
    at: Instant,
}

impl Connection {
    pub(super) fn new(access: Access) -> Self {
        Self { access, made: Mutex::new(None) }
    }

    /// Connects anew when it is needed next.
    pub(super) fn forget(&self) {
        *self.made.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The client, made anew if the file has changed.
    pub(super) async fn client(&self) -> Result<Client, Trouble> {
        let stamp = self.stamp();
        if let Some(made) = self.made.lock().unwrap_or_else(PoisonError::into_inner).as_ref()
            && made.stamp == stamp
            && made.at.elapsed() < KEPT
        {
            return Ok(made.client.clone());
        }
        let access = self.access.clone();
        // A kubeconfig may name a program that says who the bot is, and that takes its time.
        let connecting = tokio::task::spawn_blocking(move || connect(&access));
        let client = match connecting.await {
            Ok(connected) => {
                connected.map_err(|why| Trouble::Unreachable(format!("it cannot be connected to: {why}")))?
            }
            Err(error) => return Err(Trouble::Unreachable(format!("it cannot be connected to: {error}"))),
        };
        let made = Made { client: client.clone(), stamp, at: Instant::now() };
        *self.made.lock().unwrap_or_else(PoisonError::into_inner) = Some(made);
        Ok(client)
    }

    fn stamp(&self) -> Stamp {
        let Access::File { path, .. } = &self.access else { return None };
        let about = std::fs::metadata(path).ok()?;
        Some((about.modified().ok()?, about.len()))
    }
}

/// What is wrong with how a cluster is to be found, without connecting to it; where it is otherwise.
///
/// # Errors
/// Says what is missing or cannot be read.
pub fn examine(access: &Access) -> Result<String, String> {
    configured(access).map(|config| config.cluster_url.to_string())
}

fn configured(access: &Access) -> Result<Config, String> {
    match access {
        Access::Inside => Config::incluster().map_err(|error| error.to_string()),
        Access::File { path, context } => {
            let mut file = read(path)?;
            if let Some(context) = context {
                let known: Vec<&str> = file.contexts.iter().map(|known| known.name.as_str()).collect();
                if !known.contains(&context.as_str()) {
                    return Err(format!("there is no context `{context}` in it, only `{}`", known.join("`, `")));
                }
                file.current_context = Some(context.clone());
            }
            let proxy = file.clusters.iter().find_map(|known| known.cluster.as_ref()?.proxy_url.as_ref());
            if proxy.is_some_and(|proxy| !proxy.is_empty()) {
                return Err("it names a proxy (`proxy-url`), and clusters are not reached through one".to_owned());
            }
            Config::try_from(file).map_err(|error| error.to_string())
        }
    }
}

fn read(path: &Path) -> Result<Kubeconfig, String> {
    Kubeconfig::read_from(path).map_err(|error| {
        if let KubeconfigError::ReadConfig(error, _) = error {
            format!("it cannot be read: {error}")
        } else if matches!(error, KubeconfigError::Parse(_)) {
            "it is not a kubeconfig".to_owned()
        } else {
            error.to_string()
        }
    })
}

fn connect(access: &Access) -> Result<Client, String> {
    let config = configured(access)?;
    let words = |error: kube::Error| error.to_string();
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_connect_timeout(Some(CONNECTING));
    let connector = config.rustls_https_connector_with_connector(connector).map_err(words)?;
    // A connection that was kept open may be closed just as a change is written, and nobody could say whether it counted.
    let sender =
        Sender::builder(TokioExecutor::new()).pool_max_idle_per_host(0).retry_canceled_requests(false).build(connector);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer().map_err(words)?)
        .layer(config.extra_headers_layer().map_err(words)?)
        .map_err(BoxError::from)
        .service(sender);
    Ok(Client::new(service, config.default_namespace))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r"
apiVersion: v1
kind: Config
current-context: here
clusters: [{ name: one, cluster: { server: 'https://one.example:6443' } }, { name: two, cluster: { server: 'https://two.example' } }]
users: [{ name: bot, user: { token: abc } }]
contexts: [{ name: here, context: { cluster: one, user: bot } }, { name: there, context: { cluster: two, user: bot } }]
";

    #[test]
    fn a_cluster_is_found_as_its_file_says_or_the_file_is_named_for_what_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        let examine = |text: &str, context: Option<&str>| {
            std::fs::write(&path, text).unwrap();
            examine(&Access::File { path: path.clone(), context: context.map(str::to_owned) })
        };
        assert_eq!(examine(FILE, None).unwrap(), "https://one.example:6443/");
        assert_eq!(examine(FILE, Some("there")).unwrap(), "https://two.example/");
        assert_eq!(examine(FILE, Some("ther")).unwrap_err(), "there is no context `ther` in it, only `here`, `there`");
        assert_eq!(examine("[", None).unwrap_err(), "it is not a kubeconfig");
        assert!(examine(&FILE.replace("current-context: here", ""), None).unwrap_err().contains("current context"));
        let proxied = FILE.replace("'https://two.example'", "'https://two.example', proxy-url: 'http://proxy:3128'");
        assert!(examine(&proxied, None).unwrap_err().contains("proxy"));
        std::fs::remove_file(&path).unwrap();
        let missing = super::examine(&Access::File { path: path.clone(), context: None }).unwrap_err();
        assert!(missing.starts_with("it cannot be read: "), "{missing}");
    }
}
