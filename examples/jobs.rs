//! Runs a command and reports it: its start, each line of its output, how it ended.
//!
//! ```text
//! mosquitto -v &
//! mosquitto_sub -v -t processes/# &
//! cargo run --example jobs -- backup -- rsync -a /home /mnt/backup
//! cargo run --example jobs -- --broker mqtt://broker.example nightly -- make nightly
//! ```
//!
//! | topic below `processes/<name>/` | payload |
//! | --- | --- |
//! | `start` | JSON: the program (not its arguments, which may be secret), the number of the process, the time |
//! | `stdout`, `stderr` | a line, without its end; of a line longer than 8 KiB the parts |
//! | `exit` | JSON, retained: the exit status, or the signal that killed it, how long it took, how many lines there were |
//! | `status` | `online` as long as this program is there, else `offline`; retained, and corrected by a Last Will |
//!
//! All at QoS 1. The exit status is the command's; 1 if it does not run, 128 and the signal's number if one killed it. Ctrl-C ends the
//! command, which is reported. A broker that is slow slows the command down; while it is away a thousand lines wait, and further ones
//! are dropped and counted: a job shall not hang because nobody listens.

use std::process::{ExitCode, ExitStatus};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mqtt_examples::{Arguments, Interrupt, Presence, Process, Result, check_level, end, printable, run};
use mqtt_std::{Client, Error, Publish, QoS};
use serde::Serialize;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Longer lines are told in parts.
const LINE: usize = 8 * 1024;

/// How long it may take to report the end.
const PATIENCE: Duration = Duration::from_secs(10);

/// After so long a silence no more output is waited for, once the command has ended: what it left running may hold it open.
const SILENCE: Duration = Duration::from_secs(2);

#[derive(Serialize)]
struct Start<'a> {
    program: &'a str,
    process: Option<u32>,
    /// In seconds since 1970.
    time: u64,
}

#[derive(Default, Serialize)]
struct Exit {
    exit_status: Option<i32>,
    signal: Option<i32>,
    /// Why it did not run.
    error: Option<String>,
    seconds: f64,
    lines: u64,
    /// Parts of lines that were not told, because the broker was away.
    dropped: u64,
    output_is_cut: bool,
}

/// What became of one output.
#[derive(Default)]
struct Told {
    lines: u64,
    dropped: u64,
    /// There may be more.
    is_cut: bool,
}

fn main() -> ExitCode {
    run(report())
}

async fn report() -> Result<ExitCode> {
    let mut arguments = Arguments::new("jobs [--broker URL] NAME -- COMMAND [ARGUMENT]...");
    if let Some(option) = arguments.option()? {
        return Err(arguments.unknown(&option));
    }
    let name = arguments.word()?;
    check_level(&name)?;
    let mut command = vec![arguments.word()?];
    command.extend(arguments.words());
    let options = arguments.broker()?;

    let topic = format!("processes/{name}");
    let presence = Presence::new(format!("{topic}/status"));
    let client = Client::connect(presence.will(options)).await?;
    presence.announce(&client);
    let mut interrupt = Interrupt::new()?;
    let (exit, status) = job(&client, &topic, &command, &mut interrupt).await?;
    if let Err(error) =
        timeout(PATIENCE, leave(&client, &topic, &exit, &presence)).await.unwrap_or_else(|_| Err("not in time".into()))
    {
        // What the command did counts for more.
        eprintln!("the end of {name} is not reported: {}", printable(&error.to_string()));
    }
    match exit.error {
        Some(error) => Err(error.into()),
        None => Ok(status),
    }
}

/// Reports the end.
async fn leave(client: &Client, topic: &str, exit: &Exit, presence: &Presence) -> Result<()> {
    client.publish_json(format!("{topic}/exit"), exit)?.qos(QoS::AtLeastOnce).retain().send().await?;
    presence.leave(client).await?;
    end(client).await
}

/// Runs the command. Tells how it ended, and how this program is to end.
async fn job(client: &Client, topic: &str, command: &[String], interrupt: &mut Interrupt) -> Result<(Exit, ExitCode)> {
    let mut process = match Process::start(command) {
        Ok(process) => process,
        Err(error) => return Ok((Exit { error: Some(error.to_string()), ..Exit::default() }, ExitCode::FAILURE)),
    };
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let start = Start { program: &command[0], process: process.id(), time };
    client.publish_json(format!("{topic}/start"), &start)?.qos(QoS::AtLeastOnce).send().await?;

    let (stdout, stderr) = process.take_output();
    let (ended, has_ended) = watch::channel(false);
    let mut output = JoinSet::new();
    output.spawn(tell_lines(client.clone(), format!("{topic}/stdout"), stdout, has_ended.clone()));
    output.spawn(tell_lines(client.clone(), format!("{topic}/stderr"), stderr, has_ended));
    let (status, interrupted) = match interrupt.or(process.wait()).await {
        Some(status) => (status?, false),
        None => (process.stop().await?, true),
    };
    let seconds = process.age().as_secs_f64();
    ended.send_replace(true);
    let mut exit = Exit { exit_status: status.code(), signal: signal(status), seconds, ..Exit::default() };
    // The broker may be slow to take the rest; Ctrl-C leaves it.
    while let Some(told) = interrupt.or(output.join_next()).await.unwrap_or_default() {
        let told = told??;
        exit.lines += told.lines;
        exit.dropped += told.dropped;
        exit.output_is_cut |= told.is_cut;
    }
    exit.output_is_cut |= !output.is_empty();
    let code = if interrupted { 0 } else { exit.exit_status.or(exit.signal.map(|signal| 128 + signal)).unwrap_or(1) };
    Ok((exit, ExitCode::from(code as u8)))
}

#[cfg(unix)]
fn signal(status: ExitStatus) -> Option<i32> {
    std::os::unix::process::ExitStatusExt::signal(&status)
}

#[cfg(not(unix))]
fn signal(_: ExitStatus) -> Option<i32> {
    None
}

/// Publishes each line.
async fn tell_lines(
    client: Client,
    topic: String,
    output: Option<impl AsyncRead + Unpin>,
    mut has_ended: watch::Receiver<bool>,
) -> Result<Told> {
    let mut told = Told::default();
    let Some(output) = output else { return Ok(told) };
    let mut output = BufReader::with_capacity(LINE, output);
    let (mut part, mut is_begun) = (Vec::new(), false);
    loop {
        let read = tokio::select! {
            biased;
            read = output.fill_buf() => read?,
            () = silence(&mut has_ended) => {
                told.is_cut = true;
                return Ok(told);
            }
        };
        if read.is_empty() && !is_begun && part.is_empty() {
            return Ok(told);
        }
        let end = read.iter().position(|&byte| byte == b'\n');
        let len = end.unwrap_or(read.len()).min(LINE - part.len());
        let is_end = end == Some(len) || read.is_empty();
        part.extend_from_slice(&read[..len]);
        output.consume(len + usize::from(end == Some(len)));
        // Where the parts before it were all of a line there is none.
        if part.len() == LINE || is_end && !(is_begun && part.is_empty()) {
            told.dropped += u64::from(!tell(&client, &topic, &part).await?);
            part.clear();
            is_begun = true;
        }
        if is_end {
            told.lines += 1;
            is_begun = false;
        }
    }
}

/// Waits for the end of the command, and then for a time.
async fn silence(has_ended: &mut watch::Receiver<bool>) {
    // It is told, or who tells it is gone.
    let _ = has_ended.wait_for(|ended| *ended).await;
    sleep(SILENCE).await;
}

/// Publishes a part of a line. Where there is no room for it waits for some, as long as the broker is there to make it; otherwise it
/// is dropped: `false`.
async fn tell(client: &Client, topic: &str, part: &[u8]) -> Result<bool> {
    let publish = || -> Publish<'_> { client.publish(topic, part.to_vec()).qos(QoS::AtLeastOnce) };
    match publish().try_send() {
        Ok(_) => return Ok(true),
        Err(Error::Full) => {}
        Err(error) => return Err(error.into()),
    }
    let mut status = client.status();
    tokio::select! {
        accepted = publish().send() => Ok(accepted.map(|_| true)?),
        _ = status.wait_for(|status| !status.is_connected()) => Ok(false),
    }
}
