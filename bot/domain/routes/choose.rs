//! Which route takes an alert, and what follows from it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::{
    alerts::{Labels, Matcher},
    routes::{
        group::GroupKey,
        route::{DEFAULT, Pick, Route},
    },
    severity::Severity,
};

/// The severity of an alert whose labels and routes say nothing that is one.
pub const UNSAID: Severity = Severity::Sev3;

/// Why an alert goes where it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A route's matchers hold.
    Matched,
    /// No route's matchers hold: the default route takes it, and a person is told.
    NoRoute,
}

impl Reason {
    /// The stable code, as it stands in the log.
    pub fn code(self) -> &'static str {
        match self {
            Reason::Matched => "matched",
            Reason::NoRoute => "no_route",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::Matched => "the route's matchers hold",
            Reason::NoRoute => "no route matches, so the default route takes it",
        })
    }
}

/// What an alert means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Why.
    pub reason: Reason,
    /// The first route that matched, or the default one.
    pub route: String,
    /// The affected service; none if neither route nor labels name one.
    pub service: Option<String>,
    /// The affected environment; none if neither route nor labels name one.
    pub environment: Option<String>,
    /// How bad it is.
    pub severity: Severity,
    /// The chat channel; none for the chat's default channel.
    pub channel: Option<String>,
    /// The runbooks that may be run for it.
    pub runbooks: Vec<String>,
    /// Who is paged.
    pub page: Vec<String>,
    /// What it shares with the alerts of the same incident.
    pub group: GroupKey,
}

/// What became of one route in a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// The route.
    pub route: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of one route in a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It matched, and none after it was tried.
    Matched,
    /// It matched, and those after it were tried too.
    MatchedAndWentOn,
    /// This matcher did not hold; the label has this value.
    Unmet {
        /// The first matcher that did not hold.
        matcher: Matcher,
        /// The label's value, empty if it is missing.
        value: String,
    },
    /// An earlier one had ended the search.
    NotReached,
    /// The default route, which took what no other did.
    Default,
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: ", self.route)?;
        match &self.outcome {
            Outcome::Matched => f.write_str("matched"),
            Outcome::MatchedAndWentOn => f.write_str("matched, and the search went on"),
            Outcome::Unmet { matcher, value } if value.is_empty() => {
                write!(f, "`{matcher}` does not hold, there is no label `{}`", matcher.name())
            }
            Outcome::Unmet { matcher, value } => {
                write!(f, "`{matcher}` does not hold, `{}` is `{value}`", matcher.name())
            }
            Outcome::NotReached => f.write_str("not reached"),
            Outcome::Default => f.write_str("takes what no other route takes"),
        }
    }
}

/// A decision with every route that was tried and where each part came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// Each route in its order, and what became of it.
    pub tried: Vec<Tried>,
    /// Where each part came from: ``severity `SEV1`: from label `severity`, route `checkout` ``.
    pub parts: Vec<String>,
    /// What was decided.
    pub decision: Decision,
}

/// What an alert with these labels means. `default` takes what no route takes, and fills in what they leave out.
pub fn choose(routes: &[Route], default: &Route, labels: &Labels) -> Decision {
    decide(routes, default, labels, |_| {})
}

/// The chat channel of an alert with these labels, as [`choose`] finds it; none for the chat's default channel.
pub fn channel<'a>(routes: &'a [Route], default: &'a Route, labels: &Labels) -> Option<&'a str> {
    let mut order = matching(routes, labels);
    order.push(default);
    order.into_iter().find_map(|route| route.channel.as_deref())
}

/// The same decision, with why.
pub fn explain(routes: &[Route], default: &Route, labels: &Labels) -> Explanation {
    let mut parts = Vec::new();
    let decision = decide(routes, default, labels, |part| parts.push(part()));
    let mut over = false;
    let mut tried = Vec::new();
    for route in routes {
        let outcome = match Matcher::first_unmet(&route.matchers, labels) {
            _ if over => Outcome::NotReached,
            Some(matcher) => {
                Outcome::Unmet { matcher: matcher.clone(), value: labels.value(matcher.name()).to_owned() }
            }
            None if route.goes_on => Outcome::MatchedAndWentOn,
            None => Outcome::Matched,
        };
        over |= outcome == Outcome::Matched;
        tried.push(Tried { route: route.name.clone(), outcome });
    }
    if decision.reason == Reason::NoRoute {
        tried.push(Tried { route: name_of(default), outcome: Outcome::Default });
    }
    Explanation { tried, parts, decision }
}

fn matching<'a>(routes: &'a [Route], labels: &Labels) -> Vec<&'a Route> {
    let mut found = Vec::new();
    for route in routes.iter().filter(|route| Matcher::first_unmet(&route.matchers, labels).is_none()) {
        found.push(route);
        if !route.goes_on {
            break;
        }
    }
    found
}

fn name_of(route: &Route) -> String {
    if route.name.is_empty() { DEFAULT.to_owned() } else { route.name.clone() }
}

fn decide(routes: &[Route], default: &Route, labels: &Labels, mut told: impl FnMut(&dyn Fn() -> String)) -> Decision {
    let mut order = matching(routes, labels);
    let reason = if order.is_empty() { Reason::NoRoute } else { Reason::Matched };
    // Runbooks and pages belong to those who matched; the default route lends its own only to what nobody took.
    let takers = if order.is_empty() { vec![default] } else { order.clone() };
    order.push(default);

    let mut pick = |part: &str, field: fn(&Route) -> Option<&Pick>| {
        let found = order.iter().find_map(|route| Some((field(route)?.pick(labels)?, *route)));
        let ((text, how), route) = found?;
        told(&|| format!("{part} `{text}`: {how}, route `{}`", name_of(route)));
        Some(text)
    };
    let service = pick("service", |route| route.service.as_ref());
    let environment = pick("environment", |route| route.environment.as_ref());
    let said = pick("severity", |route| route.severity.as_ref());
    let severity = said.as_ref().and_then(|text| text.parse().ok());
    if severity.is_none() {
        told(&|| match &said {
            Some(text) => format!("severity `{UNSAID}`: `{text}` is not a severity"),
            None => format!("severity `{UNSAID}`: neither routes nor labels say one"),
        });
    }
    let group_by = order.iter().find_map(|route| route.group_by.as_deref()).unwrap_or_default();
    let route = takers.first().map_or_else(|| DEFAULT.to_owned(), |route| name_of(route));
    Decision {
        reason,
        channel: order.iter().find_map(|route| route.channel.clone()),
        runbooks: joined(takers.iter().flat_map(|route| &route.runbooks)),
        page: joined(takers.iter().flat_map(|route| &route.page)),
        severity: severity.unwrap_or(UNSAID),
        group: GroupKey::new(&route, service.as_deref(), environment.as_deref(), group_by, labels),
        route,
        service,
        environment,
    }
}

/// Each once, in the order of its first mention.
fn joined<'a>(names: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut list: Vec<String> = Vec::new();
    for name in names {
        if !list.contains(name) {
            list.push(name.clone());
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn routes() -> Vec<Route> {
        let file: toml::Table = toml::from_str(
            r#"
            [[route]]
            name = "overlay"
            match = ['severity="critical"']
            continue = true
            page = ["role:on-call"]

            [[route]]
            name = "checkout"
            match = ['service=~"checkout|cart"', 'env="production"']
            service = "checkout"
            environment = { label = "env" }
            severity = { label = "severity", map = { critical = "SEV1", warning = "SEV3" }, default = "SEV2" }
            channel = "checkout-incidents"
            runbooks = ["rollback-checkout"]
            group_by = ["cluster"]

            [[route]]
            name = "rest"
            match = ['severity=~".+"']
            severity = "SEV4"
            "#,
        )
        .unwrap();
        file["route"].clone().try_into().unwrap()
    }

    fn labels(list: &[(&str, &str)]) -> Labels {
        list.iter().copied().collect()
    }

    #[test]
    fn the_first_route_that_matches_decides_and_continue_adds() {
        let alert = [("alertname", "Errors"), ("service", "cart"), ("env", "production"), ("severity", "critical")];
        let decision = choose(&routes(), &Route::fallback(), &labels(&alert));
        assert_eq!((decision.reason, decision.route.as_str()), (Reason::Matched, "overlay"));
        assert_eq!(decision.service.as_deref(), Some("checkout"));
        assert_eq!(decision.environment.as_deref(), Some("production"));
        assert_eq!(decision.severity, Severity::Sev1);
        assert_eq!(decision.channel.as_deref(), Some("checkout-incidents"));
        assert_eq!((decision.runbooks.len(), decision.page.len()), (1, 1));
    }

    #[test]
    fn what_no_route_takes_goes_to_the_default_and_says_so() {
        let decision = choose(&routes(), &Route::fallback(), &labels(&[("alertname", "X"), ("service", "mail")]));
        assert_eq!((decision.reason, decision.reason.code()), (Reason::NoRoute, "no_route"));
        assert_eq!((decision.route.as_str(), decision.service.as_deref()), ("default", Some("mail")));
        assert_eq!((decision.severity, decision.environment), (UNSAID, None));
    }

    #[test]
    fn a_matched_route_does_not_inherit_runbooks_or_pages() {
        let default = Route { runbooks: vec!["wake".into()], page: vec!["role:all".into()], ..Route::fallback() };
        let matched = choose(&routes(), &default, &labels(&[("severity", "warning")]));
        assert_eq!((matched.route.as_str(), matched.runbooks.len(), matched.page.len()), ("rest", 0, 0));
        let unmatched = choose(&routes(), &default, &labels(&[("alertname", "X")]));
        assert_eq!((unmatched.runbooks.len(), unmatched.page.len()), (1, 1));
    }

    #[test]
    fn the_explanation_names_every_route_and_part() {
        let alert = [("service", "cart"), ("env", "staging"), ("severity", "warning")];
        let explanation = explain(&routes(), &Route::fallback(), &labels(&alert));
        let tried: Vec<String> = explanation.tried.iter().map(ToString::to_string).collect();
        assert_eq!(
            tried,
            [
                "`overlay`: `severity=\"critical\"` does not hold, `severity` is `warning`",
                "`checkout`: `env=\"production\"` does not hold, `env` is `staging`",
                "`rest`: matched",
            ]
        );
        assert_eq!(
            explanation.parts,
            ["service `cart`: from label `service`, route `default`", "severity `SEV4`: fixed, route `rest`"]
        );
    }

    #[test]
    fn what_is_wrong_with_a_route_is_said() {
        let route = Route {
            severity: Some(Pick::Fixed("page".into())),
            group_by: Some(vec!["a".into(), "a".into()]),
            ..Route::default()
        };
        assert_eq!(route.problems().len(), 3);
        assert!(routes().iter().all(|route| route.problems().is_empty()));
        let error = toml::from_str::<Route>("name = \"x\"\nservice = 5").unwrap_err().to_string();
        assert!(error.contains("a text, or `{ label = \"NAME\" }`"), "{error}");
    }

    /// Compiling the patterns for every case would take most of the test's time.
    static ROUTES: std::sync::LazyLock<Vec<Route>> = std::sync::LazyLock::new(routes);

    proptest! {
        #[test]
        fn the_explanation_is_of_the_same_decision(
            service in "(cart|mail)?", env in "(production|staging)?", severity in "(critical|warning|SEV2)?",
        ) {
            let labels = labels(&[("service", &service), ("env", &env), ("severity", &severity)]);
            let explanation = explain(&ROUTES, &Route::fallback(), &labels);
            let takes = |tried: &&Tried| !matches!(tried.outcome, Outcome::Unmet { .. } | Outcome::NotReached);
            let taker = explanation.tried.iter().find(takes).map(|tried| tried.route.clone());
            prop_assert_eq!(taker, Some(explanation.decision.route.clone()));
            prop_assert_eq!(explanation.decision, choose(&ROUTES, &Route::fallback(), &labels));
        }
    }
}
