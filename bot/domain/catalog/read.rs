//! Reads the catalog from the file that people write. One look finds every problem, each with its place and a hint.

use std::{collections::BTreeMap, path::Path, time::Duration};

use super::{Catalog, Check, Environment, Service};
use crate::domain::{
    diagnostic::{Diagnostic, Place},
    runbooks::{
        plan::Operation,
        reader::{Reader, is_name, shown},
        words,
        yaml::{self, Data, Key, Node},
    },
};

const SERVICE: &[&str] =
    &["description", "owner", "repository", "bake", "environments", "checks", "dependencies", "runbooks"];
const ENVIRONMENT: &[&str] = &["workload", "namespace", "cluster", "bake", "runbooks"];
const CHECK: &[&str] = &["query", "url"];
/// The most that a service needs at once.
const DEPENDENCIES: usize = 100;
/// How long a deployment may have to hold.
const BAKE: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(24 * 7);

/// Reads the catalog, given as its name and its bytes. `is_somebody` says of an owner such as `role:on-call` how to mend
/// it, if there is no such role or person.
///
/// # Errors
/// Every problem that one look can find, in the order of the file, each with its place where it is known.
pub fn read(
    file: &Path,
    bytes: &[u8],
    is_somebody: impl Fn(&str) -> Result<(), String>,
) -> Result<Catalog, Vec<Diagnostic>> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()].split(|byte| *byte == b'\n').count();
        vec![Diagnostic::new(file, "the file is not UTF-8 text").at(line, 1)]
    })?;
    let root = yaml::read(file, text, "a catalog of services").map_err(|problem| vec![problem])?;
    let mut reader = Reader::new(file);
    let mut catalog = Catalog::default();
    let mut needs = Vec::new();
    let services = reader.keys(&root, "the catalog", &["services"]).and_then(|root| {
        reader.required(root, "the catalog", "services", "begin it with `services:` and a name for each below")
    });
    for (key, node) in services.map(|node| named(&mut reader, node, "`services`")).unwrap_or_default() {
        let service = service(&mut reader, node, &key.name, &mut needs, &is_somebody);
        catalog.services.extend(service.map(|service| (key.name.clone(), service)));
    }
    for (place, name) in needs {
        if !catalog.services.contains_key(&name) && services.is_none_or(|node| node.field(&name).is_none()) {
            let known: Vec<&str> = catalog.services.keys().map(String::as_str).collect();
            reader.unknown(place, &format!("there is no service `{}`", shown(&name)), &name, &known);
        }
    }
    if reader.found_any() { Err(reader.problems()) } else { Ok(catalog) }
}

/// The entries of a map, each under a name that can stand in an address and in a command.
fn named<'n>(reader: &mut Reader<'_>, node: &'n Node, of: &str) -> Vec<(&'n Key, &'n Node)> {
    let Data::Map(fields) = &node.data else {
        reader.hinted(node.place, format!("{of} must be names with keys below, not {}", node.sort()), "write `name:`");
        return Vec::new();
    };
    let is_fit = |name: &str| {
        !name.is_empty()
            && name.len() <= 100
            && name.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter))
    };
    let mut entries = Vec::new();
    for (key, value) in fields {
        if is_fit(&key.name) {
            entries.push((key, value));
        } else {
            let what = format!("`{}` cannot be a name in {of}", shown(&key.name));
            reader.hinted(key.place, what, "use letters, digits, `-`, `_` and `.`");
        }
    }
    entries
}

fn service(
    reader: &mut Reader<'_>,
    node: &Node,
    name: &str,
    needs: &mut Vec<(Option<Place>, String)>,
    is_somebody: &impl Fn(&str) -> Result<(), String>,
) -> Option<Service> {
    if matches!(node.data, Data::Null) {
        return Some(Service::default());
    }
    let of = format!("the service `{name}`");
    reader.keys(node, &of, SERVICE)?;
    let mut service = Service {
        description: line(reader, node, "description", 300),
        owner: line(reader, node, "owner", 100),
        repository: line(reader, node, "repository", 200),
        bake: node.field("bake").and_then(|node| reader.length(node, "`bake`", &BAKE)),
        runbooks: runbooks(reader, node),
        ..Service::default()
    };
    if let (Some(owner), Some(place)) = (&service.owner, node.field("owner").map(|node| node.place))
        && let Err(hint) = is_somebody(owner)
    {
        reader.hinted(place, format!("nobody is `{}`", shown(owner)), hint);
    }
    if let (Some(repository), Some(place)) = (&service.repository, node.field("repository").map(|node| node.place))
        && !is_repository(repository)
    {
        let what = format!("`{}` is not a repository", shown(repository));
        reader.hinted(place, what, "write its owner and its name, as `acme/checkout`");
    }
    for (key, node) in node.field("environments").map(|node| named(reader, node, "`environments`")).unwrap_or_default()
    {
        service.environments.extend(environment(reader, node).map(|place| (key.name.clone(), place)));
    }
    if let Some(node) = node.field("checks") {
        service.checks = checks(reader, node);
    }
    for node in
        node.field("dependencies").map(|node| reader.list(node, "`dependencies`", DEPENDENCIES)).unwrap_or_default()
    {
        let Some(needed) = reader.text(node, "a dependency") else { continue };
        if needed.value == name {
            reader.hinted(needed.place, format!("{of} needs itself"), "take it out");
        } else if service.dependencies.contains(&needed.value) {
            reader.hinted(needed.place, format!("`{}` stands here twice", shown(&needed.value)), "take one out");
        } else {
            needs.push((needed.place, needed.value.clone()));
            service.dependencies.push(needed.value);
        }
    }
    Some(service)
}

fn line(reader: &mut Reader<'_>, node: &Node, key: &str, most: usize) -> Option<String> {
    node.field(key).and_then(|node| reader.line(node, &format!("`{key}`"), most)).map(|line| line.value)
}

/// Owner and name, as GitHub has them.
fn is_repository(text: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty() && part.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter))
    };
    text.split_once('/').is_some_and(|(owner, name)| is_part(owner) && is_part(name))
}

fn environment(reader: &mut Reader<'_>, node: &Node) -> Option<Environment> {
    if matches!(node.data, Data::Null) {
        return Some(Environment::default());
    }
    reader.keys(node, "an environment", ENVIRONMENT)?;
    let workload = line(reader, node, "workload", 200);
    if let (Some(workload), Some(place)) = (&workload, node.field("workload").map(|node| node.place))
        && !workload.split_once('/').is_some_and(|(kind, name)| !kind.is_empty() && !name.is_empty())
    {
        let what = format!("`{}` is not a workload", shown(workload));
        reader.hinted(place, what, "write its kind and its name, as `deployment/checkout`");
    }
    Some(Environment {
        workload,
        namespace: line(reader, node, "namespace", 100),
        cluster: line(reader, node, "cluster", 100),
        bake: node.field("bake").and_then(|node| reader.length(node, "`bake`", &BAKE)),
        runbooks: runbooks(reader, node),
    })
}

/// Which runbook does what people want done. Whether there is one of that name is not looked at here.
fn runbooks(reader: &mut Reader<'_>, node: &Node) -> BTreeMap<Operation, String> {
    let words = Operation::ALL.map(Operation::word);
    let Some(node) = node.field("runbooks").and_then(|node| reader.keys(node, "`runbooks`", &words)) else {
        return BTreeMap::new();
    };
    let name = |operation: Operation| line(reader, node, operation.word(), 60).map(|name| (operation, name));
    Operation::ALL.into_iter().filter_map(name).collect()
}

fn checks(reader: &mut Reader<'_>, node: &Node) -> BTreeMap<String, Check> {
    let mut checks = BTreeMap::new();
    for (key, node) in named(reader, node, "`checks`") {
        if !is_name(&key.name) {
            let hint = "use lower-case letters, digits and `_`, beginning with a letter";
            reader.hinted(key.place, format!("`{}` cannot be the name of a check", shown(&key.name)), hint);
        }
        let of = format!("the check `{}`", key.name);
        if reader.keys(node, &of, CHECK).is_none() {
            continue;
        }
        let query = node.field("query").and_then(|node| reader.text(node, "`query`"));
        let url = node.field("url").and_then(|node| reader.text(node, "`url`"));
        match (node.field("query").is_some(), node.field("url").is_some()) {
            (true, false) => checks.extend(query.map(|text| (key.name.clone(), Check::Query(text.value)))),
            (false, true) => {
                let is_web = |text: &str| text.starts_with("http://") || text.starts_with("https://");
                if let Some(text) = url.as_ref().filter(|text| !is_web(&text.value)) {
                    let what = format!("`{}` is not an address", shown(&text.value));
                    reader.hinted(text.place, what, "begin it with `http://` or `https://`");
                }
                checks.extend(url.map(|text| (key.name.clone(), Check::Url(text.value))));
            }
            (true, true) | (false, false) => {
                let hint = format!("give one of {}", words::listed(CHECK));
                reader.hinted(node.place, format!("{of} is one look"), hint);
            }
        }
    }
    checks
}
