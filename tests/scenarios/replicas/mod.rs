//! Several processes on one database: all take alerts and commands, one leads, and any of them may be gone.

mod chaos;

use std::time::{Duration, Instant};

use sqlx::Connection as _;

use crate::world::{
    Config, World, alert,
    discord::Discord,
    effects::Effects,
    left_out, postgres,
    replicas::{self, Cluster, signal, stands},
    until,
};

/// How long nobody may lead after whoever did has hung. The design says 15 seconds.
const TAKEOVER: Duration = Duration::from_secs(15);

/// What a step of a story does; it is looked for where it is in doubt.
const EFFECT: &str = r#"action: http
    with: { method: POST, url: "URL/effects" }
    timeout: 10s
    irreversible: true
    probe:
      action: http
      with: { url: "URL/effects", extract: { made: "response.json.keys.filter(k, k == step.key)" } }
      settle: 1s
      found: "size(output.made) > 0""#;

/// Does something once.
const WAITS: &str = "
name: waits
mode: auto
trigger: { chat: {} }
target: { service: checkout, environment: production }
steps:
  - name: act
";

/// A guild with one channel, and the configuration that knows it.
fn guild(config: Config) -> (Discord, Config) {
    let discord = Discord::start();
    discord.lifts_rate_limits();
    let channel = discord.add_channel("incidents");
    let ana = discord.add_member("ana", &[]);
    let text = format!(
        "[discord]\ntoken = {{ file = \"secrets/discord\" }}\napplication = \"{}\"\nguild = \"{}\"\napi_url = \"{}\"\n\n\
         [discord.channels]\nincidents = \"{channel}\"\n\n",
        discord.application(),
        discord.guild(),
        discord.url(),
    );
    (discord, config.number("ana", ana).with(&text))
}

/// Two processes, of which the first leads, on a database that is there as long as what holds it.
async fn pair(what: &str) -> Option<(World, World, postgres::Database)> {
    let Some(database) = postgres::database().await else {
        left_out(what, "`FIREWARDEN_TEST_POSTGRES`");
        return None;
    };
    let first = World::start_with(Config::default().server(&database)).await;
    let second = World::start_with(Config::default().server(&database)).await;
    assert_eq!((stands(&first.bot).await, stands(&second.bot).await), ((true, true), (true, false)));
    Some((first, second, database))
}

/// A load balancer needs to know nothing: what is sent to one process is there for the others.
#[tokio::test(flavor = "multi_thread")]
async fn every_process_takes_alerts_and_commands() {
    let Some((first, second, _database)) = pair("two processes on one database").await else { return };
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
    let Some((first, second, _database)) = pair("a leader that hangs").await else { return };
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
    let Some((first, second, _database)) = pair("a leader that ends").await else { return };
    first.alertmanager().fires(&alert("CheckoutLatency").service("checkout")).await;
    assert!(first.bot.stop().await.unwrap().0.success());
    let ended = Instant::now();
    assert!(until(20, async || stands(&second.bot).await == (true, true)).await, "{}", second.bot.log());
    assert!(ended.elapsed() < Duration::from_secs(3), "it took {:?}", ended.elapsed());
    second.sees("/incident show incident:INC-1", "1 firing").await;
    second.finish().await;
}

/// Buttons and commands in the chat work again soon after the process that heard them was killed.
#[tokio::test(flavor = "multi_thread")]
async fn the_chat_moves_with_the_lead() {
    let Some(database) = postgres::database().await else {
        return left_out("a chat that moves to another process", "`FIREWARDEN_TEST_POSTGRES`");
    };
    let (discord, config) = guild(Config::default().server(&database));
    let first = World::start_with(config.clone()).await;
    let second = World::start_with(config).await;
    discord.awaits_bot().await;
    second.alertmanager().fires(&alert("CheckoutLatency").service("checkout")).await;
    let card = || discord.channel("incidents").card("INC-1 SEV2").present();
    assert!(until(20, async || card().is_some()).await, "{}", discord.transcript());

    first.kill();
    let killed = Instant::now();
    assert!(until(20, async || !discord.is_connected()).await);
    discord.awaits_bot().await;
    assert!(killed.elapsed() < TAKEOVER, "it took {:?}", killed.elapsed());
    discord.member("ana").clicks_on("INC-1 SEV2", "Acknowledge").answer().await;
    second.sees("/incident show incident:INC-1", "Lead          ana").await;
    second.finish().await;
}

/// A process that is told to end, as by an upgrade, lets go of its runs: they go on elsewhere, and not half a minute later.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_on_in_another_process_when_its_own_ends() {
    let Some(database) = postgres::database().await else {
        return left_out("a run that goes on elsewhere", "`FIREWARDEN_TEST_POSTGRES`");
    };
    let effects = Effects::start().await;
    let runbook = format!("{WAITS}    {EFFECT}\n").replace("URL", effects.url()).leak();
    let config = Config::default().server(&database).runbook(runbook);
    effects.holds(true);
    let first = World::start_with(config.clone()).await;
    first.does("ana", "/runbook run runbook:waits").await;
    let second = World::start_with(config).await;
    assert!(until(20, async || effects.done().len() == 1).await, "the effect is under way");
    assert!(first.bot.stop().await.unwrap().0.success());
    let ended = Instant::now();
    effects.holds(false);
    assert!(until(20, async || second.run_state("RUN-1").await == "done").await, "{}", second.run_state("RUN-1").await);
    assert!(ended.elapsed() < Duration::from_secs(8), "it took {:?}", ended.elapsed());
    assert_eq!(effects.done().into_values().collect::<Vec<_>>(), [1], "what was under way is found, not repeated");
    second.finish().await;
}

/// What the next release does to the store when it starts beside this one: it adds, and has everybody connect anew.
const NEXT_RELEASE: &str = "
    alter table runs add column of_the_next_release text;
    insert into _sqlx_migrations (version, description, installed_on, success, checksum, execution_time)
        values (9001, 'the next release', now(), true, '', 0);
    select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and application_name = 'firewarden';";

/// An upgrade takes no pause: this release goes on beside the next one, and may even be started beside it.
#[tokio::test(flavor = "multi_thread")]
async fn a_release_works_beside_the_next_one() {
    let Some(database) = postgres::database().await else {
        return left_out("two releases side by side", "`FIREWARDEN_TEST_POSTGRES`");
    };
    let first = World::start_with(Config::default().server(&database)).await;
    first.alertmanager().fires(&alert("CheckoutLatency").service("checkout")).await;
    first.sees("/runbook list", "restart-service").await;
    // Whoever was in the middle of something says so.
    first.announce("");
    let mut connection = sqlx::PgConnection::connect(&database).await.unwrap();
    sqlx::raw_sql(NEXT_RELEASE).execute(&mut connection).await.unwrap();

    let second = World::start_with(Config::default().server(&database)).await;
    assert!(until(20, async || stands(&first.bot).await.0).await, "{}", first.bot.log());
    for world in [&first, &second] {
        world.sees("/runbook list", "restart-service").await;
        world.sees("/incident list", "INC-1").await;
    }
    first.alertmanager().fires(&alert("CheckoutErrors").service("checkout")).await;
    second.sees("/incident list", "CheckoutErrors").await;
    second.finish().await;
    first.finish().await;
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
