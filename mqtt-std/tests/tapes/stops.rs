//! Tapes that end before their client, which goes on.

use std::io::{self, ErrorKind, Write};
use std::sync::{Arc, Condvar, Mutex};

use mqtt_std::tape::{Progress, Stop, Tape, replay};
use mqtt_std::testkit::{Broker, BrokerOptions, Network};
use mqtt_std::{Client, Options, QoS};
use tokio::time::timeout;

use super::film::Film;
use super::support::PATIENCE;

async fn connect(tape: &Tape) -> (Broker, Client, Options) {
    let network = Network::new();
    let broker = Broker::start_in(&network, BrokerOptions::new());
    let options = Options::new("memory", 1883).connector(network).tape(tape);
    let client = Client::connect(options.clone()).await.unwrap();
    (broker, client, options)
}

async fn publish(client: &Client, count: usize, payload: usize) {
    for _ in 0..count {
        client.publish("t", vec![b'.'; payload]).qos(QoS::AtLeastOnce).await.unwrap();
    }
}

async fn end(client: &Client) {
    assert_eq!(client.shutdown(PATIENCE).await.unwrap().undelivered, 0);
}

async fn ended(tape: &Tape) -> Progress {
    timeout(PATIENCE, tape.ended()).await.unwrap().progress
}

#[tokio::test]
async fn at_its_limit() {
    let mut film = Film::new();
    film.tape = film.tape.limit(2_000);
    let (_broker, client, _) = connect(&film.tape).await;
    publish(&client, 100, 100).await;
    assert_eq!(ended(&film.tape).await, Progress::Stopped(Stop::Limit));
    end(&client).await;
    let bytes = film.bytes();
    assert!(bytes.len() > 1_800 && bytes.len() <= 2_000, "{}", bytes.len());
    assert_eq!(replay(&bytes).unwrap().end, Some(Stop::Limit));
}

/// Fails at a byte, or panics.
struct Disk {
    room: usize,
    panics: bool,
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.room);
        self.room -= taken;
        assert!(taken > 0 || !self.panics, "on purpose");
        if taken == 0 { Err(ErrorKind::StorageFull.into()) } else { Ok(taken) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn when_its_disk_fails() {
    for (room, panics, kind) in [
        (0, false, ErrorKind::StorageFull),
        (500, false, ErrorKind::StorageFull),
        (0, true, ErrorKind::Other),
        (500, true, ErrorKind::Other),
    ] {
        let tape = Tape::to_writer(Disk { room, panics });
        let (_broker, client, _) = connect(&tape).await;
        publish(&client, 20, 100).await;
        assert_eq!(ended(&tape).await, Progress::Stopped(Stop::Failed(kind)), "{room} {panics}");
        publish(&client, 20, 100).await;
        end(&client).await;
    }
    let tape = Tape::to_file("/nowhere/at/all");
    let (_broker, client, _) = connect(&tape).await;
    publish(&client, 1, 1).await;
    assert_eq!(ended(&tape).await, Progress::Stopped(Stop::Failed(ErrorKind::NotFound)));
    end(&client).await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_is_for_its_owner_alone_and_no_link_is_followed() {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    let directory = std::env::temp_dir().join(format!("mqtt-tape-files-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let (file, link) = (directory.join("file"), directory.join("link"));
    fs::write(&file, "of before").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let tape = Tape::to_file(&file);
    let (_broker, client, _) = connect(&tape).await;
    end(&client).await;
    assert_eq!(ended(&tape).await, Progress::Complete);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let bytes = fs::read(&file).unwrap();
    assert!(replay(&bytes).unwrap().is_complete());

    symlink(&file, &link).unwrap();
    let tape = Tape::to_file(&link);
    let (_broker, client, _) = connect(&tape).await;
    end(&client).await;
    assert_eq!(ended(&tape).await, Progress::Stopped(Stop::Failed(ErrorKind::AlreadyExists)));
    assert_eq!(fs::read(&file).unwrap(), bytes);
    fs::remove_dir_all(&directory).unwrap();
}

/// Takes nothing before it is let.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<Written>, Condvar)>);

#[derive(Default)]
struct Written {
    open: bool,
    bytes: Vec<u8>,
}

impl Gate {
    fn open(&self) {
        self.0.0.lock().unwrap().open = true;
        self.0.1.notify_all();
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.0.lock().unwrap().bytes.clone()
    }
}

impl Write for Gate {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let state = self.0.0.lock().unwrap();
        let mut state = self.0.1.wait_while(state, |state| !state.open).unwrap();
        state.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn nobody_waits_for_a_disk() {
    let gate = Gate::default();
    let tape = Tape::to_writer(gate.clone());
    let (_broker, client, _) = connect(&tape).await;
    publish(&client, 100, 1_000).await;
    end(&client).await;
    assert_eq!(tape.status().progress, Progress::Recording);
    gate.open();
    assert_eq!(ended(&tape).await, Progress::Complete);
    assert!(replay(&gate.bytes()).unwrap().is_complete());
}

#[tokio::test]
async fn when_its_disk_falls_too_far_behind() {
    let gate = Gate::default();
    let tape = Tape::to_writer(gate.clone());
    let (_broker, client, _) = connect(&tape).await;
    publish(&client, 20, 1_000_000).await;
    end(&client).await;
    gate.open();
    assert_eq!(ended(&tape).await, Progress::Stopped(Stop::TooSlow));
    let replayed = replay(&gate.bytes()).unwrap();
    assert!(replayed.end == Some(Stop::TooSlow) && replayed.calls > 10, "{replayed:?}");
}

#[tokio::test]
async fn a_tape_is_that_of_one_client() {
    let film = Film::new();
    assert_eq!(film.tape.status().progress, Progress::Unused);
    let (_broker, first, options) = connect(&film.tape).await;
    let second = Client::connect(options.client_identifier("second")).await.unwrap();
    assert_eq!(film.tape.status().progress, Progress::Recording);
    publish(&second, 1, 1).await;
    publish(&first, 1, 1).await;
    end(&first).await;
    let replayed = film.develop().await;
    end(&second).await;
    assert_eq!(film.develop().await, replayed);
    // One that is never driven has a tape, too.
    let film = Film::new();
    drop(Client::new(Options::new("nowhere", 1883).tape(&film.tape)).unwrap());
    film.develop().await;
}
