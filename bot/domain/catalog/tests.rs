//! What a catalog says, and what is wrong with one.

use std::{path::Path, time::Duration};

use super::{Catalog, read};
use crate::domain::runbooks::plan::Operation;

const GOOD: &str = r#"services:
  checkout:
    description: Takes the money
    owner: role:on-call
    repository: acme/shop
    bake: 45m
    runbooks: { rollback: roll-back-the-shop, restart: restart-service }
    environments:
      production: { workload: deployment/checkout, namespace: shop, cluster: eu-1, bake: 1h, runbooks: { restart: kubernetes-restart } }
      staging:
    checks:
      errors: { query: 'service:error_ratio:rate5m{service="checkout"}' }
      health: { url: "https://checkout.example.org/healthz" }
    dependencies: [payments]
  payments:
    repository: Acme/Shop
"#;

fn reads(text: &str) -> Result<Catalog, Vec<String>> {
    let is_somebody =
        |owner: &str| if owner == "role:on-call" { Ok(()) } else { Err("did you mean `role:on-call`?".to_owned()) };
    read(Path::new("services.yaml"), text.as_bytes(), is_somebody)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

#[test]
fn a_service_says_what_it_is_and_where_it_runs() {
    let catalog = reads(GOOD).unwrap();
    let entry = catalog.entry("checkout", "production").unwrap();
    assert_eq!(entry["workload"], "deployment/checkout");
    assert_eq!(entry["checks"]["health"]["url"], "https://checkout.example.org/healthz");
    assert_eq!(catalog.entry("checkout", "elsewhere").unwrap().get("workload"), None, "unknown is not empty");
    assert_eq!(catalog.entry("nobody", "production"), None);
    assert_eq!(catalog.values()["checkout"]["repository"], "acme/shop");
    assert_eq!(catalog.bake("checkout", "production"), Some(Duration::from_hours(1)));
    assert_eq!(catalog.bake("checkout", "staging"), Some(Duration::from_mins(45)));
    assert_eq!(catalog.bake("payments", "staging"), None);
}

#[test]
fn what_people_want_done_is_done_by_the_runbook_of_the_place() {
    let catalog = reads(GOOD).unwrap();
    let named = |operation, environment| catalog.runbook(operation, "checkout", environment);
    assert_eq!(named(Operation::Rollback, "production"), Some("roll-back-the-shop"));
    assert_eq!(named(Operation::Restart, "production"), Some("kubernetes-restart"));
    assert_eq!(named(Operation::Restart, "staging"), Some("restart-service"));
    assert_eq!(named(Operation::Scale, "production"), None);
    assert_eq!(catalog.runbooks().count(), 3);
    assert_eq!(catalog.workload_kind("checkout", "production"), Some("deployment"));
    assert_eq!(catalog.workload_kind("checkout", "staging"), None);
}

#[test]
fn a_repository_stands_for_the_services_that_run_where_it_was_deployed() {
    let catalog = reads(GOOD).unwrap();
    assert_eq!(catalog.of_repository("acme/shop", Some("production")), ["checkout", "payments"]);
    assert_eq!(catalog.of_repository("ACME/shop", Some("elsewhere")), ["payments"], "it names no environments");
    assert_eq!(catalog.of_repository("acme/shop", None), ["checkout", "payments"]);
    assert!(catalog.of_repository("acme/other", None).is_empty());
}

/// Whoever copies the example of the manual has a catalog.
#[test]
fn the_example_of_the_manual_is_in_order() {
    let manual = include_str!("../../../README.md");
    let start = manual.find("```yaml\nservices:").unwrap() + "```yaml\n".len();
    let example = manual[start..].split("```").next().unwrap();
    let catalog = reads(example).unwrap();
    assert_eq!(catalog.services["checkout"].dependencies, ["payments"]);
    assert_eq!(catalog.services["payments"], super::Service::default(), "everything but the name may be left out");
}

#[test]
fn what_is_wrong_is_said_with_its_place_and_how_to_mend_it() {
    for (from, to, says) in [
        (
            "role:on-call",
            "role:on-cal",
            "services.yaml:4:12: nobody is `role:on-cal`\n  hint: did you mean `role:on-call`?",
        ),
        (
            "[payments]",
            "[payment]",
            "services.yaml:14:20: there is no service `payment`\n  hint: did you mean `payments`?",
        ),
        ("[payments]", "[checkout]", "services.yaml:14:20: the service `checkout` needs itself"),
        ("[payments]", "[payments, payments]", "services.yaml:14:30: `payments` stands here twice"),
        ("  payments:", "  checkout:", "services.yaml:15:3: this is not the YAML of a catalog of services"),
        ("acme/shop", "acme", "services.yaml:5:17: `acme` is not a repository"),
        ("deployment/checkout", "checkout", "`checkout` is not a workload"),
        ("workload:", "workloat:", "`workloat` is not a key of an environment\n  hint: did you mean `workload`?"),
        ("{ query: 'service", "{ url: 'service", "is not an address"),
        ("{ query: ", "{ url: \"http://a\", query: ", "the check `errors` is one look"),
        ("bake: 45m", "bake: soon", "`bake` must be a length of time from `1s` to `7d`"),
        ("{ rollback:", "{ roll-back:", "`roll-back` is not a key of `runbooks`\n  hint: did you mean `rollback`?"),
        ("services:", "service:", "`service` is not a key of the catalog\n  hint: did you mean `services`?"),
    ] {
        let bad = GOOD.replacen(from, to, 1);
        assert_ne!(bad, GOOD, "{from}");
        let said = reads(&bad).unwrap_err().join("\n");
        assert!(said.contains(says), "{says} is not in\n{said}");
    }
    assert!(read(Path::new("a"), b"\xff", |_| Ok(())).is_err());
    assert!(reads("").is_err() && reads("services:").is_err() && reads("[]").is_err());
}
