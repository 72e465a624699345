//! Passes connections on, and cuts them at random bytes.
//!
//! A cut is that of a cable: the client's end is reset or closed, and what the broker still writes goes nowhere, as in a network.
//! Were the broker's end closed at once, Mosquitto 2.0 would fail in the middle of the PUBRELs that it sends again on a new
//! connection, forget for the rest that they were PUBRELs, and publish those messages anew.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::random::Random;

/// What is still to be cut, and where.
pub struct Proxy {
    pub port: u16,
    state: Arc<Mutex<State>>,
}

struct State {
    random: Random,
    left: u32,
    done: u32,
    /// Bytes that are still to come, as far as is known.
    expected: u64,
}

impl Proxy {
    pub async fn start(broker: u16, cuts: u32, seed: u64) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let state = State { random: Random::new(seed), left: cuts, done: 0, expected: 0 };
        let state = Arc::new(Mutex::new(state));
        let of_connections = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(connection(near, broker, Arc::clone(&of_connections)));
            }
        });
        Ok(Self { port, state })
    }

    /// Tells how many messages are still to come, so that the cuts are spread over them.
    pub fn expect(&self, messages: u64) {
        if let Ok(mut state) = self.state.lock() {
            state.expected = messages * BYTES_PER_MESSAGE;
        }
    }

    /// Connections that were cut.
    pub fn done(&self) -> u32 {
        self.state.lock().map_or(0, |state| state.done)
    }
}

/// A broker that has written nothing for so long has noticed, or has nothing to write.
const SILENCE: Duration = Duration::from_millis(200);

/// Both clients, both directions.
const BYTES_PER_MESSAGE: u64 = 150;

/// The bytes after which a connection is cut; `None`: it is not.
fn budget(state: &Mutex<State>) -> Option<u64> {
    let mut state = state.lock().ok()?;
    if state.left == 0 {
        return None;
    }
    let average = state.expected / u64::from(state.left);
    // Every fourth during the handshake or soon after it.
    let largest = if state.random.next() % 4 == 0 { 300 } else { average.max(300) };
    Some(state.random.up_to(largest))
}

async fn connection(mut near: TcpStream, broker: u16, state: Arc<Mutex<State>>) {
    let Ok(mut far) = TcpStream::connect(("127.0.0.1", broker)).await else { return };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let mut left = budget(&state);
    let (mut from_near, mut from_far) = (vec![0; 16 * 1024], vec![0; 16 * 1024]);
    loop {
        let passed = tokio::select! {
            read = near.read(&mut from_near) => pass(read, &from_near, &mut far, &mut left).await,
            read = far.read(&mut from_far) => pass(read, &from_far, &mut near, &mut left).await,
        };
        if !passed {
            break;
        }
        if left == Some(0) {
            if let Ok(mut state) = state.lock() {
                if state.left > 0 {
                    state.left -= 1;
                    state.done += 1;
                }
            }
            drop(near);
            while let Ok(Ok(1..)) = timeout(SILENCE, far.read(&mut from_far)).await {}
            break;
        }
    }
}

/// Passes on what was read, as far as may be; `false`: the connection is over.
async fn pass(read: io::Result<usize>, bytes: &[u8], to: &mut TcpStream, left: &mut Option<u64>) -> bool {
    let Ok(read @ 1..) = read else { return false };
    let len = left.map_or(read, |left| read.min(usize::try_from(left).unwrap_or(read)));
    if let Some(left) = left {
        *left -= len as u64;
    }
    to.write_all(&bytes[..len]).await.is_ok()
}
