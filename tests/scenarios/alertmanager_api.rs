//! The bot as an Alertmanager: Prometheus sends to it, and people keep their tools.

use std::{fs, path::Path, time::Duration};

use serde_json::{Value, json};

use crate::world::{
    Config, World,
    api_v2::{SOURCE, TOKEN, write_token},
    config, is_installed, left_out, prometheus, until,
};

/// What the README shows of `prometheus.yml`, and of the files of `amtool`.
const ADDRESS: &str = "127.0.0.1:8080";
const TOKEN_FILE: &str = "/etc/prometheus/firewarden.token";
const AMTOOL: &str = "/home/ada/.config/amtool";

/// The first block of the README of this kind that has this word in it.
fn shown(kind: &str, word: &str) -> String {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let blocks = readme.split("```").skip(1).step_by(2);
    let mut blocks = blocks.filter_map(|block| block.strip_prefix(kind)?.strip_prefix('\n'));
    blocks.find(|block| block.contains(word)).unwrap_or_else(|| panic!("the README shows `{word}`")).to_owned()
}

async fn start(config: Config) -> World {
    let world = World::prepare(None, config.with(SOURCE)).await;
    write_token(&world);
    world.bot.start().await;
    world
}

fn address(world: &World) -> &str {
    world.url().strip_prefix("http://").unwrap()
}

/// One program less between the fault and the people, and nobody has to trust an imitation of Prometheus.
#[tokio::test(flavor = "multi_thread")]
async fn prometheus_sends_straight_to_the_bot() {
    if !is_installed("prometheus") {
        return left_out("Prometheus sending straight to the bot", "`prometheus`");
    }
    let world = start(Config::default()).await;
    let token = world.folder().join("secrets/prometheus");
    let alerting = shown("yaml", "alertmanagers:")
        .replace(ADDRESS, address(&world))
        .replace(TOKEN_FILE, &token.display().to_string());
    let _prometheus = prometheus::start_alone(world.folder(), world.service.address(), &alerting).await;

    world.service.checkout.release("v43", true);
    world.sees("/incident list", "INC-1").await;
    world.sees("/runbook show name:RUN-1", "waiting for people").await;
    let client = world.api_v2_of("ana");
    let alerts = client.sees("/alerts?filter=alertname%3DCheckoutErrorRate").await;
    let time =
        |alert: &Value, name: &str| alert[name].as_str().unwrap().parse::<firewarden::domain::time::Time>().unwrap();
    assert!(time(&alerts[0], "endsAt") > world.now(), "it is vouched for: {alerts}");
    assert_eq!(alerts[0]["status"]["state"], "active");
    let url = alerts[0]["generatorURL"].as_str().unwrap();
    assert!(url.contains("/graph?g0.expr="), "{url}");

    world.service.checkout.release("v42", false);
    world.sees("/incident timeline incident:INC-1", "to `monitoring`").await;
    assert_eq!(client.sees("/alerts").await, json!([]), "Prometheus has said that it is over");
    world.sees("/incident timeline incident:INC-1", "source prometheus").await;
    client.conforms().await;
    world.does("ana", "/runbook cancel run:RUN-1").await;
    world.finish().await;
}

/// `amtool` as somebody runs it who has the files that the README shows.
struct Amtool<'a> {
    world: &'a World,
    home: &'static str,
}

impl<'a> Amtool<'a> {
    fn of(world: &'a World, home: &'static str, token: &str) -> Self {
        let folder = world.folder().join(home).join(".config/amtool");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("firewarden.token"), token).unwrap();
        let here = |text: String| text.replace(AMTOOL, &folder.display().to_string()).replace(ADDRESS, address(world));
        // Where Debian's looks, and where the others do.
        let debian = world.folder().join(home).join(".config/prometheus");
        fs::create_dir_all(&debian).unwrap();
        for file in [debian.join("amtool.yml"), folder.join("config.yml")] {
            fs::write(file, here(shown("yaml", "alertmanager.url"))).unwrap();
        }
        fs::write(folder.join("firewarden.yml"), here(shown("yaml", "amtool/firewarden.token"))).unwrap();
        Self { world, home }
    }

    /// Runs a line in a shell; whether it succeeded, and what it wrote.
    async fn runs(&self, line: &str) -> (bool, String) {
        let mut command = tokio::process::Command::new("bash");
        command.args(["-c", line]).current_dir(self.world.folder()).env("HOME", self.world.folder().join(self.home));
        let output = command.stdin(std::process::Stdio::null()).output().await.unwrap();
        let written = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        self.world.note(&format!("{} runs {line}\n    {}: {written}", self.home, output.status));
        (output.status.success(), written)
    }

    /// Runs a line that must succeed; what it wrote.
    async fn does(&self, line: &str) -> String {
        let (is_done, written) = self.runs(line).await;
        assert!(is_done, "{line}: {written}");
        written
    }
}

/// Whoever is on call has `amtool` in their fingers, and at 3 am that is what they type.
#[tokio::test(flavor = "multi_thread")]
async fn people_keep_amtool() {
    if !is_installed("amtool") {
        return left_out("`amtool` as a client", "`amtool`");
    }
    let world = start(Config::default()).await;
    let tool = Amtool::of(&world, "tool", TOKEN);
    let ana = Amtool::of(&world, "ana", &config::token_of("ana"));
    tool.does("amtool alert add CheckoutErrorRate env=production service=checkout --annotation=summary='errors'").await;
    tool.does("amtool alert add CheckoutLatency env=production --generator-url=http://prometheus.example/graph").await;
    world.sees("/incident list", "INC-2").await;
    let (is_taken, written) = ana.runs("amtool alert add Mine").await;
    assert!(!is_taken, "alerts come from sources: {written}");

    let found = ana.does("amtool alert query alertname=~Checkout.+ -o extended").await;
    for part in ["CheckoutErrorRate", "CheckoutLatency", "http://prometheus.example/graph", "active"] {
        assert!(found.contains(part), "`{part}`:\n{found}");
    }
    assert!(!ana.does("amtool alert query CheckoutLatency").await.contains("CheckoutErrorRate"));
    assert!(!ana.does("amtool alert query -r nobody").await.contains("Checkout"));
    assert!(ana.does("amtool config show").await.contains("receivers"));

    // As the README has it, line by line.
    for line in shown("sh", "amtool").lines() {
        let written = ana.does(line).await;
        assert!(!written.contains("Warning"), "{line}: {written}");
        if line.contains("silence add") {
            world.sees("/silence show silence:SIL-1", "2 alerts fire").await;
            assert!(!ana.does("amtool alert query").await.contains("Checkout"), "what is silenced is not active");
            let silenced = ana.does("amtool alert query --silenced").await;
            assert!(silenced.contains("CheckoutLatency") && silenced.contains("suppressed"), "{silenced}");
        } else if line.contains("silence query") && !line.contains("--quiet") {
            assert!(
                written.contains(r#"alertname=~"Checkout.+" env="production""#) && written.contains("new disks"),
                "{written}"
            );
            ana.does("amtool silence update --duration=5h $(amtool silence query --quiet)").await;
            world.sees("/silence list", "SIL-1").await;
        }
    }
    let over = ana.does("amtool silence query --expired").await;
    assert!(over.contains("new disks"), "{over}");
    assert!(ana.does("amtool silence query").await.lines().count() <= 2, "none is left");
    for wrong in [
        "amtool silence expire 00000000-0000-0000-0000-000000000000",
        "amtool silence expire nonsense",
        "amtool silence add 'env=~.*' --comment=x",
        "amtool silence add env=x --comment=x --duration=9000h",
    ] {
        let (is_done, written) = ana.runs(wrong).await;
        assert!(!is_done, "{wrong}: {written}");
    }
    // The silences of an Alertmanager can be taken along.
    tool.does("amtool silence query --expired -o json > old.json").await;
    tool.does(r#"sed -i "s/\"endsAt\":\"[^\"]*/\"endsAt\":\"$(date -u -d '+1 hour' +%FT%TZ)/" old.json"#).await;
    tool.does("amtool silence import old.json").await;
    let taken = ana.does("amtool silence query").await;
    assert!(taken.contains("new disks"), "{taken}");
    world.sees("/silence list", "SIL-2").await;
    world.finish().await;
}

/// Prometheus holds a 200 for the end of its duty.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_with_200_is_there_after_a_kill() {
    let world = start(Config::default()).await;
    let client = world.api_v2();
    let now = world.now();
    let hour = Duration::from_hours(1);
    client.sends(&json!([{ "labels": { "alertname": "CheckoutLatency" }, "endsAt": (now + hour).to_string() }])).await;
    let silence = json!({
        "matchers": [{ "name": "a", "value": "b", "isRegex": false }], "comment": "why", "createdBy": "kim",
        "startsAt": now.to_string(), "endsAt": (now + hour).to_string(),
    });
    let id = client.silences(&silence).await;
    world.restart().await;
    assert_eq!(client.sees("/alerts").await[0]["labels"]["alertname"], "CheckoutLatency");
    assert_eq!(client.sees(&format!("/silence/{id}")).await["status"]["state"], "active");
    assert!(until(20, async || world.console("ana").sees("/incident list").await.contains("INC-1")).await);
    world.finish().await;
}

/// A client that reads strictly has to be able to read all of it.
#[tokio::test(flavor = "multi_thread")]
async fn answers_are_as_alertmanagers_document_has_them() {
    let world = start(Config::default()).await;
    let client = world.api_v2();
    let now = world.now();
    let minute = Duration::from_mins(1);
    client
        .sends(&json!([
            {
                "labels": { "alertname": "CheckoutLatency", "env": "production" }, "annotations": { "summary": "slow" },
                "startsAt": now.to_string(), "endsAt": (now + 5 * minute).to_string(),
                "generatorURL": "http://prometheus.example/graph?g0.expr=up",
            },
            { "labels": { "alertname": "Odd", "größe": "5 \"é\"" }, "annotations": {} },
        ]))
        .await;
    // Another kind of source, with an address that is none.
    world.alertmanager().fires(&crate::world::alert("CheckoutErrors").service("checkout")).await;
    let mut silence = json!({
        "matchers": [
            { "name": "alertname", "value": "Checkout.*", "isRegex": true },
            { "name": "env", "value": "staging", "isRegex": false, "isEqual": false },
        ],
        "comment": "why", "createdBy": "kim", "annotations": { "ticket": "7" },
        "startsAt": now.to_string(), "endsAt": (now + 60 * minute).to_string(),
    });
    let first = client.silences(&silence).await;
    silence["id"] = first.clone().into();
    // A start that has passed is the moment at which the silence was taken.
    silence["startsAt"] = client.sees(&format!("/silence/{first}")).await["startsAt"].clone();
    silence["endsAt"] = (now + 90 * minute).to_string().into();
    assert_eq!(client.silences(&silence).await, first);
    silence["matchers"][1]["value"] = "test".into();
    let second = client.silences(&silence).await;
    assert_ne!(second, first);
    for path in [
        "/status",
        "/receivers",
        "/receivers?receiver_matchers=owner%3D%22x%22",
        "/alerts",
        "/alerts?active=false&silenced=true&inhibited=true&unprocessed=true&receiver=inci.*&filter=env%3Dproduction",
        "/alerts/groups",
        "/alerts/groups?muted=false&filter=alertname%3DOdd",
        "/silences",
        "/silences?active=true&pending=false&expired=true&filter=alertname%3D~%22Checkout.*%22",
        &format!("/silence/{second}"),
    ] {
        client.sees(path).await;
    }
    let unknown = "/silence/00000000-0000-0000-0000-000000000000";
    for (method, path, body, status) in [
        ("GET", "/alerts?filter=nonsense", None, 400),
        ("GET", "/alerts/groups?receiver=(", None, 400),
        ("GET", "/silences?filter=nonsense", None, 400),
        ("GET", unknown, None, 404),
        ("DELETE", unknown, None, 404),
        ("DELETE", &format!("/silence/{second}"), None, 200),
        ("POST", "/alerts", Some(json!([{ "labels": {} }])), 400),
    ] {
        let (answered, answer) = client.asks(method, path, body.as_ref()).await;
        assert_eq!(answered, status, "{method} {path}: {answer}");
    }
    silence["id"] = "00000000-0000-0000-0000-000000000000".into();
    assert_eq!(client.asks("POST", "/silences", Some(&silence)).await.0, 404);
    silence["id"] = "".into();
    silence["endsAt"] = silence["startsAt"].clone();
    assert_eq!(client.asks("POST", "/silences", Some(&silence)).await.0, 400);
    client.conforms().await;
    world.finish().await;
}
