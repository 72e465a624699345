//! Mosquitto, which is stopped and started again.

use std::fs::File;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub struct Broker {
    program: PathBuf,
    directory: PathBuf,
    pub port: u16,
    child: Child,
}

impl Broker {
    /// Starts it, on a port that nobody has.
    pub fn start(directory: &Path, saves_often: bool) -> io::Result<Self> {
        let program = find().ok_or_else(|| io::Error::other("there is no mosquitto: apt-get install mosquitto"))?;
        // Below those that the system gives to outgoing connections.
        let first = 20_000 + (std::process::id() as u16) % 10_000;
        let port = (first..).find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
        let port = port.ok_or_else(|| io::Error::other("no port is free"))?;
        let data = directory.display();
        // What is in flight beyond max_inflight_messages when it is stopped, version 2.0 publishes anew after the restart, though
        // it has sent PUBREL: that would double messages. Larger than this it takes for less than nothing.
        let mut text = format!(
            "user root\nlistener {port} 127.0.0.1\nallow_anonymous true\nlog_dest file {data}/mosquitto.log\n\
             persistence true\npersistence_location {data}/\nmax_queued_messages 0\nmax_inflight_messages 30000\n\
             set_tcp_nodelay true\n"
        );
        if saves_often {
            text += "autosave_interval 1\n";
        }
        std::fs::write(directory.join("mosquitto.conf"), text)?;
        let child = launch(&program, directory, port)?;
        Ok(Self { program, directory: directory.to_owned(), port, child })
    }

    /// Stops it and starts it again; with `kill` it has no time to save what it knows.
    pub fn restart(&mut self, kill: bool) -> io::Result<()> {
        if kill {
            self.child.kill()?;
        } else {
            let pid = self.child.id().to_string();
            Command::new("kill").args(["-TERM", &pid]).status()?;
        }
        self.child.wait()?;
        self.child = launch(&self.program, &self.directory, self.port)?;
        Ok(())
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn launch(program: &Path, directory: &Path, port: u16) -> io::Result<Child> {
    let errors = File::options().create(true).append(true).open(directory.join("mosquitto.err"))?;
    let mut child = Command::new(program)
        .arg("-c")
        .arg(directory.join("mosquitto.conf"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(errors)
        .spawn()?;
    let begun = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if child.try_wait()?.is_some() || begun.elapsed() > Duration::from_secs(30) {
            return Err(io::Error::other("mosquitto does not start"));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(child)
}

/// Debian has it where only root looks.
fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .map(|directory| directory.join("mosquitto"))
        .find(|program| program.is_file())
}
