//! Several processes on one database: all take alerts and commands, one leads, and any of them may be gone.

mod chaos;

use std::time::{Duration, Instant};

use crate::world::{
    Config, World, alert, left_out, postgres,
    replicas::{self, Cluster, signal, stands},
    until,
};

/// How long nobody may lead after whoever did has hung. The design says 15 seconds.
const TAKEOVER: Duration = Duration::from_secs(15);

async fn pair(what: &str) -> Option<(World, World)> {
    let Some(database) = postgres::database().await else {
        left_out(what, "`FIREWARDEN_TEST_POSTGRES`");
        return None;
    };
    let first = World::start_with(Config::default().server(&database)).await;
    let second = World::start_with(Config::default().server(&database)).await;
    assert_eq!((stands(&first.bot).await, stands(&second.bot).await), ((true, true), (true, false)));
    Some((first, second))
}

/// A load balancer needs to know nothing: what is sent to one process is there for the others.
#[tokio::test(flavor = "multi_thread")]
async fn every_process_takes_alerts_and_commands() {
    let Some((first, second)) = pair("two processes on one database").await else { return };
    second.alertmanager().fires(&alert("CheckoutLatency").service("checkout")).await;
    first.sees("/incident show incident:INC-1", "1 firing").await;
    first.alertmanager().fires(&alert("CheckoutErrors").service("checkout")).await;
    second.sees("/incident list", "INC-2").await;
    second.console("ana").says("/incident ack incident:INC-1").await;
    first.sees("/incident show incident:INC-1", "Lead          ana").await;
    first.finish().await;
    let entries = second.finish().await.timeline(1).await;
    firewarden::domain::timeline::verify(&entries).unwrap();
}

/// A machine that hangs at 3 am does not take the bot with it, and once it wakes it does no harm.
#[tokio::test(flavor = "multi_thread")]
async fn another_process_leads_when_the_one_that_did_hangs() {
    let Some((first, second)) = pair("a leader that hangs").await else { return };
    signal(&first.bot, "-STOP");
    let hung = Instant::now();
    second.alertmanager().fires(&alert("CheckoutLatency").service("checkout")).await;
    assert!(until(20, async || stands(&second.bot).await == (true, true)).await, "{}", second.bot.log());
    assert!(hung.elapsed() < TAKEOVER, "it took {:?}", hung.elapsed());
    signal(&first.bot, "-CONT");
    assert!(until(20, async || stands(&first.bot).await == (true, false)).await, "{}", first.bot.log());
    first.alertmanager().fires(&alert("CheckoutErrors").service("checkout")).await;
    second.sees("/incident list", "INC-2").await;
    first.finish().await;
    second.finish().await;
}

/// Whoever is to be replaced by a newer version hands over at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_ends_makes_room_at_once() {
    let Some((first, second)) = pair("a leader that ends").await else { return };
    first.alertmanager().fires(&alert("CheckoutLatency").service("checkout")).await;
    assert!(first.bot.stop().await.unwrap().0.success());
    let ended = Instant::now();
    assert!(until(20, async || stands(&second.bot).await == (true, true)).await, "{}", second.bot.log());
    assert!(ended.elapsed() < Duration::from_secs(3), "it took {:?}", ended.elapsed());
    second.sees("/incident show incident:INC-1", "1 firing").await;
    second.finish().await;
}

/// A database that is restarted, or lost for a minute, is no reason to lose an alert, nor to start anything again.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_gone_for_a_while_loses_nothing() {
    let Some(cluster) = Cluster::start() else { return left_out("a database that is gone for a while", "PostgreSQL") };
    let database = cluster.database().await;
    let (world, members) = replicas::on(cluster.address(), &database, &Config::default(), 2).await;
    // Whoever works on it says that it is not there.
    world.announce("");
    for member in &members {
        member.bot.start().await;
    }
    let lives: Vec<_> = members.iter().map(|member| member.bot.pid()).collect();
    world.alertmanager().fires(&alert("CheckoutLatency").service("checkout")).await;

    cluster.stops();
    let lost = alert("CheckoutErrors").service("checkout");
    let refused = world.alertmanager().posts(&world.alertmanager().body("firing", &[&lost])).await;
    assert_eq!(refused, Some(503), "nothing is acknowledged that is not kept");
    for member in &members {
        assert!(until(20, async || member.stands().await == (false, false)).await, "{}", member.bot.log());
    }
    cluster.starts();
    for member in &members {
        assert!(until(20, async || member.stands().await.0).await, "{}", member.bot.log());
    }
    assert!(until(20, async || members[0].stands().await.1 != members[1].stands().await.1).await, "one leads again");
    world.alertmanager().fires(&lost).await;
    world.sees("/incident list", "CheckoutErrors").await;
    world.sees("/bot outbox", "Nothing waits").await;
    assert_eq!(lives, members.iter().map(|member| member.bot.pid()).collect::<Vec<_>>(), "the same processes go on");
    assert!(members[1].bot.stop().await.unwrap().0.success());
    let entries = world.finish().await.timeline(1).await;
    firewarden::domain::timeline::verify(&entries).unwrap();
}
