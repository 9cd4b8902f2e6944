//! What alerts and the passing of time do to incidents.

use super::*;

#[tokio::test]
async fn an_alert_opens_an_incident_with_its_times_and_pages() {
    let world = World::new().await;
    world.fires("Errors").await;
    let incident = world.incident(1).await;
    assert_eq!(
        (incident.title.as_str(), incident.severity, incident.phase),
        ("Errors is high", Severity::Sev2, Phase::Triage)
    );
    let started = incident.milestones.mark(Milestone::Started).unwrap();
    assert!(started.is_bound() && started.value == world.now() - MINUTE);
    assert_eq!(started.set_by, Actor::Source("prometheus".to_owned()));
    assert_eq!(incident.milestones.at(Milestone::Detected), Some(world.now()));
    assert_eq!(incident.milestones.at(Milestone::Acknowledged), None);
    let mut reader = world.0.engine.read().await.unwrap();
    let shown = store::cards::about(&mut reader, "INC-1").await.unwrap().unwrap();
    assert!(shown.is_page && shown.channel == "shop");
    assert_eq!(labels(&world.card(1).await), ["Acknowledge", "Resolve", "Note", "Runbooks", "Timeline"]);
    let entries = world.entries(1).await;
    let kinds: Vec<&str> = entries.iter().map(|entry| entry.draft.kind.as_str()).collect();
    assert_eq!(kinds, ["incident_opened", "alert_fired", "paged"]);
    assert_eq!(entries[1].draft.source_at, Some(world.now() - MINUTE));
    verify(&entries).unwrap();
}

#[tokio::test]
async fn what_no_route_takes_opens_an_incident_that_says_so() {
    let world = World::new().await;
    let signal = Signal {
        source: "generic".to_owned(),
        labels: Labels::from_iter([("alertname", "Odd")]),
        annotations: [].into(),
        says: Says::Firing { ends_at: None },
        starts_at: None,
        generator_url: None,
    };
    let batch = Batch { source: "generic".to_owned(), signals: vec![signal], truncated: 0, source_key: None };
    world.0.engine.submit(Input::Alerts(vec![Arc::new(batch)])).await.unwrap();
    let incident = world.incident(1).await;
    assert_eq!((incident.channel.as_str(), incident.milestones.at(Milestone::Started)), ("ops", None));
    let events = world.events(1).await;
    assert!(matches!(&events[0], Event::IncidentOpened { reason, .. } if reason == "no_route"));
    assert!(events.contains(&Event::Paged { who: Vec::new(), reason: "no_route".to_owned() }));
}

#[tokio::test]
async fn a_storm_is_one_incident_one_card_and_no_post() {
    let world = World::new().await;
    let names: Vec<String> = (0..250).map(|number| format!("Alert{number}")).collect();
    let alerts: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "SEV2")).collect();
    world.send(&alerts, Says::Firing { ends_at: None }, 0).await;
    assert_eq!(world.how_many().await, 1);
    assert_eq!(world.posts().await, []);
    let mut reader = world.0.engine.read().await.unwrap();
    assert_eq!(store::cards::about(&mut reader, "INC-1").await.unwrap().unwrap().wanted, 1);
    let alerts = world.card(1).await.facts.into_iter().find(|(name, _)| name == "Alerts").unwrap().1;
    assert_eq!(alerts.plain(), "250 firing");
}

#[tokio::test]
async fn a_higher_severity_raises_the_incident_and_pages_again() {
    let world = World::new().await;
    world.fires("Errors").await;
    world.send(&[("Down", "SEV1")], Says::Firing { ends_at: None }, 0).await;
    let incident = world.incident(1).await;
    assert_eq!((incident.severity, incident.peak_severity), (Severity::Sev1, Severity::Sev1));
    assert_eq!(
        world.posts().await,
        [(true, "SEV1 INC-1 is worse than before: Errors is high\nfor on-call ada grace".to_owned())]
    );
    world.says("ada", "/incident severity SEV3 incident:INC-1").await;
    let incident = world.incident(1).await;
    assert_eq!((incident.severity, incident.peak_severity), (Severity::Sev3, Severity::Sev1));
    assert_eq!(world.posts().await.len(), 1, "a lower severity pages nobody");
}

#[tokio::test]
async fn resolved_alerts_and_quiet_resolve_an_incident_at_the_last_clearing() {
    let world = World::new().await;
    world.fires("Errors").await;
    world.pass(20 * MINUTE).await;
    world.clears("Errors").await;
    let cleared = world.now();
    assert_eq!(world.phase(1).await, Phase::Monitoring);
    world.pass(Duration::from_secs(599)).await;
    assert_eq!(world.phase(1).await, Phase::Monitoring);
    world.pass(Duration::from_secs(1)).await;
    let incident = world.incident(1).await;
    assert_eq!(incident.phase, Phase::Resolved);
    let resolved = incident.milestones.mark(Milestone::Resolved).unwrap();
    assert_eq!((resolved.value, resolved.confirmed), (cleared, Some(cleared + 10 * MINUTE)));
    let entry = world.entries(1).await.into_iter().find(|entry| entry.reference == resolved.from).unwrap();
    assert_eq!(entry.draft.kind, "alert_cleared");
    assert_eq!(incident.milestones.at(Milestone::Mitigated), Some(cleared));
    assert_eq!(incident.milestones.measures()[3].words(), "at least 21 min 0 s");
    verify(&world.entries(1).await).unwrap();
}

#[tokio::test]
async fn a_refire_within_the_quiet_time_returns_to_the_prior_phase_and_takes_mitigated_back() {
    let world = World::new().await;
    world.fires("Errors").await;
    world.says("ada", "/incident phase mitigating incident:INC-1").await;
    world.clears("Errors").await;
    assert!(world.incident(1).await.milestones.at(Milestone::Mitigated).is_some());
    world.pass(Duration::from_secs(599)).await;
    world.fires("Errors").await;
    let incident = world.incident(1).await;
    assert_eq!(incident.phase, Phase::Mitigating);
    assert_eq!(incident.milestones.at(Milestone::Mitigated), None);
    assert!(incident.milestones.last(Milestone::Mitigated).unwrap().void.is_some());
    world.pass(60 * MINUTE).await;
    assert_eq!(world.phase(1).await, Phase::Mitigating, "the timer of the first clearing is gone");
    assert_eq!(world.how_many().await, 1);
}

#[tokio::test]
async fn an_incident_reopens_within_thirty_minutes_and_a_later_one_is_new_and_linked() {
    let world = World::new().await;
    world.fires("Errors").await;
    world.clears("Errors").await;
    world.pass(10 * MINUTE).await;
    assert_eq!(world.phase(1).await, Phase::Resolved);
    world.pass(29 * MINUTE).await;
    world.fires("Errors").await;
    let incident = world.incident(1).await;
    assert_eq!((incident.phase, incident.milestones.at(Milestone::Resolved)), (Phase::Triage, None));
    assert_eq!(
        world.posts().await.last().unwrap(),
        &(true, "SEV2 INC-1 is open again: Errors is high\nfor on-call ada grace".to_owned())
    );
    world.clears("Errors").await;
    world.pass(41 * MINUTE).await;
    world.fires("Errors").await;
    assert_eq!((world.phase(1).await, world.phase(2).await), (Phase::Resolved, Phase::Triage));
    assert_eq!(world.incident(2).await.earlier, [IncidentId(1)]);
}

#[tokio::test]
async fn silence_is_no_recovery_and_a_person_is_asked_once() {
    let world = World::new().await;
    let ends_at = Some(world.now() + 5 * MINUTE);
    world.send(&[("Errors", "SEV2")], Says::Firing { ends_at }, 0).await;
    world.fires("Latency").await;
    world.clears("Latency").await;
    world.pass(60 * MINUTE).await;
    let incident = world.incident(1).await;
    assert_eq!(incident.phase, Phase::Triage);
    assert_eq!(incident.milestones.at(Milestone::Resolved), None);
    assert_eq!(world.posts().await, [(false, "Is it over? INC-1".to_owned())]);
    assert!(world.events(1).await.iter().any(|event| matches!(event, Event::AlertSilent { .. })));
    world.says("ada", "/incident resolve incident:INC-1").await;
    let resolved = world.incident(1).await.milestones.mark(Milestone::Resolved).cloned().unwrap();
    assert_eq!((resolved.value, resolved.set_by), (world.now(), Actor::Person(PersonId("ada".to_owned()))));
}

#[tokio::test]
async fn doubt_asks_a_person_and_their_word_resolves_at_the_last_clearing() {
    let world = World::new().await;
    world.send(&[("Down", "SEV1")], Says::Firing { ends_at: None }, 0).await;
    world.send(&[("Down", "SEV1")], Says::Resolved { at: None }, 0).await;
    let cleared = world.now();
    world.pass(60 * MINUTE).await;
    assert_eq!(world.phase(1).await, Phase::Monitoring);
    assert_eq!(world.posts().await.len(), 1);
    let reply = world.says("ada", "/incident resolve incident:INC-1").await;
    assert_eq!(reply, "ada moved INC-1 from `monitoring` to `resolved`");
    let incident = world.incident(1).await;
    let resolved = incident.milestones.mark(Milestone::Resolved).unwrap();
    assert_eq!((resolved.value, resolved.confirmed), (cleared, Some(world.now())));
    assert_eq!(labels(&world.card(1).await), ["Draft review", "Note", "Timeline"]);
}

#[tokio::test]
async fn alerts_that_were_left_out_keep_an_incident_open_until_a_person_says_so() {
    let world = World::new().await;
    world.send(&[("Errors", "SEV2")], Says::Firing { ends_at: None }, 7).await;
    world.clears("Errors").await;
    world.pass(30 * MINUTE).await;
    assert_eq!(world.phase(1).await, Phase::Monitoring);
    assert!(world.events(1).await.contains(&Event::AlertsTruncated { count: 7 }));
}

#[tokio::test]
async fn an_open_run_holds_the_resolution_until_it_ends() {
    let world = World::new().await;
    world.fires("Errors").await;
    world.count_runs(1).await;
    world.clears("Errors").await;
    world.pass(10 * MINUTE).await;
    assert_eq!((world.phase(1).await, world.posts().await.len()), (Phase::Monitoring, 1));
    world.count_runs(-1).await;
    world.pass(Duration::ZERO).await;
    assert_eq!(world.phase(1).await, Phase::Resolved);
}

#[tokio::test]
async fn a_group_that_was_quiet_for_long_opens_a_new_incident_with_the_reason() {
    let world = World::new().await;
    world.send(&[("Down", "SEV1")], Says::Firing { ends_at: None }, 0).await;
    world.send(&[("Down", "SEV1")], Says::Resolved { at: None }, 0).await;
    world.pass(31 * MINUTE).await;
    world.fires("Errors").await;
    assert_eq!((world.phase(1).await, world.phase(2).await), (Phase::Monitoring, Phase::Triage));
    let fired = world
        .events(2)
        .await
        .into_iter()
        .find_map(|event| if let Event::AlertFired { grouping, .. } = event { Some(grouping) } else { None });
    assert_eq!(fired, Some(Grouping::GroupQuiet));
}

#[tokio::test]
async fn quiet_while_the_bot_was_down_does_not_count() {
    let world = World::new().await;
    world.fires("Errors").await;
    world.clears("Errors").await;
    let cleared = world.now();
    world.0.clock.pass(15 * MINUTE);
    let world = World(world.0.restart(rules()).await);
    world.0.engine.submit(Input::Started { leads: true }).await.unwrap();
    world.pass(Duration::from_secs(599)).await;
    assert_eq!(world.phase(1).await, Phase::Monitoring);
    world.pass(Duration::from_secs(1)).await;
    let incident = world.incident(1).await;
    let resolved = incident.milestones.mark(Milestone::Resolved).unwrap();
    assert_eq!((resolved.value, resolved.confirmed), (cleared, Some(cleared + 25 * MINUTE)));
}

#[tokio::test]
async fn quiet_time_is_prolonged_by_what_nobody_could_hear_of_it() {
    let world = World::new().await;
    world.fires("Errors").await;
    world.clears("Errors").await;
    let cleared = world.now();
    world.pass(MINUTE).await;
    world.says("ada", "/incident note text:x incident:INC-1").await;
    world.0.clock.pass(8 * MINUTE);
    let world = World(world.0.restart(rules()).await);
    world.0.engine.submit(Input::Started { leads: true }).await.unwrap();
    world.pass(8 * MINUTE + Duration::from_secs(59)).await;
    assert_eq!(world.phase(1).await, Phase::Monitoring);
    world.pass(Duration::from_secs(1)).await;
    let resolved = world.incident(1).await.milestones.mark(Milestone::Resolved).unwrap().clone();
    assert_eq!((resolved.value, resolved.confirmed), (cleared, Some(cleared + 18 * MINUTE)));
}

#[tokio::test]
async fn a_time_without_ears_counts_once_although_several_processes_had_none() {
    let world = World::new().await;
    world.fires("Errors").await;
    world.clears("Errors").await;
    let (cleared, deaf_since) = (world.now(), world.now() + MINUTE);
    world.0.clock.pass(9 * MINUTE);
    for _ in 0..3 {
        world.0.engine.submit(Input::DeafSince(deaf_since)).await.unwrap();
    }
    world.0.clock.pass(2 * MINUTE);
    // One that was cut off alone: another heard everything.
    world.says("ada", "/incident note text:x incident:INC-1").await;
    world.0.engine.submit(Input::DeafSince(world.now() - 2 * MINUTE)).await.unwrap();
    world.pass(20 * MINUTE).await;
    let resolved = world.incident(1).await.milestones.mark(Milestone::Resolved).unwrap().clone();
    assert_eq!((resolved.value, resolved.confirmed), (cleared, Some(cleared + 18 * MINUTE)));
}

#[tokio::test]
async fn a_process_that_starts_beside_another_prolongs_no_quiet() {
    for (silence, prolonged) in [(Duration::from_secs(20), Duration::ZERO), (MINUTE, MINUTE)] {
        let world = World::new().await;
        world.fires("Errors").await;
        world.clears("Errors").await;
        let cleared = world.now();
        world.0.clock.pass(silence);
        world.0.engine.submit(Input::Started { leads: false }).await.unwrap();
        world.pass(20 * MINUTE).await;
        let resolved = world.incident(1).await.milestones.mark(Milestone::Resolved).unwrap().clone();
        assert_eq!(resolved.confirmed, Some(cleared + 10 * MINUTE + prolonged), "{silence:?}");
    }
}

#[tokio::test]
async fn what_a_delivery_of_repeats_leaves_out_keeps_the_incident_from_resolving_by_itself() {
    let world = World::new().await;
    world.fires("Errors").await;
    world.send(&[("Errors", "SEV2")], Says::Firing { ends_at: None }, 7).await;
    assert_eq!(world.incident(1).await.truncated, 7);
    world.clears("Errors").await;
    world.pass(60 * MINUTE).await;
    assert_eq!(world.phase(1).await, Phase::Monitoring);
    assert!(world.events(1).await.iter().any(|event| matches!(event, Event::ResolutionAsked { .. })));
}

#[tokio::test]
async fn why_says_how_alerts_were_grouped_and_what_was_ignored() {
    let world = World::new().await;
    world.fires("Errors").await;
    world.fires("Latency").await;
    world.clears("Errors").await;
    world.fires("Errors").await;
    let told = world.says("ada", "/why incident:INC-1").await;
    for code in ["new_group", "same_group", "may_be_late"] {
        assert!(told.contains(code), "`/why` names `{code}`: {told}");
    }
}
