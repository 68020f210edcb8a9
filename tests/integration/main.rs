//! Integration tests: they run the binary on real media and check its output.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a failure here is to be seen")]

#[cfg(feature = "train")]
mod adapt;
mod adapted_models;
mod admin;
mod bad_input;
mod broker;
mod camera;
mod cluster;
mod cluster_cameras;
mod cluster_results;
mod device;
mod dry_run;
mod events;
mod file_server;
mod footage;
mod frames;
mod history;
mod history_pictures;
mod history_video;
mod hostile;
mod hostile_cameras;
mod http;
mod https;
mod import;
mod labels;
mod learning;
mod library;
mod limits;
mod live;
mod model;
mod nats;
mod odd_files;
mod page;
mod power;
mod program;
mod receiver;
mod recording;
mod regression;
mod reload;
mod reports;
mod results;
mod sandbox;
mod several;
mod shared;
mod sound;
mod stops;
mod time_limit;
mod tiny;
#[cfg(feature = "train")]
mod trainer;
mod video;
mod view;
mod web;
mod window;
