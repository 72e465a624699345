//! A broker with listeners of every kind, and where the tools are.

use std::env;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{ALICE, Authority, Files, Mosquitto, free_port};

/// Mosquitto 2.1 with its clients, as `ci/brokers/mosquitto-2.1` installs it; `None`: it is not here, and not required.
pub(super) fn namesakes() -> Option<PathBuf> {
    let directory = env::var_os("MOSQUITTO_2_1").map_or_else(|| PathBuf::from("/var/tmp/mosquitto-2.1"), PathBuf::from);
    let bin = directory.join("bin");
    if bin.join("mosquitto_sub").is_file() {
        return Some(bin);
    }
    let required = env::var_os("MQTT_TEST_MOSQUITTO_2_1").is_some_and(|value| value == "required");
    assert!(!required, "MQTT_TEST_MOSQUITTO_2_1=required, and it is not in {}", directory.display());
    // Not through `eprintln!`, which is shown for failed tests only.
    std::io::stderr()
        .write_all(b"skipped in part: no Mosquitto 2.1 to compare with, see ci/brokers/mosquitto-2.1\n")
        .unwrap();
    None
}

/// Our tool with this name.
pub(super) fn ours(name: &str) -> &'static str {
    match name {
        "pub" => env!("CARGO_BIN_EXE_mqtt-pub"),
        "sub" => env!("CARGO_BIN_EXE_mqtt-sub"),
        _ => env!("CARGO_BIN_EXE_mqtt-rr"),
    }
}

/// A broker, and what scripts need to know of it.
pub(super) struct Everything {
    _broker: Mosquitto,
    pub(super) files: Files,
    pub(super) variables: Vec<(&'static str, String)>,
}

/// Listeners, by the variable that has the port, and what each has in the configuration.
const LISTENERS: [(&str, &str); 7] = [
    ("PORT", "allow_anonymous true"),
    ("PASSWORD_PORT", "allow_anonymous false\npassword_file {}/passwords"),
    ("LIMITED_PORT", "allow_anonymous true\nmax_qos 1"),
    ("TLS_PORT", "allow_anonymous true\ncafile {}/ca.pem\ncertfile {}/server.pem\nkeyfile {}/server.key"),
    ("WS_PORT", "protocol websockets\nallow_anonymous true"),
    ("PSK_PORT", "allow_anonymous true\npsk_hint hint\npsk_file {}/psk"),
    ("ACL_PORT", "allow_anonymous true\nacl_file {}/acl"),
];

impl Everything {
    /// With this program, or the one that the system has.
    pub(super) fn start(program: Option<&Path>) -> Option<Self> {
        let (files, mut variables) = (Files::new(), Vec::new());
        let directory = files.path(".").display().to_string();
        write_files(&files);
        let configure = |port: u16, _: &Path| {
            let ports = [port].into_iter().chain(std::iter::repeat_with(free_port));
            variables = LISTENERS.iter().map(|(name, _)| *name).zip(ports.map(|port| port.to_string())).collect();
            let mut text = "user root\nper_listener_settings true\nlog_dest stderr\nlog_type all\n".to_owned();
            for ((_, port), (_, options)) in variables.iter().zip(LISTENERS) {
                text += &format!("listener {port} 127.0.0.1\n{}\n", options.replace("{}", &directory));
            }
            text + &format!("listener 0 {directory}/socket\nallow_anonymous true\n")
        };
        let broker = match program {
            Some(program) => Mosquitto::start_program(program, configure),
            None => Mosquitto::start_with(configure)?,
        };
        variables.push(("SOCKET", format!("{directory}/socket")));
        variables.push(("CA", format!("{directory}/ca.pem")));
        Some(Self { _broker: broker, files, variables })
    }

    /// A port, by its variable.
    pub(super) fn port(&self, name: &str) -> &str {
        &self.variables.iter().find(|(found, _)| *found == name).unwrap().1
    }

    /// Our tool with this broker.
    pub(super) fn tool(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(ours(name));
        command.args(["-p", self.port("PORT")]).args(arguments).env("XDG_CONFIG_HOME", self.files.path("."));
        command
    }
}

fn write_files(files: &Files) {
    let authority = Authority::new("an authority");
    let server = authority.server("localhost");
    for (name, contents) in [
        ("passwords", ALICE),
        ("psk", "pump:1f2e3d4c\n"),
        ("acl", "topic readwrite #\ntopic deny secret/#\n"),
        ("ca.pem", &authority.pem()),
        ("server.pem", &server.certificate),
        ("server.key", &server.key),
    ] {
        files.write(name, contents);
    }
    fs::create_dir(files.path("authorities")).unwrap();
    files.write("authorities/ca.crt", authority.pem());
}
