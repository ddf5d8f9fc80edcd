//! The ordering service: Manager, ChainSupport, front end and the `orderer` binary.
