//! The `orderer` binary.

fn main() {}
