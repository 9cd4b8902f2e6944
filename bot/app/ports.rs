//! What runs need of the world, as this configuration reaches it.

use std::{collections::BTreeMap, sync::Arc};

use super::{config::Config, halt};
use crate::{
    adapters::{github::GitHub, kubernetes::Kubernetes},
    engine::{
        ports::{Clock, Cluster, CodeHost, Http, Programs},
        runs::Ports,
    },
};

/// What runs need of the world. The code host is for the caller to reach: not everybody who needs the rest has its secret.
pub fn ports(
    config: &Config,
    http: &Arc<dyn Http>,
    programs: Arc<dyn Programs>,
    (clock, code_host): (&Arc<dyn Clock>, Option<Arc<dyn CodeHost>>),
) -> Ports {
    let halt_file = config.halt_file();
    Ports {
        http: Arc::clone(http),
        programs,
        metrics: Arc::new(config.prometheus(Arc::clone(http))),
        secrets: config.secrets.clone(),
        clusters: clusters(config),
        code_host,
        clock: Arc::clone(clock),
        is_halt_file_there: Arc::new(move || halt::is_ordered(&halt_file)),
    }
}

/// The Kubernetes clusters. None is connected to before a step needs it.
fn clusters(config: &Config) -> BTreeMap<String, Arc<dyn Cluster>> {
    let reached = |section| Arc::new(Kubernetes::new(config.access(section))) as Arc<dyn Cluster>;
    config.file.kubernetes.iter().map(|(name, section)| (name.clone(), reached(section))).collect()
}

/// Where code is kept and released, if the configuration says so.
///
/// # Errors
/// Its secret is missing, or is none.
pub fn github(config: &Config, http: &Arc<dyn Http>, clock: &Arc<dyn Clock>) -> anyhow::Result<Option<Arc<GitHub>>> {
    let Some(settings) = config.github()? else { return Ok(None) };
    Ok(Some(Arc::new(GitHub::new(&settings, Arc::clone(http), Arc::clone(clock))?)))
}
