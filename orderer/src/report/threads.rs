//! The threads of this process, as the kernel sees them (`/proc/self/task`).

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

/// One thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// The kernel's number of it.
    pub id: u32,
    /// Its name, of which the kernel keeps 15 characters.
    pub name: String,
    /// `R` runs, `S` waits, `D` waits for the disk; see `proc(5)`.
    pub state: char,
    /// Time on a processor so far; none where the kernel does not count it.
    pub on_processor: Option<Duration>,
    /// The kernel's functions it is in, the innermost first. Without the right to see all of them (a container often
    /// lacks it) the innermost one, or none.
    pub waits_in: Vec<String>,
}

/// All of them, by number.
///
/// # Errors
/// There is no `/proc`.
pub fn all() -> io::Result<Vec<Thread>> {
    let mut threads = Vec::new();
    for task in fs::read_dir("/proc/self/task")? {
        // One that has ended meanwhile is none any more.
        threads.extend(read(&task?.path()));
    }
    threads.sort_by_key(|thread| thread.id);
    Ok(threads)
}

fn read(task: &Path) -> Option<Thread> {
    let text = |name: &str| fs::read_to_string(task.join(name)).ok();
    let (id, name, state) = stat(&text("stat")?)?;
    let stack = text("stack").map(|stack| functions(&stack));
    let waits_in = match stack.filter(|functions| !functions.is_empty()) {
        Some(functions) => functions,
        None => text("wchan")
            .filter(|function| !matches!(function.as_str(), "" | "0"))
            .into_iter()
            .collect(),
    };
    Some(Thread {
        id,
        name,
        state,
        on_processor: text("schedstat").and_then(|times| on_processor(&times)),
        waits_in,
    })
}

/// `1234 (name) S ...`; a name may have anything in it.
fn stat(line: &str) -> Option<(u32, String, char)> {
    let (id, rest) = line.split_once(" (")?;
    let (name, rest) = rest.rsplit_once(") ")?;
    Some((id.parse().ok()?, name.to_owned(), rest.chars().next()?))
}

/// Nanoseconds on a processor, nanoseconds waited for one, turns.
fn on_processor(line: &str) -> Option<Duration> {
    let nanos = line.split_whitespace().next()?;
    Some(Duration::from_nanos(nanos.parse().ok()?))
}

/// `[<0>] futex_wait_queue+0x60/0x90` in each line.
fn functions(stack: &str) -> Vec<String> {
    let function = |line: &str| {
        let (_, place) = line.split_once("] ")?;
        let name = place.split('+').next()?.trim();
        Some(name.to_owned()).filter(|name| !name.is_empty())
    };
    stack.lines().filter_map(function).collect()
}

impl fmt::Display for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, state, name, .. } = self;
        match self.on_processor {
            Some(time) => write!(f, "{id} {state} {:>10.3} s {name}", time.as_secs_f64())?,
            None => write!(f, "{id} {state}            - {name}")?,
        }
        if self.waits_in.is_empty() {
            return Ok(());
        }
        write!(f, " ({})", self.waits_in.join(" < "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_kernel_are_read() {
        assert_eq!(stat("12 (a) b) S 1 2"), Some((12, "a) b".to_owned(), 'S')));
        assert_eq!(stat("12"), None);
        assert_eq!(
            on_processor("1500000000 2 3\n"),
            Some(Duration::from_millis(1500))
        );
        assert_eq!(on_processor(""), None);
        let stack = "[<0>] futex_wait_queue+0x60/0x90\n[<0>] do_futex+0x1/0x2\n[<0>] 0xffff\n";
        assert_eq!(functions(stack), ["futex_wait_queue", "do_futex", "0xffff"]);
        assert_eq!(functions(""), [""; 0]);
    }

    #[test]
    fn a_named_thread_of_this_process_is_found() {
        let (wake, wait) = std::sync::mpsc::channel::<()>();
        let (begun, up) = std::sync::mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("a waiting one".to_owned())
            .spawn(move || {
                begun.send(()).unwrap();
                wait.recv()
            });
        // It names itself before it does anything else.
        up.recv().unwrap();
        let found = all().unwrap();
        let waiting = found.iter().find(|thread| thread.name == "a waiting one");
        let shown = waiting.expect("it is there").to_string();
        assert!(shown.contains(" a waiting one"), "{shown}");
        drop(wake);
        thread.unwrap().join().unwrap().unwrap_err();
    }
}
