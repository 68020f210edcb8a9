//! Times as people write them, like `1.2s`.

/// Milliseconds, seconds and minutes, in nanoseconds.
pub const SHORT: [(&str, f64); 3] = [("ms", 1e6), ("s", 1e9), ("m", 60e9)];
/// The same, and hours.
pub const LONG: [(&str, f64); 4] = [SHORT[0], SHORT[1], SHORT[2], ("h", 3600e9)];

/// Parses a decimal number without a sign, followed by one of `units`. Returns nanoseconds.
pub fn nanoseconds(text: &str, units: &[(&str, f64)]) -> Option<f64> {
    let (number, unit) = text.split_at(text.find(|c: char| c != '.' && !c.is_ascii_digit())?);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    Some(number.parse::<f64>().ok()? * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_number_and_a_unit() {
        assert_eq!(nanoseconds("1.2s", &SHORT), Some(1.2e9));
        assert_eq!(nanoseconds("800ms", &SHORT), Some(8e8));
        assert_eq!((nanoseconds("1h", &SHORT), nanoseconds("1h", &LONG)), (None, Some(3.6e12)));
        for wrong in ["", "s", "1", "1.2.3s", "-1s", "+1s", "1e3s", "nans", "1 s", "1d"] {
            assert_eq!(nanoseconds(wrong, &LONG), None, "{wrong}");
        }
    }
}
