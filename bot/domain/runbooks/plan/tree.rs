//! The steps of a plan as a tree, and the places that they have in a journal.
//!
//! A step has a path in the plan, such as `4[].1`, and for each item of a list a place of its own, such as `4[pod-7].1`.
//! Outside of lists the two are the same: `2`, `3.west.1`, `finally.1`.

use std::{borrow::Cow, collections::HashMap};

use super::{Plan, Step};

impl Plan {
    /// The steps that the run is for, those within others after them, in the order of the file.
    pub fn all_steps(&self) -> Vec<&Step> {
        flat(&self.steps)
    }

    /// The same, with those that follow a failure or the end.
    pub fn every_step(&self) -> Vec<&Step> {
        let failure = [&self.on_failure.before_mutation, &self.on_failure.after_mutation];
        let aside = failure.into_iter().chain([&self.finally]).flat_map(|steps| flat(steps));
        self.all_steps().into_iter().chain(aside).collect()
    }

    /// Every step by its path.
    pub fn index(&self) -> HashMap<&str, &Step> {
        self.every_step().into_iter().map(|step| (step.path.as_str(), step)).collect()
    }

    /// The step at this place of a journal.
    pub fn step(&self, place: &str) -> Option<&Step> {
        let path = template_of(place);
        self.every_step().into_iter().find(|step| step.path == path)
    }

    /// The same, with the place for its path.
    pub fn at(&self, place: &str) -> Option<Step> {
        self.step(place).map(|step| step.placed(place))
    }
}

fn flat(steps: &[Step]) -> Vec<&Step> {
    let mut all = Vec::new();
    let mut left: Vec<&Step> = steps.iter().rev().collect();
    while let Some(step) = left.pop() {
        all.push(step);
        left.extend(step.within().into_iter().rev());
    }
    all
}

/// The path in the plan of what is at this place of a journal.
pub fn template_of(place: &str) -> Cow<'_, str> {
    if !place.contains('[') {
        return Cow::Borrowed(place);
    }
    let mut path = String::with_capacity(place.len());
    for (index, part) in place.split('[').enumerate() {
        if index > 0 {
            path.push_str("[]");
        }
        path.push_str(if index > 0 { part.split_once(']').map_or("", |(_, rest)| rest) } else { part });
    }
    Cow::Owned(path)
}

/// The lanes of lists that a place is in, from the outside in: the place of each list's step, and the item's key.
pub fn lanes_of(place: &str) -> Vec<(&str, &str)> {
    let ends = place.match_indices(']').map(|(end, _)| end);
    ends.filter_map(|end| place.get(..end)?.rfind('[').map(|begin| (&place[..begin], &place[begin + 1..end]))).collect()
}

/// Whether a place belongs to the steps that the run is for.
pub fn is_main(place: &str) -> bool {
    place.starts_with(|letter: char| letter.is_ascii_digit())
}

/// The name of a step with the items that it is done for, as far as they are known.
pub fn named(name: &str, place: &str) -> String {
    let keys: Vec<&str> = lanes_of(place).into_iter().map(|(_, key)| key).filter(|key| !key.is_empty()).collect();
    if keys.is_empty() { name.to_owned() } else { format!("{name} ({})", keys.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_leads_to_its_path_and_its_lanes() {
        assert_eq!(template_of("3.west.1"), "3.west.1");
        assert_eq!(template_of("4[pod-7].2.a.1[#3].1"), "4[].2.a.1[].1");
        assert_eq!(lanes_of("4[pod-7].2.a.1[#3].1"), [("4", "pod-7"), ("4[pod-7].2.a.1", "#3")]);
        assert_eq!(named("drain", "4[pod-7].1"), "drain (pod-7)");
        assert_eq!(named("drain", "4[].1"), "drain", "of a list that is not known");
        assert!(is_main("4[pod-7].1") && !is_main("finally.1"));
    }
}
