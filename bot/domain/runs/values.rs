//! The values that the steps of a run see of each other: outputs by their names, and the items of lists.
//!
//! What is done for one item of a list is seen by the steps for that item, and by nobody else; what stands after the list
//! sees the results of all.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::domain::{
    runbooks::plan::{Group, Plan, Step, lanes_of, template_of},
    runs::journal::{Journal, Pass, StepRecord, StepState},
};

/// The most items that a list may have.
pub const MOST_ITEMS: usize = 100;

impl Journal {
    /// The outputs by name that this place sees, as they were before the attempt with this place in the order (`None`:
    /// as they are).
    pub fn outputs(&self, plan: &Plan, before: Option<i64>, place: &str) -> BTreeMap<String, Value> {
        let index = plan.index();
        let mut outputs = BTreeMap::new();
        for record in self.0.iter().filter(|record| before.is_none_or(|seq| record.seq < seq)) {
            if record.key.pass != Pass::Do || record.state != StepState::Done || !sees(place, &record.key.path) {
                continue;
            }
            let Some(step) = index.get(template_of(&record.key.path).as_ref()) else { continue };
            if let Some(name) = &step.output {
                let output = match &step.group {
                    Some(group) => self.results(group, step, record),
                    None => record.output.clone(),
                };
                outputs.insert(name.clone(), output);
            }
        }
        outputs
    }

    /// The items that the steps at this place are done for, by their names.
    pub fn items(&self, plan: &Plan, place: &str) -> Vec<(String, Value)> {
        let item = |(list, key): (&str, &str)| {
            let Some(Group::ForEach(each)) = plan.step(list)?.group.as_ref() else { return None };
            let opened = self.last(list, Pass::Do)?;
            let at = keys(&opened.output).iter().position(|known| known == key)?;
            Some((each.name.clone(), opened.output.get("items")?.get(at)?.clone()))
        };
        lanes_of(place).into_iter().filter_map(item).collect()
    }

    /// What came of each lane of a group: the outputs of its steps by their names, and of a list its item as well.
    fn results(&self, group: &Group, step: &Step, opened: &StepRecord) -> Value {
        let place = &opened.key.path;
        let of_lane = |template: String, lane: String, steps: &[Step]| -> BTreeMap<String, Value> {
            let done = |step: &Step| {
                let path = format!("{lane}{}", step.path.strip_prefix(template.as_str())?);
                let last = self.last(&path, Pass::Do).filter(|last| last.state == StepState::Done)?;
                let output = match &step.group {
                    Some(group) => self.results(group, step, last),
                    None => last.output.clone(),
                };
                Some((step.output.clone()?, output))
            };
            steps.iter().filter_map(done).collect()
        };
        match group {
            Group::Parallel(branches) => branches
                .iter()
                .map(|branch| {
                    let lane = |of: &str| format!("{of}.{}", branch.name);
                    (branch.name.clone(), json!(of_lane(lane(&step.path), lane(place), &branch.steps)))
                })
                .collect(),
            Group::ForEach(each) => {
                let items = opened.output.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
                let of_item = |(key, item): (String, Value)| {
                    let lane = of_lane(format!("{}[]", step.path), format!("{place}[{key}]"), &each.steps);
                    json!({ "key": key, "item": item, "outputs": lane })
                };
                keys(&opened.output).into_iter().zip(items).map(of_item).collect()
            }
        }
    }
}

/// Whether a place sees what was done at another: it is in no list, or in one whose item the place is done for too.
fn sees(place: &str, other: &str) -> bool {
    other.rfind(']').is_none_or(|end| place.starts_with(&other[..=end]))
}

/// The keys of a list's items, as they were frozen when its step began.
pub fn keys(opened: &Value) -> Vec<String> {
    let keys = opened.get("keys").and_then(Value::as_array);
    keys.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// What is frozen when the step of a list begins: its items, each with a key of its own that can stand in a path.
///
/// # Errors
/// Says that the value is no list, or is too long.
pub fn frozen(items: Value) -> Result<Value, String> {
    let Value::Array(items) = items else { return Err("what `for_each` names is no list".to_owned()) };
    if items.len() > MOST_ITEMS {
        return Err(format!("the list of `for_each` has {} items, more than {MOST_ITEMS}", items.len()));
    }
    let mut keys: Vec<String> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let own = name_of(item).filter(|name| is_plain(name) && !keys.contains(name));
        keys.push(own.unwrap_or_else(|| format!("#{}", index + 1)));
    }
    Ok(json!({ "items": items, "keys": keys }))
}

fn name_of(item: &Value) -> Option<String> {
    match item {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Object(fields) => ["name", "id", "key"].iter().find_map(|field| match fields.get(*field) {
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Number(number)) => Some(number.to_string()),
            Some(_) | None => None,
        }),
        Value::Null | Value::Bool(_) | Value::Array(_) => None,
    }
}

/// Whether a text can be part of a place: short, and without the letters that places are put together with.
fn is_plain(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/' | b':');
    !name.is_empty() && name.len() <= 80 && name.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_item_has_a_key_of_its_own() {
        let keys_of = |items: Value| keys(&frozen(items).unwrap());
        assert_eq!(keys_of(json!(["pod-1", "pod-2", "pod-1", "a b", 7, 7])), ["pod-1", "pod-2", "#3", "#4", "7", "#6"]);
        assert_eq!(keys_of(json!([{ "name": "x" }, { "id": 3 }, { "other": 1 }, "a]b"])), ["x", "3", "#3", "#4"]);
        assert!(frozen(json!({})).is_err());
        assert!(frozen(json!(vec![0; MOST_ITEMS + 1])).is_err());
    }

    #[test]
    fn a_lane_sees_itself_and_what_is_around_it() {
        assert!(sees("5", "3.west.1"));
        assert!(sees("4[a].2", "4[a].1"));
        assert!(!sees("4[b].2", "4[a].1"));
        assert!(!sees("5", "4[a].1"));
        assert!(sees("4[a].2[x].1", "4[a].1"));
        assert!(!sees("4[a].3", "4[a].2[x].1"));
    }
}
