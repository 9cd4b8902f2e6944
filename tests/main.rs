//! Every test that drives the bot from outside: stories, crash proofs and the checks on the tree itself.
