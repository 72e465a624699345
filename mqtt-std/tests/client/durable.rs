//! Sessions with a store: what is accepted outlives the program, and comes again once.

use core::time::Duration;

use mqtt_core::{AckKind, ReasonCode};
use mqtt_std::store::{FileStore, Fsync, Record, Store as _, StoreError};
use mqtt_std::{
    Acknowledge, Cause, Client, Delivered, Error, Options, Outcome, Overflow, QoS, Run, Status, Subscription,
    UsageError,
};

use super::support::*;

/// A client, as if it were a program of its own.
struct Program {
    client: Client,
    run: tokio::task::JoinHandle<()>,
}

impl Program {
    fn start(options: Options) -> Self {
        Self::run(Client::new(options).unwrap())
    }

    fn run((client, run): (Client, Run)) -> Self {
        let run = tokio::spawn(async move { drop(run.await) });
        Self { client, run }
    }

    /// Ends it without a word to the broker.
    async fn die(self) {
        self.run.abort();
        let _ = self.run.await;
        // The store is another's from here on.
        self.client.shutdown(Duration::ZERO).await.unwrap();
    }

    /// Ends it when all is delivered.
    async fn end(self, mut link: Link) {
        let goodbye = async {
            let packet = link.receive().await;
            assert!(packet.starts_with("DISCONNECT"), "{packet}");
            drop(link);
        };
        tokio::join!(end(self.client), goodbye);
    }
}

/// A program whose session is known to the peer, and its connection.
async fn begun(peer: &Peer, memory: &Memory) -> (Program, Link) {
    let program = Program::start(peer.options().store(memory.open()));
    let link = peer.welcome(false).await;
    status(&program.client, is_connected).await;
    until(|| memory.kinds() == ["SessionStarted"]).await;
    (program, link)
}

/// The next program with the same store.
async fn next_program(peer: &Peer, memory: &Memory, session_present: bool) -> (Program, Link) {
    let program = Program::start(peer.options().store(memory.open()));
    (program, peer.welcome(session_present).await)
}

async fn listen(client: &Client) -> Subscription {
    client.listen("#").send().await.unwrap()
}

#[test]
fn a_message_is_accepted_when_it_is_in_the_store() {
    run(async || {
        let _clock = Clock::stop();
        for version in BOTH {
            for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
                let (peer, memory) = (Peer::new(version).await, Memory::default());
                let (program, mut link) = begun(&peer, &memory).await;
                memory.hold();
                let mut sending = Box::pin(program.client.publish("t", "a").qos(qos).send());
                assert!(poll(&mut sending).is_pending());
                others().await;
                assert!(poll(&mut sending).is_pending());
                link.expect_nothing();
                // Everything else goes on meanwhile.
                program.client.publish("t", "z").await.unwrap();
                link.expect("PUBLISH q0 t \"z\"").await;
                memory.release();
                let receipt = sending.await.unwrap();
                assert_eq!(memory.kinds(), ["SessionStarted", "Published"]);
                link.expect(&format!("PUBLISH q{} #1 t \"a\"", qos as u8)).await;
                finish(&mut link, qos).await;
                assert!(matches!(receipt.await, Ok(Delivered::Acknowledged(_))));
                program.end(link).await;
                assert_eq!(memory.kinds().last().unwrap(), "Completed", "the store is closed by now");
            }
        }
    });
}

/// Acknowledges the PUBLISH with the number 1.
async fn finish(link: &mut Link, qos: QoS) {
    if qos == QoS::AtLeastOnce {
        return link.ack(AckKind::Puback, 1, ReasonCode::SUCCESS).await;
    }
    link.ack(AckKind::Pubrec, 1, ReasonCode::SUCCESS).await;
    link.expect("PUBREL #1").await;
    link.ack(AckKind::Pubcomp, 1, ReasonCode::SUCCESS).await;
}

#[test]
fn one_sync_covers_many_messages() {
    run(async || {
        let _clock = Clock::stop();
        let (peer, memory) = (Peer::new(V5).await, Memory::default());
        let (program, _link) = begun(&peer, &memory).await;
        let before = memory.syncs();
        memory.hold();
        let client = &program.client;
        let mut sends: Vec<_> =
            (0..100).map(|_| Box::pin(client.publish("t", "a").qos(QoS::AtLeastOnce).send())).collect();
        sends.iter_mut().for_each(|send| assert!(poll(send).is_pending()));
        memory.release();
        for send in sends {
            send.await.unwrap();
        }
        assert!(memory.syncs() - before <= 3, "{}", memory.syncs() - before);
    });
}

#[test]
fn what_was_accepted_is_sent_by_the_next_program() {
    run(async || {
        let _clock = Clock::stop();
        for version in BOTH {
            let (peer, memory) = (Peer::new(version).await, Memory::default());
            // Before there is a connection.
            let (client, run) = Client::new(peer.options().store(memory.open())).unwrap();
            client.publish("t", "a").qos(QoS::AtLeastOnce).send().await.unwrap();
            client.publish("t", "b").qos(QoS::ExactlyOnce).retain().send().await.unwrap();
            drop(run);
            let program = Program::start(peer.options().store(memory.open()));
            assert_eq!(program.client.restored().publishes, 2);
            let mut link = peer.welcome(false).await;
            link.expect("PUBLISH q1 #1 t \"a\"").await;
            link.expect("PUBLISH q2 #2 retain t \"b\"").await;
            link.ack(AckKind::Puback, 1, ReasonCode::SUCCESS).await;
            until(|| program.client.restored().publishes == 1).await;
            link.ack(AckKind::Pubrec, 2, ReasonCode::SUCCESS).await;
            link.expect("PUBREL #2").await;
            program.die().await;
            drop(link);
            // The exchange goes on where it was.
            let (program, mut link) = next_program(&peer, &memory, true).await;
            link.expect("PUBREL #2").await;
            assert_eq!(program.client.restored().publishes, 1);
            link.ack(AckKind::Pubcomp, 2, ReasonCode::SUCCESS).await;
            program.end(link).await;
            let (program, mut link) = next_program(&peer, &memory, true).await;
            assert_eq!(program.client.restored().publishes, 0);
            others().await;
            link.expect_nothing();
            program.die().await;
        }
    });
}

// A program dies after each record of an exchange out: its message is with the broker once.
#[test]
fn a_death_at_each_record_of_a_message_out_loses_and_doubles_nothing() {
    run(async || {
        let _clock = Clock::stop();
        for version in BOTH {
            let (peer, memory) = (Peer::new(version).await, Memory::default());
            let (program, mut link) = begun(&peer, &memory).await;
            let receipt = program.client.publish("t", "a").qos(QoS::ExactlyOnce).send().await.unwrap();
            link.expect("PUBLISH q2 #1 t \"a\"").await;
            finish(&mut link, QoS::ExactlyOnce).await;
            receipt.await.unwrap();
            until(|| memory.kinds() == ["SessionStarted", "Published", "PubrecReceived", "Completed"]).await;
            program.die().await;
            drop(link);
            for (records, packet) in [(2, "PUBLISH q2 #1 dup t \"a\""), (3, "PUBREL #1"), (4, "")] {
                let memory = memory.cut_at(records);
                let (program, mut link) = next_program(&peer, &memory, true).await;
                if packet.is_empty() {
                    others().await;
                    link.expect_nothing();
                } else {
                    link.expect(packet).await;
                }
                program.die().await;
            }
        }
    });
}

#[test]
fn a_message_is_handed_over_when_it_is_in_the_store() {
    run(async || {
        let _clock = Clock::stop();
        for version in BOTH {
            let (peer, memory) = (Peer::new(version).await, Memory::default());
            let (program, mut link) = begun(&peer, &memory).await;
            let mut stream = listen(&program.client).await;
            memory.hold();
            link.publish("t", QoS::ExactlyOnce, 8, "a").await;
            link.publish("t", QoS::AtLeastOnce, 9, "b").await;
            // Which needs no store.
            assert_eq!(next(&mut stream).await, "t b");
            link.expect("PUBACK #9").await;
            {
                let mut next = Box::pin(stream.next());
                assert!(poll(&mut next).is_pending());
                others().await;
                assert!(poll(&mut next).is_pending());
            }
            link.expect_nothing();
            memory.release();
            let message = stream.next().await.unwrap();
            assert_eq!((line(&message).as_str(), message.delivery_number()), ("t a", Some(1)));
            assert!(!message.redelivered() && !message.dup());
            link.expect("PUBREC #8").await;
            link.ack(AckKind::Pubrel, 8, ReasonCode::SUCCESS).await;
            link.expect("PUBCOMP #8").await;
            program.end(link).await;
            let mut kinds = memory.kinds();
            kinds.sort();
            assert_eq!(kinds, ["Confirmed", "Received", "Released", "SessionStarted"]);
        }
    });
}

// A program dies after each record of a message in: by its number it comes once, or again with the same one.
#[test]
fn a_death_at_each_record_of_a_message_in_loses_and_doubles_nothing() {
    run(async || {
        let _clock = Clock::stop();
        for version in BOTH {
            let (peer, memory) = (Peer::new(version).await, Memory::default());
            let (program, mut link) = begun(&peer, &memory).await;
            let mut stream = listen(&program.client).await;
            link.publish("t", QoS::ExactlyOnce, 8, "a").await;
            link.expect("PUBREC #8").await;
            link.ack(AckKind::Pubrel, 8, ReasonCode::SUCCESS).await;
            until(|| memory.kinds() == ["SessionStarted", "Received", "Released"]).await;
            assert_eq!(next(&mut stream).await, "t a");
            link.expect("PUBCOMP #8").await;
            until(|| memory.kinds() == ["SessionStarted", "Received", "Released", "Confirmed"]).await;
            program.die().await;
            drop((link, stream));
            for records in 1..=4 {
                let memory = memory.cut_at(records);
                let (client, run) = Client::new(peer.options().store(memory.open())).unwrap();
                let again = usize::from(records == 2 || records == 3);
                assert_eq!(client.restored().messages, again);
                let mut stream = listen(&client).await;
                let program = Program::run((client, run));
                let mut link = peer.welcome(true).await;
                if again == 1 {
                    let message = stream.next().await.unwrap();
                    assert!(message.redelivered() && message.dup());
                    assert_eq!((line(&message).as_str(), message.delivery_number()), ("t a", Some(1)));
                    until(|| memory.kinds().last().unwrap() == "Confirmed").await;
                }
                if records < 3 {
                    // PUBREL has not come, as far as the store knows.
                    link.publish_again("t", QoS::ExactlyOnce, 8, "a").await;
                    link.expect("PUBREC #8").await;
                    link.ack(AckKind::Pubrel, 8, ReasonCode::SUCCESS).await;
                    if records == 1 {
                        let message = stream.next().await.unwrap();
                        assert_eq!(message.delivery_number(), Some(1));
                        assert!(!message.redelivered());
                    }
                    link.expect("PUBCOMP #8").await;
                }
                link.publish("t", QoS::ExactlyOnce, 8, "new").await;
                let message = stream.next().await.unwrap();
                assert_eq!((line(&message).as_str(), message.delivery_number()), ("t new", Some(2)));
                program.die().await;
            }
        }
    });
}

// The Receive Maximum bounds what the application has not confirmed, also behind PUBREL.
#[test]
fn a_message_that_nobody_takes_keeps_its_place_in_the_receive_maximum() {
    run(async || {
        let _clock = Clock::stop();
        for version in BOTH {
            let (peer, memory) = (Peer::new(version).await, Memory::default());
            let (program, mut link) = begun(&peer, &memory).await;
            let mut stream = listen(&program.client).await;
            for number in 1..=2 {
                link.publish("t", QoS::ExactlyOnce, number, &format!("m{number}")).await;
                link.expect(&format!("PUBREC #{number}")).await;
                link.ack(AckKind::Pubrel, number, ReasonCode::SUCCESS).await;
            }
            until(|| memory.kinds().iter().filter(|kind| *kind == "Released").count() == 2).await;
            link.expect_nothing();
            for number in 1..=2 {
                assert_eq!(next(&mut stream).await, format!("t m{number}"));
                link.expect(&format!("PUBCOMP #{number}")).await;
            }
            program.end(link).await;
        }
    });
}

#[test]
fn a_message_that_was_not_taken_comes_again_and_waits_for_its_stream() {
    run(async || {
        let clock = Clock::stop();
        let (peer, memory) = (Peer::new(V5).await, Memory::default());
        let (program, mut link) = begun(&peer, &memory).await;
        let stream = listen(&program.client).await;
        for number in 1..=3 {
            let topic = if number == 3 { "other" } else { "t" };
            link.publish(topic, QoS::ExactlyOnce, number, &format!("m{number}")).await;
            link.expect(&format!("PUBREC #{number}")).await;
        }
        // They are in the stream, and nobody has taken them: the program ends in peace.
        program.end(link).await;
        drop(stream);
        let (program, mut link) = next_program(&peer, &memory, true).await;
        status(&program.client, is_connected).await;
        clock.pass(Duration::from_secs(1_000)).await;
        assert_eq!(program.client.restored().messages, 3, "they wait as long as it takes");
        let mut stream = program.client.listen("t").send().await.unwrap();
        link.publish("t", QoS::ExactlyOnce, 4, "m4").await;
        let mut numbers = Vec::new();
        for expected in ["t m1", "t m2", "t m4"] {
            let message = stream.next().await.unwrap();
            assert_eq!(line(&message), expected);
            numbers.push((message.delivery_number().unwrap(), message.redelivered()));
        }
        assert_eq!(numbers, [(1, true), (2, true), (4, false)]);
        assert_eq!(program.client.restored().messages, 1);
        program.die().await;
    });
}

#[test]
fn a_full_store_fails_that_message_alone() {
    run(async || {
        let _clock = Clock::stop();
        for version in BOTH {
            let (peer, memory) = (Peer::new(version).await, Memory::default());
            let (program, mut link) = begun(&peer, &memory).await;
            memory.refuse(|kind| kind == "Published", StoreError::Full);
            let refused = program.client.publish("t", "a").qos(QoS::AtLeastOnce).send().await;
            assert!(matches!(refused, Err(Error::Store(StoreError::Full))), "{refused:?}");
            let receipt = program.client.publish("t", "b").qos(QoS::AtLeastOnce).try_send().unwrap();
            assert!(matches!(receipt.await, Err(Error::NotDelivered(Outcome::StoreFailed))));
            link.expect_nothing();
            memory.accept_all();
            let receipt = program.client.publish("t", "c").qos(QoS::AtLeastOnce).send().await.unwrap();
            let published = link.receive().await;
            assert!(published.ends_with("t \"c\""), "{published}");
            link.ack(AckKind::Puback, peer::number(&published), ReasonCode::SUCCESS).await;
            receipt.await.unwrap();
            assert!(is_connected(&program.client.status().borrow()));
            program.end(link).await;
            assert_eq!(
                memory.kinds(),
                ["SessionStarted", "Published", "Completed"],
                "of those refused nothing is left"
            );
        }
    });
}

// One that does not fit does not take others with it that were written at once.
#[test]
fn those_that_fit_are_accepted_beside_one_that_does_not() {
    run(async || {
        let _clock = Clock::stop();
        let directory = Directory::new();
        let peer = Peer::new(V5).await;
        let store = FileStore::open(&directory.0).unwrap().limit(10_000);
        let program = Program::start(peer.options().store(store));
        let _link = peer.welcome(false).await;
        let client = &program.client;
        let mut sends = Vec::new();
        for payload in [vec![0; 10], vec![0; 20_000], vec![0; 10]] {
            sends.push(Box::pin(client.publish("t", payload).qos(QoS::AtLeastOnce).send()));
        }
        sends.iter_mut().for_each(|send| assert!(poll(send).is_pending()));
        let mut results = Vec::new();
        for send in sends {
            results.push(send.await.map(drop).map_err(|error| error.to_string()));
        }
        assert_eq!(results, [Ok(()), Err("store is full".to_owned()), Ok(())]);
        program.die().await;
    });
}

#[test]
fn a_message_that_the_store_does_not_take_counts_as_not_received() {
    run(async || {
        let _clock = Clock::stop();
        for version in BOTH {
            let (peer, memory) = (Peer::new(version).await, Memory::default());
            let (program, mut link) = begun(&peer, &memory).await;
            let mut stream = listen(&program.client).await;
            memory.refuse(|kind| kind == "Received", StoreError::Full);
            link.publish("t", QoS::ExactlyOnce, 8, "a").await;
            if version == V5 {
                link.expect("PUBREC #8 83").await;
            } else {
                until(|| memory.appends() >= 2).await;
                others().await;
                link.expect_nothing();
            }
            memory.accept_all();
            link.publish("t", QoS::ExactlyOnce, 9, "b").await;
            assert_eq!(next(&mut stream).await, "t b");
            link.expect("PUBREC #9").await;
            program.die().await;
        }
    });
}

// What has happened cannot be refused: it is tried again, and what depends on it waits.
#[test]
fn what_has_happened_is_written_when_the_store_works_again() {
    run(async || {
        let _clock = Clock::stop();
        for version in BOTH {
            let (peer, memory) = (Peer::new(version).await, Memory::default());
            let (program, mut link) = begun(&peer, &memory).await;
            let receipt = program.client.publish("t", "a").qos(QoS::ExactlyOnce).send().await.unwrap();
            link.expect("PUBLISH q2 #1 t \"a\"").await;
            memory.refuse(|_| true, StoreError::Io(std::io::ErrorKind::Other));
            link.ack(AckKind::Pubrec, 1, ReasonCode::SUCCESS).await;
            let attempts = memory.appends();
            until(|| memory.appends() > attempts).await;
            let refused = program.client.publish("t", "b").qos(QoS::AtLeastOnce).send().await;
            assert!(matches!(refused, Err(Error::Store(StoreError::Io(_)))), "{refused:?}");
            link.expect_nothing();
            assert!(is_connected(&program.client.status().borrow()));
            memory.accept_all();
            link.expect("PUBREL #1").await;
            link.ack(AckKind::Pubcomp, 1, ReasonCode::SUCCESS).await;
            receipt.await.unwrap();
            program.end(link).await;
            assert_eq!(memory.kinds(), ["SessionStarted", "Published", "PubrecReceived", "Completed"]);
        }
    });
}

#[test]
fn a_publish_that_is_dropped_while_the_store_writes_changes_nothing_else() {
    run(async || {
        let _clock = Clock::stop();
        let (peer, memory) = (Peer::new(V5).await, Memory::default());
        let (program, mut link) = begun(&peer, &memory).await;
        memory.hold();
        for polls in 1..4 {
            let sent = drop_after(polls, program.client.publish("t", "a").qos(QoS::AtLeastOnce).send()).await;
            assert!(sent.is_none());
        }
        memory.release();
        for number in 1..4 {
            link.expect(&format!("PUBLISH q1 #{number} t \"a\"")).await;
            link.ack(AckKind::Puback, number, ReasonCode::SUCCESS).await;
        }
        program.client.publish("t", "b").qos(QoS::AtLeastOnce).send().await.unwrap();
        link.expect("PUBLISH q1 #4 t \"b\"").await;
        program.die().await;
    });
}

#[test]
fn a_shutdown_leaves_in_the_store_what_has_no_answer() {
    run(async || {
        let _clock = Clock::stop();
        for version in BOTH {
            let (peer, memory) = (Peer::new(version).await, Memory::default());
            let (program, mut link) = begun(&peer, &memory).await;
            let receipt = program.client.publish("t", "a").qos(QoS::ExactlyOnce).send().await.unwrap();
            link.expect("PUBLISH q2 #1 t \"a\"").await;
            let goodbye = async {
                assert!(link.receive().await.starts_with("DISCONNECT"));
                drop(link);
            };
            let (ended, ()) = tokio::join!(program.client.shutdown(Duration::ZERO), goodbye);
            assert_eq!(ended.unwrap().undelivered, 1);
            assert!(matches!(receipt.await, Err(Error::Closed)));
            let (program, mut link) = next_program(&peer, &memory, true).await;
            link.expect("PUBLISH q2 #1 dup t \"a\"").await;
            program.die().await;
        }
    });
}

#[test]
fn a_session_that_the_broker_lost_is_told_of() {
    run(async || {
        let _clock = Clock::stop();
        for version in BOTH {
            let (peer, memory) = (Peer::new(version).await, Memory::default());
            let (program, mut link) = begun(&peer, &memory).await;
            for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
                program.client.publish("t", "a").qos(qos).send().await.unwrap();
                link.receive().await;
            }
            program.die().await;
            drop(link);
            let (program, mut link) = next_program(&peer, &memory, false).await;
            link.expect("PUBLISH q1 #1 t \"a\"").await;
            until(|| program.client.restored().failed == 1).await;
            assert_eq!(program.client.restored().publishes, 1, "at QoS 2 nobody knows whether it had arrived");
            program.die().await;
        }
    });
}

#[test]
fn a_store_belongs_to_one_client_identifier() {
    run(async || {
        let (peer, memory) = (Peer::new(V5).await, Memory::default());
        let address = peer.options();
        let refused = Client::new(peer.nameless().store(memory.open()));
        assert!(matches!(refused, Err(Error::Store(StoreError::NoClientIdentifier))));
        drop(Client::new(address.clone().store(memory.open())).unwrap());
        let other = address.clone().client_identifier("other");
        assert!(matches!(Client::new(other.store(memory.open())), Err(Error::Store(StoreError::OtherClient))));
        // The store knows it.
        let program = Program::start(peer.nameless().store(memory.open()));
        let mut link = peer.accept().await;
        link.expect("CONNECT 5 client").await;
        program.die().await;
        // One client has it.
        let options = address.store(memory.open());
        drop(Client::new(options.clone()).unwrap());
        assert!(matches!(Client::new(options), Err(Error::Store(StoreError::InUse))));
    });
}

#[test]
fn a_session_that_is_larger_than_the_options_allow_is_refused() {
    run(async || {
        let (peer, memory) = (Peer::new(V5).await, Memory::default());
        let (client, run) = Client::new(peer.options().store(memory.open())).unwrap();
        for _ in 0..3 {
            client.publish("t", "a").qos(QoS::AtLeastOnce).send().await.unwrap();
        }
        drop((client, run));
        let refused = Client::new(peer.options().in_flight(2).store(memory.open()));
        assert!(matches!(refused, Err(Error::Store(StoreError::SessionTooLarge))));
        assert_eq!(Client::new(peer.options().store(memory.open())).unwrap().0.restored().publishes, 3);
    });
}

#[test]
fn a_file_is_locked_until_the_client_has_ended() {
    run(async || {
        let directory = Directory::new();
        let peer = Peer::new(V5).await;
        let options = peer.options().file_store(&directory.0);
        let program = Program::start(options.clone());
        let _link = peer.welcome(false).await;
        assert!(matches!(Client::new(options.clone()), Err(Error::Store(StoreError::InUse))));
        program.client.shutdown(LONG).await.unwrap();
        let program = Program::start(options.clone());
        let link = peer.welcome(true).await;
        program.end(link).await;
        // One that cannot be read.
        std::fs::write(directory.0.join("session.log"), "something else").unwrap();
        assert!(matches!(Client::new(options), Err(Error::Store(StoreError::Format))));
    });
}

#[test]
fn after_an_attempt_that_failed_the_store_is_free() {
    run(async || {
        let (directory, reserved) = (Directory::new(), Reserved::new());
        let options = reserved.options().client_identifier("client").file_store(&directory.0);
        for _ in 0..3 {
            let refused = Client::connect(options.clone()).await;
            assert!(matches!(refused, Err(Error::Transport(_))), "{refused:?}");
        }
    });
}

// What nobody writes any more can be accepted no more: the client ends, and every wait with it.
#[test]
fn a_store_that_panics_ends_the_client() {
    run(async || {
        let (peer, memory) = (Peer::new(V5).await, Memory::default());
        let program = Program::start(peer.options().store(memory.open()));
        let _link = peer.welcome(false).await;
        until(|| memory.kinds() == ["SessionStarted"]).await;
        memory.refuse(|kind| if kind == "Published" { panic!("as the test wants") } else { false }, StoreError::Full);
        let refused = program.client.publish("t", "a").qos(QoS::AtLeastOnce).send().await;
        assert!(matches!(refused, Err(Error::Closed)), "{refused:?}");
        let closed = status(&program.client, is_closed).await;
        assert!(matches!(closed, Status::Closed { error: Some(Cause::Panicked), .. }), "{closed:?}");
        program.client.shutdown(LONG).await.unwrap();
    });
}

#[cfg(feature = "redb")]
#[test]
fn a_database_keeps_a_session_as_a_file_does() {
    run(async || {
        let directory = Directory::new();
        std::fs::create_dir_all(&directory.0).unwrap();
        let store = || mqtt_std::store::RedbStore::open(directory.0.join("session.redb")).unwrap();
        let peer = Peer::new(V5).await;
        let program = Program::start(peer.options().store(store()));
        let mut link = peer.welcome(false).await;
        let stream = listen(&program.client).await;
        program.client.publish("t", "out").qos(QoS::ExactlyOnce).send().await.unwrap();
        link.expect("PUBLISH q2 #1 t \"out\"").await;
        link.publish("t", QoS::ExactlyOnce, 8, "in").await;
        link.expect("PUBREC #8").await;
        program.die().await;
        drop((link, stream));
        let program = Program::start(peer.options().store(store()));
        let mut link = peer.welcome(true).await;
        link.expect("PUBLISH q2 #1 dup t \"out\"").await;
        let mut stream = listen(&program.client).await;
        let message = stream.next().await.unwrap();
        assert_eq!((line(&message).as_str(), message.delivery_number()), ("t in", Some(1)));
        program.die().await;
    });
}

/// A directory that is gone with this.
struct Directory(std::path::PathBuf);

impl Directory {
    fn new() -> Self {
        use core::sync::atomic::{AtomicU32, Ordering};
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Self(std::env::temp_dir().join(format!("mqtt-std-durable-{}-{number}", std::process::id())))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

// The log cut at every byte: what comes back is what was there at some moment, and nothing accepted is missing.
#[test]
fn a_log_that_is_cut_at_any_byte_is_a_session_of_some_moment() {
    run(async || {
        let _clock = Clock::stop();
        let directory = Directory::new();
        let peer = Peer::new(V5).await;
        let program = Program::start(peer.options().file_store(&directory.0));
        let mut link = peer.welcome(false).await;
        let log = directory.0.join("session.log");
        let size = || std::fs::metadata(&log).unwrap().len() as usize;
        // What had been accepted when the log had this size.
        let mut accepted = Vec::new();
        for number in 1..=5 {
            let payload = format!("m{number}");
            program.client.publish("t", payload.clone()).qos(QoS::ExactlyOnce).send().await.unwrap();
            accepted.push((size(), payload));
            link.expect(&format!("PUBLISH q2 #{number} t \"m{number}\"")).await;
        }
        program.die().await;
        let whole = std::fs::read(&log).unwrap();
        for cut in accepted[0].0..=whole.len() {
            std::fs::write(&log, &whole[..cut]).unwrap();
            let mut store = FileStore::open(&directory.0).unwrap().fsync(Fsync::Never);
            let mut found = Vec::new();
            store
                .load(&mut |record| {
                    if let Record::Published { message, .. } = record {
                        found.push(String::from_utf8(message.payload.to_vec()).unwrap());
                    }
                })
                .unwrap();
            let expected: Vec<_> =
                accepted.iter().filter(|(size, _)| *size <= cut).map(|(_, payload)| payload.clone()).collect();
            assert_eq!(found, expected, "cut at {cut} of {}", whole.len());
        }
    });
}

#[test]
fn what_is_dropped_or_taken_back_is_not_sent_by_the_next_program() {
    run(async || {
        let clock = Clock::stop();
        for version in BOTH {
            for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
                let (peer, memory) = (Peer::new(version).await, Memory::default());
                let options = || peer.options().store(memory.open());
                let (client, run) = Client::new(options().in_flight(3).overflow(Overflow::DropOldest)).unwrap();
                let publish = |payload| client.publish("t", payload).qos(qos);
                let dropped = publish("dropped").send().await.unwrap();
                let cancelled = publish("taken back").send().await.unwrap();
                drop(publish("kept").send().await.unwrap());
                drop(publish("kept too").send().await.unwrap());
                assert!(cancelled.cancel());
                let expired = publish("expired").deadline(Duration::from_secs(1)).send().await.unwrap();
                for receipt in [dropped, cancelled] {
                    assert!(matches!(receipt.await, Err(Error::NotDelivered(Outcome::NotSent))));
                }
                // The driver waits for a connection that does not come.
                let program = Program::run((client, run));
                let link = peer.accept().await;
                clock.pass(Duration::from_secs(1)).await;
                assert!(matches!(expired.await, Err(Error::NotDelivered(Outcome::Expired))));
                program.die().await;
                drop(link);

                let program = Program::start(options());
                assert_eq!(program.client.restored().publishes, 2);
                let mut link = peer.welcome(false).await;
                for payload in ["kept", "kept too"] {
                    let line = link.receive().await;
                    assert!(line.ends_with(&format!("t {payload:?}")), "{line}");
                }
                others().await;
                link.expect_nothing();
                program.die().await;
            }
        }
    });
}

#[test]
fn by_hand_a_stored_message_is_confirmed_at_any_time() {
    run(async || {
        let (peer, memory) = (Peer::new(V5).await, Memory::default());
        let (program, mut link) = begun(&peer, &memory).await;
        let mut stream = program.client.listen("t").acknowledge(Acknowledge::ByHand).await.unwrap();
        link.publish("t", QoS::ExactlyOnce, 8, "a").await;
        let message = stream.next().await.unwrap();
        // The store has it, so the broker need not keep it.
        link.expect("PUBREC #8").await;
        let error = message.reject(ReasonCode::QUOTA_EXCEEDED).unwrap_err();
        assert!(matches!(error, Error::Usage(UsageError::AlreadyAcknowledged)), "{error:?}");
        drop(link);
        let mut link = peer.welcome(true).await;
        status(&program.client, is_connected).await;
        assert_eq!(message.acknowledge(), Ok(()), "it is never stale");
        until(|| memory.kinds().contains(&"Confirmed".to_owned())).await;
        link.ack(AckKind::Pubrel, 8, ReasonCode::SUCCESS).await;
        link.expect("PUBCOMP #8").await;
        program.end(link).await;
    });
}

#[test]
fn a_message_that_the_store_does_not_take_makes_room() {
    run(async || {
        let peer = Peer::new(V5).await;
        let memory = Memory::default();
        let (client, run) = Client::new(peer.options().in_flight(1).store(memory.open())).unwrap();
        tokio::spawn(run);
        let _link = peer.welcome(false).await;
        status(&client, is_connected).await;
        until(|| memory.kinds() == ["SessionStarted"]).await;
        memory.refuse(|kind| kind == "Published", StoreError::Full);
        memory.hold();
        let first = tokio::spawn({
            let client = client.clone();
            async move { client.publish("t", "1").qos(QoS::AtLeastOnce).send().await.map(drop) }
        });
        others().await;
        let second = tokio::spawn({
            let client = client.clone();
            async move { client.publish("t", "2").qos(QoS::AtLeastOnce).send().await.map(drop) }
        });
        others().await;
        memory.release();
        assert!(first.await.unwrap().is_err());
        let second = tokio::time::timeout(Duration::from_secs(5), second).await;
        assert!(second.unwrap().unwrap().is_err());
    });
}
