//! How the connection fares, told on the terminal.

use mqtt_std::{Client, Status};

use crate::{Result, printable};

/// Tells on stderr when the connection is there, why it is lost, and when the next attempt comes. Runs until the client gives up, which
/// is the error, or is shut down. May be dropped at any moment.
///
/// # Errors
/// The client has given up.
pub async fn tell_status(client: &Client) -> Result<()> {
    let mut status = client.status();
    loop {
        match &*status.borrow_and_update() {
            Status::Connected { server, .. } => eprintln!("connected to {server}"),
            Status::Waiting { error, server, retry_in, .. } => {
                let error = printable(&error.to_string());
                eprintln!("no connection to {server}: {error}; next attempt in {:.1} s", retry_in.as_secs_f64());
            }
            Status::Closed { error: Some(error), .. } => return Err(error.to_string().into()),
            Status::Closed { error: None, .. } => return Ok(()),
            _ => {}
        }
        if status.changed().await.is_err() {
            return Ok(());
        }
    }
}
