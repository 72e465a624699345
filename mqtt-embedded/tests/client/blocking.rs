//! Calls that block, in virtual time: what a call does between two looks is the Server's turn.

use std::cell::{Cell, RefCell};
use std::pin::{Pin, pin};
use std::task::{Context, Waker};

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embedded_io_async::ErrorKind;
use mqtt_embedded::blocking::{Client, Connector, PolledClock};
use mqtt_embedded::mqtt_core::{Connack, Packet, Properties};
use mqtt_embedded::{Error, Failure, Options, ProtocolVersion, QoS, ReasonCode, Resources, Runner, Sizes, Status};

use crate::support::{Answer, Dice, Server, VERSIONS, Wire, options};

type Clock<'a> = PolledClock<&'a dyn Fn() -> u64>;
type Memory = Sizes<2, 256, 2, 256, 128, 2, 16>;
type Blocking<'a, 'r> = Client<'a, 'r, NoopRawMutex, Clock<'a>, Memory, Run<'a>, &'r mut dyn FnMut()>;
type Run<'a> = dyn Future<Output = Result<(), Failure>> + 'a;

/// Lets an application block while a Server does its part; each look takes a millisecond.
fn play(
    options: Options<'_>,
    wire: &Wire,
    server: impl Future<Output = ()>,
    application: impl FnOnce(Blocking<'_, '_>, &Cell<u64>),
) {
    let now = Cell::new(0);
    let read = || now.get();
    let resources = Resources::<NoopRawMutex, _, Memory>::new(PolledClock::new(&read as &dyn Fn() -> u64));
    let mut connector = Connector::new(|| Ok::<_, ErrorKind>(wire.dial()));
    let (mut receive, mut transmit) = ([0; 256], [0; 256]);
    let mut runner = Runner::new(&resources, &mut receive, &mut transmit);
    let (mut server, mut over) = (pin!(server), false);
    let mut idle = || {
        now.set(now.get() + 1);
        assert!(now.get() < 10 * 60 * 1_000, "nothing has come of it in ten minutes");
        over = over || server.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
    };
    let mut random = Dice;
    let run: Pin<&mut Run<'_>> = pin!(runner.run(&mut connector, &options, &mut random));
    application(Client::new(resources.client(), run).idle(&mut idle as &mut dyn FnMut()), &now);
}

#[test]
fn a_client_that_blocks_publishes_subscribes_and_receives() {
    for version in VERSIONS {
        let wire = Wire::default();
        let server = async {
            let mut server = Server::accept(&wire, version, false).await;
            server.subscribed().await;
            server.publish_at_least_once("in", b"1", 1).await;
            server.serve(|_| Answer::Acknowledge).await;
        };
        play(options(version), &wire, server, |mut client, _| {
            client.connect(1_000).unwrap();
            let mut messages = client.subscribe("in", QoS::AtLeastOnce, 1_000).unwrap();
            let mut buffer = [0; 64];
            assert_eq!(client.receive(&mut messages, &mut buffer, 1_000).unwrap().payload(), b"1");
            assert_eq!(client.receive(&mut messages, &mut buffer, 1_000).unwrap_err(), Error::Timeout);
            for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
                let publish = client.publish("out", b"2").unwrap().qos(qos);
                client.wait(publish.deliver()).unwrap().unwrap();
            }
            let publish = client.as_async().publish_from("out", [3; 1_000].as_slice()).unwrap();
            client.wait(publish.qos(QoS::AtLeastOnce).deliver(&mut buffer)).unwrap().unwrap();
            client.shutdown(1_000);
            assert_eq!(client.end(), Some(Ok(())));
            assert_eq!(client.receive(&mut messages, &mut buffer, 1_000).unwrap_err(), Error::Closed);
            // What would never be resolved is not waited for.
            assert_eq!(client.wait(std::future::pending::<()>()), Err(Error::Closed));
        });
    }
}

#[test]
fn whoever_spends_time_in_the_client_keeps_the_connection_and_whoever_does_not_gets_another_one() {
    // [v5 MQTT-3.1.2-20] [v3 MQTT-3.1.2-23]
    for version in VERSIONS {
        let (wire, pings) = (Wire::default(), Cell::new(0));
        let link = RefCell::new(None);
        let server = async {
            loop {
                let mut server = Server::accept(&wire, version, false).await;
                *link.borrow_mut() = Some(server.wire.clone());
                server
                    .serve(|packet| {
                        pings.set(pings.get() + usize::from(matches!(packet, Packet::Pingreq)));
                        Answer::Acknowledge
                    })
                    .await;
            }
        };
        play(options(version), &wire, server, |mut client, now| {
            client.connect(1_000).unwrap();
            client.run(120_000);
            assert_eq!((pings.get(), client.as_async().statistics().connections), (5, 1), "{version:?}");
            // Away from it for too long, and the Server has closed the connection.
            now.set(now.get() + 46_000);
            link.take().unwrap().cut();
            client.run(200);
            assert_eq!(client.as_async().statistics().connections, 2);
            client.wait(client.publish("t", b"1").unwrap().qos(QoS::AtLeastOnce).deliver()).unwrap().unwrap();
        });
    }
}

#[test]
fn what_does_not_happen_in_time_is_told_and_goes_on() {
    let (wire, version) = (Wire::default(), ProtocolVersion::V5_0);
    let seen = RefCell::new(Vec::new());
    let server = async {
        let mut server = Server::connecting(&wire, version).await;
        let mut looks = 3_000;
        std::future::poll_fn(|_| {
            looks -= 1;
            if looks == 0 { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
        let (session_present, reason_code, properties) = (false, ReasonCode::SUCCESS, Properties::EMPTY);
        server.send(&Packet::Connack(Connack { session_present, reason_code, properties })).await;
        server
            .serve(|packet| {
                if let Packet::Publish(publish) = packet {
                    seen.borrow_mut().push(publish.payload.to_vec());
                }
                Answer::Acknowledge
            })
            .await;
    };
    play(options(version), &wire, server, |mut client, _| {
        assert_eq!(client.connect(1_000), Err(Error::Timeout));
        let publish = client.publish("t", b"accepted").unwrap().qos(QoS::AtLeastOnce);
        assert_eq!(client.wait_timeout(publish.deliver(), 1_000).unwrap_err(), Error::Timeout);
        let publish = client.publish("t", b"not connected").unwrap();
        assert_eq!(client.wait_timeout(publish.deliver(), 100).unwrap_err(), Error::Timeout);
        assert_eq!(client.subscribe("a", QoS::AtMostOnce, 100).unwrap_err(), Error::Timeout);
        client.connect(2_000).unwrap();
        client.run(100);
        assert_eq!(*seen.borrow(), [b"accepted"]);
    });
}

#[test]
fn a_client_that_gave_up_says_why() {
    let (wire, version) = (Wire::default(), ProtocolVersion::V5_0);
    let server = async {
        let mut server = Server::connecting(&wire, version).await;
        let (session_present, properties) = (false, Properties::EMPTY);
        let reason_code = ReasonCode::NOT_AUTHORIZED;
        server.send(&Packet::Connack(Connack { session_present, reason_code, properties })).await;
    };
    play(options(version), &wire, server, |mut client, _| {
        assert_eq!(client.connect(1_000), Err(Error::Closed));
        assert!(matches!(client.end(), Some(Err(Failure::Connection(_)))), "{:?}", client.end());
        assert_eq!(client.as_async().status(), Status::Closed);
    });
}
