//! The commands of `docs/operating/backup.md` and `recover.md`, run as they stand there, against networks of a quickstart.

use tests::fixture::page::{self, Shell};

fn run(path: &str) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut shell = Shell::start(folder.path(), &[]);
    for step in page::read(path) {
        shell.step(&step);
    }
}

#[test]
fn the_commands_of_the_page_about_backups_make_copies_that_are_good() {
    run("operating/backup.md");
}

#[test]
fn the_commands_of_the_page_about_recovery_bring_back_what_was_lost() {
    run("operating/recover.md");
}
