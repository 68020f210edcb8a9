//! Generates two pages of the documentation from the options: docs/configuration.md and docs/cli.md.

use std::fmt::Write as _;

use clap::Command;

use crate::cli::help;
use crate::config::options::{RunOptions, StreamOptions};

/// Returns `docs/configuration.md`: every key of a pipeline file.
fn configuration() -> String {
    let mut page = String::from(
        "# Configuration\n\nEvery key of a pipeline file is also a flag of `livelabel run`, except `[[stream]]`. A flag overrides \
        the file. `livelabel config schema` prints the JSON Schema of such a file. This page is generated from the \
        program.\n\n\
         ```toml\naction = \"drinking\"\nthreshold = 0.6\noutput_dir = \"results\"\n\n[[stream]]\ninput = \
         [\"rtsp://CAMERA/PATH\"]\nname = \"door\"\n```\n",
    );
    let command = help::command();
    let Some(run) = command.find_subcommand("run") else { return page };
    let parts = [
        ("For each stream", "Write these keys at the top of a file, or in a `[[stream]]`.", StreamOptions::KEYS),
        ("For the whole run", "Write these keys at the top of a file only.", RunOptions::KEYS),
    ];
    for (title, about, keys) in parts {
        let _ = write!(page, "\n## {title}\n\n{about}\n\n| key | flag | meaning |\n|---|---|---|\n");
        for argument in run.get_arguments().filter(|argument| keys.contains(&argument.get_id().as_str())) {
            let flag = argument.get_long().map_or("`INPUT...`".into(), |long| format!("`--{long}`"));
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default().replace('|', "\\|");
            let _ = writeln!(page, "| `{}` | {flag} | {help} |", argument.get_id());
        }
    }
    page
}

/// Returns `docs/cli.md`: the help of every command.
fn commands() -> String {
    let mut page = String::from(
        "# Command line\n\nThe help of every command, as `--help` prints it. This page is generated from the program. \
         [configuration.md](configuration.md) has the options of `run` with their keys in pipeline files.\n",
    );
    let mut command = help::command();
    command.build();
    describe(&mut page, command);
    page
}

fn describe(page: &mut String, mut command: Command) {
    let help = command.render_long_help().to_string();
    let name = command.get_bin_name().unwrap_or("livelabel").to_string();
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    let _ = write!(page, "\n## {name}\n\n```\n{}\n```\n", lines.join("\n").trim_end());
    for subcommand in command.get_subcommands().filter(|command| command.get_name() != "help" && !command.is_hide_set())
    {
        describe(page, subcommand.clone());
    }
}

/// Compares a page with its file, or writes the file if `LIVELABEL_WRITE_DOCS` is set.
fn is_current(name: &str, page: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    if std::env::var_os("LIVELABEL_WRITE_DOCS").is_some() {
        std::fs::write(&path, page).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(there == page, "docs/{name} is stale: LIVELABEL_WRITE_DOCS=1 cargo test --release --lib reference_docs");
}

#[test]
fn the_pages_are_those_of_the_program() {
    is_current("configuration.md", &configuration());
    is_current("cli.md", &commands());
}
