//! Home Assistant discovery: retained messages that make each camera a device with its label, confidence and
//! connectivity.

use serde_json::{Value, json};

use crate::events::escape::identifier;
use crate::events::mqtt::topics::{OFFLINE, ONLINE, Topics};

/// Home Assistant's default discovery prefix.
const PREFIX: &str = "homeassistant";

/// Returns the topics and payloads of a camera's discovery messages.
pub fn messages(topics: &Topics, stream: &str) -> Vec<(String, Vec<u8>)> {
    let device = format!("livelabel_{}__{}", identifier(&topics.prefix), identifier(stream));
    let both = json!([{"topic": topics.status()}, {"topic": topics.availability(stream)}]);
    let label = json!({
        "name": "Label",
        "icon": "mdi:eye",
        "state_topic": topics.state(stream),
        // Without a label it renders `None`, which Home Assistant shows as unknown.
        "value_template": "{{ value_json.label }}",
        "json_attributes_topic": topics.state(stream),
        "availability": both,
        "availability_mode": "all",
    });
    let confidence = json!({
        "name": "Confidence",
        "icon": "mdi:percent",
        "state_topic": topics.state(stream),
        "value_template": "{{ (100 * value_json.confidence) | round(1) }}",
        "unit_of_measurement": "%",
        "state_class": "measurement",
        "availability": both,
        "availability_mode": "all",
    });
    let camera = json!({
        "name": "Camera",
        "device_class": "connectivity",
        "entity_category": "diagnostic",
        "state_topic": topics.availability(stream),
        "payload_on": ONLINE,
        "payload_off": OFFLINE,
        "availability_topic": topics.status(),
    });
    [("sensor", "label", label), ("sensor", "confidence", confidence), ("binary_sensor", "camera", camera)]
        .map(|(kind, what, config)| message(&device, stream, kind, what, config))
        .into()
}

fn message(device: &str, stream: &str, kind: &str, what: &str, mut config: Value) -> (String, Vec<u8>) {
    config["unique_id"] = json!(format!("{device}_{what}"));
    config["device"] = json!({
        "identifiers": [device],
        "name": stream,
        "manufacturer": "livelabel",
        "model": "camera",
        "sw_version": env!("CARGO_PKG_VERSION"),
    });
    config["origin"] = json!({"name": "livelabel", "sw_version": env!("CARGO_PKG_VERSION")});
    (format!("{PREFIX}/{kind}/{device}/{what}/config"), config.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_ids_are_valid_and_stable() {
        let topics = Topics::new("home/livelabel".into());
        for (topic, config) in messages(&topics, "front/door ☕") {
            let parts: Vec<&str> = topic.split('/').collect();
            assert!(parts.len() == 5 && parts[0] == "homeassistant" && parts[4] == "config", "{topic}");
            assert!(parts[2].chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-'), "{topic}");
            let config: Value = serde_json::from_slice(&config).unwrap();
            assert_eq!(config["unique_id"], format!("{}_{}", parts[2], parts[3]));
            assert_eq!(config["device"]["name"], "front/door ☕");
        }
    }
}
