//! The command line `ordain`.

fn main() {}
