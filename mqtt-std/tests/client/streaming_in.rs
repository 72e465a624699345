//! Payloads that are read while they arrive.

use core::time::Duration;
use std::io;

use mqtt_core::AckKind;
use mqtt_std::testkit::{Broker, BrokerOptions};
use mqtt_std::{
    Acknowledge, Client, Message, Options, PayloadReader, QoS, ReasonCode, Source, Status, Subscription, WhenFull,
};
use tokio::io::AsyncReadExt;

use super::support::*;

const QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];
const AGAIN: [QoS; 2] = [QoS::AtLeastOnce, QoS::ExactlyOnce];

/// More than this does not fit.
const BUFFER: u32 = 100;

fn large(len: usize) -> String {
    (0..len).map(|at| char::from(b'a' + u8::try_from(at % 23).unwrap())).collect()
}

fn streaming(peer: &Peer) -> Options {
    peer.options().maximum_packet_size(BUFFER).streaming().keep_session().in_flight(10)
}

/// A client with a stream for large messages, and its connection.
async fn subscribed(peer: &Peer, options: Options) -> (Client, Link, Subscription) {
    let (client, mut link) = peer.connect(options).await;
    let stream = subscribe(&client, &mut link, "t").await;
    (client, link, stream)
}

async fn subscribe(client: &Client, link: &mut Link, filter: &str) -> Subscription {
    let stream = client.subscribe(filter, QoS::ExactlyOnce).streamed().send().await.unwrap();
    let line = link.receive().await;
    assert!(line.starts_with("SUBSCRIBE"), "{line}");
    link.suback(peer::number(&line), &[2]).await;
    stream
}

async fn read(reader: &mut PayloadReader) -> io::Result<String> {
    let mut text = String::new();
    reader.read_to_string(&mut text).await?;
    Ok(text)
}

/// The answer to a message that was taken.
async fn answered(link: &mut Link, qos: QoS, number: u16) {
    match qos {
        QoS::AtMostOnce => {}
        QoS::AtLeastOnce => link.expect(&format!("PUBACK #{number}")).await,
        QoS::ExactlyOnce => {
            link.expect(&format!("PUBREC #{number}")).await;
            link.ack(AckKind::Pubrel, number, ReasonCode::SUCCESS).await;
            link.expect(&format!("PUBCOMP #{number}")).await;
        }
    }
}

/// A small message is behind everything else.
async fn comes_next(link: &mut Link, stream: &mut Subscription) {
    link.publish("t", QoS::AtMostOnce, 0, "next").await;
    assert_eq!(next(stream).await, "t next");
}

#[test]
fn a_message_that_is_too_large_for_memory_is_read_as_it_arrives() {
    run(async || {
        for version in BOTH {
            let peer = Peer::new(version).await;
            let (client, mut link, mut stream) = subscribed(&peer, streaming(&peer)).await;
            for (qos, number) in QOS.into_iter().zip(5..) {
                let text = large(5_000);
                let bytes = link.encode(&peer::message("t", qos, number, false, &text));
                let (begins, rest) = bytes.split_at(1_000);
                link.send_bytes(begins).await;
                let message = stream.next().await.unwrap();
                assert_eq!((message.topic(), message.qos(), message.payload_len()), ("t", qos, 5_000));
                assert!(message.is_streamed() && message.payload().is_empty());
                let mut reader = message.reader();
                let mut first = [0; 900];
                reader.read_exact(&mut first).await.unwrap();
                assert_eq!(first, text.as_bytes()[..900]);
                assert_eq!(reader.remaining(), 4_100);

                link.send_bytes(&rest[..rest.len() - 1]).await;
                let mut most = vec![0; 4_099];
                reader.read_exact(&mut most).await.unwrap();
                others().await;
                link.expect_nothing();
                link.send_bytes(&rest[rest.len() - 1..]).await;
                others().await;
                link.expect_nothing(); // the last byte was not read
                assert_eq!(read(&mut reader).await.unwrap(), text[4_999..]);
                assert_eq!(read(&mut reader).await.unwrap(), "", "and that is the end");
                answered(&mut link, qos, number).await;
            }
            comes_next(&mut link, &mut stream).await;
            let statistics = client.statistics();
            assert_eq!(
                (statistics.received, statistics.skipped, statistics.dropped, statistics.abandoned),
                (4, 0, 0, 0)
            );
        }
    });
}

#[test]
fn a_small_message_is_read_in_the_same_way() {
    run(async || {
        let peer = Peer::new(V5).await;
        let (_client, mut link, mut stream) = subscribed(&peer, streaming(&peer)).await;
        link.publish("t", QoS::AtLeastOnce, 1, "small").await;
        let message = stream.next().await.unwrap();
        assert!(!message.is_streamed());
        assert_eq!(message.payload_len(), 5);
        let mut reader = message.reader();
        assert_eq!(reader.remaining(), 5);
        assert_eq!(read(&mut reader).await.unwrap(), "small");
        assert_eq!(read(&mut message.reader()).await.unwrap(), "small", "as often as is wanted");
    });
}

#[test]
fn a_message_cut_before_its_last_byte_comes_again_as_a_new_one() {
    run(async || {
        for version in BOTH {
            let peer = Peer::new(version).await;
            let (client, mut link, mut stream) = subscribed(&peer, streaming(&peer)).await;
            let text = large(150);
            for qos in AGAIN {
                let bytes = link.encode(&peer::message("t", qos, 7, false, &text));
                let head = bytes.len() - text.len();
                for count in (0..bytes.len()).filter(|count| count % 3 == 0 || count.abs_diff(head) < 2) {
                    link.send_bytes(&bytes[..count]).await;
                    if count >= head {
                        let message = stream.next().await.unwrap();
                        drop(link);
                        let mut reader = message.reader();
                        let mut before = Vec::new();
                        let error = reader.read_to_end(&mut before).await.unwrap_err();
                        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{count}");
                        assert_eq!(before, text.as_bytes()[..count - head], "what has arrived can be read");
                    } else {
                        others().await;
                        drop(link);
                    }
                    link = peer.welcome(true).await;
                    link.send(&peer::message("t", qos, 7, true, &text)).await;
                    let message = stream.next().await.unwrap();
                    assert_eq!(read(&mut message.reader()).await.unwrap(), text, "{count}");
                    answered(&mut link, qos, 7).await;
                }
            }
            comes_next(&mut link, &mut stream).await;
            assert_eq!(client.statistics().abandoned, 0);
        }
    });
}

#[test]
fn at_qos_2_it_comes_once() {
    // [v5 MQTT-4.3.3-10] trap Q1
    run(async || {
        for version in BOTH {
            let peer = Peer::new(version).await;
            let (_client, mut link, mut stream) = subscribed(&peer, streaming(&peer)).await;
            let text = large(3_000);
            let message = |dup| peer::message("t", QoS::ExactlyOnce, 7, dup, &text);
            link.send(&message(false)).await;
            let first = stream.next().await.unwrap();
            // All of it is here, and was not read: the broker asks again, on this connection and the next one.
            link.send(&message(true)).await;
            others().await;
            drop(link);
            let mut link = peer.welcome(true).await;
            link.send(&message(true)).await;
            assert_eq!(read(&mut first.reader()).await.unwrap(), text);
            link.expect("PUBREC #7").await;
            link.send(&message(true)).await;
            answered(&mut link, QoS::ExactlyOnce, 7).await;
            comes_next(&mut link, &mut stream).await;
        }
    });
}

#[test]
fn a_reader_that_does_not_want_the_rest_lets_it_be_skipped() {
    run(async || {
        for version in BOTH {
            let peer = Peer::new(version).await;
            let (client, mut link, mut stream) = subscribed(&peer, streaming(&peer)).await;
            let text = large(2_000_000);
            let mut abandoned = 0;
            for (qos, number) in QOS.into_iter().zip(5..) {
                for taken in [0, 1, 1_999, 500_000] {
                    let bytes = link.encode(&peer::message("t", qos, number, false, &text));
                    let skip = async {
                        let message = stream.next().await.unwrap();
                        let mut reader = message.reader();
                        drop(message);
                        let mut some = vec![0; taken];
                        reader.read_exact(&mut some).await.unwrap();
                        assert_eq!(some, text.as_bytes()[..taken]);
                        drop(reader);
                    };
                    let ((), ()) = tokio::join!(link.send_bytes(&bytes), skip);
                    answered(&mut link, qos, number).await;
                    abandoned += 1;
                }
            }
            comes_next(&mut link, &mut stream).await;
            let statistics = client.statistics();
            assert_eq!((statistics.received, statistics.abandoned, statistics.dropped), (13, abandoned, 0));
        }
    });
}

#[test]
fn reads_that_are_dropped_lose_nothing() {
    // trap C1
    run(async || {
        let peer = Peer::new(V5).await;
        let (_client, mut link, mut stream) = subscribed(&peer, streaming(&peer)).await;
        let text = large(3_000);
        for polls in 0..5 {
            let bytes = link.encode(&peer::message("t", QoS::AtLeastOnce, 7, false, &text));
            let mut pieces = bytes.chunks(500);
            let mut found = Vec::new();
            let message = loop {
                if let Some(message) = drop_after(polls, stream.next()).await {
                    break message.unwrap();
                }
                match pieces.next() {
                    Some(piece) => link.send_bytes(piece).await,
                    None => break stream.next().await.unwrap(),
                }
            };
            let mut reader = message.reader();
            while found.len() < text.len() {
                let mut some = [0; 70];
                match drop_after(polls, reader.read(&mut some)).await {
                    Some(len) => found.extend_from_slice(&some[..len.unwrap()]),
                    None => match pieces.next() {
                        Some(piece) => link.send_bytes(piece).await,
                        None => {
                            let len = reader.read(&mut some).await.unwrap();
                            found.extend_from_slice(&some[..len]);
                        }
                    },
                }
            }
            assert_eq!(found, text.as_bytes());
            link.expect("PUBACK #7").await;
        }
    });
}

#[test]
fn a_slow_reader_holds_up_the_broker_and_the_connection_lives() {
    // trap K1, K4: three keep alives
    run(async || {
        for version in BOTH {
            let peer = Peer::new(version).await;
            let clock = Clock::stop();
            let options = streaming(&peer).keep_alive(8).stall_timeout(LONG);
            let (client, mut link, mut stream) = subscribed(&peer, options).await;
            let text = large(25_000_000);
            let bytes = link.encode(&peer::message("t", QoS::AtLeastOnce, 7, false, &text));
            let mut sent = link.send_some(&bytes);
            let message = stream.next().await.unwrap();
            let mut reader = message.reader();
            for _ in 0..10 {
                clock.pass(Duration::from_secs(6)).await;
                // A PINGREQ, which waits for no answer.
                let line = link.receive().await;
                assert_eq!(line, "PINGREQ");
                for _ in 0..50 {
                    sent += link.send_some(&bytes[sent..]);
                    others().await;
                }
                reader.read_exact(&mut [0; 1_000]).await.unwrap();
            }
            assert!(sent < 20_000_000, "{sent} bytes went somewhere");
            assert_eq!(client.statistics().connections, 1);
            let rest = async {
                let mut rest = Vec::new();
                reader.read_to_end(&mut rest).await.unwrap();
                assert!(rest == text.as_bytes()[10_000..]);
            };
            let ((), ()) = tokio::join!(link.send_bytes(&bytes[sent..]), rest);
            loop {
                match link.receive().await.as_str() {
                    "PINGREQ" => {}
                    line => break assert_eq!(line, "PUBACK #7"),
                }
            }
            assert_eq!(client.statistics().connections, 1);
        }
    });
}

#[test]
fn a_reader_that_takes_nothing_for_too_long_loses_the_rest() {
    run(async || {
        for version in BOTH {
            let peer = Peer::new(version).await;
            let clock = Clock::stop();
            let (client, mut link, mut stream) = subscribed(&peer, streaming(&peer).keep_alive(0)).await;
            let text = large(2_000_000);
            for (qos, number) in QOS.into_iter().zip(5..) {
                let bytes = link.encode(&peer::message("t", qos, number, false, &text));
                let sent = link.send_some(&bytes);
                let message = stream.next().await.unwrap();
                let dropped = client.statistics().dropped;
                let ((), took) = clock.until_over(until(|| client.statistics().dropped > dropped)).await;
                assert!(took >= Duration::from_secs(29) && took < Duration::from_secs(31), "{took:?}");
                link.send_bytes(&bytes[sent..]).await;
                answered(&mut link, qos, number).await;
                let mut begin = Vec::new();
                let error = message.reader().read_to_end(&mut begin).await.unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::TimedOut);
                assert!(!begin.is_empty() && begin.len() < 400_000, "{}", begin.len());
            }
            assert_eq!(client.statistics().dropped, 3);
            comes_next(&mut link, &mut stream).await;
        }
    });
}

#[test]
fn a_full_stream_is_waited_for() {
    run(async || {
        let peer = Peer::new(V5).await;
        let clock = Clock::stop();
        let (client, mut link, mut stream) = {
            let (client, mut link) = peer.connect(streaming(&peer)).await;
            let stream = client.subscribe("t", QoS::ExactlyOnce).streamed().capacity(1).send().await.unwrap();
            let line = link.receive().await;
            link.suback(peer::number(&line), &[2]).await;
            (client, link, stream)
        };
        let text = large(1_000);
        let large = peer::message("t", QoS::AtLeastOnce, 7, false, &text);
        link.publish("t", QoS::AtMostOnce, 0, "first").await;
        link.send(&large).await;
        clock.pass(Duration::from_secs(20)).await;
        assert_eq!(next(&mut stream).await, "t first");
        assert_eq!(read(&mut stream.next().await.unwrap().reader()).await.unwrap(), text);
        link.expect("PUBACK #7").await;

        link.publish("t", QoS::AtMostOnce, 0, "first").await;
        link.send(&large).await;
        let ((), took) = clock.until_over(link.expect("PUBACK #7")).await;
        assert!(took >= Duration::from_secs(29) && took < Duration::from_secs(31), "{took:?}");
        assert_eq!(client.statistics().dropped, 1);
        assert_eq!(next(&mut stream).await, "t first");
        comes_next(&mut link, &mut stream).await;
    });
}

#[test]
fn each_stream_has_its_reader() {
    run(async || {
        for version in BOTH {
            let peer = Peer::new(version).await;
            let (client, mut link, mut stream) = subscribed(&peer, streaming(&peer)).await;
            let mut other = subscribe(&client, &mut link, "#").await;
            let text = large(700_000);
            let bytes = link.encode(&peer::message("t", QoS::ExactlyOnce, 7, false, &text));
            let reading = async {
                let (fast, slow) = (stream.next().await.unwrap(), other.next().await.unwrap());
                let mut some = vec![0; 200_000];
                fast.reader().read_exact(&mut some).await.unwrap();
                // Both have to read for the rest to come.
                let fast = tokio::spawn(async move { read(&mut fast.reader()).await.unwrap() });
                others().await;
                assert!(!fast.is_finished());
                assert_eq!(read(&mut slow.reader()).await.unwrap(), text);
                assert_eq!(fast.await.unwrap(), text[200_000..]);
            };
            let ((), ()) = tokio::join!(link.send_bytes(&bytes), reading);
            answered(&mut link, QoS::ExactlyOnce, 7).await;
            // One that does not want it does not keep the other one from it.
            let reading = async {
                drop(other);
                assert_eq!(read(&mut stream.next().await.unwrap().reader()).await.unwrap(), text);
            };
            let bytes = link.encode(&peer::message("t", QoS::ExactlyOnce, 8, false, &text));
            let ((), ()) = tokio::join!(link.send_bytes(&bytes), reading);
            answered(&mut link, QoS::ExactlyOnce, 8).await;
        }
    });
}

#[test]
fn a_stream_that_is_not_made_for_it_does_not_get_it() {
    run(async || {
        for version in BOTH {
            let peer = Peer::new(version).await;
            let options = peer.options().maximum_packet_size(BUFFER).streaming();
            let (client, mut link) = peer.connect(options).await;
            let mut whole = client.subscribe("t", QoS::ExactlyOnce).send().await.unwrap();
            link.grant("t q2").await;
            let text = large(1_000);
            for (qos, number) in QOS.into_iter().zip(5..) {
                link.send(&peer::message("t", qos, number, false, &text)).await;
                answered(&mut link, qos, number).await;
                link.send(&peer::message("nobody", qos, number, false, &text)).await;
                answered(&mut link, qos, number).await;
            }
            comes_next(&mut link, &mut whole).await;
            assert_eq!((client.statistics().received, client.statistics().skipped), (1, 6));
            // Beside one that is.
            let mut stream = subscribe(&client, &mut link, "t").await;
            link.send(&peer::message("t", QoS::AtLeastOnce, 9, false, &text)).await;
            assert_eq!(read(&mut stream.next().await.unwrap().reader()).await.unwrap(), text);
            link.expect("PUBACK #9").await;
            assert_eq!((client.statistics().received, client.statistics().skipped), (2, 7));
            comes_next(&mut link, &mut whole).await;
        }
    });
}

#[test]
fn a_kept_message_waits_for_its_stream() {
    run(async || {
        for version in BOTH {
            for qos in AGAIN {
                let peer = Peer::new(version).await;
                let clock = Clock::stop();
                let options = streaming(&peer).keep_alive(0);
                let (client, mut link) = tokio::join!(Client::connect(options), peer.welcome(true));
                let client = client.unwrap();
                let text = large(1_000);
                link.send(&peer::message("t", qos, 7, false, &text)).await;
                clock.pass(Duration::from_secs(10)).await;
                let mut stream = client.subscribe("t", qos).streamed().send().await.unwrap();
                assert_eq!(read(&mut stream.next().await.unwrap().reader()).await.unwrap(), text);
                let line = link.receive().await;
                assert!(line.starts_with("SUBSCRIBE"), "{line}");
                answered(&mut link, qos, 7).await;
                assert_eq!(client.statistics().skipped, 0);
                drop(client);
                drop(stream);

                // Not for ever.
                let (client, mut link) =
                    tokio::join!(Client::connect(streaming(&peer).keep_alive(0)), peer.welcome(true));
                link.send(&peer::message("t", qos, 7, false, &text)).await;
                let ((), took) = clock.until_over(answered(&mut link, qos, 7)).await;
                assert!(took >= Duration::from_secs(29) && took < Duration::from_secs(31), "{took:?}");
                assert_eq!(client.unwrap().statistics().skipped, 1);
            }
        }
    });
}

/// A stream whose messages are acknowledged by hand, and its connection.
async fn by_hand(peer: &Peer, options: Options) -> (Client, Link, Subscription) {
    let (client, mut link) = peer.connect(options).await;
    let subscribe = client.subscribe("t", QoS::ExactlyOnce).streamed().acknowledge(Acknowledge::ByHand);
    let stream = subscribe.send().await.unwrap();
    link.grant("t q2").await;
    (client, link, stream)
}

#[test]
fn by_hand_it_is_acknowledged_once_it_was_read_and_the_application_agrees() {
    run(async || {
        for version in BOTH {
            let peer = Peer::new(version).await;
            let (_client, mut link, mut stream) = by_hand(&peer, streaming(&peer)).await;
            let text = large(1_000);
            for (qos, number) in QOS.into_iter().zip(5..) {
                let bytes = link.encode(&peer::message("t", qos, number, false, &text));
                // When it agrees: before the last byte is here, before it was read, afterwards.
                for (here, read_first) in [(300, false), (bytes.len(), false), (bytes.len(), true)] {
                    link.send_bytes(&bytes[..here]).await;
                    let message = stream.next().await.unwrap();
                    let mut reader = message.reader();
                    others().await;
                    if read_first {
                        assert_eq!(read(&mut reader).await.unwrap(), text);
                        others().await;
                        link.expect_nothing();
                        message.acknowledge().unwrap();
                    } else {
                        message.acknowledge().unwrap();
                        link.send_bytes(&bytes[here..]).await;
                        others().await;
                        link.expect_nothing();
                        assert_eq!(read(&mut reader).await.unwrap(), text);
                    }
                    answered(&mut link, qos, number).await;
                    assert_eq!(message.acknowledge().is_err(), qos != QoS::AtMostOnce, "once");
                }
            }
            comes_next(&mut link, &mut stream).await;
        }
    });
}

#[test]
fn by_hand_it_can_be_refused_at_its_end() {
    run(async || {
        let peer = Peer::new(V5).await;
        let (_client, mut link, mut stream) = by_hand(&peer, streaming(&peer)).await;
        let text = large(1_000);
        for (qos, answer) in [(QoS::AtLeastOnce, "PUBACK #7 97"), (QoS::ExactlyOnce, "PUBREC #7 97")] {
            let bytes = link.encode(&peer::message("t", qos, 7, false, &text));
            link.send_bytes(&bytes[..500]).await;
            let message = stream.next().await.unwrap();
            assert!(message.reject(ReasonCode::QUOTA_EXCEEDED).is_err(), "there is nothing to refuse yet");
            link.send_bytes(&bytes[500..]).await;
            assert_eq!(read(&mut message.reader()).await.unwrap(), text);
            message.reject(ReasonCode::QUOTA_EXCEEDED).unwrap();
            link.expect(answer).await;
            assert!(message.acknowledge().is_err());
        }
        comes_next(&mut link, &mut stream).await;
    });
}

#[test]
fn by_hand_what_was_not_agreed_to_comes_again() {
    run(async || {
        for version in BOTH {
            let peer = Peer::new(version).await;
            let (_client, mut link, mut stream) = by_hand(&peer, streaming(&peer)).await;
            let text = large(1_000);
            let message = |dup| peer::message("t", QoS::AtLeastOnce, 7, dup, &text);
            let bytes = link.encode(&message(false));
            for (here, readable) in [(500, 0), (500, 100), (bytes.len(), 0), (bytes.len(), 1_000)] {
                link.send_bytes(&bytes[..here]).await;
                let first = stream.next().await.unwrap();
                first.reader().read_exact(&mut vec![0; readable]).await.unwrap();
                drop(first);
                link.send_bytes(&bytes[here..]).await;
                others().await;
                link.expect_nothing();
                drop(link);
                link = peer.welcome(true).await;
                link.send(&message(true)).await;
                let second = stream.next().await.unwrap();
                assert_eq!(read(&mut second.reader()).await.unwrap(), text);
                second.acknowledge().unwrap();
                link.expect("PUBACK #7").await;
            }
            // Cut: there is nothing to acknowledge.
            link.send_bytes(&bytes[..500]).await;
            let cut = stream.next().await.unwrap();
            drop(link);
            assert!(read(&mut cut.reader()).await.is_err());
            assert!(cut.acknowledge().is_err());
        }
    });
}

#[test]
fn a_slow_reader_may_cost_the_connection_instead() {
    run(async || {
        for version in BOTH {
            let peer = Peer::new(version).await;
            let clock = Clock::stop();
            let (client, mut link) = peer.connect(streaming(&peer).keep_alive(0)).await;
            let subscribe = client.subscribe("t", QoS::ExactlyOnce).streamed().when_full(WhenFull::Disconnect);
            let mut stream = subscribe.send().await.unwrap();
            link.grant("t q2").await;
            let text = large(1_000_000);
            let bytes = link.encode(&peer::message("t", QoS::AtLeastOnce, 7, false, &text));
            let _ = link.send_some(&bytes);
            let message = stream.next().await.unwrap();
            let ((), took) = clock.until_over(link.expect("DISCONNECT 00")).await;
            assert!(took >= Duration::from_secs(29) && took < Duration::from_secs(31), "{took:?}");
            drop(link);
            let (mut link, _) = clock.until_over(peer.welcome(true)).await;
            let mut begin = Vec::new();
            let error = message.reader().read_to_end(&mut begin).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
            let again = link.encode(&peer::message("t", QoS::AtLeastOnce, 7, true, &text));
            let reading = async {
                let message = stream.next().await.unwrap();
                assert_eq!(read(&mut message.reader()).await.unwrap(), text);
            };
            let ((), ()) = tokio::join!(link.send_bytes(&again), reading);
            link.expect("PUBACK #7").await;
            assert_eq!(client.statistics().dropped, 0);
        }
    });
}

#[test]
fn the_end_of_the_client_ends_the_reading() {
    run(async || {
        for version in BOTH {
            let peer = Peer::new(version).await;
            let (client, mut link, mut stream) = subscribed(&peer, streaming(&peer)).await;
            let text = large(1_000);
            let bytes = link.encode(&peer::message("t", QoS::AtLeastOnce, 7, false, &text));
            link.send_bytes(&bytes[..500]).await;
            let message: Message = stream.next().await.unwrap();
            let mut reader = message.reader();
            let reading = async {
                let mut begin = Vec::new();
                (reader.read_to_end(&mut begin).await.unwrap_err().kind(), begin.len())
            };
            let (found, end) = tokio::join!(reading, client.shutdown(Duration::from_millis(50)));
            end.unwrap();
            assert_eq!(found, (io::ErrorKind::NotConnected, 500 - (bytes.len() - text.len())));
            assert_eq!(stream.next().await, None);
        }
    });
}

#[test]
fn a_stream_that_is_dropped_skips_what_it_was_given() {
    run(async || {
        let peer = Peer::new(V5).await;
        let (client, mut link, stream) = subscribed(&peer, streaming(&peer)).await;
        let text = large(2_000_000);
        let bytes = link.encode(&peer::message("t", QoS::ExactlyOnce, 7, false, &text));
        let sent = link.send_some(&bytes);
        others().await;
        drop(stream);
        link.send_bytes(&bytes[sent..]).await;
        answered(&mut link, QoS::ExactlyOnce, 7).await;
        assert_eq!(client.statistics().abandoned, 1);
    });
}

#[test]
fn the_test_kits_broker_brings_large_messages_too() {
    run(async || {
        let options = BrokerOptions::new().max_packet_size(20 << 20);
        let broker = Broker::start(options).await.unwrap();
        for version in BOTH {
            let options = super::support::options(&broker, version, "client").maximum_packet_size(1_000).streaming();
            let client = Client::connect(options).await.unwrap();
            let mut stream = client.subscribe("t", QoS::ExactlyOnce).streamed().await.unwrap();
            let text = large(5_000_000);
            for qos in QOS {
                let sent = client.publish_from("t", bytes::Bytes::from(text.clone())).qos(qos).send().await.unwrap();
                let message = stream.next().await.unwrap();
                assert_eq!(message.qos(), qos);
                assert!(read(&mut message.reader()).await.unwrap() == text);
                sent.await.unwrap();
            }
            end(client).await;
        }
    });
}

/// Reads, and says how far it is each time; `false`: it is cut half-way.
async fn arrives(message: &Message, text: &str, mut so_far: impl FnMut(usize)) -> bool {
    let (mut reader, mut found) = (message.reader(), Vec::new());
    let mut piece = vec![0; 50_000];
    loop {
        match reader.read(&mut piece).await {
            Ok(0) => break,
            Ok(len) => found.extend_from_slice(&piece[..len]),
            Err(_) => return false,
        }
        so_far(found.len());
        tokio::task::yield_now().await;
    }
    assert!(found == text.as_bytes(), "{} bytes", found.len());
    true
}

#[test]
fn whatever_is_cut_each_message_arrives_whole_and_once() {
    // trap Q7
    run(async || {
        let broker = Broker::start(BrokerOptions::new().max_packet_size(8 << 20)).await.unwrap();
        let payloads: Vec<_> = (0..6).map(|number| large(2_000_000 + 1_000 * number)).collect();
        for version in BOTH {
            let kept = |name| options(&broker, version, name).keep_session();
            let subscriber = kept("subscriber").maximum_packet_size(1_000).streaming();
            let subscriber = Client::connect(subscriber).await.unwrap();
            let mut stream = subscriber.subscribe("t", QoS::ExactlyOnce).streamed().await.unwrap();
            let publisher = Client::connect(kept("publisher")).await.unwrap();
            let mut receipts = Vec::new();
            for payload in &payloads {
                let source = bytes::Bytes::from(payload.clone());
                receipts.push(publisher.publish_from("t", source).qos(QoS::ExactlyOnce).send().await.unwrap());
            }
            let mut cuts = 0;
            for payload in &payloads {
                // At other places each time, and not for ever.
                let mut cut = |so_far: usize| {
                    if cuts < 20 && so_far > cuts * 389_000 % payload.len() {
                        let _ = broker.disconnect_client("publisher");
                        cuts += usize::from(broker.disconnect_client("subscriber"));
                    }
                };
                while !arrives(&stream.next().await.unwrap(), payload, &mut cut).await {}
            }
            for receipt in receipts {
                receipt.await.unwrap();
            }
            assert!(subscriber.statistics().connections > 2 && publisher.statistics().connections > 1);
            publisher.publish("t", "last").qos(QoS::ExactlyOnce).await.unwrap();
            assert_eq!(next(&mut stream).await, "t last", "nothing came twice");
            end(publisher).await;
            end(subscriber).await;
        }
    });
}

#[test]
fn a_payload_is_forwarded_as_it_arrives() {
    // trap C3
    const PUBACK: [u8; 4] = [0x40, 2, 0, 7];
    run(async || {
        for version in BOTH {
            let peer = Peer::new(version).await;
            let tight = streaming(&peer).in_flight(1).queue(1).stream_capacity(1);
            let (client, mut link, mut stream) = subscribed(&peer, tight).await;
            let text = large(1_000_000);
            let bytes = link.encode(&peer::message("t", QoS::AtLeastOnce, 7, false, &text));
            let (mut there, mut back) = (0, Vec::new());
            let forward = async {
                let message = stream.next().await.unwrap();
                let source = Source::once(message.reader(), message.payload_len() as u64);
                drop(message);
                client.publish_from("other", source).await.unwrap();
            };
            let cable = async {
                let head = if version == V5 { 12 } else { 11 };
                while back.len() < head + text.len() + PUBACK.len() {
                    there += link.send_some(&bytes[there..]);
                    back.extend(link.read_available());
                    tokio::task::yield_now().await;
                }
                assert!(back[head..].starts_with(text.as_bytes()));
                assert!(back.ends_with(&PUBACK), "once all was read");
            };
            let ((), ()) = tokio::join!(forward, cable);
            assert!(matches!(*client.status().borrow(), Status::Connected { .. }));
        }
    });
}
