//! What is live, what was good, and why the others were not.

use std::time::Duration;

use proptest::prelude::*;

use super::{Ban, Deployment, Fate, Ledger, Missing, State, is_same_version};
use crate::domain::{
    ids::{DeploymentId, IncidentId},
    people::Actor,
    time::Time,
};

const MINUTE: Duration = Duration::from_mins(1);

fn at(minute: u32) -> Time {
    Time::EPOCH + minute * MINUTE
}

/// The `id`th deployment, of this version, which succeeded at this minute.
fn deployed(id: i64, sha: &str, minute: u32) -> Deployment {
    Deployment {
        id: DeploymentId(id),
        service: "checkout".to_owned(),
        environment: "production".to_owned(),
        repository: None,
        sha: sha.to_owned(),
        version: None,
        by: None,
        source: Actor::Source("ci".to_owned()),
        external: None,
        url: None,
        run: None,
        state: State::Succeeded,
        began_at: None,
        ended_at: Some(at(minute)),
        bake: 30 * MINUTE,
        migration: Some(false),
        incident: None,
        is_incident_declined: false,
        rolled_back_by: None,
        recorded_at: at(minute),
    }
}

fn ban(sha: &str) -> Ban {
    Ban {
        service: "checkout".to_owned(),
        environment: "production".to_owned(),
        sha: sha.to_owned(),
        reason: "bad".to_owned(),
        by: Actor::Bot,
        at: at(0),
    }
}

fn good(ledger: &Ledger, now: u32) -> Result<String, String> {
    let live = ledger.live().unwrap();
    ledger.last_good(live, at(now)).map(|good| good.sha.clone()).map_err(|missing| missing.to_string())
}

#[test]
fn a_deployment_that_succeeded_is_not_yet_a_good_one() {
    let ledger = Ledger::new(vec![deployed(1, "v40", 0), deployed(2, "v41", 100), deployed(3, "v42", 129)], Vec::new());
    assert_eq!(ledger.live().unwrap().sha, "v42");
    assert_eq!(good(&ledger, 130).unwrap(), "v40", "v41 was live for 29 minutes only");
    assert_eq!(ledger.fate(&ledger.deployments()[1], at(500)), Fate::Replaced);
    assert_eq!(ledger.fate(&ledger.deployments()[0], at(158)), Fate::Baking(at(159)));
    assert_eq!(ledger.fate(&ledger.deployments()[0], at(159)), Fate::Good);
    let longer = Ledger::new(vec![deployed(1, "v40", 0), deployed(2, "v41", 100), deployed(3, "v42", 130)], Vec::new());
    assert_eq!(good(&longer, 131).unwrap(), "v41");
}

#[test]
fn what_had_an_incident_or_is_banned_or_was_rolled_back_is_not_good() {
    let all = || vec![deployed(1, "v40", 0), deployed(2, "v41", 100), deployed(3, "v42", 200)];
    let with = |change: fn(&mut Deployment)| {
        let mut deployments = all();
        change(&mut deployments[1]);
        Ledger::new(deployments, Vec::new())
    };
    assert_eq!(good(&Ledger::new(all(), Vec::new()), 201).unwrap(), "v41");
    assert_eq!(good(&Ledger::new(all(), vec![ban("V41")]), 201).unwrap(), "v40");
    assert_eq!(good(&with(|it| it.incident = Some(IncidentId(1))), 201).unwrap(), "v40");
    assert_eq!(good(&with(|it| it.rolled_back_by = Some(DeploymentId(3))), 201).unwrap(), "v40");
    assert_eq!(good(&with(|it| it.state = State::Failed), 201).unwrap(), "v40");
    let declined = with(|it| (it.incident, it.is_incident_declined) = (Some(IncidentId(1)), true));
    assert_eq!(good(&declined, 201).unwrap(), "v41", "it was no incident");
    let none = Ledger::new(all(), vec![ban("v40"), ban("v41")]);
    let said = good(&none, 201).unwrap_err();
    assert_eq!(said, "no_last_good: no version before `v42` is known to be good: `v41` banned, `v40` banned");
}

#[test]
fn what_is_not_known_is_said() {
    let empty = Ledger::default();
    let missing = empty.found(("checkout", "production"), None).unwrap_err();
    assert!(matches!(missing, Missing::Live(..)), "{missing}");
    let one = Ledger::new(vec![deployed(1, "v42", 0), deployed(2, "v42", 60)], Vec::new());
    assert_eq!(good(&one, 61).unwrap_err(), "no_last_good: the ledger knows no other version before `v42`");
    assert!(one.found(("checkout", "production"), Some("v41")).is_err());
    assert_eq!(one.found(("checkout", "production"), Some("v42")).unwrap().id, DeploymentId(2));
}

#[test]
fn going_back_is_safe_only_if_everything_between_says_that_it_brought_no_migration() {
    let between = |state, migration| {
        let mut deployments = vec![deployed(1, "v40", 0), deployed(2, "v41", 100), deployed(3, "v42", 200)];
        (deployments[1].state, deployments[1].migration) = (state, migration);
        let ledger = Ledger::new(deployments, Vec::new());
        ledger.is_reversible(&ledger.deployments()[2], ledger.live().unwrap())
    };
    assert_eq!(between(State::Succeeded, Some(false)), Some(true));
    assert_eq!(between(State::Succeeded, Some(true)), Some(false));
    assert_eq!(between(State::Succeeded, None), None, "unknown stays unknown");
    assert_eq!(between(State::Failed, Some(true)), Some(false), "its migration may have been done all the same");
    let mut deployments = vec![deployed(1, "v40", 0), deployed(2, "v41", 100)];
    deployments[0].migration = Some(true);
    let ledger = Ledger::new(deployments, Vec::new());
    assert_eq!(
        ledger.is_reversible(&ledger.deployments()[1], ledger.live().unwrap()),
        Some(true),
        "what the good one itself brought stays"
    );
}

#[test]
fn an_earlier_version_rolls_back_what_came_since_and_its_return_does_not() {
    let mut deployments = vec![deployed(1, "v41", 0), deployed(2, "v42", 100), deployed(3, "v41", 110)];
    let ledger = Ledger::new(deployments.clone(), Vec::new());
    assert_eq!(ledger.rolled_back_by(ledger.live().unwrap()), [DeploymentId(2)]);
    deployments[1].rolled_back_by = Some(DeploymentId(3));
    deployments.push(deployed(4, "v42", 200));
    let again = Ledger::new(deployments, Vec::new());
    assert!(again.rolled_back_by(again.live().unwrap()).is_empty(), "v42 comes back: that is no rollback of v41");
    let on = Ledger::new(vec![deployed(1, "v41", 0), deployed(2, "v42", 100)], Vec::new());
    assert!(on.rolled_back_by(on.live().unwrap()).is_empty());
}

#[test]
fn an_incident_belongs_to_what_was_live_then_and_had_not_baked() {
    let ledger = Ledger::new(vec![deployed(1, "v41", 0), deployed(2, "v42", 100)], Vec::new());
    let at_minute = |minute| ledger.baking_at(at(minute)).map(|deployment| deployment.sha.as_str());
    assert_eq!([at_minute(29), at_minute(30), at_minute(99)], [Some("v41"), None, None]);
    assert_eq!([at_minute(100), at_minute(129), at_minute(130)], [Some("v42"), Some("v42"), None]);
}

#[test]
fn a_hash_may_be_cut_short_and_nothing_else() {
    let sha = "1f0c9a2b3d4e5f60718293a4b5c6d7e8f9012345";
    assert!(is_same_version(sha, "1F0C9A2") && is_same_version("1f0c9a2b", sha) && is_same_version("v41", "V41"));
    assert!(!is_same_version(sha, "1f0c9a") && !is_same_version("v4", "v41") && !is_same_version(sha, "1f0c9a3"));
}

proptest! {
    /// Whatever was deployed and became of it, the last good one is older, another version, and good by itself.
    #[test]
    fn the_last_good_one_is_good(
        rows in proptest::collection::vec((0_u8..5, 0_u32..300, any::<bool>(), any::<bool>(), 0_u8..3), 1..12),
        now in 300_u32..400,
    ) {
        let deployments: Vec<Deployment> = rows.iter().zip(1..).map(|((version, minute, had, back, state), id)| Deployment {
            incident: had.then_some(IncidentId(1)),
            rolled_back_by: back.then_some(DeploymentId(9)),
            state: [State::Pending, State::Failed, State::Succeeded][usize::from(*state)],
            ..deployed(id, &format!("v{version}"), *minute)
        }).collect();
        let ledger = Ledger::new(deployments, vec![ban("v0")]);
        if let Some(live) = ledger.live()
            && let Ok(good) = ledger.last_good(live, at(now))
        {
            prop_assert!(good.since() <= live.since() && good.sha != live.sha && good.sha != "v0");
            prop_assert!(good.state == State::Succeeded && good.incident.is_none() && good.rolled_back_by.is_none());
            prop_assert!(ledger.has_baked(good, at(now)));
        }
    }
}
