//! As slow as it likes: each wait has an end.

use core::time::Duration;

use bytes::Bytes;
use mqtt_std::authentication::{Authenticator, Conversation, Judging, Saying};
use mqtt_std::{Cause, Client, QoS};
use tokio::time::Instant;

use super::support::*;

/// Sends these bytes, one a second; tells how many the client took.
async fn drip(wire: &mut Wire, bytes: &[u8]) -> usize {
    for (sent, byte) in bytes.iter().enumerate() {
        if !wire.write(&[*byte]).await {
            return sent;
        }
        tokio::time::sleep(SECOND).await;
    }
    bytes.len()
}

#[test]
fn a_greeting_in_drips_has_the_time_of_one() {
    for version in BOTH {
        run(async || {
            let lair = Lair::new(version);
            let client = Client::connect_retrying(lair.options()).unwrap();
            let mut wire = lair.accept().await;
            wire.packet().await;
            let begun = Instant::now();
            let reason = [0x1f, 0, 200].into_iter().chain([b'x'; 200]).collect::<Vec<_>>();
            let connack = packet(0x20, &[&[0, 0, 203, 1][..], &reason].concat());
            let (sent, cause) = tokio::join!(drip(&mut wire, &connack), end(&client));
            assert!(matches!(cause, Cause::Connection(_)), "{cause:?}");
            assert!(sent <= 11, "{sent} bytes");
            assert!(begun.elapsed() <= 12 * SECOND, "{:?}", begun.elapsed());
        });
    }
}

#[test]
fn a_message_in_drips_takes_no_memory_and_stops_neither_pings_nor_the_end() {
    for version in BOTH {
        let peak = peak(async || {
            let lair = Lair::new(version);
            let (client, mut wire) = lair.connect(lair.options().keep_alive(10), &[]).await;
            let (_stream, ()) = tokio::join!(client.subscribe("t", QoS::AtMostOnce), wire.grant());
            let head = [&[0x30][..], &length(16_000_000), &[0, 1, b't', 0]].concat();
            wire.write(&head).await;
            // Any byte is a sign of life: a long message may come over a slow link.
            assert_eq!(drip(&mut wire, &[7; 600]).await, 600);
            assert!(client.status().borrow().is_connected());
            let read = wire.read_for(Duration::from_millis(1)).await;
            assert!(read.chunks(2).filter(|packet| **packet == [0xc0, 0]).count() > 50, "PINGREQs");
            // Once nothing drips any more the link is dead.
            let silent = Instant::now();
            assert!(matches!(end(&client).await, Cause::Connection(_)));
            assert!(silent.elapsed() < 30 * SECOND, "{:?}", silent.elapsed());
        });
        assert!(peak < 512 * KIB, "{version:?}: {peak} bytes");
    }
    run(async || {
        let lair = Lair::new(V5);
        let (client, mut wire) = lair.connect(lair.options(), &[]).await;
        wire.write(&[&[0x30][..], &length(16_000_000), &[0, 1, b't', 0]].concat()).await;
        let begun = Instant::now();
        let dripping = drip(&mut wire, &[7; 1_000]);
        let (_, ended) = tokio::join!(dripping, client.shutdown(5 * SECOND));
        ended.unwrap();
        assert!(begun.elapsed() < 10 * SECOND, "{:?}", begun.elapsed());
    });
}

/// Has an answer to everything.
struct Patient;

impl Authenticator for Patient {
    fn method(&self) -> &'static str {
        "PATIENCE"
    }

    fn begin(&self) -> Box<dyn Conversation> {
        Box::new(Self)
    }
}

impl Conversation for Patient {
    fn start(&mut self) -> Saying<'_> {
        Box::pin(async { Ok(Bytes::from_static(b"hello")) })
    }

    fn answer(&mut self, data: Bytes) -> Saying<'_> {
        Box::pin(async { Ok(data) })
    }

    fn finish(&mut self, _: Bytes) -> Judging<'_> {
        Box::pin(async { Ok(()) })
    }
}

#[test]
fn questions_without_end_are_not_answered_without_end() {
    let method = b"PATIENCE";
    let properties = [&[0x15, 0, 8][..], method, &[0x16, 0, 3, b'w', b'h', b'y']].concat();
    let question = packet(0xf0, &[&[0x18][..], &length(properties.len()), &properties].concat());
    let peak = peak(async || {
        let lair = Lair::new(V5);
        let client = Client::connect_retrying(lair.options().authenticator(Patient)).unwrap();
        let mut wire = lair.accept().await;
        wire.packet().await;
        let begun = Instant::now();
        let asking = async {
            while wire.write(&question).await {
                tokio::time::sleep(SECOND / 10).await;
            }
        };
        let ((), cause) = tokio::join!(asking, end(&client));
        assert!(matches!(cause, Cause::Connection(_)), "{cause:?}");
        assert!(begun.elapsed() <= 12 * SECOND, "{:?}", begun.elapsed());
    });
    assert!(peak < 512 * KIB, "{peak} bytes");
}

#[test]
fn a_torrent_leaves_others_their_turn_to_the_very_end() {
    // PINGRESP after PINGRESP, also while the client waits for the broker to close.
    let answer = |_: &[u8]| Some(vec![0x20, 3, 0, 0, 0]);
    run(async || survive(Lair::new(V5).options(), answer, [0xd0, 0]).await);
}
