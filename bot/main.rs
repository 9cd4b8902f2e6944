//! The `firewarden` program.

fn main() {}
