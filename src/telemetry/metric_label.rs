//! Values of the metrics' labels.

/// Escapes the value of a metric's label: the exporter turns a pair of backslashes into one.
pub fn label_value(text: &str) -> String {
    text.replace('\\', "\\\\")
}
