//! Closures: C function pointers backed by Rust closures.
use super::{CallPlan, Error, ValueLayout};
use crate::plan::frame::FrameHead;
use crate::plan::interpret::Both;
use crate::plan::interpret::upcall::{self, Context, Lent, Ready};
use crate::plan::stubs::{self, NoStubs, Stub};
use std::ffi::c_void;
use std::fmt;
use std::mem;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, Ordering};

/// A C function pointer that calls a Rust closure.
///
/// The closure gets the addresses of its arguments and of the memory of its result ([`Arguments`]). It may
/// be called from any thread, by several at once.
///
/// ```
/// use portcullis::ffi::{CallPlan, Closure};
/// use std::ffi::c_void;
///
/// let plan = CallPlan::parse("int compare(const int *a, const int *b)")?;
/// let descending = Closure::new(&plan, |args| {
///     // SAFETY: `qsort` passes two pointers into the array; the result is an `int`.
///     unsafe {
///         let (a, b) = (*args.read::<*const i32>(0), *args.read::<*const i32>(1));
///         args.write(b.cmp(&a) as i32);
///     }
/// })?;
/// unsafe extern "C" {
///     fn qsort(base: *mut c_void, n: usize, size: usize, compare: *const c_void);
/// }
/// let mut numbers = [3, 1, 2];
/// // SAFETY: the array has three elements of that size; the closure lives until `qsort` returns.
/// unsafe { qsort(numbers.as_mut_ptr().cast(), 3, 4, descending.as_ptr()) };
/// assert_eq!(numbers, [3, 2, 1]);
/// # Ok::<(), portcullis::ffi::Error>(())
/// ```
///
/// # What is guaranteed
///
/// - A panic in the closure does not unwind into C: the process is aborted, with a message that names the
///   prototype behind the one that says where it panicked.
/// - Whoever calls a closure that was dropped ends the process with a message that says so, as long as its
///   stub has not been given to another: that does not happen before 64 more closures were dropped, unless
///   the system refuses memory for more code.
/// - No page is ever writable and executable at once, and no page with live code changes its protection. The
///   first 1024 closures of a process need no memory for code at all: their stubs are in the program.
///
/// # What is not
///
/// A closure must not be dropped while it runs, by itself neither: C code that calls it is expected to hold
/// the pointer no longer than the closure lives.
pub struct Closure {
    stub: Stub,
    /// Taken out in `drop`.
    head: NonNull<Head>,
    /// Frees what `Head::function` points at.
    free: unsafe fn(*mut ()),
}

// SAFETY: the Rust closure is `Send` and `Sync` (see `new`), and so is everything else behind the pointers.
unsafe impl Send for Closure {}
// SAFETY: likewise.
unsafe impl Sync for Closure {}

/// What a stub finds. It stays when the closure is dropped, so that calls that come too late can be told.
#[repr(C)]
struct Head {
    context: Context,
    /// Of the kind that is called by native code; `prototype` owns it.
    plan: *const Ready,
    /// The Rust closure.
    function: *mut (),
    prototype: CallPlan,
}

// SAFETY: plans are immutable and shared by threads; the Rust closure is only called, which it allows.
unsafe impl Send for Head {}

impl Closure {
    /// Makes `f` callable by C, as a function of the plan's prototype.
    ///
    /// ```
    /// use portcullis::ffi::{CallPlan, Closure};
    /// let plan = CallPlan::parse("double scale(double x)")?;
    /// let factor = 3.0;
    /// let scale = Closure::new(&plan, move |args| {
    ///     // SAFETY: the argument and the result are `double`s.
    ///     unsafe { args.write(factor * args.read::<f64>(0)) }
    /// })?;
    /// let (x, mut result) = (2.0_f64, 0.0_f64);
    /// // SAFETY: the closure has the plan's prototype.
    /// unsafe { plan.call(scale.as_ptr(), &[(&raw const x).cast()], (&raw mut result).cast())? };
    /// assert_eq!(result, 6.0);
    /// # Ok::<(), portcullis::ffi::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NoClosureSlots`] when there are too many and the system refuses memory for more.
    pub fn new(
        plan: &CallPlan,
        f: impl Fn(Arguments<'_>) + Send + Sync + 'static,
    ) -> Result<Closure, Error> {
        Closure::with(plan, f)
    }

    fn with<F>(plan: &CallPlan, f: F) -> Result<Closure, Error>
    where
        F: Fn(Arguments<'_>) + Send + Sync + 'static,
    {
        let upcall = plan.closure_plan()?;
        let entry = AtomicPtr::new(upcall::entry_of(upcall.plan()).cast_mut());
        let head = Box::new(Head {
            context: Context { entry, run: run::<F>, gone },
            plan: ptr::from_ref(upcall),
            function: ptr::null_mut(),
            prototype: plan.clone(),
        });
        let head = NonNull::from(Box::leak(head));
        // SAFETY: the head was leaked just now.
        match stubs::take(unsafe { stubs::Head::new(head.cast(), always, free_head) }, None) {
            Ok(stub) => {
                // SAFETY: nobody else knows the head before `as_ptr` gives the stub away.
                unsafe { (*head.as_ptr()).function = Box::into_raw(Box::new(f)).cast() };
                Ok(Closure { stub, head, free: free::<F> })
            }
            Err(NoStubs { most }) => {
                // SAFETY: leaked above, and no stub has it.
                drop(unsafe { Box::from_raw(head.as_ptr()) });
                Err(Error::NoClosureSlots { most })
            }
        }
    }

    /// The C function pointer. It may be called as long as the closure lives.
    ///
    /// ```
    /// use portcullis::ffi::{CallPlan, Closure};
    /// let tick = Closure::new(&CallPlan::parse("void tick(void)")?, |_| ())?;
    /// // SAFETY: the closure's prototype is `void tick(void)`.
    /// let function: extern "C" fn() = unsafe { std::mem::transmute(tick.as_ptr()) };
    /// function();
    /// # Ok::<(), portcullis::ffi::Error>(())
    /// ```
    #[must_use]
    pub fn as_ptr(&self) -> *const c_void {
        self.stub.code
    }
}

impl Drop for Closure {
    fn drop(&mut self) {
        // SAFETY: the head lives until its stub is given to another; only the entry is ever changed.
        let head = unsafe { self.head.as_ref() };
        head.context.entry.store(upcall::dead_entry().cast_mut(), Ordering::Release);
        // SAFETY: made by `Box::into_raw` of that type; calls are over, says whoever drops.
        unsafe { (self.free)(head.function) };
        // SAFETY: `with` has leaked the head.
        stubs::retire(self.stub, unsafe { stubs::Head::new(self.head.cast(), always, free_head) });
    }
}

impl fmt::Debug for Closure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: as in `drop`.
        let prototype = unsafe { &self.head.as_ref().prototype };
        f.debug_tuple("Closure").field(&prototype.to_string()).finish()
    }
}

/// Calls of a closure that was dropped are over, says whoever drops it.
fn always(_: NonNull<Context>) -> bool {
    true
}

/// # Safety
/// `head` was leaked by [`Closure::with`], and no stub leads there.
unsafe fn free_head(head: NonNull<Context>) {
    // SAFETY: the caller's promise.
    drop(unsafe { Box::from_raw(head.cast::<Head>().as_ptr()) });
}

/// # Safety
/// `function` was made by `Box::into_raw` of a `Box<F>`, and nobody uses it.
unsafe fn free<F>(function: *mut ()) {
    // SAFETY: the caller's promise.
    drop(unsafe { Box::from_raw(function.cast::<F>()) });
}

/// What entries call: the closure of a `Head`.
///
/// # Safety
/// `context` is the start of a `Head` whose function is an `F`; `frame` is what its entry has filled.
unsafe extern "C" fn run<F: Fn(Arguments<'_>)>(
    frame: *mut FrameHead,
    context: *const Context,
) -> Both {
    let head = context.cast::<Head>();
    // SAFETY: the caller's promise. The head's closure is alive, for calls are over before it is dropped.
    unsafe {
        upcall::run(&*(*head).plan, frame, |lent| {
            let unwinding = Unwinding(&(*head).prototype);
            (*(*head).function.cast::<F>())(Arguments { lent, plan: &(*head).prototype });
            mem::forget(unwinding);
        })
    }
}

/// What is called instead when the closure was dropped.
///
/// # Safety
/// `context` is the start of a `Head`.
unsafe extern "C" fn gone(context: *const Context) -> ! {
    // SAFETY: the caller's promise.
    end(unsafe { &(*context.cast::<Head>()).prototype }, "was called after it was dropped")
}

/// Dropped only by a panic.
struct Unwinding<'a>(&'a CallPlan);

impl Drop for Unwinding<'_> {
    #[cold]
    fn drop(&mut self) {
        end(self.0, "panicked, which native code cannot handle");
    }
}

/// Ends the process.
#[cold]
fn end(prototype: &CallPlan, what: &str) -> ! {
    eprintln!("portcullis: the closure for `{prototype}` {what}; aborting");
    std::process::abort();
}

/// The arguments of one call of a [`Closure`], and where its result goes.
///
/// ```
/// use portcullis::ffi::{CallPlan, Closure};
/// let plan = CallPlan::parse("long sum(long a, long b, long c)")?;
/// let sum = Closure::new(&plan, |args| {
///     // SAFETY: all arguments are `long`, and so is the result.
///     let all = (0..args.len()).map(|index| unsafe { *args.get(index).cast::<i64>() });
///     unsafe { *args.result().cast::<i64>() = all.sum() };
/// })?;
/// # assert!(!sum.as_ptr().is_null());
/// # Ok::<(), portcullis::ffi::Error>(())
/// ```
#[derive(Debug)]
pub struct Arguments<'a> {
    lent: &'a Lent<'a>,
    plan: &'a CallPlan,
}

impl Arguments<'_> {
    /// Where an argument is: a C value of its type, aligned, until the closure returns.
    ///
    /// ```
    /// use portcullis::ffi::{CallPlan, Closure};
    /// let plan = CallPlan::parse("void print(const char *text)")?;
    /// let print = Closure::new(&plan, |args| {
    ///     // SAFETY: the argument is a pointer to a C string.
    ///     let text = unsafe { std::ffi::CStr::from_ptr(*args.get(0).cast()) };
    ///     println!("{}", text.to_string_lossy());
    /// })?;
    /// # assert!(!print.as_ptr().is_null());
    /// # Ok::<(), portcullis::ffi::Error>(())
    /// ```
    ///
    /// # Panics
    /// When there is no such argument; in a closure that is an abort.
    #[inline]
    #[must_use]
    pub fn get(&self, index: usize) -> *const c_void {
        match self.lent.argument(index) {
            Some(argument) => argument.cast(),
            None => panic!("argument {index} of {}", self.len()),
        }
    }

    /// How many arguments there are.
    ///
    /// ```
    /// use portcullis::ffi::{CallPlan, Closure};
    /// let plan = CallPlan::parse("void f(int a, int b)")?;
    /// let two = Closure::new(&plan, |args| assert_eq!(args.len(), 2))?;
    /// # assert!(!two.as_ptr().is_null());
    /// # Ok::<(), portcullis::ffi::Error>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.lent.len()
    }

    /// Whether there are none.
    ///
    /// ```
    /// use portcullis::ffi::{CallPlan, Closure};
    /// let none = Closure::new(&CallPlan::parse("void f(void)")?, |args| assert!(args.is_empty()))?;
    /// # assert!(!none.as_ptr().is_null());
    /// # Ok::<(), portcullis::ffi::Error>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lent.is_empty()
    }

    /// Where the result goes: memory for a C value of the prototype's result type, aligned. What the closure
    /// does not write is zero in results that travel in registers, and left alone in others. Of a `void`
    /// function nothing may be written there.
    ///
    /// ```
    /// use portcullis::ffi::{CallPlan, Closure};
    /// let plan = CallPlan::parse("struct pair { int a, b; } f(void)")?;
    /// let pair = Closure::new(&plan, |args| {
    ///     // SAFETY: the result is two `int`s.
    ///     unsafe { args.result().cast::<[i32; 2]>().write([1, 2]) }
    /// })?;
    /// # assert!(!pair.as_ptr().is_null());
    /// # Ok::<(), portcullis::ffi::Error>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn result(&self) -> *mut c_void {
        self.lent.result().cast()
    }

    /// A copy of an argument.
    ///
    /// ```
    /// use portcullis::ffi::{CallPlan, Closure};
    /// let plan = CallPlan::parse("void f(double x)")?;
    /// // SAFETY: the argument is a `double`.
    /// let f = Closure::new(&plan, |args| println!("{}", unsafe { args.read::<f64>(0) }))?;
    /// # assert!(!f.as_ptr().is_null());
    /// # Ok::<(), portcullis::ffi::Error>(())
    /// ```
    ///
    /// # Panics
    /// When there is no such argument, or its size is not that of a `T`; in a closure that is an abort.
    ///
    /// # Safety
    /// `T` is the Rust type for the argument's C type.
    #[inline]
    #[must_use]
    #[track_caller]
    pub unsafe fn read<T: Copy>(&self, index: usize) -> T {
        let argument = self.get(index);
        if self.plan.params()[index].size != size_of::<T>() {
            self.wrong_size::<T>(Some(index));
        }
        // SAFETY: an argument of that size is there; the rest is the caller's promise.
        unsafe { argument.cast::<T>().read_unaligned() }
    }

    /// Writes the result.
    ///
    /// ```
    /// use portcullis::ffi::{CallPlan, Closure};
    /// let plan = CallPlan::parse("unsigned char f(void)")?;
    /// // SAFETY: the result is an `unsigned char`.
    /// let f = Closure::new(&plan, |args| unsafe { args.write(7_u8) })?;
    /// # assert!(!f.as_ptr().is_null());
    /// # Ok::<(), portcullis::ffi::Error>(())
    /// ```
    ///
    /// # Panics
    /// When there is no result, or its size is not that of a `T`; in a closure that is an abort.
    ///
    /// # Safety
    /// `T` is the Rust type for the result's C type.
    #[inline]
    #[track_caller]
    pub unsafe fn write<T: Copy>(&self, value: T) {
        let size = self.plan.result().map(|ValueLayout { size, .. }| size);
        if size != Some(size_of::<T>()) {
            self.wrong_size::<T>(None);
        }
        // SAFETY: memory for a result of that size is there; the rest is the caller's promise.
        unsafe { self.result().cast::<T>().write_unaligned(value) }
    }

    /// Tells which C type a Rust type was taken for; `None`: of the result.
    #[cold]
    #[track_caller]
    fn wrong_size<T>(&self, argument: Option<usize>) -> ! {
        let what = argument.map_or("the result".to_owned(), |index| format!("argument {index}"));
        let c_type = self.plan.type_of(argument).map_or_else(String::new, ToString::to_string);
        let (name, size) = (std::any::type_name::<T>(), size_of::<T>());
        let layout = match argument {
            Some(index) => self.plan.params().get(index).copied(),
            None => self.plan.result(),
        };
        let found = layout.map_or(0, |layout| layout.size);
        panic!("{what} is `{c_type}`, of {found} bytes; `{name}` has {size}");
    }
}
