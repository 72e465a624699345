//! Calls that block, on threads of all kinds.

use core::cell::RefCell;
use core::time::Duration;
use std::io::Read;
use std::process::Command;

use mqtt_std::blocking::{Client, Subscription};
use mqtt_std::testkit::{Broker, BrokerOptions};
use mqtt_std::{Error, Message, Options, Outcome, ProtocolVersion, QoS, ReasonCode, Router, Status};
use tokio::runtime::{Builder, Runtime};

use super::support::*;

/// A broker on a runtime of its own, which no test blocks.
struct Elsewhere {
    broker: Option<Broker>,
    runtime: Runtime,
}

impl Elsewhere {
    fn new() -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let broker = Some(runtime.block_on(Broker::start(BrokerOptions::new())).unwrap());
        Self { broker, runtime }
    }

    fn broker(&self) -> &Broker {
        self.broker.as_ref().unwrap()
    }

    fn connect(&self, version: ProtocolVersion) -> Client {
        Client::connect(options(self.broker(), version, "client")).unwrap()
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        let _entered = self.runtime.enter();
        drop(self.broker.take());
    }
}

/// Everything in `test` is to be over in half a minute.
fn bounded(test: impl FnOnce() + Send + 'static) {
    run(async || tokio::task::spawn_blocking(test).await.unwrap());
}

fn in_time(stream: &mut Subscription) -> Option<Message> {
    stream.next_timeout(Duration::from_secs(20)).unwrap()
}

#[test]
fn the_verbs_are_those_of_the_asynchronous_client() {
    bounded(|| {
        let elsewhere = Elsewhere::new();
        for version in BOTH {
            let client = elsewhere.connect(version);
            let mut stream =
                client.subscribe("a/+", QoS::AtLeastOnce).and("b", QoS::ExactlyOnce).capacity(100).wait().unwrap();
            assert_eq!(stream.granted().len(), 2);
            let mut asked = client.subscribe("c", QoS::AtLeastOnce).send().unwrap();
            assert_eq!(asked.confirmed().unwrap(), [ReasonCode::GRANTED_QOS_1]);
            for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
                client.publish("a/x", "waited for").qos(qos).wait().unwrap();
                let receipt = client.publish("b", "accepted").qos(qos).send().unwrap();
                client.publish("b", "at once").qos(qos).try_send().unwrap().wait().unwrap();
                receipt.wait().unwrap();
                let received: Vec<_> = stream.by_ref().take(3).map(|message| line(&message)).collect();
                assert_eq!(received, ["a/x waited for", "b accepted", "b at once"], "{version:?} {qos:?}");
            }
            assert!(matches!(client.status(), Status::Connected { .. }));
            assert!(matches!(stream.next_timeout(Duration::ZERO), Err(Error::Timeout)));
            stream.unsubscribe().unwrap();
            client.publish("b", "nobody").qos(QoS::AtLeastOnce).wait().unwrap();
            assert_eq!(client.shutdown(LONG).unwrap().undelivered, 0);
            assert!(matches!(client.publish("a", "").wait(), Err(Error::Closed)));
            assert!(matches!(client.status(), Status::Closed { error: None, .. }));
        }
    });
}

/// More than a task of tokio's may do before it yields, without an end.
fn work(client: Client) {
    let mut stream = client.subscribe("t", QoS::AtLeastOnce).wait().unwrap();
    for number in 0..500 {
        client.publish("t", number.to_string()).qos(QoS::AtLeastOnce).wait().unwrap();
        assert_eq!(in_time(&mut stream).unwrap().payload_str().unwrap(), number.to_string());
    }
}

#[test]
fn a_payload_that_is_larger_than_memory_goes_both_ways() {
    bounded(|| {
        let elsewhere = Elsewhere::new();
        let text: Vec<u8> = (0..700_000_u32).map(|at| (at % 251) as u8).collect();
        for version in BOTH {
            let options = options(elsewhere.broker(), version, "client").maximum_packet_size(1_000).streaming();
            let client = Client::connect(options).unwrap();
            let mut stream = client.subscribe("t", QoS::AtLeastOnce).streamed().wait().unwrap();
            let source = bytes::Bytes::from(text.clone());
            let receipt = client.publish_from("t", source).qos(QoS::AtLeastOnce).send().unwrap();
            let message = in_time(&mut stream).unwrap();
            let mut reader = client.reader(&message);
            assert_eq!(reader.remaining(), text.len());
            let mut found = Vec::new();
            reader.read_to_end(&mut found).unwrap();
            assert!(found == text);
            receipt.wait().unwrap();
            assert_eq!(client.shutdown(LONG).unwrap().undelivered, 0);
        }
    });
}

#[test]
fn a_thread_of_a_runtime_may_block() {
    let elsewhere = Elsewhere::new();
    let options = options(elsewhere.broker(), V5, "client");
    // As with `#[tokio::main]`, of one thread.
    let main = options.clone();
    run(async || work(Client::connect(main).unwrap()));
    // A task among those of several threads.
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(runtime.spawn(async move { work(Client::connect(options).unwrap()) })).unwrap();
}

#[test]
fn dropped_it_says_disconnect_and_does_not_hang() {
    let elsewhere = Elsewhere::new();
    let options = options(elsewhere.broker(), V5, "client");
    let broker = elsewhere.broker();
    run({
        let options = options.clone();
        async || {
            let client = Client::connect(options).unwrap();
            let stream = client.subscribe("t", QoS::AtLeastOnce).wait().unwrap();
            let other = client.clone();
            drop((client, other));
            drop(stream);
        }
    });
    bounded(|| drop(Client::connect_retrying(options).unwrap()));
    bounded(|| drop(Client::connect_retrying(Options::new("192.0.2.1", 1883)).unwrap()));
    let begun = std::time::Instant::now();
    while broker.statistics().connections > 0 {
        assert!(begun.elapsed() < Duration::from_secs(20), "a client is still there");
        std::thread::yield_now();
    }
}

#[test]
fn a_broker_that_is_not_there_is_an_error_at_once() {
    run(async || {
        let nobody = Reserved::new();
        assert!(matches!(Client::connect(nobody.options()), Err(Error::Transport(_))));
        assert!(matches!(Client::connect("gopher://localhost"), Err(Error::InvalidUrl(_))));
    });
}

#[test]
fn every_wait_has_its_end() {
    run(async || {
        let nobody = Reserved::new();
        let client = Client::connect_retrying(nobody.options()).unwrap();
        let short = Duration::from_millis(20);
        let mut receipt = client.publish("t", "x").qos(QoS::AtLeastOnce).send().unwrap();
        assert!(matches!(receipt.wait_timeout(short), Err(Error::Timeout)));
        assert!(matches!(client.publish("t", "x").qos(QoS::ExactlyOnce).wait_timeout(short), Err(Error::Timeout)));
        assert!(matches!(client.subscribe("t", QoS::AtLeastOnce).wait_timeout(short), Err(Error::Timeout)));
        assert!(matches!(client.status_timeout(is_connected, short), Err(Error::Timeout)));
        let mut stream = client.subscribe("t", QoS::AtLeastOnce).send().unwrap();
        assert!(matches!(stream.next_timeout(short), Err(Error::Timeout)));
        assert_eq!(client.shutdown(short).unwrap().undelivered, 2);
        assert!(matches!(receipt.wait_timeout(short), Err(Error::NotDelivered(Outcome::NotSent | Outcome::Unknown))));
        assert_eq!(stream.next(), None);
        assert!(matches!(client.status_timeout(is_connected, LONG), Err(Error::Closed)));
    });
}

#[test]
fn a_wait_of_the_thread_for_itself_is_an_error() {
    bounded(|| {
        let elsewhere = Elsewhere::new();
        let client = elsewhere.connect(V5);
        let inside = client.clone();
        let spawning = async move { tokio::spawn(async move { inside.publish("t", "x").wait() }).await.unwrap() };
        assert!(matches!(client.wait(spawning), Ok(Err(Error::Deadlock))));
        // Time passes there.
        client.wait(tokio::time::sleep(Duration::from_millis(1))).unwrap();
    });
}

#[test]
fn many_threads_share_a_client_and_a_shutdown_ends_them_all() {
    bounded(|| {
        let elsewhere = Elsewhere::new();
        let client = elsewhere.connect(V5);
        let threads: Vec<_> = (0..4)
            .map(|number| {
                let client = client.clone();
                let stream = client.subscribe(format!("{number}/#"), QoS::AtLeastOnce).wait().unwrap();
                std::thread::spawn(move || {
                    for round in 0..20 {
                        let topic = format!("{number}/{round}");
                        client.publish(topic, "x").qos(QoS::AtLeastOnce).wait().unwrap();
                    }
                    drop(client);
                    stream.count()
                })
            })
            .collect();
        let begun = std::time::Instant::now();
        while client.statistics().received < 80 {
            assert!(begun.elapsed() < Duration::from_secs(20));
            std::thread::yield_now();
        }
        client.shutdown(LONG).unwrap();
        for thread in threads {
            assert_eq!(thread.join().unwrap(), 20);
        }
    });
}

fn tight(options: Options) -> Options {
    options.in_flight(1).queue(1).stream_capacity(1).stall_timeout(LONG)
}

#[test]
fn every_message_can_be_forwarded_from_the_receive_loop_and_from_a_handler() {
    // traps C3, C4
    bounded(|| {
        const QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];
        let elsewhere = Elsewhere::new();
        for version in BOTH {
            let forwarder = Client::connect(tight(options(elsewhere.broker(), version, "forwarder"))).unwrap();
            let outside = Client::connect(options(elsewhere.broker(), version, "outside")).unwrap();
            for qos in QOS {
                let mut inside = forwarder.subscribe("in", qos).wait().unwrap();
                let mut forwarded = outside.subscribe("out", qos).wait().unwrap();
                for number in 0..20 {
                    drop(outside.publish("in", number.to_string()).qos(qos).send().unwrap());
                }
                for number in 0..20 {
                    let message = in_time(&mut inside).unwrap();
                    forwarder.publish("out", message.payload_bytes()).qos(qos).wait().unwrap();
                    assert_eq!(line(&in_time(&mut forwarded).unwrap()), format!("out {number}"), "{qos:?}");
                }
            }
            // A handler on this thread may block it.
            let mut forwarded = outside.subscribe("out/+", QoS::ExactlyOnce).wait().unwrap();
            let publisher = forwarder.clone();
            let router = Router::new().on_sync(("in/{n}", QoS::ExactlyOnce), move |message, captures| {
                let topic = format!("out/{}", captures.get("n").unwrap_or_default());
                publisher.publish(topic, message.payload_bytes()).qos(QoS::ExactlyOnce).wait().map(drop)
            });
            let routing = forwarder.wait(router.unwrap().subscribe(forwarder.as_async())).unwrap().unwrap();
            for number in 0..20 {
                drop(outside.publish(format!("in/{number}"), "x").qos(QoS::ExactlyOnce).send().unwrap());
            }
            let over = forwarder.clone();
            let reader = std::thread::spawn(move || {
                let lines: Vec<_> = (0..20).map(|_| line(&in_time(&mut forwarded).unwrap())).collect();
                over.shutdown(LONG).unwrap();
                outside.shutdown(LONG).unwrap();
                lines
            });
            forwarder.wait(routing.run()).unwrap();
            let expected: Vec<_> = (0..20).map(|number| format!("out/{number} x")).collect();
            assert_eq!(reader.join().unwrap(), expected);
        }
    });
}

std::thread_local! {
    static OF_THE_THREAD: RefCell<Option<(Client, Subscription)>> = const { RefCell::new(None) };
}

#[test]
fn a_client_may_end_with_its_thread() {
    // In a process of its own: once a test has held the clock, tokio asks the thread for it, which has lost it by then.
    const ALONE: &str = "MQTT_STD_TEST_ALONE";
    if std::env::var_os(ALONE).is_none() {
        let mut alone = Command::new(std::env::current_exe().unwrap());
        let name = "blocking::a_client_may_end_with_its_thread";
        let output = alone.args(["--exact", name]).env(ALONE, "1").output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && text.contains("1 passed"),
            "{text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        return;
    }
    bounded(|| {
        let elsewhere = Elsewhere::new();
        let client = elsewhere.connect(V5);
        std::thread::spawn(move || {
            // It was there before whatever the client needs of the thread, so it goes behind that.
            OF_THE_THREAD.set(None);
            let stream = client.subscribe("t", QoS::AtLeastOnce).wait().unwrap();
            OF_THE_THREAD.set(Some((client, stream)));
        })
        .join()
        .unwrap();
    });
}
