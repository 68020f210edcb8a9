//! The help of `livelabel run`: its options in groups, the common ones in `-h`, and examples.

use clap::{Arg, Command, CommandFactory};

use crate::cli::args::Cli;
use crate::cluster::job::OPTIONS;
use crate::config::options::StreamOptions;

/// The groups of options, in the order of the help. Those before the bar are common: `-h` shows only them.
const GROUPS: [(&str, &str); 7] = [
    ("Input", "input pipeline | dry_run max_pixels allow_playlists"),
    ("Labelling", "action window threshold stride overlay | window_align hysteresis"),
    (
        "Output",
        "output_dir only csv overview display force resume | shard output timeline plot subtitles format quiet verbose",
    ),
    (
        "Cameras",
        "name segment keep | paused transport latency user_env password_env password_file segment_video segment_audio \
         keep_intervals only_active interval_pictures index status_interval",
    ),
    (
        "Sharing",
        "web events mqtt webhook | web_exit web_token web_token_file web_admin_token_file web_cert web_key mqtt_user_env \
         mqtt_password_env mqtt_password_file",
    ),
    ("Learning", "| learn learn_per_day learn_limit"),
    ("Engine", "model device | batch inference_precision jobs no_sandbox"),
];

const EXAMPLES: &str = "\
Examples:
  livelabel run clip.mp4                                  labelled video, timeline, plot and subtitles
  livelabel run recordings --output-dir results           every clip in a folder
  livelabel run clip.mp4 --action drinking --only timeline
  livelabel run rtsp://CAMERA/PATH --display              a camera, in a window
  livelabel run rtsp://CAMERA/PATH --segment 10m --keep 7d --web 127.0.0.1:8080";

/// Returns the command line with its help.
pub fn command() -> Command {
    Cli::command()
        .mut_subcommand("run", |run| {
            run.mut_args(grouped)
                .after_help(format!("{EXAMPLES}\n\nThese are the common options; --help shows all."))
                .after_long_help(EXAMPLES)
        })
        .mut_subcommand("submit", |submit| submit.mut_args(shown_if_of_a_job))
}

/// Hides the options of streams that a job cannot have.
fn shown_if_of_a_job(argument: Arg) -> Arg {
    let id = argument.get_id().as_str();
    if id == "input" {
        return argument.help("Clips and folders of clips; - for a list on stdin");
    }
    let hidden = StreamOptions::KEYS.contains(&id) && !OPTIONS.contains(&id);
    argument.hide(hidden)
}

fn grouped(argument: Arg) -> Arg {
    let id = argument.get_id().to_string();
    let contains = |ids: &str| ids.split_whitespace().any(|known| known == id);
    for (heading, ids) in GROUPS {
        let (common, others) = ids.split_once('|').unwrap_or((ids, ""));
        if contains(common) || contains(others) {
            return argument.help_heading(heading).hide_short_help(contains(others));
        }
    }
    argument
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_in_a_group() {
        let mut command = command();
        command.build();
        let run = command.find_subcommand("run").unwrap();
        let mut all: Vec<&str> = run.get_arguments().map(|argument| argument.get_id().as_str()).collect();
        let grouped = GROUPS.iter().flat_map(|(_, ids)| ids.split_whitespace()).filter(|&id| id != "|");
        let mut grouped: Vec<&str> = grouped.chain(["help", "log_format"]).collect();
        grouped.sort_unstable();
        all.sort_unstable();
        assert_eq!(grouped, all);
    }

    #[test]
    fn the_short_help_fits_on_a_screen() {
        let text = command().find_subcommand_mut("run").unwrap().render_help().to_string();
        assert!(text.lines().count() <= 70, "{text}");
        assert!(text.contains("--segment") && !text.contains("--transport"), "{text}");
    }
}
