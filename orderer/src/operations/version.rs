//! What this program is: for `orderer version`, `/version` and the metric `fabric_version`.

/// The program's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit it was built from: the variable `ORDAIN_COMMIT` at the time of the build.
pub const COMMIT: &str = match option_env!("ORDAIN_COMMIT") {
    Some(commit) => commit,
    None => "development build",
};

/// The lines that `orderer version` prints: those of the reference, each with what is true of this program
/// (`docs/spec/behaviour.md` §10.3).
pub fn text() -> String {
    format!(
        "orderer:\n Version: {VERSION}\n Commit SHA: {COMMIT}\n Go version: none, this is Ordain, written in Rust\n \
         OS/Arch: {}/{}\n",
        std::env::consts::OS,
        architecture(std::env::consts::ARCH)
    )
}

/// Processors have other names where the reference comes from.
fn architecture(rust: &str) -> &str {
    match rust {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_have_the_names_that_tools_read() {
        let text = text();
        let names: Vec<_> = text.lines().filter_map(|line| line.split(": ").next()).collect();
        assert_eq!(
            names,
            ["orderer:", " Version", " Commit SHA", " Go version", " OS/Arch"]
        );
        assert!(text.contains(&format!(" Version: {VERSION}\n")), "{text}");
        assert_eq!(architecture("x86_64"), "amd64");
    }
}
