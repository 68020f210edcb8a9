//! The page's own files, which are part of the program.

use std::sync::Arc;

use axum::Router;
use axum::http::header;
use axum::routing::get;

use crate::web::routes::Site;

const HTML: &str = "text/html; charset=utf-8";

const FILES: [(&str, &str, &str); 1] = [("/", HTML, include_str!("page/index.html"))];

pub(super) fn routes() -> Router<Arc<Site>> {
    FILES.into_iter().fold(Router::new(), |router, (path, kind, text)| {
        router.route(path, get(move || async move { ([(header::CONTENT_TYPE, kind)], text) }))
    })
}
