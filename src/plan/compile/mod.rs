//! The compiler: a granted prototype becomes a plan.
//!
//! ```text
//! lower       the wasm type of the import
//! abi         where the C ABI puts every argument
//! leaves      what a value is made of, in two memories
//! aggregate   how it meets the pieces in which it travels
//! by_value    structs, and scalars of more than 64 bits
//! native      calls on plain C values, without a guest
//! upcall      calls that native code makes
//! callback    guest functions that native code calls
//! data        symbols that are no functions
//! life        what outlives the call: cookies, descriptors, captures
//! held        handles behind pointers that the call takes
//! pointee     what a pointer leads to
//! params      one op (or two) for each parameter: decode, check, place
//! deep        what pointers lead to, where it must be copied
//! values      ranges and computed arguments
//! format      formats, and what they may ask for
//! outcome     what happens after the call: out values, results, handles
//! expression  annotations' expressions to postfix steps
//! finish      all of it put together
//! ```
//!
//! Ops are collected by what they depend on and put together in one order: scalars, handles, cells,
//! then what is computed from them, then pointers. The result is always verified.
//!
//! Not here: whether the guest may call the function at all (`host::grants`), and the language
//! (`signature`).
mod aggregate;
mod boxed;
mod by_value;
mod callback;
mod data;
mod deep;
mod expression;
mod finish;
mod format;
mod held;
mod leaves;
mod life;
mod lower;
mod native;
mod outcome;
mod params;
mod places;
mod pointee;
mod reads;
mod upcall;
mod values;

use super::abi::{Abi, assign};
use super::format::Passed;
use super::frame::MAX_STACK_AREA;
use super::layout::DataModel;
use super::moves::Move;
use super::op::{At, Boxing, Fate, Op};
use super::verify::{VerifyError, verify, verify_drops};
use super::{Callback, Callee, HandleKind, HandleTypes, Lowering, Plan};
use crate::signature::{
    Diagnostic, MAX_PARAMS, NoteKind, Param, Prototype, Scope, Span, Type, Variadic,
};
use std::fmt;
use std::sync::Arc;
use thiserror::Error;

pub use lower::lower;
use lower::lower_all;
pub use native::compile_call;
pub use upcall::compile_closure;

/// What a plan is compiled for.
pub struct Target<'a> {
    /// The data model of the guest's memory.
    pub model: DataModel,
    /// The host's ABI.
    pub abi: Abi,
    /// The function never calls back into a guest.
    pub leaf: bool,
    /// The names of the interface that grants the prototype.
    pub scope: &'a Scope,
    /// The wasm type that the guest declares; it chooses between `i32` and `i64` where C has
    /// `long`. `None`: the data model's.
    pub import: Option<&'a Lowering>,
    /// Numbers of handle types.
    pub handle_types: &'a dyn HandleTypes,
    /// The other granted prototypes of the same library.
    pub grants: &'a dyn Fn(&str) -> Option<Arc<Prototype>>,
}

impl fmt::Debug for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("model", &self.model)
            .field("abi", &self.abi)
            .field("leaf", &self.leaf)
            .field("import", &self.import)
            .finish_non_exhaustive()
    }
}

/// Why a prototype has no plan.
#[derive(Clone, Debug, Error)]
pub enum CompileError {
    /// It says something that cannot be done (yet). Spans point into its text.
    #[error("{}", first(.0))]
    Prototype(Vec<Diagnostic>),
    /// The guest's import has another wasm type.
    #[error("the import is {found}, the prototype asks for {expected}")]
    WasmType {
        /// What the prototype asks for.
        expected: Lowering,
        /// What the import has.
        found: Lowering,
    },
    /// The verifier refused the compiler's work: a bug of this crate.
    #[error("the plan was refused, which is a bug of Portcullis: {0}")]
    Refused(VerifyError),
}

fn first(diagnostics: &[Diagnostic]) -> &str {
    diagnostics.first().map_or("the prototype cannot be compiled", |d| &d.message)
}

/// The largest value that passes through the frame.
const MAX_AREA: usize = 16 << 10;

/// Compiles and verifies a plan.
///
/// # Errors
/// See [`CompileError`]; all mistakes of a prototype at once.
pub fn compile(prototype: &Arc<Prototype>, target: &Target<'_>) -> Result<Plan, CompileError> {
    // A struct that the prototype defines itself may mention itself by its tag.
    let own = deep::own_records(prototype, target.scope);
    if own.is_empty() {
        return compile_in_scope(prototype, target);
    }
    let mut scope = target.scope.clone();
    scope.records.extend(own);
    let Target { model, abi, leaf, scope: _, import, handle_types, grants } = *target;
    let target = Target { model, abi, leaf, scope: &scope, import, handle_types, grants };
    compile_in_scope(prototype, &target)
}

fn compile_in_scope(prototype: &Arc<Prototype>, target: &Target<'_>) -> Result<Plan, CompileError> {
    let mut compiler = Compiler::new(prototype, target);
    compiler.refuse_too_many();
    compiler.refuse_unknown_arguments();
    let assignment = match assign(&prototype.function, target.scope, target.abi) {
        Ok(assignment) => assignment,
        Err(error) => {
            compiler.errors.push(Diagnostic::new(error.span(), error.to_string()));
            return Err(CompileError::Prototype(compiler.errors));
        }
    };
    if !compiler.errors.is_empty() {
        return Err(CompileError::Prototype(compiler.errors));
    }
    let lowered = lower_all(prototype, target.scope, target.model, target.import)?;
    compiler.slots.clone_from(&lowered.slots);
    compiler.params(&assignment, &lowered);
    compiler.tell_apart();
    compiler.format(&assignment);
    let returns = compiler.outcome(&assignment.result, &lowered);
    compiler.give_back();
    compiler.objects();
    let stub = compiler.data_stub().unwrap_or_else(|| Compiler::stub(&assignment));
    if !compiler.errors.is_empty() {
        return Err(CompileError::Prototype(compiler.errors));
    }
    let plan = compiler.finish(lowered.lowering, stub, &assignment, returns);
    verify(&plan, target.abi).map_err(CompileError::Refused)?;
    verify_drops(&plan, target.scope).map_err(CompileError::Refused)?;
    Ok(plan)
}

/// Ops of the *before* section by what they depend on; put together in this order.
#[derive(Default)]
struct Before {
    scalars: Vec<Op>,
    handles: Vec<Op>,
    cells: Vec<Op>,
    /// Copies that expressions read.
    read: Vec<Op>,
    ranges: Vec<Op>,
    values: Vec<Op>,
    computed: Vec<Op>,
    conditions: Vec<Op>,
    pointers: Vec<Op>,
    /// Handles that the call takes something from: last among handles.
    taken: Vec<Op>,
    /// What is asked of handles beside that they are live.
    life: Vec<Op>,
}

/// Ops of the *after* section by phase.
#[derive(Default)]
struct After {
    facts: Vec<Op>,
    checks: Vec<Op>,
    guest: Vec<Op>,
    adopt: Vec<Op>,
    store: Vec<Op>,
    result: Vec<Op>,
}

impl After {
    fn is_empty(&self) -> bool {
        let After { facts, checks, guest, adopt, store, result } = self;
        [facts, checks, guest, adopt, store, result].iter().all(|ops| ops.is_empty())
    }
}

/// A string or a writable range, for telling them apart.
struct Range {
    at: At,
    extent: At,
}

struct Compiler<'a> {
    prototype: &'a Arc<Prototype>,
    target: &'a Target<'a>,
    errors: Vec<Diagnostic>,
    before: Before,
    after: After,
    texts: Vec<Range>,
    writable: Vec<Range>,
    shapes: deep::Shapes<'a>,
    /// What expressions are compiled for stands behind the tests of constant ranges.
    ranged: bool,
    /// Some parameter is passed as a copy of all that it leads to.
    copies: bool,
    /// All parameters, those of a typed tail after the named ones.
    all: Arc<[Param]>,
    /// The first guest slot of each.
    slots: Box<[u16]>,
    params: Vec<Placed>,
    moves: Vec<Box<[Move]>>,
    passed: Vec<Passed>,
    expressions: Vec<super::expression::Expression>,
    ranges: Vec<super::Intervals>,
    callees: Vec<Callee>,
    kinds: Vec<HandleKind>,
    names: Vec<Arc<str>>,
    /// Where integers are that handles remember: parameter, name, place.
    recalled: Vec<(usize, u16, At)>,
    /// How many integers are kept with handles.
    remembered: usize,
    callbacks: Vec<Callback>,
    /// The plan is that of a guest function that native code calls.
    is_called: bool,
    /// Handles behind pointers that the call takes: the parameter, the cell, where it is kept.
    held: Vec<(usize, At, At)>,
    /// Places of closures that the handle keeps that the call returns.
    kept_by_result: Vec<At>,
    stack: usize,
    locals: usize,
    /// Of the frame.
    align: u16,
    takes: u8,
    adopts: u16,
}

/// What expressions may read of a parameter.
#[derive(Clone, Copy, Default)]
struct Placed {
    /// The native value, an integer or a handle's pointer.
    value: Option<super::op::Operand>,
    /// What it points at, in the call's own memory.
    pointee: Option<super::op::Operand>,
    /// Where the address of its copy is, whose integers can be read.
    copy: Option<At>,
    /// Where the address of the object is that it mirrors, and what becomes of that.
    object: Option<(At, Boxing)>,
    /// Whether it is a handle.
    handle: bool,
}

impl<'a> Compiler<'a> {
    fn new(prototype: &'a Arc<Prototype>, target: &'a Target<'a>) -> Compiler<'a> {
        let function = &prototype.function;
        let tail = match &function.variadic {
            Variadic::Typed(tail) => tail.as_slice(),
            Variadic::No | Variadic::Untyped(_) => &[],
        };
        let unnamed = |ty: &Type| Param { name: None, ty: ty.clone(), span: ty.span };
        let all: Arc<[Param]> =
            function.params.iter().cloned().chain(tail.iter().map(unnamed)).collect();
        Compiler {
            params: vec![Placed::default(); all.len()],
            all,
            slots: [].into(),
            moves: Vec::new(),
            prototype,
            target,
            errors: Vec::new(),
            before: Before::default(),
            after: After::default(),
            texts: Vec::new(),
            writable: Vec::new(),
            shapes: deep::Shapes::default(),
            copies: false,
            ranged: false,
            passed: Vec::new(),
            expressions: Vec::new(),
            ranges: Vec::new(),
            callees: Vec::new(),
            kinds: Vec::new(),
            names: Vec::new(),
            recalled: Vec::new(),
            remembered: 0,
            callbacks: Vec::new(),
            is_called: false,
            held: Vec::new(),
            kept_by_result: Vec::new(),
            stack: 0,
            locals: 0,
            align: 16,
            takes: 0,
            adopts: 0,
        }
    }

    fn error(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.errors.push(Diagnostic::new(span, message).help(help));
    }

    /// The parser has told this of a text; a prototype may come from elsewhere.
    fn refuse_too_many(&mut self) {
        if self.all.len() > MAX_PARAMS {
            let error = format!("more than {MAX_PARAMS} parameters");
            self.errors.push(Diagnostic::new(self.prototype.span, error));
        }
    }

    fn refuse_unknown_arguments(&mut self) {
        match &self.prototype.function.variadic {
            Variadic::No | Variadic::Typed(_) => {}
            Variadic::Untyped(span) => self.error(
                *span,
                "the types of the arguments behind `...` are not known",
                "name them: `..., int, double`",
            ),
        }
    }
}

/// An index of one of a plan's tables. A prototype has at most 255 parameters and 64 KiB of text,
/// so that no table comes near the limit.
fn index_of(index: usize) -> u16 {
    u16::try_from(index).expect("a plan's tables have fewer than 65536 entries")
}

/// The number of a parameter where an op has little room for it.
fn param_of(index: usize) -> u8 {
    u8::try_from(index).expect("more than 255 parameters were refused")
}

/// What annotations of a handle parameter say about it.
fn fate_of(param: &Param) -> Fate {
    if param.ty.has(|n| matches!(n, NoteKind::Consumes | NoteKind::ConsumesIf(_))) {
        Fate::Consumed
    } else if param.ty.has(|n| *n == NoteKind::Invalidates) {
        Fate::Invalidated
    } else {
        Fate::Kept
    }
}
