//! What is printed has no secrets.

use mqtt_std::{Client, Credentials, Options};

use super::support::*;

#[test]
fn no_password_is_shown() {
    run(async || {
        let url = "mqtt://alice:s3cret@127.0.0.1:1?client_id=pump-7";
        let options: Options = url.parse().unwrap();
        let shown = format!("{options:?} {:?}", options.clone().password("s3cret"));
        assert!(!shown.contains("s3cret") && shown.contains("pump-7"), "{shown}");

        let nobody = Reserved::new();
        let options = nobody.options().user_name("alice").password("s3cret");
        let client = Client::connect_retrying(options.clone()).unwrap();
        let waiting = status(&client, is_waiting).await;
        let error = Client::connect(options).await.unwrap_err();
        let publish = client.publish("t", "x");
        let shown = format!("{client:?} {waiting:?} {error:?} {error} {publish:?}");
        assert!(!shown.contains("s3cret"), "{shown}");

        let credentials = Credentials::new("alice").password("s3cret");
        let shown = format!("{credentials:?}");
        assert!(!shown.contains("s3cret") && shown.contains("alice"), "{shown}");
        let options = nobody.options().credentials(move |_| {
            let credentials = credentials.clone();
            async move { Ok::<_, std::io::Error>(credentials) }
        });
        #[cfg(feature = "scram")]
        let options = {
            let user = mqtt_std::authentication::ScramSha256::new("alice", "s3cret");
            assert!(!format!("{user:?}").contains("s3cret"));
            options.authenticator(user)
        };
        let client = Client::connect_retrying(options.clone()).unwrap();
        let waiting = status(&client, is_waiting).await;
        let shown = format!("{options:?} {client:?} {waiting:?}");
        assert!(!shown.contains("s3cret"), "{shown}");

        // As bytes neither.
        let error = "mqtt://alice:s3cret@".parse::<Options>().unwrap_err();
        let shown = format!("{error:?} {error}");
        assert!(!shown.contains("s3cret"), "{shown}");
    });
}
