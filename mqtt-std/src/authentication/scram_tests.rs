//! SCRAM against the example of RFC 7677, and what a server can do wrong.

use super::*;

const SERVER_FIRST: &str = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
const SERVER_FINAL: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

fn user(password: &str) -> ScramSha256 {
    ScramSha256 { nonce: Some("rOprNGfwEbeRWgbNEkqO"), ..ScramSha256::new("user", password) }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn text(error: Box<dyn core::error::Error + Send + Sync>) -> ScramError {
    *error.downcast::<ScramError>().unwrap()
}

#[test]
fn the_example_of_rfc_7677_comes_out() {
    run(async {
        let mut scram = user("pencil").begin();
        assert_eq!(&*scram.start().await.unwrap(), b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let proof = scram.answer(SERVER_FIRST.into()).await.unwrap();
        let expected = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                        p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        assert_eq!(str::from_utf8(&proof), Ok(expected));
        scram.finish(SERVER_FINAL.into()).await.unwrap();
        // Each word once.
        assert_eq!(text(scram.finish(SERVER_FINAL.into()).await.unwrap_err()), ScramError::Message);
    });
}

#[test]
fn a_server_that_does_not_know_the_password_is_found_out() {
    run(async {
        for (last, error) in [
            ("v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", ScramError::ServerSignature),
            ("v=", ScramError::ServerSignature),
            ("", ScramError::Message),
            ("v=?", ScramError::Message),
            ("e=invalid-proof", ScramError::Refused),
        ] {
            let mut scram = user("pencil").begin();
            scram.start().await.unwrap();
            scram.answer(SERVER_FIRST.into()).await.unwrap();
            assert_eq!(text(scram.finish(last.into()).await.unwrap_err()), error, "{last}");
        }
        // One that skips the proof.
        let mut scram = user("pencil").begin();
        scram.start().await.unwrap();
        assert_eq!(text(scram.finish(SERVER_FINAL.into()).await.unwrap_err()), ScramError::Message);
    });
}

#[test]
fn a_challenge_that_is_not_right_is_refused_by_name() {
    run(async {
        for (first, error) in [
            ("r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", ScramError::Nonce),
            ("r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", ScramError::Nonce),
            ("r=rOprNGfwEbeRWgbNEkqO2,s=W22Z,i=4095", ScramError::Iterations),
            ("r=rOprNGfwEbeRWgbNEkqO2,s=W22Z,i=1000001", ScramError::Iterations),
            ("r=rOprNGfwEbeRWgbNEkqO2,s=W22Z,i=99999999999", ScramError::Message),
            ("r=rOprNGfwEbeRWgbNEkqO2,s=??,i=4096", ScramError::Message),
            ("m=ext,r=rOprNGfwEbeRWgbNEkqO2,s=W22Z,i=4096", ScramError::Message),
            ("r=rOprNGfwEbeRWgbNEkqO2,s=W22Z", ScramError::Message),
            ("", ScramError::Message),
        ] {
            let mut scram = user("pencil").begin();
            scram.start().await.unwrap();
            assert_eq!(text(scram.answer(first.into()).await.unwrap_err()), error, "{first}");
        }
        let mut scram = user("a\u{7}b").begin();
        scram.start().await.unwrap();
        assert_eq!(text(scram.answer(SERVER_FIRST.into()).await.unwrap_err()), ScramError::Text);
    });
}

#[test]
fn a_name_is_escaped_and_each_attempt_has_its_nonce() {
    run(async {
        let user = ScramSha256::new("a=b,c", "p");
        let (first, second) = (user.begin().start().await.unwrap(), user.begin().start().await.unwrap());
        assert!(first.starts_with(b"n,,n=a=3Db=2Cc,r="), "{first:?}");
        assert_ne!(first, second);
        assert!(!format!("{user:?}").contains("\"p\""));
    });
}

#[cfg(feature = "testkit")]
mod on_the_wire {
    use mqtt_core::{Auth, Connack, Packet, Properties, Property, ProtocolVersion, ReasonCode};

    use super::*;
    use crate::testkit::Peer;
    use crate::{Backoff, Client, Error, Options};

    const METHOD: Property<'_> = Property::AuthenticationMethod("SCRAM-SHA-256");

    fn data(properties: Properties<'_>) -> String {
        let found = properties.iter().find_map(|property| match property {
            Property::AuthenticationData(data) => Some(String::from_utf8(data.to_vec()).unwrap()),
            _ => None,
        });
        assert!(properties.iter().any(|property| property == METHOD));
        found.unwrap()
    }

    /// RFC 7677's example as CONNECT, AUTH, AUTH, CONNACK, with this end.
    async fn serve(peer: &Peer, server_final: &str) {
        let mut link = peer.accept().await.unwrap();
        let connect = link.receive().await.unwrap().unwrap();
        let Ok(Packet::Connect(connect)) = connect.packet() else { panic!("{connect}") };
        assert_eq!(data(connect.properties), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let properties = [METHOD, Property::AuthenticationData(SERVER_FIRST.as_bytes())];
        let properties = Properties::new(&properties);
        link.send(&Packet::Auth(Auth { reason_code: ReasonCode::CONTINUE_AUTHENTICATION, properties })).await.unwrap();
        let auth = link.receive().await.unwrap().unwrap();
        let Ok(Packet::Auth(auth)) = auth.packet() else { panic!("{auth}") };
        assert!(data(auth.properties).ends_with(",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="));
        let properties = [METHOD, Property::AuthenticationData(server_final.as_bytes())];
        let properties = Properties::new(&properties);
        let connack = Connack { session_present: false, reason_code: ReasonCode::SUCCESS, properties };
        link.send(&Packet::Connack(connack)).await.unwrap();
        let _ = link.receive().await;
    }

    #[test]
    fn a_client_and_a_server_prove_to_each_other_that_they_know_the_password() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            for (server_final, good) in
                [(SERVER_FINAL, true), ("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=", false)]
            {
                let peer = Peer::listen(ProtocolVersion::V5_0).await.unwrap();
                let options = Options::new("127.0.0.1", peer.address().unwrap().port())
                    .backoff(Backoff::new().minimum(3_600_000))
                    .authenticator(user("pencil"));
                let connect = async {
                    match Client::connect(options).await {
                        Ok(_) => assert!(good),
                        Err(Error::Authentication(error)) => assert!(!good && error.to_string().contains("SCRAM")),
                        Err(error) => panic!("{error:?}"),
                    }
                };
                tokio::join!(connect, serve(&peer, server_final));
            }
        });
    }
}
