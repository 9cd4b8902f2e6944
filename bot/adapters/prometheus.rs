//! Asks servers of Prometheus, and what else speaks its HTTP API for queries (Thanos, Mimir).
//!
//! <https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries>

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    domain::time::Time,
    engine::ports::{Http, HttpOutcome, HttpRequest, Metrics, Sample},
};

/// The longest answer, in bytes: some thousand series.
const LIMIT: usize = 4 * 1024 * 1024;

/// A server.
#[derive(Debug, Clone)]
pub struct Server {
    /// Its address, perhaps with the path under which it stands.
    pub url: String,
    /// Sent along as `Authorization: Bearer`.
    pub token: Option<SecretString>,
}

/// The servers that can be asked.
pub struct Prometheus {
    http: Arc<dyn Http>,
    usual: Option<Server>,
    named: BTreeMap<String, Server>,
}

impl Prometheus {
    /// The usual server, if there is one, and others by their names.
    pub fn new(http: Arc<dyn Http>, usual: Option<Server>, named: BTreeMap<String, Server>) -> Self {
        Self { http, usual, named }
    }

    fn server(&self, name: Option<&str>) -> Result<&Server, String> {
        match name {
            None => self.usual.as_ref().ok_or_else(|| "there is no `[prometheus]` in the configuration".to_owned()),
            Some(name) => self.named.get(name).ok_or_else(|| format!("there is no server `{name}` of Prometheus")),
        }
    }
}

#[async_trait]
impl Metrics for Prometheus {
    async fn query(&self, server: Option<&str>, query: &str, timeout: Duration) -> Result<Vec<Sample>, String> {
        let server = self.server(server)?;
        let request = HttpRequest {
            method: "GET".to_owned(),
            url: address(&server.url, query, timeout)?,
            headers: server
                .token
                .iter()
                .map(|token| ("authorization".to_owned(), format!("Bearer {}", token.expose_secret()).into()))
                .collect(),
            body: None,
            timeout,
            limit: LIMIT,
        };
        let answer = match self.http.send(request).await {
            HttpOutcome::Answered(answer) => answer,
            HttpOutcome::NotSent(why) | HttpOutcome::Unknown(why) => return Err(why),
        };
        if answer.is_cut {
            return Err(format!("the answer is longer than {LIMIT} bytes"));
        }
        read(answer.status, &answer.body)
    }
}

fn address(base: &str, query: &str, timeout: Duration) -> Result<String, String> {
    let mut url = Url::parse(base).map_err(|error| format!("`{base}` is not a URL: {error}"))?;
    url.path_segments_mut()
        .map_err(|()| format!("`{base}` is not an address of the web"))?
        .pop_if_empty()
        .extend(["api", "v1", "query"]);
    let timeout = format!("{}s", timeout.as_secs().max(1));
    url.query_pairs_mut().append_pair("query", query).append_pair("timeout", &timeout);
    Ok(url.into())
}

#[derive(Deserialize)]
struct Answer {
    status: String,
    #[serde(default)]
    data: Option<Data>,
    #[serde(default)]
    error: Option<String>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "resultType")]
    sort: String,
    result: Value,
}

#[derive(Deserialize)]
struct Series {
    #[serde(default)]
    metric: BTreeMap<String, String>,
    /// Missing where the sample is a native histogram.
    value: Option<(f64, String)>,
}

fn read(status: u16, body: &[u8]) -> Result<Vec<Sample>, String> {
    let answer: Result<Answer, _> = serde_json::from_slice(body);
    let data = match answer {
        Ok(Answer { status: word, data: Some(data), .. }) if word == "success" && status == 200 => data,
        Ok(Answer { error: Some(error), .. }) => return Err(format!("answered {status}: {error}")),
        Ok(_) | Err(_) if status != 200 => return Err(format!("answered {status}")),
        Ok(_) => return Err("answered without data".to_owned()),
        Err(error) => return Err(format!("answered something else than Prometheus does: {error}")),
    };
    let unreadable = |error: serde_json::Error| format!("the answer cannot be read: {error}");
    match data.sort.as_str() {
        "vector" => {
            let all: Vec<Series> = serde_json::from_value(data.result).map_err(unreadable)?;
            all.into_iter()
                .map(|series| {
                    let value = series.value.ok_or("a sample of the answer is a histogram, not a value")?;
                    sample(series.metric, value)
                })
                .collect()
        }
        "scalar" => {
            let value: (f64, String) = serde_json::from_value(data.result).map_err(unreadable)?;
            Ok(vec![sample(BTreeMap::new(), value)?])
        }
        other => Err(format!("the query gives a {other}, not a value at one moment")),
    }
}

fn sample(labels: BTreeMap<String, String>, (at, value): (f64, String)) -> Result<Sample, String> {
    let number = match value.as_str() {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        other => other.parse().map_err(|_| format!("`{other}` is not a value"))?,
    };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "milliseconds of a time, and a wrong one is brought into range"
    )]
    let at = Time::from_millis((at * 1_000.0).round() as i64);
    Ok(Sample { labels, value: number, at })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_keeps_its_path_and_quotes_the_query() {
        let url = address("https://metrics.example.org/prometheus/", "up{job=\"a b\"} > 1", Duration::from_secs(30));
        assert_eq!(
            url.unwrap(),
            "https://metrics.example.org/prometheus/api/v1/query?query=up%7Bjob%3D%22a+b%22%7D+%3E+1&timeout=30s"
        );
    }

    #[test]
    fn vectors_and_scalars_are_samples_and_everything_else_says_what_it_is() {
        let vector = br#"{"status":"success","data":{"resultType":"vector","result":[
            {"metric":{"service":"checkout"},"value":[1732400000.5,"NaN"]}]}}"#;
        let samples = read(200, vector).unwrap();
        assert!(samples[0].value.is_nan() && samples[0].labels["service"] == "checkout");
        assert_eq!(samples[0].at.millis(), 1_732_400_000_500);
        let scalar = br#"{"status":"success","data":{"resultType":"scalar","result":[1,"+Inf"]}}"#;
        assert!(read(200, scalar).unwrap()[0].value.is_infinite());
        let matrix = br#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#;
        assert_eq!(read(200, matrix).unwrap_err(), "the query gives a matrix, not a value at one moment");
        let wrong = br#"{"status":"error","errorType":"bad_data","error":"parse error"}"#;
        assert_eq!(read(400, wrong).unwrap_err(), "answered 400: parse error");
        assert_eq!(read(503, b"down").unwrap_err(), "answered 503");
        assert!(read(200, b"<html>").unwrap_err().contains("something else"));
        let histogram =
            br#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"histogram":[1,{}]}]}}"#;
        assert!(read(200, histogram).unwrap_err().contains("histogram"));
    }
}
