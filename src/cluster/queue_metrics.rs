//! The queues as Prometheus metrics, on the pages of workers and of the cluster.

use std::time::Duration;

use async_nats::jetstream::consumer::PullConsumer;
use metrics::gauge;
use tokio::time::{MissedTickBehavior, interval};

use crate::cluster::connection::Connection;
use crate::cluster::streams;

/// How often the queues are looked at.
const EVERY: Duration = Duration::from_secs(15);

/// Updates the metrics until it is dropped.
pub async fn run(connection: &Connection) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Ok(consumer) = streams::clips(&connection.streams).await {
            update("clips", &consumer);
        }
        if let Ok(consumer) = streams::cameras(&connection.streams).await {
            update("cameras", &consumer);
        }
    }
}

fn update(kind: &'static str, consumer: &PullConsumer) {
    // It was asked for a moment ago.
    let info = consumer.cached_info();
    gauge!("livelabel_cluster_waiting", "kind" => kind).set(info.num_pending as f64);
    gauge!("livelabel_cluster_claimed", "kind" => kind).set(info.num_ack_pending as f64);
    gauge!("livelabel_cluster_redelivered", "kind" => kind).set(info.num_redelivered as f64);
}
