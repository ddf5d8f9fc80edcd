//! How to call other programs of ours from where the user is, in words of a shell.

use std::path::{Path, PathBuf};

/// How to call another program of ours from where the user is.
pub(super) fn program(name: &str) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    if is_run_by_cargo(&here) {
        let profile = if cfg!(debug_assertions) { "" } else { " --release" };
        return format!("cargo run -q{profile} --bin {name} --");
    }
    let beside = std::env::current_exe()
        .map(|program| program.with_file_name(name))
        .unwrap_or_default();
    match beside.parent() {
        Some(folder) if beside.is_file() && !is_on_path(folder) => {
            let short = beside.strip_prefix(&here);
            shell_word(&short.map_or(beside.clone(), |short| Path::new(".").join(short)))
        }
        _ => name.to_owned(),
    }
}

/// Whether `cargo run` started this, inside the workspace: then it can start other programs of it too, and builds
/// them first.
fn is_run_by_cargo(here: &Path) -> bool {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let workspace = package.as_deref().and_then(Path::parent);
    std::env::var_os("CARGO").is_some() && workspace.is_some_and(|root| here.starts_with(root))
}

fn is_on_path(folder: &Path) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|listed| listed == folder)
}

/// A path as one word of a POSIX shell.
pub(super) fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_alphanumeric() || "._-/+:@%".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_paths_are_quoted() {
        assert_eq!(shell_word(Path::new("a/b-c_d.json")), "a/b-c_d.json");
        assert_eq!(shell_word(Path::new("it's")), r"'it'\''s'");
        assert_eq!(shell_word(Path::new("$HOME/x")), "'$HOME/x'");
    }
}
