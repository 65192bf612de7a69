//! Kubernetes quantities, as far as telling whether two of them are the same amount
//! (k8s.io/apimachinery/pkg/api/resource).

use serde_json::Value;

/// Says whether both values are quantities of the same amount, however they are written.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    match (parse(a), parse(b)) {
        (Some(a), Some(b)) => a == b,
        _ => false,
    }
}

/// An amount as `digits × 10^exponent` in the one form where `digits` has no trailing zero.
#[derive(Debug, PartialEq)]
struct Amount {
    digits: i128,
    exponent: i32,
}

fn parse(value: &Value) -> Option<Amount> {
    match value {
        Value::String(text) => parse_text(text),
        Value::Number(number) => parse_text(&number.to_string()),
        _ => None,
    }
}

fn parse_text(text: &str) -> Option<Amount> {
    let split = text.find(|c: char| !matches!(c, '0'..='9' | '.' | '+' | '-')).unwrap_or(text.len());
    let (number, suffix) = text.split_at(split);
    let (binary, exponent) = scale(suffix)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let exponent = exponent.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    normal(digits, binary, exponent)
}

/// Returns the powers of two and of ten that a suffix stands for.
fn scale(suffix: &str) -> Option<(u32, i32)> {
    Some(match suffix {
        "n" => (0, -9),
        "u" => (0, -6),
        "m" => (0, -3),
        "" => (0, 0),
        "k" => (0, 3),
        "M" => (0, 6),
        "G" => (0, 9),
        "T" => (0, 12),
        "P" => (0, 15),
        "E" => (0, 18),
        "Ki" => (10, 0),
        "Mi" => (20, 0),
        "Gi" => (30, 0),
        "Ti" => (40, 0),
        "Pi" => (50, 0),
        "Ei" => (60, 0),
        _ => (
            0,
            suffix.strip_prefix(['e', 'E'])?.parse().ok().filter(|exponent| (-99..=99).contains(exponent))?,
        ),
    })
}

/// Multiplies the power of two out, so that `1Gi` and `1024Mi` come to the same form.
fn normal(digits: i128, binary: u32, mut exponent: i32) -> Option<Amount> {
    let mut digits = digits.checked_mul(1_i128.checked_shl(binary)?)?;
    if digits == 0 {
        return Some(Amount { digits: 0, exponent: 0 });
    }
    while digits % 10 == 0 {
        digits /= 10;
        exponent += 1;
    }
    Some(Amount { digits, exponent })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn amounts_are_equal_however_they_are_written() {
        let check = |a: Value, b: Value, expected| assert_eq!(same(&a, &b), expected, "{a} {b}");
        check(json!("1000m"), json!("1"), true);
        check(json!(0.5), json!("500m"), true);
        check(json!(2), json!("2"), true);
        check(json!("1Gi"), json!("1024Mi"), true);
        check(json!("1.5Gi"), json!("1536Mi"), true);
        check(json!("1e3"), json!("1k"), true);
        check(json!("0"), json!("0Mi"), true);
        check(json!("+1"), json!("1"), true);
        check(json!("1G"), json!("1Gi"), false);
        check(json!("100m"), json!("1"), false);
        check(json!("x"), json!("x"), false);
        check(json!("1-2"), json!("1-2"), false);
        check(json!("99999999999999999999999Ei"), json!("1"), false);
    }
}
