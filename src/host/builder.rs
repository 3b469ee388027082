//! Building a bridge: grants, libraries, limits.
#![expect(unsafe_code, reason = "functions that make a promise about native code are unsafe")]
#[cfg(feature = "trampolines")]
use super::ahead::Precompiled;
use super::bridge::{Bridge, Shared};
use super::direct;
use super::error::BuildError;
use super::grants::Grants;
use super::hot::{self, Jobs};
use super::library::{Libraries, NativeAddress, check_name};
use super::not_direct::NotDirect;
use super::policy::{Calling, Linking, Rules};
use super::recording::Recording;
use super::tier::Tier;
use super::trampolines::Trampolines;
use super::typing::Types;
#[cfg(feature = "trampolines")]
use crate::cranelift_backend::Stock;
use crate::interfaces::Shipped;
use crate::plan::Limits;
use crate::signature::{Interface, parse_interface};
use std::ffi::c_void;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use wasmtime::Engine;

/// Made by [`Bridge::builder`]. Without grants nothing is callable.
#[derive(Debug)]
pub struct BridgeBuilder {
    engine: Engine,
    grants: Grants,
    libraries: Libraries,
    limits: Limits,
    rules: Rules,
    /// `None`: automatic.
    max_tier: Option<Tier>,
    hot_after: Option<u32>,
    /// To do without direct calls.
    told: bool,
    #[cfg(feature = "trampolines")]
    stock: Stock,
    trial: Option<direct::Trial>,
    makes_code: bool,
    recording: Option<Recording>,
}

impl BridgeBuilder {
    pub(super) fn new(engine: &Engine) -> BridgeBuilder {
        BridgeBuilder {
            engine: engine.clone(),
            grants: Grants::default(),
            libraries: Libraries::default(),
            limits: Limits::default(),
            rules: Rules::default(),
            max_tier: None,
            hot_after: None,
            told: false,
            #[cfg(feature = "trampolines")]
            stock: Stock::new(),
            trial: None,
            makes_code: true,
            recording: None,
        }
    }

    /// Grants an interface that ships with the crate.
    ///
    /// # Errors
    /// None today: shipped interfaces are correct. It returns what
    /// [`grant_interface`](BridgeBuilder::grant_interface) returns.
    pub fn grant(self, interface: Shipped) -> Result<BridgeBuilder, BuildError> {
        self.grant_parsed(interface.into_interface())
    }

    /// Grants an interface of your own: the text of an annotated C header, and what messages call
    /// it.
    ///
    /// # Errors
    /// When the text has mistakes, all of them; when it names a library by a relative path.
    ///
    /// # Safety
    /// Its prototypes must be those of the libraries that it names, and their annotations true:
    /// with arguments that satisfy them, in every order of calls that they allow, the functions must
    /// neither touch memory that is not theirs nor call back where the prototype does not say so.
    /// Guests can do everything that its functions can do.
    pub unsafe fn grant_interface(
        self,
        name: &str,
        text: &str,
    ) -> Result<BridgeBuilder, BuildError> {
        let interface = parse_interface(name, text).map_err(BuildError::Interface)?;
        self.grant_parsed(Arc::new(interface))
    }

    fn grant_parsed(mut self, interface: Arc<Interface>) -> Result<BridgeBuilder, BuildError> {
        for library in &interface.libraries {
            check_name(&library.file)?;
            library.also.iter().try_for_each(|also| check_name(also))?;
        }
        self.grants.grant(interface);
        Ok(self)
    }

    /// Lets guests' own prototypes stand for one library: whatever they say about it is believed.
    ///
    /// # Errors
    /// When the name is a relative path.
    ///
    /// # Safety
    /// Every prototype that any guest of this bridge writes for the library must be as true as
    /// [`grant_interface`](BridgeBuilder::grant_interface) asks. A guest can call every function of
    /// the library with every argument: this is full trust.
    pub unsafe fn trust_signatures(mut self, library: &str) -> Result<BridgeBuilder, BuildError> {
        check_name(library)?;
        tracing::info!(library, "guests' own prototypes stand for a library");
        self.grants.trust(library);
        Ok(self)
    }

    /// Loads the file at `path` wherever the library `name` is meant. Without this the dynamic
    /// linker searches for the name.
    ///
    /// # Errors
    /// When the path is relative and not a plain name.
    pub fn library(
        mut self,
        name: &str,
        path: impl Into<PathBuf>,
    ) -> Result<BridgeBuilder, BuildError> {
        let path = path.into();
        check_name(&path.to_string_lossy())?;
        self.libraries.redirect(name, path);
        Ok(self)
    }

    /// Supplies the address of a function of the module or library `module`, for statically linked
    /// libraries and for mocks. The library is not looked at for this symbol. It is callable only
    /// if an interface grants it.
    ///
    /// # Safety
    /// The address must be that of a C function that is as the prototypes which are granted for it
    /// say, callable on every thread, for as long as any store uses this bridge.
    #[must_use]
    pub unsafe fn symbol(
        mut self,
        module: &str,
        symbol: &str,
        address: *const c_void,
    ) -> BridgeBuilder {
        self.libraries.supply(module, symbol, NativeAddress(address));
        self
    }

    /// Sets bounds on what one store's guests may use.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> BridgeBuilder {
        self.limits = limits;
        self
    }

    /// Asks `hook` about each native import of each module that is linked, after everything else was found to
    /// be in order. An `Err` refuses it, and the guest with it; its text is the reason that the error gives.
    /// Several hooks must all agree.
    #[must_use]
    pub fn on_link(
        mut self,
        hook: impl Fn(&Linking<'_>) -> Result<(), String> + Send + Sync + 'static,
    ) -> BridgeBuilder {
        self.rules.on_link(Box::new(hook));
        self
    }

    /// Asks `hook` about each call of the functions that `selects` selects when they are linked, before
    /// anything of the call is looked at: its arguments are whatever the guest has passed. An `Err` refuses
    /// the call, as a [`CallError`](crate::plan::CallError) with its text. Such functions are never called
    /// directly.
    ///
    /// What a hook has read of the guest's memory is what native code reads, because no other thread can
    /// write to it: of a shared memory it gets nothing.
    ///
    /// ```
    /// # use portcullis::{host::Bridge, interfaces};
    /// # use wasmtime::Engine;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let bridge = Bridge::builder(&Engine::default())
    ///     .grant(interfaces::sqlite3())?
    ///     .on_call(
    ///         |linking| &*linking.prototype.name.name == "sqlite3_open",
    ///         |call| match call.arguments.first().and_then(|path| path.i32()) {
    ///             Some(path) if call.string(path.cast_unsigned().into()) == Some(b":memory:") => Ok(()),
    ///             _ => Err("databases are kept in memory here".to_owned()),
    ///         },
    ///     )
    ///     .build()?;
    /// # let _ = bridge;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn on_call(
        mut self,
        selects: impl Fn(&Linking<'_>) -> bool + Send + Sync + 'static,
        hook: impl Fn(&Calling<'_>) -> Result<(), String> + Send + Sync + 'static,
    ) -> BridgeBuilder {
        self.rules.on_call(Box::new(selects), Arc::new(hook));
        self
    }

    /// [`Bridge::revoke`] may take this interface (or trusted library) away while guests use it. Its functions
    /// are never called directly.
    #[must_use]
    pub fn revocable(mut self, interface: &str) -> BridgeBuilder {
        self.rules.revocable(interface);
        self
    }

    /// Only one thread may call the functions of this interface (or trusted library): the first that does. For
    /// libraries that are not made for several threads; stores of all threads may link them. Its functions are
    /// never called directly.
    #[must_use]
    pub fn pin_to_thread(mut self, interface: &str) -> BridgeBuilder {
        self.rules.pin(interface);
        self
    }

    /// Watches native code: after each call it looks whether `const` memory is as it was, whether the call's
    /// own memory was written only where native code was given room, and whether the thread rounds
    /// floating-point numbers and blocks signals as before. What is wrong is an
    /// [`Unruly`](crate::plan::Unruly) error; the thread is as it was again. For trying libraries and
    /// interfaces out: every call goes through the interpreter and costs system calls and copies.
    #[must_use]
    pub fn guard(mut self, watched: bool) -> BridgeBuilder {
        self.rules.guard = watched;
        self
    }

    /// Records every call in `recording`, of all stores. The interpreter makes them then, and the entries of callbacks are
    /// not compiled: what a call costs in another tier is not seen. Nothing else changes. Without this nothing is recorded,
    /// and it costs nothing.
    #[must_use]
    pub fn record(mut self, recording: &Recording) -> BridgeBuilder {
        self.recording = Some(recording.clone());
        self
    }

    /// The fastest way to run calls that may be chosen. From [`Tier::Cranelift`] on machine code is made
    /// when a function is linked, unless [`when_hot`](BridgeBuilder::when_hot) says otherwise; with less the bridge never
    /// makes any. [`Tier::Direct`] is not for stores with call hooks, which direct calls do not run.
    ///
    /// Without this the bridge chooses by itself (`--tier auto` on the command line): calls begin with templates and the
    /// interpreter, and what is called often becomes machine code while the guest runs, up to [`Tier::Direct`].
    #[must_use]
    pub fn max_tier(mut self, tier: Tier) -> BridgeBuilder {
        self.max_tier = Some(tier);
        self
    }

    /// Code is not made when a function is linked but when it has been called so often, on
    /// a thread of its own. Until then templates and the interpreter run it. A bridge that chooses by itself has a number
    /// for this that was measured.
    #[must_use]
    pub fn when_hot(mut self, calls: u32) -> BridgeBuilder {
        self.hot_after = Some(calls);
        self
    }

    /// For tests: as if wasmtime were not what direct calls take it to be.
    #[doc(hidden)]
    #[must_use]
    pub fn without_direct_calls(mut self) -> BridgeBuilder {
        self.told = true;
        self
    }

    /// Whether the bridge may make machine code while the program runs (it may, unless told otherwise).
    /// Without it, calls are made by the trampolines of [`precompiled`](BridgeBuilder::precompiled) guests,
    /// by templates and by the interpreter: [`Bridge::max_tier`] says which tier can be reached,
    /// [`Bridge::describe`] which one each import has. Closures beyond the first 1024 of a process need code too.
    #[must_use]
    pub fn make_code(mut self, allowed: bool) -> BridgeBuilder {
        self.makes_code = allowed;
        self
    }

    /// Uses the trampolines that were made ahead of time for this guest, as far as `max_tier` allows
    /// trampolines at all. Several guests may be given.
    #[cfg(feature = "trampolines")]
    #[must_use]
    pub fn precompiled(mut self, guest: &Precompiled) -> BridgeBuilder {
        self.stock.extend(guest.stock().clone());
        self.trial = guest.trial().or(self.trial);
        self
    }

    /// Builds it.
    ///
    /// # Errors
    /// On hosts other than x86-64 Linux; when [`revocable`](BridgeBuilder::revocable) or
    /// [`pin_to_thread`](BridgeBuilder::pin_to_thread) name what is not granted; when the engine's configuration leaves native code too
    /// little stack under `call_async`.
    pub fn build(self) -> Result<Bridge, BuildError> {
        let BridgeBuilder {
            engine,
            grants,
            libraries,
            limits,
            rules,
            max_tier,
            hot_after,
            told,
            trial,
            makes_code,
            recording,
            ..
        } = self;
        if !cfg!(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu")) {
            let (arch, os) = (std::env::consts::ARCH, std::env::consts::OS);
            return Err(BuildError::UnsupportedHost { arch, os });
        }
        rules.check(&grants)?;
        check_fibers(&engine, limits.stack_reserve)?;
        let makes_code = makes_code && cfg!(feature = "cranelift");
        let (max_tier, hot_after) = match (max_tier, hot_after) {
            (None, _) if !cfg!(feature = "trampolines") => (Tier::Template, None),
            (None, calls) => (Tier::Direct, Some(calls.unwrap_or(hot::CALLS))),
            (Some(tier), calls) => (tier, calls),
        };
        // Calls that are recorded need none of it: not the trial of direct calls, not closures' code.
        let (max_tier, hot_after) = match recording {
            Some(_) => (Tier::Interpreter, None),
            None => (max_tier, hot_after),
        };
        #[cfg(feature = "trampolines")]
        let trampolines = Trampolines::new(self.stock, makes_code);
        #[cfg(not(feature = "trampolines"))]
        let trampolines = Trampolines::new(makes_code);
        let trampolines = Arc::new(trampolines);
        let jobs = Jobs::new(&trampolines);
        // What is not made need not be waited for.
        let hot_after = hot_after.filter(|_| makes_code);
        let shared = Shared {
            engine,
            grants,
            libraries,
            limits,
            rules,
            max_tier,
            plans: Default::default(),
            types: Arc::new(Types::new(max_tier, hot_after, &trampolines, &jobs)),
            jobs,
            trampolines,
            hot_after,
            not_direct: match (told, makes_code || trial.is_some()) {
                (true, _) => OnceLock::from(Some(NotDirect::Told)),
                (false, false) => OnceLock::from(Some(NotDirect::MakesNoCode)),
                (false, true) => OnceLock::new(),
            },
            trial,
            handle_numbers: Default::default(),
            links: Default::default(),
            recording,
            modules: Default::default(),
        };
        Ok(Bridge { shared: Arc::new(shared) })
    }
}

/// On a fiber nothing is known of the stack but its configured size: what guest code may not use
/// of it must be enough for native code.
fn check_fibers(engine: &Engine, reserve: u64) -> Result<(), BuildError> {
    let stack = u64::try_from(engine.get_async_stack_size()).unwrap_or(u64::MAX);
    let wasm = u64::try_from(engine.get_max_wasm_stack()).unwrap_or(u64::MAX);
    if stack.saturating_sub(wasm) >= reserve {
        return Ok(());
    }
    Err(BuildError::AsyncStack { stack, wasm: wasm.min(stack), reserve })
}
