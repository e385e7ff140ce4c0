//! Who is let in, and what a browser may do with what it gets.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;

use super::server::Shared;
use crate::pictures::MAX_BYTES;

/// Everything comes from here, nothing is sent elsewhere, and nobody puts the page into a frame. A picture that is searched for is
/// shown as the browser has it.
const POLICY: &str = "default-src 'self'; img-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, HeaderValue); 6] = [
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    // The address is the key.
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
];

/// Lets through what comes from the page or from the address bar, and sets the headers of every answer.
pub async fn guard(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let mut response = match refused(&shared, request.uri(), request.headers()) {
        Some(status) => status.into_response(),
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, value);
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

fn refused(shared: &Shared, uri: &Uri, headers: &HeaderMap) -> Option<StatusCode> {
    // A page of elsewhere whose name was made to lead to this machine sends its own name.
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok());
    let other = uri.authority().map(Authority::as_str);
    if hosts.next().is_some()
        || !host.is_some_and(|host| is_here(host, shared.port))
        || !other.is_none_or(|host| is_here(host, shared.port))
    {
        return Some(StatusCode::FORBIDDEN);
    }
    let token = uri.path().strip_prefix('/').and_then(|path| path.split('/').next()).unwrap_or_default();
    if !bool::from(token.as_bytes().ct_eq(shared.token.as_bytes())) {
        return Some(StatusCode::NOT_FOUND);
    }
    // What a browser says of a request that another page made it send. A link to the page may be in any.
    let said = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let is_link = said("sec-fetch-mode") == Some("navigate") && said("sec-fetch-dest") == Some("document");
    if !is_link && !matches!(said("sec-fetch-site"), None | Some("same-origin" | "none")) {
        return Some(StatusCode::FORBIDDEN);
    }
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    length.is_some_and(|length| length > MAX_BYTES as u64).then_some(StatusCode::PAYLOAD_TOO_LARGE)
}

fn is_here(host: &str, port: u16) -> bool {
    // Browsers leave out the port that is HTTP's own.
    let (name, given) = host.rsplit_once(':').unwrap_or((host, "80"));
    (name == "127.0.0.1" || name.eq_ignore_ascii_case("localhost")) && given == port.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_this_machine_alone() {
        for host in ["127.0.0.1:8000", "localhost:8000", "LocalHost:8000"] {
            assert!(is_here(host, 8000), "{host}");
        }
        assert!(is_here("localhost", 80));
        for host in [
            "127.0.0.1",
            "127.0.0.1:80",
            "evil.example:8000",
            "127.0.0.1.evil.example:8000",
            "localhost:08000",
            "[::1]:8000",
            "",
        ] {
            assert!(!is_here(host, 8000), "{host}");
        }
    }
}
