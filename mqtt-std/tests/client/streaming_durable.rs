//! Payloads that are read as they come and go, with a store.

use bytes::Bytes;
use mqtt_core::AckKind;
use mqtt_std::{Acknowledge, Client, Message, Options, QoS, ReasonCode, Source, Subscription};
use tokio::io::AsyncReadExt;

use super::support::*;

const TEXT: &str = "the stairs are twenty";

/// A client, as if it were a program of its own.
struct Program {
    client: Client,
    run: tokio::task::JoinHandle<()>,
}

impl Program {
    fn start(options: Options) -> Self {
        let (client, run) = Client::new(options).unwrap();
        let run = tokio::spawn(async move { drop(run.await) });
        Self { client, run }
    }

    /// Ends it without a word to the broker.
    async fn die(self) {
        self.run.abort();
        let _ = self.run.await;
        self.client.shutdown(core::time::Duration::ZERO).await.unwrap();
    }
}

fn options(peer: &Peer, memory: &Memory) -> Options {
    peer.options().store(memory.open()).maximum_packet_size(100).streaming().keep_session()
}

async fn subscribed(program: &Program, link: &mut Link, acknowledge: Acknowledge) -> Subscription {
    let subscribe = program.client.subscribe("t", QoS::ExactlyOnce).streamed().acknowledge(acknowledge);
    let stream = subscribe.send().await.unwrap();
    let line = link.receive().await;
    assert!(line.starts_with("SUBSCRIBE"), "{line}");
    link.suback(peer::number(&line), &[2]).await;
    stream
}

async fn read(message: &Message) -> std::io::Result<String> {
    let mut text = String::new();
    message.reader().read_to_string(&mut text).await?;
    Ok(text)
}

/// The kinds of records behind those of the beginning.
fn received(memory: &Memory) -> Vec<String> {
    memory.kinds().into_iter().filter(|kind| kind != "SessionStarted").collect()
}

#[test]
fn a_source_is_found_by_its_key_in_the_next_program() {
    run(async || {
        for version in BOTH {
            for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
                for cut in [false, true] {
                    let (peer, memory) = (Peer::new(version).await, Memory::default());
                    let program = Program::start(options(&peer, &memory));
                    let mut link = peer.welcome(false).await;
                    let source = Source::from(Bytes::from_static(TEXT.as_bytes())).key(7);
                    let receipt = program.client.publish_from("t", source).qos(qos).send().await.unwrap();
                    if cut {
                        link.read_exact(10).await;
                    } else {
                        let line = link.receive().await;
                        assert!(line.ends_with(&format!("t {TEXT:?}")), "{line}");
                    }
                    program.die().await;
                    assert!(receipt.await.is_err());

                    let find = |key| (key == 7).then(|| Bytes::from_static(TEXT.as_bytes()).into());
                    let program = Program::start(options(&peer, &memory).sources(find));
                    let mut link = peer.welcome(true).await;
                    let line = link.receive().await;
                    // The store does not know whether it was sent.
                    assert!(line.ends_with(&format!("t {TEXT:?}")), "{line}");
                    let number = peer::number(&line);
                    if qos == QoS::ExactlyOnce {
                        link.ack(AckKind::Pubrec, number, ReasonCode::SUCCESS).await;
                        link.expect(&format!("PUBREL #{number}")).await;
                        link.ack(AckKind::Pubcomp, number, ReasonCode::SUCCESS).await;
                    } else {
                        link.ack(AckKind::Puback, number, ReasonCode::SUCCESS).await;
                    }
                    until(|| memory.kinds().last().is_some_and(|kind| kind == "Completed")).await;
                    program.die().await;
                }
            }
        }
    });
}

#[test]
fn a_source_that_is_not_found_fails_its_message_alone() {
    run(async || {
        type Find = fn(u32) -> Option<Source>;
        let finds: [Option<Find>; 4] = [
            None,
            Some(|_| None),
            Some(|_| Some(Bytes::from_static(b"another length").into())),
            Some(|_| panic!("the finder panics, as the test wants")),
        ];
        for find in finds {
            let (peer, memory) = (Peer::new(V5).await, Memory::default());
            let program = Program::start(options(&peer, &memory));
            let mut link = peer.welcome(false).await;
            let source = Source::from(Bytes::from_static(TEXT.as_bytes())).key(7);
            let first = program.client.publish_from("t", source).qos(QoS::AtLeastOnce).send().await.unwrap();
            link.read_exact(3).await;
            let other = program.client.publish("other", "x").qos(QoS::AtLeastOnce).send().await.unwrap();
            program.die().await;
            drop((first, other));

            let again = options(&peer, &memory);
            let _program = Program::start(match find {
                Some(find) => again.sources(find),
                None => again,
            });
            let mut link = peer.welcome(true).await;
            let begun = link.read_to_end().await.unwrap();
            assert!(begun.len() < TEXT.len(), "{begun:?}");
            let mut link = peer.welcome(true).await;
            let line = link.receive().await;
            assert!(line.ends_with("other \"x\""), "{line}");
            until(|| memory.kinds().iter().any(|kind| kind == "Completed")).await;
        }
    });
}

#[test]
fn a_streamed_message_is_received_once_it_was_read() {
    run(async || {
        for version in BOTH {
            for by_hand in [false, true] {
                let (peer, memory) = (Peer::new(version).await, Memory::default());
                let program = Program::start(options(&peer, &memory));
                let mut link = peer.welcome(false).await;
                let acknowledge = if by_hand { Acknowledge::ByHand } else { Acknowledge::OnArrival };
                let mut stream = subscribed(&program, &mut link, acknowledge).await;
                let text = TEXT.repeat(50);
                link.send(&peer::message("t", QoS::ExactlyOnce, 9, false, &text)).await;
                let message = stream.next().await.unwrap();
                others().await;
                assert_eq!(received(&memory), Vec::<String>::new(), "nobody has it");
                assert_eq!(read(&message).await.unwrap(), text);
                if by_hand {
                    others().await;
                    link.expect_nothing();
                    assert_eq!(received(&memory), Vec::<String>::new(), "nobody agrees");
                    message.acknowledge().unwrap();
                    assert!(message.acknowledge().is_err());
                }
                drop(message);
                link.expect("PUBREC #9").await;
                assert_eq!(received(&memory), ["Received", "Confirmed"]);
                program.die().await;

                // It is not handed over again, whatever the broker knows.
                let program = Program::start(options(&peer, &memory));
                let mut link = peer.welcome(true).await;
                let mut stream = subscribed(&program, &mut link, acknowledge).await;
                link.send(&peer::message("t", QoS::ExactlyOnce, 9, true, &text)).await;
                link.expect("PUBREC #9").await;
                link.ack(AckKind::Pubrel, 9, ReasonCode::SUCCESS).await;
                link.expect("PUBCOMP #9").await;
                link.publish("t", QoS::AtMostOnce, 0, "next").await;
                assert_eq!(next(&mut stream).await, "t next");
            }
        }
    });
}

#[test]
fn a_streamed_message_that_was_not_read_comes_again_to_the_next_program() {
    run(async || {
        for version in BOTH {
            for taken in [0, 1, 500] {
                let (peer, memory) = (Peer::new(version).await, Memory::default());
                let program = Program::start(options(&peer, &memory));
                let mut link = peer.welcome(false).await;
                let mut stream = subscribed(&program, &mut link, Acknowledge::OnArrival).await;
                let text = TEXT.repeat(50);
                link.send(&peer::message("t", QoS::ExactlyOnce, 9, false, &text)).await;
                let message = stream.next().await.unwrap();
                message.reader().read_exact(&mut vec![0; taken]).await.unwrap();
                program.die().await;
                drop(link);

                let program = Program::start(options(&peer, &memory));
                let mut link = peer.welcome(true).await;
                let mut stream = subscribed(&program, &mut link, Acknowledge::OnArrival).await;
                link.send(&peer::message("t", QoS::ExactlyOnce, 9, true, &text)).await;
                assert_eq!(read(&stream.next().await.unwrap()).await.unwrap(), text);
                link.expect("PUBREC #9").await;
                assert_eq!(received(&memory), ["Received", "Confirmed"]);
            }
        }
    });
}

#[test]
fn by_hand_a_streamed_message_that_is_not_wanted_costs_the_connection() {
    run(async || {
        for version in BOTH {
            let (peer, memory) = (Peer::new(version).await, Memory::default());
            let program = Program::start(options(&peer, &memory));
            let mut link = peer.welcome(false).await;
            let mut stream = subscribed(&program, &mut link, Acknowledge::ByHand).await;
            let text = TEXT.repeat(50);
            link.send(&peer::message("t", QoS::ExactlyOnce, 9, false, &text)).await;
            drop(stream.next().await.unwrap());
            let line = link.receive().await;
            assert!(line.starts_with("DISCONNECT"), "{line}");
            drop(link);
            let mut link = peer.welcome(true).await;
            link.send(&peer::message("t", QoS::ExactlyOnce, 9, true, &text)).await;
            let message = stream.next().await.unwrap();
            message.acknowledge().unwrap();
            assert_eq!(read(&message).await.unwrap(), text);
            link.expect("PUBREC #9").await;
        }
    });
}

#[test]
fn a_message_that_no_stream_is_made_for_is_received_and_gone() {
    run(async || {
        let (peer, memory) = (Peer::new(V5).await, Memory::default());
        let program = Program::start(options(&peer, &memory));
        let mut link = peer.welcome(false).await;
        let whole = program.client.listen("t").send().await.unwrap();
        link.send(&peer::message("t", QoS::ExactlyOnce, 9, false, &TEXT.repeat(50))).await;
        link.expect("PUBREC #9").await;
        assert_eq!(received(&memory), ["Received", "Confirmed"]);
        assert_eq!(program.client.statistics().skipped, 1);
        drop(whole);
    });
}
