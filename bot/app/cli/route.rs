//! `firewarden route test`: what an alert would mean, by the configuration alone.

use std::path::Path;

use super::{Failure, say};
use crate::{
    app::config::{Config, Look},
    domain::{alerts::Labels, routes},
};

/// Shows what an alert with these labels would mean, and why.
pub(super) fn test(path: &Path, labels: &[String]) -> Result<(), Failure> {
    let config = Config::load(path, Look::WithoutSecrets)?;
    let rules = config.rules();
    let labels = read(labels)?;
    let explanation = routes::explain(&rules.routes, &rules.default_route, &labels);
    let decision = &explanation.decision;
    let or_none = |value: Option<&String>| value.map_or_else(|| "none".to_owned(), |value| format!("`{value}`"));
    let listed = |values: &[String]| {
        if values.is_empty() { "none".to_owned() } else { format!("`{}`", values.join("`, `")) }
    };
    let mut text = format!("Alert {labels}\n\nRoutes:\n");
    for tried in &explanation.tried {
        text.push_str(&format!("  {tried}\n"));
    }
    text.push_str(&format!("\nReason: `{}` ({})\n", decision.reason.code(), decision.reason));
    text.push_str(&format!("  route        `{}`\n", decision.route));
    text.push_str(&format!("  service      {}\n", or_none(decision.service.as_ref())));
    text.push_str(&format!("  environment  {}\n", or_none(decision.environment.as_ref())));
    text.push_str(&format!("  severity     `{}`\n", decision.severity));
    let channel = decision.channel.as_ref().or(Some(&rules.default_channel));
    text.push_str(&format!("  channel      {}\n", or_none(channel)));
    text.push_str(&format!("  runbooks     {}\n", listed(&decision.runbooks)));
    text.push_str(&format!("  pages        {}\n", listed(&decision.page)));
    text.push_str(&format!("  incident     {}\n", decision.group));
    text.push_str("\nWhere it comes from:\n");
    for part in &explanation.parts {
        text.push_str(&format!("  {part}\n"));
    }
    say(&text);
    Ok(())
}

fn read(labels: &[String]) -> Result<Labels, Failure> {
    let pairs = labels.iter().map(|label| {
        label.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(|| {
            Failure::Refused(format!("`{label}` is not a label\nhint: write it as `alertname=CheckoutErrorRate`"))
        })
    });
    Ok(pairs.collect::<Result<Vec<_>, _>>()?.into_iter().collect())
}
