//! Does again what a tape of `mqtt-std` says, and compares bit for bit.
//!
//! ```text
//! cargo run --bin mqtt-replay -- failure.tape
//! cargo run --bin mqtt-replay -- --show failure.tape
//! cargo run --bin mqtt-replay -- --renew mended.tape failure.tape
//! ```
//!
//! With `--show` the conversation: the seconds of the client's life, then `->` what it sent, `<-` what came, `**` what else happened. The
//! exit status is 0 if everything happens as it did, and 1 otherwise; the first entry that differs is told.
//!
//! With `--renew` the same calls with the answers that they have now, in another file: of a failure that was mended the tape of how it should
//! be.

use std::io::{BufWriter, Write as _};
use std::process::ExitCode;

use mqtt_examples::{Arguments, Result, printable};
use mqtt_std::tape::{Stop, renew, replay_and_show};

fn main() -> ExitCode {
    match replayed() {
        Ok(status) => status,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn read(file: &str) -> Result<Vec<u8>> {
    Ok(std::fs::read(file).map_err(|error| format!("{file}: {error}"))?)
}

fn replayed() -> Result<ExitCode> {
    let mut arguments = Arguments::new("mqtt-replay [--show] FILE... | --renew NEW FILE");
    let (mut show, mut new) = (false, None::<String>);
    while let Some(option) = arguments.option()? {
        match option.as_str() {
            "show" => show = true,
            "renew" => new = Some(arguments.value()?),
            _ => return Err(arguments.unknown(&option)),
        }
    }
    let mut files = vec![arguments.word()?];
    if let Some(new) = new {
        arguments.finish()?;
        let file = files.remove(0);
        let renewed = renew(&read(&file)?)?;
        // A copy has the mode of the old one, which is for its owner alone.
        let written = std::fs::copy(&file, &new).and_then(|_| std::fs::write(&new, renewed));
        written.map_err(|error| format!("{new}: {error}"))?;
        return Ok(ExitCode::SUCCESS);
    }
    files.extend(arguments.words());

    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut status = ExitCode::SUCCESS;
    for file in files {
        let bytes = read(&file)?;
        // Who has seen enough closes the pipe.
        let mut written = Ok(());
        let replayed = replay_and_show(&bytes, &mut |line| {
            if show && written.is_ok() {
                // It may have what a broker said in it.
                written = writeln!(out, "{}", printable(&line.to_string()));
            }
        });
        match replayed {
            Ok(replayed) => {
                let end = match replayed.end {
                    Some(Stop::ClientEnded) => "to its end".to_owned(),
                    Some(stop) => format!("until it stops: {stop}"),
                    None => "until it breaks off".to_owned(),
                };
                let (calls, states) = (replayed.calls, replayed.states);
                written = written.and(writeln!(out, "{file}: the same, {end}: {calls} calls, {states} states"));
            }
            Err(error) => {
                status = ExitCode::FAILURE;
                out.flush()?;
                for line in format!("{file}: {error}").lines() {
                    eprintln!("{}", printable(line));
                }
            }
        }
        match written {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => break,
            written => written?,
        }
    }
    match out.flush() {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(status),
    }
}
