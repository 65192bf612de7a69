//! Quantities such as `100m`, `1Gi` or `2e3`: read, written in their canonical form, compared.
//! <https://github.com/kubernetes/apimachinery/blob/master/pkg/api/resource/quantity.go>

/// A quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quantity {
    /// In thousand millionths.
    nanos: i128,
    notation: Notation,
}

/// How a quantity is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Notation {
    /// `1Gi`
    Binary,
    /// `1G`
    Decimal,
    /// `1e9`
    Exponent,
}

const MALFORMED: &str =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const DECIMAL: [(&str, i32); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];

impl Quantity {
    /// Reads a quantity.
    pub(super) fn read(text: &str) -> Result<Self, &'static str> {
        let split = text.find(|c: char| !(c.is_ascii_digit() || "+-.".contains(c))).unwrap_or(text.len());
        let (number, suffix) = text.split_at(split);
        let unsigned = number.strip_prefix(['+', '-']).unwrap_or(number);
        if unsigned.is_empty() || unsigned.contains(['+', '-']) {
            return Err(MALFORMED);
        }
        if !suffix.chars().all(|c| c.is_ascii_digit() || "eEinumkKMGTP+-".contains(c)) {
            return Err(MALFORMED);
        }
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
            return Err("unable to parse numeric part of quantity");
        }
        let (notation, factor, exponent) = scale(suffix).ok_or("unable to parse quantity's suffix")?;
        let nanos = nanos(whole, fraction, factor, exponent);
        Ok(Self { nanos: if number.starts_with('-') { -nanos } else { nanos }, notation })
    }

    /// Writes it in its canonical form: no precision is lost, no fraction is shown, the exponent is as large as
    /// possible.
    pub(super) fn canonical(self) -> String {
        let small = self.nanos.abs() < 1024 * 1_000_000_000;
        match self.notation {
            Notation::Binary if !small => self.binary(),
            Notation::Binary | Notation::Decimal => self.decimal(|exponent| {
                let known = DECIMAL.iter().find(|(_, of)| *of == exponent);
                known.map_or_else(|| format!("e{exponent}"), |(suffix, _)| (*suffix).to_owned())
            }),
            Notation::Exponent => self.decimal(|exponent| match exponent {
                0 => String::new(),
                exponent => format!("e{exponent}"),
            }),
        }
    }

    fn binary(self) -> String {
        let mut value = (self.nanos.abs() + 999_999_999) / 1_000_000_000 * self.nanos.signum();
        let mut suffix = "";
        for next in BINARY {
            if value % 1024 != 0 {
                break;
            }
            (value, suffix) = (value / 1024, next);
        }
        format!("{value}{suffix}")
    }

    fn decimal(self, suffix: impl Fn(i32) -> String) -> String {
        let (mut value, mut exponent) = (self.nanos, -9);
        if value == 0 {
            return "0".to_owned();
        }
        while value % 10 == 0 {
            (value, exponent) = (value / 10, exponent + 1);
        }
        while exponent % 3 != 0 {
            (value, exponent) = (value * 10, exponent - 1);
        }
        format!("{value}{}", suffix(exponent.min(18)))
    }

    /// Says whether it is below zero.
    pub(super) fn is_negative(self) -> bool {
        self.nanos < 0
    }

    /// Says whether it is zero.
    pub(super) fn is_zero(self) -> bool {
        self.nanos == 0
    }

    /// Says whether it is more than another.
    pub(super) fn exceeds(self, other: Self) -> bool {
        self.nanos > other.nanos
    }

    /// Says whether it has no fraction.
    pub(super) fn is_whole(self) -> bool {
        self.nanos % 1_000_000_000 == 0
    }
}

/// Notation, factor and power of ten of a suffix.
fn scale(suffix: &str) -> Option<(Notation, i128, i32)> {
    if let Some((_, exponent)) = DECIMAL.iter().find(|(known, _)| *known == suffix) {
        return Some((Notation::Decimal, 1, *exponent));
    }
    if let Some(power) = BINARY.iter().position(|known| *known == suffix) {
        return Some((Notation::Binary, 1 << (10 * (power + 1)), 0));
    }
    let exponent = suffix.strip_prefix(['e', 'E'])?;
    Some((Notation::Exponent, 1, exponent.parse().ok()?))
}

/// The value in thousand millionths, rounded up, at most what 64 bits hold.
fn nanos(whole: &str, fraction: &str, factor: i128, exponent: i32) -> i128 {
    const MOST: i128 = (i64::MAX as i128) * 1_000_000_000;
    // 36 digits: with a factor of 2^60 the product would not fit. Whole numbers beyond the most are cut anyway.
    let whole = whole.trim_start_matches('0');
    let digits: String = whole.chars().chain(fraction.chars()).take(whole.len() + 9).collect();
    let dropped = fraction.chars().skip(9).any(|digit| digit != '0');
    let places = i32::try_from(fraction.len().min(9)).unwrap_or(9);
    let Ok(mut value) = (if digits.is_empty() { Ok(0) } else { digits.parse::<i128>() }) else { return MOST };
    let Some(scaled) = value.checked_mul(factor) else { return MOST };
    value = scaled;
    let mut shift = exponent.clamp(-60, 60) + 9 - places;
    let mut inexact = dropped;
    while shift > 0 && value <= MOST {
        (value, shift) = (value * 10, shift - 1);
    }
    while shift < 0 {
        inexact |= value % 10 != 0;
        (value, shift) = (value / 10, shift + 1);
    }
    (value + i128::from(inexact)).min(MOST)
}

#[cfg(test)]
mod tests {
    use super::Quantity;

    #[test]
    fn quantities_are_written_canonically() {
        let check = |text: &str, expected: &str| {
            let got = Quantity::read(text).map(Quantity::canonical);
            assert_eq!(got.as_deref().unwrap_or_else(|error| error), expected, "{text}");
        };
        check("0.5", "500m");
        check("1024Mi", "1Gi");
        check("1.5Gi", "1536Mi");
        check("1000m", "1");
        check("100000", "100k");
        check("1e3", "1e3");
        check("12e4", "120e3");
        check("512", "512");
        check("1000Ki", "1000Ki");
        check("0.1Ki", "102400m");
        check("-2Gi", "-2Gi");
        check("0", "0");
        check("0Gi", "0");
        check("1.0000000001", "1000000001n");
        check("abc", super::MALFORMED);
        check("", super::MALFORMED);
        check("1Q", super::MALFORMED);
        check("1Km", "unable to parse quantity's suffix");
    }
}
