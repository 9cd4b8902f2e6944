//! What people do to incidents, and what they may not.

use super::*;

#[tokio::test]
async fn a_declined_incident_stays_quiet_until_its_alerts_resolve() {
    let world = World::new().await;
    world.fires("Errors").await;
    let reply = world.says("ada", "/incident decline \"a test\" incident:INC-1").await;
    assert_eq!(reply, "ada declined INC-1: a test\nIts alert stays quiet until it resolves");
    world.pass(6 * Duration::from_hours(1)).await;
    world.fires("Errors").await;
    assert_eq!((world.phase(1).await, world.how_many().await), (Phase::Declined, 1));
    world.clears("Errors").await;
    world.pass(5 * MINUTE).await;
    world.fires("Errors").await;
    assert_eq!((world.phase(1).await, world.phase(2).await), (Phase::Declined, Phase::Triage));
}

#[tokio::test]
async fn a_higher_severity_breaks_the_quiet_of_a_declined_incident() {
    let world = World::new().await;
    world.fires("Errors").await;
    world.says("ada", "/incident decline \"a test\" incident:INC-1").await;
    world.send(&[("Errors", "SEV1")], Says::Firing { ends_at: None }, 0).await;
    assert_eq!((world.phase(1).await, world.incident(2).await.severity), (Phase::Declined, Severity::Sev1));
}

#[tokio::test]
async fn what_has_cleared_is_watched_on_where_it_is_merged_into() {
    let world = World::new().await;
    world.fires("Errors").await;
    world.clears("Errors").await;
    world.says("ada", "/incident declare title:\"the shop is down\"").await;
    world.says("ada", "/incident merge into:INC-2 incident:INC-1").await;
    assert_eq!(world.phase(2).await, Phase::Monitoring);
    world.pass(10 * MINUTE).await;
    let events = world.events(2).await;
    assert!(events.iter().any(|event| matches!(event, Event::ResolutionAsked { .. })), "a person is asked: {events:?}");
    assert_eq!(world.incident(2).await.pages, ["role:on-call"]);
}

#[tokio::test]
async fn alerts_of_a_merged_incident_go_to_the_other_one() {
    let world = World::new().await;
    world.says("ada", "/incident declare \"Checkout is broken\" severity:SEV3").await;
    world.fires("Errors").await;
    assert_eq!(world.says("ada", "/incident merge INC-1 incident:INC-2").await, "ada merged INC-2 into INC-1");
    let (merged, target) = (world.incident(2).await, world.incident(1).await);
    assert_eq!((merged.phase, merged.merged_into), (Phase::Merged, Some(IncidentId(1))));
    assert_eq!(target.severity, Severity::Sev2);
    assert_eq!(target.milestones.at(Milestone::Started), merged.milestones.at(Milestone::Started));
    world.fires("Latency").await;
    assert_eq!(world.how_many().await, 2);
    let alerts = world.card(1).await.facts.into_iter().find(|(name, _)| name == "Alerts").unwrap().1;
    assert_eq!(alerts.plain(), "2 firing");
    assert_eq!(
        world.says("ada", "/incident phase triage incident:INC-2").await,
        "Cannot move `INC-2`: it goes on in `INC-1`\nhint: name `INC-1` instead"
    );
    assert_eq!(
        world.says("ada", "/incident merge INC-1 incident:INC-1").await,
        "Cannot merge `INC-1` into itself\nhint: name another incident"
    );
    world.clears("Errors").await;
    world.clears("Latency").await;
    world.pass(30 * MINUTE).await;
    assert_eq!(world.phase(1).await, Phase::Monitoring, "a person declared it, so a person is asked");
}

#[tokio::test]
async fn the_first_person_acknowledges_leads_and_investigates() {
    let world = World::new().await;
    world.fires("Errors").await;
    world.pass(4 * MINUTE).await;
    assert_eq!(world.says("ada", "/incident ack INC-1").await, "ada acknowledged INC-1");
    let incident = world.incident(1).await;
    assert_eq!((incident.phase, incident.lead().unwrap().0.as_str()), (Phase::Investigating, "ada"));
    assert_eq!(incident.milestones.measures()[1].words(), "4 min 0 s");
    assert!(world.says("grace", "/incident ack INC-1").await.ends_with("grace joined"));
    world.says("grace", "/incident role lead incident:INC-1").await;
    let incident = world.incident(1).await;
    assert_eq!(incident.lead().unwrap().0, "grace");
    assert_eq!(
        incident.milestones.mark(Milestone::Acknowledged).unwrap().set_by,
        Actor::Person(PersonId("ada".to_owned()))
    );
    let roles: Vec<Event> =
        world.events(1).await.into_iter().filter(|event| matches!(event, Event::RoleTaken { .. })).collect();
    let person = |name: &str| PersonId(name.to_owned());
    assert_eq!(
        roles,
        [
            Event::RoleTaken { role: Role::Lead, person: person("ada"), before: None },
            Event::RoleTaken { role: Role::Lead, person: person("grace"), before: Some(person("ada")) },
        ]
    );
}

#[tokio::test]
async fn a_person_may_move_the_start_earlier_and_never_later_than_the_alert() {
    let world = World::new().await;
    world.fires("Errors").await;
    assert_eq!(
        world.says("ada", "/incident milestone started at:2026-11-23T02:59:30Z incident:INC-1").await,
        "Cannot set `started` of `INC-1`: an alert says it began no later than `2026-11-23 02:59:00 UTC`\n\
         hint: name an earlier time"
    );
    world.says("ada", "/incident milestone started at:2026-11-23T02:40:00Z incident:INC-1").await;
    let incident = world.incident(1).await;
    let started = incident.milestones.mark(Milestone::Started).unwrap();
    assert_eq!(started.replaced.as_ref().unwrap().value, world.now() - MINUTE);
    assert_eq!(incident.milestones.measures()[0].words(), "20 min 0 s");
    assert!(
        world
            .says("ada", "/incident milestone mitigated at:2027-01-01T00:00:00Z incident:INC-1")
            .await
            .contains("that is in the future")
    );
}

#[tokio::test]
async fn who_may_only_read_changes_nothing() {
    let world = World::new().await;
    world.fires("Errors").await;
    let refusal = world.says("guest", "/incident ack INC-1").await;
    assert!(refusal.starts_with("Cannot run `/incident ack` for `guest`"), "{refusal}");
    assert_eq!(world.phase(1).await, Phase::Triage);
    assert!(world.says("guest", "/incident list").await.starts_with("INC-1 SEV2 triage: Errors is high"));
    let timeline = world.says("guest", "/incident timeline INC-1").await;
    assert!(timeline.starts_with("`INC-1#1` 2026-11-23 03:00:00 UTC firewarden: opened it as `SEV2`"), "{timeline}");
    assert_eq!(
        world.says("ada", "/incident ack INC-9").await,
        "There is no incident `INC-9`\nhint: `/incident list` shows those that are open"
    );
}

/// Opens another incident like this one, and breaks.
struct OpensInVain(Incident);

impl store::Decision for OpensInVain {
    type Answer = ();

    async fn decide(&self, tx: &mut store::Tx) -> store::Result<()> {
        store::incidents::open_new(tx, &self.0).await?;
        Err(store::Fault::defect("as the story wants"))
    }
}

#[tokio::test]
async fn the_number_of_an_incident_that_was_not_kept_is_the_next_ones() {
    let world = World::new().await;
    world.fires("Errors").await;
    let again = OpensInVain(world.incident(1).await);
    world.0.engine.store().decide(again).await.unwrap_err();
    world.says("ada", "/incident declare title:two").await;
    assert_eq!(world.incident(2).await.title, "two");
}
