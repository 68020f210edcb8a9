//! The trainer's command line. `livelabel-train` starts it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use livelabel::cli::args::LogFormat;
use livelabel::inference::session::SessionOptions;
use livelabel::train::adapt::{self, AdaptOptions};
use livelabel::train::cli::{AdaptArgs, Cli, Command, Defaults, EvaluateArgs, FitArgs};
use livelabel::train::clip_predictions::ClipPredictions;
use livelabel::train::dataset::Dataset;
use livelabel::train::events::Truth;
use livelabel::train::fit::{self, Reporter};
use livelabel::train::learned_files::LearnedFiles;
use livelabel::train::metrics::{Metrics, Prediction};
use livelabel::train::progress::Terminal;
use livelabel::train::run::{Run, check_same};
use livelabel::train::selection::Selection;
use livelabel::train::views::{Views, content};
use livelabel::train::{
    clip_predictions, evaluate, events, export, keep, merge, picture_predictions, preview, subclasses, sweep, windows,
};
use livelabel::{Error, Model, Result, Shutdown, Watch, logging, media, watch_signals};
use serde_json::json;

fn main() -> ExitCode {
    let cli = Cli::parse();
    logging::start(cli.log_format == LogFormat::Json);
    let watch = match watch_signals() {
        Ok(watch) => watch,
        Err(cause) => {
            tracing::error!("the signal handler cannot be installed ({cause})");
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
            terminal.finish();
            print(&sweep::table(&rows?));
            Ok(())
        }
        Command::Preview { data, augment, seed, output } => {
            media::init()?;
            preview::write(&Dataset::read(&data, &[])?, &Views { augmentation: augment.augmentation(), seed }, &output)
        }
        Command::Data { folders, output, subclasses } => {
            media::init()?;
            let rules = subclasses.as_deref().map(subclasses::read).transpose()?.unwrap_or_default();
            print(&merge::merge(&folders, &output, &rules)?);
            Ok(())
        }
        Command::Evaluate(args) => {
            print(&evaluate(&args, &watch.shutdown)?);
            Ok(())
        }
        Command::Adapt(args) => {
            media::init()?;
            let AdaptArgs { model, data, output, features, report, anyway, every } = *args;
            let terminal = Terminal::new(false);
            let options = AdaptOptions { model, data, output, features, report, anyway, every };
            let adapted = adapt::adapt(&options, &terminal, &watch.shutdown);
            terminal.finish();
            adapted
        }
        Command::Features { model, data, output, max_bytes, every } => {
            media::init()?;
            let terminal = Terminal::new(false);
            let kept =
                keep::features(model.as_deref(), &data, &output, max_bytes.as_u64(), every, &terminal, &watch.shutdown);
            terminal.finish();
            kept
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
                    Error::usage(format!("{}: exists already", model.display())).remedy("overwrite it with --force")
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
    terminal.finish();
    fitted?;
    if let Some(model) = &options.model {
        terminal.message(&format!("model: {}, run: {}", model.display(), run.folder.display()));
    }
    Ok(())
}

fn evaluate(args: &EvaluateArgs, shutdown: &Shutdown) -> Result<String> {
    media::init()?;
    let slices = args.slices.as_deref().map(evaluate::read_slices).transpose()?.unwrap_or_default();
    let whole = Selection { group_prefixes: args.groups.clone(), files: args.files.clone(), ..Selection::default() };
    let report = |labels: &[String], predictions: Vec<Prediction>| {
        let metrics = Metrics::of(labels, &predictions);
        write_json(args.json.as_deref(), &json!({"labels": labels, "metrics": metrics, "predictions": predictions}))?;
        Ok(evaluate::report(labels, &predictions, &slices))
    };
    if !args.run.is_empty() {
        let (labels, mut predictions) = evaluate::runs(&args.run)?;
        predictions.retain(|prediction| whole.includes(&prediction.group, &prediction.name));
        if predictions.is_empty() {
            return Err(Error::input("no picture is in these groups").remedy("check --groups and --files"));
        }
        return report(&labels, predictions);
    }
    let models = args.model.iter().map(|path| Model::read(path)).collect::<Result<Vec<_>>>()?;
    let selections = selections(args, &whole)?;
    let labels = models[0].labels.clone();
    if let Some(other) = models.iter().find(|model| model.labels != labels) {
        return Err(Error::input(format!("{}: has other labels than {}", other.name, models[0].name))
            .remedy("give models with the same labels"));
    }
    if let Some(data) = args.data.as_deref().or(args.clips.as_deref())
        && models.iter().any(|model| model.learned_from.is_some())
    {
        let data = Dataset::read(data, &[])?;
        models.iter().zip(&selections).for_each(|(model, selection)| warn_of_known(model, &data, selection));
    }
    let pairs = models.iter().zip(&selections);
    match (&args.data, &args.clips) {
        (Some(data), _) => {
            let mut all = Vec::new();
            for (model, selection) in pairs {
                all.extend(picture_predictions::read(model, data, selection, args.every, args.device, shutdown)?);
            }
            report(&labels, all)
        }
        (None, Some(clips)) => {
            let data = Dataset::read(clips, &[])?;
            let mut all = Vec::new();
            for (model, selection) in pairs {
                all.extend(clip_predictions::read(model, &data, selection, SessionOptions::of(args.device, 0))?);
            }
            clips_report(args, &labels, &all)
        }
        (None, None) => {
            Err(Error::usage("no data to evaluate on is given")
                .remedy("give pictures with --data, or clips with --clips"))
        }
    }
}

/// Warns if the model learned from files that it is evaluated on.
fn warn_of_known(model: &Model, data: &Dataset, selection: &Selection) {
    let Some(learned) = model.learned_from.as_deref().and_then(LearnedFiles::parse) else { return };
    let selected = data.items.iter().filter(|item| selection.includes(&item.group, &item.name));
    let contents: Vec<[u8; 32]> = selected.filter_map(|item| content(&item.path).ok()).collect();
    if let Some(known) = learned.known(&contents) {
        tracing::warn!(
            "{}: learned from {known} of these {} files, so the figures flatter; give files that it has not seen",
            model.name,
            contents.len()
        );
    }
}

/// Returns the files that each model is evaluated on.
fn selections(args: &EvaluateArgs, whole: &Selection) -> Result<Vec<Selection>> {
    if args.held_out_by.is_empty() && args.model.len() == 1 {
        return Ok(vec![whole.clone()]);
    }
    if args.held_out_by.len() != args.model.len() {
        return Err(Error::usage(format!("{} models and {} runs", args.model.len(), args.held_out_by.len()))
            .remedy("give one run for each model with --held-out-by"));
    }
    let selection = |(index, run): (usize, &PathBuf)| {
        let split = Run::open(run)?.0.split()?;
        Ok(Selection { held_out_by: Some(split), unknown: args.unknown && index == 0, ..whole.clone() })
    };
    args.held_out_by.iter().enumerate().map(selection).collect()
}

fn clips_report(args: &EvaluateArgs, labels: &[String], clips: &[ClipPredictions]) -> Result<String> {
    let scores = evaluate::clips(labels, clips);
    let mut text = evaluate::clips_report(labels, &scores);
    let (mut events, mut tried) = (serde_json::Map::new(), Vec::new());
    if let Some(table) = &args.events {
        let truth = Truth::read(table)?;
        for (index, label) in labels.iter().enumerate().filter(|(_, label)| truth.has(label)) {
            let found = events::best(clips, labels, index, &truth);
            text.push_str(&format!("\n\n{}", events::report(label, &found)));
            events
                .insert(label.clone(), json!(found.into_iter().filter_map(|(_, _, score)| score).collect::<Vec<_>>()));
        }
        let comparison = windows::compare(clips, labels, &truth);
        text.push_str(&format!("\n\nevents by window, as the program finds them\n{}", comparison.report()));
        tried = std::iter::once(comparison.original).chain(comparison.others).collect();
    }
    write_json(args.json.as_deref(), &json!({"labels": labels, "clips": scores, "events": events, "windows": tried}))?;
    Ok(text)
}

/// Writes results to a file, if one is given.
fn write_json(file: Option<&Path>, found: &serde_json::Value) -> Result<()> {
    let Some(file) = file else { return Ok(()) };
    std::fs::write(file, format!("{found:#}\n")).map_err(|cause| {
        Error::unavailable(format!("{}: cannot be written", file.display()))
            .because(cause)
            .remedy("choose a writable folder")
    })
}

/// Prints to stdout. Ignores a closed pipe.
fn print(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{text}");
}
