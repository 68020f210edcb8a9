//! The trainer's command line, nothing else; `livelabel-train` starts it.

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use livelabel::cli::LogFormat;
use livelabel::error::{Error, Result};
use livelabel::inference::model::Model;
use livelabel::signals::{self, Watch};
use livelabel::train::cli::{Cli, Command, Defaults, EvaluateArgs, FitArgs};
use livelabel::train::dataset::Dataset;
use livelabel::train::evaluate::Scope;
use livelabel::train::fit::{self, Reporter};
use livelabel::train::metrics::{Metrics, Prediction};
use livelabel::train::run::{Run, check_same};
use livelabel::train::state::EpochRecord;
use livelabel::train::views::Views;
use livelabel::train::{evaluate, export, preview, sweep};
use livelabel::{logging, media};
use serde_json::json;

fn main() -> ExitCode {
    let cli = Cli::parse();
    logging::start(cli.log_format == LogFormat::Json);
    let watch = match signals::watch() {
        Ok(watch) => watch,
        Err(cause) => {
            tracing::error!("signals cannot be watched ({cause})");
            return ExitCode::FAILURE;
        }
    };
    match run(cli.command, &watch) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::from(watch.exit_code().unwrap_or_else(|| error.exit_code()))
        }
    }
}

fn run(command: Command, watch: &Watch) -> Result<()> {
    match command {
        Command::Fit(args) => fit(*args, watch),
        Command::Sweep { options, csv } => {
            media::init()?;
            options.check()?;
            let terminal = Terminal::new(false);
            let rows = sweep::sweep(&options, csv.as_deref(), &terminal, &watch.shutdown);
            terminal.bar.finish_and_clear();
            print(&sweep::table(&rows?));
            Ok(())
        }
        Command::Preview { data, augment, seed, output } => {
            preview::write(&Dataset::read(&data, &[])?, &Views { augmentation: augment.augmentation(), seed }, &output)
        }
        Command::Evaluate(args) => {
            print(&evaluated(&args)?);
            Ok(())
        }
        Command::Export { run, model, precision } => {
            media::init()?;
            let (run, _) = Run::open(&run)?;
            export::export(&run, &model, precision, &Terminal::new(false), &watch.shutdown)
        }
    }
}

fn fit(args: FitArgs, watch: &Watch) -> Result<()> {
    media::init()?;
    let (run, options) = match &args.resume {
        None => {
            args.options.check()?;
            if let Some(model) = args.options.model.as_deref().filter(|model| model.exists() && !args.force) {
                return Err(
                    Error::usage(format!("{}: exists already", model.display())).remedy("write over it with --force")
                );
            }
            (Run::create(&args.options.run_folder()?, &args.options, args.force)?, args.options)
        }
        Some(folder) => {
            let (run, config) = Run::open(folder)?;
            let defaults = Defaults::parse_from(["fit"]).options;
            check_same(&args.options, &defaults, &config.options)?;
            (run, config.options)
        }
    };
    let terminal = Terminal::new(args.quiet);
    let fitted = fit::fit(&options, &run, &terminal, &watch.shutdown);
    terminal.bar.finish_and_clear();
    fitted?;
    if let Some(model) = &options.model {
        terminal.tell(&format!("model: {}, run: {}", model.display(), run.folder.display()));
    }
    Ok(())
}

fn evaluated(args: &EvaluateArgs) -> Result<String> {
    media::init()?;
    let model = args.model.as_deref().map(Model::read).transpose()?;
    let kept_by = args.kept_by.as_deref().map(|run| Run::open(run)?.0.split()).transpose()?;
    let scope = Scope { begins: args.groups.clone(), kept_by };
    let pictures = |labels: &[String], predictions: Vec<Prediction>| {
        let metrics = Metrics::of(labels, &predictions);
        keep(args.json.as_deref(), &json!({"labels": labels, "metrics": metrics, "predictions": predictions}))?;
        Ok(evaluate::report(labels, &predictions))
    };
    match (&model, &args.data, &args.clips) {
        (Some(model), Some(data), _) => pictures(&model.labels, evaluate::pictures(model, data, &scope, args.device)?),
        (Some(model), None, Some(clips)) => {
            let scores = evaluate::clips(model, clips, &scope, args.device)?;
            keep(args.json.as_deref(), &json!({"labels": model.labels, "clips": scores}))?;
            Ok(evaluate::clips_report(&model.labels, &scores))
        }
        (Some(_), None, None) => {
            Err(Error::usage("nothing is named to evaluate on")
                .remedy("give pictures with --data, or clips with --clips"))
        }
        _ => {
            let (labels, mut predictions) = evaluate::runs(&args.run)?;
            predictions.retain(|prediction| scope.has(&prediction.group));
            if predictions.is_empty() {
                return Err(Error::input("no picture is of these groups").remedy("look at --groups"));
            }
            pictures(&labels, predictions)
        }
    }
}

/// Writes what was found to a file, if one is named.
fn keep(file: Option<&Path>, found: &serde_json::Value) -> Result<()> {
    let Some(file) = file else { return Ok(()) };
    std::fs::write(file, format!("{found:#}\n")).map_err(|cause| {
        Error::unavailable(format!("{}: cannot be written", file.display()))
            .because(cause)
            .remedy("choose a folder that can be written to")
    })
}

/// Progress for people: a bar on a terminal, a line an epoch everywhere.
struct Terminal {
    quiet: bool,
    bar: ProgressBar,
    began: std::time::Instant,
}

impl Terminal {
    fn new(quiet: bool) -> Self {
        let shown = !quiet && std::io::stderr().is_terminal();
        let bar = if shown { ProgressBar::new(0) } else { ProgressBar::hidden() };
        let style = ProgressStyle::with_template("{prefix:>9} {bar:30} {pos}/{len}  {msg}  {per_sec}  {eta} left");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { quiet, bar, began: std::time::Instant::now() }
    }

    fn show(&self, what: &'static str, done: usize, all: usize) {
        if self.bar.length() != Some(all as u64) || self.bar.prefix() != what {
            self.bar.reset();
            self.bar.set_length(all as u64);
            self.bar.set_prefix(what);
        }
        self.bar.set_position(done as u64);
    }
}

impl Reporter for Terminal {
    fn tell(&self, text: &str) {
        if !self.quiet {
            self.bar.suspend(|| print(text));
        }
    }

    fn features(&self, done: usize, all: usize) {
        self.show("features", done, all);
    }

    fn samples(&self, done: usize, all: usize, loss: f64, accuracy: f64) {
        self.show("epoch", done, all);
        self.bar.set_message(format!("loss {loss:.3} accuracy {accuracy:.3}"));
    }

    fn epoch(&self, record: &EpochRecord, epochs: usize) {
        let left = self.began.elapsed().as_secs_f64() / record.epoch as f64 * (epochs - record.epoch) as f64;
        self.tell(&format!(
            "epoch {:>3}/{epochs}  loss {:.4} accuracy {:.3}  val_loss {:.4} val_accuracy {:.3} val_macro_f1 {:.3}  \
             {:.0} images/s  at most {:.0} s left",
            record.epoch,
            record.loss,
            record.accuracy,
            record.val_loss,
            record.val_accuracy,
            record.val_macro_f1,
            record.images_per_second,
            left
        ));
    }
}

/// To stdout; a reader that has gone is no error.
fn print(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{text}");
}
