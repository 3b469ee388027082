//! `profile`: runs a guest as `run` does, and says where its time went.
#![expect(unsafe_code, reason = "waits for signals")]
use super::output::Output;
use super::page::complain;
use super::report::{Failure, Status, WARNING, from_wasmtime};
use super::run::{Run, on_own_stack};
use super::words::in_options;
use super::{args, meant};
use anyhow::{Context as _, Result};
use portcullis::host::{ImportReport, ImportStatus, NativeImport, Recorded, Recording, Tier};
use portcullis::plan::recorder::Sampling;
use portcullis::profile::{Calibration, Profile, Ways, folded, text};
use std::mem::MaybeUninit;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::thread;

/// What a run is recorded in.
pub struct Watch {
    recording: Recording,
    /// How it was when the guest had ended.
    ended: OnceLock<Recorded>,
}

impl Watch {
    /// Says what is done from now on.
    pub fn phase(&self, name: &str) {
        self.recording.phase(name);
    }

    /// The guest has ended, or trapped.
    pub fn end(&self) {
        self.ended.get_or_init(|| self.recording.recorded());
    }

    /// What a bridge records to.
    pub fn recording(&self) -> &Recording {
        &self.recording
    }
}

/// Where the profile goes.
struct Outputs {
    guest: String,
    ways: Ways,
    json: Option<Output>,
    folded: Option<Output>,
}

/// Runs a guest and reports.
pub fn profile(typed: &args::Profile) -> Result<Status, Failure> {
    let run = Run::meant(&typed.run)?;
    let outputs = Outputs {
        guest: run.guest_name(),
        ways: Ways {
            most: run.permissions().most().to_string(),
            guarded: run.permissions().is_guarded(),
            precompiled: run.is_precompiled(),
        },
        json: Output::wanted(typed.json.as_deref())?,
        folded: Output::wanted(typed.folded.as_deref())?,
    };
    Output::all_differ(outputs.json.iter().chain(&outputs.folded))?;
    // Who wants no faster tier hears what he would gain if he did.
    let most = match run.permissions().most() {
        Tier::Interpreter => Tier::Direct,
        most => most,
    };
    let calibration = Calibration::measure(most)
        .map_err(from_wasmtime)
        .context("cannot find out what calls cost on this machine")?;
    let sampling = match typed.sample {
        Some(every) => Sampling::Every(every),
        None => calibration.sampling(),
    };
    let recording = Recording::new(calibration.clock, sampling);
    let watch = Arc::new(Watch { recording, ended: OnceLock::new() });
    let outputs = Arc::new(outputs);
    on_interruption({
        // When the guest has ended they are not this thread's any more.
        let (watch, outputs) = (Arc::clone(&watch), Arc::downgrade(&outputs));
        move || {
            let Some(outputs) = outputs.upgrade() else { return Ok(()) };
            let profile = Profile::new(&watch.recording.recorded(), &calibration);
            outputs.show(outputs.named(profile))
        }
    });
    let run = Arc::new(run);
    let ended = on_own_stack({
        let (run, watch) = (Arc::clone(&run), Arc::clone(&watch));
        move || run.run(Some(&watch))
    });
    // Without it the guest has not run.
    let Some(recorded) = watch.ended.get() else { return ended };
    let mut profile = outputs.named(Profile::new(recorded, &calibration));
    // Of a guest that was compiled ahead of time the file says what makes its calls.
    if !run.is_precompiled() {
        match tiers(run.permissions(), run.guest()) {
            Ok(tiers) => tiers.iter().for_each(|tier| tier.tell(&mut profile)),
            Err(error) => complain(format_args!(
                "{WARNING}warning:{WARNING:#} which tiers could make the calls is not known: {error:#}"
            )),
        }
    }
    let shown = outputs.show(profile);
    // What became of the guest is more important than a file that cannot be written.
    let ended = ended?;
    shown?;
    Ok(ended)
}

impl Outputs {
    /// A profile of what these are of.
    fn named(&self, profile: Profile) -> Profile {
        profile.named(&self.guest).with(self.ways.clone())
    }

    /// Prints the report on standard error, so that the guest's own output stays what it is, and writes files.
    fn show(&self, profile: Profile) -> Result<()> {
        complain(format_args!("\n{}", text::report(&profile).trim_end()));
        if let Some(output) = &self.json {
            let json =
                serde_json::to_string_pretty(&profile).context("cannot make JSON of this")?;
            output.write(&(json + "\n"))?;
        }
        if let Some(output) = &self.folded {
            output.write(&folded::folded(&profile))?;
        }
        Ok(())
    }
}

/// The fastest tier of an import, and what its code took.
struct Fastest {
    function: NativeImport,
    /// If that could be told from what linking takes.
    compiling: Option<f64>,
}

impl Fastest {
    fn tell(&self, profile: &mut Profile) {
        let import = profile.imports.iter_mut().find(|import| import.name == self.function.name);
        if let Some(import) = import {
            import.fastest = Some(self.function.tier.to_string());
            import.why_no_faster = self.function.why_no_faster.as_deref().map(in_options);
            let compiled = self.function.tier >= Tier::Cranelift;
            import.compiling = self.compiling.filter(|_| compiled);
        }
    }
}

/// Links the guest once more: without machine code, and with all that may be made. The difference is what code takes.
fn tiers(permissions: &meant::Permissions, guest: &Path) -> Result<Vec<Fastest>> {
    let engine = meant::engine()?;
    let module = meant::module(&engine, guest)?;
    // What is done once in a process, as loading a library, is in neither.
    let _ = permissions.bridge_with(&engine, Tier::Interpreter)?.describe(&module);
    let least = permissions.bridge_with(&engine, Tier::Interpreter)?.describe(&module);
    let bridge = permissions.bridge_with(&engine, permissions.most())?;
    // Whether guests may call directly is found out once, and not for the first import alone.
    let _ = bridge.max_tier();
    Ok(fastest(&least, &bridge.describe(&module)))
}

fn fastest(least: &[ImportReport], most: &[ImportReport]) -> Vec<Fastest> {
    let pairs = least.iter().zip(most);
    let fastest = pairs.filter_map(|(least, most)| match &most.status {
        ImportStatus::Native(functions) => {
            let function = functions.first()?.clone();
            let compiling = most.took.checked_sub(least.took).map(|took| took.as_secs_f64() * 1e9);
            Some(Fastest { function, compiling })
        }
        _ => None,
    });
    fastest.collect()
}

/// Has `report` called when the user interrupts the program, which ends then: native code cannot be stopped, and so
/// nobody waits for the guest.
fn on_interruption(report: impl FnOnce() -> Result<()> + Send + 'static) {
    let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: an empty set is made, and signals are added that there are. Threads that begin later block them too, so
    // that only the one below gets them.
    let set = unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGINT);
        libc::sigaddset(set.as_mut_ptr(), libc::SIGTERM);
        libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut());
        set.assume_init()
    };
    let wait = move || {
        let mut signal = 0;
        // SAFETY: the set was made above.
        if unsafe { libc::sigwait(&raw const set, &raw mut signal) } != 0 {
            return;
        }
        // A second one ends the program at once.
        // SAFETY: as above.
        unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const set, std::ptr::null_mut()) };
        if let Err(error) = report() {
            complain(format_args!("{WARNING}warning:{WARNING:#} {error:#}"));
        }
        // SAFETY: the program ends. Nothing is cleaned up: the guest still runs.
        unsafe { libc::_exit(128 + signal) };
    };
    let started = thread::Builder::new().name("interruption".to_owned()).spawn(wait);
    if started.is_err() {
        // Without it signals do what they always do.
        // SAFETY: as above.
        unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const set, std::ptr::null_mut()) };
    }
}
