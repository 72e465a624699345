//! Connects to a broker that protects itself, and says what is wrong where that fails.
//!
//! ```text
//! cargo run --example secure -- --ca ca.pem mqtts://broker.example
//! cargo run --example secure -- --ca ca.pem --cert pump.pem --key pump.key mqtts://broker.example
//! cargo run --example secure -- --user alice --password-file secret mqtts://broker.example
//! cargo run --example secure --features psk -- --psk pump-7:1f2e3d4c mqtts://broker.example
//! ```
//!
//! It connects, subscribes to a topic (`--topic`, by default `secure/test`), publishes to it at QoS 1, and waits for that to come
//! back (`--wait`, by default 3 s). Where it works:
//!
//! ```text
//! connected to mqtts://broker.example:8883 in 5.0: the broker is who it says, by an authority of ca.pem
//! may subscribe to secure/test
//! may publish to secure/test
//! may read secure/test
//! ```
//!
//! Where it does not, the one line is the library's message, and what it means:
//!
//! | what is wrong | the message has | how the program knows |
//! | --- | --- | --- |
//! | the broker's certificate is from somebody else's authority | `UnknownIssuer` | `TransportFault::CertificateNotTrusted` |
//! | it is for another name | `not valid for name` | `CertificateOfOther` |
//! | it has expired, or is not valid yet | `expired`, `not valid yet` | `CertificateExpired`, `CertificateNotYetValid` |
//! | the broker wants a certificate of ours | `CertificateRequired` or the like | `ClientCertificateRequired` |
//! | ours is from somebody else's authority | `UnknownCA` or the like | `ClientCertificateRefused` |
//! | a file is not there, or is none | its name | `Settings` |
//! | the broker does not know the pre-shared key | OpenSSL's words | `PskRefused` |
//! | TLS where there is none, or none where there is TLS | varies | `Tls`, `Io`, `Error::ConnectionLost` |
//! | user name or password are wrong | `Not authorized` and the like | `ConnectionError::Refused` |
//! | an access list forbids to publish, 5.0 | `Not authorized` | `Error::Rejected` |
//! | the same in 3.1.1, which cannot say so; or it forbids to read | nothing comes back | it did not come back |
//!
//! Secrets are no arguments, since all users of a machine see those: passwords come from files (or the address). A pre-shared key here
//! does not, for a demonstration.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use mqtt_examples::{Arguments, Interrupt, Result, end, run};
use mqtt_std::transport::TransportFault;
use mqtt_std::{Client, ConnectionError, Error, Options, ProtocolVersion, QoS, ReasonCode, Status};
use tokio::time::timeout;

const USAGE: &str = "secure [--ca FILE] [--cert FILE --key FILE] [--psk IDENTITY:HEX] [--user NAME] [--password-file FILE] \
    [--topic TOPIC] [--wait SECONDS] [BROKER]";

/// Nobody answers, or hangs up.
const WRONG_PORT: &str = "is that the address of a broker, and does it say whether TLS is spoken there?";

/// What the command line says.
#[derive(Default)]
struct Secrets {
    ca: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    psk: Option<String>,
    user: Option<String>,
}

fn main() -> ExitCode {
    run(check())
}

async fn check() -> Result<()> {
    let mut arguments = Arguments::new(USAGE);
    let (mut secrets, mut topic, mut wait) = (Secrets::default(), "secure/test".to_owned(), 3.0);
    while let Some(option) = arguments.option()? {
        match option.as_str() {
            "ca" => secrets.ca = Some(arguments.value()?),
            "cert" => secrets.certificate = Some(arguments.value()?),
            "key" => secrets.key = Some(arguments.value()?),
            "psk" => secrets.psk = Some(arguments.value()?),
            "user" => secrets.user = Some(arguments.value()?),
            "wait" => wait = arguments.value()?,
            "topic" => topic = arguments.value()?,
            _ => return Err(arguments.unknown(&option)),
        }
    }
    let options = arguments.broker()?;
    arguments.finish()?;
    let options = secrets.apply(options)?;
    let wait = Duration::try_from_secs_f64(wait).map_err(|error| format!("wait: {error}"))?;

    let mut interrupt = Interrupt::new()?;
    match interrupt.or(try_all(options, &topic, wait, &secrets)).await {
        Some(tried) => tried,
        None => Ok(()),
    }
}

/// Connects and tries what the broker allows.
async fn try_all(options: Options, topic: &str, wait: Duration, secrets: &Secrets) -> Result<()> {
    let client = Client::connect(options).await.map_err(|error| explained(&error))?;
    let Status::Connected { server, version, .. } = client.status().borrow().clone() else {
        return Err("the connection is lost at once".into());
    };
    let in_version = if version == ProtocolVersion::V5_0 { "5.0" } else { "3.1.1" };
    let safety = if server.scheme().has_tls() { secrets.proof() } else { "nothing is encrypted".to_owned() };
    println!("connected to {server} in {in_version}: {safety}");

    let subscribed = client.subscribe(topic, QoS::AtLeastOnce).await;
    let mut messages = subscribed.map_err(|error| format!("may not subscribe to {topic}: {}", explained(&error)))?;
    println!("may subscribe to {topic}");
    let published = client.publish(topic, "it works").qos(QoS::AtLeastOnce).await;
    published.map_err(|error| format!("may not publish to {topic}: {}", explained(&error)))?;
    let said = if version == ProtocolVersion::V5_0 { "may publish to" } else { "may perhaps publish to" };
    println!("{said} {topic}");
    match timeout(wait, messages.next()).await {
        Ok(Some(_)) => println!("may read {topic}"),
        Ok(None) => return Err("the client has ended".into()),
        Err(_) if version == ProtocolVersion::V5_0 => {
            return Err(format!("may not read {topic}: the broker has the message, and does not send it").into());
        }
        Err(_) => {
            return Err(format!(
                "may not publish to {topic}, or not read it: nothing has come back, and 3.1.1 has no way to say why"
            )
            .into());
        }
    }
    end(&client).await
}

/// An error, and what it means.
fn explained(error: &Error) -> String {
    let meaning = match error {
        Error::Transport(error) => match error.fault() {
            TransportFault::CertificateNotTrusted => {
                "nobody who is trusted vouches for the broker: is --ca the right one?"
            }
            TransportFault::CertificateOfOther => {
                "the broker is somebody else: is the name in the address the right one?"
            }
            TransportFault::CertificateExpired => {
                "the broker's certificate has had its time, or the clock here is wrong"
            }
            TransportFault::CertificateNotYetValid => "the clock here is wrong, or the certificate is for later",
            TransportFault::CertificateInvalid => "the broker's certificate is no good",
            TransportFault::ClientCertificateRequired => "the broker wants to know who this is: --cert and --key",
            TransportFault::ClientCertificateRefused => "the broker does not accept the certificate of --cert",
            TransportFault::PskRefused => "the broker does not know this identity, or its key is another one",
            TransportFault::Settings => "a file or an option cannot be used",
            TransportFault::Tls => {
                "the two do not agree on TLS: is it spoken at that port, with certificates or with keys?"
            }
            TransportFault::NameNotResolved => "nobody knows a host of that name",
            _ => WRONG_PORT,
        },
        Error::ConnectionLost | Error::Connection(ConnectionError::Decode(_)) => WRONG_PORT,
        Error::Connection(ConnectionError::Refused(
            ReasonCode::NOT_AUTHORIZED | ReasonCode::BAD_USER_NAME_OR_PASSWORD,
        )) => "user name or password are missing, or wrong",
        Error::Rejected(answer) if *answer == ReasonCode::NOT_AUTHORIZED => "an access list of the broker forbids it",
        _ => return error.to_string(),
    };
    format!("{error}; {meaning}")
}

impl Secrets {
    /// Puts them into the options.
    fn apply(&self, mut options: Options) -> Result<Options> {
        if let Some(name) = &self.user {
            options = options.user_name(name);
        }
        match (&self.psk, self.has_certificates()) {
            (None, false) => Ok(options),
            (None, true) => self.apply_certificates(options),
            (Some(psk), false) => apply_psk(options, psk),
            (Some(_), true) => {
                Err("a pre-shared key stands in the place of certificates: no --ca, --cert or --key".into())
            }
        }
    }

    fn has_certificates(&self) -> bool {
        self.ca.is_some() || self.certificate.is_some() || self.key.is_some()
    }

    #[cfg(feature = "tls")]
    fn apply_certificates(&self, options: Options) -> Result<Options> {
        let mut tls = mqtt_std::transport::Tls::new();
        if let Some(path) = &self.ca {
            tls = tls.ca_file(path);
        }
        match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => tls = tls.client_certificate_files(certificate, key),
            (None, None) => {}
            _ => return Err("--cert and --key go together".into()),
        }
        Ok(options.tls(tls))
    }

    #[cfg(not(feature = "tls"))]
    fn apply_certificates(&self, _: Options) -> Result<Options> {
        Err("this build has no certificates: it needs the feature tls".into())
    }

    /// Why the broker is believed to be who it is.
    fn proof(&self) -> String {
        match (&self.psk, &self.ca) {
            (Some(_), _) => "the broker has the pre-shared key".to_owned(),
            (None, Some(path)) => format!("the broker is who it says, by an authority of {}", path.display()),
            (None, None) => "the broker is who it says, by an authority that the system trusts".to_owned(),
        }
    }
}

#[cfg(feature = "psk")]
fn apply_psk(options: Options, psk: &str) -> Result<Options> {
    let (identity, hex) = psk.split_once(':').ok_or("--psk IDENTITY:HEX")?;
    let digits: Option<Vec<u32>> = hex.chars().map(|digit| digit.to_digit(16)).collect();
    let digits = digits.filter(|digits| !digits.is_empty() && digits.len() % 2 == 0);
    let digits = digits.ok_or("--psk: the key is no hexadecimal number of whole bytes")?;
    let key: Vec<u8> = digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect();
    Ok(options.psk(mqtt_std::transport::Psk::new(identity, key)))
}

#[cfg(not(feature = "psk"))]
fn apply_psk(_: Options, _: &str) -> Result<Options> {
    Err("this build has no pre-shared keys: it needs the feature psk".into())
}
