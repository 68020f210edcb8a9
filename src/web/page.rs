//! The page's static files, embedded in the binary.

use std::sync::Arc;

use axum::Router;
use axum::http::header;
use axum::routing::get;

use crate::web::state::AppState;

const HTML: &str = "text/html; charset=utf-8";

const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

const FILES: [(&str, &str, &str); 15] = [
    ("/", HTML, include_str!("page/index.html")),
    ("/page.css", CSS, include_str!("page/page.css")),
    ("/page.js", JS, include_str!("page/page.js")),
    ("/wall.js", JS, include_str!("page/wall.js")),
    ("/layout.js", JS, include_str!("page/layout.js")),
    ("/large.js", JS, include_str!("page/large.js")),
    ("/player.js", JS, include_str!("page/player.js")),
    ("/chart.js", JS, include_str!("page/chart.js")),
    ("/intervals.js", JS, include_str!("page/intervals.js")),
    ("/timeline.js", JS, include_str!("page/timeline.js")),
    ("/pictures.js", JS, include_str!("page/pictures.js")),
    ("/words.js", JS, include_str!("page/words.js")),
    ("/uplot.js", JS, include_str!("page/uPlot.iife.min.js")),
    ("/uplot.css", CSS, include_str!("page/uPlot.min.css")),
    ("/uplot.license", TEXT, include_str!("page/uPlot.LICENSE")),
];

pub(super) fn routes() -> Router<Arc<AppState>> {
    FILES.into_iter().fold(Router::new(), |router, (path, kind, text)| {
        router.route(path, get(move || async move { ([(header::CONTENT_TYPE, kind)], text) }))
    })
}
