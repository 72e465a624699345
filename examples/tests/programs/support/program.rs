//! A process of ours.

use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use super::PATIENCE;

/// The command that runs an example.
pub(crate) fn example(name: &str) -> Command {
    // This test is target/<profile>/deps/programs-..., the example is target/<profile>/examples/<name>.
    let mut path: PathBuf = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.extend(["examples", name]);
    path.set_extension(std::env::consts::EXE_EXTENSION);
    assert!(path.is_file(), "{} is not built: cargo test -p mqtt-examples", path.display());
    Command::new(path)
}

/// A program that runs. Dropped, it is killed, and if the test fails what it said is shown.
pub(crate) struct Program {
    child: Child,
    said: Arc<Said>,
}

/// What a program has said so far.
#[derive(Default)]
struct Said {
    output: Mutex<Output>,
    changed: Condvar,
}

#[derive(Default)]
struct Output {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    /// Streams that have ended.
    ended: u8,
}

/// How a program ended.
pub(crate) struct Ended {
    /// The exit status; `None`: a signal killed it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Ended {
    /// What it wrote, as text.
    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

impl Program {
    /// Starts it, with nothing on its standard input.
    pub(crate) fn start(command: &mut Command) -> Self {
        Self::start_with(command, Stdio::null())
    }

    /// Starts it with this on its standard input.
    pub(crate) fn start_with(command: &mut Command, stdin: impl Into<Stdio>) -> Self {
        let mut child = command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let said = Arc::<Said>::default();
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        for (stream, choose) in [
            (
                Box::new(stdout) as Box<dyn Read + Send>,
                (|output| &mut output.stdout) as fn(&mut Output) -> &mut Vec<u8>,
            ),
            (Box::new(stderr), |output| &mut output.stderr),
        ] {
            let said = Arc::clone(&said);
            std::thread::spawn(move || said.fill(stream, choose));
        }
        Self { child, said }
    }

    /// Waits until it has written a line with this text, to stdout or stderr, and returns the first such line.
    #[track_caller]
    pub(crate) fn wait_for(&self, text: &str) -> String {
        self.wait_for_many(text, 1)
    }

    /// Waits until so many lines have this text, and returns the last of them.
    #[track_caller]
    pub(crate) fn wait_for_many(&self, text: &str, count: usize) -> String {
        let find = |output: &Output| {
            let both = [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said));
            let mut lines = both.iter().flat_map(|said| whole_lines(said)).filter(|line| line.contains(text));
            lines.nth(count - 1).map(str::to_owned)
        };
        let output = self.said.output.lock().unwrap();
        let missing = |output: &mut Output| output.ended < 2 && find(output).is_none();
        let (output, _) = self.said.changed.wait_timeout_while(output, PATIENCE, missing).unwrap();
        let found = find(&output);
        drop(output);
        found.unwrap_or_else(|| panic!("the program does not say {text:?}, {count} times"))
    }

    /// SIGINT, as Ctrl-C sends it.
    pub(crate) fn interrupt(&self) {
        self.signal("-INT");
    }

    /// Sends a signal, as `kill` names it.
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// Waits until it ends by itself.
    #[track_caller]
    pub(crate) fn end(mut self) -> Ended {
        let begun = Instant::now();
        let output = self.said.output.lock().unwrap();
        let (output, _) = self.said.changed.wait_timeout_while(output, PATIENCE, |output| output.ended < 2).unwrap();
        assert!(output.ended == 2, "the program does not end in {:?}", begun.elapsed());
        drop(output);
        let code = self.child.wait().unwrap().code();
        let mut output = self.said.output.lock().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        Ended { code, stdout: std::mem::take(&mut output.stdout), stderr }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            // Whoever holds the lock is this thread, if it panics with it.
            if let Ok(output) = self.said.output.try_lock() {
                let [stdout, stderr] = [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said));
                eprintln!("what the program said:\n{stdout}{stderr}");
            }
        }
    }
}

impl Said {
    fn fill(&self, mut stream: impl Read, choose: fn(&mut Output) -> &mut Vec<u8>) {
        let mut buffer = [0; 4096];
        while let Ok(len @ 1..) = stream.read(&mut buffer) {
            choose(&mut self.output.lock().unwrap()).extend_from_slice(&buffer[..len]);
            self.changed.notify_all();
        }
        self.output.lock().unwrap().ended += 1;
        self.changed.notify_all();
    }
}

/// Lines that are complete.
fn whole_lines(text: &str) -> impl Iterator<Item = &str> {
    text.rsplit_once('\n').map_or("", |(lines, _)| lines).lines()
}
