//! One source as it is reached: connections, requests, and what its answers mean.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use client::connection::Connection;
use client::deliver::{DeliverError, DeliverStream, Position, Resume, Seek};
use client::envelope::EnvelopeSigner;
use parking_lot::Mutex;
use protos::wire::common::Status;
use protos::{BlockNumber, ChannelId, Height, SealedBlock};
use tonic::Code;

use super::endpoints::Endpoint;
use super::plan::Trouble;
use super::puller::Puller;

/// One source of one channel.
#[derive(Debug)]
pub struct Link {
    puller: Arc<Puller>,
    endpoint: Endpoint,
    channel: ChannelId,
    /// For ranges.
    own: Mutex<Option<Connection>>,
}

impl Link {
    /// Dials nobody yet.
    pub fn new(puller: Arc<Puller>, endpoint: Endpoint, channel: ChannelId) -> Self {
        Self {
            puller,
            endpoint,
            channel,
            own: Mutex::default(),
        }
    }

    /// Whom it reaches.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Asks for the newest block's header and takes its number; what it says is proven by nothing.
    pub async fn height(&self) -> Result<Height, Trouble> {
        self.newest().await.map(|newest| newest.height())
    }

    /// The certificate that the source shows, in DER; none without TLS.
    pub async fn certificate(&self) -> Result<Option<Bytes>, Trouble> {
        let connection = self.puller.connect_shared(&self.endpoint).await?;
        Ok(connection.server_certificate().cloned())
    }

    /// [`height`](Self::height), and the certificate that the source showed, in DER; none without TLS.
    pub async fn height_and_certificate(&self) -> Result<(Height, Option<Bytes>), Trouble> {
        let certificate = self.certificate().await?;
        self.height().await.map(|height| (height, certificate))
    }

    /// The newest block, its data left out where the source knows how to.
    pub async fn newest(&self) -> Result<SealedBlock, Trouble> {
        let seek = Seek {
            headers_only: true,
            ..one(Position::Newest)
        };
        self.only(seek).await
    }

    /// Block `number`, not verified.
    pub async fn block(&self, number: BlockNumber) -> Result<SealedBlock, Trouble> {
        self.only(one(Position::Number(number))).await
    }

    /// The blocks from `first` to `last`, which must exist; without `last`, all from `first` on as they come to be.
    pub async fn open(
        &self,
        first: BlockNumber,
        last: Option<BlockNumber>,
    ) -> Result<DeliverStream, Trouble> {
        let first = Position::Number(first);
        let Some(last) = last else {
            *self.own.lock() = None;
            let connection = self.puller.connect_shared(&self.endpoint).await?;
            return Ok(self.stream(&connection, Seek::follow(first)));
        };
        let connection = self.own_connection().await?;
        let seek = Seek {
            fail_if_missing: true,
            ..Seek::range(first, Position::Number(last))
        };
        Ok(self.stream(&connection, seek))
    }

    /// Connections may be what is wrong: new ones are made next time.
    pub fn reset(&self) {
        *self.own.lock() = None;
        self.puller.forget_shared(&self.endpoint);
    }

    async fn own_connection(&self) -> Result<Connection, Trouble> {
        let known = self.own.lock().clone();
        if let Some(connection) = known {
            return Ok(connection);
        }
        let connection = self.puller.connect(&self.endpoint).await?;
        *self.own.lock() = Some(connection.clone());
        Ok(connection)
    }

    fn stream(&self, connection: &Connection, seek: Seek) -> DeliverStream {
        let identity = Arc::clone(self.puller.identity());
        let signer = EnvelopeSigner::new(identity, self.channel.clone());
        // Whoever lacks a leader still serves what it has.
        let seek = Seek {
            best_effort: true,
            ..seek
        };
        DeliverStream::new(connection, signer, seek, Resume::NEVER)
    }

    async fn only(&self, seek: Seek) -> Result<SealedBlock, Trouble> {
        let connection = self.puller.connect_shared(&self.endpoint).await?;
        let mut stream = self.stream(&connection, seek);
        let block = next(&mut stream).await?;
        block.ok_or_else(|| Trouble::Broken("it ended the stream without a block".to_owned()))
    }

    /// [`newest`](Self::newest) within `time`.
    pub async fn newest_within(&self, time: Duration) -> Result<SealedBlock, Trouble> {
        within(time, self.newest()).await
    }
}

/// What comes within `time`, else that it stalls.
pub async fn within<T>(
    time: Duration,
    asked: impl Future<Output = Result<T, Trouble>>,
) -> Result<T, Trouble> {
    match tokio::time::timeout(time, asked).await {
        Ok(answer) => answer,
        Err(_) => Err(Trouble::Stalled(time)),
    }
}

fn one(position: Position) -> Seek {
    Seek {
        best_effort: true,
        ..Seek::one(position)
    }
}

/// The next block of a stream; none at its proper end.
pub async fn next(stream: &mut DeliverStream) -> Result<Option<SealedBlock>, Trouble> {
    stream.next().await.map_err(|error| trouble(&error))
}

fn trouble(error: &DeliverError) -> Trouble {
    match error {
        DeliverError::Refused { status } => match Status::try_from(*status) {
            Ok(Status::Forbidden) => Trouble::Forbidden,
            Ok(Status::NotFound) => Trouble::NotFound,
            Ok(other) => Trouble::Status(other.as_str_name()),
            Err(_) => Trouble::Malformed(format!("status {status}")),
        },
        DeliverError::Broken { source } if is_too_large(source) => Trouble::Malformed(error.to_string()),
        DeliverError::Broken { .. } => Trouble::Broken(error.to_string()),
        DeliverError::Malformed { .. } => Trouble::Malformed(error.to_string()),
        DeliverError::OutOfTurn { expected, got } => Trouble::OutOfTurn {
            due: *expected,
            got: *got,
        },
    }
}

/// Longer than any message that is taken.
fn is_too_large(status: &tonic::Status) -> bool {
    matches!(status.code(), Code::OutOfRange)
}
