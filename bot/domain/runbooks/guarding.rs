//! Reads the keys of `guards`.

use std::time::Duration;

use crate::domain::runbooks::{
    format::optional,
    plan::{Breaker, Concurrency, Cooldown, Counted, Guards, MaxRuns, StillFiring, WhenBusy},
    reader::Reader,
    yaml::Node,
};

pub(crate) const GUARD_KEYS: &[&str] =
    &["still_firing", "cooldown", "max_runs", "concurrency", "breaker", "allowed_in_freeze"];

/// What the guards hold that hold more than a yes.
pub(crate) const STILL_FIRING_KEYS: &[&str] = &["until"];
pub(crate) const COOLDOWN_KEYS: &[&str] = &["for", "factor", "max"];
pub(crate) const MAX_RUNS_KEYS: &[&str] = &["count", "per"];
pub(crate) const CONCURRENCY_KEYS: &[&str] = &["key", "limit", "when_busy"];
pub(crate) const BREAKER_KEYS: &[&str] = &["after", "of", "open_for"];

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_hours(24);

/// Reads them; problems are noted in `reader`.
pub(super) fn guards(reader: &mut Reader<'_>, node: &Node) -> Guards {
    if reader.keys(node, "`guards`", GUARD_KEYS).is_none() {
        return Guards::default();
    }
    let field = |key: &str| node.field(key);
    let (firing, cooling, most) = (field("still_firing"), field("cooldown"), field("max_runs"));
    let (together, breaker, frozen) = (field("concurrency"), field("breaker"), field("allowed_in_freeze"));
    Guards {
        still_firing: firing.and_then(|node| still_firing(reader, node)),
        cooldown: cooling.and_then(|node| cooldown(reader, node)),
        max_runs: most.and_then(|node| max_runs(reader, node)),
        concurrency: together.and_then(|node| concurrency(reader, node)),
        breaker: breaker.and_then(|node| breaker_of(reader, node)),
        allowed_in_freeze: frozen.and_then(|node| reader.boolean(node, "`allowed_in_freeze`")).unwrap_or(false),
    }
}

fn still_firing(reader: &mut Reader<'_>, node: &Node) -> Option<StillFiring> {
    reader.keys(node, "`still_firing`", STILL_FIRING_KEYS)?;
    let until = reader.required(node, "`still_firing`", "until", "write `until: first_mutation` or `until: end`")?;
    reader.word(until, "`until`", &[("first_mutation", StillFiring::FirstMutation), ("end", StillFiring::End)])
}

fn cooldown(reader: &mut Reader<'_>, node: &Node) -> Option<Cooldown> {
    reader.keys(node, "`cooldown`", COOLDOWN_KEYS)?;
    let length = reader.required(node, "`cooldown`", "for", "say how long, e.g. `for: 30m`")?;
    let length = reader.length(length, "`for`", &(SECOND..=DAY))?;
    let factor = optional(node, "factor", |node| reader.number(node, "`factor`", 1.0..=10.0))?.unwrap_or(2.0);
    let max = optional(node, "max", |node| reader.length(node, "`max`", &(length..=DAY)))?.unwrap_or(DAY);
    Some(Cooldown { length, factor, max })
}

fn max_runs(reader: &mut Reader<'_>, node: &Node) -> Option<MaxRuns> {
    reader.keys(node, "`max_runs`", MAX_RUNS_KEYS)?;
    let count = reader.required(node, "`max_runs`", "count", "say how many, e.g. `count: 3`")?;
    let per = reader.required(node, "`max_runs`", "per", "say in how long, e.g. `per: 24h`")?;
    let count = reader.integer(count, "`count`", 1..=1_000);
    let per = reader.length(per, "`per`", &(SECOND..=30 * DAY));
    Some(MaxRuns { count: u32::try_from(count?).ok()?, per: per? })
}

fn concurrency(reader: &mut Reader<'_>, node: &Node) -> Option<Concurrency> {
    reader.keys(node, "`concurrency`", CONCURRENCY_KEYS)?;
    let key = reader.required(node, "`concurrency`", "key", "say what runs share, e.g. `key: \"{{ service }}\"`");
    let key = key.and_then(|node| reader.line(node, "`key`", 200));
    let limit = optional(node, "limit", |node| reader.integer(node, "`limit`", 1..=1_000));
    let busy = reader.required(
        node,
        "`concurrency`",
        "when_busy",
        "say what becomes of one more: `attach`, `queue` or `skip`",
    );
    let words = [("attach", WhenBusy::Attach), ("queue", WhenBusy::Queue), ("skip", WhenBusy::Skip)];
    let when_busy = busy.and_then(|node| reader.word(node, "`when_busy`", &words));
    let limit = u32::try_from(limit?.unwrap_or(1)).ok()?;
    Some(Concurrency { key: key?.value, limit, when_busy: when_busy? })
}

fn breaker_of(reader: &mut Reader<'_>, node: &Node) -> Option<Breaker> {
    reader.keys(node, "`breaker`", BREAKER_KEYS)?;
    let after = reader.required(node, "`breaker`", "after", "say after how many in a row, e.g. `after: 3`");
    let after = after.and_then(|node| reader.integer(node, "`after`", 1..=15));
    let open_for = reader.required(node, "`breaker`", "open_for", "say how long it stays open, e.g. `open_for: 1h`");
    let open_for = open_for.and_then(|node| reader.length(node, "`open_for`", &(SECOND..=7 * DAY)));
    let words = [("failed", Counted::Failed), ("failed_or_ineffective", Counted::FailedOrIneffective)];
    let of = optional(node, "of", |node| reader.word(node, "`of`", &words))?;
    Some(Breaker {
        after: u32::try_from(after?).ok()?,
        of: of.unwrap_or(Counted::FailedOrIneffective),
        open_for: open_for?,
    })
}
