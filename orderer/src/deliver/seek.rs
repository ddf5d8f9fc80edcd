//! One seek request: from the checks on its channel to the status that ends it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use ledger::{Cursor, SeekStatus, Step};
use protos::wire::common::Status as WireStatus;
use protos::wire::orderer::seek_info::{SeekContentType, SeekErrorResponse};
use protos::{BlockNumber, Height, SealedBlock};
use tokio::sync::watch;

use super::access::{Access, Denied};
use super::request::SeekRequest;
use super::source::Source;
use super::{Counted, Deliver, LOGGER, message};
use crate::codec::{ClientGone, ReplySink};
use crate::logging::seldom::Mistakes;
use crate::shutdown;
use crate::telemetry::Telemetry;

/// A request under way.
pub(super) struct Seek {
    request: SeekRequest,
    source: Arc<dyn Source>,
    client: SocketAddr,
    access: Access,
    cursor: Cursor,
    heights: watch::Receiver<Height>,
    /// Present for requests that end when the channel cannot promise fresh blocks.
    errored: Option<watch::Receiver<bool>>,
    headers_only: bool,
    read_ahead: VecDeque<SealedBlock>,
    stopping: watch::Receiver<bool>,
    refusals: Arc<Mistakes>,
    telemetry: Option<Telemetry>,
    counted: Counted,
}

impl Seek {
    /// Checks 5 to 9 of `docs/spec/behaviour.md` §2.2; the error is the status that ends the request.
    pub(super) fn begin(
        request: SeekRequest,
        source: Arc<dyn Source>,
        client: SocketAddr,
        service: &Deliver,
    ) -> Result<Self, WireStatus> {
        let counted = Counted::begin(&service.metrics, request.channel());
        let info = request.seek_info().map_err(|_| WireStatus::BadRequest)?;
        let strict = info.error_response != SeekErrorResponse::BestEffort as i32;
        let errored = strict.then(|| source.errored());
        if errored.as_ref().is_some_and(|errored| *errored.borrow()) {
            return Err(WireStatus::ServiceUnavailable);
        }
        let mut access = Access::of(&request, service.no_expiration_checks);
        access
            .check(&request, &source.rules(), SystemTime::now())
            .map_err(|denied| forbidden(&request, client, &denied, &service.refusals))?;
        let heights = source.heights();
        let cursor = Cursor::new(&info, *heights.borrow()).map_err(wire_status)?;
        Ok(Self {
            headers_only: info.content_type == SeekContentType::HeaderWithSig as i32,
            request,
            source,
            client,
            access,
            cursor,
            heights,
            errored,
            read_ahead: VecDeque::new(),
            stopping: service.stopping.clone(),
            refusals: Arc::clone(&service.refusals),
            telemetry: service.telemetry.clone(),
            counted,
        })
    }

    /// The channel it reads.
    pub(super) fn channel(&self) -> &str {
        self.request.channel()
    }

    /// Sends blocks until the request ends; answers its status.
    pub(super) async fn run(mut self, sink: &ReplySink) -> Result<WireStatus, ClientGone> {
        let ended = self.send_blocks(sink).await;
        self.counted.is_success = ended == Ok(WireStatus::Success);
        ended
    }

    async fn send_blocks(&mut self, sink: &ReplySink) -> Result<WireStatus, ClientGone> {
        loop {
            let height = *self.heights.borrow_and_update();
            let number = match self.cursor.step(height) {
                Step::Send(number) => number,
                Step::Wait => match self.wait(sink).await? {
                    Some(status) => return Ok(status),
                    None => continue,
                },
                Step::End(status) => return Ok(wire_status(status)),
            };
            if let Err(status) = self.check_access() {
                return Ok(status);
            }
            let Some(block) = self.next_block(number, height).await else {
                return Ok(WireStatus::ServiceUnavailable);
            };
            match self.following(number) {
                None => self.send(&block, sink).await?,
                Some(telemetry) => {
                    let since = SystemTime::now();
                    self.send(&block, sink).await?;
                    telemetry.delivered(self.channel(), number, since);
                }
            }
        }
    }

    /// Who wants to know when this block is delivered.
    fn following(&self, number: BlockNumber) -> Option<&Telemetry> {
        let telemetry = self.telemetry.as_ref()?;
        telemetry.follows(self.channel(), number).then_some(telemetry)
    }

    /// Waits for the next block, and for what else may end the request: then answers the status.
    async fn wait(&mut self, sink: &ReplySink) -> Result<Option<WireStatus>, ClientGone> {
        let unavailable = Ok(Some(WireStatus::ServiceUnavailable));
        tokio::select! {
            biased;
            grown = self.heights.changed() => match grown {
                Ok(()) => Ok(None),
                Err(_) => unavailable, // the channel is gone
            },
            () = sink.closed() => Err(ClientGone),
            () = errored(&mut self.errored) => unavailable,
            () = shutdown::begun(&mut self.stopping) => unavailable,
        }
    }

    fn check_access(&mut self) -> Result<(), WireStatus> {
        let checked = self
            .access
            .check(&self.request, &self.source.rules(), SystemTime::now());
        checked.map_err(|denied| forbidden(&self.request, self.client, &denied, &self.refusals))
    }

    /// The block with this number, which is below `height`; several are read at a time.
    async fn next_block(&mut self, number: BlockNumber, height: Height) -> Option<SealedBlock> {
        if self.read_ahead.is_empty() {
            match self
                .source
                .read(number, self.end_of_reading(number, height))
                .await
            {
                Ok(blocks) => self.read_ahead.extend(blocks),
                Err(error) => {
                    let channel = self.request.channel();
                    tracing::error!(target: LOGGER, "channel {channel}: cannot deliver block {number}: {error}");
                }
            }
        }
        self.read_ahead.pop_front()
    }

    /// The first block that need not be read now: after the stop block, or at the height.
    fn end_of_reading(&self, number: BlockNumber, height: Height) -> BlockNumber {
        let stop = self.cursor.stop().next();
        let end = height.next_number();
        // A start beyond the stop follows for ever.
        if stop > number { stop.min(end) } else { end }
    }

    async fn send(&self, block: &SealedBlock, sink: &ReplySink) -> Result<(), ClientGone> {
        let parts = if self.headers_only {
            message::header_with_signatures(block)
        } else {
            message::block(block)
        };
        for part in parts.into_iter().filter(|part| !part.is_empty()) {
            sink.send_framed(part).await?;
        }
        sink.count_sent(1);
        self.counted.block_sent();
        Ok(())
    }
}

/// Ready when the channel is in error, if that matters.
async fn errored(errored: &mut Option<watch::Receiver<bool>>) {
    match errored {
        // A chain that is gone without a word promises nothing either.
        Some(errored) => drop(errored.wait_for(|errored| *errored).await),
        None => std::future::pending().await,
    }
}

fn wire_status(status: SeekStatus) -> WireStatus {
    match status {
        SeekStatus::Success => WireStatus::Success,
        SeekStatus::BadRequest => WireStatus::BadRequest,
        SeekStatus::NotFound => WireStatus::NotFound,
    }
}

fn forbidden(request: &SeekRequest, client: SocketAddr, denied: &Denied, said: &Mistakes) -> WireStatus {
    let channel = request.channel();
    let kind = match denied {
        Denied::Expired { .. } => "expired",
        Denied::Policy { .. } => "policy",
    };
    if let Some(more) = said.tell(channel, kind) {
        tracing::warn!(target: LOGGER, "client {client} may not read channel '{channel}': {denied}{more}");
    }
    WireStatus::Forbidden
}
