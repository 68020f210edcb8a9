//! Labels clips or cameras from Rust and prints what was found, without writing a file.
//!
//! usage: label INPUT...

use std::time::Duration;

use livelabel::{Analyzer, Config, LabeledInterval, Observer, Settings, StreamInfo, StreamOptions, watch_signals};

struct Print;

impl Observer for Print {
    fn interval(&self, stream: &StreamInfo, LabeledInterval { label, start, end, mean, .. }: LabeledInterval) {
        let seconds = |time: Duration| time.as_secs_f64();
        println!("{}: {label} {:.2}–{:.2} s ({:.0} %)", stream.name, seconds(start), seconds(end), 100.0 * mean);
    }
}

fn main() -> anyhow::Result<()> {
    let input = std::env::args_os().skip(1).map(Into::into).collect();
    let streams = StreamOptions { input, only: Some(vec![]), ..StreamOptions::default() };
    let config = Config::resolve(Settings { streams, ..Settings::default() })?;
    // Ctrl-C ends the run after its files are closed.
    let signals = watch_signals()?;
    Analyzer::new(config)?.run(&signals.shutdown, &Print)?;
    Ok(())
}
