//! Two clients with one Client Identifier.

use core::time::Duration;

use mqtt_std::{Backoff, Cause, Client, ReasonCode, Status};

use super::support::*;

#[test]
fn delays_grow_while_another_client_takes_the_session_over() {
    run(async || {
        let clock = Clock::stop();
        let peer = Peer::new(V5).await;
        let options = peer.options().backoff(Backoff::new()).keep_alive(30);
        let client = Client::connect_retrying(options).unwrap();
        let mut longest = Vec::new();
        for times in 1..=20 {
            let mut link = peer.welcome(false).await;
            status(&client, is_connected).await;
            // Both are patient: each connection would count as stable.
            clock.pass(Duration::from_secs(20)).await;
            link.disconnect(ReasonCode::SESSION_TAKEN_OVER, &[]).await;
            drop(link);
            let Status::Waiting { error, retry_in, explanation, .. } = status(&client, is_waiting).await else {
                panic!("not waiting")
            };
            assert_eq!(error, Cause::TakenOver { times });
            assert_eq!(explanation.unwrap().reason_code, ReasonCode::SESSION_TAKEN_OVER);
            longest.push(retry_in);
            clock.pass(retry_in).await;
        }
        assert!(longest.iter().all(|delay| *delay >= Duration::from_secs(10)), "{longest:?}");
        assert!(longest[4..].iter().any(|delay| *delay > Duration::from_secs(30)), "{longest:?}");
        // Once there was peace for a while it is forgotten.
        let mut link = peer.welcome(false).await;
        status(&client, is_connected).await;
        for _ in 0..20 {
            clock.pass(Duration::from_secs(31)).await;
            link.expect("PINGREQ").await;
            link.send(&mqtt_core::Packet::Pingresp).await;
            others().await;
        }
        link.disconnect(ReasonCode::SESSION_TAKEN_OVER, &[]).await;
        let Status::Waiting { error, .. } = status(&client, is_waiting).await else { panic!("not waiting") };
        assert_eq!(error, Cause::TakenOver { times: 1 });
    });
}

#[test]
fn in_3_1_1_it_is_found_out_by_closes_without_a_reason() {
    run(async || {
        let clock = Clock::stop();
        let peer = Peer::new(V3).await;
        let client = Client::connect_retrying(peer.options().backoff(Backoff::new())).unwrap();
        let mut delays = Vec::new();
        for times in 1..=20 {
            let link = peer.welcome(false).await;
            status(&client, is_connected).await;
            clock.pass(Duration::from_secs(2)).await;
            drop(link);
            let Status::Waiting { error, retry_in, .. } = status(&client, is_waiting).await else { panic!() };
            assert_eq!(error, if times < 3 { Cause::ConnectionLost } else { Cause::TakenOver { times } });
            delays.push(retry_in);
            clock.pass(retry_in).await;
        }
        assert!(delays[8..].iter().any(|delay| *delay > Duration::from_secs(20)), "{delays:?}");
    });
}

#[test]
fn a_client_can_be_told_to_leave_the_field() {
    run(async || {
        for version in BOTH {
            let peer = Peer::new(version).await;
            let client = Client::connect_retrying(peer.options().stop_when_taken_over()).unwrap();
            let times = if version == V5 { 1 } else { 3 };
            for _ in 0..times {
                let mut link = peer.welcome(false).await;
                if version == V5 {
                    link.disconnect(ReasonCode::SESSION_TAKEN_OVER, &[]).await;
                }
            }
            let end = status(&client, is_closed).await;
            assert!(
                matches!(end, Status::Closed { error: Some(Cause::TakenOver { times: found }), .. } if found == times),
                "{end:?}"
            );
        }
    });
}
