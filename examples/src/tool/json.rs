//! JSON as `mosquitto_sub` writes it, to the byte: its texts are bytes that need not be UTF-8, its numbers are `double`s, and names may
//! come twice in an object.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// A value of JSON.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Number(f64),
    /// Up to its first zero byte.
    Text(Vec<u8>),
    List(Vec<Json>),
    Object(Vec<(Vec<u8>, Json)>),
}

impl Json {
    pub(crate) fn text(bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        Self::Text(bytes.split(|byte| *byte == 0).next().unwrap_or_default().to_vec())
    }

    /// Reads a payload.
    pub(crate) fn parse(payload: &[u8]) -> Option<Self> {
        serde_json::from_slice(payload.strip_prefix(b"\xef\xbb\xbf").unwrap_or(payload)).ok()
    }

    /// In one line.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::List(items) => separated(out, b"[]", b",", items, |out, item| item.write(out)),
            Self::Object(members) => separated(out, b"{}", b",", members, |out, (name, value)| {
                quote(name, out);
                out.push(b':');
                value.write(out);
            }),
            plain => plain.write_plain(out),
        }
    }

    /// With tabs, an object in several lines; `depth` is how many objects and lists it is in.
    pub(crate) fn write_pretty(&self, depth: usize, out: &mut Vec<u8>) {
        match self {
            Self::List(items) => separated(out, b"[]", b", ", items, |out, item| item.write_pretty(depth + 1, out)),
            Self::Object(members) => {
                out.extend(b"{\n");
                for (index, (name, value)) in members.iter().enumerate() {
                    out.extend(std::iter::repeat_n(b'\t', depth + 1));
                    quote(name, out);
                    out.extend(b":\t");
                    value.write_pretty(depth + 1, out);
                    out.extend(if index + 1 < members.len() { &b",\n"[..] } else { b"\n" });
                }
                out.extend(std::iter::repeat_n(b'\t', depth));
                out.push(b'}');
            }
            plain => plain.write_plain(out),
        }
    }

    fn write_plain(&self, out: &mut Vec<u8>) {
        match self {
            Self::Bool(true) => out.extend(b"true"),
            Self::Bool(false) => out.extend(b"false"),
            Self::Number(number) => out.extend(number_text(*number).bytes()),
            Self::Text(text) => quote(text, out),
            Self::Null | Self::List(_) | Self::Object(_) => out.extend(b"null"),
        }
    }
}

fn separated<T>(
    out: &mut Vec<u8>,
    around: &[u8; 2],
    between: &[u8],
    items: &[T],
    mut write: impl FnMut(&mut Vec<u8>, &T),
) {
    out.push(around[0]);
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.extend(between);
        }
        write(out, item);
    }
    out.push(around[1]);
}

fn quote(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for &byte in text {
        match byte {
            b'"' => out.extend(b"\\\""),
            b'\\' => out.extend(b"\\\\"),
            0x08 => out.extend(b"\\b"),
            0x0c => out.extend(b"\\f"),
            b'\n' => out.extend(b"\\n"),
            b'\r' => out.extend(b"\\r"),
            b'\t' => out.extend(b"\\t"),
            0..0x20 => out.extend(format!("\\u{byte:04x}").bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// A whole number that a C `int` holds as such; others with 15 digits, or 17 where those are another number.
fn number_text(number: f64) -> String {
    if !number.is_finite() {
        return "null".to_owned();
    }
    if number == f64::from(number as i32) {
        return (number as i32).to_string();
    }
    let short = general(number, 15);
    let again: f64 = short.parse().unwrap_or(f64::INFINITY);
    let same = (again - number).abs() <= again.abs().max(number.abs()) * f64::EPSILON;
    if same { short } else { general(number, 17) }
}

/// C's `%.{digits}g`.
fn general(number: f64, digits: usize) -> String {
    let scientific = format!("{number:.*e}", digits - 1);
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..digits as i32).contains(&exponent) {
        let decimals = (digits as i32 - 1 - exponent).max(0) as usize;
        return without_zeros(&format!("{number:.decimals$}")).to_owned();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", without_zeros(mantissa), exponent.abs())
}

fn without_zeros(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

/// Makes a [`Json`] of what it is told, in its order.
struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value as f64))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some((name, value)) = members.next_entry::<String, Json>()? {
            list.push((name.into_bytes(), value));
        }
        Ok(Json::Object(list))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again(text: &str) -> String {
        let mut out = Vec::new();
        Json::parse(text.as_bytes()).unwrap_or_else(|| panic!("{text}")).write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_written_as_mosquitto_sub_does() {
        for (read, written) in [
            ("0", "0"),
            ("-0.0", "0"),
            ("27.0", "27"),
            ("2.50", "2.5"),
            ("0.1", "0.1"),
            ("1e3", "1000"),
            ("123456.789e3", "123456789"),
            ("2147483648", "2147483648"),
            ("123456789012345678901", "1.2345678901234568e+20"),
            ("1e15", "1e+15"),
            ("1e21", "1e+21"),
            ("1e-7", "1e-07"),
            ("0.0001", "0.0001"),
            ("-1.5e300", "-1.5e+300"),
            ("3.141592653589793238", "3.1415926535897931"),
            ("5e-324", "4.94065645841247e-324"),
            ("1.7976931348623157e308", "1.79769313486232e+308"),
        ] {
            assert_eq!(again(read), written, "{read}");
        }
    }

    #[test]
    fn what_was_read_is_written_in_its_order() {
        let text = r#" { "b" : [1, 2.50 ,{"a":null}],"b":true, "" : "\u00e9\/\n\ud83d\ude00\u001f" } "#;
        assert_eq!(again(text), "{\"b\":[1,2.5,{\"a\":null}],\"b\":true,\"\":\"é/\\n😀\\u001f\"}");
        assert_eq!(again("\u{feff}[ ]"), "[]");
        assert_eq!(again(r#""a\u0000b""#), r#""a""#);
        for text in ["", "[1,]", "{} x", "+1", ".5", "nan", r#""\x""#, "é"] {
            assert_eq!(Json::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn bytes_stay_what_they_are() {
        let mut out = Vec::new();
        Json::text(b"\xff\"\\\x08\x0c\r\t\x7f\x01 \0gone").write(&mut out);
        assert_eq!(out, b"\"\xff\\\"\\\\\\b\\f\\r\\t\x7f\\u0001 \"");
    }

    #[test]
    fn pretty_is_with_tabs() {
        let mut out = Vec::new();
        Json::parse(br#"{"a":[1,{"c":[]}],"d":{}}"#).unwrap().write_pretty(0, &mut out);
        let lines = ["{", "\t\"a\":\t[1, {", "\t\t\t\"c\":\t[]", "\t\t}],", "\t\"d\":\t{", "\t}", "}"];
        assert_eq!(String::from_utf8(out).unwrap(), lines.join("\n"));
    }
}
