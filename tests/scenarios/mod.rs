//! Stories: what people gain, told through the bot's own surface.
