//! The generated messages, one module a protobuf package; their source is the crate's `proto` folder.
//!
//! - Every `bytes` field is a [`bytes::Bytes`]. It shares the memory of the input when that is a `Bytes`.
//! - Every map is a `BTreeMap`, so encoding is deterministic. A map entry leaves out an empty key or value
//!   where the reference implementation writes it; both mean the same.
//! - Unknown fields are lost in decoding. Keep the received bytes where that matters.
//! - The scalar fields of [`raftpb`] that are not an `Option` are always written, zero included.
//! - Names follow Rust's case: `MSPPrincipal` is `MspPrincipal`, `ACLs` is `AcLs`.

/// The description of all these messages: a serialized `google.protobuf.FileDescriptorSet`.
///
/// It holds `google/protobuf/timestamp.proto` too, which they use, and no comments.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

macro_rules! package {
    ($(#[$doc:meta])* $name:ident, $file:literal $(, $child:item)?) => {
        $(#[$doc])*
        #[allow(missing_docs, clippy::pedantic, reason = "generated code")]
        pub mod $name {
            $($child)?
            include!(concat!(env!("OUT_DIR"), "/", $file, ".rs"));
        }
    };
}

package!(
    /// Envelopes, blocks, configuration, policies and principals.
    common,
    "common"
);
package!(
    /// Identities and MSP settings.
    msp,
    "msp"
);
package!(
    /// Broadcast, Deliver, the cluster services and the orderer's config values.
    orderer,
    "orderer",
    #[doc = "The settings of BFT channels."]
    pub mod smartbft {
        include!(concat!(env!("OUT_DIR"), "/orderer.smartbft.rs"));
    }
);
package!(
    /// Settings and block metadata of etcdraft channels.
    etcdraft,
    "etcdraft"
);
package!(
    /// The peer's side: transactions and application config values.
    protos,
    "protos"
);
package!(
    /// BFT consensus messages.
    smartbftprotos,
    "smartbftprotos"
);
package!(
    /// Raft consensus messages as other nodes expect them.
    raftpb,
    "raftpb"
);
package!(
    /// Read-write sets of a transaction.
    rwset,
    "rwset"
);
package!(
    /// Read-write sets of one namespace.
    kvrwset,
    "kvrwset"
);

#[cfg(test)]
mod tests;
