//! Names in places that do not take every character: changed so that two different names stay different.

/// `name` with every character that is not `kept`, and `mark` itself, as `mark` and the hexadecimal of its bytes.
fn escape(name: &str, mark: char, kept: impl Fn(char) -> bool) -> String {
    let mut escaped = String::new();
    for c in name.chars() {
        if c != mark && kept(c) {
            escaped.push(c);
        } else {
            c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| escaped.push_str(&format!("{mark}{byte:02X}")));
        }
    }
    escaped
}

/// One level of an MQTT topic: `front/door` becomes `front%2Fdoor`.
pub fn level(name: &str) -> String {
    // Brokers refuse Unicode's noncharacters too.
    let nothing = |c: char| c as u32 & 0xFFFE == 0xFFFE || ('\u{FDD0}'..='\u{FDEF}').contains(&c);
    escape(name, '%', |c| !c.is_control() && !"+#/".contains(c) && !nothing(c))
}

/// What Home Assistant takes as an identifier: `front door` becomes `front_20door`.
pub fn identifier(name: &str) -> String {
    escape(name, '_', |c| c.is_ascii_alphanumeric() || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_readable_where_they_can() {
        assert_eq!(level("front door"), "front door");
        assert_eq!(level("a/b+c#d%e\n\u{FFFF}"), "a%2Fb%2Bc%23d%25e%0A%EF%BF%BF");
        assert_eq!(level("☕ \"tea\""), "☕ \"tea\"");
        assert_eq!(identifier("front-door 2_b"), "front-door_202_5Fb");
        assert_eq!(identifier("é"), "_C3_A9");
    }

    #[test]
    fn different_names_stay_different() {
        for (one, other) in [("a/b", "a%2Fb"), ("a b", "a_20b"), ("a+b", "a/b")] {
            assert!(level(one) != level(other) && identifier(one) != identifier(other));
        }
    }
}
