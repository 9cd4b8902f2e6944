//! Random runbooks: steps that read, change, wait, ask and hold others, in any order and with any promise about themselves.

use super::dice::Dice;

/// The services on which everything is done.
pub(super) const SERVICES: [&str; 2] = ["checkout", "cart"];

/// A runbook under a name that ends in this number, started from chat and by the alert with the same number.
pub(super) fn write(dice: &mut Dice, number: usize) -> String {
    let service = dice.pick(&SERVICES);
    let mode = if dice.chance(25) { "ask" } else { "auto" };
    let mut steps = Steps { dice, number: 0 };
    let count = steps.dice.between(2, 6);
    let main: Vec<(String, String)> = (0..count).map(|_| steps.any(2)).collect();
    let first = main.iter().find(|(_, text)| text.contains("POST")).map(|(name, _)| name.clone());
    let main: Vec<String> = main.into_iter().map(|(_, text)| text).collect();
    let (before, after, finally) = (steps.aside(), steps.aside(), steps.aside());
    let mut text = format!(
        "name: book-{number}\nmode: {mode}\ntrigger: {{ chat: {{}}, alert: {{ match: ['alertname=\"A{number}\"'] }} }}\n\
         target: {{ service: {service}, environment: production }}\n"
    );
    if let Some(step) = first.filter(|_| mode == "ask" || dice.chance(15)) {
        // Whatever the mode is, it comes true.
        let when = if mode == "ask" { "" } else { "when: \"mode == 'auto'\", " };
        let expires = *dice.pick(&["2m", "15m"]);
        text += &format!("approval: {{ before: {step}, {when}by: [\"role:on-call\"], expires: {expires} }}\n");
    }
    if dice.chance(25) {
        text += "undo: auto\n";
    }
    if dice.chance(20) {
        text += &format!("timeout: {}\n", dice.pick(&["2m", "10m"]));
    }
    let mut guards = Vec::new();
    if dice.chance(15) {
        guards.push("still_firing: { until: first_mutation }");
    }
    if dice.chance(15) {
        guards.push("cooldown: { for: 5m, factor: 2, max: 1h }");
    }
    if dice.chance(15) {
        guards.push("max_runs: { count: 2, per: 1h }");
    }
    if dice.chance(25) {
        guards.push(*dice.pick(&[
            "concurrency: { key: \"all\", limit: 1, when_busy: queue }",
            "concurrency: { key: \"all\", limit: 2, when_busy: queue }",
        ]));
    }
    if !guards.is_empty() {
        text += &format!("guards: {{ {} }}\n", guards.join(", "));
    }
    text += &format!("steps:\n{}", lines(&main, "  "));
    if before.is_some() || after.is_some() {
        text += "on_failure:\n";
        for (key, steps) in [("before_mutation", &before), ("after_mutation", &after)] {
            if let Some(steps) = steps {
                text += &format!("  {key}:\n{}", lines(steps, "    "));
            }
        }
    }
    if let Some(steps) = &finally {
        text += &format!("finally:\n{}", lines(steps, "  "));
    }
    text
}

fn lines(steps: &[String], indent: &str) -> String {
    steps.iter().flat_map(|step| [indent, "- ", step, "\n"]).collect()
}

struct Steps<'a> {
    dice: &'a mut Dice,
    number: usize,
}

impl Steps<'_> {
    fn name(&mut self) -> String {
        self.number += 1;
        format!("s{}", self.number)
    }

    /// A step, which holds others no deeper than this, with its name.
    fn any(&mut self, depth: usize) -> (String, String) {
        let name = self.name();
        let text = match self.dice.below(100) {
            0..=49 => self.change(&name, true),
            50..=59 => Self::read(&name),
            60..=64 => self.until(&name),
            65..=69 => format!("{{ name: {name}, action: wait, with: {{ for: {} }} }}", self.dice.pick(&["5s", "90s"])),
            70..=73 => format!("{{ name: {name}, action: announce, with: {{ text: told }} }}"),
            74..=77 => format!(
                "{{ name: {name}, action: ask, with: {{ question: Which, choices: [left, right], by: [\"role:on-call\"], \
                 expires: {} }}, output: {name} }}",
                self.dice.pick(&["1m", "10m"])
            ),
            78..=80 => self.condition(&name),
            _ if depth == 0 => self.change(&name, true),
            81..=90 => {
                let (west, east) = (self.several(depth), self.several(depth));
                format!("{{ name: {name}, parallel: {{ west: [{west}], east: [{east}] }} }}")
            }
            _ => {
                let concurrency = self.dice.between(1, 3);
                let inner = self.several(depth);
                let list = *self.dice.pick(&["['a', 'b']", "['a', 'b', 'c']"]);
                format!(
                    "{{ name: {name}, for_each: \"{list}\", as: of_{name}, concurrency: {concurrency}, steps: [{inner}] }}"
                )
            }
        };
        (name, text)
    }

    fn several(&mut self, depth: usize) -> String {
        let count = self.dice.between(1, 2);
        (0..count).map(|_| self.any(depth - 1).1).collect::<Vec<_>>().join(", ")
    }

    /// A step that changes something, and what may be done about it.
    fn change(&mut self, name: &str, can_be_undone: bool) -> String {
        let mut says = Vec::new();
        // The target knows the key of an effect that may be repeated, and makes it once.
        let is_safe = self.dice.chance(35);
        let is_undoable = self.dice.chance(55) && can_be_undone;
        let is_probed = self.dice.chance(40);
        if is_safe {
            says.push("repeat: safe".to_owned());
        }
        if is_probed {
            let settle = *self.dice.pick(&["10s", "30s"]);
            says.push(format!(
                "probe: {{ action: http, with: {{ url: \"http://target/made\", extract: {{ made: \
                 \"response.json.made.filter(m, m == step.key)\" }} }}, settle: {settle}, found: \"size(output.made) > 0\" }}"
            ));
        }
        if is_undoable {
            says.push(format!(
                "undo: {{ action: http, with: {{ method: POST, url: \"http://target/once/{name}-back\", body: {{}} }} }}"
            ));
        }
        if !is_safe && !is_probed && !is_undoable {
            says.push("irreversible: true".to_owned());
        }
        if self.dice.chance(50) {
            says.push("retry: { attempts: 3, backoff: { first: 1s } }".to_owned());
        }
        let how = if is_safe { "safe" } else { "once" };
        format!(
            "{{ name: {name}, action: http, with: {{ method: POST, url: \"http://target/{how}/{name}\", body: {{}} }}, \
             timeout: 30s, {} }}",
            says.join(", ")
        )
    }

    fn read(name: &str) -> String {
        format!(
            "{{ name: {name}, action: http, with: {{ url: \"http://target/state\", extract: {{ good: response.json.good }} }}, \
             timeout: 10s, output: {name} }}"
        )
    }

    fn until(&mut self, name: &str) -> String {
        let timeout = *self.dice.pick(&["30s", "2m"]);
        format!(
            "{{ name: {name}, action: http, with: {{ url: \"http://target/state\", extract: {{ good: response.json.good }} }}, \
             until: \"{name}.good\", every: 5s, timeout: {timeout}, output: {name} }}"
        )
    }

    fn condition(&mut self, name: &str) -> String {
        if self.dice.chance(50) {
            return format!("{{ name: {name}, action: assert, with: [{{ that: \"mode != ''\", else: never }}] }}");
        }
        format!("{{ name: {name}, action: announce, when: \"mode == 'ask'\", with: {{ text: told }} }}")
    }

    /// Steps beside the way, if there are any.
    fn aside(&mut self) -> Option<Vec<String>> {
        if !self.dice.chance(25) {
            return None;
        }
        let count = self.dice.between(1, 2);
        let mut steps = Vec::new();
        for _ in 0..count {
            let name = self.name();
            steps.push(match self.dice.below(3) {
                0 => format!("{{ name: {name}, action: announce, with: {{ text: over }} }}"),
                1 => Self::read(&name),
                _ => self.change(&name, false),
            });
        }
        Some(steps)
    }
}
