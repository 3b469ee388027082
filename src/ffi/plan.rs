//! Call plans: compiled once, shared by equal prototypes.
use super::code::Code;
use super::{Error, Function};
use crate::plan::abi::Abi;
use crate::plan::compile::{CompileError, compile_call, compile_closure};
use crate::plan::disassemble::disassemble;
use crate::plan::interpret::{self, native, upcall};
use crate::plan::layout::{Extent, Target, extent_of};
use crate::plan::{Plan, abi};
use crate::signature::{
    Diagnostics, Prototype, Scope, Type, TypeKind, Variadic, parse_declaration, parse_interface,
};
use std::collections::HashMap;
use std::ffi::c_void;
use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault};
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError, Weak};

/// Size and alignment of a C value in memory.
///
/// ```
/// use portcullis::ffi::CallPlan;
/// let plan = CallPlan::parse("void f(long double x)")?;
/// assert_eq!((plan.params()[0].size, plan.params()[0].align), (16, 16));
/// # Ok::<(), portcullis::ffi::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ValueLayout {
    /// What `sizeof` says, in bytes.
    pub size: usize,
    /// What `_Alignof` says, a power of two.
    pub align: usize,
}

impl ValueLayout {
    pub(super) fn of(extent: Extent) -> ValueLayout {
        let small = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        ValueLayout { size: small(extent.size), align: small(extent.align.into()) }
    }
}

/// How functions of one C prototype are called. Immutable, cheap to clone; equal prototypes share one
/// compiled plan while any of its owners lives.
///
/// ```
/// use portcullis::ffi::CallPlan;
/// use std::ffi::c_void;
///
/// #[derive(Debug, Default, PartialEq)]
/// #[repr(C)]
/// struct Point { x: f64, y: f64 }
/// extern "C" fn turn(p: Point) -> Point { Point { x: -p.y, y: p.x } }
///
/// let plan = CallPlan::parse("struct point { double x, y; } turn(struct point p)")?;
/// let (point, mut turned) = (Point { x: 1.0, y: 2.0 }, Point::default());
/// // SAFETY: `turn` has that prototype, the argument and the result are of its types.
/// unsafe {
///     plan.call(turn as *const c_void, &[(&raw const point).cast()], (&raw mut turned).cast())?;
/// }
/// assert_eq!(turned, Point { x: -2.0, y: 1.0 });
/// # Ok::<(), portcullis::ffi::Error>(())
/// ```
#[derive(Clone)]
pub struct CallPlan(Arc<Compiled>);

/// What equal prototypes share.
struct Compiled {
    call: native::Ready,
    params: Box<[ValueLayout]>,
    result: Option<ValueLayout>,
    abi: Abi,
    /// Machine code for calls, once somebody has asked for it.
    code: OnceLock<Result<Code, Arc<str>>>,
    /// Made with the first closure.
    closure: OnceLock<Result<upcall::Ready, Error>>,
    hash: u64,
}

impl CallPlan {
    /// Reads one C function declaration, with the bodies of the structs, unions and enums that it uses
    /// by value in it. Names of the standard headers are known.
    ///
    /// Annotations are read and have no effect. A function with `...` has a plan for each list of
    /// types of its further arguments, which the prototype names: `..., double, int`.
    ///
    /// ```
    /// use portcullis::ffi::CallPlan;
    /// let plan = CallPlan::parse("int snprintf(char *s, size_t n, const char *format, ..., double)")?;
    /// assert_eq!(plan.params().len(), 4);
    /// let untyped = CallPlan::parse("int printf(const char *format, ...)").unwrap_err();
    /// assert!(untyped.to_string().contains("name them: `..., int, double`"));
    /// # Ok::<(), portcullis::ffi::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Prototype`] with every mistake of the text, of types that cannot be passed by value, and
    /// of more arguments than the bounded stack area has room for; [`Error::UnsupportedHost`].
    pub fn parse(prototype: &str) -> Result<CallPlan, Error> {
        CallPlan::in_scope(prototype, &Scope::default())
    }

    /// As [`CallPlan::parse`], with C text that defines the structs, unions, enums and typedefs that the
    /// prototype mentions.
    ///
    /// ```
    /// use portcullis::ffi::CallPlan;
    /// let declarations = "typedef struct { float x, y, z; } vec3;";
    /// let plan = CallPlan::parse_in("float dot(vec3 a, vec3 b)", declarations)?;
    /// assert_eq!(plan.params()[1].size, 12);
    /// # Ok::<(), portcullis::ffi::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`CallPlan::parse`], of both texts.
    pub fn parse_in(prototype: &str, declarations: &str) -> Result<CallPlan, Error> {
        let declared = parse_interface("declarations", declarations).map_err(Error::Prototype)?;
        CallPlan::in_scope(prototype, &declared.scope)
    }

    fn in_scope(text: &str, scope: &Scope) -> Result<CallPlan, Error> {
        let prototype = parse_declaration(text, scope).map_err(Error::Prototype)?;
        CallPlan::compile(Arc::new(prototype), scope, &|errors| {
            Error::Prototype(Diagnostics::new("prototype", text, errors))
        })
    }

    /// The plan of a function type that was put together at run time.
    ///
    /// ```
    /// use portcullis::ffi::{CallPlan, Function, Type};
    /// let point = Type::struct_([Type::DOUBLE, Type::DOUBLE]);
    /// let plan = CallPlan::of(&Function::new(Type::DOUBLE).param(point).param(Type::INT))?;
    /// assert_eq!(plan.params()[0].size, 16);
    /// # Ok::<(), portcullis::ffi::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`CallPlan::parse`]; the places of mistakes are in the C text of the types.
    pub fn of(function: &Function) -> Result<CallPlan, Error> {
        let prototype = function.prototype()?;
        CallPlan::compile(Arc::new(prototype), &Scope::default(), &|errors| {
            function.explain(errors)
        })
    }

    fn compile(
        prototype: Arc<Prototype>,
        scope: &Scope,
        explain: &dyn Fn(Vec<crate::signature::Diagnostic>) -> Error,
    ) -> Result<CallPlan, Error> {
        let abi = Abi::host().filter(|_| interpret::SUPPORTED).ok_or(Error::UnsupportedHost)?;
        let call = compile_call(&prototype, scope, abi).map_err(|error| match error {
            CompileError::Prototype(errors) => explain(errors),
            CompileError::Refused(error) => Error::Refused(error),
            CompileError::WasmType { .. } => unreachable!("plans without a guest have none"),
        })?;
        let function = &prototype.function;
        let layout = |ty| extent_of(ty, scope, Target::Host(abi)).ok().map(ValueLayout::of);
        let tail = match &function.variadic {
            Variadic::Typed(tail) => tail.as_slice(),
            Variadic::No | Variadic::Untyped(_) => &[],
        };
        let types = function.params.iter().map(|param| &param.ty).chain(tail);
        // Types that were assigned have a size.
        let params: Box<[ValueLayout]> = types.filter_map(layout).collect();
        let result = Some(&function.result).filter(|ty| ty.kind != TypeKind::Void);
        Ok(intern(call, params, result.and_then(layout), abi))
    }

    /// Sizes and alignments of the arguments, those of a typed tail after the named ones.
    ///
    /// ```
    /// use portcullis::ffi::CallPlan;
    /// let plan = CallPlan::parse("void f(char c, struct { int a; short b; } s)")?;
    /// let sizes: Vec<usize> = plan.params().iter().map(|param| param.size).collect();
    /// assert_eq!(sizes, [1, 8]);
    /// # Ok::<(), portcullis::ffi::Error>(())
    /// ```
    #[must_use]
    pub fn params(&self) -> &[ValueLayout] {
        &self.0.params
    }

    /// Size and alignment of the result; `None` for `void`.
    ///
    /// ```
    /// use portcullis::ffi::CallPlan;
    /// let plan = CallPlan::parse("_Complex float csqrtf(_Complex float x)")?;
    /// assert_eq!(plan.result().map(|result| result.size), Some(8));
    /// assert_eq!(CallPlan::parse("void f(void)")?.result(), None);
    /// # Ok::<(), portcullis::ffi::Error>(())
    /// ```
    #[must_use]
    pub fn result(&self) -> Option<ValueLayout> {
        self.0.result
    }

    /// Calls `function`. `args[i]` points at the C value of argument `i`; the result is written to the
    /// memory at `result`, exactly as many bytes as its type has (unlike `ffi_call`, which widens
    /// integers to a register). Of `void` functions `result` is not looked at, and may be NULL.
    ///
    /// A `bool` argument that is neither 0 nor 1 is passed as 1.
    ///
    /// ```
    /// use portcullis::ffi::{CallPlan, Error};
    /// use std::{ffi::c_void, ptr};
    ///
    /// extern "C" fn sum(a: i8, b: u64) -> i64 { i64::from(a) + b as i64 }
    /// let plan = CallPlan::parse("int64_t sum(int8_t a, uint64_t b)")?;
    /// let (a, b, mut result) = (-3_i8, 10_u64, 0_i64);
    /// let args = [(&raw const a).cast(), (&raw const b).cast()];
    /// // SAFETY: `sum` has that prototype, and the values are of its types.
    /// unsafe { plan.call(sum as *const c_void, &args, (&raw mut result).cast())? };
    /// assert_eq!(result, 7);
    /// // SAFETY: nothing is called.
    /// let error = unsafe { plan.call(ptr::null(), &args, (&raw mut result).cast()) };
    /// assert!(matches!(error, Err(Error::NullFunction { .. })));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// When the function is NULL, when the number of arguments is wrong, and when there is a result and
    /// `result` is NULL. Nothing has happened then.
    ///
    /// # Safety
    /// - `function` is a function of the plan's prototype, and calling it with these arguments is
    ///   sound. It does not unwind.
    /// - Each of `args` points at a value of its parameter's type, readable in its whole size. It need
    ///   not be aligned.
    /// - Unless the prototype returns `void`, `result` points at memory that can be written, as large and
    ///   as aligned as [`CallPlan::result`] says. Nothing else uses it during the call.
    #[inline]
    pub unsafe fn call(
        &self,
        function: *const c_void,
        args: &[*const c_void],
        result: *mut c_void,
    ) -> Result<(), Error> {
        let compiled = &*self.0;
        if function.is_null()
            || args.len() != compiled.params.len()
            || (result.is_null() && compiled.result.is_some())
        {
            return Err(self.refusal(function, args.len()));
        }
        // SAFETY: the plan was verified for this host, and the code made of it; the rest is the caller's promise.
        unsafe {
            match compiled.code.get() {
                Some(Ok(code)) => code.call(function, args.as_ptr(), result),
                Some(Err(_)) | None => {
                    native::call(&compiled.call, function, args.as_ptr(), result);
                }
            }
        }
        Ok(())
    }

    /// Makes machine code for calls with this plan and with all that equal it; until then they are interpreted.
    /// It takes some hundred microseconds, once, which a hundred thousand calls win back. Code memory is never writable
    /// and executable at once, and goes with the plan.
    ///
    /// ```
    /// use portcullis::ffi::CallPlan;
    /// use std::ffi::c_void;
    ///
    /// extern "C" fn scale(x: f64, by: i32) -> f64 { x * f64::from(by) }
    /// let plan = CallPlan::parse("double scale(double x, int by)")?;
    /// if let Err(error) = plan.make_code() {
    ///     eprintln!("calls will take longer: {error}");
    /// }
    /// let (x, by, mut result) = (1.5_f64, 4_i32, 0.0_f64);
    /// let args = [(&raw const x).cast(), (&raw const by).cast()];
    /// // SAFETY: `scale` has that prototype, and the values are of its types.
    /// unsafe { plan.call(scale as *const c_void, &args, (&raw mut result).cast())? };
    /// assert_eq!(result, 6.0);
    /// # Ok::<(), portcullis::ffi::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NoCode`] when no code can be made of the plan, with the reason: arguments or results in x87
    /// registers, floating-point arguments behind `...`, a crate without the feature `cranelift`. Calls work all the
    /// same.
    pub fn make_code(&self) -> Result<(), Error> {
        let code = self.0.code.get_or_init(|| Code::new(self.0.call.plan()).map_err(Arc::from));
        match code {
            Ok(_) => Ok(()),
            Err(reason) => {
                let (prototype, reason) = (self.to_string(), reason.to_string());
                Err(Error::NoCode { prototype, reason })
            }
        }
    }

    /// Whether calls are made by machine code of their own: somebody has called [`CallPlan::make_code`] on this
    /// plan or an equal one, and it could be made.
    #[must_use]
    pub fn has_code(&self) -> bool {
        matches!(self.0.code.get(), Some(Ok(_)))
    }

    /// The C type of an argument, or of the result.
    pub(super) fn type_of(&self, argument: Option<usize>) -> Option<&Type> {
        let function = &self.0.call.plan().prototype.function;
        let Some(index) = argument else { return Some(&function.result) };
        let tail = match &function.variadic {
            Variadic::Typed(tail) => tail.as_slice(),
            Variadic::No | Variadic::Untyped(_) => &[],
        };
        function.params.iter().map(|param| &param.ty).chain(tail).nth(index)
    }

    #[cold]
    fn refusal(&self, function: *const c_void, found: usize) -> Error {
        let prototype = self.to_string();
        let expected = self.0.params.len();
        if function.is_null() {
            Error::NullFunction { prototype }
        } else if found != expected {
            Error::ArgumentCount { prototype, expected, found }
        } else {
            Error::NullResult { prototype }
        }
    }

    /// The steps of a call as text, and those of a closure: for people who debug one.
    ///
    /// ```
    /// use portcullis::ffi::CallPlan;
    /// let text = CallPlan::parse("int abs(int x)")?.disassemble();
    /// assert!(text.contains("fetch     argument 0 -> rdi, i32"), "{text}");
    /// # Ok::<(), portcullis::ffi::Error>(())
    /// ```
    #[must_use]
    pub fn disassemble(&self) -> String {
        let call = disassemble(self.0.call.plan(), self.0.abi);
        match self.closure_plan() {
            Ok(closure) => format!("{call}\n{}", disassemble(closure.plan(), self.0.abi)),
            Err(_) => call,
        }
    }

    /// The plan of closures of this prototype.
    pub(super) fn closure_plan(&self) -> Result<&upcall::Ready, Error> {
        let compile = || {
            let prototype = &self.0.call.plan().prototype;
            let plan = compile_closure(prototype, &Scope::default(), self.0.abi);
            plan.map(upcall::Ready::new).map_err(|error| match error {
                CompileError::Refused(error) => Error::Refused(error),
                CompileError::Prototype(errors) => {
                    let text = format!("{prototype:#}");
                    Error::Prototype(Diagnostics::new("prototype", text, errors))
                }
                CompileError::WasmType { .. } => unreachable!("plans without a guest have none"),
            })
        };
        self.0.closure.get_or_init(compile).as_ref().map_err(Clone::clone)
    }
}

impl fmt::Debug for CallPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CallPlan").field(&self.to_string()).finish()
    }
}

/// The prototype.
impl fmt::Display for CallPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.call.plan().prototype.fmt(f)
    }
}

/// Plans are equal when they are one plan: when their prototypes, and the layouts of all types in
/// them, are equal.
impl PartialEq for CallPlan {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
impl Eq for CallPlan {}

/// The plans that somebody owns, by hash.
static INTERNED: LazyLock<Mutex<HashMap<u64, Vec<Weak<Compiled>>>>> = LazyLock::new(Mutex::default);

/// The one plan that equals this one. Two structs with one tag are the same type to a prototype; what
/// tells their plans apart is how they travel, and their layouts.
fn intern(
    call: Plan,
    params: Box<[ValueLayout]>,
    result: Option<ValueLayout>,
    abi: abi::Abi,
) -> CallPlan {
    let hasher = BuildHasherDefault::<rustc_hash::FxHasher>::default();
    let hash = hasher.hash_one((&call, &params, result));
    let mut interned = INTERNED.lock().unwrap_or_else(PoisonError::into_inner);
    let same = interned.entry(hash).or_default();
    // What was upgraded and is not the one must not be dropped under the lock.
    let alive: Vec<Arc<Compiled>> = same.iter().filter_map(Weak::upgrade).collect();
    let known = alive.iter().find(|known| {
        *known.call.plan() == call && known.params == params && known.result == result
    });
    let plan = match known {
        Some(known) => CallPlan(Arc::clone(known)),
        None => {
            let (closure, code) = (OnceLock::new(), OnceLock::new());
            let call = native::Ready::new(call);
            let plan = Arc::new(Compiled { call, params, result, abi, code, closure, hash });
            same.push(Arc::downgrade(&plan));
            CallPlan(plan)
        }
    };
    drop(interned);
    drop(alive);
    plan
}

impl Drop for Compiled {
    fn drop(&mut self) {
        let mut interned = INTERNED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(same) = interned.get_mut(&self.hash) {
            same.retain(|plan| plan.strong_count() > 0);
            if same.is_empty() {
                interned.remove(&self.hash);
            }
        }
    }
}

#[cfg(test)]
pub(super) fn interned() -> usize {
    INTERNED.lock().unwrap_or_else(PoisonError::into_inner).len()
}
