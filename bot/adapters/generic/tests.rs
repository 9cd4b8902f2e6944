//! A mapped sender, its faults, and bodies that no one would send.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn mapping() -> GenericMapping {
    toml::from_str(
        r#"
        alerts = "items"
        labels_from = "tags"
        status = "state"
        firing = ["alerting", "true"]
        resolved = ["ok"]
        ignored = ["pending"]
        starts_at = "since"
        resolved_at = "until"
        summary = "rule.title"
        url = "link"
        truncated = "$.left_out"
        delivery = "$.id"
        labels.alertname = "rule.name"
        labels.org = "$.org.name"
        labels.team = { const = "sre" }
        labels.zone = { path = "zone", default = "none" }
        labels.app = "/tags/app.name"
        "#,
    )
    .unwrap()
}

fn item(state: &Value) -> Value {
    json!({"state": state, "since": 1_795_000_000, "until": "2026-11-23T20:30:00+01:00", "link": "",
        "rule": {"name": "Lag", "title": "too slow"}, "tags": {"app.name": "cart", "n": 5, "deep": {"x": 1}, "no": null}})
}

fn read(items: &[Value]) -> Result<Batch, Malformed> {
    let body = json!({"id": "d-1", "org": {"name": "acme"}, "left_out": 2, "items": items});
    parse(body.to_string().as_bytes(), "lagwatch", &mapping())
}

#[test]
fn the_mapping_finds_every_part() {
    assert!(mapping().problems().is_empty());
    let batch = read(&[item(&json!("Alerting")), item(&json!("pending")), item(&json!("ok"))]).unwrap();
    assert_eq!((batch.truncated, batch.source_key.as_deref()), (2, Some("d-1")));
    let [fires, ends] = batch.signals.as_slice() else { panic!("{batch:?}") };
    let labels: Vec<_> = fires.labels.iter().collect();
    let expected = [
        ("alertname", "Lag"),
        ("app", "cart"),
        ("app.name", "cart"),
        ("n", "5"),
        ("org", "acme"),
        ("team", "sre"),
        ("zone", "none"),
    ];
    assert_eq!(labels, expected);
    assert_eq!(fires.says, Says::Firing { ends_at: None });
    assert_eq!(fires.starts_at, Some(Time::from_millis(1_795_000_000_000)));
    assert_eq!(fires.annotations["summary"], "too slow");
    assert_eq!(ends.says, Says::Resolved { at: Some("2026-11-23T19:30:00Z".parse().unwrap()) });
}

#[test]
fn a_body_that_is_one_alert_needs_no_list() {
    let mapping: GenericMapping = toml::from_str("labels.alertname = \"name\"").unwrap();
    let batch = parse(br#"{"name":"Lag"}"#, "s", &mapping).unwrap();
    assert_eq!((batch.signals.len(), batch.signals[0].labels.alertname()), (1, "Lag"));
    let refused = parse(b"{}", "s", &mapping).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "`name`: it is missing; this source is mapped to `name`\n\
         hint: mend the source's mapping, or give the part a `default`"
    );
}

#[test]
fn a_fault_is_named_with_its_place() {
    let with = |field: &str, value: Value| {
        let mut item = item(&json!("ok"));
        item[field] = value;
        read(&[self::item(&json!(true)), item]).unwrap_err().to_string()
    };
    for (refused, says) in [
        (
            with("state", json!("odd")),
            "`items[1].state`: `odd` is neither firing (`alerting`, `true`) nor resolved (`ok`)",
        ),
        (with("since", json!("yesterday")), "`items[1].since`: `yesterday` is not a time"),
        (with("since", json!(-4)), "`items[1].since`: `-4` is not a time in seconds or milliseconds"),
        (with("rule", json!("x")), "`items[1].rule.name`: it is missing; this source is mapped to `rule.name`"),
        (with("rule", json!({"name": []})), "`items[1].rule.name`: a list is not a text"),
        (with("tags", json!([])), "`items[1].tags`: a list is not an object"),
        (parse(b"{\"items\": 5}", "s", &mapping()).unwrap_err().to_string(), "`items`: a number is not a list"),
        (parse(b"{", "s", &mapping()).unwrap_err().to_string(), "`body`: EOF while parsing"),
    ] {
        assert!(refused.starts_with(says), "{refused}");
    }
}

#[test]
fn a_mapping_that_cannot_work_is_refused_when_it_is_read() {
    assert_eq!(GenericMapping::default().problems().len(), 1);
    for (text, says) in [
        ("status = \"a..b\"", "a step is empty"),
        ("labels.a = { path = 5 }", "a path such as `rule.name`"),
        ("lables.a = \"x\"", "unknown field `lables`"),
    ] {
        let error = toml::from_str::<GenericMapping>(text).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    let both: GenericMapping = toml::from_str("status = \"s\"\nfiring = [\"a\"]\nresolved = [\"a\"]").unwrap();
    assert_eq!(both.problems().len(), 2);
}

#[test]
fn an_empty_name_of_a_delivery_is_none() {
    let mapping: GenericMapping = toml::from_str("labels.alertname = \"a\"\ndelivery = \"id\"").unwrap();
    let key = |body: &str| parse(body.as_bytes(), "uptime", &mapping).unwrap().source_key;
    assert_eq!(key(r#"{"a":"x","id":""}"#), None);
    assert_eq!(key(r#"{"a":"x","id":7}"#), Some("7".to_owned()));
}

#[test]
fn times_are_read_in_the_ways_that_senders_write_them() {
    let millis = |value: Value| moment(&value).unwrap().map(Time::millis);
    assert_eq!(millis(json!(1_795_000_000)), Some(1_795_000_000_000));
    assert_eq!(millis(json!(1_795_000_000_123_u64)), Some(1_795_000_000_123));
    assert_eq!(millis(json!(1.5)), Some(1_500));
    for none in [json!(0), json!(""), json!("0001-01-01T00:00:00Z"), json!(null)] {
        assert_eq!(millis(none), None);
    }
    assert!(moment(&json!(1e300)).is_err() && moment(&json!(true)).is_err());
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,6}|ok|alerting|\u{0}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 6, |inner| {
        let name = "items|tags|state|rule|name|since|until|zone|org|\\PC{0,4}";
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map(name, inner, 0..8)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_json_breaks_the_reader(
        body in any_json(),
        part in any_json(),
        field in "state|since|until|tags|rule|zone|link",
    ) {
        drop(parse(body.to_string().as_bytes(), "s", &mapping()));
        let mut whole = item(&json!("ok"));
        whole[field] = part;
        drop(read(&[whole.clone(), whole]));
        drop(parse(body.to_string().as_bytes(), "s", &GenericMapping {
            labels_from: Some("$".parse().unwrap()), ..GenericMapping::default()
        }));
    }

    #[test]
    fn no_bytes_break_the_reader(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        drop(parse(&body, "s", &mapping()));
    }

    #[test]
    fn no_text_breaks_a_path(text in ".*", shaped in "\\$?[./]?[a-z0-9~]{0,3}([./][a-z0-9~]{0,3}){0,3}") {
        for text in [text, shaped] {
            if let Ok(path) = text.parse::<Path>() {
                prop_assert_eq!(path.to_string(), text);
            }
        }
    }
}
