//! User names and passwords.

use std::sync::{Arc, Mutex};

use mqtt_std::{
    Client, ConnectionError, Credentials, CredentialsRequest, Error, Options, Outcome, QoS, ReasonCode, Status,
};

use super::support::*;

#[test]
fn the_right_password_connects() {
    run(ALL, Config::CREDENTIALS, async |broker, version| {
        let alice = options(broker.port(), version, "client").user_name("alice").password("secret");
        let client = Client::connect(alice).await.unwrap();
        client.publish("t", "x").qos(QoS::AtLeastOnce).await.unwrap();
        end(client).await;

        let url = format!("mqtt://alice:secret@127.0.0.1:{}", broker.port());
        let client = Client::connect(url.parse::<Options>().unwrap().version(version)).await.unwrap();
        end(client).await;
    });
}

#[test]
fn a_wrong_password_is_told_and_not_tried_again() {
    // trap R3
    run(ALL, Config::CREDENTIALS, async |broker, version| {
        let options = || options(broker.port(), version, "client");
        for wrong in
            [options(), options().user_name("alice").password("x"), options().user_name("bob").password("secret")]
        {
            let error = Client::connect(wrong.clone()).await.unwrap_err();
            assert!(is_refused(&error), "{error:?}");

            let client = Client::connect_retrying(wrong).unwrap();
            // Perhaps it is over by now.
            let waiting = client.publish("t", "x").qos(QoS::AtLeastOnce).send().await;
            let end = status(&client, |status| matches!(status, Status::Closed { .. })).await;
            assert!(matches!(end, Status::Closed { error: Some(_), .. }), "{end:?}");
            if let Ok(receipt) = waiting {
                let outcome = receipt.await.unwrap_err();
                assert!(matches!(outcome, Error::NotDelivered(Outcome::NotSent)), "{outcome:?}");
            }
            assert!(matches!(client.publish("t", "x").await, Err(Error::Closed)));
        }
        assert_eq!(broker.count_at_end("New connection from"), 6, "each once");
    });
}

#[test]
fn a_provider_that_has_the_right_password_later_connects_then() {
    run(ALL, Config::CREDENTIALS, async |broker, version| {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let questions = Arc::clone(&asked);
        let options = options(broker.port(), version, "client").credentials(move |request: CredentialsRequest| {
            let mut questions = questions.lock().unwrap();
            questions.push(request.refused);
            let password = if questions.len() < 3 { "expired" } else { "secret" };
            async move { Ok::<_, Error>(Credentials::new("alice").password(password)) }
        });
        let client = Client::connect_retrying(options).unwrap();
        client.publish("t", "x").qos(QoS::AtLeastOnce).await.unwrap();
        let asked = core::mem::take(&mut *asked.lock().unwrap());
        assert_eq!(asked.len(), 3);
        assert!(asked[0].is_none() && asked[1..].iter().all(Option::is_some), "{asked:?}");
        end(client).await;
    });
}

fn is_refused(error: &Error) -> bool {
    let Error::Connection(ConnectionError::Refused(reason)) = error else { return false };
    // Mosquitto says "not authorised" to both.
    [ReasonCode::NOT_AUTHORIZED, ReasonCode::BAD_USER_NAME_OR_PASSWORD].contains(reason)
}
