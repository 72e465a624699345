//! Two clients with one identifier.

use mqtt_std::{Backoff, Cause, Client, QoS, ReasonCode, Status};

use super::support::*;

#[test]
fn the_first_of_two_clients_with_one_identifier_does_not_fight() {
    run(ALL, Config::PLAIN, async |broker, version| {
        let slow = Backoff::new().minimum(3_600_000);
        let first = Client::connect(options(broker.port(), version, "client").backoff(slow)).await.unwrap();
        let second = connect(broker, version, "client").await;
        let taken_over = status(&first, |status| !is_connected(status)).await;
        match taken_over {
            // Mosquitto 2.0 tells nobody why, and 3.1.1 cannot.
            Status::Waiting { error: Cause::TakenOver { times: 1 }, explanation, .. } => {
                assert_eq!(explanation.unwrap().reason_code, ReasonCode::SESSION_TAKEN_OVER);
            }
            Status::Waiting { error: Cause::ConnectionLost | Cause::Transport(_), .. } => {}
            other => panic!("{other:?}"),
        }
        second.publish("t", "x").qos(QoS::AtLeastOnce).await.unwrap();
        end(second).await;
        assert_eq!(broker.count_at_end("New connection from"), 2);
    });
}

#[test]
fn two_clients_with_one_identifier_find_out_and_slow_down() {
    run(BOTH, Config::PLAIN, async |broker, version| {
        let brisk = Backoff::new().minimum(20).maximum(2_000).slow_minimum(20);
        let options = || options(broker.port(), version, "client").backoff(brisk);
        let (one, two) = (Client::connect(options()).await.unwrap(), Client::connect(options()).await.unwrap());
        let found = |status: &Status| matches!(status, Status::Waiting { error: Cause::TakenOver { .. }, .. });
        for client in [&one, &two] {
            status(client, found).await;
        }
        // They do not fight as fast as they can: each attempt lasts longer than the one before, in the mean.
        let slow = |status: &Status| matches!(status, Status::Waiting { attempt, .. } if *attempt >= 5);
        status(&one, slow).await;
        end(one).await;
        // Alone it has its peace.
        two.publish("t", "x").qos(QoS::AtLeastOnce).await.unwrap();
        end(two).await;
    });
}
