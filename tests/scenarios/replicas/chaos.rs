//! Everything that can happen to processes, their database and the way between, while alerts, commands and runs go on.
//!
//! `FIREWARDEN_CHAOS_SECONDS` makes it longer. The figures are printed.

use std::{
    collections::BTreeMap,
    io::Write,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use firewarden::{
    domain::{
        ids::IncidentId,
        timeline::{Chain, verify},
    },
    store::{Address, ReadOnly, Reader, Server, timeline},
};
use secrecy::SecretString;
use serde_json::json;
use sqlx::Connection as _;

use super::{EFFECT, guild};
use crate::world::{
    Config, World, alert,
    config::{SOURCE_TOKEN, token_of},
    discord::{Discord, What},
    effects::Effects,
    http, left_out,
    replicas::{self, Cluster, Member},
    until,
    wire::Condition,
};

/// How long things happen where nobody says otherwise.
const CHAOS: u64 = 45;
/// Longer than a worker may drive a run without renewing.
const PAST_ITS_LEASE: Duration = Duration::from_secs(33);
/// How long a sender waits for an answer before it tries another process.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long everything may take to come to rest: a lease that nobody renews, then two looks at what is in doubt.
const REST: u64 = 90;

/// Two effects with a wait between them.
const RUNBOOK: &str = r#"
name: chaos
mode: auto
trigger: { chat: {} }
inputs:
  name: { type: text }
target: { service: checkout, environment: "{{ name }}" }
steps:
  - name: first
    EFFECT
  - name: breathe
    action: wait
    with: { for: 1s }
  - name: second
    EFFECT
  - name: tell
    action: announce
    with: { text: "the chaos of {{ name }} is over" }
"#;
/// Counts in the database what nobody may write.
const AUDIT: &str = "
    create table audit (what text not null);
    create function audit_steps() returns trigger language plpgsql as $$ begin
        if new.epoch <> (select epoch from runs where id = new.run) then
            insert into audit values ('a step of run ' || new.run || ' by epoch ' || new.epoch);
        end if;
        return new;
    end $$;
    create trigger audit_steps after insert on steps for each row execute function audit_steps();
    create function audit_runs() returns trigger language plpgsql as $$ begin
        if new.epoch < old.epoch or (old.ended_at is not null and new.state <> old.state) then
            insert into audit values ('run ' || new.id || ' by epoch ' || new.epoch || ' after ' || old.epoch);
        end if;
        return new;
    end $$;
    create trigger audit_runs before update on runs for each row execute function audit_runs();";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_processes_lose_nothing_and_do_nothing_twice() {
    survive(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn three_processes_lose_nothing_and_do_nothing_twice() {
    survive(3).await;
}

/// Everything that is needed, and what was counted.
struct Chaos {
    cluster: Cluster,
    database: String,
    discord: Discord,
    effects: Effects,
    world: World,
    members: Vec<Member>,
    /// Whether things still happen, and senders send.
    goes_on: AtomicBool,
    /// Members that are stopped: nobody starts or waits for them.
    stopped: Mutex<Vec<usize>>,
    counts: Mutex<BTreeMap<&'static str, usize>>,
    alerts: AtomicUsize,
    runs: AtomicUsize,
}

async fn survive(number: usize) {
    let Some(cluster) = Cluster::start() else {
        return left_out("several processes in the middle of chaos", "PostgreSQL");
    };
    let seconds = std::env::var("FIREWARDEN_CHAOS_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(CHAOS);
    let chaos = Chaos::prepare(cluster, number).await;
    let chaos = Arc::new(chaos);
    let mut working = Vec::new();
    for sender in 0..6 {
        working.push(tokio::spawn(Arc::clone(&chaos).sends_alerts(sender)));
    }
    working.push(tokio::spawn(Arc::clone(&chaos).asks_for_runs()));
    let keeper = tokio::spawn(Arc::clone(&chaos).keeps_alive());
    chaos.happens(Duration::from_secs(seconds)).await;
    chaos.goes_on.store(false, Ordering::Relaxed);
    for work in working {
        work.await.unwrap();
    }
    chaos.comes_to_rest().await;
    keeper.abort();
    chaos.holds().await;
}

impl Chaos {
    async fn prepare(cluster: Cluster, number: usize) -> Self {
        let (discord, config) = guild(Config::default());
        let effects = Effects::start().await;
        let runbook: &'static str = RUNBOOK.replace("EFFECT", EFFECT).replace("URL", effects.url()).leak();
        let config = config.runbook(runbook);
        let database = cluster.database().await;
        let (world, members) = replicas::on(cluster.address(), &database, &config, number).await;
        for member in &members {
            member.bot.start().await;
        }
        let chaos = Self {
            cluster,
            database,
            discord,
            effects,
            world,
            members,
            goes_on: AtomicBool::new(true),
            stopped: Mutex::default(),
            counts: Mutex::default(),
            alerts: AtomicUsize::new(0),
            runs: AtomicUsize::new(0),
        };
        let mut connection = sqlx::PgConnection::connect(&chaos.url()).await.unwrap();
        sqlx::raw_sql(AUDIT).execute(&mut connection).await.unwrap();
        chaos
    }

    fn url(&self) -> String {
        replicas::url(self.cluster.address(), &self.database)
    }

    fn counts(&self, what: &'static str, number: usize) {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner).entry(what).or_default() += number;
    }

    fn is_stopped(&self, member: usize) -> bool {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner).contains(&member)
    }

    /// Sends alert after alert, each to one process after the other until one has taken it.
    async fn sends_alerts(self: Arc<Self>, sender: usize) {
        let mut to = sender;
        while self.goes_on.load(Ordering::Relaxed) {
            let number = self.alerts.fetch_add(1, Ordering::Relaxed);
            let name = format!("CheckoutChaos{}", number % 7);
            let one = alert(&name).service("checkout").label("instance", &format!("i-{number}"));
            let body = self.world.alertmanager().body("firing", &[&one]);
            loop {
                to += 1;
                let url = format!("{}/webhooks/alertmanager", self.members[to % self.members.len()].bot.url());
                let request = http().post(url).bearer_auth(SOURCE_TOKEN).json(&body).timeout(PATIENCE);
                match request.send().await.map(|answer| answer.status().as_u16()) {
                    Ok(202) => break,
                    Ok(503) => self.counts("deliveries answered with 503", 1),
                    Ok(status) => panic!("an alert was answered with {status}"),
                    Err(_) => self.counts("deliveries without an answer", 1),
                }
                tokio::time::sleep(Duration::from_millis(50)).await; // bounded: by the answer
            }
        }
    }

    /// Has runs started, each asked for under a key until one process has answered.
    async fn asks_for_runs(self: Arc<Self>) {
        while self.goes_on.load(Ordering::Relaxed) {
            let number = self.runs.fetch_add(1, Ordering::Relaxed);
            let line = format!("/runbook run runbook:chaos inputs:name=s{number}");
            let body = json!({ "line": line, "key": format!("chaos-{number}") });
            for to in number.. {
                let url = format!("{}/api/say", self.members[to % self.members.len()].bot.url());
                let request = http().post(url).bearer_auth(token_of("ana")).json(&body).timeout(PATIENCE);
                match request.send().await {
                    Ok(answer) if answer.status().is_success() => break,
                    Ok(answer) if answer.status().as_u16() == 503 => {}
                    Ok(answer) => panic!("`{line}` was answered with {}", answer.text().await.unwrap_or_default()),
                    Err(_) => {}
                }
            }
            tokio::time::sleep(Duration::from_millis(200)).await; // bounded: it is the pace of people
        }
    }

    /// Starts whoever has ended again, as a supervisor does, and reads what each counts.
    async fn keeps_alive(self: Arc<Self>) {
        let mut refused = vec![0; self.members.len()];
        loop {
            for (number, member) in self.members.iter().enumerate() {
                if self.is_stopped(number) {
                    continue;
                }
                if !member.bot.is_alive() {
                    member.bot.launch(&[]);
                }
                let request = http().get(format!("{}/metrics", member.bot.url())).timeout(Duration::from_secs(1));
                let Ok(answer) = request.send().await else { continue };
                let text = answer.text().await.unwrap_or_default();
                let counted = text.lines().find_map(|line| line.strip_prefix("firewarden_runs_stale_writes_total "));
                let counted = counted.and_then(|number| number.trim().parse().ok()).unwrap_or(0_usize);
                self.counts("stale writes that were refused", counted.saturating_sub(refused[number]));
                refused[number] = counted;
            }
            tokio::time::sleep(Duration::from_millis(300)).await; // bounded: by the story, which ends it
        }
    }

    async fn leader(&self) -> Option<usize> {
        for (number, member) in self.members.iter().enumerate() {
            if !self.is_stopped(number) && member.stands().await.1 {
                return Some(number);
            }
        }
        None
    }

    /// Lets things happen for so long: each of them at least once, in a fixed order at first.
    async fn happens(self: &Arc<Self>, length: Duration) {
        let begun = Instant::now();
        let mut seed = 7_usize;
        let mut under_way = Vec::new();
        let plan =
            ["kill the leader", "restart", "stop the leader", "kill", "cut", "restart", "kill the leader", "restart"];
        for round in 0.. {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let dice = seed >> 33;
            let what = plan.get(round).unwrap_or(&plan[dice % plan.len()]);
            let any = dice / 8 % self.members.len();
            let victim = if what.ends_with("leader") { self.leader().await.unwrap_or(any) } else { any };
            self.world.note(&format!("{what}: process {victim}"));
            match *what {
                "restart" => {
                    self.counts("restarts of the database", 1);
                    self.cluster.stops();
                    self.cluster.starts();
                }
                "stop the leader" if !self.is_stopped(victim) => {
                    under_way.push(tokio::spawn(Arc::clone(self).stops(victim)));
                }
                "cut" => {
                    under_way
                        .push(tokio::spawn(Arc::clone(self).cuts(victim, Duration::from_secs(4 + dice as u64 % 9))));
                }
                _ if !self.is_stopped(victim) => {
                    self.counts("kills", 1);
                    self.members[victim].bot.kill();
                }
                _ => {}
            }
            let left = length.saturating_sub(begun.elapsed());
            if left.is_zero() {
                break;
            }
            let pause = Duration::from_millis(3_000 + dice as u64 % 3_000);
            tokio::time::sleep(pause.min(left)).await; // bounded: by the length of the story
        }
        for event in under_way {
            event.await.unwrap();
        }
    }

    /// Stops a process past its lease and wakes it.
    async fn stops(self: Arc<Self>, victim: usize) {
        let process = &self.members[victim];
        if !process.bot.is_alive() {
            return;
        }
        self.counts("processes stopped past their leases", 1);
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner).push(victim);
        process.signal("-STOP");
        tokio::time::sleep(PAST_ITS_LEASE).await; // bounded: by the lease
        process.signal("-CONT");
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner).retain(|stopped| *stopped != victim);
    }

    /// Cuts a process off from the database for a while.
    async fn cuts(self: Arc<Self>, victim: usize, length: Duration) {
        self.counts("cuts between a process and the database", 1);
        self.members[victim].wire.is(Condition::Silent);
        tokio::time::sleep(length).await; // bounded: by its length
        self.members[victim].wire.is(Condition::Whole);
    }

    /// Waits until all processes are ready, one leads, and nothing is left to do.
    async fn comes_to_rest(&self) {
        let begun = Instant::now();
        let mut open = String::new();
        let rests = until(REST, async || {
            let mut leaders = 0;
            for member in &self.members {
                let (is_ready, leads) = member.stands().await;
                leaders += usize::from(leads);
                if !is_ready {
                    return false;
                }
            }
            let Some(mut reader) = self.reads().await else { return false };
            open = one(
                &mut reader,
                "select coalesce(string_agg(id || ' ' || state, ', '), '') as one from runs where ended_at is null",
            )
            .await;
            let waiting = one(
                &mut reader,
                "select cast((select count(*) from posts where state = 'waiting') \
                 + (select count(*) from cards where wanted > shown) as text) as one",
            );
            leaders == 1 && open.is_empty() && waiting.await == "0"
        });
        assert!(rests.await, "it does not come to rest; runs that are open: {open}");
        self.counts("seconds until it came to rest", usize::try_from(begun.elapsed().as_secs()).unwrap());
    }

    async fn reads(&self) -> Option<Reader> {
        let server = Server::read(&SecretString::from(self.url())).unwrap();
        ReadOnly::open(Address::Server(server)).await.ok()?.read().await.ok()
    }

    /// Every accepted alert is there once, every run ended once, every message was sent once, and no log is broken.
    async fn holds(&self) {
        for member in &self.members {
            let (status, _) = member.bot.stop().await.unwrap();
            assert!(status.success(), "{}", member.bot.log());
            assert!(!member.bot.log().contains("panicked at"), "{}", member.bot.log());
        }
        let mut reader = self.reads().await.unwrap();
        let number = async |reader: &mut Reader, sql| one(reader, sql).await.parse::<usize>().unwrap();
        let accepted = self.alerts.load(Ordering::Relaxed);
        let alerts = number(&mut reader, "select cast(count(*) as text) as one from alerts").await;
        let runs = self.runs.load(Ordering::Relaxed);
        let states = one(&mut reader, "select string_agg(distinct state, ' ') as one from runs").await;
        let ended =
            number(&mut reader, "select cast(count(*) as text) as one from runs where ended_at is not null").await;
        let unsent = one(
            &mut reader,
            "select coalesce(string_agg(distinct state, ' '), '') as one from posts where state <> 'sent'",
        )
        .await;
        let stale = one(&mut reader, "select coalesce(string_agg(what, ', '), '') as one from audit").await;
        let taken = number(&mut reader, "select cast(sum(epoch) as text) as one from runs").await;
        let incidents = number(&mut reader, "select cast(max(id) as text) as one from incidents").await;
        let effects = self.effects.done();
        let told = self.discord.effects();
        let posted = |text: &str| {
            told.iter()
                .filter(|effect| effect.what == What::Posted && effect.text.replace('\\', "").contains(text))
                .count()
        };

        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone();
        counts.extend([
            ("alerts accepted", accepted),
            ("alerts in the store", alerts),
            ("runs asked for", runs),
            ("runs ended", ended),
            ("times that a process took a run over", taken),
            ("effects", effects.len()),
            ("requests for effects", effects.values().sum()),
            ("messages in Discord", told.iter().filter(|effect| effect.what == What::Posted).count()),
            ("writes by a stale epoch", stale.split_terminator(", ").count()),
        ]);
        let figures: Vec<String> = counts.iter().map(|(what, number)| format!("  {number:>6} {what}")).collect();
        let _nobody_reads =
            writeln!(std::io::stderr(), "{} processes in chaos:\n{}", self.members.len(), figures.join("\n"));

        assert_eq!(stale, "", "nothing is written by a stale epoch");
        assert_eq!(alerts, accepted, "every accepted alert is there once");
        assert_eq!((ended, states.as_str()), (runs, "done"), "every run ends once");
        assert_eq!(effects.len(), 2 * runs, "every effect of every run happened, under one key");
        assert_eq!(unsent, "", "every message is sent");
        for run in 0..runs {
            assert_eq!(posted(&format!("the chaos of s{run} is over")), 1, "s{run} is told of once");
        }
        let ids = one(&mut reader, "select string_agg(cast(id as text), ' ') as one from runs").await;
        for id in ids.split(' ') {
            assert_eq!(posted(&format!("RUN-{id} · ")), 1, "RUN-{id} has one card");
        }
        for incident in 1..=incidents {
            let chain = Chain::Incident(IncidentId(i64::try_from(incident).unwrap()));
            verify(&timeline::entries(&mut reader, chain).await.unwrap()).unwrap();
        }
        for kind in ["kills", "restarts of the database", "processes stopped past their leases"] {
            assert!(counts.get(kind).is_some_and(|number| *number > 0), "no {kind}");
        }
    }
}

async fn one(reader: &mut Reader, sql: &'static str) -> String {
    reader.row(sql, &[]).await.unwrap().unwrap().text("one").unwrap()
}
