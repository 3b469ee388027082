//! Imports that guests call directly: no host function is entered.
//!
//! ```text
//! Store ── closures of two ordinary functions ──> Import ──> Bound
//!                                                  ├── Context  <── trampolines, by address
//!                                                  └── FuncRef  <── wasmtime, by address
//! ```
//!
//! wasmtime is given a function whose four words are ours ([`FuncRef`]): guests enter a trampoline, the
//! host enters a stub that goes on in the ordinary function. Both ordinary functions own the import, and
//! the store owns them: what wasmtime and the trampoline have addresses of lives as long as the store.
//!
//! Where code is made when a function is hot, guests enter a stub that goes where the context says. As long as there is
//! none, many enter the interpreter so (`interpreted`).
//!
//! Overloads have a context each, in front of which their ranges are looked at (`set`).
//!
//! - *redo* makes whole calls: those that were not let pass the gate, those whose checks have failed, the host's;
//! - *resume* does the work after a call that a trampoline has made. It is a function of its own, so that a
//!   call which is made anew is never taken for one that is half done.
#![expect(unsafe_code, reason = "makes functions of wasmtime by hand")]
use super::bound::Bound;
pub(super) use super::bound::SeenMemory;
use super::gates;
use super::hot::{Hot, HotCode};
use super::trampolines::CompiledDirect;
use crate::cranelift_backend::direct::{Context, FuncRef, first_entry, host_entry};
use crate::plan::binding::Gate;
use crate::plan::frame::{FrameHead, GuestSlot};
use set::Set;
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::cell::{Cell, OnceCell};
use std::ffi::c_void;
use std::fmt;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use wasmtime::{AsContextMut, Caller, Engine, Func, FuncType, Module, ValRaw};

mod facts;
mod interpreted;
#[cfg_attr(all(target_arch = "x86_64", unix), path = "recorder_x86_64.rs")]
#[cfg_attr(not(all(target_arch = "x86_64", unix)), path = "recorder_unsupported.rs")]
mod recorder;
mod set;

pub(super) use crate::cranelift_backend::direct::Stub;
pub(super) use facts::check;
#[cfg(feature = "cranelift")]
pub(super) use facts::guest_ahead;
pub(super) use interpreted::Straight;
pub(super) use set::can_choose;

/// The guest of the trial calls, for engines that do not make code.
#[derive(Clone)]
pub(super) struct Trial(pub Arc<Load>);

type Load = dyn Fn(&Engine) -> wasmtime::Result<Module> + Send + Sync;

impl Trial {
    fn module(&self, engine: &Engine) -> wasmtime::Result<Module> {
        (self.0)(engine)
    }
}

impl fmt::Debug for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Trial")
    }
}

/// Through which no call goes.
static CLOSED: Gate = Gate::closed();

/// See the module.
pub(super) struct Import {
    /// The function's, if it is one; else that of the choice.
    context: Place,
    /// The functions, if there are several.
    set: Option<Set>,
    function: OnceCell<FuncRef>,
    bound: Bound,
    /// How much stack guest code may use.
    wasm_stack: usize,
}

// SAFETY: as `Bound`: only code that has the store in its hands touches it; that includes the guest's.
unsafe impl Send for Import {}
// SAFETY: as above.
unsafe impl Sync for Import {}

/// A context with a frame behind it, at an address of its own.
struct Place {
    start: NonNull<Context>,
    /// What was allocated: it begins at most [`Context::ALIGN`] before the context. Allocators take much longer for
    /// memory that is aligned to more than they align all of it to.
    memory: NonNull<u8>,
    layout: Layout,
}

impl Place {
    fn new(context: Context, frame: usize) -> Place {
        let size = Context::FRAME + frame + Context::ALIGN;
        let layout = Layout::from_size_align(size, align_of::<u128>()).expect("frames are small");
        // SAFETY: the layout has a size.
        let memory = unsafe { alloc_zeroed(layout) };
        let Some(memory) = NonNull::new(memory) else { handle_alloc_error(layout) };
        let to_start = memory.as_ptr().align_offset(Context::ALIGN);
        // SAFETY: an offset of bytes to a multiple of `ALIGN` is less than that, which is inside the allocation.
        let start = unsafe { memory.byte_add(to_start) }.cast::<Context>();
        // SAFETY: it is aligned, and so much was allocated behind it: `size` without `ALIGN`.
        unsafe { start.write(context) };
        Place { start, memory, layout }
    }

    fn context(&self) -> &Context {
        // SAFETY: written in `new`; what changes in it are cells.
        unsafe { self.start.as_ref() }
    }

    fn frame(&self) -> *mut FrameHead {
        // SAFETY: inside the allocation.
        unsafe { self.start.as_ptr().byte_add(Context::FRAME).cast() }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // SAFETY: allocated in `new`; a context has nothing to drop.
        unsafe { dealloc(self.memory.as_ptr(), self.layout) };
    }
}

impl Import {
    fn new(bound: Bound, wasm_stack: usize) -> Import {
        let members = 0..bound.overloads();
        let set = (members.len() > 1).then(|| {
            let places = members.map(|position| Import::place(&bound, position)).collect();
            Set::new(bound.lowering(), places)
                .expect("`Bound::direct` has asked whether it can be made")
        });
        let context = Import::place(&bound, 0);
        Import { context, set, function: OnceCell::new(), bound, wasm_stack }
    }

    /// A context for calls of that overload, which go to *redo*.
    fn place(bound: &Bound, position: usize) -> Place {
        let gate: *const Gate = if bound.needs_memory() { &raw const CLOSED } else { bound.gate() };
        let context = Context {
            magic: wasmtime_environ::VM_ARRAY_CALL_HOST_FUNC_MAGIC,
            pending: Cell::new(0),
            gate: Cell::new(gate),
            redo: Cell::new(ptr::null()),
            resume: Cell::new(ptr::null()),
            entry: Cell::new(first_entry()),
            errno: bound.errno(),
            binding: bound.another_binding(position),
            interpret: Cell::new(None),
            import: Cell::new(ptr::null()),
            popped: Cell::new(0),
        };
        Place::new(context, bound.frame_size(position))
    }

    /// That of an overload.
    fn place_of(&self, position: usize) -> &Place {
        self.set.as_ref().map_or(&self.context, |set| &set.members[position])
    }

    /// Makes a whole call, as every import that is not called directly.
    ///
    /// # Safety
    /// As [`Bound::call`].
    unsafe fn redo<T: 'static>(
        self: &Arc<Self>,
        mut caller: Caller<'_, T>,
        slots: &mut [MaybeUninit<ValRaw>],
    ) -> wasmtime::Result<()> {
        if self.bound.has_terms() {
            // Of overloads some may have terms, whose calls all come here; those that are called directly have none.
            // SAFETY: the caller's promise.
            unsafe { self.bound.ask(&mut caller, slots)? };
        }
        let hot = if self.set.is_none() { self.bound.hot(0) } else { None };
        match (hot, &self.set) {
            (Some(hot), _) => self.look_for_code(0, hot, &mut caller),
            (None, Some(set)) => {
                for position in 0..set.members.len() {
                    if let Some(hot) = self.bound.hot(position) {
                        self.look_for_code(position, hot, &mut caller);
                    }
                }
            }
            (None, None) => {}
        }
        let called = match hot {
            // SAFETY: the caller's promise; it is what runs the only overload.
            Some(hot) => unsafe { self.bound.call_hot(hot, caller, slots) },
            // SAFETY: the caller's promise.
            None => unsafe { self.bound.call(caller, slots) },
        };
        self.learn_memory();
        called?;
        self.bound.told_strays()?;
        self.open_gate();
        Ok(())
    }

    /// Does the work after a call of an overload that its trampoline has left in the frame.
    ///
    /// # Safety
    /// As [`Bound::call`], and the trampoline has just come here with the arguments of its call.
    unsafe fn resume<T: 'static>(
        &self,
        position: usize,
        caller: &mut Caller<'_, T>,
        slots: &mut [MaybeUninit<ValRaw>],
    ) -> wasmtime::Result<()> {
        let (context, frame) = (self.place_of(position).context(), self.place_of(position).frame());
        if context.pending.replace(0) == 0 {
            return Err(wasmtime::Error::msg(
                "a call hook has called the function whose call it was told of: give the bridge a lower `max_tier`",
            ));
        }
        let slots = slots.as_mut_ptr().cast::<GuestSlot>();
        // SAFETY: the caller's promise.
        unsafe { self.bound.resume_at(position, &context.binding, frame, slots, caller)? };
        self.bound.told_strays()
    }

    /// The next call of an overload goes to the trampoline, if there is one. It lives as long as the overload.
    #[inline]
    fn look_for_code<T: 'static>(
        self: &Arc<Self>,
        position: usize,
        hot: &Hot,
        caller: &mut Caller<'_, T>,
    ) {
        let context = self.place_of(position).context();
        if let Some(Ok(HotCode::Direct(code))) = hot.code()
            && context.entry.get() != code.start()
        {
            if code.resumes() && context.resume.get().is_null() {
                self.make_resume(position, caller);
            }
            Import::enter_code(context, hot, code);
        }
    }

    /// The next call goes there, which lives as long as the overload.
    #[cold]
    fn enter_code(context: &Context, hot: &Hot, code: &CompiledDirect) {
        context.entry.set(code.start());
        tracing::debug!(symbol = %hot.symbol(), "calls of an import are direct from now on");
    }

    /// Makes the door behind the call, where trampolines find it.
    #[cold]
    #[inline(never)]
    fn make_resume<T: 'static>(
        self: &Arc<Self>,
        position: usize,
        store: &mut impl AsContextMut<Data = T>,
    ) {
        let context = self.place_of(position).context();
        let redo = context.redo.get().cast_mut().cast();
        // SAFETY: wasmtime's own words of a function of this store, which lives as long as the store.
        let redo =
            unsafe { Func::from_raw(&mut *store, redo) }.expect("it is there before any call");
        let ty = redo.ty(&*store);
        let owned = Arc::clone(self);
        // SAFETY: the type is that of `redo`, whose arguments those of the call are; nobody but the trampoline
        // has its address. wasmtime fills its words as those of `redo`: at once where the module that imports it is
        // known to the store, else when it is, which is before that module's code runs.
        let resume = unsafe {
            Func::new_unchecked(
                &mut *store,
                ty,
                move |mut caller: Caller<'_, T>, slots: &mut [MaybeUninit<ValRaw>]| {
                    owned.resume(position, &mut caller, slots)
                },
            )
        };
        context.resume.set(resume.to_raw(store).cast_const().cast());
    }

    /// All that it has.
    fn places(&self) -> impl Iterator<Item = &Place> {
        let members = self.set.iter().flat_map(|set| &set.members);
        std::iter::once(&self.context).chain(members)
    }

    /// Lets calls on this thread's stack pass.
    pub(super) fn open_gate(&self) {
        let block = self.bound.block();
        gates::open(&block.strays, block.limits.stack_reserve, self.wasm_stack);
    }

    /// From now on the trampoline knows the memory, if the ordinary way does.
    fn learn_memory(&self) {
        if let Some((base, len)) = self.bound.known_memory() {
            for place in self.places() {
                let context = place.context();
                context.binding.memory_base.set(base);
                context.binding.memory_len.set(len);
                context.gate.set(self.bound.gate());
            }
        }
    }

    /// The instance has started: looks where its memory is.
    pub(super) fn settle(&self, store: impl AsContextMut, seen: &mut SeenMemory) {
        self.bound.look_for_memory(store, seen);
        self.learn_memory();
    }
}

/// The function of an import that guests call directly, and what must be told when the instance has
/// started.
///
/// # Safety
/// The link of `bound` has been lowered for a function of that type; `entry` is what [`Bound::direct`] has just said
/// of it.
pub(super) unsafe fn make<T: 'static>(
    store: &mut impl AsContextMut<Data = T>,
    ty: FuncType,
    bound: Bound,
    (mut entry, resumes): (*const c_void, bool),
) -> (Func, Arc<Import>) {
    let wasm_stack = store.as_context().engine().get_max_wasm_stack();
    let import = Arc::new(Import::new(bound, wasm_stack));
    let context = import.context.context();
    if let Some(straight) = import.bound.enters_straight() {
        let interpreted = straight.prepare(context, Arc::as_ptr(&import));
        // Where code may come, guests enter a stub that goes there.
        if import.bound.hot(0).is_some() {
            context.entry.set(interpreted)
        } else {
            entry = interpreted
        }
    }
    let owned = Arc::clone(&import);
    // SAFETY: the caller's promise: these are the values that `Bound::call` expects.
    let redo = unsafe {
        Func::new_unchecked(
            &mut *store,
            ty,
            move |caller: Caller<'_, T>, slots: &mut [MaybeUninit<ValRaw>]| {
                owned.redo(caller, slots)
            },
        )
    };
    let redo: *const FuncRef = redo.to_raw(&mut *store).cast_const().cast();
    import.places().for_each(|place| place.context().redo.set(redo));
    if resumes && import.set.is_none() {
        import.make_resume(0, store);
    }
    if let Some(set) = &import.set {
        entry = set.prepare(context, Arc::as_ptr(&import));
        for (position, place) in set.members.iter().enumerate() {
            if let Some((start, resumes)) = import.bound.code_of(position) {
                if resumes {
                    import.make_resume(position, store);
                }
                place.context().entry.set(start);
            }
        }
    }
    // SAFETY: wasmtime's own words of a function of this store, laid out as `facts` has found.
    let type_index = unsafe { (*redo).type_index };
    let function = FuncRef {
        array_call: host_entry(),
        wasm_call: entry,
        type_index,
        vmctx: import.context.start.as_ptr().cast_const().cast(),
    };
    let function = ptr::from_ref(import.function.get_or_init(|| function)).cast_mut();
    // SAFETY: as wasmtime's own words of a function of that type of this store: `facts` has shown what they
    // mean. They live as long as the ordinary functions, which the store owns.
    let function = unsafe { Func::from_raw(store, function.cast()) };
    (function.expect("it is not NULL"), import)
}
