//! Topic Names and Topic Filters: what they are, and which belong together.

use mqtt_core::{InvalidTopicFilter, InvalidTopicName, TopicFilter, TopicName};
use proptest::prelude::*;

use crate::support::any_topics;

// [v3 v5 MQTT-3.3.2-2] [v3 MQTT-4.7.1-1] [v5 MQTT-4.7.0-1] [v3 v5 MQTT-4.7.3-1 MQTT-4.7.3-2]
#[test]
fn topic_names() {
    for (text, expected) in [
        ("a", None),
        ("/", None),
        ("//a//", None),
        (" a b ", None),
        ("$SYS/broker", None),
        ("\u{feff}ü/€", None),
        ("", Some(InvalidTopicName::Empty)),
        ("#", Some(InvalidTopicName::Wildcard)),
        ("a/+/b", Some(InvalidTopicName::Wildcard)),
        ("a+", Some(InvalidTopicName::Wildcard)),
        ("a/b#", Some(InvalidTopicName::Wildcard)),
        ("a\0", Some(InvalidTopicName::NullCharacter)),
    ] {
        assert_eq!(TopicName::new(text).err(), expected, "{text:?}");
        assert_eq!(TopicName::try_from(text).map(TopicName::as_str).ok(), expected.is_none().then_some(text));
    }
}

#[test]
fn a_topic_name_can_be_a_constant() {
    const TOPIC: TopicName<'static> = match TopicName::new("cellar/pump") {
        Ok(topic) => topic,
        Err(_) => panic!("no Topic Name"),
    };
    assert_eq!(TOPIC.as_str(), "cellar/pump");
}

// [v3 MQTT-4.7.1-2 MQTT-4.7.1-3] [v5 MQTT-4.7.1-1 MQTT-4.7.1-2] [v3 v5 MQTT-4.7.3-1 MQTT-4.7.3-2]
// [v5 MQTT-4.8.2-1 MQTT-4.8.2-2]
#[test]
fn topic_filters() {
    use InvalidTopicFilter as I;
    for (text, expected) in [
        // The examples of §4.7.1.2 and §4.7.1.3.
        ("sport/tennis/player1/#", None),
        ("sport/#", None),
        ("#", None),
        ("sport/tennis#", Some(I::Wildcard)),
        ("sport/tennis/#/ranking", Some(I::Wildcard)),
        ("+", None),
        ("+/tennis/#", None),
        ("sport+", Some(I::Wildcard)),
        ("sport/+/player1", None),
        ("/finance", None),
        ("+/+", None),
        ("/+", None),
        // Others.
        ("", Some(I::Empty)),
        ("a\0", Some(I::NullCharacter)),
        ("##", Some(I::Wildcard)),
        ("#/", Some(I::Wildcard)),
        ("++", Some(I::Wildcard)),
        ("+a", Some(I::Wildcard)),
        ("a/+b/c", Some(I::Wildcard)),
        ("+#", Some(I::Wildcard)),
        ("/#", None),
        ("//", None),
        ("$SYS/#", None),
        // Shared subscriptions, §4.8.2.
        ("$share/g/a", None),
        ("$share/g/#", None),
        ("$share/g/+/a", None),
        ("$share/g//", None),
        ("$share/g//a", None),
        ("$share/$share/$share/g/a", None),
        ("$share//a", Some(I::ShareName)),
        ("$share/g", Some(I::ShareName)),
        ("$share/", Some(I::ShareName)),
        ("$share/g+/a", Some(I::ShareName)),
        ("$share/+/a", Some(I::ShareName)),
        ("$share/#", Some(I::ShareName)),
        ("$share/#/a", Some(I::ShareName)),
        ("$share/g/", Some(I::Empty)),
        ("$share/g/a#", Some(I::Wildcard)),
        // Not shared: the prefix is compared as it is.
        ("$share", None),
        ("$SHARE/g", None),
        ("$shared/a", None),
        ("a/$share/g", None),
    ] {
        assert_eq!(TopicFilter::new(text).err(), expected, "{text:?}");
        assert_eq!(TopicFilter::try_from(text).map(TopicFilter::as_str).ok(), expected.is_none().then_some(text));
    }
}

#[test]
fn a_shared_filter_has_a_share_name_and_a_filter_behind_it() {
    for (text, share_name, filter, has_wildcard) in [
        ("a/+", None, "a/+", true),
        ("$share/g/a/b", Some("g"), "a/b", false),
        ("$share/g//", Some("g"), "/", false),
        ("$share/a b/#", Some("a b"), "#", true),
        ("$SYS/share", None, "$SYS/share", false),
    ] {
        let parsed = TopicFilter::new(text).unwrap();
        assert_eq!(parsed.share_name(), share_name, "{text}");
        assert_eq!(parsed.without_share(), filter, "{text}");
        assert_eq!(parsed.is_shared(), share_name.is_some(), "{text}");
        assert_eq!(parsed.has_wildcard(), has_wildcard, "{text}");
    }
}

const MATCHES: [(&str, &str, bool); 40] = [
    // The examples of §4.7.1.2, §4.7.1.3 and §4.7.2.
    ("sport/tennis/player1/#", "sport/tennis/player1", true),
    ("sport/tennis/player1/#", "sport/tennis/player1/ranking", true),
    ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true),
    ("sport/#", "sport", true),
    ("sport/tennis/+", "sport/tennis/player1", true),
    ("sport/tennis/+", "sport/tennis/player1/ranking", false),
    ("sport/+", "sport", false),
    ("sport/+", "sport/", true),
    ("+/+", "/finance", true),
    ("/+", "/finance", true),
    ("+", "/finance", false),
    ("#", "$SYS/broker", false),
    ("+/monitor/Clients", "$SYS/monitor/Clients", false),
    ("$SYS/#", "$SYS/", true),
    ("$SYS/monitor/+", "$SYS/monitor/Clients", true),
    ("$SYS/#", "$SYS", true),
    ("+", "$SYS", false),
    ("+/#", "$SYS/a", false),
    // A dollar counts at the beginning only.
    ("+/$SYS", "a/$SYS", true),
    ("a/#", "a/$SYS", true),
    ("$share/g/#", "$SYS/a", false),
    ("$share/g/$SYS/#", "$SYS/a", true),
    // What is routed to a shared subscription.
    ("$share/g/a/+", "a/b", true),
    ("$share/g/a/+", "$share/g/a/b", false),
    ("$share/g/a/#", "a", true),
    // Each level counts, empty ones too.
    ("a", "a", true),
    ("a", "a/", false),
    ("a", "/a", false),
    ("a/", "a", false),
    ("a/b", "a/b/c", false),
    ("a/b/c", "a/b", false),
    ("a//b", "a//b", true),
    ("a/+/b", "a//b", true),
    ("+/", "a/", true),
    ("#", "/", true),
    ("a/#", "ab", false),
    ("a/+/#", "a", false),
    ("a/+/#", "a/b", true),
    // Compared as they are.
    ("ACCOUNTS", "Accounts", false),
    ("\u{e9}", "e\u{301}", false),
];

// trap L17; [v3 v5 MQTT-4.7.2-1] [v3 v5 MQTT-4.7.3-4]
#[test]
fn which_topics_belong_to_a_filter() {
    for (filter, topic, expected) in MATCHES {
        let matches = TopicFilter::new(filter).unwrap().matches(TopicName::new(topic).unwrap());
        assert_eq!(matches, expected, "{filter} {topic}");
    }
}

#[test]
fn a_filter_covers_another_if_it_matches_all_that_the_other_does() {
    // All texts of one to three levels, with few names.
    let texts = |names: &[&str]| {
        let one: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let longer = |shorter: &[String]| -> Vec<String> {
            shorter.iter().flat_map(|text| names.iter().map(move |name| format!("{text}/{name}"))).collect()
        };
        let two = longer(&one);
        [longer(&two), two, one].concat()
    };
    let filters = texts(&["a", "$b", "", "+", "#"]);
    let filters: Vec<_> = filters.iter().filter_map(|text| TopicFilter::new(text).ok()).collect();
    let topics = texts(&["a", "$b", "", "other"]);
    let longer = topics.iter().map(|topic| format!("{topic}/x")).collect();
    let topics = [topics, longer].concat();
    let topics: Vec<_> = topics.iter().filter_map(|text| TopicName::new(text).ok()).collect();
    for general in &filters {
        for special in &filters {
            let all = topics.iter().all(|topic| !special.matches(*topic) || general.matches(*topic));
            assert_eq!(general.covers(*special), all, "{general} {special}");
        }
    }
    for (general, special, covers) in [("$share/g/a", "$share/g/a", true), ("$share/g/#", "$share/g/a", false)] {
        let (general, special) = (TopicFilter::new(general).unwrap(), TopicFilter::new(special).unwrap());
        assert_eq!(general.covers(special), covers);
        assert!(!TopicFilter::new("#").unwrap().covers(special));
        assert!(!special.covers(TopicFilter::new("a").unwrap()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5_000, failure_persistence: None, ..ProptestConfig::default() })]

    // [v3 v5 MQTT-4.7.2-1]
    #[test]
    fn filters_match_as_a_plain_model_does(text in "[a$/]{0,6}\u{0}(\\$share/)?[ab$/+#]{0,8}\u{0}[ab$/+#]{0,8}") {
        any_topics::topics(text.as_bytes());
    }
}
