//! Runs the program `ordain` in a folder.

use std::path::Path;
use std::process::{Command, Output};

/// With `arguments`, which stand between blanks.
pub(crate) fn ordain(folder: &Path, arguments: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ordain"))
        .current_dir(folder)
        .args(arguments.split_whitespace())
        .output()
        .unwrap()
}

/// Its standard output, when it succeeds.
pub(crate) fn succeed(folder: &Path, arguments: &str) -> String {
    let output = ordain(folder, arguments);
    assert!(output.status.success(), "{arguments}: {}", stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// What it said besides.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}
