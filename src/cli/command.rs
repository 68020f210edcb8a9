//! The program `livelabel`: parses the command line and calls one subcommand.

use std::num::NonZeroUsize;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::FromArgMatches;

use crate::bench;
use crate::cli::args::{BenchCommand, Cli, Command, ConfigCommand, IndexCommand, LogFormat, ModelCommand};
use crate::cli::stdout::print;
use crate::cli::{
    cluster, dry_run, frames, help, history, manual, models, reload, run, schema, submit, view, web, worker,
};
use crate::config::Config;
use crate::error::Error;
use crate::inference::batches::Arrival;
use crate::inference::model::Model;
use crate::inference::session::SessionOptions;
use crate::media::limits::{DEFAULT_MAX_PIXELS, Limits};
use crate::system::printable;
use crate::{logging, shutdown};

/// Runs the command line of this process; returns its exit code.
pub fn main() -> ExitCode {
    let matches = help::command().try_get_matches();
    let cli = matches.and_then(|matches| Cli::from_arg_matches(&matches)).unwrap_or_else(|error| exit_with(&error));
    logging::start(cli.log_format == LogFormat::Json);
    match execute(cli.command) {
        Ok(code) => code,
        Err(error) => {
            let known = error.downcast_ref::<Error>();
            match known {
                Some(error) => tracing::error!("{error}"),
                None => tracing::error!("{error:#}"),
            }
            ExitCode::from(known.map_or(1, Error::exit_code))
        }
    }
}

fn execute(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run(args) => {
            let only_check = args.dry_run;
            let pipeline = args.pipeline.clone();
            let config = Config::read(args.settings(), pipeline.as_deref())?;
            if let Some(shard) = config.empty_shard() {
                tracing::info!("shard {shard} has none of the inputs");
                return Ok(ExitCode::SUCCESS);
            }
            // Before the first thread, which would keep its rights.
            let _prepared = run::give_up_rights(&config, only_check)?;
            let can_reload = config.origin.is_some() && !only_check;
            let watch = if can_reload { shutdown::watch_and_reload } else { shutdown::watch };
            let signals = watch().context("signal handlers cannot be installed")?;
            let work = if only_check { dry_run::check } else { run::run };
            let code = work(config, &signals.shutdown).or_else(|error| {
                // If the user stopped the run, exit with the signal's code.
                let stopped = signals.exit_code().map(|_| error.exit_code());
                stopped.inspect(|_| tracing::error!("{error}")).ok_or(error)
            })?;
            Ok(ExitCode::from(signals.exit_code().unwrap_or(code)))
        }
        Command::View(args) => {
            let access = args.page.resolve_or_default()?;
            let signals = shutdown::watch().context("signal handlers cannot be installed")?;
            let limits = Limits { max_pixels: args.max_pixels.unwrap_or(DEFAULT_MAX_PIXELS), ..Limits::default() };
            view::view(&args.timeline, args.video.as_deref(), limits, &access, &signals.shutdown)?;
            Ok(ExitCode::from(signals.exit_code().unwrap_or(0)))
        }
        Command::History(args) => {
            history::show(&args, &mut std::io::stdout().lock())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Index(IndexCommand::Rebuild { folder }) => {
            print(&history::rebuild(&folder)?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Reload(args) => {
            print(&reload::reload(&args)?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Worker(args) => {
            // Before the first thread, which would keep its rights.
            let plan = worker::prepare(&args)?;
            let signals = shutdown::watch().context("signal handlers cannot be installed")?;
            worker::work(&args, plan, &signals.shutdown)?;
            Ok(ExitCode::from(signals.exit_code().unwrap_or(0)))
        }
        Command::Web(args) => {
            // Before the first thread, which would keep its rights.
            let plan = web::prepare(&args)?;
            let signals = shutdown::watch().context("signal handlers cannot be installed")?;
            web::serve(&args, &plan, &signals.shutdown)?;
            Ok(ExitCode::from(signals.exit_code().unwrap_or(0)))
        }
        Command::Submit(args) => {
            let signals = shutdown::watch().context("signal handlers cannot be installed")?;
            let code = submit::submit(&args, &signals.shutdown)?;
            Ok(ExitCode::from(signals.exit_code().unwrap_or(code)))
        }
        Command::Cluster(command) => {
            let (text, code) = cluster::run(&command)?;
            print(&text);
            Ok(ExitCode::from(code))
        }
        Command::Frames(args) => {
            let signals = shutdown::watch().context("signal handlers cannot be installed")?;
            let extracted = frames::extract(&args.inputs, &args.extraction(), &signals.shutdown);
            match signals.exit_code() {
                Some(code) => Ok(ExitCode::from(code)),
                None => extracted.map(|()| ExitCode::SUCCESS).map_err(Into::into),
            }
        }
        Command::Model(command) => {
            print(&model(command)?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Bench(command) => {
            print(&bench(command)?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Config(ConfigCommand::Schema) => {
            print(&format!("{:#}", schema::schema()));
            Ok(ExitCode::SUCCESS)
        }
        Command::Completions { shell } => {
            manual::completions(shell);
            Ok(ExitCode::SUCCESS)
        }
        Command::Manual { folder } => {
            manual::write(&folder)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Devices { json } => {
            print(&models::devices(json));
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn bench(command: BenchCommand) -> Result<String, Error> {
    let format = |json: bool, text: String, report: serde_json::Value| if json { report.to_string() } else { text };
    match command {
        BenchCommand::Clip { clip, options, batch } => {
            let model = Model::open(options.model.as_deref())?;
            let report = bench::clip::measure(&clip, &model, options.session_options(batch))?;
            Ok(format(options.json, report.text(), serde_json::json!(report)))
        }
        BenchCommand::Sampling { clips, options, strictness, steps, strides } => {
            let model = Model::open(options.model.as_deref())?;
            let [steps, strides] =
                [steps, strides].map(|list| list.into_iter().map(NonZeroUsize::get).collect::<Vec<_>>());
            let session = options.session_options(None);
            let report = bench::sampling::compare(&clips, &model, session, &strictness, &steps, &strides)?;
            Ok(format(options.json, report.text(), serde_json::json!(report)))
        }
        BenchCommand::Model { options, batches, time } => {
            let model = Model::open(options.model.as_deref())?;
            let report = bench::model::measure(&model, options.session_options(None), &batches, time)?;
            Ok(format(options.json, report.text(), serde_json::json!(report)))
        }
    }
}

fn model(command: ModelCommand) -> Result<String, Error> {
    match command {
        ModelCommand::Show { model, json } => Ok(models::show(&Model::open(model.as_deref())?, json)),
        ModelCommand::Build { backbone, head, labels, precision, output, force } => {
            let model = models::build(&backbone, head, labels, precision, &output, force)?;
            Ok(models::show(&model, false))
        }
        ModelCommand::Import(args) => models::import(&args),
        ModelCommand::Verify { model, pictures, device, inference_precision, json } => {
            let options = SessionOptions {
                arrival: Arrival::Both,
                precision: inference_precision,
                ..SessionOptions::of(device, 2)
            };
            models::verify(&Model::open(model.as_deref())?, &pictures, options, json)
        }
    }
}

/// Prints clap's error or help, and exits.
fn exit_with(error: &clap::Error) -> ! {
    // clap's coloured output would print control characters in arguments unescaped.
    let has_control = std::env::args_os().any(|argument| argument.to_string_lossy().contains(char::is_control));
    let text = error.render().to_string();
    let printable = printable::lines(&text);
    if !error.use_stderr() || (printable == text && !has_control) {
        error.exit();
    }
    eprint!("{printable}");
    std::process::exit(error.exit_code());
}
