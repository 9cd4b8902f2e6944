//! Holds the example against the types, and the words that people read against real mistakes.

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;

const EXAMPLE: &str = include_str!("../../../firewarden.example.toml");

fn read(text: &str) -> Result<Config, String> {
    Config::read(Path::new("firewarden.toml"), text, Look::WithoutSecrets)
        .map_err(|problems| problems.iter().map(|problem| problem.to_string() + "\n").collect())
}

fn problems(text: &str) -> String {
    read(text).err().unwrap_or_default()
}

/// The example with every setting that is commented out.
fn whole_example() -> String {
    let lines = EXAMPLE.lines().map(|line| match line.strip_prefix('#') {
        Some(setting) if setting.starts_with(|first: char| first.is_ascii_lowercase() || first == '[') => setting,
        Some(_) | None => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The paths of all settings; places in lists do not count, nor do the names of what people name themselves.
fn paths(value: &Value, at: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            let is_named = [
                "people",
                "roles",
                "labels",
                "annotations",
                "map",
                "channels",
                "silent_after_of",
                "headers",
                "kubernetes",
            ]
            .iter()
            .any(|named| at.rsplit('.').next() == Some(named));
            for (name, value) in fields {
                let path = if is_named { format!("{at}.*") } else { format!("{at}.{name}") };
                found.insert(path.clone());
                paths(value, &path, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| paths(item, at, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn the_example_is_clean() {
    assert_eq!(problems(EXAMPLE), "");
    assert_eq!(problems(&whole_example()), "");
}

#[test]
fn a_secret_that_two_sources_share_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "the-secret-of-two-sources").unwrap();
    let source = |name: &str| {
        format!(
            "[[sources]]\nname = \"{name}\"\nkind = \"alertmanager\"\nauth = {{ bearer = {{ file = \"token\" }} }}\n"
        )
    };
    let check = |text: &str| {
        let read = Config::read(&folder.path().join("firewarden.toml"), text, Look::ForSecrets);
        read.err().unwrap_or_default().iter().map(ToString::to_string).collect::<String>()
    };
    assert_eq!(check(&source("one")), "");
    let told = check(&(source("one") + &source("two")));
    assert!(told.contains("it is the secret of the source `one` too"), "{told}");
}

#[test]
fn a_source_may_do_what_its_kind_can() {
    let check = |kind: &str, auth: &str, may: &str| {
        problems(&format!(
            "[[sources]]\nname = \"a\"\nkind = \"{kind}\"\nauth = {{ {auth} = {{ env = \"A\" }} }}\n{may}"
        ))
    };
    for may in ["", "may = \"view\"", "may = \"respond\""] {
        assert_eq!(check("prometheus", "bearer", may), "", "{may}");
    }
    let told = check("prometheus", "bearer", "may = \"operate\"");
    assert!(told.starts_with("firewarden.toml:5:7: a source may not `operate`"), "{told}");
    let told = check("alertmanager", "bearer", "may = \"view\"");
    assert!(told.starts_with("firewarden.toml:5:7: this kind of source only sends"), "{told}");
    let signed = "hmac = { secret = { env = \"A\" } }";
    let told = problems(&format!("[[sources]]\nname = \"a\"\nkind = \"prometheus\"\nauth = {{ {signed} }}\n"));
    assert!(told.starts_with("firewarden.toml:4:1: Prometheus does not sign what it sends"), "{told}");
    let github = "{ hmac = { secret = { env = \"A\" }, tolerance = \"5m\" } }";
    let told = problems(&format!("[[sources]]\nname = \"a\"\nkind = \"github\"\nauth = {github}\n"));
    assert!(told.starts_with("firewarden.toml:4:1: GitHub signs what it sends, in a way of its own"), "{told}");
    let told = check("prometheus", "bearer", "mapping = {}");
    assert!(told.starts_with("firewarden.toml:5:1: the alerts of this kind of source need no mapping"), "{told}");
}

#[test]
fn the_example_shows_every_setting() {
    let text = whole_example();
    let (mut shown, mut there) = (BTreeSet::new(), BTreeSet::new());
    paths(&serde_json::to_value(toml::from_str::<toml::Table>(&text).unwrap()).unwrap(), "", &mut shown);
    paths(&serde_json::to_value(toml::from_str::<File>(&text).unwrap()).unwrap(), "", &mut there);
    // The default route has these only because it is a route.
    for name in ["name", "match", "continue"] {
        there.remove(&format!(".default_route.{name}"));
    }
    // An App takes the place of the token that is shown, so the example tells of it in words.
    there.remove(".github.app");
    // A label's map and default are shown where they are used; elsewhere they are empty.
    there.retain(|path| !matches!(path.rsplit('.').next(), Some("map" | "default")) || path.contains(".severity."));
    there.retain(|path| !path.starts_with(".default_route.severity."));
    let missing: Vec<&String> = there.difference(&shown).collect();
    assert!(missing.is_empty(), "firewarden.example.toml does not show {missing:?}");
}

#[test]
fn a_misspelled_setting_is_named_with_its_place() {
    assert_eq!(
        problems("[web]\nlissten = \"127.0.0.1:1\"\n"),
        "firewarden.toml:2:1: there is no setting `lissten` here\n  hint: did you mean `listen`?\n"
    );
    assert_eq!(
        problems("[roles.a]\nmay = \"operat\"\n"),
        "firewarden.toml:2:7: `operat` is not one of the words that can stand here\n  hint: did you mean `operate`?\n"
    );
}

#[test]
fn every_problem_is_said_at_once() {
    let text = r#"
[web]
listen = "8080"

[people.ada]
discord = "ada#1234"
roles = ["oncall"]

[roles.on-call]
may = "operate"

[[sources]]
name = "am"
kind = "generic"
auth = { bearer = { env = "A" } }

[[routes]]
name = "a"
page = ["role:on-cal", "somebody"]

[heartbeat]
url = "example.org"
every = "1s"

[traces]
endpoint = "127.0.0.1:4318"
headers = { "a b" = { env = "A" } }
viewer = "https://traces.example/"
"#;
    assert_eq!(
        problems(text),
        "firewarden.toml:3:10: `8080` is not an address with a port\n  \
           hint: write it as `127.0.0.1:8080`, or `0.0.0.0:8080` to be reached from everywhere\n\
         firewarden.toml:6:11: `ada#1234` is not an id of Discord\n  \
           hint: switch on the developer mode in Discord's settings, then copy the id from the context menu\n\
         firewarden.toml:7:10: there is no role `oncall`\n  hint: did you mean `on-call`?\n\
         firewarden.toml:13:8: a generic source needs a `mapping`\n  hint: add `[sources.mapping]` below it\n\
         firewarden.toml:19:9: there is no role `on-cal`\n  hint: did you mean `on-call`?\n\
         firewarden.toml:19:24: `somebody` cannot be paged\n  hint: write `role:on-call` or `person:ada`\n\
         firewarden.toml:22:7: `example.org` is not an address of the web\n  \
           hint: write it whole, as `https://host/path`\n\
         firewarden.toml:23:9: the heartbeat is called too often\n  hint: `10s` is the least, `1m` is usual\n\
         firewarden.toml:26:12: `127.0.0.1:4318` is not an address of the web\n  \
           hint: write it whole, as `https://host/path`\n\
         firewarden.toml:27:13: `a b` is not the name of a header\n  hint: write it as `authorization`\n\
         firewarden.toml:28:10: `https://traces.example/` does not say where the trace's name belongs\n  \
           hint: put `{trace}` there, as in `https://traces.example.org/trace/{trace}`\n"
    );
}

#[test]
fn a_secret_in_the_file_is_refused_and_not_repeated() {
    for text in [
        "[people.ada]\ntoken = \"hunter2-hunter2\"\n",
        "[emergency]\nurl = \"https://a.example/\"\ntoken = \"hunter2-hunter2\"\n",
    ] {
        let said = problems(text);
        assert!(said.contains("where the secret is") && !said.contains("hunter2"), "{said}");
    }
}

#[test]
fn a_missing_secret_is_a_problem_only_where_it_is_needed() {
    let text = "[people.ada]\ntoken = { file = \"nowhere/token\" }\n";
    assert_eq!(problems(text), "");
    let found = Config::read(Path::new("firewarden.toml"), text, Look::ForSecrets).err().unwrap();
    assert_eq!(found.len(), 1);
    assert!(found[0].to_string().starts_with("firewarden.toml:2:1: the secret is missing: the file `nowhere/token`"));
}

#[test]
fn the_address_of_a_database_is_read_and_never_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("firewarden.toml");
    let text = "[store]\nurl = { file = \"url\" }\n";
    let said = |url: &str| {
        std::fs::write(folder.path().join("url"), url).unwrap();
        let found = Config::read(&file, text, Look::ForSecrets).err().unwrap_or_default();
        found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(said("postgres://firewarden:hunter2@db.example/firewarden"), "");
    for url in ["mysql://firewarden:hunter2@db.example/firewarden", "hunter2", "postgres://[:hunter2"] {
        let said = said(url);
        assert!(said.contains("not the address of a database") && !said.contains("hunter2"), "{url}: {said}");
    }
}

#[test]
fn the_default_route_keeps_what_it_is_not_told() {
    let rules = read("[default_route]\nchannel = \"ops\"\n").ok().unwrap().rules();
    assert_eq!(rules.default_route.channel.as_deref(), Some("ops"));
    assert_eq!(rules.default_route.group_by, Some(vec!["alertname".to_owned()]));
    assert_eq!(rules.default_route.name, "default");
}

#[test]
fn a_cluster_says_in_one_way_how_it_is_reached() {
    for (section, what) in [
        ("", "it does not say how the cluster is reached"),
        ("kubeconfig = \"a\"\nin_cluster = true\n", "it has both `kubeconfig` and `in_cluster`"),
        ("in_cluster = true\ncontext = \"a\"\n", "`context` means nothing without `kubeconfig`"),
        ("kubeconfg = \"a\"\n", "did you mean `kubeconfig`?"),
    ] {
        let found = problems(&format!("[kubernetes.production]\n{section}"));
        assert!(found.contains(what), "{section}: {found}");
    }
    assert!(problems("[kubernetes.\"a b\"]\nin_cluster = true\n").contains("cannot be the name of a cluster"));
    let text = "[kubernetes.production]\nkubeconfig = \"nowhere\"\n";
    let found = Config::read(Path::new("firewarden.toml"), text, Look::ForSecrets).err().unwrap();
    assert!(found[0].what.starts_with("`nowhere`: it cannot be read: "), "{found:?}");
    assert_eq!(found[0].place.map(|place| place.line), Some(2));
}
