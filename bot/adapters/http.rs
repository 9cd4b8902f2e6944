//! Sends HTTP requests and tells apart what certainly did not arrive from what may have.
//!
//! Each request has a connection of its own: one that was kept open may be closed by the other side just as the request
//! is written, and nobody could say whether it counted. Nothing is repeated and no redirect is followed.

use std::{collections::BTreeMap, error::Error, sync::OnceLock, time::Duration};

use async_trait::async_trait;
use reqwest::{
    Client, Method, Url,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use secrecy::ExposeSecret;

use crate::engine::ports::{Http, HttpAnswer, HttpOutcome, HttpRequest};

/// How long connecting may take, the longest first. A request uses the longest that is shorter than its own timeout, so
/// that a connection that never came about is known not to have carried it.
const CONNECTING: [Duration; 4] =
    [Duration::from_secs(10), Duration::from_secs(3), Duration::from_secs(1), Duration::from_millis(250)];

/// HTTP/1.1 over TCP and TLS. Proxies of the environment are used for everything but loopback.
#[derive(Default)]
pub struct Outbound {
    direct: [OnceLock<Result<Client, String>>; CONNECTING.len()],
    outward: [OnceLock<Result<Client, String>>; CONNECTING.len()],
}

impl Outbound {
    /// A sender of requests. Chooses the provider of cryptography for the whole process, if none is chosen yet.
    pub fn new() -> Self {
        if rustls::crypto::ring::default_provider().install_default().is_err() {
            tracing::debug!("a provider of cryptography is installed already");
        }
        Self::default()
    }

    fn client(&self, url: &Url, timeout: Duration) -> Result<&Client, String> {
        let at = CONNECTING.iter().position(|length| *length < timeout).unwrap_or(CONNECTING.len() - 1);
        let is_direct = is_loopback(url);
        let clients = if is_direct { &self.direct } else { &self.outward };
        clients[at].get_or_init(|| client(is_direct, CONNECTING[at])).as_ref().map_err(Clone::clone)
    }
}

#[async_trait]
impl Http for Outbound {
    async fn send(&self, request: HttpRequest) -> HttpOutcome {
        let (url, method, headers) = match read(&request) {
            Ok(parts) => parts,
            Err(why) => return HttpOutcome::NotSent(why),
        };
        let client = match self.client(&url, request.timeout) {
            Ok(client) => client,
            Err(why) => return HttpOutcome::NotSent(why),
        };
        let mut building = client.request(method, url).headers(headers).timeout(request.timeout);
        if let Some(body) = request.body {
            building = building.body(body);
        }
        match building.send().await {
            Ok(response) => answer(response, request.limit).await,
            Err(error) if error.is_builder() || error.is_connect() => HttpOutcome::NotSent(words(error)),
            Err(error) => HttpOutcome::Unknown(words(error)),
        }
    }
}

fn client(is_direct: bool, connecting: Duration) -> Result<Client, String> {
    let build = |certificates: Option<[reqwest::Certificate; 0]>| {
        let builder = Client::builder()
            .http1_only()
            .connect_timeout(connecting)
            .pool_max_idle_per_host(0)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .user_agent(concat!("firewarden/", env!("CARGO_PKG_VERSION")));
        let builder = if is_direct { builder.no_proxy() } else { builder };
        match certificates {
            Some(none) => builder.tls_certs_only(none).build(),
            None => builder.build(),
        }
    };
    build(None).or_else(|error| {
        // Without certificates of authorities on the machine there is no TLS, but plain HTTP works all the same.
        tracing::warn!(
            error = words(error),
            "the machine's certificates cannot be read: no server is trusted over TLS"
        );
        build(Some([])).map_err(words)
    })
}

fn read(request: &HttpRequest) -> Result<(Url, Method, HeaderMap), String> {
    let url = Url::parse(&request.url).map_err(|error| format!("`{}` is not a URL: {error}", request.url))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(format!("`{}` is not an `http` or `https` URL", request.url));
    }
    let method = Method::from_bytes(request.method.as_bytes())
        .map_err(|_| format!("`{}` is not a method of HTTP", request.method))?;
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        let key =
            HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("`{name}` is not the name of a header"))?;
        let mut value = HeaderValue::from_str(value.expose_secret())
            .map_err(|_| format!("the header `{name}` has a character that no header may have"))?;
        value.set_sensitive(true);
        headers.append(key, value);
    }
    Ok((url, method, headers))
}

async fn answer(mut response: reqwest::Response, limit: usize) -> HttpOutcome {
    let status = response.status().as_u16();
    let mut headers = BTreeMap::new();
    for (name, value) in response.headers() {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        headers
            .entry(name.as_str().to_owned())
            .and_modify(|all: &mut String| *all = format!("{all}, {value}"))
            .or_insert(value);
    }
    let mut body = Vec::new();
    let mut is_cut = false;
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                let room = limit - body.len();
                body.extend_from_slice(&chunk[..chunk.len().min(room)]);
                if chunk.len() > room {
                    is_cut = true;
                    break;
                }
            }
            Ok(None) => break,
            Err(error) => return HttpOutcome::Unknown(format!("the answer {status} broke off: {}", words(error))),
        }
    }
    HttpOutcome::Answered(HttpAnswer { status, headers, body, is_cut })
}

fn is_loopback(url: &Url) -> bool {
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        None => false,
    }
}

/// The error and its causes, without the URL, which may hold secrets.
fn words(error: reqwest::Error) -> String {
    if error.is_timeout() && !error.is_connect() {
        return "no answer came in time".to_owned();
    }
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
    };

    use super::*;

    fn request(url: String) -> HttpRequest {
        HttpRequest {
            method: "POST".to_owned(),
            url,
            headers: vec![("x-token".to_owned(), SecretString::from("s3cret"))],
            body: Some(b"hello".to_vec()),
            timeout: Duration::from_millis(500),
            limit: 8,
        }
    }

    /// Reads a request up to the end of its body.
    async fn heard(stream: &mut TcpStream) -> String {
        let mut all = Vec::new();
        let mut part = [0; 1024];
        while !all.ends_with(b"hello") {
            let length = stream.read(&mut part).await.unwrap();
            assert_ne!(length, 0, "the request ended early");
            all.extend_from_slice(&part[..length]);
        }
        String::from_utf8(all).unwrap()
    }

    /// A server that answers one request with these bytes and then closes, or keeps still.
    async fn once(bytes: Option<&'static [u8]>) -> (String, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/deploy", listener.local_addr().unwrap());
        let task = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let text = heard(&mut stream).await;
            match bytes {
                Some(bytes) => stream.write_all(bytes).await.unwrap(),
                None => drop(stream.read(&mut [0]).await),
            }
            text
        });
        (url, task)
    }

    #[tokio::test]
    async fn an_answer_is_read_up_to_the_limit() {
        let (url, server) =
            once(Some(b"HTTP/1.1 201 Created\r\nX-Kind: a\r\ncontent-length: 12\r\n\r\nhello, world")).await;
        let outcome = Outbound::new().send(request(url)).await;
        let HttpOutcome::Answered(answer) = outcome else { panic!("{outcome:?}") };
        assert_eq!((answer.status, answer.body.as_slice(), answer.is_cut), (201, b"hello, w".as_slice(), true));
        assert_eq!(answer.headers["x-kind"], "a");
        assert!(server.await.unwrap().contains("x-token: s3cret"));
    }

    #[tokio::test]
    async fn a_redirect_is_an_answer() {
        let (url, _server) =
            once(Some(b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n")).await;
        let outcome = Outbound::new().send(request(url)).await;
        assert!(matches!(&outcome, HttpOutcome::Answered(answer) if answer.status == 302), "{outcome:?}");
    }

    #[tokio::test]
    async fn what_was_never_written_is_known_not_to_have_arrived() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let free = listener.local_addr().unwrap();
        drop(listener);
        for url in [format!("http://{free}/"), "http://".to_owned(), "ftp://127.0.0.1/".to_owned()] {
            let outcome = Outbound::new().send(request(url)).await;
            assert!(matches!(outcome, HttpOutcome::NotSent(_)), "{outcome:?}");
        }
        let mut broken = request(format!("http://{free}/"));
        broken.headers = vec![("x-token".to_owned(), SecretString::from("a\nb"))];
        let outcome = Outbound::new().send(broken).await;
        assert_eq!(
            outcome,
            HttpOutcome::NotSent("the header `x-token` has a character that no header may have".to_owned())
        );
    }

    #[tokio::test]
    async fn what_was_written_and_not_answered_is_in_doubt() {
        let broken: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\nhel";
        for bytes in [None, Some(b"".as_slice()), Some(b"HTTP/1.1 20".as_slice()), Some(broken)] {
            let (url, server) = once(bytes).await;
            let outcome = Outbound::new().send(request(url)).await;
            assert!(matches!(outcome, HttpOutcome::Unknown(_)), "{outcome:?}");
            assert!(server.await.unwrap().ends_with("hello"));
        }
    }
}
