//! What people do: say lines from a shell, sign in, read the page and press its buttons.

use axum::http::StatusCode;
use serde_json::json;

use super::{Fingerprint, Keys, Server, keys, person};
use crate::{
    domain::time::Time,
    engine::chat::{Button, Card, Line, Message, Shortcut, Span, Tone},
    store,
};

struct Said {
    message: Message,
    now: Time,
}

impl store::Decision for Said {
    type Answer = ();

    async fn decide(&self, tx: &mut store::Tx) -> store::Result<()> {
        let body = serde_json::to_value(&self.message)?;
        let post =
            store::posts::NewPost { channel: "ops", is_page: true, incident: None, body: &body, expires_at: None };
        store::posts::add(tx, &post, self.now).await.map(drop)
    }
}

async fn show(server: &Server, message: Message) {
    let now = server.trial.engine.now();
    server.trial.engine.store().decide(Said { message, now }).await.unwrap();
}

#[tokio::test]
async fn a_line_from_a_shell_needs_a_personal_token() {
    let server = Server::new().await;
    let body = json!({ "line": "/nonsense", "key": "k" }).to_string();
    for authorization in ["", "Bearer nobody", "Basic YWRhLXRva2Vu", "Bearer old-token"] {
        let told = server.post("/api/say", &[("authorization", authorization)], &body).await;
        assert_eq!(told.status, StatusCode::UNAUTHORIZED, "`{authorization}`");
        assert_eq!(told.header("www-authenticate"), "Bearer realm=\"firewarden\"");
    }
    let told = server.post("/api/say", &[("authorization", "Bearer ada-token")], &body).await;
    assert_eq!(told.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(told.json(), json!({ "error": "There is no command `/nonsense`", "hint": "try `/help`" }));
}

#[tokio::test]
async fn a_cookie_alone_says_nothing() {
    let server = Server::new().await;
    let (cookie, _) = server.sign_in("ada-token").await;
    let told = server.post("/api/say", &[("cookie", &cookie)], r#"{"line": "/nonsense"}"#).await;
    assert_eq!(told.status, StatusCode::UNAUTHORIZED);
    assert_eq!(server.get("/api/commands", &[("cookie", &cookie)]).await.status, StatusCode::OK);
    assert_eq!(server.get("/api/commands", &[]).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_request_to_say_something_that_is_none_is_told_its_place() {
    let server = Server::new().await;
    let headers = [("authorization", "Bearer ada-token")];
    let told = server.post("/api/say", &headers, r#"{"line": 7}"#).await;
    assert_eq!(told.status, StatusCode::BAD_REQUEST);
    assert!(told.json()["error"].as_str().unwrap().starts_with("`line`: "), "{}", told.text);
    let long = json!({ "line": "x".repeat(100_000) }).to_string();
    assert_eq!(server.post("/api/say", &headers, &long).await.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_stranger_is_asked_to_sign_in_and_comes_back_to_where_they_wanted() {
    let server = Server::new().await;
    let told = server.get("/incidents/INC-1", &[]).await;
    assert_eq!((told.status, told.header("location")), (StatusCode::SEE_OTHER, "/login?to=/incidents/INC-1"));
    let told = server.send("/login", "", &[("token", "wrong"), ("to", "/log")]).await;
    assert_eq!(told.status, StatusCode::UNAUTHORIZED);
    assert!(told.text.contains("This token is nobody's") && told.text.contains("value=\"/log\""), "{}", told.text);
    let told = server.send("/login", "", &[("token", "ada-token"), ("to", "/log")]).await;
    assert_eq!(told.header("location"), "/log");
    for elsewhere in ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"] {
        let told = server.send("/login", "", &[("token", "ada-token"), ("to", elsewhere)]).await;
        assert_eq!(told.header("location"), "/", "{elsewhere}");
    }
}

#[tokio::test]
async fn a_form_of_another_site_is_refused() {
    let server = Server::new().await;
    let (cookie, csrf) = server.sign_in("ada-token").await;
    let (_, of_bob) = server.sign_in("bob-token").await;
    for word in ["", "guess", &of_bob] {
        for (path, field) in [("/console/say", ("line", "/nonsense")), ("/console/press", ("press", "1.ack.INC-1"))] {
            let told = server.send(path, &cookie, &[("csrf", word), field]).await;
            assert_eq!(told.status, StatusCode::FORBIDDEN, "{path} with `{word}`");
        }
        assert_eq!(server.send("/logout", &cookie, &[("csrf", word)]).await.status, StatusCode::FORBIDDEN);
    }
    let told = server.send("/console/say", &cookie, &[("csrf", &csrf), ("line", "/nonsense")]).await;
    assert_eq!(told.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(told.text.contains("There is no command <code>/nonsense</code>"), "{}", told.text);
}

#[tokio::test]
async fn a_session_ends_with_its_token_with_signing_out_and_after_a_shift() {
    let server = Server::new().await;
    let (cookie, csrf) = server.sign_in("ada-token").await;
    let is_in = async |cookie: &str| server.get("/", &[("cookie", cookie)]).await.status == StatusCode::OK;
    assert!(is_in(&cookie).await);
    assert_eq!(server.send("/logout", &cookie, &[("csrf", &csrf)]).await.status, StatusCode::SEE_OTHER);
    assert!(!is_in(&cookie).await);

    let (cookie, _) = server.sign_in("ada-token").await;
    server.trial.clock.pass(std::time::Duration::from_hours(11));
    assert!(is_in(&cookie).await, "used within the shift");
    server.trial.clock.pass(std::time::Duration::from_hours(13));
    assert!(!is_in(&cookie).await);

    let (cookie, _) = server.sign_in("ada-token").await;
    server.gate.adopt(Keys::default());
    assert!(!is_in(&cookie).await);
}

#[tokio::test]
async fn what_comes_from_outside_stays_text_on_the_page() {
    let server = Server::new().await;
    let evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>";
    let line = Line::text(evil).code(evil).strong(evil);
    let line = line.with(Span::Link { text: "here".to_owned(), url: "javascript:alert(3)".to_owned() });
    let card = Card::new(Tone::Urgent, line.clone()).fact(evil, line.clone()).block(line.clone());
    let card = card.row(vec![Button::new(evil, Shortcut::new("run", &[&evil, &"INC-1"]))]);
    show(&server, Message { lines: vec![line], ..Message::card(card) }).await;
    let (cookie, _) = server.sign_in("ada-token").await;
    let page = server.get("/", &[("cookie", &cookie)]).await;
    assert!(page.text.contains("&lt;script&gt;alert(1)"), "{}", page.text);
    for raw in ["<script>alert", "<img src=x", "href=\"javascript"] {
        assert!(!page.text.contains(raw), "{raw} in {}", page.text);
    }
    assert!(page.header("content-security-policy").starts_with("default-src 'none'; script-src 'self'"));
    assert!(!page.text.contains("style=") && !page.text.contains("onclick"), "nothing stands inline");
    assert_eq!(page.header("cache-control"), "no-store");
}

#[tokio::test]
async fn a_button_that_is_none_and_an_incident_that_is_none_are_told() {
    let server = Server::new().await;
    let (cookie, csrf) = server.sign_in("ada-token").await;
    let told = server.send("/console/press", &cookie, &[("csrf", &csrf), ("press", "1.nonsense")]).await;
    assert_eq!(told.status, StatusCode::UNPROCESSABLE_ENTITY);
    for name in ["INC-999", "nonsense", "%3Cscript%3E"] {
        let told = server.get(&format!("/incidents/{name}"), &[("cookie", &cookie)]).await;
        assert_eq!(told.status, StatusCode::NOT_FOUND);
        assert!(!told.text.contains("<script>a") && told.text.contains("There is no incident"), "{}", told.text);
    }
}

#[tokio::test]
async fn the_files_of_the_page_may_be_kept_by_browsers() {
    let server = Server::new().await;
    for (path, kind) in [
        ("/assets/console.css", "text/css; charset=utf-8"),
        ("/assets/console.js", "text/javascript; charset=utf-8"),
        ("/assets/icon.svg", "image/svg+xml"),
    ] {
        let told = server.get(path, &[]).await;
        assert_eq!((told.status, told.header("content-type")), (StatusCode::OK, kind));
        assert!(told.header("cache-control").contains("immutable"));
    }
}

#[tokio::test]
async fn a_line_is_carried_out_once_however_often_it_is_sent() {
    let server = Server::new().await;
    let ada = [("authorization", "Bearer ada-token")];
    let declare = json!({ "line": "/incident declare title:\"Nobody can pay\"", "key": "once" }).to_string();
    let first = server.post("/api/say", &ada, &declare).await;
    assert_eq!(first.status, StatusCode::OK, "{}", first.text);
    assert!(first.json()["text"].as_str().unwrap().contains("INC-1"), "{}", first.text);
    assert_eq!(server.post("/api/say", &ada, &declare).await.json(), first.json());
    let of_bob = server.post("/api/say", &[("authorization", "Bearer bob-token")], &declare).await;
    assert!(of_bob.json()["text"].as_str().unwrap().contains("INC-2"), "keys are each person's own: {}", of_bob.text);
    let list = server.post("/api/say", &ada, r#"{"line": "/incident list"}"#).await;
    let text = list.json()["text"].as_str().unwrap().to_owned();
    assert!(text.contains("Nobody can pay") && text.contains("INC-2") && !text.contains("INC-3"), "{text}");
}

#[tokio::test]
async fn a_button_asks_for_what_it_does_not_carry_and_then_does_it() {
    let server = Server::new().await;
    let (cookie, csrf) = server.sign_in("ada-token").await;
    let declared = [("csrf", csrf.as_str()), ("key", "a"), ("line", "/incident declare title:\"Slow <b>search</b>\"")];
    let told = server.send("/console/say", &cookie, &declared).await;
    assert_eq!(told.status, StatusCode::OK, "{}", told.text);

    let pressed = [("csrf", csrf.as_str()), ("key", "b"), ("press", "1.note.INC-1")];
    let asked = server.send("/console/press", &cookie, &pressed).await;
    assert_eq!(asked.status, StatusCode::OK);
    assert!(asked.text.contains("name=\"option.text\""), "{}", asked.text);
    let empty = [pressed.as_slice(), &[("option.text", " ")]].concat();
    assert_eq!(server.send("/console/press", &cookie, &empty).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let full = [("csrf", csrf.as_str()), ("key", "c"), ("press", "1.note.INC-1"), ("option.text", "looking at <it>")];
    let aimed = [full.as_slice(), &[("option.incident", "INC-9")]].concat();
    assert_eq!(server.send("/console/press", &cookie, &aimed).await.status, StatusCode::OK, "what it carries stands");

    let page = server.get("/incidents/INC-1", &[("cookie", &cookie)]).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text.contains("looking at &lt;it&gt;"), "{}", page.text);
    assert!(page.text.contains("Slow &lt;b&gt;search&lt;/b&gt;") && page.text.contains("id=\"card-INC-1\""));
    assert!(page.text.contains("href=\"#e1\"") && page.text.contains("INC-1#1"), "entries can be cited");
    let review = server.get("/incidents/INC-1/review", &[("cookie", &cookie)]).await;
    assert_eq!(review.status, StatusCode::OK);
    assert!(
        review.text.contains("href=\"/incidents/INC-1?all=1#e1\"") && !review.text.contains("<b>search"),
        "{}",
        review.text
    );
    let markdown = server.get("/incidents/INC-1/review.md", &[("cookie", &cookie)]).await;
    assert_eq!(markdown.header("content-type"), "text/markdown; charset=utf-8");
    let overview = server.get("/", &[("cookie", &cookie)]).await;
    assert!(overview.text.contains("id=\"card-INC-1\""), "{}", overview.text);
}

#[tokio::test]
async fn the_script_gets_the_answer_alone() {
    let server = Server::new().await;
    let (cookie, csrf) = server.sign_in("ada-token").await;
    let kind = "application/x-www-form-urlencoded";
    let headers = [("content-type", kind), ("cookie", cookie.as_str()), ("accept", "application/json")];
    let told = server.post("/console/say", &headers, &format!("csrf={csrf}&key=k&line=/incident+list")).await;
    assert_eq!((told.status, &told.json()["outcome"]), (StatusCode::OK, &json!("said")));
    let told = server.post("/console/say", &headers, &format!("csrf={csrf}&key=l&line=/nonsense")).await;
    assert_eq!(told.json()["outcome"], "refused");
    assert!(!told.text.contains("DOCTYPE"), "{}", told.text);
}

#[tokio::test]
async fn commands_are_listed_with_what_completes_them() {
    let server = Server::new().await;
    let ada = [("authorization", "Bearer ada-token")];
    let all = server.get("/api/commands", &ada).await.json();
    let note = all.as_array().unwrap().iter().find(|one| one["name"] == "/incident note").unwrap().clone();
    assert_eq!(note["options"][0]["kind"], "text");
    assert_eq!(note["options"][1]["lookup"], "incident");
    server.post("/api/say", &ada, r#"{"line": "/incident declare title:\"Nobody can pay\""}"#).await;
    let found = server.get("/api/complete?lookup=incident&typed=pay", &ada).await.json();
    assert_eq!(found[0]["name"], "INC-1", "{found}");
    assert_eq!(server.get("/api/complete?lookup=person&typed=a", &ada).await.json()[0]["name"], "ada");
    assert_eq!(server.get("/api/complete?lookup=nonsense", &ada).await.status, StatusCode::BAD_REQUEST);
}

/// A token opens the door and shows nothing: what somebody may see is a matter of their roles.
#[tokio::test]
async fn who_may_not_look_is_shown_nothing() {
    let mut keys = keys();
    keys.people.push((person("eve"), Fingerprint::of("eve-token").unwrap()));
    let server = Server::with(keys).await;
    server.trial.says("ada", "/incident declare title:secret").await.unwrap();
    let told = server.send("/login", "", &[("token", "eve-token")]).await;
    let cookie = told.header("set-cookie").split(';').next().unwrap().to_owned();
    for path in ["/", "/log", "/incidents/INC-1", "/incidents/INC-1/review", "/incidents/INC-1/review.md"] {
        let told = server.get(path, &[("cookie", &cookie)]).await;
        assert_eq!(told.status, StatusCode::FORBIDDEN, "{path}");
        assert!(!told.text.contains("secret") && told.text.contains("on-call"), "{path}: {}", told.text);
    }
    let path = "/api/complete?lookup=incident&typed=";
    for header in [("cookie", cookie.as_str()), ("authorization", "Bearer eve-token")] {
        assert_eq!(server.get(path, &[header]).await.status, StatusCode::FORBIDDEN);
    }
    assert_eq!(server.get(path, &[("authorization", "Bearer ada-token")]).await.status, StatusCode::OK);
}

/// A slip of the fingers makes nobody the lead.
#[tokio::test]
async fn a_person_whom_nobody_knows_gets_no_role() {
    let server = Server::new().await;
    server.trial.says("ada", "/incident declare title:fire").await.unwrap();
    let body = r#"{"line": "/incident role role:lead person:bop incident:INC-1"}"#;
    let told = server.post("/api/say", &[("authorization", "Bearer ada-token")], body).await;
    assert_eq!(told.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(told.json()["hint"], "did you mean `bob`?");
    let body = body.replace("bop", "bob");
    assert_eq!(server.post("/api/say", &[("authorization", "Bearer ada-token")], &body).await.status, StatusCode::OK);
}

/// A long night is drawn in parts; all of it is a click away.
#[tokio::test]
async fn a_long_timeline_is_shown_in_part() {
    let server = Server::new().await;
    server.trial.says("ada", "/incident declare title:fire").await.unwrap();
    for number in 0..250 {
        server.trial.says("ada", &format!("/incident note incident:INC-1 text:n{number}x")).await.unwrap();
    }
    let (cookie, _) = server.sign_in("ada-token").await;
    let told = server.get("/incidents/INC-1", &[("cookie", &cookie)]).await;
    assert!(told.text.contains("n249x") && !told.text.contains("n1x") && told.text.contains("?all=1"));
    assert!(server.get("/incidents/INC-1?all=1", &[("cookie", &cookie)]).await.text.contains("n1x"));
}
