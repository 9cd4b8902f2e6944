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
    assert!(holds(nested, &scope()).unwrap_err().why.contains("more than 100000 items"));
    let few = Scope::new().with("many", vec!["a"; 300]);
    assert_eq!(holds("many.all(a, many.all(b, a == b))", &few), Ok(true));
    for text in ["many.map(a, many.map(b, many)).size() > 0", "many.map(a, many.map(b, a)).size() > 0"] {
        let lists = Scope::new().with("many", vec![vec!["a"; 100]; 100]);
        assert!(holds(text, &lists).unwrap_err().why.contains("more than 100000 items"), "{text}");
    }
    let long = few.clone().with("text", "x".repeat(10_000));
    assert!(evaluate("many.map(a, text)", &long).unwrap_err().why.contains("more than 1048576 bytes"));
    let matching = "many.all(a, a.matches('a+'))";
    assert_eq!(holds(matching, &few), Ok(true));
    assert!(holds(matching, &few.with("more", vec![1; 1_001])).unwrap_err().why.contains("more than 1000 items"));
    assert!(Condition::compile("a.all(b, b.all(c, c.all(d, d)))").is_err());
}

#[test]
fn a_pattern_is_written_down_and_small() {
    for (text, why) in [
        ("live.version.matches('(\\\\pL{1,50}){1,10}')", "stands for too much"),
        ("live.version.matches('(')", "is not a pattern"),
        ("live.version.matches(live.since)", "is written in the condition itself"),
    ] {
        assert!(Condition::compile(text).unwrap_err().what.contains(why), "{text}");
    }
    assert_eq!(holds("live.version.matches('^v[0-9]{1,4}$')", &scope()), Ok(true));
}

/// The slowest conditions that are let through; `--nocapture` shows how long they take.
#[test]
fn the_slowest_conditions_end() {
    let many = |length: usize| Scope::new().with("many", vec!["aaaaaaaaaaaaaaaa"; length]);
    for (text, length) in [
        ("many.all(n, n == n)", MOST_ITEMS),
        ("many.all(a, many.all(b, a == b))", 316),
        ("many.all(a, a.matches('^a{1,400}$') && a.matches('^(a|b|c){1,60}$'))", MOST_MATCHES),
    ] {
        let begun = std::time::Instant::now();
        let held = holds(text, &many(length));
        println!("{text}: {:?}", begun.elapsed());
        assert_eq!(held, Ok(true), "{text}");
    }
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

#[test]
fn what_is_compared_with_a_length_or_a_moment_is_read_as_one() {
    let live = json!({ "age": "51h20m0s", "since": "2026-11-23T02:50:00Z", "version": "v42", "none": null });
    let scope = Scope::new().with("live", live.clone()).with("all", json!([live]));
    for (text, answer) in [
        ("live.age < duration('52h')", Some(true)),
        ("duration('52h') < live.age", Some(false)),
        ("!(live.age >= duration('50h')) || mode == 'x'", None),
        ("live.age > duration('1h') && live.since < timestamp('2026-11-23T03:00:00Z')", Some(true)),
        ("all.exists(one, one.age > duration('51h'))", Some(true)),
        ("live.version < duration('1h')", None),
        ("live.none < duration('1h')", None),
        ("live.gone < duration('1h')", None),
    ] {
        assert_eq!(holds(text, &scope).ok(), answer, "{text}");
    }
}
