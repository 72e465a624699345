//! `encrypted`

use std::fs;
use std::process::Stdio;

use crate::support::{Config, Files, Mosquitto, Program, VERSIONS, Watcher, example, url};

#[path = "../../encrypted/sealed.rs"]
mod sealed;

use sealed::{NotOpened, Opener, Sealer, Secret};

/// The program with a key.
fn program(words: &[&str], url: &str, key: &std::path::Path) -> std::process::Command {
    let mut command = example("encrypted");
    command.args(words).args(["--broker", url, "--key"]).arg(key);
    command
}

#[test]
fn what_is_sent_is_read_by_those_who_have_the_key_and_by_nobody_else() {
    for version in VERSIONS {
        let Some(broker) = Mosquitto::start(Config::PLAIN) else { return };
        let files = Files::new();
        let (key, other) = (files.path("key"), files.path("other"));
        for path in [&key, &other] {
            assert_eq!(Program::start(example("encrypted").arg("key").arg(path)).end().code, Some(0));
        }
        let url = url(&broker, version);
        let [friend, stranger] =
            [&key, &other].map(|key| Program::start(&mut program(&["receive", "secret/#"], &url, key)));
        for receiver in [&friend, &stranger] {
            receiver.wait_for("listening to secret/#");
        }
        let mut watcher = Watcher::new(&broker, version, "secret/#");
        let ended = Program::start(&mut program(&["send", "secret/door", "open"], &url, &key)).end();
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
        friend.wait_for("secret/door open");
        stranger.wait_for("secret/door: it is sealed with another key");
        // What the broker has seen.
        let message = watcher.next();
        assert_eq!(message.payload_len(), "open".len() + 45);
        assert!(!message.payload().windows(4).any(|window| window == b"open"));
        // It comes again; to another topic; with a bit changed; and something that was never sealed.
        let payload = message.payload().to_vec();
        watcher.publish("secret/door", payload.clone());
        friend.wait_for("secret/door: it came before, or was overtaken by a later one");
        watcher.publish("secret/gate", payload.clone());
        friend.wait_for("secret/gate: it was changed, or sealed for another topic");
        let mut changed = payload;
        *changed.last_mut().unwrap() ^= 1;
        watcher.publish("secret/yard", changed);
        friend.wait_for("secret/yard: it was changed, or sealed for another topic");
        watcher.publish("secret/shed", "open");
        friend.wait_for("secret/shed: it is not sealed");
        // Lines, from a pipe.
        let lines = files.write("lines", "one\ntwo\n\nthree");
        let input = Stdio::from(fs::File::open(lines).unwrap());
        let ended = Program::start_with(&mut program(&["send", "secret/lines"], &url, &key), input).end();
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
        friend.wait_for("secret/lines three");
        for receiver in [friend, stranger] {
            receiver.interrupt();
            assert_eq!(receiver.end().code, Some(0));
        }
    }
}

#[test]
fn keys_are_not_written_over_and_must_be_keys() {
    let files = Files::new();
    let key = files.path("key");
    let new = || Program::start(example("encrypted").arg("key").arg(&key)).end();
    assert_eq!(new().code, Some(0));
    let text = fs::read_to_string(&key).unwrap();
    #[cfg(unix)]
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&key).unwrap().permissions()) & 0o777, 0o600);
    let ended = new();
    assert!(ended.code == Some(1) && ended.stderr.contains("exists"), "{}", ended.stderr);
    assert_eq!(fs::read_to_string(&key).unwrap(), text);
    for (contents, line) in [
        (&text[..63], "a key has 64 digits"),
        ("", "a key has 64 digits"),
        (&format!("{}00", text.trim()), "a key has 64 digits"),
        (&text.replace(&text[..1], "x"), "it is no key"),
        (&"+1".repeat(32), "it is no key"),
    ] {
        let path = files.write_secret("bad", contents);
        let ended = Program::start(&mut program(&["receive", "a"], "mqtt://127.0.0.1:1", &path)).end();
        assert_eq!((ended.code, ended.stderr), (Some(1), format!("{}: {line}\n", path.display())));
    }
    let ended = Program::start(&mut program(&["receive", "a"], "mqtt://127.0.0.1:1", &key)).end();
    assert!(ended.code == Some(1) && ended.stderr.contains("refused"), "{}", ended.stderr);
}

#[test]
fn no_bit_can_be_changed_and_no_byte_left_out() {
    let key = Secret::generate();
    let sealed = Sealer::new(Secret::new(key)).seal("a/b", b"text");
    let open = |topic: &str, sealed: &[u8]| Opener::new(Secret::new(key)).open(topic, sealed);
    assert_eq!(open("a/b", &sealed).as_deref(), Ok(&b"text"[..]));
    assert_eq!(open("a/c", &sealed), Err(NotOpened::Forged));
    for bit in 0..8 * sealed.len() {
        let mut changed = sealed.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let expected = match bit / 8 {
            0 => NotOpened::NotSealed,
            1..5 => NotOpened::AnotherKey,
            _ => NotOpened::Forged,
        };
        assert_eq!(open("a/b", &changed), Err(expected), "bit {bit}");
    }
    for len in 0..sealed.len() {
        assert!(open("a/b", &sealed[..len]).is_err(), "{len} bytes");
    }
}

#[test]
fn each_message_is_opened_once_and_in_order() {
    let key = Secret::generate();
    let [mut one, mut two] = [(); 2].map(|()| Sealer::new(Secret::new(key)));
    let mut opener = Opener::new(Secret::new(key));
    let messages: Vec<_> = (0..3).map(|number| one.seal("t", &[number])).collect();
    assert_eq!(opener.open("t", &messages[0]), Ok(vec![0]));
    assert_eq!(opener.open("t", &messages[2]), Ok(vec![2]), "one that is lost does not matter");
    for message in &messages {
        assert_eq!(opener.open("t", message), Err(NotOpened::Replayed));
    }
    assert_eq!(opener.open("t", &two.seal("t", b"x")), Ok(b"x".to_vec()), "senders are counted for themselves");
    // A message that is not opened does not count.
    let next = one.seal("t", b"next");
    assert_eq!(opener.open("u", &next), Err(NotOpened::Forged));
    assert_eq!(opener.open("t", &next), Ok(b"next".to_vec()));
    // Memory is bounded.
    for _ in 0..998 {
        assert!(opener.open("t", &Sealer::new(Secret::new(key)).seal("t", b"")).is_ok());
    }
    let stranger = Sealer::new(Secret::new(key)).seal("t", b"");
    assert_eq!(opener.open("t", &stranger), Err(NotOpened::TooManySenders));
    assert!(opener.open("t", &one.seal("t", b"")).is_ok());
}
