//! What conditions promise: they end, they say what is wrong, and a missing value is never false.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn scope() -> Scope {
    Scope::new()
        .with("live", json!({"version": "v42", "since": "2026-11-23T03:00:00Z", "age": "30m", "replicas": 3}))
        .with("now", "2026-11-23T03:30:00Z")
        .with("many", vec![1; 2_000])
}

#[test]
fn conditions_read_numbers_times_and_lengths() {
    for text in [
        "live.replicas + 1 == 4",
        "duration(live.age) < duration('2h')",
        "timestamp(now) - timestamp(live.since) == duration('30m')",
        "many.exists(n, n == 1) && live.version in ['v42']",
        "has(live.version) && !has(live.gone)",
        "many.filter(n, n > 0).map(n, n + 1).size() == 2000",
    ] {
        assert_eq!(holds(text, &scope()), Ok(true), "{text}");
    }
    assert_eq!(evaluate("{'a': live.replicas * 2}", &scope()).unwrap(), json!({"a": 6}));
    assert_eq!(evaluate("timestamp(now) - timestamp(live.since)", &scope()).unwrap(), json!("30m"));
}

#[test]
fn a_missing_value_is_an_error_never_false() {
    for (text, why) in [
        ("gone == 1", "`gone` is not known"),
        ("live.gone == 1", "there is no `gone`"),
        ("false || live.gone", "there is no `gone`"),
        ("live.replicas", "it gives a number, not true or false"),
    ] {
        assert_eq!(holds(text, &scope()).unwrap_err().why, why, "{text}");
    }
}

#[test]
fn what_it_reads_is_listed_without_the_names_of_loops() {
    let condition = Condition::compile("live.tags.exists(t, t.name == good.tag) && mode == 'ask'").unwrap();
    let paths: Vec<String> = condition.variables().iter().map(|path| path.join(".")).collect();
    assert_eq!(paths, ["good.tag", "live.tags", "mode"]);
}

#[test]
fn loops_are_bounded_by_the_values() {
    let nested = "many.all(a, many.all(b, a == b))";
    assert!(holds(nested, &scope()).unwrap_err().why.contains("more than 1000000 items"));
    assert!(Condition::compile("a.all(b, b.all(c, c.all(d, d)))").is_err());
}

#[test]
fn the_largest_conditions_fit_half_a_stack() {
    let largest = [
        format!("{}1{}", "(".repeat(12), ")".repeat(12)),
        format!("{}true", "!".repeat(80)),
        format!("a{}", ".b".repeat(80)),
        format!("live{}", ".b".repeat(22)),
        format!("1{}", " - 1".repeat(80)),
        format!("1{}", " - 1".repeat(22)),
        format!("{}1", "true ? 1 : ".repeat(12)),
        format!("{}1", "false ? (1) : ".repeat(11)),
        format!("true{}", " && true".repeat(40)),
        format!("{}1{}", "[".repeat(12), "]".repeat(12)),
    ];
    let evaluated = std::thread::Builder::new().stack_size(1 << 20).spawn(move || {
        for text in largest {
            drop(holds(&text, &scope()));
        }
    });
    evaluated.unwrap().join().unwrap();
    for text in ["(".repeat(500), "!".repeat(999), "a?".repeat(400), "[".repeat(13), format!("1{}", "-1".repeat(30))] {
        assert!(Condition::compile(&text).is_err());
    }
}

proptest! {
    #[test]
    fn no_text_breaks_the_reader(text in ".{0,60}") {
        drop(holds(&text, &scope()));
    }

    #[test]
    fn no_near_condition_breaks_the_reader(text in r#"([()\[\]{}.?:,!<>=&|+*/% -]|live|many|[0-9]|'|"|in|map|\.all\(x, |has\(|duration\(|r'){0,30}"#) {
        drop(holds(&text, &scope()));
    }
}
