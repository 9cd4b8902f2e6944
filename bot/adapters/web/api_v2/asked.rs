//! What the query of a request asks for.

use axum::http::StatusCode;
use serde::Deserialize;

use super::Told;
use crate::{
    adapters::web::answers::Trouble,
    domain::alerts::{Labels, Matcher, Operator},
};

/// The most conditions in one query.
const MOST: usize = 64;

/// The parameters of a query, in their order; one may come more than once.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Asked(Vec<(String, String)>);

impl Asked {
    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether something is wanted: it is, unless the query says that it is not.
    pub(super) fn wants(&self, name: &str) -> Result<bool, Told> {
        match self.all(name).last() {
            None | Some("true" | "1") => Ok(true),
            Some("false" | "0") => Ok(false),
            Some(other) => Err(refused(name, format!("`{}` is neither `true` nor `false`", short(other)))),
        }
    }

    /// The conditions of a parameter; all of them must hold.
    pub(super) fn matchers(&self, name: &str) -> Result<Vec<Matcher>, Told> {
        let texts: Vec<&str> = self.all(name).collect();
        if texts.len() > MOST {
            return Err(refused(name, format!("it is given {} times, at most {MOST} are taken", texts.len())));
        }
        texts.into_iter().map(|text| Matcher::parse_loosely(text).map_err(|what| refused(name, what))).collect()
    }

    /// The condition on receivers, as one on a label `receiver`.
    pub(super) fn receiver(&self) -> Result<Option<Matcher>, Told> {
        let pattern = self.all("receiver").last().filter(|pattern| !pattern.is_empty());
        let matcher = pattern.map(|pattern| Matcher::new("receiver", Operator::Like, pattern));
        matcher.transpose().map_err(|what| refused("receiver", what))
    }

    /// Whether receivers, which have no labels here, fulfil what is asked of their labels.
    pub(super) fn wants_receivers(&self) -> Result<bool, Told> {
        let matchers = self.matchers("receiver_matchers")?;
        Ok(Matcher::first_unmet(&matchers, &Labels::default()).is_none())
    }
}

fn refused(name: &str, what: impl AsRef<str>) -> Told {
    Trouble::new(StatusCode::BAD_REQUEST, format!("`{name}`: {}", what.as_ref())).into()
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}
