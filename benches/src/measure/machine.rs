//! What the machine and the threads of this process do, as Linux tells it.
//!
//! Elsewhere the answers are `None`: nothing is then known of other processes, and rows about CPU
//! time say `n/a`.

use std::fs;
use std::time::{Duration, Instant};

/// The kernel's unit in `/proc/stat` and `/proc/self/stat`: `USER_HZ`, 100 on the platforms we build for.
const TICK: Duration = Duration::from_millis(10);

/// The two files are read one after the other and count in whole ticks, so that so many ticks mean nothing.
const SLACK: Duration = Duration::from_millis(20);

/// Watches how much of the machine others use.
#[derive(Debug)]
pub struct Watch {
    since: Instant,
    others: Option<Duration>,
}

impl Watch {
    /// From now on.
    pub fn start() -> Self {
        Watch {
            since: Instant::now(),
            others: others_cpu(),
        }
    }

    /// CPU time of others since the start, per second of wall time; 0 where nothing is known.
    pub fn stop(self) -> f64 {
        let wall = self.since.elapsed();
        match (self.others, others_cpu()) {
            (Some(before), Some(after)) => {
                let stolen = after.saturating_sub(before).saturating_sub(SLACK);
                stolen.as_secs_f64() / wall.as_secs_f64()
            }
            _ => 0.0,
        }
    }
}

/// CPU time that this process did not use, since the machine was started.
fn others_cpu() -> Option<Duration> {
    let machine = machine_ticks(&fs::read_to_string("/proc/stat").ok()?)?;
    let own = own_ticks(&fs::read_to_string("/proc/self/stat").ok()?)?;
    Some(TICK * u32::try_from(machine.saturating_sub(own)).ok()?)
}

/// Busy ticks of all processors: user, nice, system, interrupts and stolen time; not idle or waiting for a disk.
pub(crate) fn machine_ticks(stat: &str) -> Option<u64> {
    let all = stat.lines().next()?.strip_prefix("cpu ")?;
    let fields: Vec<u64> = all
        .split_whitespace()
        .map_while(|field| field.parse().ok())
        .collect();
    match fields[..] {
        [user, nice, system, _idle, _disk, irq, soft_irq, stolen, ..] => {
            Some(user + nice + system + irq + soft_irq + stolen)
        }
        _ => None,
    }
}

/// Ticks of this process and of those that it has started and that are over, user and system. The name in
/// parentheses may hold anything.
pub(crate) fn own_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let fields = fields.split_whitespace().skip(11).take(4);
    let ticks: Option<Vec<u64>> = fields.map(|field| field.parse().ok()).collect();
    Some(ticks?.into_iter().sum())
}

/// What some threads of this process have done since they were started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Threads {
    /// How many there are.
    pub count: usize,
    /// Time on a processor.
    pub cpu: Duration,
    /// How often they left the processor: each time they run they leave it once.
    pub switches: u64,
}

impl Threads {
    /// Of the threads of that name (of which the kernel keeps 15 bytes).
    pub fn named(name: &str) -> Option<Self> {
        let mut sum = Threads::default();
        for task in fs::read_dir("/proc/self/task").ok()? {
            let path = task.ok()?.path();
            // a thread may have ended since it was listed
            let called = fs::read_to_string(path.join("comm")).unwrap_or_default();
            if called.trim_end() == name {
                sum.count += 1;
                sum.cpu += on_processor(&fs::read_to_string(path.join("schedstat")).ok()?)?;
                sum.switches += switches(&fs::read_to_string(path.join("status")).ok()?)?;
            }
        }
        Some(sum)
    }

    /// What was added since `before`.
    pub fn since(self, before: Self) -> Self {
        Threads {
            count: self.count,
            cpu: self.cpu.saturating_sub(before.cpu),
            switches: self.switches.saturating_sub(before.switches),
        }
    }
}

/// What this process has in memory, in megabytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Memory {
    /// Now.
    pub now: f64,
    /// The most that there ever was.
    pub most: f64,
}

impl Memory {
    /// Where the system tells.
    pub fn now() -> Option<Self> {
        Memory::of(&fs::read_to_string("/proc/self/status").ok()?)
    }

    fn of(status: &str) -> Option<Self> {
        let megabytes = |field| {
            let (_, rest) = status.split_once(field)?;
            let kilobytes: f64 = rest.split_whitespace().next()?.parse().ok()?;
            Some(kilobytes * 1_024.0 / 1e6)
        };
        Some(Memory {
            now: megabytes("VmRSS:")?,
            most: megabytes("VmHWM:")?,
        })
    }
}

/// The processors and the system, in words.
pub fn name() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let mut lines = info.lines();
    let model = lines.find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("an unknown processor", |(_, model)| model);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{cores} cores of {model}, {}", std::env::consts::OS)
}

fn on_processor(schedstat: &str) -> Option<Duration> {
    Some(Duration::from_nanos(
        schedstat.split_whitespace().next()?.parse().ok()?,
    ))
}

pub(crate) fn switches(status: &str) -> Option<u64> {
    let counts = status
        .lines()
        .filter_map(|line| line.split_once("ctxt_switches:"));
    counts
        .map(|(_, count)| count.trim().parse::<u64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_busy_in_all_but_idle_and_disk_time() {
        let stat = "cpu  100 20 30 9999 888 4 5 6 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n";
        assert_eq!(machine_ticks(stat), Some(165));
        assert_eq!(machine_ticks("intr 5"), None);
    }

    #[test]
    fn the_name_of_a_process_may_hold_anything() {
        let stat = "7 (a) b (c) R 1 2 3 4 5 6 7 8 9 10 70 7 0 0 20";
        assert_eq!(own_ticks(stat), Some(77));
    }

    #[test]
    fn processes_that_were_started_count_as_this_one() {
        let stat = "7 (a) R 1 2 3 4 5 6 7 8 9 10 70 7 5 1 20";
        assert_eq!(own_ticks(stat), Some(83));
    }

    #[test]
    fn both_kinds_of_switches_count() {
        let status = "Name:\tx\nvoluntary_ctxt_switches:\t19\nnonvoluntary_ctxt_switches:\t9\n";
        assert_eq!(switches(status), Some(28));
    }

    #[test]
    fn memory_is_read_in_megabytes() {
        let status = "Name:\tx\nVmHWM:\t  2000 kB\nVmRSS:\t  1000 kB\n";
        let memory = Memory::of(status).expect("both are there");
        assert_eq!((memory.now, memory.most), (1.024, 2.048));
        assert_eq!(Memory::of("Name:\tx\n"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_thread_that_sleeps_leaves_the_processor() {
        use std::sync::mpsc;
        use std::thread;

        let name = "sleeps-thrice";
        let (slept, wait_for_sleeps) = mpsc::channel();
        let (release, wait_for_release) = mpsc::channel::<()>();
        let sleeper = move || {
            (0..3).for_each(|_| thread::sleep(Duration::from_millis(1)));
            slept.send(()).expect("the test waits");
            wait_for_release.recv()
        };
        let thread = thread::Builder::new().name(name.to_owned()).spawn(sleeper);
        let thread = thread.expect("the system gives a thread");
        wait_for_sleeps
            .recv()
            .expect("the thread sleeps, then sends");
        let threads = Threads::named(name).expect("this is Linux");
        assert_eq!(threads.count, 1);
        assert!(threads.switches >= 3, "{threads:?}");
        assert!(threads.cpu > Duration::ZERO, "{threads:?}");
        drop(release);
        assert!(thread.join().expect("it does not panic").is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn threads_may_end_while_others_are_counted() {
        use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
        use std::thread;

        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Relaxed) {
                    let short = thread::spawn(|| {});
                    short.join().expect("it does nothing");
                }
            });
            let counted: Vec<_> = (0..1_000).map(|_| Threads::named("nobody")).collect();
            over.store(true, Relaxed);
            assert!(counted.iter().all(|of| *of == Some(Threads::default())));
        });
    }
}
