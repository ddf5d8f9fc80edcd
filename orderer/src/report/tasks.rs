//! Which long-lived tasks run, by what they do and for whom: counted as they begin and end.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use parking_lot::Mutex;

/// Names longer than this are cut: some come from clients.
const NAME_CHARACTERS_MAX: usize = 100;

/// The tasks of one node. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Tasks(Arc<Mutex<BTreeMap<Task, usize>>>);

/// What a task does, and for whom: a channel, mostly.
type Task = (&'static str, String);

/// A task that counts until this is dropped.
#[derive(Debug)]
pub struct Running {
    tasks: Tasks,
    task: Option<Task>,
}

impl Tasks {
    /// Counts one more.
    pub fn begin(&self, what: &'static str, of: &str) -> Running {
        let task = (what, of.chars().take(NAME_CHARACTERS_MAX).collect::<String>());
        *self.0.lock().entry(task.clone()).or_default() += 1;
        Running {
            tasks: self.clone(),
            task: Some(task),
        }
    }

    /// A line for each kind: `3 deliver ch1`.
    pub fn describe(&self) -> String {
        let mut text = String::new();
        for ((what, of), count) in &*self.0.lock() {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {count} {what} {of}");
        }
        text
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(task) = self.task.take() else {
            return;
        };
        let mut tasks = self.tasks.0.lock();
        if let Some(count) = tasks.get_mut(&task) {
            *count -= 1;
            if *count == 0 {
                tasks.remove(&task);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_count_while_they_run() {
        let tasks = Tasks::default();
        let one = tasks.begin("deliver", "ch1");
        let two = tasks.clone().begin("deliver", "ch1");
        let long = tasks.begin("deliver", &"x".repeat(1000));
        let described = tasks.describe();
        assert!(
            described.starts_with("  2 deliver ch1\n  1 deliver xxx"),
            "{described}"
        );
        assert!(described.len() < 200, "{described}");
        drop((one, long));
        assert_eq!(tasks.describe(), "  1 deliver ch1\n");
        drop(two);
        assert_eq!(tasks.describe(), "");
    }
}
