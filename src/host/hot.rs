//! Plans that become machine code when they are called often.
//!
//! ```text
//! guest ──> stub ──> whatever the import's context says
//!                      ├─ at first: the ordinary function, which counts
//!                      └─ once there is code: the direct trampoline
//! ```
//!
//! Where guests cannot enter it by themselves, the ordinary function is called as ever, and enters the trampoline
//! that is made for that.
//!
//! The code is made on a thread of its own, so that nobody waits for it. Each import looks for it in each
//! of its ordinary calls, also in a loop that never ends, and has the next one go there.
use super::direct::Stub;
use super::trampolines::{Compiled, CompiledDirect, Entry, Trampolines};
use crate::plan::Plan;
use crate::plan::template::Template;
use std::ffi::c_void;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// So many calls make a function hot where nobody says otherwise. "Direct calls" in ARCHITECTURE.md has the figures.
pub(super) const CALLS: u32 = 1000;

/// A plan that may become hot, of one function.
pub(super) struct Hot {
    plan: Arc<Plan>,
    /// What runs it until then, if not the interpreter.
    pub template: Option<Template>,
    calls: AtomicU32,
    /// It is hot after so many.
    after: u32,
    /// Why guests may not enter its code by themselves.
    not_direct: Option<String>,
    code: OnceLock<Result<HotCode, String>>,
    /// What guests enter until there is code.
    stub: OnceLock<Option<Stub>>,
    jobs: Arc<Jobs>,
}

/// What a hot plan has become.
pub(super) enum HotCode {
    /// Guests enter it by themselves.
    Direct(CompiledDirect),
    /// The ordinary function enters it, because guests cannot.
    Array {
        code: Compiled,
        /// Why they cannot.
        not_direct: Option<String>,
    },
}

impl fmt::Debug for Hot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hot").field("calls", &self.calls).finish_non_exhaustive()
    }
}

impl Hot {
    pub(super) fn new(
        plan: &Arc<Plan>,
        after: u32,
        not_direct: Option<String>,
        jobs: &Arc<Jobs>,
    ) -> Arc<Hot> {
        Arc::new(Hot {
            plan: Arc::clone(plan),
            template: Template::of(plan).ok(),
            calls: AtomicU32::new(0),
            after: after.max(1),
            not_direct,
            code: OnceLock::new(),
            stub: OnceLock::new(),
            jobs: Arc::clone(jobs),
        })
    }

    /// The code, or why there is none. `None` as long as nobody knows.
    pub(super) fn code(&self) -> Option<Result<&HotCode, &str>> {
        Some(self.code.get()?.as_ref().map_err(String::as_str))
    }

    /// Where guests enter the code, if it is for them.
    pub(super) fn direct(&self) -> Option<&CompiledDirect> {
        match self.code.get()? {
            Ok(HotCode::Direct(code)) => Some(code),
            Ok(HotCode::Array { .. }) | Err(_) => None,
        }
    }

    /// Code that goes where an import's context says, as long as this lives. `None` without memory for code.
    pub(super) fn stub(&self) -> Option<*const c_void> {
        self.stub.get_or_init(Stub::new).as_ref().map(Stub::start)
    }

    /// Where ordinary functions enter the code, if it is for them.
    #[inline]
    pub(super) fn entry(&self) -> Option<Entry> {
        match self.code.get()? {
            Ok(HotCode::Array { code, .. }) => Some(code.entry()),
            Ok(HotCode::Direct(_)) | Err(_) => None,
        }
    }

    /// Whether guests may enter its code by themselves, once there is some.
    pub(super) fn may_be_direct(&self) -> bool {
        self.not_direct.is_none()
    }

    /// After how many calls code is made.
    pub(super) fn after(&self) -> u32 {
        self.after
    }

    /// What will become of it.
    pub(super) fn outlook(&self) -> String {
        let calls = self.after;
        match &self.not_direct {
            None => format!("direct after {calls} calls, if that is possible"),
            Some(why) => format!("cranelift after {calls} calls, if that is possible; {why}"),
        }
    }

    /// The function's name.
    #[cfg(feature = "trampolines")]
    pub(super) fn symbol(&self) -> &crate::signature::Ident {
        &self.plan.prototype.name
    }

    /// Whether it was called often enough.
    #[cfg(feature = "trampolines")]
    #[inline]
    pub(super) fn is_counted(&self) -> bool {
        self.calls.load(Ordering::Relaxed) >= self.after
    }

    /// One more call. The one that makes it hot has the code made.
    ///
    /// Calls of several threads at once may count as one, and who was interrupted may set the number back. It grows by
    /// one at a time, so that somebody still makes the last step; that several do so does no harm.
    #[inline]
    pub(super) fn count(self: &Arc<Hot>) {
        let calls = self.calls.load(Ordering::Relaxed);
        if calls < self.after {
            self.calls.store(calls + 1, Ordering::Relaxed);
            if calls + 1 == self.after {
                self.is_hot();
            }
        }
    }

    #[cold]
    fn is_hot(self: &Arc<Hot>) {
        self.jobs.push(Arc::<Hot>::clone(self));
    }
}

impl Job for Hot {
    fn compile(&self, trampolines: &Trampolines) {
        let code = self.code.get_or_init(|| {
            let direct = match &self.not_direct {
                Some(why) => Err(why.clone()),
                None => trampolines.direct_of(&self.plan).map(HotCode::Direct),
            };
            direct.or_else(|not_direct| {
                // The host's way into code takes as long as all that a template does.
                if self.template.is_some() {
                    return Err(not_direct);
                }
                match trampolines.of(&self.plan) {
                    Ok(code) => Ok(HotCode::Array { code, not_direct: Some(not_direct) }),
                    Err(why) if why == not_direct => Err(why),
                    Err(why) => Err(format!("{not_direct}; no trampoline either: {why}")),
                }
            })
        });
        let symbol = &self.plan.prototype.name;
        match code {
            Ok(_) => tracing::debug!(%symbol, "made a trampoline of a hot plan"),
            Err(why) => tracing::debug!(%symbol, %why, "a hot plan has no trampoline"),
        }
    }
}

/// Something that code is made of.
pub(super) trait Job: Send + Sync {
    /// Makes it.
    fn compile(&self, trampolines: &Trampolines);
}

/// What makes code of hot plans: a thread that is there from the first of them on, and goes with the last
/// that could ask for something.
pub(super) struct Jobs {
    trampolines: Arc<Trampolines>,
    sender: Mutex<Option<Sender<Arc<dyn Job>>>>,
}

impl Jobs {
    pub(super) fn new(trampolines: &Arc<Trampolines>) -> Arc<Jobs> {
        Arc::new(Jobs { trampolines: Arc::clone(trampolines), sender: Mutex::default() })
    }

    pub(super) fn push(&self, hot: Arc<dyn Job>) {
        let mut sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        if sender.is_none() {
            *sender = self.start();
        }
        let left = match &*sender {
            Some(sender) => sender.send(hot).map_err(|left| left.0),
            None => Err(hot),
        };
        drop(sender);
        // Without a thread this call waits for it.
        if let Err(hot) = left {
            hot.compile(&self.trampolines);
        }
    }

    fn start(&self) -> Option<Sender<Arc<dyn Job>>> {
        let (sender, jobs) = channel::<Arc<dyn Job>>();
        let trampolines = Arc::clone(&self.trampolines);
        let thread = std::thread::Builder::new().name("portcullis".to_owned());
        let started = thread.spawn(move || {
            for hot in jobs {
                hot.compile(&trampolines);
            }
        });
        started.is_ok().then_some(sender)
    }
}
