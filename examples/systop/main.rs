//! A broker's health in the terminal: what it tells at `$SYS/#`, with rates.
//!
//! ```text
//! cargo run --example systop
//! cargo run --example systop -- mqtts://admin:secret@broker | tee health.log
//! ```
//!
//! On a terminal it is a dashboard: clients, messages and bytes in the last minutes, and below all that the broker tells. `q`, Esc or Ctrl-C
//! end it. Elsewhere, or with `--plain`, it is a line every `--interval` seconds (default: 10), `--count` times, or for ever.
//!
//! The names are those of Mosquitto. It tells its figures every `sys_interval` seconds, and what has not changed it does not tell again; a
//! rate is what was told last less what was told before, by the time in between. Brokers that name them otherwise are shown as
//! they are. Who may read `$SYS` is often restricted.

mod figures;
mod view;

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use mqtt_examples::{Arguments, Interrupt, Result, end, printable, run};
use mqtt_std::{Client, Message, QoS, Status, Subscription};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use figures::Figures;

fn main() -> ExitCode {
    run(systop())
}

async fn systop() -> Result<()> {
    let mut arguments = Arguments::new("systop [BROKER] [--plain] [--interval SECONDS] [--count N]");
    let (mut plain, mut seconds, mut count) = (!std::io::stdout().is_terminal(), 10, u64::MAX);
    while let Some(option) = arguments.option()? {
        match option.as_str() {
            "plain" => plain = true,
            "interval" => seconds = arguments.value()?,
            "count" => count = arguments.value()?,
            _ => return Err(arguments.unknown(&option)),
        }
    }
    let options = arguments.broker()?;
    arguments.finish()?;
    let mut interrupt = Interrupt::new()?;
    let client = Client::connect(options).await?;
    let mut messages = client.subscribe("$SYS/#", QoS::AtMostOnce).await?;
    let shown = if plain {
        let every = Duration::from_secs(u64::max(seconds, 1));
        interrupt.or(print(&mut messages, every, count)).await
    } else {
        let mut terminal = ratatui::init();
        let shown = interrupt.or(show(&mut terminal, &client, &mut messages)).await;
        ratatui::restore();
        shown
    };
    end(&client).await?;
    shown.unwrap_or(Ok(()))
}

fn take(figures: &mut Figures, message: Option<Message>) -> Result<()> {
    let message = message.ok_or("the client has ended")?;
    if let Ok(payload) = message.payload_str() {
        figures.take(message.topic(), payload, message.retain(), Instant::now());
    }
    Ok(())
}

/// A line now and then.
async fn print(messages: &mut Subscription, every: Duration, count: u64) -> Result<()> {
    let mut figures = Figures::default();
    let mut ticks = interval(every);
    ticks.tick().await;
    let mut printed = 0;
    while printed < count {
        tokio::select! {
            message = messages.next() => take(&mut figures, message)?,
            _ = ticks.tick() => {
                if figures.is_empty() {
                    return Err("the broker tells nothing at $SYS/#".into());
                }
                writeln!(std::io::stdout(), "{}", figures.line(Instant::now()))?;
                printed += 1;
            }
        }
    }
    Ok(())
}

/// The dashboard, until a key ends it.
async fn show(terminal: &mut ratatui::DefaultTerminal, client: &Client, messages: &mut Subscription) -> Result<()> {
    let mut figures = Figures::default();
    let mut keys = keys();
    let mut ticks = interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            message = messages.next() => {
                take(&mut figures, message)?;
                continue;
            }
            _ = ticks.tick() => figures.tick(Instant::now()),
            key = keys.recv() => match key {
                Some(Event::Key(key)) => {
                    let is_ctrl_c = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
                    if is_ctrl_c || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc) {
                        return Ok(());
                    }
                }
                // The terminal has another size, for instance.
                Some(_) => {}
                None => return Ok(()),
            },
        }
        let title = match &*client.status().borrow() {
            Status::Connected { server, .. } => server.to_string(),
            Status::Waiting { error, server, .. } => format!("{server} is away: {}", printable(&error.to_string())),
            _ => "connecting".to_owned(),
        };
        terminal.draw(|frame| view::draw(frame, &figures, &title, Instant::now()))?;
    }
}

/// What the terminal tells, from a thread of its own: reading it blocks.
fn keys() -> mpsc::Receiver<Event> {
    let (sender, receiver) = mpsc::channel(16);
    std::thread::spawn(move || {
        while let Ok(event) = event::read() {
            if sender.blocking_send(event).is_err() {
                return;
            }
        }
    });
    receiver
}
