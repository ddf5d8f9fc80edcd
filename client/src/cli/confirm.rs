//! Asking before something is done that cannot be taken back.

use std::io::{IsTerminal as _, Write as _};

use super::Failure;

/// Asks on the terminal whether to go on. `wants` says what would happen, `otherwise` what is said of a no.
pub(super) fn ask(wants: &str, otherwise: &'static str) -> Result<(), Failure> {
    eprint!("{wants}? [y/N] ");
    let failed = |error| Failure::new(format!("cannot ask: {error}"));
    std::io::stderr().flush().map_err(failed)?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(failed)?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(Failure::new(otherwise)),
    }
}

/// Refuses to begin what nobody can be asked about. `deed` is what it is, `hint` what to do instead.
pub(super) fn refuse_unless_possible(yes: bool, deed: &str, hint: &'static str) -> Result<(), Failure> {
    if yes || std::io::stdin().is_terminal() {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "standard input is no terminal, so nobody can be asked whether to {deed}"
    ))
    .hint(hint))
}
