use super::*;

#[test]
fn topics_have_others_that_stand_in_for_them() {
    let mask = Mask::new(Redact::ALL);
    let topics = [
        "a",
        "b",
        "a/b",
        "a/+",
        "a/#",
        "+/b",
        "/",
        "//",
        "house/lamp 1/state",
        "$SYS/broker",
        "$share/group/a/b",
        "\u{e4}\u{20ac}\u{4e2d}\u{1f600}\u{10fffd}/\u{7ff}\u{800}\u{d7ff}\u{e000}\u{ffef}",
        "control\u{1}",
        "",
    ];
    let mut seen = Vec::new();
    for topic in topics {
        let other = mask.stand_in(topic);
        assert_eq!(other.len(), topic.len(), "{topic:?} {other:?}");
        assert_eq!(mask.stand_in(topic), other, "always the same one");
        let marks = |text: &str| text.chars().map(|mark| "/+#".contains(mark).then_some(mark)).collect::<Vec<_>>();
        assert_eq!(marks(&other), marks(topic), "{topic:?} {other:?}");
        assert!(!seen.contains(&other), "{other:?} stands for two");
        seen.push(other);
    }
    assert!(
        mask.stand_in("$SYS/broker").starts_with("$SYS/") && mask.stand_in("$share/group/a").starts_with("$share/")
    );
    // What begins alike stands in alike: a filter still shows which topics it has.
    assert_eq!(mask.stand_in("a/b")[..2], mask.stand_in("a/+")[..2]);
    // The key is of this tape alone.
    let long = "a long topic that nobody guesses";
    assert_ne!(mask.stand_in(long), Mask::new(Redact::ALL).stand_in(long));
}

#[test]
fn no_two_topics_of_one_character_have_the_same_stand_in() {
    let mask = Mask::new(Redact::ALL);
    let all: Vec<String> =
        (1..0x3000).filter_map(char::from_u32).map(|mark| mask.stand_in(&mark.to_string())).collect();
    let mut unique = all.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), all.len());
}

#[test]
fn a_packet_that_cannot_be_read_keeps_what_is_wrong_with_it_alone() {
    // PUBACK with a Reason String, and behind it a property that may not be there.
    let mut packet = vec![0x40, 0, 0, 1, 0, 0, 0x1F, 0, 6];
    packet.extend(b"secret");
    packet.extend([0x23, 0, 1]);
    packet[5] = packet.len() as u8 - 6;
    packet[1] = packet.len() as u8 - 2;
    let error = |packet: &[u8]| Packet::decode(ProtocolVersion::V5_0, Sender::Server, packet).unwrap_err();
    let before = error(&packet);
    let mut masked = packet.clone();
    Mask::new(Redact::ALL).packet(ProtocolVersion::V5_0, Sender::Server, &mut masked);
    assert_eq!((error(&masked), masked.len()), (before, packet.len()));
    assert!(!masked.windows(6).any(|window| window == b"secret"), "{masked:02x?}");
    // Where only passwords and the like are left out, there are none in it.
    let mut as_it_was = packet.clone();
    Mask::new(Redact::SECRETS).packet(ProtocolVersion::V5_0, Sender::Server, &mut as_it_was);
    assert_eq!(as_it_was, packet);
}
