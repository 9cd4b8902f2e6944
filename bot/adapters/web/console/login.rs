//! Signing in with a personal token, and out again.

use std::sync::Arc;

use axum::{
    Form,
    extract::{Query, State, rejection::FormRejection},
    http::{HeaderMap, StatusCode, header},
    response::{AppendHeaders, IntoResponse, Redirect, Response},
};
use maud::html;
use serde::Deserialize;

use super::{
    is_own, page,
    session::{self, Session},
};
use crate::adapters::web::{Site, answers::Trouble};

/// Where somebody wanted to go.
#[derive(Debug, Default, Deserialize)]
pub(in crate::adapters::web) struct Wanted {
    #[serde(default)]
    to: String,
}

/// The form of the login page.
#[derive(Deserialize)]
pub(in crate::adapters::web) struct Login {
    token: String,
    #[serde(default)]
    to: String,
}

/// The form of the button that signs out.
#[derive(Deserialize)]
pub(in crate::adapters::web) struct Logout {
    csrf: String,
}

/// `GET /login`.
pub(in crate::adapters::web) async fn ask(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    Query(wanted): Query<Wanted>,
) -> Response {
    if Session::of(&site, &headers).is_some() {
        return Redirect::to("/").into_response();
    }
    form(&wanted.to, None)
}

fn form(to: &str, trouble: Option<&str>) -> Response {
    page::bare(
        "Sign in",
        &html! {
            form.login method="post" action="/login" {
                @if is_own(to) { input type="hidden" name="to" value=(to); }
                label for="token" { "Your personal token" }
                input #token type="password" name="token" autocomplete="current-password" required autofocus
                    aria-describedby=[trouble.map(|_| "trouble")];
                @if let Some(trouble) = trouble { p.trouble #trouble role="alert" { (trouble) } }
                button.main type="submit" { "Sign in" }
            }
            p.aside { "Tokens belong to people and stand in the configuration, under " code { "[people]" } "." }
        },
    )
}

/// `POST /login`.
pub(in crate::adapters::web) async fn login(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    login: Result<Form<Login>, FormRejection>,
) -> Response {
    let from_elsewhere = headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site" || site == "same-site");
    if from_elsewhere {
        return page::sorry(&Trouble::new(StatusCode::FORBIDDEN, "Cannot sign in from a form of another site"));
    }
    let Ok(Form(login)) = login else {
        return page::sorry(
            &Trouble::new(StatusCode::BAD_REQUEST, "The form is not whole").hint("load `/login` again"),
        );
    };
    if let Some(cookie) = session::begin(&site, &login.token) {
        let to = if is_own(&login.to) { login.to.as_str() } else { "/" };
        return (AppendHeaders([(header::SET_COOKIE, cookie)]), Redirect::to(to)).into_response();
    }
    let mut response = form(&login.to, Some("This token is nobody's"));
    *response.status_mut() = StatusCode::UNAUTHORIZED;
    response
}

/// `POST /logout`.
pub(in crate::adapters::web) async fn logout(
    State(site): State<Arc<Site>>,
    session: Session,
    headers: HeaderMap,
    form: Result<Form<Logout>, FormRejection>,
) -> Response {
    if !form.is_ok_and(|Form(form)| session.sent(&form.csrf)) {
        return page::sorry(&super::stale());
    }
    let cookie = session::end(&site, &headers);
    (AppendHeaders([(header::SET_COOKIE, cookie)]), Redirect::to("/login")).into_response()
}
