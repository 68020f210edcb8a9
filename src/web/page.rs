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

const FILES: [(&str, &str, &str); 67] = [
    ("/", HTML, include_str!("page/index.html")),
    ("/page.css", CSS, include_str!("page/page.css")),
    ("/history.css", CSS, include_str!("page/history.css")),
    ("/teach.css", CSS, include_str!("page/teach.css")),
    ("/page.js", JS, include_str!("page/page.js")),
    ("/admin.js", JS, include_str!("page/admin.js")),
    ("/client.js", JS, include_str!("page/client.js")),
    ("/connection.js", JS, include_str!("page/connection.js")),
    ("/controls.js", JS, include_str!("page/controls.js")),
    ("/keys_dialog.js", JS, include_str!("page/keys_dialog.js")),
    ("/sight.js", JS, include_str!("page/sight.js")),
    ("/workers.js", JS, include_str!("page/workers.js")),
    ("/wall.js", JS, include_str!("page/wall.js")),
    ("/layout.js", JS, include_str!("page/layout.js")),
    ("/large.js", JS, include_str!("page/large.js")),
    ("/playback.js", JS, include_str!("page/playback.js")),
    ("/player.js", JS, include_str!("page/player.js")),
    ("/chart.js", JS, include_str!("page/chart.js")),
    ("/facts.js", JS, include_str!("page/facts.js")),
    ("/interval_table.js", JS, include_str!("page/interval_table.js")),
    ("/intervals.js", JS, include_str!("page/intervals.js")),
    ("/timeline.js", JS, include_str!("page/timeline.js")),
    ("/history/address.js", JS, include_str!("page/history/address.js")),
    ("/history/calendar.js", JS, include_str!("page/history/calendar.js")),
    ("/history/correction.js", JS, include_str!("page/history/correction.js")),
    ("/history/day_bar.js", JS, include_str!("page/history/day_bar.js")),
    ("/history/days.js", JS, include_str!("page/history/days.js")),
    ("/history/export.js", JS, include_str!("page/history/export.js")),
    ("/history/filters.js", JS, include_str!("page/history/filters.js")),
    ("/history/found.js", JS, include_str!("page/history/found.js")),
    ("/history/gestures.js", JS, include_str!("page/history/gestures.js")),
    ("/history/keys.js", JS, include_str!("page/history/keys.js")),
    ("/history/kept.js", JS, include_str!("page/history/kept.js")),
    ("/history/list.js", JS, include_str!("page/history/list.js")),
    ("/history/nearby.js", JS, include_str!("page/history/nearby.js")),
    ("/history/pages.js", JS, include_str!("page/history/pages.js")),
    ("/history/paint.js", JS, include_str!("page/history/paint.js")),
    ("/history/readout.js", JS, include_str!("page/history/readout.js")),
    ("/history/ribbons.js", JS, include_str!("page/history/ribbons.js")),
    ("/history/scale.js", JS, include_str!("page/history/scale.js")),
    ("/history/shown_label.js", JS, include_str!("page/history/shown_label.js")),
    ("/history/track.js", JS, include_str!("page/history/track.js")),
    ("/history/view.js", JS, include_str!("page/history/view.js")),
    ("/history/viewer.js", JS, include_str!("page/history/viewer.js")),
    ("/history/whole_day.js", JS, include_str!("page/history/whole_day.js")),
    ("/teach/address.js", JS, include_str!("page/teach/address.js")),
    ("/teach/answers.js", JS, include_str!("page/teach/answers.js")),
    ("/teach/choices.js", JS, include_str!("page/teach/choices.js")),
    ("/teach/frames.js", JS, include_str!("page/teach/frames.js")),
    ("/teach/grid.js", JS, include_str!("page/teach/grid.js")),
    ("/teach/keys.js", JS, include_str!("page/teach/keys.js")),
    ("/teach/model.js", JS, include_str!("page/teach/model.js")),
    ("/teach/models.js", JS, include_str!("page/teach/models.js")),
    ("/teach/new_label.js", JS, include_str!("page/teach/new_label.js")),
    ("/teach/notices.js", JS, include_str!("page/teach/notices.js")),
    ("/teach/pane.js", JS, include_str!("page/teach/pane.js")),
    ("/teach/report.js", JS, include_str!("page/teach/report.js")),
    ("/teach/says.js", JS, include_str!("page/teach/says.js")),
    ("/teach/tabs.js", JS, include_str!("page/teach/tabs.js")),
    ("/teach/training.js", JS, include_str!("page/teach/training.js")),
    ("/teach/view.js", JS, include_str!("page/teach/view.js")),
    ("/pictures.js", JS, include_str!("page/pictures.js")),
    ("/head.js", JS, include_str!("page/head.js")),
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
