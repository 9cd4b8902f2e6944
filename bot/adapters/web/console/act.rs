//! What somebody does on the page: presses a button or says a line. Both are commands, with all their checks.
//!
//! With a script the answer is put into the page; without one it is a page of its own.

use std::{collections::BTreeMap, str::FromStr, sync::Arc};

use axum::{
    Form, Json,
    extract::{State, rejection::FormRejection},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use maud::{Markup, html};
use serde_json::json;

use super::{
    draw::{self, Pen},
    page::{self, Place},
    session::Session,
};
use crate::{
    adapters::web::{Site, answers::Trouble, say},
    domain::ids::IncidentId,
    engine::{
        Refusal,
        chat::{Command, Kind, Opt, Reply, Shortcut},
        features,
    },
    store,
};

type Sent = Result<Form<BTreeMap<String, String>>, FormRejection>;

/// What came of it.
enum Outcome {
    Said(Reply),
    Refused(Refusal),
    /// More is needed before the command can be given.
    Asked(Markup),
}

/// `POST /console/say`.
pub(in crate::adapters::web) async fn say(
    State(site): State<Arc<Site>>,
    session: Session,
    headers: HeaderMap,
    sent: Sent,
) -> Response {
    let fields = match checked(&session, sent) {
        Ok(fields) => fields,
        Err(trouble) => return refuse(&headers, &trouble),
    };
    let (key, about) = (field(&fields, "key"), about(&fields));
    let line = field(&fields, "line");
    let said = say::line(&site, session.person.clone(), line, about, Some(key)).await;
    answer(&site, &session, &headers, about, said.map(Outcome::from))
}

/// `POST /console/press`.
pub(in crate::adapters::web) async fn press(
    State(site): State<Arc<Site>>,
    session: Session,
    headers: HeaderMap,
    sent: Sent,
) -> Response {
    let fields = match checked(&session, sent) {
        Ok(fields) => fields,
        Err(trouble) => return refuse(&headers, &trouble),
    };
    let about = about(&fields);
    let pressed = carry_out(&site, &session, &fields, about).await;
    answer(&site, &session, &headers, about, pressed)
}

async fn carry_out(
    site: &Site,
    session: &Session,
    fields: &BTreeMap<String, String>,
    about: Option<IncidentId>,
) -> store::Result<Outcome> {
    let shortcut = match Shortcut::from_str(field(fields, "press")) {
        Ok(shortcut) => shortcut,
        Err(what) => return Ok(Outcome::Refused(Refusal::new(what).hint("load the page again"))),
    };
    let Some(command) = features::command(shortcut.path()) else {
        let what = format!("There is no command `/{}` in this program", shortcut.path().join(" "));
        return Ok(Outcome::Refused(Refusal::new(what)));
    };
    let carried = shortcut.given();
    let is_carried = |name: &str| carried.iter().any(|(carried, _)| carried == name);
    let typed = fields.iter().filter_map(|(name, value)| Some((name.strip_prefix("option.")?, value)));
    let typed = typed.filter(|(name, _)| !is_carried(name)).map(|(name, value)| (name.to_owned(), value.clone()));
    let typed: Vec<(String, String)> = typed.collect();
    let is_asked = !typed.is_empty();
    let missing = command.options.iter().filter(|option| option.is_required && !is_carried(option.name));
    let missing: Vec<&Opt> = missing.collect();
    if !missing.is_empty() && !is_asked {
        let pen = Pen { now: site.engine.now(), csrf: &session.csrf, about };
        return Ok(Outcome::Asked(ask(command, &shortcut, &missing, pen)));
    }
    let args = match command.check(carried.into_iter().chain(typed)) {
        Ok(args) => args,
        Err(refusal) => return Ok(Outcome::Refused(refusal)),
    };
    if let Some(option) = command.missing(&args) {
        let what = format!("Cannot run `{}`: `{}` is missing", command.name(), option.name);
        return Ok(Outcome::Refused(Refusal::new(what).hint(option.help)));
    }
    let key = field(fields, "key");
    say::command(site, session.person.clone(), (command, args), about, Some(key)).await.map(Outcome::from)
}

/// Asks for what a button does not carry.
fn ask(command: &'static Command, shortcut: &Shortcut, missing: &[&Opt], pen: Pen<'_>) -> Markup {
    html! {
        form.ask method="post" action="/console/press" data-act {
            (draw::hidden(pen))
            input type="hidden" name="press" value=(shortcut);
            h3 { (command.help) }
            p.aside { code { (command.name()) } @for (_, value) in shortcut.given() { " " code { (value) } } }
            @for (index, option) in missing.iter().enumerate() {
                @let name = format!("option.{}", option.name);
                label for=(name) { (option.name) span.aside { (option.help) } }
                (input(&name, option.kind, index == 0))
            }
            div.controls {
                button.main type="submit" { "Send" }
                a.quiet href="/" data-close { "Cancel" }
            }
        }
    }
}

fn input(name: &str, kind: Kind, is_first: bool) -> Markup {
    match kind {
        Kind::Text { max } if max > 200 => html! {
            textarea id=(name) name=(name) rows="4" maxlength=(max) required autofocus[is_first] {}
        },
        Kind::Text { max } => html! {
            input id=(name) name=(name) maxlength=(max) required autofocus[is_first];
        },
        Kind::Integer { min, max } => html! {
            input id=(name) name=(name) type="number" min=(min) max=(max) required autofocus[is_first];
        },
        Kind::Choice(choices) => html! {
            select id=(name) name=(name) required autofocus[is_first] {
                @for choice in choices { option value=(choice) { (choice) } }
            }
        },
        Kind::Name(_) | Kind::Person => html! {
            input id=(name) name=(name) maxlength="100" required autocomplete="off" autofocus[is_first];
        },
        Kind::Duration => html! {
            input id=(name) name=(name) maxlength="40" placeholder="15m" required autofocus[is_first];
        },
        Kind::Time => html! {
            input id=(name) name=(name) maxlength="40" placeholder="2026-11-23T03:20:00Z" required autofocus[is_first];
        },
    }
}

impl From<Result<Reply, Refusal>> for Outcome {
    fn from(said: Result<Reply, Refusal>) -> Self {
        match said {
            Ok(reply) => Outcome::Said(reply),
            Err(refusal) => Outcome::Refused(refusal),
        }
    }
}

fn checked(session: &Session, sent: Sent) -> Result<BTreeMap<String, String>, Trouble> {
    let Ok(Form(fields)) = sent else {
        return Err(Trouble::new(StatusCode::BAD_REQUEST, "The form is not whole").hint("load the page again"));
    };
    if session.sent(field(&fields, "csrf")) { Ok(fields) } else { Err(super::stale()) }
}

fn field<'a>(fields: &'a BTreeMap<String, String>, name: &str) -> &'a str {
    fields.get(name).map_or("", String::as_str)
}

fn about(fields: &BTreeMap<String, String>) -> Option<IncidentId> {
    field(fields, "about").parse().ok()
}

/// Whether the page's script asked, which puts the answer into the page.
fn by_script(headers: &HeaderMap) -> bool {
    headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).is_some_and(|kinds| kinds == "application/json")
}

fn refuse(headers: &HeaderMap, trouble: &Trouble) -> Response {
    if by_script(headers) { trouble.clone().into_response() } else { page::sorry(trouble) }
}

fn answer(
    site: &Site,
    session: &Session,
    headers: &HeaderMap,
    about: Option<IncidentId>,
    outcome: store::Result<Outcome>,
) -> Response {
    let pen = Pen { now: site.engine.now(), csrf: &session.csrf, about };
    let (status, word, markup) = match outcome {
        Err(fault) => return refuse(headers, &fault.into()),
        Ok(Outcome::Said(reply)) => {
            let markup = html! {
                (draw::message(&reply.message, pen))
                @if reply.is_private { p.aside { "Only you see this." } }
            };
            (StatusCode::OK, "said", markup)
        }
        Ok(Outcome::Refused(refusal)) => {
            let markup = html! {
                p.what { (draw::ticked(&refusal.what)) }
                @if let Some(hint) = &refusal.hint { p.hint { "hint: " (draw::ticked(hint)) } }
            };
            (StatusCode::UNPROCESSABLE_ENTITY, "refused", markup)
        }
        Ok(Outcome::Asked(markup)) => (StatusCode::OK, "asked", markup),
    };
    if by_script(headers) {
        return Json(json!({ "outcome": word, "html": markup.into_string() })).into_response();
    }
    let back = about.map_or("/".to_owned(), |about| format!("/incidents/{about}"));
    let live = html! { section.narrow.reply.(word) { (markup) p { a href=(back) { "Back" } } } };
    let mut response = page::page("Answer", Place::Elsewhere, session, pen, &live);
    *response.status_mut() = status;
    response
}
