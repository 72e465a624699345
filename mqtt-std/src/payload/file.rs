//! A file as a payload.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::fs::File;

use super::inflow::CHUNK;
use super::source::{Opening, PayloadSource};

/// A file that is published without being read into memory.
///
/// It is opened by its path whenever the message is sent, and read on tokio's pool of blocking threads. Until the message
/// has its outcome the file must stay as it is; one that has another length by then fails the message.
///
/// ```no_run
/// # async fn f(client: mqtt_std::Client) -> Result<(), Box<dyn std::error::Error>> {
/// use mqtt_std::{PayloadFile, QoS};
///
/// let firmware = PayloadFile::new("pump.bin").await?;
/// client.publish_from("cellar/pump/firmware", firmware).qos(QoS::AtLeastOnce).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct PayloadFile {
    path: Arc<Path>,
    length: u64,
}

impl PayloadFile {
    /// Looks at the file for its length. May be dropped at any moment.
    ///
    /// # Errors
    /// The file cannot be opened, or is none.
    pub async fn new(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path: Arc<Path> = path.into().into();
        let metadata = File::open(&path).await?.metadata().await?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"));
        }
        Ok(Self { path, length: metadata.len() })
    }
}

impl PayloadSource for PayloadFile {
    fn length(&self) -> u64 {
        self.length
    }

    fn open(&self) -> Opening {
        let path = Arc::clone(&self.path);
        Box::pin(async move {
            let mut file = File::open(path).await?;
            file.set_max_buf_size(CHUNK);
            Ok(Box::pin(file) as _)
        })
    }
}
