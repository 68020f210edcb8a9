//! The trainer: from folders of pictures or clips to a model file that the analyzer runs. Everything that needs tch.
//!
//! [`dataset`] finds what there is, [`split`] decides what is kept to check with, [`augment`] varies the pictures,
//! [`features`] runs the [`frozen`] part of the [`network`] over them once and keeps the answers in a [`store`], [`fit`]
//! trains on those, [`run`] is the folder that remembers all of it.

pub mod augment;
pub mod balance;
pub mod calibration;
pub mod callbacks;
pub mod cli;
pub mod dataset;
pub mod evaluate;
pub mod events;
pub mod export;
pub mod features;
pub mod fit;
pub mod frozen;
pub mod merge;
pub mod metrics;
pub mod network;
pub mod optimizer;
pub mod options;
pub mod plots;
pub mod preview;
pub mod run;
pub mod scope;
pub mod split;
pub mod state;
pub mod store;
pub mod sweep;
pub mod tracks;
pub mod training;
pub mod views;
