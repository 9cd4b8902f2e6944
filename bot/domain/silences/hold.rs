//! What becomes of news of an alert while silences stand.

use crate::domain::alerts::What;

/// What becomes of news of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the news are passed on.
    pub passes: bool,
    /// Whether the alert is held back from then on: something began that nobody was told of.
    pub is_held: bool,
}

/// What becomes of the news, by what is known of the alert: whether it is held back already, whether an active silence
/// matches it, and whether people are told of it where it is not over.
///
/// What begins under a silence is held back. What was held back, people learn nothing more of, until it happens again
/// under no silence. What they were told of goes on to be told.
pub fn verdict(what: What, was_held: bool, is_silenced: bool, is_told: bool) -> Verdict {
    match what {
        What::HeardAgain if is_told => Verdict { passes: true, is_held: was_held },
        What::Fired | What::Refired | What::HeardAgain => Verdict { passes: !is_silenced, is_held: is_silenced },
        What::Resolved => Verdict { passes: !was_held || is_told, is_held: false },
        What::WentStale
        | What::FlappingStarted
        | What::FlappingEnded
        | What::Repeated
        | What::ReplicaResolved
        | What::ResolvedUnknown
        | What::Older
        | What::Doubted
        | What::Extended => Verdict { passes: !was_held || is_told, is_held: was_held },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSES: Verdict = Verdict { passes: true, is_held: false };
    const HELD: Verdict = Verdict { passes: false, is_held: true };
    const DROPPED: Verdict = Verdict { passes: false, is_held: false };

    #[test]
    fn what_begins_under_a_silence_is_held_back_until_it_is_over() {
        for what in [What::Fired, What::Refired, What::HeardAgain] {
            assert_eq!(verdict(what, false, true, false), HELD, "{what:?}");
            assert_eq!(verdict(what, true, true, false), HELD, "{what:?}");
            assert_eq!(verdict(what, true, false, false), PASSES, "{what:?} with no silence any more");
            assert_eq!(verdict(what, false, false, false), PASSES, "{what:?}");
        }
        assert_eq!(verdict(What::Resolved, true, true, false), DROPPED, "its end changes nothing");
        assert_eq!(verdict(What::Resolved, true, false, false), DROPPED, "nor after the silence");
        assert_eq!(verdict(What::WentStale, true, true, false), HELD);
        assert_eq!(verdict(What::FlappingStarted, true, true, false), HELD);
    }

    #[test]
    fn what_people_were_told_of_goes_on_to_be_told() {
        for what in [What::Resolved, What::WentStale, What::HeardAgain, What::FlappingEnded] {
            assert_eq!(verdict(what, false, true, true), PASSES, "{what:?}");
        }
        assert_eq!(verdict(What::Resolved, false, true, false), PASSES, "nothing of it was held back");
        assert_eq!(verdict(What::Refired, false, true, true), HELD, "it begins again, and that is silenced");
        assert_eq!(verdict(What::Resolved, true, true, true), PASSES, "the incident waits for it");
    }
}
