//! What the process holds, read from outside of what is tested, and whether it grows.
use portcullis::host::usage;
use std::fs;

/// What the process holds while nothing of it is in use.
#[derive(Clone, Debug)]
pub struct Reading {
    /// What must be as it was.
    pub held: Held,
    /// What goes up and down, in the order of [`TRENDS`].
    pub trends: [f64; 5],
}

/// What must not rise in the long run: what it is, its unit, and by how much a straight line through all readings
/// may rise.
///
/// Closures that are gone keep their code until their stubs are used again, so that some of it is there
/// between legs, with its mappings and their descriptors.
pub const TRENDS: [(&str, &str, f64); 5] = [
    // What `malloc` has given out and nobody has given back, in all its arenas.
    ("heap", "KiB", 512.0),
    ("resident", "KiB", 24.0 * 1024.0),
    ("machine code", "KiB", 256.0),
    ("executable mappings", "", 4.0),
    ("descriptors", "", 4.0),
];

/// What must be as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Closures of guest functions.
    pub closures: usize,
    /// Native objects of the test's own library.
    pub things: i64,
    /// Bytes that SQLite has.
    pub sqlite: i64,
    /// But for those that WASI keeps for a while.
    pub threads: usize,
}

impl Reading {
    pub fn take(things: i64, sqlite: i64) -> Reading {
        let usage = usage();
        let threads = threads().iter().filter(|name| !name.starts_with("tokio")).count();
        let held = Held { closures: usage.closures, things, sqlite, threads };
        let trends = [
            heap() / 1024.0,
            resident() / 1024.0,
            usage.code_bytes as f64 / 1024.0,
            executable() as f64,
            entries("/proc/self/fd") as f64,
        ];
        Reading { held, trends }
    }
}

/// Of `malloc`, by its own books.
fn heap() -> f64 {
    // SAFETY: it fills a struct and has no conditions.
    let info = unsafe { libc::mallinfo2() };
    (info.uordblks + info.hblkhd) as f64
}

fn resident() -> f64 {
    let text = fs::read_to_string("/proc/self/statm").expect("procfs");
    let pages = text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    // SAFETY: it only reads a number of the system.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    pages.expect("a number") as f64 * page as f64
}

/// The most memory that was ever resident, in KiB.
pub fn peak() -> u64 {
    let text = fs::read_to_string("/proc/self/status").expect("procfs");
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux has it");
    line.trim().trim_end_matches(" kB").trim().parse().expect("a number")
}

fn entries(folder: &str) -> usize {
    fs::read_dir(folder).expect("procfs").count()
}

/// The names of the threads.
fn threads() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").expect("procfs");
    // A thread may end while it is looked at.
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.map(|name| name.trim().to_owned()).collect()
}

/// Threads of bridges that make code.
pub fn compilers() -> usize {
    // The main thread has the name of the program, which is another.
    threads().iter().filter(|name| *name == "portcullis").count()
}

fn executable() -> usize {
    let maps = fs::read_to_string("/proc/self/maps").expect("procfs");
    maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|p| p.contains('x'))).count()
}

/// A straight line through points, by least squares: how much it rises from the first to the last.
pub fn rise(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let middle = (n - 1.0) / 2.0;
    let mean = values.iter().sum::<f64>() / n;
    let (mut along, mut across) = (0.0, 0.0);
    for (at, value) in values.iter().enumerate() {
        let x = at as f64 - middle;
        along += x * (value - mean);
        across += x * x;
    }
    if across == 0.0 { 0.0 } else { along / across * (n - 1.0) }
}
