//! Connections come and go.

use mqtt_embedded::{ConnectOptions, Options, ProtocolVersion, QoS, Runner, Status};

use crate::support::{Answer, Server, Small, Time, Wire, World};

#[test]
fn a_message_at_every_qos_is_delivered_in_both_versions() {
    for version in [ProtocolVersion::V5_0, ProtocolVersion::V3_1_1] {
        let (time, wire) = (Time::default(), Wire::default());
        let resources = Small::new(time.clone());
        let (mut receive, mut transmit) = ([0; 256], [0; 256]);
        let options = Options::new(ConnectOptions::new("pump-7").version(version));
        let mut runner = Runner::new(&resources, &mut receive, &mut transmit);
        let client = resources.client();
        let mut world = World::new(&time);
        let mut connector = wire.clone();
        world.spawn(async move {
            runner.run(&mut connector, &options, &mut crate::support::Dice).await.unwrap();
        });
        world.spawn(async move {
            let mut server = Server::accept(&wire, version, false).await;
            server.serve(|_| Answer::Acknowledge).await;
        });
        world.run(async {
            for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
                client.publish("cellar/pump", b"on").unwrap().qos(qos).deliver().await.unwrap();
            }
            client.shutdown(1_000).await;
            assert_eq!(client.status(), Status::Closed);
        });
    }
}
