//! The systems that effects reach, by the names that `[limits]` has for them.

use serde_json::Value;

/// What an action with these rendered fields reaches: `github`, `kubernetes`, `prometheus`, `shell`, or `http:host`.
pub fn system(action: &str, with: &Value) -> String {
    if action == "http" {
        return format!("http:{}", host(with.get("url").and_then(Value::as_str).unwrap_or_default()));
    }
    action.split('.').next().unwrap_or(action).to_owned()
}

/// The host of an address, with its port if it names one, in lower case.
fn host(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    host.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_host_is_what_stands_between_the_scheme_and_the_path() {
        for (url, name) in [
            ("https://API.example.org/deploy?to=http://other/", "http:api.example.org"),
            ("http://user:pass@127.0.0.1:9797", "http:127.0.0.1:9797"),
            ("https://a.example?x=@b", "http:a.example"),
        ] {
            assert_eq!(system("http", &json!({ "url": url })), name);
        }
        assert_eq!(system("kubernetes.scale", &json!({})), "kubernetes");
        assert_eq!(system("shell", &json!({})), "shell");
    }
}
