//! The trainer: trains a model file on folders of pictures or clips. Everything that needs libtorch.
//!
//! [`dataset`] lists the files, [`split`] selects the validation groups, and [`augment`] transforms the pictures.
//! [`features`] runs the [`frozen`] part of the [`network`] on them once and keeps the results in a [`feature_cache`]. [`fit`]
//! trains on these. [`run`] is the folder with the configuration, checkpoint and results.
//!
//! [`adapt`] reads [`corrections`], trains an [`adapter`] on them and on [`kept_features`], and compares both models on what
//! was [`held_out`].

pub mod adapt;
pub mod adapt_report;
pub mod adaptable_model;
pub mod adapter;
pub mod augment;
pub mod balance;
pub mod bootstrap;
pub mod calibration;
pub mod callbacks;
pub mod cli;
pub mod clip_predictions;
pub mod comparison;
pub mod confusion_plot;
pub mod corrections;
pub mod dataset;
pub mod evaluate;
pub mod events;
pub mod export;
pub mod feature_cache;
pub mod features;
pub mod fit;
pub mod frozen;
pub mod held_out;
pub mod keep;
pub mod kept_features;
pub mod kept_files;
pub mod learned_files;
pub mod lines;
pub mod merge;
pub mod metrics;
pub mod model_head;
pub mod network;
pub mod network_rows;
pub mod optimizer;
pub mod options;
pub mod pace;
pub mod parts;
pub mod picture_predictions;
pub mod plots;
pub mod preview;
pub mod progress;
pub mod run;
pub mod selection;
pub mod split;
pub mod state;
pub mod subclasses;
pub mod sweep;
pub mod training;
pub mod units;
pub mod validation;
pub mod verdict;
pub mod views;
pub mod visits;
pub mod windows;
