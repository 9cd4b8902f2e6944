//! Dependencies point one way: between layers, between the features of a layer, and never between adapters.

use super::source::{Source, library};

/// The layers from the inside out; each may name itself and those before it.
const LAYERS: [&str; 5] = ["domain", "store", "engine", "adapters", "app"];

/// The features in their order; within a layer, each may name itself and those before it.
const FEATURES: [&str; 13] = [
    "timeline",
    "alerts",
    "routes",
    "silences",
    "incidents",
    "deployments",
    "runbooks",
    "catalog",
    "freezes",
    "locks",
    "runs",
    "reviews",
    "operations",
];

/// The files of the engine that know every feature, because they are where features meet.
const MEETINGS: [&str; 3] = ["engine/mod.rs", "engine/decide.rs", "engine/features.rs"];

/// Crates that only one part of the tree may name.
const HOMES: [(&str, &[&str]); 17] = [
    ("sqlx", &["store"]),
    ("serenity", &["adapters/discord"]),
    ("axum", &["adapters/web", "app"]),
    ("maud", &["adapters/web"]),
    ("comrak", &["adapters/web"]),
    ("reqwest", &["adapters", "app"]),
    ("process_wrap", &["adapters/programs"]),
    ("opentelemetry_proto", &["adapters/otlp"]),
    ("prost", &["adapters/otlp"]),
    ("clap", &["app", "main"]),
    ("rand", &["adapters", "app", "engine"]),
    ("flate2", &["adapters/archive"]),
    ("kube", &["adapters/kubernetes"]),
    ("k8s_openapi", &["adapters/kubernetes"]),
    ("hyper_util", &["adapters/kubernetes"]),
    ("tower", &["adapters/github", "adapters/kubernetes", "adapters/web"]),
    ("octocrab", &["adapters/github"]),
];

/// What the pure rules may never name: whatever waits, reads a clock, draws a number or touches the outside.
const IMPURE: [&[&str]; 10] = [
    &["tokio"],
    &["futures"],
    &["rand"],
    &["std", "fs"],
    &["std", "net"],
    &["std", "process"],
    &["std", "env"],
    &["std", "time", "Instant"],
    &["std", "time", "SystemTime"],
    &["jiff", "Timestamp", "now"],
];

fn rank(list: &[&str], name: &str) -> Option<usize> {
    list.iter().position(|known| *known == name)
}

/// The parts of a name after `crate`, if it is one of this crate's.
fn inside(name: &[String]) -> Option<&[String]> {
    name.strip_prefix(&["crate".to_owned()])
}

fn faults(check: impl Fn(&Source, &[String]) -> bool) -> Vec<String> {
    let sources = library();
    let named = sources.iter().flat_map(|source| source.names.iter().map(move |name| (source, name)));
    let mut faults: Vec<String> = named
        .filter(|(source, name)| check(source, name))
        .map(|(source, name)| format!("bot/{} names {}", source.path, name.join("::")))
        .collect();
    faults.dedup();
    faults
}

#[track_caller]
fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// Whoever changes an outer layer need not think of the inner ones.
#[test]
fn a_layer_names_only_the_layers_before_it() {
    assert_none(&faults(|source, name| {
        let here = rank(&LAYERS, &source.module[0]);
        let there = inside(name).and_then(<[String]>::first).and_then(|layer| rank(&LAYERS, layer));
        matches!((here, there), (Some(here), Some(there)) if there > here)
    }));
}

/// A feature can be read, and taken out, together with those after it.
#[test]
fn a_feature_names_only_the_features_before_it() {
    assert_none(&faults(|source, name| {
        let Some([layer, feature, ..]) = inside(name) else { return false };
        let same_layer = source.module.len() > 1 && source.module[0] == *layer;
        if !same_layer || MEETINGS.contains(&source.path.as_str()) {
            return false;
        }
        matches!(
            (rank(&FEATURES, &source.module[1]), rank(&FEATURES, feature)),
            (Some(here), Some(there)) if there > here
        )
    }));
}

/// An adapter can be replaced without looking at the others.
#[test]
fn adapters_do_not_name_each_other() {
    assert_none(&faults(|source, name| {
        let Some([layer, adapter, ..]) = inside(name) else { return false };
        source.module.len() > 1 && source.module[0] == "adapters" && layer == "adapters" && source.module[1] != *adapter
    }));
}

/// A crate of the outside stays where its part of the outside is spoken to.
#[test]
fn a_crate_is_named_only_where_it_is_at_home() {
    assert_none(&faults(|source, name| {
        let homes = HOMES.iter().find(|(krate, _)| *krate == name[0]).map(|(_, homes)| *homes);
        homes.is_some_and(|homes| !homes.iter().any(|home| source.path.starts_with(home)))
    }));
}

/// Rules that are pure can be tried with any state and any time.
#[test]
fn the_domain_is_pure() {
    assert_none(&faults(|source, name| {
        let is_tried = source.module.iter().any(|part| part == "tests");
        source.module[0] == "domain"
            && !is_tried
            && IMPURE.iter().any(|impure| name.iter().zip(*impure).filter(|(a, b)| a == b).count() == impure.len())
    }));
}

/// A decision may run again, so it must not reach the world; a worker must not hold a transaction while it does.
#[test]
fn decisions_name_no_ports_and_workers_no_transactions() {
    assert_none(&faults(|source, name| {
        let Some(path) = inside(name) else { return false };
        let is = |file: &str| source.module[0] == "engine" && source.module.last().is_some_and(|last| last == file);
        let names = |wanted: [&str; 2]| path.iter().zip(wanted).filter(|(part, wanted)| *part == wanted).count() == 2;
        is("decide") && names(["engine", "ports"]) || is("work") && names(["store", "Tx"])
    }));
}
