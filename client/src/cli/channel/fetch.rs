//! `ordain channel fetch`: one block into a file.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use protos::{SealedBlock, block};
use serde::Serialize;

use super::super::files::Output;
use super::super::{Failure, output};

/// What is said of a block that was written to a file.
#[derive(Serialize)]
struct Fetched {
    number: u64,
    hash: String,
    config: bool,
    bytes: usize,
}

/// Writes a block, and when that is not what standard output is for, says which it was.
pub(super) fn write(fetched: &SealedBlock, file: Option<PathBuf>, json: bool) -> Result<(), Failure> {
    let Some(path) = file else {
        if std::io::stdout().is_terminal() {
            return Err(
                Failure::usage("a block is not text, and standard output is a terminal")
                    .hint("name a file with -o, or pipe it on"),
            );
        }
        return Output::to(None).write(fetched.bytes());
    };
    let named = path.display().to_string();
    Output::to(Some(path)).write(fetched.bytes())?;
    let config = fetched.decode().is_ok_and(|block| block::is_config_block(&block));
    let told = Fetched {
        number: fetched.number().0,
        hash: hex::encode(fetched.hash()),
        config,
        bytes: fetched.bytes().len(),
    };
    if json {
        return output::json(&told);
    }
    let kind = if config { "config block" } else { "block" };
    output::line(format!(
        "{kind} {} of {} bytes is in {named}",
        told.number, told.bytes
    ))
}
