//! Several processes on one database: one is at work, the others take over when it is gone.

use std::time::{Duration, Instant};

use crate::world::{Config, World, alert, http, left_out, postgres, until};

/// How long nobody may be at work after whoever was has hung. The design says 15 seconds.
const TAKEOVER: Duration = Duration::from_secs(15);

async fn answers(world: &World, path: &str) -> u16 {
    http().get(format!("{}{path}", world.url())).send().await.unwrap().status().as_u16()
}

fn signal(world: &World, name: &str) {
    let pid = world.bot.pid().unwrap().to_string();
    assert!(std::process::Command::new("kill").args([name, &pid]).status().unwrap().success());
}

/// A machine that hangs at 3 am does not take the bot with it, and once it wakes it does no harm.
#[tokio::test(flavor = "multi_thread")]
async fn another_process_takes_over_and_the_one_that_hung_writes_nothing_more() {
    let Some(database) = postgres::database().await else {
        return left_out("two processes on one database", "`FIREWARDEN_TEST_POSTGRES`");
    };
    let first = World::start_with(Config::default().server(&database)).await;
    let second = World::prepare(None, Config::default().server(&database)).await;
    second.bot.launch(&[]);
    assert!(until(20, async || second.bot.log().contains("waits to take over")).await, "{}", second.bot.log());
    assert_eq!((answers(&second, "/healthz").await, answers(&second, "/readyz").await), (200, 503));
    let lost = alert("CheckoutLatency").service("checkout");
    let refused = second.alertmanager().posts(&second.alertmanager().body("firing", &[&lost])).await;
    assert_eq!(refused, Some(503), "whoever waits takes nothing");

    first.alertmanager().fires(&alert("CheckoutLatency").service("checkout")).await;
    signal(&first, "-STOP");
    let hung = Instant::now();
    assert!(second.bot.came_up().await, "{}", second.bot.log());
    assert!(hung.elapsed() < TAKEOVER, "it took {:?}", hung.elapsed());
    second.sees("/incident show incident:INC-1", "1 firing").await;

    signal(&first, "-CONT");
    let late = alert("CheckoutErrors").service("checkout");
    let refused = first.alertmanager().posts(&first.alertmanager().body("firing", &[&late])).await;
    assert_eq!(refused, Some(503), "whoever was replaced acknowledges nothing");
    assert!(until(20, async || answers(&first, "/readyz").await == 503).await);
    first.kill();

    second.alertmanager().fires(&alert("CheckoutTraffic").service("checkout")).await;
    second.sees("/incident list", "INC-2").await;
    let entries = second.finish().await.timeline(1).await;
    firewarden::domain::timeline::verify(&entries).unwrap();
}

/// A process that ends makes room at once, and whoever waited goes on where it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_ends_makes_room_at_once() {
    let Some(database) = postgres::database().await else {
        return left_out("a process that makes room for another", "`FIREWARDEN_TEST_POSTGRES`");
    };
    let first = World::start_with(Config::default().server(&database)).await;
    first.alertmanager().fires(&alert("CheckoutLatency").service("checkout")).await;
    let second = World::prepare(None, Config::default().server(&database)).await;
    second.bot.launch(&[]);
    assert!(until(20, async || second.bot.log().contains("waits to take over")).await, "{}", second.bot.log());
    assert!(first.bot.stop().await.unwrap().0.success());
    let ended = Instant::now();
    assert!(second.bot.came_up().await, "{}", second.bot.log());
    assert!(ended.elapsed() < Duration::from_secs(5), "it took {:?}", ended.elapsed());
    second.sees("/incident show incident:INC-1", "1 firing").await;
    second.finish().await;
}
