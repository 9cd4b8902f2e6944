//! The review of an incident as a page to read, and as the Markdown that it is.
//!
//! What the log holds from outside stays text: raw HTML in the Markdown is escaped, and only safe links are links. Each
//! citation leads to its entry.

use std::sync::{Arc, LazyLock};

use axum::{
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use maud::{PreEscaped, html};
use regex::Regex;

use super::{
    draw::Pen,
    page::{self, Place},
};
use crate::{
    adapters::web::{Site, answers::Trouble, caller::Viewer},
    domain::{ids::IncidentId, reviews::Review},
    engine::{Stop, View, reviews},
};

/// `GET /incidents/INC-1/review`.
pub(in crate::adapters::web) async fn show(
    State(site): State<Arc<Site>>,
    Viewer(session): Viewer,
    Path(name): Path<String>,
) -> Result<Response, Response> {
    let (id, review) = draft(&site, &name).await.map_err(|trouble| page::sorry(&trouble))?;
    let pen = Pen { now: site.engine.now(), csrf: &session.csrf, about: Some(id) };
    let live = html! {
        article.narrow.review {
            p.aside {
                a href={ "/incidents/" (id) } { (id) }
                " · drafted from the log as it stands · "
                a href={ "/incidents/" (id) "/review.md" } { "Markdown" }
            }
            (PreEscaped(rendered(&review.markdown)))
        }
    };
    Ok(page::page(&format!("Review of {id}"), Place::Elsewhere, &session, pen, &live))
}

/// `GET /incidents/INC-1/review.md`.
pub(in crate::adapters::web) async fn markdown(
    State(site): State<Arc<Site>>,
    _: Viewer,
    Path(name): Path<String>,
) -> Result<Response, Response> {
    let (id, review) = draft(&site, &name).await.map_err(|trouble| page::sorry(&trouble))?;
    let headers = [
        (header::CONTENT_TYPE, "text/markdown; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{}\"", reviews::file_name(id))),
    ];
    Ok((headers, review.markdown).into_response())
}

async fn draft(site: &Site, name: &str) -> Result<(IncidentId, Review), Trouble> {
    let id = name.parse::<IncidentId>().map_err(|error| Trouble::new(StatusCode::NOT_FOUND, error.to_string()))?;
    let rules = site.engine.rules();
    let mut reader = site.engine.read().await?;
    let mut view = View { reader: &mut reader, now: site.engine.now(), rules: &rules };
    match reviews::review(&mut view, id).await {
        Ok(review) => Ok((id, review)),
        Err(Stop::Refused(refusal)) => {
            Err(Trouble { status: StatusCode::NOT_FOUND, what: refusal.what, hint: refusal.hint })
        }
        Err(Stop::Fault(fault)) => Err(fault.into()),
    }
}

/// The Markdown as HTML that is safe to show.
fn rendered(markdown: &str) -> String {
    let mut options = comrak::Options::default();
    options.extension.table = true;
    options.extension.tasklist = true;
    options.render.escape = true;
    cited(&comrak::markdown_to_html(markdown, &options))
}

/// A citation between tags, such as `INC-1#7`.
static CITATION: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\b(INC-[0-9]{1,18})#([0-9]{1,18})\b").ok());

/// Makes each citation in the text a link to its entry; what stands in tags stays as it is.
fn cited(html: &str) -> String {
    let Some(citation) = CITATION.as_ref() else { return html.to_owned() };
    let mut out = String::with_capacity(html.len() + html.len() / 4);
    let mut is_link = false;
    for piece in html.split_inclusive('>') {
        let (text, tag) = piece.split_at(piece.find('<').unwrap_or(piece.len()));
        if is_link {
            out.push_str(text);
        } else {
            out.push_str(&citation.replace_all(text, r#"<a class="cite" href="/incidents/$1?all=1#e$2">$0</a>"#));
        }
        is_link = if tag.starts_with("<a ") { true } else { is_link && !tag.starts_with("</a") };
        out.push_str(tag);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn citations_lead_to_their_entries_but_not_inside_links() {
        let html = rendered("Ada took it (INC-1#7).\n\n[INC-2#3](https://example.org/INC-2#3) `INC-3#1`");
        assert!(html.contains(r#"(<a class="cite" href="/incidents/INC-1?all=1#e7">INC-1#7</a>)"#), "{html}");
        assert!(html.contains(r#"<a href="https://example.org/INC-2#3">INC-2#3</a>"#), "{html}");
    }

    #[test]
    fn what_comes_from_outside_stays_text() {
        let html = rendered("<script>alert(1)</script> a <img src=x onerror=y>\n\n[here](javascript:alert(1))");
        assert!(!html.contains("<script") && !html.contains("<img") && !html.contains("javascript:"), "{html}");
        assert!(html.contains("&lt;script&gt;"), "{html}");
    }
}
