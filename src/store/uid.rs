//! The UIDs that clients see differ from the stored ones: the garbage collector's graph is keyed by
//! UID alone, and one UID under two identities confuses it. The mapping is fixed for ever: changing
//! it would break every owner reference that exists.

/// Combined by exclusive or with the last 48 bits (the node part), so version and variant bits stay.
const MASK: &[u8; 6] = b"gitops";
/// Where the node part of a UUID's text begins.
const NODE: usize = 24;
/// Length of a UUID's text.
pub(super) const LENGTH: usize = 36;

/// Maps a stored UID to the served one and back again: applied twice it returns the text it began
/// with. Text that is not a UUID in lower case comes back unchanged.
#[must_use]
pub fn flip(uid: &str) -> String {
    let node = uid.get(NODE..).filter(|_| is_uuid(uid.as_bytes()));
    match node.map(|node| u64::from_str_radix(node, 16)) {
        Some(Ok(node)) => format!("{}{:012x}", &uid[..NODE], node ^ mask()),
        _ => uid.to_owned(),
    }
}

/// Says whether `text` is a UUID in lower case with its four dashes.
pub(super) fn is_uuid(text: &[u8]) -> bool {
    text.len() == LENGTH
        && text.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}

fn mask() -> u64 {
    MASK.iter().fold(0, |mask, byte| mask << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flipping_is_fixed_for_ever() {
        let check = |stored: &str, served: &str| {
            assert_eq!(flip(stored), served);
            assert_eq!(flip(served), stored);
        };
        check("9f0c2a44-51d3-4c5e-8b7a-000000000000", "9f0c2a44-51d3-4c5e-8b7a-6769746f7073");
        check("00000000-0000-4000-8000-ffffffffffff", "00000000-0000-4000-8000-98968b908f8c");
    }

    #[test]
    fn flipping_twice_returns_any_text() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u128;
        for _ in 0..2000 {
            state = state.wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645).wrapping_add(1);
            let uid = uuid::Uuid::from_u128(state ^ state >> 64).to_string();
            assert_ne!(flip(&uid), uid);
            assert_eq!(flip(&uid)[..NODE], uid[..NODE]);
            assert_eq!(flip(&flip(&uid)), uid);
        }
        for other in
            ["", "nonsense", "9F0C2A44-51D3-4C5E-8B7A-000000000000", "9f0c2a44-51d3-4c5e-8b7a_000000000000"]
        {
            assert_eq!(flip(other), other);
        }
    }
}
