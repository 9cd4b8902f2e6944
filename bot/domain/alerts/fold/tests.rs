//! The rules as examples, then the properties that hold for any sequence of statements.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::domain::alerts::labels::Labels;

const MINUTE: i64 = 60_000;

fn at(minutes: i64) -> Time {
    Time::from_millis(1_795_000_000_000 + minutes * MINUTE)
}

fn says(replica: &str, starts: i64, says: Says) -> Signal {
    Signal {
        source: "alertmanager".to_owned(),
        labels: Labels::from_iter([("alertname", "Disk"), ("replica", replica)]),
        annotations: BTreeMap::new(),
        says,
        starts_at: Some(at(starts)),
        generator_url: None,
    }
}

fn firing(starts: i64) -> Signal {
    says("", starts, Says::Firing { ends_at: None })
}

fn resolved(starts: i64, ended: i64) -> Signal {
    says("", starts, Says::Resolved { at: Some(at(ended)) })
}

/// Folds statements, each about the alert that its labels name.
fn fold_all(known: &BTreeMap<AlertKey, Arc<Alert>>, signals: &[Signal], now: Time, settings: &Settings) -> Changes {
    let keys: Vec<AlertKey> = signals.iter().map(|signal| settings.replica_labels.key(&signal.labels)).collect();
    fold(known, keys.iter().zip(signals), now, settings)
}

/// Plays statements at their minutes; gives what happened and the alert at the end.
fn play(story: &[(i64, Signal)]) -> (Vec<What>, Arc<Alert>) {
    let mut known = BTreeMap::new();
    let mut told = Vec::new();
    for (minute, signal) in story {
        let changes = fold_all(&known, std::slice::from_ref(signal), at(*minute), &Settings::default());
        told.extend(changes.list.iter().map(|change| change.what));
        known.extend(changes.alerts);
    }
    assert_eq!(known.len(), 1);
    (told, known.into_values().next().unwrap())
}

#[test]
fn a_repeat_is_the_same_episode() {
    let (told, alert) = play(&[(1, firing(0)), (241, firing(0))]);
    assert_eq!(told, [What::Fired, What::Repeated]);
    assert_eq!((alert.episode, alert.fired_at, alert.last_seen), (1, at(1), at(241)));
    assert_eq!(alert.deadline(), Some(at(241 + 300)));
}

#[test]
fn a_resolved_alert_fires_again_as_a_new_episode() {
    let (told, alert) = play(&[(1, firing(0)), (20, resolved(0, 19)), (40, firing(39))]);
    assert_eq!(told, [What::Fired, What::Resolved, What::Refired]);
    assert_eq!((alert.episode, alert.starts_at, alert.resolved_at), (2, Some(at(39)), None));
}

#[test]
fn resolved_holds_against_a_late_firing_of_the_same_episode() {
    let story = [(1, firing(0)), (10, resolved(0, 9)), (11, firing(0)), (12, firing(-5)), (12, resolved(0, 9))];
    let (told, alert) = play(&story);
    assert_eq!(told, [What::Fired, What::Resolved, What::Doubted, What::Older, What::Repeated]);
    assert_eq!((alert.state, alert.resolved_at), (AlertState::Resolved, Some(at(9))));
    assert_eq!(sweep([&alert], at(30), &Settings::default()), Changes::default());
}

#[test]
fn a_firing_that_nobody_takes_back_counts_in_the_end() {
    let settings = Settings::default();
    let (told, alert) = play(&[(1, firing(0)), (10, resolved(0, 9)), (11, firing(0))]);
    assert_eq!(told, [What::Fired, What::Resolved, What::Doubted]);
    assert_eq!(alert.due_at(&settings), Some(at(12)));
    let changes = sweep([&alert], at(12), &settings);
    let alert = &changes.list[0].alert;
    assert_eq!(
        changes.list.iter().map(|change| change.what).collect::<Vec<_>>(),
        [What::Refired, What::FlappingStarted]
    );
    assert_eq!((alert.state, alert.episode, alert.fired_at), (AlertState::Firing, 2, at(11)));
    assert_eq!(alert.deadline(), Some(at(11 + 300)), "silence counts from when it was heard");
}

#[test]
fn two_senders_of_one_alert_are_two_voices() {
    let direct = |starts, says| Signal { source: "direct".to_owned(), ..self::says("", starts, says) };
    let (told, alert) = play(&[
        (1, firing(0)),
        (3, direct(2, Says::Firing { ends_at: None })),
        (5, direct(2, Says::Resolved { at: Some(at(5)) })),
        (6, firing(0)),
        (9, resolved(0, 9)),
    ]);
    assert_eq!(told, [What::Fired, What::Repeated, What::ReplicaResolved, What::Repeated, What::Resolved]);
    assert_eq!((alert.episode, alert.resolved_at), (1, Some(at(9))));
}

#[test]
fn a_source_whose_clock_is_ahead_says_one_episode_once() {
    let (told, alert) = play(&[(1, firing(10)), (6, firing(10)), (7, firing(10))]);
    assert_eq!(told, [What::Fired, What::Repeated, What::Repeated]);
    assert_eq!(alert.episode, 1);
}

#[test]
fn what_fires_on_from_the_same_beginning_is_not_lost() {
    let story = [(1, firing(0)), (10, resolved(0, 9)), (13, firing(0)), (14, firing(0)), (20, resolved(0, 19))];
    let (told, alert) = play(&story);
    let expected = [What::Fired, What::Resolved, What::Refired, What::FlappingStarted, What::Repeated, What::Resolved];
    assert_eq!((told.as_slice(), alert.episode), (expected.as_slice(), 2));
}

#[test]
fn a_late_resolved_does_not_end_a_newer_episode() {
    let (told, alert) = play(&[(1, firing(0)), (20, resolved(0, 19)), (40, firing(39)), (41, resolved(0, 19))]);
    assert_eq!(told.last(), Some(&What::Older));
    assert_eq!(alert.state, AlertState::Firing);
}

#[test]
fn resolved_of_an_unknown_alert_leaves_nothing() {
    let changes = fold_all(&BTreeMap::new(), &[resolved(0, 1)], at(2), &Settings::default());
    assert_eq!(changes.list.iter().map(|change| change.what).collect::<Vec<_>>(), [What::ResolvedUnknown]);
    assert!(changes.alerts.is_empty());
}

#[test]
fn an_end_that_no_source_told_makes_a_new_episode() {
    let (told, alert) = play(&[(1, firing(0)), (120, firing(119)), (121, firing(0))]);
    assert_eq!(told, [What::Fired, What::Refired, What::Older]);
    assert_eq!(alert.episode, 2);
    let (told, _) = play(&[(1, firing(0)), (60, firing(0)), (61, firing(30))]);
    assert_eq!(told.last(), Some(&What::Repeated), "it was heard after that beginning, so it never ended");
}

#[test]
fn two_replicas_are_one_alert_and_both_must_resolve() {
    let fires = |replica, starts| says(replica, starts, Says::Firing { ends_at: None });
    let ends = |replica, starts, ended| says(replica, starts, Says::Resolved { at: Some(at(ended)) });
    let (told, alert) = play(&[
        (1, fires("a", 0)),
        (2, fires("b", 1)),
        (10, ends("a", 0, 9)),
        (11, fires("b", 1)),
        (20, ends("b", 1, 19)),
    ]);
    assert_eq!(told, [What::Fired, What::Repeated, What::ReplicaResolved, What::Repeated, What::Resolved]);
    assert_eq!((alert.episode, alert.resolved_at), (1, Some(at(19))));
    assert_eq!(alert.labels, Labels::from_iter([("alertname", "Disk")]));
}

#[test]
fn a_replica_that_fell_silent_keeps_the_alert_from_resolving() {
    let short = says("b", 0, Says::Firing { ends_at: Some(at(5)) });
    let ends = says("a", 0, Says::Resolved { at: Some(at(9)) });
    let (told, alert) = play(&[(1, says("a", 0, Says::Firing { ends_at: None })), (2, short), (10, ends)]);
    assert_eq!(told, [What::Fired, What::Repeated, What::WentStale]);
    assert_eq!((alert.state, alert.silent_since()), (AlertState::Stale, Some(at(2))));
}

#[test]
fn silence_makes_it_stale_and_a_word_brings_it_back() {
    let settings = Settings::default();
    let (_, alert) = play(&[(1, firing(0))]);
    assert_eq!(alert.due_at(&settings), Some(at(301)));
    assert_eq!(sweep([&alert], at(300), &settings), Changes::default());
    let stale = sweep([&alert], at(301), &settings);
    assert_eq!(stale.list[0].what, What::WentStale);
    assert_eq!(stale.list[0].alert.silent_since(), Some(at(1)));
    let back = fold_all(&stale.alerts, &[firing(0)], at(310), &settings);
    assert_eq!((back.list[0].what, back.list[0].alert.episode), (What::HeardAgain, 1));
    let anew = fold_all(&stale.alerts, &[firing(308)], at(310), &settings);
    assert_eq!((anew.list[0].what, anew.list[0].alert.episode), (What::Refired, 2));
    let over = fold_all(&stale.alerts, &[resolved(0, 309)], at(310), &settings);
    assert_eq!((over.list[0].what, over.list[0].alert.resolved_at), (What::Resolved, Some(at(309))));
}

#[test]
fn deadlines_that_passed_while_the_bot_was_down_get_one_window() {
    let settings = Settings::default();
    let short = says("", 0, Says::Firing { ends_at: Some(at(5)) });
    let (_, alert) = play(&[(1, short)]);
    let extended = after_deafness([&alert], at(60), &settings);
    assert_eq!(extended.list[0].what, What::Extended);
    let alert = extended.list[0].alert.clone();
    assert_eq!((alert.state, alert.deadline()), (AlertState::Firing, Some(at(64))), "the source's own window: 4 min");
    assert_eq!(sweep([&alert], at(64), &settings).list[0].what, What::WentStale);
    assert_eq!(after_deafness([&alert], at(63), &settings), Changes::default());
}

#[test]
fn three_changes_in_a_quarter_hour_flap_and_quiet_ends_it() {
    let settings = Settings::default();
    let (told, alert) = play(&[(1, firing(0)), (5, resolved(0, 4)), (16, firing(15))]);
    assert_eq!(told, [What::Fired, What::Resolved, What::Refired, What::FlappingStarted]);
    assert_eq!(alert.due_at(&settings), Some(at(31)));
    assert_eq!(sweep([&alert], at(30), &settings), Changes::default());
    assert_eq!(sweep([&alert], at(31), &settings).list[0].what, What::FlappingEnded);
    let (told, _) = play(&[(1, firing(0)), (5, resolved(0, 4)), (17, firing(16))]);
    assert!(!told.contains(&What::FlappingStarted));
    let (told, _) = play(&[(1, firing(0)), (5, resolved(0, 4)), (9, firing(8)), (60, resolved(8, 59))]);
    assert_eq!(told[3..], [What::FlappingStarted, What::FlappingEnded, What::Resolved]);
}

#[test]
fn a_source_without_times_still_makes_episodes() {
    let timeless = |says| Signal { starts_at: None, ..self::says("", 0, says) };
    let fires = timeless(Says::Firing { ends_at: None });
    let ends = timeless(Says::Resolved { at: None });
    let (told, alert) = play(&[(1, fires.clone()), (2, fires.clone()), (30, ends), (60, fires)]);
    assert_eq!(told, [What::Fired, What::Repeated, What::Resolved, What::Refired]);
    assert_eq!((alert.episode, alert.starts_at), (2, None));
}

#[test]
fn an_end_in_the_future_is_not_believed() {
    let (_, alert) = play(&[(1, firing(0)), (10, resolved(0, 500))]);
    assert_eq!(alert.resolved_at, Some(at(10)));
}

#[test]
fn more_replicas_than_are_kept_do_not_grow_the_alert() {
    let story: Vec<_> = (0..100).map(|n| (n, says(&format!("r{n}"), 0, Says::Firing { ends_at: None }))).collect();
    let (_, alert) = play(&story);
    assert_eq!(alert.voices.len(), VOICES);
}

fn any_signal() -> impl Strategy<Value = Signal> {
    let statement = prop_oneof![
        3 => proptest::option::of(0_i64..60).prop_map(|ends| Says::Firing { ends_at: ends.map(at) }),
        2 => proptest::option::of(0_i64..60).prop_map(|ended| Says::Resolved { at: ended.map(at) }),
    ];
    (0..3_u8, "[ab]?", proptest::option::of(0_i64..60), statement).prop_map(|(which, replica, starts, statement)| {
        let labels = [("alertname", format!("A{which}")), ("replica", replica)];
        Signal { labels: labels.into_iter().collect(), starts_at: starts.map(at), ..says("", 0, statement) }
    })
}

/// Statements in deliveries, each with its minute, the minutes not going back.
fn any_story() -> impl Strategy<Value = Vec<(i64, Vec<Signal>)>> {
    let delivery = (0_i64..12, proptest::collection::vec(any_signal(), 0..6));
    proptest::collection::vec(delivery, 0..12).prop_map(|mut story| {
        let mut minute = 0;
        for (moment, _) in &mut story {
            minute += *moment;
            *moment = minute;
        }
        story
    })
}

fn settings() -> Settings {
    Settings { silent_after: Duration::from_mins(10), ..Settings::default() }
}

proptest! {
    #[test]
    fn folding_a_batch_is_folding_one_by_one(story in any_story()) {
        let mut known = BTreeMap::new();
        for (minute, signals) in story {
            let whole = fold_all(&known, &signals, at(minute), &settings());
            let mut single = known.clone();
            let mut list = Vec::new();
            for signal in &signals {
                let changes = fold_all(&single, std::slice::from_ref(signal), at(minute), &settings());
                list.extend(changes.list);
                single.extend(changes.alerts);
            }
            prop_assert_eq!(&whole.list, &list);
            known.extend(whole.alerts);
            prop_assert_eq!(&known, &single);
        }
    }

    #[test]
    fn no_state_changes_untold_and_only_a_statement_resolves(story in any_story()) {
        let mut known: BTreeMap<AlertKey, Arc<Alert>> = BTreeMap::new();
        for (minute, signals) in story {
            let swept = sweep(known.values(), at(minute), &settings());
            prop_assert!(swept.list.iter().all(|change| change.what != What::Resolved));
            let mut after = known.clone();
            after.extend(swept.alerts.clone());
            let folded = fold_all(&after, &signals, at(minute), &settings());
            after.extend(folded.alerts.clone());
            for (key, alert) in &after {
                let mut told = swept.list.iter().chain(&folded.list).filter(|change| change.alert.key == *key).peekable();
                let was = known.get(key);
                if was.map(|was| (was.state, was.episode)) != Some((alert.state, alert.episode)) {
                    prop_assert!(told.clone().any(|change| change.what.moves()));
                }
                if was.is_some_and(|was| was.flapping != alert.flapping) {
                    let kinds = [What::FlappingStarted, What::FlappingEnded];
                    prop_assert!(told.clone().any(|change| kinds.contains(&change.what)));
                }
                let resolves = |change: &&Change| change.what == What::Resolved && change.source.is_some();
                if alert.state == AlertState::Resolved && was.is_none_or(|was| was.state != AlertState::Resolved) {
                    prop_assert!(told.any(|change| resolves(&change)));
                }
                let speaks = alert.voices.values().any(|voice| voice.firing);
                prop_assert_eq!(alert.state == AlertState::Resolved, !speaks);
                prop_assert_eq!(alert.resolved_at.is_some(), alert.state == AlertState::Resolved);
                prop_assert!(alert.episode > 0);
            }
            known = after;
        }
    }

    #[test]
    fn sweeping_twice_does_nothing_more(story in any_story(), later in 0_i64..600) {
        let mut known = BTreeMap::new();
        let mut end = 0;
        for (minute, signals) in story {
            known.extend(fold_all(&known, &signals, at(minute), &settings()).alerts);
            end = minute;
        }
        known.extend(sweep(known.clone().values(), at(end + later), &settings()).alerts);
        prop_assert_eq!(sweep(known.values(), at(end + later), &settings()), Changes::default());
        for alert in known.values() {
            prop_assert!(alert.due_at(&settings()).is_none_or(|due| due > at(end + later)));
        }
    }
}
