//! GET with everything that a download needs: redirects, the token, proxies, time limits, and which failures may pass.

use std::io;
use std::time::Duration;

use clip_core::{Error, ErrorKind};
use ureq::http::{HeaderMap, Uri};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body};

use super::proxy::Proxies;

const MAX_REDIRECTS: usize = 8;

/// Why a request did not succeed.
pub enum Failure {
    /// Another attempt may succeed; the server may say when.
    Passing { what: String, after: Option<Duration> },
    /// It will not.
    Final(Error),
}

impl From<Error> for Failure {
    fn from(e: Error) -> Self {
        Self::Final(e)
    }
}

pub type Attempt<T> = std::result::Result<T, Failure>;

/// A response after all redirects.
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    /// Headers of the hub's own responses on the way: what it says of a file that lies elsewhere.
    pub hub: Vec<HeaderMap>,
    pub body: Body,
}

/// A client of one hub.
pub struct Client {
    agent: Agent,
    proxies: Proxies,
    hub: Origin,
    token: Option<String>,
}

/// Scheme, host and port: what the token is for.
#[derive(PartialEq)]
struct Origin(String, String, u16);

impl Origin {
    fn of(uri: &Uri) -> Option<Self> {
        let port = match uri.scheme_str()? {
            "https" => 443,
            "http" => 80,
            _ => return None,
        };
        let host = uri.host().filter(|host| !host.is_empty())?;
        Some(Self(uri.scheme_str()?.into(), host.to_ascii_lowercase(), uri.port_u16().unwrap_or(port)))
    }
}

impl Client {
    /// `token` goes to `endpoint` and nowhere else. `timeout` is for connecting, for a response and for every read of it.
    pub fn new(endpoint: &str, token: Option<String>, timeout: Duration) -> clip_core::Result<Self> {
        let invalid = |what: &str| {
            Error::new(ErrorKind::InvalidArgument, format!("invalid endpoint \"{endpoint}\": {what}"))
                .with_hint("An endpoint is the address of a hub, such as https://huggingface.co.")
        };
        let uri: Uri = endpoint.parse().map_err(|_| invalid("it is no URL"))?;
        if uri.query().is_some() || uri.authority().is_some_and(|a| a.as_str().contains('@')) {
            return Err(invalid("expected scheme, host, port and path"));
        }
        let hub = Origin::of(&uri).ok_or_else(|| invalid("expected http:// or https:// and a host"))?;
        if token.as_deref().is_some_and(|token| !token.bytes().all(|c| c.is_ascii_graphic())) {
            return Err(Error::new(ErrorKind::InvalidArgument, "invalid token in HF_TOKEN: it has white space in it"));
        }
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!("pgclip/", env!("CARGO_PKG_VERSION")))
            // What is counted and hashed are the bytes of the file.
            .accept_encoding("identity")
            .tls_config(TlsConfig::builder().root_certs(root_certificates()).build())
            .timeout_resolve(Some(timeout))
            .timeout_connect(Some(timeout))
            .timeout_send_request(Some(timeout))
            .timeout_recv_response(Some(timeout))
            .timeout_per_read(Some(timeout))
            .build()
            .new_agent();
        Ok(Self { agent, proxies: Proxies::from_env()?, hub, token })
    }

    /// `from` asks for the rest of a file.
    pub fn get(&self, url: &str, from: u64) -> Attempt<Reply> {
        let (mut uri, mut hub) = (parse(url)?, Vec::new());
        for _ in 0..=MAX_REDIRECTS {
            let of_hub = Origin::of(&uri).as_ref() == Some(&self.hub);
            let mut request = self.agent.get(&uri).config().proxy(self.proxies.of(&uri)).build();
            if let (true, Some(token)) = (of_hub, &self.token) {
                request = request.header("authorization", format!("Bearer {token}"));
            }
            if from > 0 {
                request = request.header("range", format!("bytes={from}-"));
            }
            let (parts, body) = request.call().map_err(|e| failure(&uri, e))?.into_parts();
            let status = parts.status.as_u16();
            if of_hub {
                hub.push(parts.headers.clone());
            }
            match status {
                301 | 302 | 303 | 307 | 308 => uri = redirect(&uri, &parts.headers)?,
                408 | 429 | 500 | 502..=504 => {
                    let what = format!("{} answered {}", address(&uri), parts.status);
                    return Err(Failure::Passing { what, after: retry_after(&parts.headers) });
                }
                _ => return Ok(Reply { status, headers: parts.headers, hub, body }),
            }
        }
        Err(unreadable(format!("{url} leads through more than {MAX_REDIRECTS} redirects")).into())
    }
}

/// The system's certificates, so that those that an administrator added count; where there are none, Mozilla's.
fn root_certificates() -> RootCerts {
    let system = rustls_native_certs::load_native_certs().certs;
    if system.is_empty() {
        return RootCerts::WebPki;
    }
    system.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).into()
}

fn parse(url: &str) -> clip_core::Result<Uri> {
    let uri = url.parse::<Uri>().ok().filter(|uri| Origin::of(uri).is_some());
    uri.ok_or_else(|| unreadable(format!("\"{url}\" is no http or https URL")))
}

fn redirect(from: &Uri, headers: &HeaderMap) -> clip_core::Result<Uri> {
    let location = headers.get("location").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (scheme, host) = (from.scheme_str().unwrap_or_default(), from.authority().map_or("", |a| a.as_str()));
    let to = match location {
        l if l.starts_with("//") => format!("{scheme}:{l}"),
        l if l.starts_with('/') => format!("{scheme}://{host}{l}"),
        l => l.to_owned(),
    };
    let to = parse(&to).map_err(|e| e.context(format!("redirect of {}", address(from))))?;
    if scheme == "https" && to.scheme_str() != Some("https") {
        return Err(unreadable(format!("{} redirects to {}, which is not encrypted", address(from), address(&to))));
    }
    Ok(to)
}

/// Without the query, which may hold a signature.
fn address(uri: &Uri) -> String {
    format!("{}://{}{}", uri.scheme_str().unwrap_or(""), uri.authority().map_or("", |a| a.as_str()), uri.path())
}

/// Seconds, in `Retry-After` or as the reset of a `RateLimit` (`"api";r=0;t=55`).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let reset = || text("ratelimit")?.split(';').find_map(|part| part.trim().strip_prefix("t="));
    text("retry-after").or_else(reset)?.trim().parse().ok().map(Duration::from_secs)
}

fn failure(uri: &Uri, e: ureq::Error) -> Failure {
    use ureq::Error as E;
    let what = format!("could not read from {}: {e}", address(uri));
    match &e {
        // A certificate that does not fit comes as invalid data.
        E::Io(e) if e.kind() == io::ErrorKind::InvalidData => Failure::Final(unreadable(what).with_hint(
            "Certificates of the system are trusted, or those in the file that the environment variable SSL_CERT_FILE names.",
        )),
        E::Io(_) | E::Timeout(_) | E::HostNotFound | E::ConnectionFailed | E::Protocol(_) | E::BodyStalled => {
            Failure::Passing { what, after: None }
        }
        _ => Failure::Final(unreadable(what)),
    }
}

pub fn unreadable(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::MissingFile, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn redirects_lead_to_hosts_and_paths() {
        let from: Uri = "https://hub.example:8443/a/resolve/main/x".parse().unwrap();
        for (location, expected) in [
            ("https://cdn.example/x?sig=1", Some("https://cdn.example/x?sig=1")),
            ("/b/resolve/main/x", Some("https://hub.example:8443/b/resolve/main/x")),
            ("//cdn.example/x", Some("https://cdn.example/x")),
            ("http://cdn.example/x", None),
            ("file:///etc/passwd", None),
            ("x", None),
            ("", None),
        ] {
            let to = redirect(&from, &headers(&[("location", location)])).ok();
            assert_eq!(to.map(|uri| uri.to_string()).as_deref(), expected, "{location}");
        }
        assert!(redirect(&from, &headers(&[])).is_err());
    }

    #[test]
    fn when_to_come_again() {
        let seconds = |pairs: &[_]| retry_after(&headers(pairs)).map(|d| d.as_secs());
        assert_eq!(seconds(&[("retry-after", "7")]), Some(7));
        assert_eq!(seconds(&[("ratelimit", "\"api\";r=0;t=55")]), Some(55));
        assert_eq!(seconds(&[("retry-after", "Fri, 31 Dec 1999 23:59:59 GMT")]), None);
        assert_eq!(seconds(&[]), None);
    }

    #[test]
    fn an_origin_has_a_port() {
        let origin = |url: &str| Origin::of(&url.parse().unwrap());
        assert!(origin("https://hub.example") == origin("https://HUB.example:443/x"));
        assert!(origin("https://hub.example") != origin("http://hub.example"));
        assert!(origin("http://127.0.0.1:8000") != origin("http://127.0.0.1:8001"));
    }
}
