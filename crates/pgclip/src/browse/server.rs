//! What lies at which address.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::header;
use axum::middleware;
use axum::response::IntoResponse;
use axum::routing::get;

use super::about::About;
use super::answers;
use super::guard::guard;
use super::pool::Pool;
use super::thumbnails::Thumbnails;
use crate::pictures::MAX_BYTES;

/// What all requests share.
pub struct Shared {
    pub token: String,
    pub port: u16,
    pub about: About,
    pub table: String,
    /// Of vectors, where there are several.
    pub column: Option<String>,
    pub pool: Pool,
    pub thumbnails: Thumbnails,
}

/// The page, its parts and its answers, behind the guard.
pub fn router(shared: Arc<Shared>) -> Router {
    let at = |name: &str| format!("/{}/{name}", shared.token);
    Router::new()
        .route(&at(""), get(async || file("text/html; charset=utf-8", include_str!("page.html"))))
        .route(&at("style.css"), get(async || file("text/css; charset=utf-8", include_str!("style.css"))))
        .route(&at("script.js"), get(async || file("text/javascript; charset=utf-8", include_str!("script.js"))))
        .route(&at("icon.svg"), get(async || file("image/svg+xml", include_str!("icon.svg"))))
        .route(&at("about"), get(answers::about))
        .route(&at("search"), get(answers::search).post(answers::search_picture))
        .route(&at("thumbnail"), get(answers::thumbnail))
        .layer(DefaultBodyLimit::max(MAX_BYTES))
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), guard))
        .with_state(shared)
}

fn file(kind: &'static str, text: &'static str) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, kind)], text)
}
