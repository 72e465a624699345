//! Random conversations, recorded and replayed: whatever is called, and whatever is left out, the rest is the same.

mod world;

use mqtt_core::Property::UserProperty;
use mqtt_core::{ConnectOptions, Input, Instant, Payload, PublishRequest, TopicAliasUse, TopicName};

use super::format::{Header, Kind, Reader};
use super::*;
use world::{SECRET, World};

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[test]
fn whatever_is_called_happens_again() {
    let mut kinds = [false; 256];
    for seed in 0..65 {
        let redact = if seed % 3 == 0 { Redact::ALL } else { Redact::from_u8((seed % 64) as u8).unwrap() };
        let tape = World::new(seed, redact).play(300);
        let replayed = replay(&tape).unwrap_or_else(|error| panic!("seed {seed}, {redact:?}: {error}"));
        assert!(replayed.is_complete() && replayed.states > 0, "seed {seed}: {replayed:?}");
        assert!(renew(&tape).as_ref() == Ok(&tape), "seed {seed}: with the answers of now it is the same");
        if redact == Redact::ALL {
            let found = tape.windows(SECRET.len()).position(|window| window == SECRET.as_bytes());
            let around =
                found.map(|at| tape[at.saturating_sub(40)..tape.len().min(at + 40)].escape_ascii().to_string());
            assert_eq!(around, None, "seed {seed}: what was left out is there");
        } else if redact == Redact::NOTHING {
            assert!(contains(&tape, b"hush-password"), "seed {seed}: nothing was left out");
        }
        let mut reader = Reader(&tape);
        Header::read(&mut reader).unwrap();
        while let Some(entry) = reader.entry() {
            kinds[usize::from(entry[0])] = true;
        }
    }
    let missing: Vec<_> = (0..=u8::MAX).filter(|kind| !kinds[usize::from(*kind)]).filter_map(Kind::from_u8).collect();
    assert!(missing.is_empty(), "not one of {missing:?}");
}

#[test]
fn what_is_left_out_is_not_there_and_the_rest_is() {
    let all =
        ["hush-password", "hush-data", "hushhush", "hush-alice", "hush/a", "hush-name", "hush-value", "hush, a reason"];
    // From the lowest bit: secrets, payloads, user names, topics, User Properties, Reason Strings.
    let gone: [&[&str]; 6] = [&all[..2], &all[2..3], &all[3..4], &all[4..5], &all[5..7], &all[7..]];
    for (bit, gone) in gone.into_iter().enumerate() {
        let redact = Redact::from_u8(1 << bit).unwrap();
        for seed in 0..2 {
            let tape = World::new(seed, redact).play(1_000);
            for text in all {
                assert_eq!(
                    contains(&tape, text.as_bytes()),
                    !gone.contains(&text),
                    "{text:?}, {redact:?}, seed {seed}"
                );
            }
        }
    }
}

#[test]
fn an_answer_that_is_another_is_noticed() {
    let tape = World::new(7, Redact::NOTHING).play(120);
    let mut reader = Reader(&tape);
    Header::read(&mut reader).unwrap();
    while let Some(entry) = reader.entry() {
        // The last byte of an entry is one of its answer, or the length of an empty one.
        let last = tape.len() - reader.0.len() - 1;
        let mut other = tape.clone();
        other[last] ^= 1;
        match Kind::from_u8(entry[0]).unwrap() {
            Kind::Refused => {}
            Kind::End => assert_eq!(replay(&other).unwrap().end, Some(Stop::Limit)),
            kind => assert!(matches!(replay(&other), Err(ReplayError::Different(_))), "{kind:?} {entry:02x?}"),
        }
    }
}

#[test]
fn a_tape_gets_the_answers_of_now() {
    let tape = World::new(7, Redact::ALL).play(100);
    let mut reader = Reader(&tape);
    Header::read(&mut reader).unwrap();
    let mut other = tape.clone();
    while let Some(entry) = reader.entry() {
        if Kind::from_u8(entry[0]).is_some_and(|kind| !matches!(kind, Kind::Refused | Kind::End)) {
            other[tape.len() - reader.0.len() - 1] ^= 1;
        }
    }
    assert!(replay(&other).is_err());
    // The length of an answer that was empty is one now, so entries have other lengths; all of that is made anew.
    assert_eq!(renew(&other), Ok(tape));
}

#[test]
fn what_is_refused_leaves_its_trace() {
    let mut world = World::new(1, Redact::ALL);
    let machine = &mut world.machine;
    let (now, long) = (Instant::from_millis(1), "x".repeat(70_000));
    let mut out = [0; 300];
    let options = ConnectOptions::new("client");
    machine.connect(now, &options, &mut out).unwrap();
    // CONNACK with a Topic Alias Maximum of 2.
    machine.receive(now, Input::Packet(&[0x20, 6, 0, 0, 3, 0x22, 0, 2])).unwrap();
    let bad = [UserProperty(&long, "")];
    for (topic, properties) in [("a", &[][..]), ("b", &[]), ("a", &bad), ("c", &[]), ("a", &[]), ("b", &[])] {
        // The third is refused, but makes `b` the alias that was not used for the longest time, whose place `c` takes.
        let request = PublishRequest::new(TopicName::new(topic).unwrap()).properties(properties);
        let written =
            machine.publish_at_most_once(&request.topic_alias(TopicAliasUse::Automatic), Payload::Bytes(b""), &mut out);
        assert_eq!(written.is_err(), !properties.is_empty());
    }
    // A connection that is begun anew, but is not.
    assert!(machine.connect(now, &options.user_name(&long), &mut out).is_err());
    let bytes = world.end();
    let replayed = replay(&bytes).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((replayed.refused, replayed.is_complete()), (2, true));
    assert_eq!(renew(&bytes).as_ref(), Ok(&bytes));
}

#[test]
fn any_bytes_are_an_error_or_a_tape() {
    let tape = World::new(3, Redact::SECRETS).play(200);
    let mut random = 1_u64;
    for len in (0..tape.len()).step_by(61) {
        // Cut off: what is whole happens again.
        match replay(&tape[..len]) {
            Ok(replayed) => assert_eq!(replayed.end, None),
            Err(error) => assert_eq!(error, ReplayError::Format, "{len}"),
        }
    }
    for _ in 0..300 {
        let mut other = tape.clone();
        for _ in 0..3 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let place = (random >> 33) as usize % other.len();
            other[place] = (random >> 24) as u8;
        }
        let _ = replay_and_show(&other, &mut |line| drop(line.to_string()));
    }
    let mut longer = tape.clone();
    longer.push(0);
    assert!(matches!(replay(&longer), Err(ReplayError::Damaged { .. })), "something behind the end");
}

#[test]
fn at_its_limit_a_tape_ends_with_a_mark() {
    let whole = World::new(5, Redact::SECRETS).play(200).len() as u64;
    for limit in [0, 10, 60, 100, whole / 2, whole - 1, whole, whole + 1] {
        let world = World::with(5, |tape| tape.limit(limit));
        let tape = world.tape.clone();
        let bytes = world.play(200);
        let status = tape.status();
        assert!(bytes.len() as u64 <= limit.max(64), "{} of {limit}", bytes.len());
        assert_eq!(status.bytes, bytes.len() as u64);
        let stopped = limit < whole;
        assert_eq!(
            status.progress,
            if stopped { Progress::Stopped(Stop::Limit) } else { Progress::Complete },
            "{limit}"
        );
        let replayed = replay(&bytes).unwrap();
        assert_eq!(replayed.end, Some(if stopped { Stop::Limit } else { Stop::ClientEnded }));
        assert_eq!(replayed.is_complete(), !stopped);
    }
}
