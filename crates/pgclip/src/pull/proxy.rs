//! Which proxy a request goes through, by the environment variables that curl reads.

use std::env;

use clip_core::{Error, ErrorKind, Result};
use ureq::Proxy;
use ureq::http::Uri;

/// What the environment says.
pub struct Proxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    /// Hosts that are reached directly.
    except: Vec<String>,
}

impl Proxies {
    pub fn from_env() -> Result<Self> {
        let except = variable(&["NO_PROXY", "no_proxy"]).map_or(String::new(), |(_, value)| value);
        Ok(Self {
            http: proxy(&["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])?,
            https: proxy(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])?,
            except: except.split(',').map(|host| host.trim().to_ascii_lowercase()).filter(|h| !h.is_empty()).collect(),
        })
    }

    pub fn of(&self, uri: &Uri) -> Option<Proxy> {
        let host = uri.host().unwrap_or_default().to_ascii_lowercase();
        if self.except.iter().any(|entry| matches(entry, &host)) {
            return None;
        }
        if uri.scheme_str() == Some("https") { self.https.clone() } else { self.http.clone() }
    }
}

/// `*`, a host, or a domain with all hosts in it, with or without a leading dot.
fn matches(entry: &str, host: &str) -> bool {
    let domain = entry.trim_start_matches('*').trim_start_matches('.');
    let host = host.trim_start_matches('[').trim_end_matches(']');
    entry == "*" || (!domain.is_empty() && (host == domain || host.ends_with(&format!(".{domain}"))))
}

fn proxy(names: &[&'static str]) -> Result<Option<Proxy>> {
    let Some((name, url)) = variable(names) else { return Ok(None) };
    // The value may hold a password and is not repeated.
    let invalid = |_| Error::new(ErrorKind::InvalidArgument, format!("invalid proxy in {name}"));
    Proxy::new(&url).map(Some).map_err(|e| {
        invalid(e).with_hint("A proxy is given as http://[USER:PASSWORD@]HOST:PORT, https://... or socks5h://....")
    })
}

/// The first of these variables that is not empty.
fn variable(names: &[&'static str]) -> Option<(&'static str, String)> {
    names.iter().find_map(|name| Some((*name, env::var(name).ok().filter(|value| !value.is_empty())?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_as_in_curl() {
        for (entry, host, expected) in [
            ("*", "anything", true),
            ("hub.example", "hub.example", true),
            ("example", "hub.example", true),
            (".example", "hub.example", true),
            ("*.example", "hub.example", true),
            ("127.0.0.1", "127.0.0.1", true),
            ("::1", "[::1]", true),
            ("ample", "hub.example", false),
            ("hub.example", "example", false),
            (".", "hub.example", false),
        ] {
            assert_eq!(matches(entry, host), expected, "{entry} {host}");
        }
    }
}
