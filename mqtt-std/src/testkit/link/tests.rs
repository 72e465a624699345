//! Links in virtual time.

use core::time::Duration;
use std::io::ErrorKind;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use super::*;

const LONG: Duration = Duration::from_secs(3600);

/// All bytes until there are no more, and how it ended.
async fn rest(end: &mut LinkEnd) -> (Vec<u8>, Option<ErrorKind>) {
    let mut bytes = Vec::new();
    let result = end.read_to_end(&mut bytes).await;
    (bytes, result.err().map(|error| error.kind()))
}

#[tokio::test(start_paused = true)]
async fn bytes_arrive_in_order_both_ways_and_then_the_end() {
    for conditions in [
        Conditions::new(),
        Conditions::new().pieces(1),
        Conditions::new().random_pieces(7).seed(3),
        Conditions::new().capacity(1),
        Conditions::new().latency(Duration::from_millis(30)).jitter(Duration::from_millis(50)),
        Conditions::new().loss(300).retransmission(Duration::from_millis(100)).pieces(5),
        Conditions::new().bandwidth(1_000),
    ] {
        let (client, server, link) = Link::new(conditions);
        let (up, down): (Vec<u8>, Vec<u8>) = ((0..=255).collect(), (0..=99).rev().collect());
        let exchange = async |end: LinkEnd, bytes: &[u8]| {
            let (mut reader, mut writer) = tokio::io::split(end);
            let write = async {
                writer.write_all(bytes).await.unwrap();
                writer.shutdown().await.unwrap();
            };
            let mut read = Vec::new();
            let (result, ()) = tokio::join!(reader.read_to_end(&mut read), write);
            (read, result.err().map(|error| error.kind()))
        };
        let (at_client, at_server) = tokio::join!(exchange(client, &up), exchange(server, &down));
        assert_eq!(at_client, (down, None), "{conditions:?}");
        assert_eq!(at_server, (up, None), "{conditions:?}");
        assert_eq!((link.bytes(Direction::ToServer), link.bytes(Direction::ToClient)), (256, 100));
    }
}

#[tokio::test(start_paused = true)]
async fn latency_bandwidth_and_loss_take_their_time() {
    const MS: fn(u64) -> Duration = Duration::from_millis;
    for (conditions, len, takes) in [
        (Conditions::new().latency(MS(70)), 1000, MS(70)),
        (Conditions::new().bandwidth(10_000), 5_000, MS(500)),
        (Conditions::new().bandwidth(10_000).latency(MS(70)), 5_000, MS(570)),
        (Conditions::new().loss(1000).retransmission(MS(900)), 10, MS(900)),
    ] {
        let (mut client, mut server, _) = Link::new(conditions);
        let begun = Instant::now();
        client.write_all(&vec![1; len]).await.unwrap();
        server.read_exact(&mut vec![0; len]).await.unwrap();
        assert_eq!(begun.elapsed(), takes, "{conditions:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_late_holds_up_what_is_behind_it() {
    let (mut client, mut server, _) = Link::new(Conditions::new().loss(500).seed(1));
    let begun = Instant::now();
    let mut arrivals = Vec::new();
    for byte in 0..20 {
        client.write_all(&[byte]).await.unwrap();
    }
    for byte in 0..20 {
        assert_eq!(server.read_u8().await.unwrap(), byte);
        arrivals.push(begun.elapsed().as_millis());
    }
    // The first that is lost is late, and so is everything after it.
    assert!(arrivals.is_sorted() && arrivals.iter().all(|at| [0, 200].contains(at)), "{arrivals:?}");
    assert_eq!(arrivals.last(), Some(&200));
}

#[tokio::test(start_paused = true)]
async fn a_cut_lets_so_many_bytes_through_and_no_more() {
    for direction in [Direction::ToServer, Direction::ToClient] {
        for bytes in 0..=10_u64 {
            let (client, server, link) = Link::new(Conditions::new().cut_after(direction, bytes));
            let (mut writer, mut reader) = match direction {
                Direction::ToServer => (client, server),
                Direction::ToClient => (server, client),
            };
            let written = writer.write(&[7; 10]).await;
            assert_eq!(written.is_err(), bytes == 0);
            assert_eq!(rest(&mut reader).await, (vec![7; bytes as usize], Some(ErrorKind::ConnectionReset)));
            assert_eq!(writer.write(b"x").await.unwrap_err().kind(), ErrorKind::ConnectionReset);
            assert_eq!(rest(&mut writer).await.1, Some(ErrorKind::ConnectionReset));
            assert!(link.is_cut());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_cut_wakes_who_waits() {
    let (mut client, mut server, link) = Link::new(Conditions::new().capacity(4));
    let read = tokio::spawn(async move { rest(&mut server).await });
    let write = tokio::spawn(async move {
        let written = client.write_all(&[0; 4]).await;
        let more = client.read(&mut [0; 4]).await;
        (written.is_ok(), more.is_err())
    });
    tokio::task::yield_now().await;
    link.cut();
    assert_eq!(read.await.unwrap().1, Some(ErrorKind::ConnectionReset));
    assert_eq!(write.await.unwrap(), (true, true));
}

#[tokio::test(start_paused = true)]
async fn silence_tells_nobody_anything_until_it_ends() {
    let (mut client, mut server, link) = Link::new(Conditions::new().capacity(8));
    link.stall();
    client.write_all(&[1; 8]).await.unwrap();
    // The buffers are full.
    assert!(timeout(LONG, client.write_all(&[2; 8])).await.is_err());
    assert!(timeout(LONG, server.read_u8()).await.is_err());
    link.resume();
    assert_eq!(server.read_u8().await.unwrap(), 1);
    link.stall();
    drop(server);
    assert!(timeout(LONG, client.read_u8()).await.is_err(), "not even that the other end is gone");
    client.write_all(&[3]).await.unwrap();
    link.resume();
    assert_eq!(client.read_u8().await.unwrap_err().kind(), ErrorKind::UnexpectedEof);
    assert_eq!(client.write(&[4]).await.unwrap_err().kind(), ErrorKind::BrokenPipe);
}

#[tokio::test(start_paused = true)]
async fn a_link_may_fall_silent_after_so_many_bytes_and_in_one_direction() {
    let (mut client, mut server, link) = Link::new(Conditions::new().stall_after(Direction::ToServer, 3));
    client.write_all(&[1; 5]).await.unwrap();
    server.write_all(&[1; 5]).await.unwrap();
    server.read_exact(&mut [0; 3]).await.unwrap();
    assert!(timeout(LONG, server.read_u8()).await.is_err());
    assert!(timeout(LONG, client.read_u8()).await.is_err());
    link.resume();
    server.read_exact(&mut [0; 2]).await.unwrap();
    link.stall_one_way(Direction::ToServer);
    client.read_exact(&mut [0; 5]).await.unwrap();
    client.write_all(&[1]).await.unwrap();
    assert!(timeout(LONG, server.read_u8()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn one_seed_has_one_course() {
    let course = async |seed| {
        let conditions = Conditions::new().loss(300).jitter(Duration::from_millis(40)).random_pieces(9).seed(seed);
        let (mut client, mut server, _) = Link::new(conditions);
        let begun = Instant::now();
        let write = async {
            client.write_all(&[0; 300]).await.unwrap();
            drop(client);
        };
        let read = async {
            let mut course = Vec::new();
            loop {
                let len = server.read(&mut [0; 100]).await.unwrap();
                course.push((len, begun.elapsed()));
                if len == 0 {
                    return course;
                }
            }
        };
        tokio::join!(write, read).1
    };
    assert_eq!(course(1).await, course(1).await);
    assert_ne!(course(1).await, course(2).await);
}

#[tokio::test(start_paused = true)]
async fn a_network_connects_refuses_and_is_silent() {
    let network = Network::with(Conditions::new().latency(Duration::from_millis(50)));
    let begun = Instant::now();
    let mut client = network.connect().await.unwrap();
    assert_eq!(begun.elapsed(), Duration::from_millis(100), "a round trip");
    let mut server = network.accept().await;
    client.write_all(b"x").await.unwrap();
    assert_eq!(server.read_u8().await.unwrap(), b'x');

    network.set_reach(Reach::Refused);
    assert_eq!(network.connect().await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    network.set_reach(Reach::Silent);
    assert!(timeout(LONG, network.connect()).await.is_err());
    let (connected, ()) = tokio::join!(network.connect(), async { network.set_reach(Reach::Open) });
    assert!(connected.is_ok());
    assert_eq!((network.attempts(), network.links().len()), (4, 2));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_is_dropped_leaves_nothing_but_its_number() {
    let network = Network::with(Conditions::new().latency(Duration::from_millis(50)));
    assert!(timeout(Duration::from_millis(99), network.connect()).await.is_err());
    network.set_reach(Reach::Silent);
    assert!(timeout(LONG, network.connect()).await.is_err());
    assert_eq!((network.attempts(), network.links().len()), (2, 0));
    assert!(timeout(LONG, network.accept()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn reads_and_writes_that_are_dropped_lose_nothing() {
    let conditions = Conditions::new().random_pieces(5).latency(Duration::from_millis(3)).capacity(7);
    let (mut client, mut server, _) = Link::new(conditions);
    let bytes: Vec<u8> = (0..=255).collect();
    let write = async {
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            if let Ok(written) = timeout(Duration::from_millis(1), client.write(rest)).await {
                rest = &rest[written.unwrap()..];
            }
        }
        drop(client);
    };
    let read = async {
        let mut found = Vec::new();
        loop {
            match timeout(Duration::from_millis(1), server.read_buf(&mut found)).await {
                Ok(Ok(0)) => return found,
                Ok(read) => drop(read.unwrap()),
                Err(_) => {}
            }
        }
    };
    assert_eq!(tokio::join!(write, read).1, bytes);
}

#[tokio::test(start_paused = true)]
async fn an_accept_that_is_dropped_loses_no_connection() {
    let network = Network::new();
    for _ in 0..3 {
        assert!(timeout(LONG, network.accept()).await.is_err());
        let _client = network.connect().await.unwrap();
        let (one, two) = tokio::join!(network.accept(), async {
            network.connect().await.unwrap();
            network.accept().await
        });
        drop((one, two));
    }
}

#[tokio::test(start_paused = true)]
async fn conditions_may_be_for_the_next_link_only() {
    let network = Network::new();
    network.next_link(Conditions::new().cut_after(Direction::ToServer, 0));
    let (mut first, mut second) = (network.connect().await.unwrap(), network.connect().await.unwrap());
    assert!(first.write(b"x").await.is_err());
    assert!(second.write(b"x").await.is_ok());
}
