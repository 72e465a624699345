//! A link that can be cut, while both ends live on.

use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Passes connections on to a broker. Dropped, it is cut.
pub(crate) struct Cable {
    port: u16,
    whole: Arc<watch::Sender<bool>>,
}

impl Cable {
    pub(crate) async fn to(broker: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (whole, state) = watch::channel(true);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                // While it is cut, connections are closed as soon as they come.
                if *state.borrow() {
                    tokio::spawn(connection(near, broker, state.clone()));
                }
            }
        });
        Self { port, whole: Arc::new(whole) }
    }

    /// Where clients connect to.
    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// Ends all connections, and accepts none until it is mended.
    pub(crate) fn cut(&self) {
        self.whole.send_replace(false);
    }

    pub(crate) fn mend(&self) {
        self.whole.send_replace(true);
    }
}

async fn connection(mut near: TcpStream, broker: u16, mut state: watch::Receiver<bool>) {
    let Ok(mut far) = TcpStream::connect(("127.0.0.1", broker)).await else { return };
    tokio::select! {
        _ = copy_bidirectional(&mut near, &mut far) => {}
        _ = state.wait_for(|whole| !whole) => {}
    }
}
