//! `run`: a WASI program, or one export of a module.
use super::imports::{Denied, denied};
use super::page::Page;
use super::profile::Watch;
use super::report::{Failure, Status, from_wasmtime};
use super::similar::similar;
use super::table::counted;
use super::words::shown;
use super::{args, invoke, meant};
use anyhow::{Context as _, anyhow};
use portcullis::host::{LinkError, LinkProblem, Natives};
use portcullis::plan::CallError;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::thread;
use wasmtime::{
    Engine, ExternType, FuncType, Instance, Linker, Module, Store, Trap, Val, WasmBacktrace,
};
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::{FsPerms, I32Exit, WasiCtxBuilder};

/// What `run` (or `profile`) was told, as it is meant.
pub struct Run {
    guest: PathBuf,
    args: Vec<String>,
    invoke: Option<String>,
    permissions: meant::Permissions,
    directories: Vec<(PathBuf, String)>,
    variables: Vec<(String, String)>,
    precompiled: bool,
    bounds: meant::Bounds,
}

/// What a store holds.
pub struct State {
    wasi: WasiP1Ctx,
    natives: Natives,
}

/// Runs a guest on a large stack of its own.
pub fn run(typed: &args::Run) -> Result<Status, Failure> {
    let run = Run::meant(typed)?;
    on_own_stack(move || run.run(None))
}

/// Runs a guest on a thread with a large stack.
pub fn on_own_stack(
    run: impl FnOnce() -> Result<Status, Failure> + Send + 'static,
) -> Result<Status, Failure> {
    let thread = thread::Builder::new().name("guest".to_owned()).stack_size(meant::STACK);
    let guest = thread.spawn(run).context("cannot start a thread for the guest")?;
    match guest.join() {
        Ok(ended) => ended,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

impl Run {
    pub fn meant(typed: &args::Run) -> Result<Run, Failure> {
        let usage = |error: anyhow::Error| Failure::Usage(error.to_string());
        let (guest, args) = typed
            .guest_and_args
            .split_first()
            .ok_or_else(|| Failure::Usage("no guest is given".to_owned()))?;
        let text = |arg: &OsString| {
            let arg = arg.to_str().ok_or_else(|| {
                Failure::Usage(format!("the argument {arg:?} is not UTF-8, which WASI asks for"))
            })?;
            Ok(arg.to_owned())
        };
        // A program gets its `--`; the parameters of an export have no use for it.
        let args = match args {
            [dashes, rest @ ..] if typed.invoke.is_some() && dashes == "--" => rest,
            all => all,
        };
        Ok(Run {
            guest: PathBuf::from(guest),
            args: args.iter().map(text).collect::<Result<_, Failure>>()?,
            invoke: typed.invoke.clone(),
            directories: typed
                .dir
                .iter()
                .map(|dir| meant::directory(dir).map_err(usage))
                .collect::<Result<_, _>>()?,
            variables: typed
                .env
                .iter()
                .map(|variable| meant::variable(variable).map_err(usage))
                .collect::<Result<_, _>>()?,
            permissions: meant::Permissions::read(&typed.permissions)?,
            precompiled: typed.allow_precompiled,
            bounds: meant::Bounds { timeout: typed.timeout, fuel: typed.fuel },
        })
    }

    /// Runs it, under the eyes of `watch` if there is one.
    pub fn run(&self, watch: Option<&Watch>) -> Result<Status, Failure> {
        let phase = |name: &str| watch.iter().for_each(|watch| watch.phase(name));
        phase(if self.precompiled { "loading the guest" } else { "compiling the guest" });
        let wasi = self.wasi()?;
        let recording = watch.map(Watch::recording);
        let (bridge, module) =
            self.permissions.guest(&self.guest, self.precompiled, self.bounds, recording)?;
        phase("linking and starting it");
        let engine = bridge.engine().clone();
        // Before anything of the guest runs, its start function included.
        let export = self.invoke.as_deref().map(|name| Export::meant(&module, name, &self.args));
        let export = export.transpose()?;
        let linker = linker(&engine)?;
        let mut store = store(&engine, wasi);
        self.bound(&mut store)?;
        let instance = bridge
            .instantiate(&mut store, &linker, &module, |state| &mut state.natives)
            .map_err(|error| not_started(error, &self.guest, &denied(&bridge, &module)));
        phase("the guest");
        let ended = instance.and_then(|instance| match &export {
            Some(export) => export.call(&mut store, instance),
            None => start(&mut store, instance, &self.guest, &module),
        });
        flush_native_streams();
        if !matches!(ended, Err(Failure::Start(_) | Failure::Usage(_))) {
            watch.iter().for_each(|watch| watch.end());
        }
        match ended {
            Err(Failure::Trap(error)) => match error.downcast_ref::<I32Exit>() {
                Some(exit) => Ok(Status::Guest(exit.0)),
                None => Err(match self.bounds.timeout.filter(|_| is_interrupted(&error)) {
                    Some(most) => Failure::Late(error, most),
                    None => Failure::Trap(error),
                }),
            },
            other => other,
        }
    }

    /// Gives a guest its time and its fuel.
    fn bound(&self, store: &mut Store<State>) -> Result<(), Failure> {
        if let Some(fuel) = self.bounds.fuel {
            store.set_fuel(fuel).map_err(from_wasmtime).context("cannot count fuel")?;
        }
        let Some(timeout) = self.bounds.timeout else { return Ok(()) };
        store.set_epoch_deadline(1);
        let engine = store.engine().clone();
        let watch = move || {
            thread::sleep(timeout);
            engine.increment_epoch();
        };
        // Nobody waits for it: it ends with the program.
        thread::Builder::new()
            .name("timeout".to_owned())
            .spawn(watch)
            .context("cannot start a thread for --timeout")?;
        Ok(())
    }

    /// The guest's file.
    #[cfg(feature = "cranelift")]
    pub fn guest(&self) -> &Path {
        &self.guest
    }

    /// What the guest is called.
    #[cfg(feature = "cranelift")]
    pub fn guest_name(&self) -> String {
        self.guest.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// What it may call.
    #[cfg(feature = "cranelift")]
    pub fn permissions(&self) -> &meant::Permissions {
        &self.permissions
    }

    /// Whether it was compiled ahead of time.
    #[cfg(feature = "cranelift")]
    pub fn is_precompiled(&self) -> bool {
        self.precompiled
    }

    /// What the guest sees of the system.
    fn wasi(&self) -> Result<WasiP1Ctx, Failure> {
        let mut builder = WasiCtxBuilder::new();
        // There is one guest and nothing else to do: a thread pool would only cost time.
        builder.allow_blocking_current_thread(true);
        builder.inherit_stdio();
        // The name of the file, not its path: that is the host's business.
        builder.arg(self.guest.file_name().unwrap_or_default().to_string_lossy());
        if self.invoke.is_none() {
            builder.args(&self.args);
        }
        builder.envs(&self.variables);
        for (host, guest) in &self.directories {
            builder
                .preopened_dir(host, guest, FsPerms::ReadWrite)
                .map_err(from_wasmtime)
                .with_context(|| format!("cannot open the directory {}", host.display()))?;
        }
        Ok(builder.build_p1())
    }
}

/// Whether a guest's time was up.
fn is_interrupted(error: &wasmtime::Error) -> bool {
    matches!(error.downcast_ref::<Trap>(), Some(Trap::Interrupt))
}

/// A store for one guest.
pub fn store(engine: &Engine, wasi: WasiP1Ctx) -> Store<State> {
    Store::new(engine, State { wasi, natives: Natives::default() })
}

/// WASI, and nothing else.
pub fn linker(engine: &Engine) -> Result<Linker<State>, Failure> {
    let mut linker = Linker::new(engine);
    p1::add_to_linker_sync(&mut linker, |state: &mut State| &mut state.wasi)
        .map_err(from_wasmtime)
        .context("cannot set up WASI")?;
    Ok(linker)
}

/// An error of instantiation: the start function may have run and trapped, or called `proc_exit`.
pub fn not_started(error: wasmtime::Error, guest: &Path, denied: &[Denied]) -> Failure {
    let guest_ran = error.is::<I32Exit>()
        || error.is::<WasmBacktrace>()
        || error.is::<Trap>()
        || error.is::<CallError>();
    if guest_ran && !error.is::<LinkError>() {
        return Failure::Trap(error);
    }
    let guest = guest.display();
    let mut what = format!("cannot link {guest}");
    let error = match error.downcast::<LinkError>() {
        Ok(error) => {
            if denied.len() > 1 {
                what.push_str(&format!(
                    ": {} imports are denied, of which this is one; `portcullis imports {guest}` with the same options lists all",
                    denied.len()
                ));
            }
            // The library has told this one.
            let is_told = |one: &&Denied| {
                let is_unknown = matches!(error.problem, LinkProblem::Unknown) || error.is_denial();
                is_unknown && (&one.module, &one.name) == (&error.module, &error.name)
            };
            for one in denied.iter().filter(|one| !is_told(one)) {
                let (module, name) = (shown(&one.module, 200), shown(&one.name, 200));
                tracing::info!(target: "portcullis::host", %module, %name, problem = %one.why, "denied an import");
            }
            anyhow::Error::new(error)
        }
        Err(error) => from_wasmtime(error),
    };
    Failure::Start(error.context(what))
}

/// Runs a WASI program.
fn start(
    store: &mut Store<State>,
    instance: Instance,
    guest: &Path,
    module: &Module,
) -> Result<Status, Failure> {
    let Some(function) = instance.get_func(&mut *store, "_start") else {
        let guest = guest.display();
        return Err(Failure::Start(match functions(module)[..] {
            [] => anyhow!(
                "{guest} exports no `_start`, so it is not a program, and no other function"
            ),
            ref functions => anyhow!(
                "{guest} exports no `_start`, so it is not a program: name a function with `--invoke`; it exports {}",
                some(functions)
            ),
        }));
    };
    let function = function
        .typed::<(), ()>(&*store)
        .map_err(from_wasmtime)
        .context("the guest's `_start` must have neither parameters nor results")?;
    function.call(&mut *store, ()).map_err(Failure::Trap)?;
    Ok(Status::Good)
}

/// An export that is to be called, and what with.
struct Export<'r> {
    name: &'r str,
    parameters: Vec<Val>,
    results: usize,
}

impl<'r> Export<'r> {
    /// The export of that name, which must take such parameters.
    fn meant(module: &Module, name: &'r str, args: &[String]) -> Result<Export<'r>, Failure> {
        let ty = module.get_export(name);
        let ty = ty.as_ref().and_then(ExternType::func).ok_or_else(|| no_export(module, name))?;
        Ok(Export { name, parameters: parameters(ty, name, args)?, results: ty.results().len() })
    }

    /// Calls it and prints its results.
    fn call(&self, store: &mut Store<State>, instance: Instance) -> Result<Status, Failure> {
        let Some(function) = instance.get_func(&mut *store, self.name) else {
            return Err(Failure::Start(anyhow!("the guest exports no function `{}`", self.name)));
        };
        // A module that is no program may ask to be initialized.
        if let Some(initialize) = instance.get_func(&mut *store, "_initialize")
            && self.name != "_initialize"
            && let Ok(initialize) = initialize.typed::<(), ()>(&*store)
        {
            initialize.call(&mut *store, ()).map_err(Failure::Trap)?;
        }
        let mut results = vec![Val::I32(0); self.results];
        function.call(&mut *store, &self.parameters, &mut results).map_err(Failure::Trap)?;
        flush_native_streams();
        let mut page = Page::default();
        for result in &results {
            page.line(invoke::show(result));
        }
        page.show()?;
        Ok(Status::Good)
    }
}

/// Native code may have printed to the C library's streams (the interface `streams`), which keep what is
/// written: it comes before what is said about the guest.
#[expect(unsafe_code, reason = "calls the C library")]
fn flush_native_streams() {
    // SAFETY: NULL means all open streams. A stream that cannot be written is native code's business.
    unsafe { libc::fflush(std::ptr::null_mut()) };
}

/// The arguments of the command line as parameters of such a function.
fn parameters(ty: &FuncType, name: &str, args: &[String]) -> Result<Vec<Val>, Failure> {
    if ty.params().len() != args.len() {
        let types: Vec<String> = ty.params().map(|ty| ty.to_string()).collect();
        return Err(Failure::Usage(format!(
            "`{name}` takes {} ({}), the command line has {}",
            counted(types.len(), "parameter"),
            types.join(", "),
            args.len()
        )));
    }
    let parse = |(number, (ty, arg)): (usize, (_, &String))| {
        invoke::parse(arg, &ty).map_err(|error| {
            Failure::Usage(format!(
                "parameter {} of `{name}` is of type {ty}, `{arg}` is not: {error}",
                number + 1
            ))
        })
    };
    ty.params().zip(args).enumerate().map(parse).collect()
}

/// What it exports.
fn functions(module: &Module) -> Vec<&str> {
    let functions = module.exports().filter(|export| export.ty().func().is_some());
    functions.map(|export| export.name()).collect()
}

/// Some names of many.
fn some(names: &[&str]) -> String {
    const MOST: usize = 20;
    let mut some: Vec<String> = names.iter().take(MOST).map(|name| shown(name, SHOWN)).collect();
    if names.len() > MOST {
        some.push(format!("and {} more", names.len() - MOST));
    }
    some.join(", ")
}

/// How much of a name is shown.
const SHOWN: usize = 80;

fn no_export(module: &Module, name: &str) -> Failure {
    let functions = functions(module);
    if functions.is_empty() {
        return Failure::Usage(format!("the guest exports no function `{name}`, and no other"));
    }
    let near = similar(name, functions.iter().copied());
    let near = near.first().map(|near| format!("; did you mean `{}`?", shown(near, SHOWN)));
    Failure::Usage(format!(
        "the guest exports no function `{}`; it exports {}{}",
        shown(name, SHOWN),
        some(&functions),
        near.unwrap_or_default()
    ))
}
