//! Discord's limits, each with the page that states it.

use std::time::Duration;

/// Characters of a message. <https://discord.com/developers/docs/resources/message#create-message>
pub const CONTENT: usize = 2_000;
/// People, and roles, that a message may notify.
/// <https://discord.com/developers/docs/resources/message#allowed-mentions-object>
pub const MENTIONS: usize = 100;
/// Characters of the mentions above a message: half of it, so that its words have room.
pub const CALLED: usize = CONTENT / 2;
/// Characters of an embed's title. <https://discord.com/developers/docs/resources/message#embed-object-embed-limits>
pub const EMBED_TITLE: usize = 256;
/// Characters of an embed's description (the same page).
pub const EMBED_DESCRIPTION: usize = 4_096;
/// Fields of an embed (the same page).
pub const EMBED_FIELDS: usize = 25;
/// Characters of a field's name (the same page).
pub const FIELD_NAME: usize = 256;
/// Characters of a field's value (the same page).
pub const FIELD_VALUE: usize = 1_024;
/// Characters of all embeds of a message together (the same page).
pub const EMBED_TOTAL: usize = 6_000;
/// Rows of components. <https://discord.com/developers/docs/components/reference#action-row>
pub const ROWS: usize = 5;
/// Buttons of a row (the same page).
pub const BUTTONS: usize = 5;
/// Characters of a button's label. <https://discord.com/developers/docs/components/reference#button>
pub const BUTTON_LABEL: usize = 80;
/// Characters of a custom id (the same page).
pub const CUSTOM_ID: usize = 100;
/// Choices of an autocompletion, and of an option.
/// <https://discord.com/developers/docs/interactions/application-commands#application-command-object-application-command-option-structure>
pub const CHOICES: usize = 25;
/// Characters of a choice's name and of its value (the same page).
pub const CHOICE: usize = 100;
/// Characters of a command's or an option's description (the same page).
pub const DESCRIPTION: usize = 100;
/// The largest whole number of an option, and the smallest without its sign: what a `double` holds exactly.
/// <https://discord.com/developers/docs/interactions/application-commands#application-command-object-application-command-option-type>
pub const INTEGER: i64 = 9_007_199_254_740_991;
/// Characters of a modal's title. <https://discord.com/developers/docs/interactions/receiving-and-responding>
pub const MODAL_TITLE: usize = 45;
/// Characters of a text input's label. <https://discord.com/developers/docs/components/reference#text-input>
pub const INPUT_LABEL: usize = 45;
/// Characters that a text input takes (the same page).
pub const INPUT_VALUE: u16 = 4_000;
/// Characters of a thread's name. <https://discord.com/developers/docs/resources/channel#start-thread-from-message>
pub const THREAD_NAME: usize = 100;
/// After so many quiet minutes a thread leaves the list; a message brings it back (the same page).
pub const ARCHIVE_AFTER_MINUTES: u32 = 4_320;
/// The code of the error that a message has a thread already.
/// <https://discord.com/developers/docs/topics/opcodes-and-status-codes#json>
pub const THREAD_EXISTS: u64 = 160_004;
/// The code of the error that a channel or thread is gone (the same page).
pub const UNKNOWN_CHANNEL: u64 = 10_003;
/// The code of the error that a message is gone (the same page).
pub const UNKNOWN_MESSAGE: u64 = 10_008;
/// The code of the error that a thread is archived (the same page).
pub const THREAD_IS_ARCHIVED: u64 = 50_083;
/// Requests in a second, all together. <https://discord.com/developers/docs/topics/rate-limits#global-rate-limit>
pub const REQUESTS_PER_SECOND: usize = 50;
/// Invalid requests (401, 403, 429) in ten minutes that lead to a ban.
/// <https://discord.com/developers/docs/topics/rate-limits#invalid-request-limit-aka-cloudflare-bans>
pub const INVALID_REQUESTS: usize = 10_000;
/// An interaction is deferred after this long: Discord waits 3 s for the first answer.
/// <https://discord.com/developers/docs/interactions/receiving-and-responding>
pub const DEFER_AFTER: Duration = Duration::from_millis(1_500);
/// How long after an interaction it can still be answered (the same page).
pub const TOKEN_LIFE: Duration = Duration::from_mins(15);
/// A request that takes longer is taken for lost.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// The text within this many characters; a longer one ends with `…`.
pub fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters_and_says_so() {
        assert_eq!(cut("größer", 6), "größer");
        assert_eq!(cut("größer", 4), "grö…");
        assert_eq!((cut("", 0).as_str(), cut("ß", 0).as_str(), cut("ßß", 1).as_str()), ("", "", "…"));
    }
}
