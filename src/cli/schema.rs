//! `livelabel config schema`: the JSON Schema of a pipeline file, made from the options themselves.

use schemars::schema_for;
use serde_json::Value;

use crate::config::options::{RunOptions, StreamOptions};

/// Returns the JSON Schema of a pipeline file.
pub fn schema() -> Value {
    let mut schema = schema_for!(RunOptions).to_value();
    let streams = schema_for!(StreamOptions).to_value();
    for part in ["properties", "$defs"] {
        let Some(own) = streams[part].as_object() else { continue };
        if schema[part].is_null() {
            schema[part] = Value::Object(serde_json::Map::new());
        }
        if let Some(all) = schema[part].as_object_mut() {
            all.extend(own.iter().map(|(key, value)| (key.clone(), value.clone())));
        }
    }
    schema["title"] = "A pipeline file of livelabel".into();
    schema["description"] =
        "Options of a run. Flags override them; a [[stream]] overrides the options above it.".into();
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_has_every_key() {
        let schema = schema();
        for key in StreamOptions::KEYS.iter().chain(RunOptions::KEYS) {
            assert!(schema["properties"][key]["description"].is_string(), "{key} {:#}", schema["properties"][key]);
        }
        assert_eq!(schema["additionalProperties"], false);
        assert!(schema["$defs"]["StreamOptions"]["properties"]["window"].is_object(), "{schema:#}");
    }
}
