//! A Mosquitto process.

use core::sync::atomic::{AtomicU16, Ordering};
use core::time::Duration;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, Once};
use std::{env, fs};

/// What differs between tests.
#[derive(Clone, Copy)]
pub(crate) struct Config {
    /// Sessions and retained messages outlive the process.
    pub(crate) persistence: bool,
    /// alice may connect with the password "secret", and nobody else.
    pub(crate) credentials: bool,
    /// Bytes of a packet; whoever sends a larger one is cut off.
    pub(crate) max_packet_size: u32,
}

impl Config {
    pub(crate) const PLAIN: Self = Self { persistence: false, credentials: false, max_packet_size: 100_000_000 };
    pub(crate) const PERSISTENT: Self = Self { persistence: true, ..Self::PLAIN };
    pub(crate) const CREDENTIALS: Self = Self { credentials: true, ..Self::PLAIN };
    pub(crate) const SMALL: Self = Self { max_packet_size: 1_000, ..Self::PLAIN };

    fn write(self, port: u16, directory: &Path) -> String {
        let (data, max_packet_size) = (directory.display(), self.max_packet_size);
        let mut text = format!(
            "user root\nlistener {port} 127.0.0.1\nlog_dest stderr\nlog_type all\nmax_packet_size {max_packet_size}\n\
             max_queued_messages 10000\nsys_interval 0\n"
        );
        if self.persistence {
            // With the default of 20, version 2.0 sends again after a restart what is beyond that, though it has sent PUBREL.
            text += &format!("persistence true\npersistence_location {data}/\nmax_inflight_messages 1000\n");
        }
        if self.credentials {
            text += &format!("allow_anonymous false\npassword_file {data}/passwords\n");
            fs::write(directory.join("passwords"), ALICE).unwrap();
        } else {
            text += "allow_anonymous true\n";
        }
        text
    }
}

/// A broker with a directory of its own. Dropped, the process is killed and the directory removed.
pub(crate) struct Mosquitto {
    program: PathBuf,
    directory: PathBuf,
    port: u16,
    process: Option<Process>,
    /// What processes before this one said.
    old_log: String,
}

struct Process {
    child: Child,
    log: Arc<Log>,
}

/// What a process has said so far.
#[derive(Default)]
struct Log {
    lines: Mutex<(Vec<String>, bool)>,
    changed: Condvar,
}

impl Mosquitto {
    /// Starts a broker on a free port; `None`: there is no Mosquitto here, and none is required.
    pub(crate) fn start(config: Config) -> Option<Self> {
        Self::start_with(|port, directory| config.write(port, directory))
    }

    /// As [`start`](Self::start) with a configuration of the caller's, who may put other files beside it. It is asked for again
    /// where a port is taken.
    pub(crate) fn start_with(configure: impl FnMut(u16, &Path) -> String) -> Option<Self> {
        let Some(program) = find_program() else {
            let required = env::var_os("MQTT_TEST_MOSQUITTO").is_some_and(|value| value == "required");
            assert!(!required, "MQTT_TEST_MOSQUITTO=required, and there is no mosquitto: apt-get install mosquitto");
            static SAID: Once = Once::new();
            // Not through `eprintln!`, which is shown for failed tests only.
            SAID.call_once(|| std::io::stderr().write_all(b"skipped: no mosquitto\n").unwrap());
            return None;
        };
        Some(Self::start_program(&program, configure))
    }

    /// As [`start_with`](Self::start_with), with a Mosquitto of the caller's.
    pub(crate) fn start_program(program: &Path, mut configure: impl FnMut(u16, &Path) -> String) -> Self {
        static NUMBER: AtomicU16 = AtomicU16::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let directory = env::temp_dir().join(format!("mqtt-std-mosquitto-{}-{number}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let mut broker =
            Self { program: program.to_owned(), directory, port: 0, process: None, old_log: String::new() };
        // Somebody may take the port between the look and the start.
        for _ in 0..20 {
            broker.port = free_port();
            let text = configure(broker.port, &broker.directory);
            fs::write(broker.directory.join("mosquitto.conf"), text).unwrap();
            match broker.launch() {
                Ok(()) => return broker,
                Err(log) if log.contains("in use") => {}
                Err(log) => panic!("mosquitto does not start:\n{log}"),
            }
        }
        panic!("no port is free for mosquitto");
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// SIGTERM, and waits for the end: what persists is on disk then.
    pub(crate) fn stop(&mut self) {
        let process = self.process.as_mut().expect("it runs");
        let pid = process.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        process.child.wait().unwrap();
        process.log.wait_for_end();
        self.old_log += &(process.log.text() + "\n");
    }

    /// Starts again after [`stop`](Self::stop), on the same port with the same data.
    pub(crate) fn resume(&mut self) {
        if let Err(log) = self.launch() {
            panic!("mosquitto does not start again:\n{log}");
        }
    }

    /// Waits until a line of the log has this text.
    pub(crate) fn wait_for(&self, text: &str) {
        let log = &self.process.as_ref().expect("it runs").log;
        assert!(log.wait_for(text), "mosquitto does not say {text:?}:\n{}", log.text());
    }

    /// What it has said so far.
    #[allow(dead_code)] // what other suites need
    pub(crate) fn log(&self) -> String {
        self.process.as_ref().expect("it runs").log.text()
    }

    /// Stops, and tells how many lines of what the last process said have this text.
    pub(crate) fn count_at_end(&mut self, text: &str) -> usize {
        self.stop();
        let log = &self.process.as_ref().expect("it ran").log;
        log.text().lines().filter(|line| line.contains(text)).count()
    }

    /// Starts the process and waits until it listens; otherwise says what it said.
    fn launch(&mut self) -> Result<(), String> {
        let mut child = Command::new(&self.program)
            .arg("-c")
            .arg(self.directory.join("mosquitto.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Log::default());
        let (stderr, writer) = (child.stderr.take().unwrap(), Arc::clone(&log));
        std::thread::spawn(move || writer.fill(BufReader::new(stderr)));
        let process = Process { child, log };
        if process.log.wait_for(" running") {
            self.process = Some(process);
            return Ok(());
        }
        Err(process.log.text())
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        if let Some(process) = self.process.take().filter(|_| std::thread::panicking()) {
            eprintln!("what mosquitto said:\n{}{}", self.old_log, process.log.text());
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Log {
    fn fill(&self, lines: impl BufRead) {
        for line in lines.lines().map_while(Result::ok) {
            self.lines.lock().unwrap().0.push(line);
            self.changed.notify_all();
        }
        self.lines.lock().unwrap().1 = true;
        self.changed.notify_all();
    }

    /// Waits for a line; `false`: it does not come any more, or not in time.
    fn wait_for(&self, text: &str) -> bool {
        let missing = |state: &mut (Vec<String>, bool)| !state.1 && !state.0.iter().any(|line| line.contains(text));
        let lines = self.lines.lock().unwrap();
        let (lines, _) = self.changed.wait_timeout_while(lines, Duration::from_secs(20), missing).unwrap();
        lines.0.iter().any(|line| line.contains(text))
    }

    /// Waits until everything that was said has been read.
    fn wait_for_end(&self) {
        let lines = self.lines.lock().unwrap();
        let (lines, _) = self.changed.wait_timeout_while(lines, Duration::from_secs(20), |state| !state.1).unwrap();
        assert!(lines.1, "the log of mosquitto does not end");
    }

    fn text(&self) -> String {
        self.lines.lock().unwrap().0.join("\n")
    }
}

/// Debian has it where only root looks.
fn find_program() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .map(|directory| directory.join("mosquitto"))
        .find(|program| Path::is_file(program))
}

/// A port below those that the system gives to outgoing connections: none of these takes it while the broker is away.
pub(crate) fn free_port() -> u16 {
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 10_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test runs side by side begin at different places.
    let start = std::process::id().wrapping_mul(7_919) as u16;
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + start.wrapping_add(number) % COUNT;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Made with `mosquitto_passwd`: alice, "secret".
pub(crate) const ALICE: &str = "alice:$7$101$O1RtX4zBfkZl+aib$eUgZs7Y+9HZtxBPdKTCNuwBkOO6OO+WbNWb3/N3K83KukdC+Dw5WnIbPqlXawvD9JCm+ZDQuy9s8DETkZhB1Zw==\n";
