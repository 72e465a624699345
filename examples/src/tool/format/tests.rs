//! Formats that are read, and a message that is written with each of them.

use mqtt_std::testkit::{Broker, BrokerOptions};
use mqtt_std::{Client, QoS};

use super::parse::FormatError;
use super::*;

#[test]
fn what_is_read_is_what_was_said() {
    let parameter = |letter, field| Piece::Parameter { letter, field };
    let text = |text: &str| Piece::Bytes(text.into());
    let field = Field::default();
    for (format, pieces) in [
        ("", vec![]),
        ("a\\tb%%@@\\0\\\\", vec![text("a\tb"), parameter(b'%', field), text("@\0\\")]),
        ("%t %p", vec![parameter(b't', field), text(" "), parameter(b'p', field)]),
        ("@Y@@@-", vec![Piece::Time(b'Y'), text("@"), Piece::Time(b'-')]),
        ("%-010.5C", vec![parameter(b'C', Field { left: true, zeros: true, width: 10, precision: Some(5), ..field })]),
        ("%.2:x", vec![parameter(b'x', Field { precision: Some(2), separator: Some(b':'), ..field })]),
        ("%.x", vec![parameter(b'x', field)]),
        ("%99999999999999999999l", vec![parameter(b'l', Field { width: 1 << 20, ..field })]),
    ] {
        assert_eq!(Format::parse(format.as_bytes()), Ok(Format(pieces)), "{format}");
    }
}

#[test]
fn what_cannot_be_read_is_told() {
    for (format, error) in [
        ("%", FormatError::Incomplete),
        ("%5", FormatError::Incomplete),
        ("%.2", FormatError::Incomplete),
        ("%.2:", FormatError::Incomplete),
        ("a@", FormatError::Incomplete),
        ("%z", FormatError::Parameter(b'z')),
        ("%.2ax", FormatError::Parameter(b'a')),
        ("a\\", FormatError::IncompleteEscape),
        ("\\x", FormatError::Escape(b'x')),
    ] {
        assert_eq!(Format::parse(format.as_bytes()), Err(error), "{format}");
    }
    assert_eq!(FormatError::Parameter(b'\n').to_string(), "Invalid format specifier '\\n'.");
}

#[tokio::test]
async fn a_message_is_written_as_the_format_says() {
    let broker = Broker::start(BrokerOptions::new()).await.unwrap();
    let client = Client::connect(broker.url().as_str()).await.unwrap();
    let mut stream = client.subscribe("cellar/+", QoS::AtLeastOnce).await.unwrap();
    let publish = client.publish("cellar/pump", "hi").qos(QoS::AtLeastOnce).content_type("text/plain");
    publish.user_property("a", "1").user_property("b", "2").await.unwrap();
    let message = stream.next().await.unwrap();
    let time = "2026-02-05T03:04:09Z[UTC]".parse().unwrap();
    let printing = Printing { time: &time, pretty: false, identifiers: false, terminal: false };
    let written = |format: &str| {
        let mut out = Vec::new();
        let complaints = Format::parse(format.as_bytes()).unwrap().write(&message, &printing, &mut out);
        (String::from_utf8(out).unwrap(), complaints)
    };
    for (format, text) in [
        ("%t|%13t|%-13t|%.6t|%013t", "cellar/pump|  cellar/pump|cellar/pump  |cellar|  cellar/pump"),
        ("%p|%4p|%04p|%-4p|%1p", "hi|  hi|00hi|hi  |h"),
        ("%q %r %l %03l %-3l|", "1 0 2 002 2  |"),
        ("%x %X %.1-x %6x %-6x|%06.2:x", "6869 6869 6-8-6-9   6869 6869  |00:68:69"),
        ("%C %.4C|%R|%D|%A%E%F%S|%03E|%3E|", "text/plain text||||000|   |"),
        ("%P", "a:1 b:2"),
        ("%I %U @F", "2026-02-05T03:04:09+0000 1770260649.000000000 2026-02-05"),
    ] {
        assert_eq!(written(format), (text.to_owned(), vec![]), "{format}");
    }
    let mid = message_identifier(&message);
    let json = format!(
        "{{\"tst\":\"2026-02-05T03:04:09.000000+0000\",\"topic\":\"cellar/pump\",\"qos\":1,\"retain\":false,\"payloadlen\":2,\
         \"mid\":{mid},\"properties\":{{\"content-type\":\"text/plain\",\"user-properties\":[{{\"a\":\"1\"}},{{\"b\":\"2\"}}]}},\
         \"payload\":\"hi\"}}"
    );
    assert_eq!(written("%j"), (json, vec![]));
    assert_eq!(written("<%J>"), ("<>".to_owned(), vec![Complaint::Json]));
    assert_eq!(written("<%f%d>"), ("<>".to_owned(), vec![Complaint::Float, Complaint::Double]));
}

#[tokio::test]
async fn a_terminal_obeys_the_format_and_not_the_message() {
    let broker = Broker::start(BrokerOptions::new()).await.unwrap();
    let client = Client::connect(broker.url().as_str()).await.unwrap();
    let mut stream = client.subscribe("a", QoS::AtLeastOnce).await.unwrap();
    client.publish("a", b"\x1b[2J\r\n\tcaf\xc3\xa9 \"\\\xff\xe2\x80\xae".as_slice()).await.unwrap();
    let message = stream.next().await.unwrap();
    let time = "2026-02-05T03:04:09Z[UTC]".parse().unwrap();
    for (terminal, text) in [
        (false, &b"\x1b[1m\x1b[2J\r\n\tcaf\xc3\xa9 \"\\\xff\xe2\x80\xae"[..]),
        (true, b"\x1b[1m\\u001b[2J\\u000d\n\tcaf\xc3\xa9 \"\\\\xff\\u202e"),
    ] {
        let printing = Printing { time: &time, pretty: false, identifiers: false, terminal };
        let mut out = Vec::new();
        Format::parse(b"\\e[1m%p").unwrap().write(&message, &printing, &mut out);
        assert_eq!(out, text, "{:?}", String::from_utf8_lossy(&out));
    }
    // Within JSON it is JSON.
    let printing = Printing { time: &time, pretty: false, identifiers: false, terminal: true };
    let shown = printing.shown("{\"a\":\"\u{9b}\u{202e}\u{e0001}\"}".into());
    let value: serde_json::Value = serde_json::from_slice(&shown).unwrap();
    assert!(shown.is_ascii() && value["a"] == "\u{9b}\u{202e}\u{e0001}", "{}", String::from_utf8_lossy(&shown));
}

#[test]
fn floats_are_written_as_printf_does() {
    for (format, number, text) in [
        ("%f", 1.5, "1.500000"),
        ("%.0f", 2.5, "2"),
        ("%9.2f", -1.005, "    -1.00"),
        ("%09.2f", -1.005, "-00001.00"),
        ("%-9.2f", 1.0, "1.00     "),
        ("%06f", f64::INFINITY, "   inf"),
        ("%f", f64::NEG_INFINITY, "-inf"),
        ("%5f", f64::NAN, "  nan"),
        ("%.1f", -0.0, "-0.0"),
    ] {
        let Ok(Format(pieces)) = Format::parse(format.as_bytes()) else { panic!("{format}") };
        let [Piece::Parameter { field, .. }] = pieces[..] else { panic!("{format}") };
        let mut out = Vec::new();
        field.float(number, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), text, "{format} of {number}");
    }
}
