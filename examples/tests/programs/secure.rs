//! `secure`

use std::path::Path;

use crate::support::{ALICE, Authority, Files, Mosquitto, Program, VERSIONS, example, free_port};

/// A broker that protects itself in several ways, and the files of a client.
struct Fortress {
    /// Nothing is protected.
    open: u16,
    tls: u16,
    /// Wants a certificate of the client's.
    mutual: u16,
    #[cfg(feature = "psk")]
    psk: u16,
    /// Wants alice and her password, and has an access list for her.
    credentials: u16,
    /// These show certificates that are no good.
    expired: u16,
    early: u16,
    files: Files,
    _broker: Mosquitto,
}

impl Fortress {
    fn start() -> Option<Self> {
        let (authority, files) = (Authority::new("the authority"), Files::new());
        for (name, issued) in [
            ("server", authority.server("localhost")),
            ("expired", authority.server_valid("localhost", 2001, 2002)),
            ("early", authority.server_valid("localhost", 2095, 2096)),
            ("client", authority.client("pump-7")),
            ("stranger", Authority::new("a stranger").client("pump-7")),
        ] {
            files.write(&format!("{name}.pem"), issued.certificate);
            files.write(&format!("{name}.key"), issued.key);
        }
        files.write("ca.pem", authority.pem());
        files.write("other.pem", Authority::new("another authority").pem());
        files.write_secret("password", "secret\n");
        files.write_secret("wrong", "Secret\n");
        let mut ports = [0; 7];
        let broker = Mosquitto::start_with(|port, directory| {
            let issued = files.path("");
            ports = [port, free_port(), free_port(), free_port(), free_port(), free_port(), free_port()];
            configuration(ports, directory, &issued)
        })?;
        let [open, tls, mutual, psk, credentials, expired, early] = ports;
        #[cfg(not(feature = "psk"))]
        let _ = psk;
        Some(Self {
            open,
            tls,
            mutual,
            #[cfg(feature = "psk")]
            psk,
            credentials,
            expired,
            early,
            files,
            _broker: broker,
        })
    }

    /// Runs the program; words that name a file of the client are its path.
    fn run(&self, port: u16, version: &str, arguments: &[&str]) -> Ended {
        let scheme = if [self.open, self.credentials].contains(&port) { "mqtt" } else { "mqtts" };
        self.run_at(&format!("{scheme}://localhost:{port}?version={version}"), arguments)
    }

    fn run_at(&self, url: &str, arguments: &[&str]) -> Ended {
        let mut command = example("secure");
        for &word in arguments {
            let path = self.files.path(word);
            if path.is_file() {
                command.arg(path)
            } else {
                command.arg(word)
            };
        }
        let ended = Program::start(command.arg(url)).end();
        Ended { code: ended.code, stdout: ended.stdout(), stderr: ended.stderr }
    }
}

struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ended {
    #[track_caller]
    fn works(self, safety: &str) {
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""), "{}", self.stdout);
        let lines: Vec<_> = self.stdout.lines().collect();
        assert!(lines[0].contains(safety), "{lines:?}");
        assert_eq!((lines.len(), lines[3]), (4, "may read secure/test"), "{lines:?}");
    }

    /// It ends with one line that says these words.
    #[track_caller]
    fn says(self, words: &[&str]) {
        assert_eq!((self.code, self.stderr.lines().count()), (Some(1), 1), "{}{}", self.stdout, self.stderr);
        for said in words {
            assert!(self.stderr.contains(said), "{said:?} is not in {}", self.stderr);
        }
    }
}

fn configuration(ports: [u16; 7], directory: &Path, issued: &Path) -> String {
    let [open, tls, mutual, psk, credentials, expired, early] = ports;
    let (data, issued) = (directory.display(), issued.display());
    std::fs::write(directory.join("passwords"), ALICE).unwrap();
    std::fs::write(directory.join("psk"), "pump-7:0123456789abcdef\n").unwrap();
    let access = "user alice\ntopic readwrite secure/#\ntopic read readable/#\ntopic write writable/#\n";
    std::fs::write(directory.join("access"), access).unwrap();
    let certificate =
        |name| format!("cafile {issued}/ca.pem\ncertfile {issued}/{name}.pem\nkeyfile {issued}/{name}.key\n");
    let server = certificate("server");
    format!(
        "user root\nlog_dest stderr\nlog_type all\nper_listener_settings true\n\
         listener {open} 127.0.0.1\nallow_anonymous true\n\
         listener {tls} 127.0.0.1\nallow_anonymous true\n{server}\
         listener {mutual} 127.0.0.1\nallow_anonymous true\n{server}require_certificate true\n\
         listener {psk} 127.0.0.1\nallow_anonymous true\npsk_hint hint\npsk_file {data}/psk\nuse_identity_as_username true\n\
         listener {credentials} 127.0.0.1\nallow_anonymous false\npassword_file {data}/passwords\nacl_file {data}/access\n\
         listener {expired} 127.0.0.1\nallow_anonymous true\n{}\
         listener {early} 127.0.0.1\nallow_anonymous true\n{}",
        certificate("expired"),
        certificate("early"),
    )
}

#[test]
fn a_private_authority_is_trusted_where_it_is_named_and_nobody_else() {
    let Some(broker) = Fortress::start() else { return };
    for version in VERSIONS {
        broker.run(broker.tls, version, &["--ca", "ca.pem"]).works("the broker is who it says, by an authority of ");
        let ended = broker.run(broker.tls, version, &["--ca", "other.pem"]);
        ended.says(&["UnknownIssuer", "is --ca the right one?"]);
    }
    broker.run(broker.tls, "5.0", &[]).says(&["UnknownIssuer", "nobody who is trusted"]);
    let address = broker.run_at(&format!("mqtts://127.0.0.1:{}", broker.tls), &["--ca", "ca.pem"]);
    address.says(&["not valid for name", "the broker is somebody else"]);
    broker.run(broker.expired, "5.0", &["--ca", "ca.pem"]).says(&["expired", "has had its time"]);
    broker.run(broker.early, "5.0", &["--ca", "ca.pem"]).says(&["not valid yet", "the clock here is wrong"]);
    broker.run(broker.tls, "5.0", &["--ca", "/nowhere/ca.pem"]).says(&["/nowhere/ca.pem", "cannot be used"]);
    broker.run(broker.tls, "5.0", &["--ca", "password"]).says(&["password", "cannot be used"]);
}

#[test]
fn a_certificate_says_who_the_client_is() {
    let Some(broker) = Fortress::start() else { return };
    for version in VERSIONS {
        let run = |arguments: &[&str]| broker.run(broker.mutual, version, &[&["--ca", "ca.pem"], arguments].concat());
        run(&["--cert", "client.pem", "--key", "client.key"]).works("by an authority of ");
        run(&[]).says(&["--cert and --key"]);
        run(&["--cert", "stranger.pem", "--key", "stranger.key"]).says(&["does not accept the certificate of --cert"]);
    }
    let run = |arguments: &[&str]| broker.run(broker.mutual, "5.0", &[&["--ca", "ca.pem"], arguments].concat());
    run(&["--cert", "client.pem", "--key", "stranger.key"]).says(&["cannot be used"]);
    run(&["--cert", "client.pem"]).says(&["--cert and --key go together"]);
}

#[test]
fn a_port_speaks_tls_or_does_not() {
    let Some(broker) = Fortress::start() else { return };
    broker.run(broker.open, "5.0", &[]).works("nothing is encrypted");
    let tls = format!("mqtts://localhost:{}", broker.open);
    broker.run_at(&tls, &["--ca", "ca.pem"]).says(&["TLS is spoken there"]);
    broker.run_at(&format!("mqtt://localhost:{}", broker.tls), &[]).says(&["TLS is spoken there"]);
    broker.run_at("mqtts://localhost:1", &[]).says(&["refused", "is that the address of a broker"]);
}

#[test]
fn user_name_and_password_are_accepted_or_not() {
    let Some(broker) = Fortress::start() else { return };
    for version in VERSIONS {
        let run = |arguments: &[&str]| broker.run(broker.credentials, version, arguments);
        run(&["--user", "alice", "--password-file", "password"]).works("nothing is encrypted");
        for arguments in [&["--user", "alice", "--password-file", "wrong"][..], &["--user", "bob"], &[]] {
            run(arguments).says(&["connection refused: ", "user name or password are missing, or wrong"]);
        }
    }
    let run = broker.run(broker.credentials, "5.0", &["--user", "alice", "--password-file", "/nowhere/password"]);
    run.says(&["/nowhere/password: No such file"]);
}

#[test]
fn an_access_list_forbids() {
    let Some(broker) = Fortress::start() else { return };
    let run = |version, topic| {
        let arguments = ["--user", "alice", "--password-file", "password", "--wait", "0.5", "--topic", topic];
        broker.run(broker.credentials, version, &arguments)
    };
    let ended = run("5.0", "readable/x");
    assert!(ended.stdout.ends_with("may subscribe to readable/x\n"), "{}", ended.stdout);
    ended.says(&["may not publish to readable/x: rejected by the broker: ", "an access list of the broker forbids it"]);
    let ended = run("5.0", "writable/x");
    assert!(ended.stdout.ends_with("may publish to writable/x\n"), "{}", ended.stdout);
    ended.says(&["may not read writable/x"]);
    // A broker of 3.1.1 acknowledges what it throws away.
    for topic in ["readable/x", "writable/x"] {
        let ended = run("3.1.1", topic);
        assert!(ended.stdout.ends_with(&format!("may perhaps publish to {topic}\n")), "{}", ended.stdout);
        ended.says(&[&format!("may not publish to {topic}, or not read it"), "3.1.1 has no way to say why"]);
    }
}

#[test]
#[cfg(feature = "psk")]
fn a_pre_shared_key_stands_in_the_place_of_certificates() {
    let Some(broker) = Fortress::start() else { return };
    for version in VERSIONS {
        let run = |psk| broker.run(broker.psk, version, &["--psk", psk]);
        run("pump-7:0123456789abcdef").works("the broker has the pre-shared key");
        run("pump-7:fedcba9876543210").says(&["its key is another one"]);
        run("pump-8:0123456789abcdef").says(&["does not know this identity"]);
        run("pump-7:xyz").says(&["no hexadecimal number"]);
        run("pump-7").says(&["--psk IDENTITY:HEX"]);
    }
    broker.run(broker.psk, "5.0", &["--psk", "a:00", "--ca", "ca.pem"]).says(&["in the place of certificates"]);
    broker.run(broker.psk, "5.0", &["--ca", "ca.pem"]).says(&["do not agree on TLS"]);
}

#[test]
#[cfg(not(feature = "psk"))]
fn without_the_feature_there_are_no_pre_shared_keys() {
    let ended = Program::start(example("secure").args(["--psk", "pump-7:00", "mqtts://localhost"])).end();
    assert_eq!((ended.code, ended.stderr.lines().count()), (Some(1), 1));
    assert!(ended.stderr.contains("it needs the feature psk"), "{}", ended.stderr);
}
