//! The frame of every page: its head, the bar on top, and the line to say something at the bottom.

use std::sync::LazyLock;

use axum::response::{Html, IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};
use sha2::{Digest, Sha256};

use super::{
    draw::{self, Pen},
    session::Session,
};
use crate::adapters::web::answers::Trouble;

pub(super) const CSS: &str = include_str!("console.css");
pub(super) const JS: &str = include_str!("console.js");
pub(super) const ICON: &str = include_str!("icon.svg");

/// Changes with the assets, so that browsers may keep them.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let digest = Sha256::new().chain_update(CSS).chain_update(JS).chain_update(ICON).finalize();
    hex::encode(digest).chars().take(12).collect()
});

/// The places that the bar leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Overview,
    Log,
    Elsewhere,
}

fn head(title: &str) -> Markup {
    let version = VERSION.as_str();
    html! {
        meta charset="utf-8";
        meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover";
        meta name="color-scheme" content="light dark";
        meta name="robots" content="noindex";
        title { (title) " · Firewarden" }
        link rel="icon" type="image/svg+xml" href={ "/assets/icon.svg?" (version) };
        link rel="stylesheet" href={ "/assets/console.css?" (version) };
        script src={ "/assets/console.js?" (version) } defer {}
    }
}

/// A page for somebody who is signed in. `live` is what the script replaces when something has changed.
pub(super) fn page(title: &str, place: Place, session: &Session, pen: Pen<'_>, live: &Markup) -> Response {
    let here = |one| (place == one).then_some("page");
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head { (head(title)) }
            body {
                header.bar {
                    a.brand href="/" { img src="/assets/icon.svg" alt="" width="22" height="22"; "Firewarden" }
                    nav {
                        a href="/" aria-current=[here(Place::Overview)] { "Overview" }
                        a href="/log" aria-current=[here(Place::Log)] { "Log" }
                    }
                    span #pulse title="This page is as it was when it was loaded" { "not live" }
                    form.out method="post" action="/logout" {
                        input type="hidden" name="csrf" value=(session.csrf);
                        span.person { (session.person.id) }
                        button.quiet type="submit" { "Sign out" }
                    }
                }
                main #live data-now=(pen.now.millis()) { (live) }
                (say(pen))
                dialog #ask aria-label="More is needed" {}
            }
        }
    };
    Html(markup.into_string()).into_response()
}

fn say(pen: Pen<'_>) -> Markup {
    let hint = pen.about.map_or("/incident list".to_owned(), |about| format!("/incident ack · about {about}"));
    html! {
        section.say aria-label="Commands" {
            div #replies aria-live="polite" {}
            form #say method="post" action="/console/say" data-act {
                (draw::hidden(pen))
                ul #fits role="listbox" hidden {}
                label.prompt for="line" { "›" }
                input #line name="line" placeholder=(hint) aria-label="A command" autocomplete="off" autocapitalize="off"
                    autocorrect="off" spellcheck="false" enterkeyhint="send" maxlength="8000" required;
                button.main type="submit" { "Send" }
            }
        }
    }
}

/// A page for somebody who is not signed in, or when there is nothing else to show.
pub(super) fn bare(title: &str, inner: &Markup) -> Response {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head { (head(title)) }
            body.bare {
                main {
                    a.brand href="/" { img src="/assets/icon.svg" alt="" width="30" height="30"; "Firewarden" }
                    (inner)
                }
            }
        }
    };
    Html(markup.into_string()).into_response()
}

/// Says on a page what went wrong.
pub(in crate::adapters::web) fn sorry(trouble: &Trouble) -> Response {
    let inner = html! {
        p.what { (draw::ticked(&trouble.what)) }
        @if let Some(hint) = &trouble.hint { p.hint { "hint: " (draw::ticked(hint)) } }
        p { a href="/" { "To the overview" } }
    };
    let mut response = bare("Not here", &inner);
    *response.status_mut() = trouble.status;
    response
}
