//! Times as Go's decoder reads them, with its messages.

use jiff::Timestamp;

const SECONDS: &str = "2006-01-02T15:04:05Z07:00";
const MICROSECONDS: &str = "2006-01-02T15:04:05.000000Z07:00";

/// Parts of the layout: what Go calls them, how many digits they have (none: they are as they are), the range of
/// their values and their name.
const PARTS: [(&str, usize, std::ops::RangeInclusive<u32>, &str); 11] = [
    ("2006", 4, 0..=9999, "year"),
    ("-", 0, 0..=0, ""),
    ("01", 2, 1..=12, "month"),
    ("-", 0, 0..=0, ""),
    ("02", 2, 1..=31, "day"),
    ("T", 0, 0..=0, ""),
    ("15", 2, 0..=23, "hour"),
    (":", 0, 0..=0, ""),
    ("04", 2, 0..=59, "minute"),
    (":", 0, 0..=0, ""),
    ("05", 2, 0..=59, "second"),
];

/// Reads a time and writes it as Kubernetes does: in UTC, with microseconds if it is to have them.
pub(super) fn canonical(text: &str, micro: bool) -> Result<String, String> {
    let layout = if micro { MICROSECONDS } else { SECONDS };
    let cannot = |rest: &str, part: &str| {
        Err(format!("parsing time {text:?} as {layout:?}: cannot parse {rest:?} as {part:?}"))
    };
    let mut rest = text;
    for (part, digits, range, name) in PARTS {
        let length = if digits == 0 { part.len() } else { digits };
        let Some((given, after)) = rest.split_at_checked(length) else { return cannot(rest, part) };
        if digits == 0 {
            if given != part {
                return cannot(rest, part);
            }
        } else {
            if !given.bytes().all(|byte| byte.is_ascii_digit()) {
                return cannot(rest, part);
            }
            if !given.parse().is_ok_and(|value| range.contains(&value)) {
                return Err(format!("parsing time {text:?}: {name} out of range"));
            }
        }
        rest = after;
    }
    let fraction =
        rest.strip_prefix('.').map_or(0, |rest| rest.bytes().take_while(u8::is_ascii_digit).count());
    if micro && fraction < 6 {
        return cannot(rest, ".000000");
    }
    let taken = match fraction {
        0 => 0,
        _ if micro => 7,
        fraction => fraction + 1,
    };
    rest = &rest[taken..];
    let zone = rest == "Z" || (rest.len() == 6 && rest.starts_with(['+', '-']) && rest.as_bytes()[3] == b':');
    if !zone {
        return cannot(rest, "Z07:00");
    }
    let Ok(time) = text.parse::<Timestamp>() else {
        return Err(format!("parsing time {text:?}: day out of range"));
    };
    let format = if micro { "%Y-%m-%dT%H:%M:%S.%6fZ" } else { "%Y-%m-%dT%H:%M:%SZ" };
    Ok(time.strftime(format).to_string())
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn times_are_read_as_by_go() {
        let check = |text: &str, micro: bool, expected: &str| {
            let got = canonical(text, micro).unwrap_or_else(|error| error);
            let told = got.rsplit_once("Z07:00\": ").map_or(got.as_str(), |(_, told)| told);
            assert_eq!(told, expected);
        };
        check("2026-01-01T00:00:00.5Z", false, "2026-01-01T00:00:00Z");
        check("2026-01-01T00:00:00.000000+01:00", true, "2025-12-31T23:00:00.000000Z");
        check("2026-01-01T00:00:00.5Z", true, "cannot parse \".5Z\" as \".000000\"");
        check("2026-01-01T00:00:00.1234567Z", true, "cannot parse \"7Z\" as \"Z07:00\"");
        check("2026-01-01", false, "cannot parse \"\" as \"T\"");
        check("2026-01-01T00:00:00", false, "cannot parse \"\" as \"Z07:00\"");
        check("hi", false, "cannot parse \"hi\" as \"2006\"");
        check("2026-13-01T00:00:00Z", false, "parsing time \"2026-13-01T00:00:00Z\": month out of range");
    }
}
