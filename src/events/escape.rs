//! Escapes names for MQTT topics and Home Assistant identifiers. Different names stay different.

/// Replaces every character that is not `kept`, and `mark` itself, by `mark` and its UTF-8 bytes in hexadecimal.
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

/// Escapes a name as one level of an MQTT topic: `front/door` becomes `front%2Fdoor`.
pub fn level(name: &str) -> String {
    // Brokers also refuse Unicode noncharacters.
    let noncharacter = |c: char| c as u32 & 0xFFFE == 0xFFFE || ('\u{FDD0}'..='\u{FDEF}').contains(&c);
    escape(name, '%', |c| !c.is_control() && !"+#/".contains(c) && !noncharacter(c))
}

/// Escapes a name as a Home Assistant identifier: `front door` becomes `front_20door`.
pub fn identifier(name: &str) -> String {
    escape(name, '_', |c| c.is_ascii_alphanumeric() || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_special_characters_are_escaped() {
        assert_eq!(level("front door"), "front door");
        assert_eq!(level("a/b+c#d%e\n\u{FFFF}"), "a%2Fb%2Bc%23d%25e%0A%EF%BF%BF");
        assert_eq!(level("☕ \"tea\""), "☕ \"tea\"");
        assert_eq!(identifier("front-door 2_b"), "front-door_202_5Fb");
        assert_eq!(identifier("é"), "_C3_A9");
    }

    #[test]
    fn different_names_have_different_escapes() {
        for (one, other) in [("a/b", "a%2Fb"), ("a b", "a_20b"), ("a+b", "a/b")] {
            assert!(level(one) != level(other) && identifier(one) != identifier(other));
        }
    }
}
