//! The few lines a run ends with.

use std::path::Path;

use crate::media::recorder::{Container, Recorded};
use crate::stream::{Context, Outcome};

/// What became of one input, for people.
pub fn text(context: &Context, outcome: &Outcome) -> String {
    let Context { job, model, engine, .. } = context;
    let balance = &outcome.balance;
    let dropped: u64 = balance.dropped.values().sum();
    let held = if balance.held > 0 { format!(", {} held", balance.held) } else { String::new() };
    let mut lines = vec![
        format!(
            "{}: {} frames decoded, {} analysed{held}, {dropped} dropped",
            job.name, balance.decoded, balance.analysed
        ),
        format!("  intervals  {}", outcome.intervals),
        format!(
            "  speed      {:.1} frames/s: {:.1} s for {:.1} s of video",
            outcome.frames_per_second(),
            outcome.wall.as_secs_f64(),
            outcome.position as f64 / 1e9
        ),
        format!("  device     {}, up to {} pictures at once", engine.device(), engine.batch()),
        format!("  model      {} ({})", model.name, model.precision),
    ];
    if let Some((stride, agreement)) = outcome.stride {
        lines.push(format!("  stride     auto took {stride}: {:.1} % of the labels agreed", 100.0 * agreement));
    }
    if let Some(note) = rate_note(context, outcome.recorded) {
        lines.push(format!("  video      {note}"));
    }
    if outcome.interrupted {
        lines.push(format!(
            "  stopped    at {:.1} s; every file is complete up to there",
            outcome.position as f64 / 1e9
        ));
    }
    let there: Vec<String> =
        job.outputs.files().filter(|path| path.exists()).map(|path: &Path| path.display().to_string()).collect();
    lines.push(format!("  files      {}", there.join(", ")));
    lines.join("\n")
}

/// What was done to keep AVI's constant rate; nothing where the input's rate was constant.
fn rate_note(context: &Context, recorded: Recorded) -> Option<String> {
    let (_, container) = context.job.outputs.video.as_ref()?;
    let Recorded { repeated, left_out } = recorded;
    if *container != Container::Avi || repeated + left_out == 0 {
        return None;
    }
    Some(format!(
        "variable frame rate: {repeated} frames repeated and {left_out} left out, as AVI's rate is constant; .mkv keeps each frame's time"
    ))
}
