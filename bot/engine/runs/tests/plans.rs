//! The runbooks of the tests.

/// The runbook of most tests: it reads, asks, deploys, looks, and tells.
pub(super) const ROLLBACK: &str = r#"
name: rollback
description: Deploy the version before
mode: ask
trigger: { alert: { match: ['alertname="Errors"'] }, chat: {} }
inputs: { service: { type: service, const: checkout } }
target: { service: "{{ service }}", environment: production }
guards:
  still_firing: { until: first_mutation }
  cooldown: { for: 30m, factor: 2, max: 24h }
approval: { before: roll back, by: ["role:on-call"], binds: [live.version, good.version], expires: 15m }
steps:
  - name: what is live
    action: http
    with: { url: "http://service/version", extract: { version: response.json.live } }
    output: live
  - name: what was good
    action: http
    with:
      url: "http://service/deployments"
      extract: { version: "response.json.deployments.filter(d, d.version != live.version)[0].version" }
    output: good
  - name: roll back
    action: http
    with:
      method: POST
      url: "http://service/deployments"
      body: { version: "{{ good.version }}", expect_live: "{{ live.version }}" }
    timeout: 1m
    probe:
      action: http
      with:
        url: "http://service/deployments"
        extract: { made: "response.json.deployments.filter(d, has(d.key) && d.key == step.key)" }
      settle: 60s
      found: "size(output.made) > 0"
      output: { version: "output.made[0].version" }
    undo:
      action: http
      with:
        method: POST
        url: "http://service/deployments"
        body: { version: "{{ live.version }}", expect_live: "{{ good.version }}" }
    output: deployment
  - name: errors are gone
    action: http
    with: { url: "http://service/health", extract: { errors: response.json.error_ratio } }
    until: "health.errors < 0.01"
    every: 5s
    timeout: 1m
    marks: mitigated
    output: health
  - name: tell everybody
    action: announce
    with: { text: "back on {{ good.version }}" }
"#;

/// Two deployments to two versions, neither probed nor repeatable, both undoable.
pub(super) const TWICE: &str = r#"
name: twice
mode: auto
trigger: { alert: { match: ['alertname="Errors"'] }, chat: {} }
target: { service: checkout, environment: production }
steps:
  - name: first
    action: http
    with: { method: POST, url: "http://service/deployments", body: { version: one } }
    timeout: 1m
    undo: { action: http, with: { method: POST, url: "http://service/deployments", body: { version: undo-one } } }
  - name: second
    action: http
    with: { method: POST, url: "http://service/deployments", body: { version: two } }
    timeout: 1m
    undo: { action: http, with: { method: POST, url: "http://service/deployments", body: { version: undo-two } } }
  - name: third
    action: http
    with: { method: POST, url: "http://service/deployments", body: { version: three } }
    timeout: 1m
    repeat: safe
"#;
