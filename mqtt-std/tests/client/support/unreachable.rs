//! Addresses at which nothing answers.

use core::net::SocketAddr;

use mqtt_std::Options;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// A port that nobody listens on, and that nobody else can take.
pub(crate) struct Reserved(TcpSocket);

impl Reserved {
    pub(crate) fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self(socket)
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    pub(crate) fn options(&self) -> Options {
        Options::new("127.0.0.1", self.port())
    }

    pub(crate) fn listen(self) -> TcpListener {
        self.0.listen(16).unwrap()
    }
}

/// A port on which connections are not even refused: those that wait to be accepted are as many as may.
pub(crate) struct Deaf {
    address: SocketAddr,
    _listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

impl Deaf {
    pub(crate) async fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        let listener = socket.listen(1).unwrap();
        // Linux takes one more than it is told.
        let waiting = vec![TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap()];
        Self { address, _listener: listener, _waiting: waiting }
    }

    pub(crate) fn options(&self) -> Options {
        Options::new("127.0.0.1", self.address.port())
    }
}
