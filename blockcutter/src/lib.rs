//! Cuts a stream of envelopes into batches.
