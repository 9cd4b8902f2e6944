//! The page: what is going on, what waits for somebody, and a line to say something.

pub(super) mod session;

/// Whether this is a plain path of this site, which is safe to send somebody to.
fn is_own(path: &str) -> bool {
    path.starts_with('/')
        && !path.starts_with("//")
        && path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-_".contains(&byte))
}
