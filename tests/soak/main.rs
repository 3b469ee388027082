//! Real libraries under mixed traffic for as long as one likes, on two threads: nothing may be left.
//!
//! ```sh
//! cargo test --release --test soak                     # 8 legs, some seconds
//! cargo test --release --test soak -- --minutes 60
//! ```
//!
//! A *leg* is some rounds on two new threads that share a bridge. In a round a guest or several run on that bridge or
//! on one of their own, of any tier: they compress, sort, query, parse and digest as native code does (the results
//! are compared), have callbacks that trap or leave with errors, hold native objects when they are dropped, and try what must be
//! refused. Bridges go while guests of theirs live, and while code is being made for them. Between legs nothing is in use, and what the
//! process holds is read: objects, closures, machine code, mappings, descriptors and threads must be what they
//! were; memory must not grow, which a straight line through all readings shows.
//!
//! A `main` of its own: the tests' harness has threads and memory of its own.
#![expect(unsafe_code, reason = "grants C libraries, calls them, and asks malloc for its books")]

mod gauge;
mod guests;
#[path = "../hostile/libraries.rs"]
#[expect(dead_code, unused_imports, reason = "its cases are run on bridges of this test's own")]
mod libraries;
#[path = "../support/native.rs"]
mod native;
mod natives;
#[path = "../support/rng.rs"]
#[expect(dead_code, reason = "nothing is shuffled here")]
mod rng;
mod traffic;

/// For the cases of hostile guests.
mod world {
    pub const TIERS: [portcullis::host::Tier; 0] = [];
}

use gauge::{Held, Reading, TRENDS, compilers, peak, rise};
use rng::Rng;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};
use traffic::Traffic;

const THREADS: u64 = 2;
/// Rounds of each thread in a leg.
const ROUNDS: usize = 12;
/// Legs before anything is compared: what is made once is made then. Few of the short form, because they take as
/// long as others.
const WARM_UP: usize = 12;
const FEW_WARM_UP: usize = 4;
/// Legs that are compared, where no time is given.
const LEGS: usize = 8;
const STACK: usize = 8 << 20;

fn leg(traffic: &Traffic, seed: u64) {
    let shared = traffic.bridge(&mut Rng::new(seed));
    thread::scope(|scope| {
        let shared = &shared;
        let start = |thread: u64| {
            let run = move || {
                let mut rng = Rng::new(seed ^ ((thread + 1) << 32));
                for _ in 0..ROUNDS {
                    traffic.round(shared, &mut rng);
                }
            };
            let made = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, run);
            made.expect("a thread")
        };
        let threads: Vec<_> = (0..THREADS).map(start).collect();
        // The scope waits for what they do, not for their end.
        for thread in threads {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
    });
}

/// What is held when the threads that make code have ended as well: there are no more than `threads`, as soon as that is
/// known. One that has just been made has no name yet, so that counting those with a name is not enough.
fn read(traffic: &Traffic, threads: Option<usize>) -> Reading {
    let late = Instant::now() + Duration::from_secs(60);
    loop {
        let reading = Reading::take(traffic.libraries.things(), traffic.libraries.sqlite());
        let settled = threads.is_none_or(|threads| reading.held.threads <= threads);
        if settled && compilers() == 0 || Instant::now() > late {
            return reading;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// The fewest threads that are there for a while.
fn fewest_threads(traffic: &Traffic) -> usize {
    let counts = (0..200).map(|_| {
        thread::sleep(Duration::from_millis(2));
        read(traffic, None).held.threads
    });
    counts.min().unwrap_or(1)
}

/// `--minutes N`, else a number of legs.
fn minutes() -> Result<Option<f64>, String> {
    let mut arguments = std::env::args().skip(1);
    let mut minutes = None;
    while let Some(argument) = arguments.next() {
        if argument == "--minutes" {
            let text = arguments.next().unwrap_or_default();
            let parsed = text.parse().map_err(|_| format!("--minutes {text:?} is no number"))?;
            minutes = Some(parsed);
        }
    }
    Ok(minutes)
}

/// Has all threads allocate from as few heaps as threads work at a time.
///
/// glibc otherwise gives each new thread one of many, so that a run reaches its highest mark in each of them
/// one by one, which for an hour looks like a leak.
fn share_arenas() {
    // SAFETY: no conditions; no other thread has been started.
    let set = unsafe { libc::mallopt(libc::M_ARENA_MAX, 2) };
    assert_eq!(set, 1, "glibc takes the number of its arenas");
}

fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == "--list") {
        println!("nothing_is_left: test");
        return ExitCode::SUCCESS;
    }
    share_arenas();
    let minutes = match minutes() {
        Ok(minutes) => minutes,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let warm_up = if minutes.is_some() { WARM_UP } else { FEW_WARM_UP };
    let seed = rng::seed(7);
    let traffic = Traffic::new();
    let mut seeds = Rng::new(seed);
    traffic.use_all_stubs(&mut seeds);
    let started = Instant::now();
    let ends = minutes.map(|minutes| started + Duration::from_secs_f64(minutes * 60.0));
    let (mut readings, mut before, mut told) = (Vec::with_capacity(1 << 20), None::<Held>, 0.0);
    let (mut number, mut threads) = (0, None);
    loop {
        leg(&traffic, seeds.next());
        number += 1;
        // Libraries have threads of their own (OpenBLAS), which are there when all have been used.
        if number == warm_up {
            threads = Some(fewest_threads(&traffic));
        }
        let reading = read(&traffic, threads);
        if number == warm_up {
            before = Some(reading.held);
        }
        if number >= warm_up {
            readings.push(reading.trends);
        }
        if let Some(before) = before
            && before != reading.held
        {
            eprintln!(
                "leg {number} has left something:\nbefore {before:?}\nafter  {:?}",
                reading.held
            );
            return ExitCode::FAILURE;
        }
        let now = started.elapsed().as_secs_f64() / 60.0;
        if minutes.is_some() && now >= told {
            let line = reading.trends.map(|n| n as i64);
            let instances = traffic.done.instances.load(Ordering::Relaxed);
            println!("{now:6.1} minutes, {number} legs, {instances} instances: {line:?}");
            told = now + 1.0;
        }
        let over = match ends {
            Some(ends) => number > warm_up && Instant::now() >= ends,
            None => number == warm_up + LEGS,
        };
        if over {
            break;
        }
    }
    report(&traffic, &readings, started.elapsed())
}

fn report(traffic: &Traffic, readings: &[[f64; TRENDS.len()]], took: Duration) -> ExitCode {
    let done = &traffic.done;
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    println!("{:.1} minutes on {THREADS} threads", took.as_secs_f64() / 60.0);
    println!("rounds              {}", count(&done.rounds));
    println!("bridges             {}", count(&done.bridges));
    println!("instances           {}", count(&done.instances));
    println!("native calls        {} (of guests that count them)", count(&done.calls));
    println!("callbacks           {} (likewise)", count(&done.callbacks));
    println!("errors, as expected {}", count(&done.errors));
    println!("left in the middle  {}", count(&done.left));
    println!("most memory         {} KiB resident", peak());
    println!("left at the end     nothing: {:?}", read(traffic, None).held);
    let (first, last) = (readings[0], readings[readings.len() - 1]);
    println!(
        "\nrise of the straight line through {} readings, one after each leg:",
        readings.len()
    );
    let mut flat = true;
    for (at, (name, unit, bound)) in TRENDS.into_iter().enumerate() {
        let values: Vec<f64> = readings.iter().map(|reading| reading[at]).collect();
        let most = values.iter().fold(0.0, |most: f64, value| most.max(*value));
        let rises = rise(&values);
        println!(
            "{name:<20} {rises:.1} {unit} (at most {bound:.0}); {:.0} at first, {:.0} at last, at most {most:.0}",
            first[at], last[at]
        );
        flat &= rises <= bound;
    }
    if flat {
        return ExitCode::SUCCESS;
    }
    eprintln!("something grows");
    ExitCode::FAILURE
}
