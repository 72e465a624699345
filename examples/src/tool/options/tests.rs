//! Command lines, good and bad.

use std::path::PathBuf;
use std::time::Duration;

use mqtt_std::{ProtocolVersion, QoS, RetainHandling};

use super::*;

fn words(line: &str) -> Vec<Vec<u8>> {
    line.split_ascii_whitespace().map(|word| word.as_bytes().to_vec()).collect()
}

fn read(tool: Tool, line: &str) -> Result<Settings, Stop> {
    Settings::read(tool, &[], &words(line))
}

#[test]
fn options_say_what_is_done() {
    type Check = fn(&Settings) -> bool;
    for (line, holds) in [
        ("-t a -m b", (|s| s.topics == ["a"] && s.input == Some(Input::Message(b"b".into()))) as Check),
        ("-t a -t b -n", |s| s.topics == ["b"] && s.input == Some(Input::Message(Vec::new()))),
        ("-t a -f f", |s| s.input == Some(Input::File("f".into()))),
        ("-t a -l", |s| s.input == Some(Input::Lines)),
        ("-t a -s -q 2 -r", |s| s.input == Some(Input::Stdin) && s.qos == QoS::ExactlyOnce && s.retain),
        ("-t a -n", |s| s.version == ProtocolVersion::V3_1_1 && s.host == "localhost" && s.port.is_none()),
        ("-t a -n -h b -p 7", |s| s.host == "b" && s.port == Some(7)),
        ("-t a -n -V mqttv5", |s| s.version == ProtocolVersion::V5_0),
        ("-t a -n -V 31", |s| s.version == ProtocolVersion::V3_1),
        ("-t a -n -x 10", |s| s.session_expiry_interval == Some(10) && s.version == ProtocolVersion::V5_0),
        ("-t a -n -i b -x ∞", |s| s.session_expiry_interval == Some(u32::MAX)),
        ("-t a -n -x 10 -V 311", |s| s.version == ProtocolVersion::V3_1_1),
        ("-t a -n --repeat 3 --repeat-delay 0.5", |s| s.repeat == 3 && s.repeat_delay == Duration::from_millis(500)),
        ("-t a -n --will-topic w --will-qos 1 --will-retain", |s| s.will.qos == QoS::AtLeastOnce && s.will.retain),
        ("-t a -n --cafile c --cert d --key e --keyform pem", |s| s.tls.certificate == Some(PathBuf::from("d"))),
        ("-t a -n --tls-version tlsv1.3", |s| s.tls.version == Some(TlsOnly::V1_3)),
        ("-L mqtt://h/a/b -n", |s| s.host == "h" && s.port == Some(1883) && s.topics == ["a/b"]),
        ("-L wss://u:p@[::1]:7/a -n", |s| s.host == "::1" && s.port == Some(7) && s.websocket && s.tls.system_roots),
        ("-L mqtts://u@h/a -n", |s| {
            s.user_name.as_deref() == Some("u") && s.password.is_none() && s.port == Some(8883)
        }),
        ("-t a -n -D publish user-property b c", |s| {
            s.properties.publish.len() == 1 && s.version == ProtocolVersion::V5_0
        }),
        ("-t a -n -D DISCONNECT session-expiry-interval 7", |s| s.properties.session_expiry_interval_at_end == Some(7)),
        ("-t a -n -D CONNECT receive-maximum 7", |s| s.properties.connect == [ConnectProperty::ReceiveMaximum(7)]),
        ("-t a -n -D WILL will-delay-interval 7", |s| s.properties.will == [WillProperty::Delay(7)]),
    ] {
        let settings = read(Tool::Pub, line).unwrap_or_else(|stop| panic!("{line}: {stop:?}"));
        assert!(holds(&settings), "{line}: {settings:?}");
    }
    for (line, holds) in [
        (
            "-t a -t b -T c -U d",
            (|s| s.topics == ["a", "b"] && s.filter_out == ["c"] && s.unsubscribe == ["d"]) as Check,
        ),
        ("-L mqtt://h/a/# -t b", |s| s.topics == ["a/#", "b"]),
        ("-t a -C 3 -W 4 -E", |s| {
            s.count == Some(3) && s.timeout == Some(Duration::from_secs(4)) && s.exit_after_subscribing
        }),
        ("-t a -v", |s| s.style == Style::TopicAndPayload),
        ("-t a -F %t -v", |s| matches!(s.style, Style::Format(_))),
        ("-t a --json", |s| s.style == Style::Ndjson),
        ("-t a --retain-handling never", |s| s.retain_handling == RetainHandling::DoNotSend),
        ("-t a -D subscribe subscription-identifier 9", |s| s.properties.subscription_identifier == Some(9)),
        ("-t a --random-filter 12.5", |s| (s.random_filter - 12.5).abs() < 1e-9),
    ] {
        let settings = read(Tool::Sub, line).unwrap_or_else(|stop| panic!("{line}: {stop:?}"));
        assert!(holds(&settings), "{line}: {settings:?}");
    }
    let request = read(Tool::Rr, "-t a -e b -m c").unwrap();
    assert_eq!((request.response_topic.as_deref(), request.version), (Some("b"), ProtocolVersion::V5_0));
}

#[test]
fn what_is_wrong_is_told() {
    for (line, complaint) in [
        ("-t a", "Both topic and message"),
        ("-t a -m", "-m argument given but no message specified."),
        ("-t a -m b -n", "Only one type of message"),
        ("-t a/# -m b", "Invalid publish topic 'a/#'"),
        ("-t a -n -q 3", "Invalid QoS given: 3"),
        ("-t a -n -q one", "Invalid QoS given: one"),
        ("-t a -n -k 4", "between 5 and 65535"),
        ("-t a -n -p 65536", "Invalid port given: 65536"),
        ("-t a -n -c", "You must provide a client id if you are using the -c option."),
        ("-t a -n -x -1", "infinite session expiry"),
        ("-t a -n -P b", "a password alone needs MQTT 5"),
        ("-t a -n --will-retain", "no will topic"),
        ("-t a -n --cert b", "Both certfile and keyfile"),
        ("-t a -n --psk 0g --psk-identity b", "hexadecimal"),
        ("-t a -n -C 3", "Unknown option '-C'."),
        ("-t a -n -S", "Unknown option '-S'."),
        ("-t a -n -L mqtt://h", "topic missing"),
        ("-t a -n -L http://h/a", "Unsupported URL scheme."),
        ("-t a -n -L mqtt://h:0/a", "Invalid port given: 0"),
        ("-t a -n -D PUBLISH", "not enough arguments"),
        ("-t a -n -D PUBLISH user-property b", "not enough arguments"),
        ("-t a -n -D PUBLISH topic-alias 0", "out of range for property topic-alias"),
        ("-t a -n -D DISCONNECT reason-string b", "reason-string property not supported for DISCONNECT"),
        ("-t a -n -D CONNECT authentication-data b", "needs an authentication-method"),
        ("-t a -n --ciphers b", "--ciphers cannot be done here"),
        ("-t a -n --tls-version tlsv1.1", "--tls-version tlsv1.1 cannot be done here"),
        ("-t a -n --tls-engine b", "--tls-engine cannot be done here"),
        ("-t a -n --tls-keylog b", "--tls-keylog cannot be done here"),
        ("-t a -n --keyform engine", "--keyform engine cannot be done here"),
    ] {
        let Err(Stop::Error(text)) = read(Tool::Pub, line) else { panic!("{line}") };
        assert!(text.contains(complaint), "{line}: {text}");
    }
    let not_utf_8 = Settings::read(Tool::Pub, &[], &[b"-t".to_vec(), b"\xff".to_vec()]);
    assert_eq!(not_utf_8, Err(Stop::error("Malformed UTF-8 in -t argument.")));
    assert_eq!(read(Tool::Sub, "--help"), Err(Stop::Help));
}

#[test]
fn the_command_line_counts_more_than_a_file() {
    let lines = [words("-h a"), words("-p 7"), words("-m b")];
    let settings = Settings::read(Tool::Pub, &lines, &words("-t t -h c")).unwrap();
    assert_eq!((settings.host.as_str(), settings.port), ("c", Some(7)));
    // But for what can be said once only.
    assert!(Settings::read(Tool::Pub, &lines, &words("-t t -m c")).is_err());
}

#[test]
fn every_option_is_in_the_help_and_in_the_table() {
    let table = include_str!("../../../tools/README.md");
    for tool in [Tool::Pub, Tool::Sub, Tool::Rr] {
        let help = usage::usage(tool);
        let is_option =
            |word: &&str| word.trim_start_matches('-').len() < word.len() && word.ends_with(char::is_alphabetic);
        for word in help.split([' ', ',', '\n', '{', '}']).filter(is_option) {
            assert!(table.contains(&format!("`{word}`")), "{word} of {}", tool.name());
            let known = read(tool, word);
            let unknown = Err(Stop::error(format!("Unknown option '{word}'.")));
            assert_ne!(known, unknown, "{word} of {}", tool.name());
        }
    }
}
