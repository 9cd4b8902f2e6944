//! People steer a run from Discord: they leave a step out with a reason, and everybody reads it.

use super::{Acme, plain};
use crate::world::{Config, Fault, Moment, Which, discord::What, until};

/// Changes the service twice.
const TWICE: &str = r#"
name: twice
mode: auto
trigger: { chat: {} }
target: { service: checkout, environment: production }
steps:
  - name: scale out
    action: http
    with: { method: POST, url: "API/scale", body: { replicas: 4, expect: 3 } }
    timeout: 30s
    repeat: safe
  - name: restart
    action: http
    with: { method: POST, url: "API/restart", body: {} }
    timeout: 30s
    repeat: safe
"#;

/// The step that cannot work was done by hand: the run need not be thrown away for it, and the record says why it has a gap.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_is_left_out_with_a_reason() {
    let acme = Acme::opens(Config::default().runbook(TWICE)).await;
    let channel = acme.discord.channel("incidents");
    let [ana, ben, dora] = ["ana", "ben", "dora"].map(|name| acme.discord.member(name));
    acme.world.service.plan(Which::Next("POST", "/restart"), Moment::Before, Fault::Status(403));
    ana.runs("/runbook run runbook:twice").answer().await;
    channel.card("RUN-1").shows("State: held").await;
    let refused = dora.runs("/run skip run:RUN-1 reason:\"it was done by hand\"").answer().await;
    assert!(refused.is_ephemeral(), "{}", refused.text());
    let skipped = ben.runs("/run skip run:RUN-1 reason:\"it was done by hand\"").answer().await;
    assert!(plain(&skipped.text()).contains("RUN-1"), "{}", skipped.text());
    let is_over = async || {
        let effects = acme.discord.effects();
        effects.iter().any(|effect| effect.what == What::Edited && plain(&effect.text).contains("State: done"))
    };
    assert!(until(20, is_over).await, "the run goes on to its end");
    assert_eq!(acme.world.service.checkout.effects().len(), 1);
    let why = ana.runs("/why run:RUN-1").answer().await;
    let text = plain(&why.text());
    assert!(text.contains("skipped `restart`: by ben: ") && text.contains("it was done by hand"), "{text}");
    channel.reads();
    acme.finish().await;
}
