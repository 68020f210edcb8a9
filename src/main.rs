//! The analyzer's command line, nothing else.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use livelabel::cli::args::{BenchCommand, Cli, Command, ConfigCommand, LogFormat, ModelCommand};
use livelabel::cli::{frames, models, reference, view};
use livelabel::config::Config;
use livelabel::config::settings::Settings;
use livelabel::config::web::WebConfig;
use livelabel::error::Error;
use livelabel::inference::session::SessionOptions;
use livelabel::media::limits::{Limits, MAX_PIXELS};
use livelabel::{analyzer, bench, logging, printable, shutdown};

fn main() -> ExitCode {
    return_large_memory();
    let cli = Cli::try_parse().unwrap_or_else(|error| refuse(&error));
    logging::start(cli.log_format == LogFormat::Json);
    match run(cli.command) {
        Ok(code) => code,
        Err(error) => {
            let told = error.downcast_ref::<Error>();
            match told {
                Some(error) => tracing::error!("{error}"),
                None => tracing::error!("{error:#}"),
            }
            ExitCode::from(told.map_or(1, Error::exit_code))
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run(args) => {
            let pipeline = args.pipeline.as_deref().map(Settings::read).transpose()?;
            let settings = args.settings().over(pipeline.unwrap_or_default());
            let config = Config::resolve(settings)?;
            let signals = shutdown::watch().context("signals cannot be watched")?;
            let code = analyzer::run(&config, &signals.shutdown).or_else(|error| {
                // Whoever has stopped the run expects the signal's code.
                let stopped = signals.exit_code().map(|_| error.exit_code());
                stopped.inspect(|_| tracing::error!("{error}")).ok_or(error)
            })?;
            Ok(ExitCode::from(signals.exit_code().unwrap_or(code)))
        }
        Command::View(args) => {
            let access = WebConfig::resolve(&args.options())?.context("no address")?;
            let signals = shutdown::watch().context("signals cannot be watched")?;
            let limits = Limits { max_pixels: args.max_pixels.unwrap_or(MAX_PIXELS), ..Limits::default() };
            view::view(&args.timeline, args.video.as_deref(), limits, &access, &signals.shutdown)?;
            Ok(ExitCode::from(signals.exit_code().unwrap_or(0)))
        }
        Command::Frames(args) => {
            let signals = shutdown::watch().context("signals cannot be watched")?;
            let taken =
                frames::extract(&args.videos, &args.out, args.every, args.layout, args.quiet, &signals.shutdown);
            match signals.exit_code() {
                Some(code) => Ok(ExitCode::from(code)),
                None => taken.map(|()| ExitCode::SUCCESS).map_err(Into::into),
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
            print(&format!("{:#}", reference::schema()));
            Ok(ExitCode::SUCCESS)
        }
        Command::Devices { json } => {
            print(&models::devices(json));
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn bench(command: BenchCommand) -> Result<String, Error> {
    let told = |json: bool, text: String, report: serde_json::Value| if json { report.to_string() } else { text };
    match command {
        BenchCommand::Clip { clip, network, batch } => {
            let model = models::read(network.model.as_deref())?;
            let report = bench::clip::measure(&clip, &model, network.session_options(batch))?;
            Ok(told(network.json, report.text(), serde_json::json!(report)))
        }
        BenchCommand::Network { network, batches, time } => {
            let model = models::read(network.model.as_deref())?;
            let report = bench::network::measure(&model, network.session_options(None), &batches, time)?;
            Ok(told(network.json, report.text(), serde_json::json!(report)))
        }
    }
}

fn model(command: ModelCommand) -> Result<String, Error> {
    match command {
        ModelCommand::Show { model, json } => Ok(models::show(&models::read(model.as_deref())?, json)),
        ModelCommand::Build { backbone, head, labels, precision, output, force } => {
            let model = models::build(&backbone, head, labels, precision, &output, force)?;
            Ok(models::show(&model, false))
        }
        ModelCommand::Import(args) => models::import(&args),
        ModelCommand::Verify { model, pictures, device, inference_precision, json } => {
            let options =
                SessionOptions { singles: true, precision: inference_precision, ..SessionOptions::of(device, 2) };
            models::verify(&models::read(model.as_deref())?, &pictures, options, json)
        }
    }
}

/// Has memory of a picture's size and more given back as soon as it is freed. By default glibc keeps such blocks once a
/// larger one was freed, and loading a network frees many.
fn return_large_memory() {
    const LARGE: libc::c_int = 1 << 20;
    // SAFETY: a setting of the allocator, made before there is another thread.
    unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE) };
}

/// Tells what is wrong with the command line, or the help that was asked for.
fn refuse(error: &clap::Error) -> ! {
    // With the colours of a terminal, what the user wrote would come as it is.
    let obeyed = std::env::args_os().any(|argument| argument.to_string_lossy().contains(char::is_control));
    let told = error.render().to_string();
    let printable = printable::lines(&told);
    if !error.use_stderr() || (printable == told && !obeyed) {
        error.exit();
    }
    eprint!("{printable}");
    std::process::exit(error.exit_code());
}

/// To stdout; a reader that has gone is no error.
fn print(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{}", printable::visible(text));
}
