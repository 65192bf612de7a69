//! YAML against what Kubernetes tools make of it. `tests/yaml/oracle.json` holds their answers:
//! `"ERR …"` or the JSON of the value under the key `t`.

use serde_json::{Value, json};

use super::{documents, read, text};

const ORACLE: &str = include_str!("../../../tests/yaml/oracle.json");

/// Cases whose recorded answer is about something other than YAML: the tool that recorded them
/// wanted the top level, or the value under `t`, to be an object.
const RECORDER_WANTED_AN_OBJECT: &[&str] = &[
    "multidoc",
    "indentless",
    "fold",
    "keep",
    "comment",
    "colonplain",
    "dash",
    "quotedmulti",
    "longkey",
    "unicode",
];

/// Compares numbers by their value as a double, because the recorder printed them as such.
fn as_doubles(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(items) => items.iter().map(as_doubles).collect(),
        Value::Object(entries) => {
            entries.iter().map(|(key, value)| (key.clone(), as_doubles(value))).collect()
        }
        other => other.clone(),
    }
}

fn agrees(source: &str, expected: &str) -> Result<(), String> {
    let read = documents(source.as_bytes());
    match (&read, expected.starts_with("ERR")) {
        (Err(_), true) => Ok(()),
        (Ok(values), false) => {
            let expected: Value = serde_json::from_str(expected).unwrap();
            let got = values.first().map(|value| as_doubles(&value["t"]));
            if got == Some(as_doubles(&expected)) { Ok(()) } else { Err(format!("{source:?}: {got:?}")) }
        }
        _ => Err(format!("{source:?}: {read:?}, expected {expected}")),
    }
}

#[test]
fn reads_what_kubernetes_tools_read() {
    let oracle: Value = serde_json::from_str(ORACLE).unwrap();
    let section = |name: &str| oracle[name].as_object().unwrap().iter();
    let mut cases: Vec<(String, &str)> = Vec::new();
    cases.extend(section("scalars").map(|(k, v)| (format!("t:\n  k: {k}\n"), v.as_str().unwrap())));
    cases.extend(section("keys").map(|(k, v)| (format!("t:\n  {k}: v\n"), v.as_str().unwrap())));
    cases.extend(
        section("extra")
            .filter(|(name, _)| !RECORDER_WANTED_AN_OBJECT.contains(&name.as_str()))
            .map(|(name, v)| (oracle["extra_src"][name].as_str().unwrap().to_owned(), v.as_str().unwrap())),
    );
    assert_eq!(cases.len(), 142);
    let wrong: Vec<_> =
        cases.iter().filter_map(|(source, expected)| agrees(source, expected).err()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// `expected` is what `sigs.k8s.io/yaml` 1.6.0 answers, asked by hand.
#[test]
fn reads_corners_that_the_table_lacks() {
    let check = |source: &str, expected: Value| {
        assert_eq!(
            documents(source.as_bytes()).unwrap_or_else(|e| panic!("{source}: {e}")),
            [expected],
            "{source}"
        );
    };
    check("a: &a {x: 1}\nb: {x: 2, <<: *a}\n", json!({"a": {"x": 1}, "b": {"x": 1}}));
    check("t: {\"<<\": {a: 1}}\n", json!({"t": {"<<": {"a": 1}}}));
    check("t: {!!merge <<: {a: 1}}\n", json!({"t": {"a": 1}}));
    check(
        "{1e6: a, 1e-5: b, 0.0001: c, 1e300: d, 123456789.5: e}",
        json!({"1e+06": "a", "1e-05": "b",
        "0.0001": "c", ".inf": "d", "1.2345679e+08": "e"}),
    );
    check("{a: &a 1, *a : 2}\n", json!({"a": 1, "1": 2}));
    check("!!binary aGk=: x\n", json!({"hi": "x"}));
    check("t: !!binary \"aG\\nk=\"\n", json!({"t": "hi"}));
    check("t: !!binary \"/w==\"\n", json!({"t": "\u{fffd}"}));
    check(
        "[.5_0, ._5, 0b-1, -0b11, 0_1, 0x_, +, 00.5, 0x1p-2, -0.0]",
        json!([0.5, "._5", -1, -3, 1, "0x_", "+", 0.5, "0x1p-2", 0]),
    );
    check(
        "[18446744073709551615, 9007199254740993, 1e20]",
        json!([18_446_744_073_709_551_615_u64, 9_007_199_254_740_993_i64, 1e20]),
    );
    check(
        "[!!float 010, !!str 1, !!str , !<tag:yaml.org,2002:int> \"7\", !!unknown 5]",
        json!([8, "1", "", 7, "5"]),
    );
    check("t: !!set {a, b}\n", json!({"t": {"a": null, "b": null}}));
    check("? |\n  x\n: 1\n", json!({"x\n": 1}));
    check("t: a\u{85}b: c\n", json!({"t": "a", "b": "c"}));
    check("a: &x\nb: *x\n", json!({"a": null, "b": null}));
}

#[test]
fn reads_block_scalars_at_the_end_of_an_unfinished_line() {
    let check = |source: &str, expected: &str| {
        assert_eq!(documents(source.as_bytes()).unwrap(), [json!({"a": expected})], "{source:?}");
    };
    check("a: |", "");
    check("a: |\n  x", "x");
    check("a: |-\n  x", "x");
    check("a: |+\n  x", "x");
    check("a: |+\n  x\n\n", "x\n\n");
    check("a: |+\n  x\n  ", "x\n");
    check("a: |+\n  ", "");
    check("a: |\n  x\n  ", "x\n");
    check("a: >\n  x\n  y", "x y");
    check("a: |\n x\n #", "x\n#");
    check("a: |\n  x\n# c", "x\n");
    check("a: |\n  é", "é");
}

#[test]
fn says_where_and_what_is_wrong() {
    let check = |source: &str, expected: &str| {
        assert_eq!(documents(source.as_bytes()).unwrap_err().to_string(), expected, "{source:?}");
    };
    check("a: 1\nb: {c: .inf}\n", "line 2, column 8: infinity and not-a-number have no place in a manifest");
    check("a: b: c\n", "line 1, column 5: mapping values are not allowed in this context");
    check(
        "a:\n  - b\n c: 1\n",
        "line 3, column 2: did not find expected key while parsing a block mapping that begins in line 1",
    );
    check(
        "x:\n\ty: 1\n",
        "line 2, column 1: found character that cannot start any token while scanning for the next token that begins in line 2",
    );
    check("a: 1\n{b}: 2\n", "line 2, column 3: a key is a list or an object");
    check("a: *x\n", "line 1, column 4: the anchor `x` is not known");
    check("a: &x [*x]\n", "line 1, column 8: the value of the anchor `x` contains itself");
    check("a: 1\n~: 2\n", "line 2, column 1: a key is null");
    check("a: {<<: 1}\n", "line 1, column 9: a merge (<<) needs an object or a list of objects");
    check("a: é\u{7}\n", "line 1, column 5: control characters are not allowed");
    check("a: !!int 1.5\n", "line 1, column 4: `1.5` is not a !!int");
    check("a: !!binary '%'\n", "line 1, column 4: the value of !!binary is not base64");
    check(
        "- a\nb: [!x, c]\n",
        "line 2, column 1: did not find expected '-' indicator while parsing a block collection that begins in line 1",
    );
    check("b: [!x, c]\n", "line 1, column 4: the text after this place is beyond the YAML parser");
    check("a: !!timestamp x\n", "line 1, column 4: `x` is not a !!timestamp");
}

#[test]
fn skips_empty_documents_and_tells_lines() {
    let source = "# nothing\n---\n---\na: 1\n---\nnull\n...\n---\n\n# b\n- b\n";
    let found: Vec<_> = read(source).map(|document| document.unwrap()).map(|d| (d.line, d.value)).collect();
    assert_eq!(found, [(4, json!({"a": 1})), (11, json!(["b"]))]);
}

#[test]
fn anchors_end_with_their_document() {
    let mut stream = read("a: &x 1\n---\nb: *x\n");
    assert_eq!(stream.next().unwrap().unwrap().value, json!({"a": 1}));
    assert!(stream.next().unwrap().is_err());
    assert!(stream.next().is_none());
}

#[test]
fn decodes_what_editors_write() {
    let wide: Vec<u16> = "a: é\n".encode_utf16().collect();
    let little: Vec<u8> =
        [0xff, 0xfe].into_iter().chain(wide.iter().flat_map(|unit| unit.to_le_bytes())).collect();
    let big: Vec<u8> =
        [0xfe, 0xff].into_iter().chain(wide.iter().flat_map(|unit| unit.to_be_bytes())).collect();
    for bytes in [&little[..], &big, "\u{feff}a: é\r\n".as_bytes(), br#"{"a": "\u00e9"}"#] {
        assert_eq!(documents(bytes).unwrap(), [json!({"a": "é"})]);
    }
    let broken = [b"a: 1\nb: ".as_slice(), &[0xc3, 0x28]].concat();
    assert_eq!(text(&broken).unwrap_err().to_string(), "line 2, column 4: the text is not valid UTF-8");
    assert!(text(&[0xff, 0xfe, 0x61]).is_err());
    assert!(text(&[0xff, 0xfe, 0x00, 0xd8]).is_err());
}

#[test]
fn refuses_to_explode() {
    let check = |source: String, expected: &str| {
        let message = documents(source.as_bytes()).unwrap_err().message;
        assert!(message.contains(expected), "{message}");
    };
    check("[".repeat(200_000), "nested more than 100 levels");
    check("- ".repeat(200_000), "nested more than 100 levels");
    check("{a: ".repeat(200_000), "nested more than 100 levels");
    check((0..2_000).map(|n| format!("%TAG !t{n}! x\n")).collect(), "%TAG");
    let big = "x".repeat(1 << 20);
    check(format!("a: &a {big}\nb: [{}]\n", vec!["*a"; 99].join(", ")), "aliases");
    let document = format!("---\na: &a {big}\nb: [{}]\n", ["*a"; 10].join(", "));
    check(document.repeat(9), "aliases");
    let nested: String = (0..60).map(|level| format!("&n{level} [")).collect();
    check(format!("{nested}{big}, {big}{}", "]".repeat(60)), "aliases");
    let deep = format!("a: &a {}1{}\n", "[".repeat(60), "]".repeat(60));
    check(format!("{deep}b: {}*a{}\n", "[".repeat(60), "]".repeat(60)), "nested more than 100 levels");
}

#[test]
fn allows_aliases_in_reason() {
    let items: Vec<String> = (0..400).map(|n| format!("{{name: n{n}, <<: *base}}")).collect();
    let source = format!("base: &base {{a: 1, b: 2}}\nitems: [{}]\n", items.join(", "));
    let value = documents(source.as_bytes()).unwrap().remove(0);
    assert_eq!(value["items"][399], json!({"name": "n399", "a": 1, "b": 2}));
}
