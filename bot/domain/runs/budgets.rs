//! How much may be changed of one service in an hour, by people and bots together.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The window, looking back from the moment of the change.
pub const WINDOW: Duration = Duration::from_hours(1);

/// The name of the budget of services that have none of their own.
pub const DEFAULT: &str = "default";

/// What may be changed in an hour. What is left out is not limited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Budget {
    /// Steps that change something.
    pub steps: Option<u32>,
    /// Pods that they touch, as the steps say.
    pub pods: Option<u32>,
    /// Percent of the service that they touch, as the steps say.
    pub percent: Option<u32>,
}

/// What was spent, or is about to be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Steps.
    pub steps: i64,
    /// Pods.
    pub pods: i64,
    /// Percent.
    pub percent: i64,
}

impl Budget {
    /// Which part of the budget does not allow it, in words; none if all do.
    pub fn exceeded(&self, spent: Cost, cost: Cost) -> Option<String> {
        let parts = [
            (self.steps, spent.steps, cost.steps, "steps that change something"),
            (self.pods, spent.pods, cost.pods, "pods"),
            (self.percent, spent.percent, cost.percent, "percent"),
        ];
        parts.into_iter().find_map(|(limit, spent, cost, what)| {
            let limit = i64::from(limit?);
            (spent.saturating_add(cost) > limit && cost > 0)
                .then(|| format!("{spent} of {limit} {what} are spent in the last hour, and it needs {cost}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_is_a_limit_of_its_own() {
        let budget = Budget { steps: Some(3), pods: Some(10), percent: None };
        let spent = Cost { steps: 2, pods: 8, percent: 500 };
        assert_eq!(budget.exceeded(spent, Cost { steps: 1, pods: 2, percent: 90 }), None);
        let why = budget.exceeded(spent, Cost { steps: 1, pods: 3, percent: 0 }).unwrap();
        assert_eq!(why, "8 of 10 pods are spent in the last hour, and it needs 3");
        assert!(budget.exceeded(Cost { steps: 3, ..spent }, Cost { steps: 1, pods: 0, percent: 0 }).is_some());
        let over = Cost { pods: 11, steps: 0, percent: 0 };
        assert_eq!(budget.exceeded(over, Cost { steps: 1, pods: 0, percent: 0 }), None, "it touches none");
    }
}
