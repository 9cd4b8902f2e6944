//! What comes from outside is data: in programs, in the environment, in templates, in the log and on the page.

use std::fs;

use serde_json::Value;

use crate::world::{Config, World, alert, config, http};

/// Puts each label into an argument and into the environment, and prints what arrived.
const PRINTS: &str = r#"
name: print-labels
mode: auto
trigger:
  alert: { match: ['alertname="Hostile"'] }
target: { service: checkout, environment: production }
steps:
  - name: as arguments
    action: shell
    with:
      argv: [printf, '<%s>', "{{ alert.labels.a }}", "{{ alert.labels.b }}", "{{ alert.labels.c }}", "{{ alert.labels.d }}", "x {{ alert.labels.e }} y", "{{ alert.labels.f }}"]
    timeout: 10s
    irreversible: true
    output: arguments
  - name: as variables
    action: shell
    with:
      script: |
        printf '<%s>' "$A" "$B" "$C" "$D" "$E" "$F"
      env:
        A: "{{ alert.labels.a }}"
        B: "{{ alert.labels.b }}"
        C: "{{ alert.labels.c }}"
        D: "{{ alert.labels.d }}"
        E: "x {{ alert.labels.e }} y"
        F: "{{ alert.labels.f }}"
    timeout: 10s
    irreversible: true
    output: variables
  - name: tell
    action: announce
    with: { text: "saw {{ alert.labels.e }} and {{ alert.labels.f }}" }
"#;

/// A route that lets the alert start it.
const ROUTE: &str = r#"
[[routes]]
name = "hostile"
match = ['alertname="Hostile"']
service = "checkout"
environment = "production"
severity = "SEV3"
runbooks = ["print-labels"]
"#;

const LABELS: [(&str, &str); 6] = [
    ("a", "$(touch pwned)"),
    ("b", "'; touch pwned; '"),
    ("c", "`touch pwned`\n$(touch pwned)\n\" ; touch pwned #"),
    ("d", "-rf / ../../etc/passwd ${IFS} %s%n"),
    ("e", "{{ 7919*7919 }} {{{ alert.labels.a }}} {{#each alert}}"),
    ("f", "<script>alert(1)</script><img src=x onerror=alert(2)>"),
];

/// Whoever can name a pod or a path can write a label. None of it may become a command on the machine that deploys, a
/// template that reads other values, or markup in the browser of whoever is on call.
#[tokio::test(flavor = "multi_thread")]
async fn labels_arrive_as_data_wherever_they_go() {
    let world = World::start_with(Config::default().with(ROUTE).runbook(PRINTS)).await;
    let hostile =
        LABELS.iter().fold(alert("Hostile").since(world.now()), |alert, (name, value)| alert.label(name, value));
    world.alertmanager().fires(&hostile).await;
    world.run_comes_to("RUN-1", "done", std::time::Duration::ZERO).await;
    let told = world.sees("/incident timeline incident:INC-1", "as variables").await;
    assert!(!told.contains("62710561"), "nothing was computed:\n{told}");

    for path in ["/", "/incidents/INC-1"] {
        let page = page(&world, path).await;
        assert!(page.contains("&lt;script&gt;alert(1)"), "{path} shows the label:\n{page}");
        for markup in ["<script>alert", "<img src=x"] {
            assert!(!page.contains(markup), "{path} has `{markup}` as markup");
        }
    }

    let folder = world.folder().to_owned();
    let world = world.finish().await;
    let names: Vec<String> =
        fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name().to_string_lossy().into_owned()).collect();
    assert!(!names.iter().any(|name| name.contains("pwned")), "nothing was executed: {names:?}");
    let (_, journal) = world.run(1).await;
    let expected: String = LABELS
        .iter()
        .map(|(name, value)| if *name == "e" { format!("<x {value} y>") } else { format!("<{value}>") })
        .collect();
    for path in ["1", "2"] {
        let record = journal.0.iter().find(|record| record.key.path == path).unwrap();
        assert_eq!(record.output["stdout"], Value::from(expected.as_str()), "step {path}");
    }
}

/// A page as ana sees it in her browser.
async fn page(world: &World, path: &str) -> String {
    let url = |path: &str| format!("{}{path}", world.url());
    let quiet = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build();
    let client = {
        http();
        quiet.unwrap()
    };
    let form = format!("token={}", config::token_of("ana"));
    let login = client.post(url("/login")).header("content-type", "application/x-www-form-urlencoded").body(form);
    let login = login.send().await.unwrap();
    let cookie = login.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let answer = client.get(url(path)).header("cookie", cookie).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200, "{path}");
    answer.text().await.unwrap()
}
