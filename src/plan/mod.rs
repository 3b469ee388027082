//! Plans: a prototype, compiled for one guest data model and one host ABI.
//!
//! ```text
//! Prototype --layout, abi, compile--> Plan --verify--> run by `interpret`, or by faster tiers
//!                                      \--> disassemble
//! ```
//!
//! A [`Plan`] is immutable data: ops in sections (see [`op`]), the layout of the frame that they
//! work in (see [`frame`]) and the tables that they index. Pure: nothing here knows of wasmtime,
//! Cranelift or libloading. What a running call reaches outside its frame is in [`binding`].
pub mod abi;
pub mod binding;
pub mod compile;
pub mod cookie;
pub mod diagnose;
pub mod disassemble;
pub mod expression;
pub mod extended;
pub mod format;
pub mod frame;
pub mod handles;
pub mod interpret;
pub mod layout;
pub mod moves;
pub mod op;
pub mod problem;
pub mod recorder;
pub mod shape;
pub mod stubs;
pub mod template;
pub mod verify;

use crate::signature::{Prototype, Record};
use expression::Expression;
use format::Passed;
use frame::FrameLayout;
use handles::HandleType;
use moves::Move;
use op::{Op, Width};
use shape::{Link, Shape};
use std::sync::Arc;

pub use binding::{Binding, Limits, NoLimit, StoreBlock};
pub use problem::{CallError, CallbackProblem, LostLender, Problem, Reading, Subject, Unruly};

/// How one call is made. Immutable; equal prototypes with equal targets have equal plans.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Plan {
    /// The granted prototype that it was compiled from.
    pub prototype: Arc<Prototype>,
    /// Who calls whom.
    pub kind: Kind,
    /// The wasm type of an import that uses it.
    pub lowering: Lowering,
    /// The ops, in sections.
    pub ops: Box<[Op]>,
    /// Index of the `Call` op: everything before it is *before*, everything after it *after*.
    pub call: u16,
    /// The layout of its frame.
    pub frame: FrameLayout,
    /// What `Evaluate`, `Require`, `Value`, `Measure` and `Consume` compute.
    pub expressions: Box<[Expression]>,
    /// The intervals of `Range`: any of them.
    pub ranges: Box<[Intervals]>,
    /// How values that are no scalars are taken apart and put together.
    pub moves: Box<[Box<[Move]>]>,
    /// What data that is copied is made of; they may refer to each other in circles.
    pub shapes: Box<[Shape]>,
    /// The pointers that such data is reached by: of parameters and results.
    pub roots: Box<[Link]>,
    /// Records that the prototype mentions by tag alone and that its interface defines elsewhere.
    pub records: Box<[Record]>,
    /// The first guest slot of each parameter, those of a typed tail after the named ones. Not all
    /// take one: `long double` takes two, an empty struct none, and slot 0 is the address of a result
    /// that wasm returns through memory.
    pub slots: Box<[u16]>,
    /// What is passed behind `...`, if a format tells native code the types (`Format`).
    pub passed: Box<[Passed]>,
    /// Native functions other than the called one.
    pub callees: Box<[Callee]>,
    /// The types of handles.
    pub handle_kinds: Box<[HandleKind]>,
    /// What handles remember integers as.
    pub names: Box<[Arc<str>]>,
    /// The types of guest functions that native code is given.
    pub callbacks: Box<[Callback]>,
    /// What holds for the whole plan.
    pub facts: Facts,
}

impl Plan {
    /// The position of the parameter that a guest slot belongs to, those of a typed tail after the
    /// named ones; one past the last for the address of the result.
    #[must_use]
    pub fn param_of(&self, slot: u16) -> usize {
        self.slots.iter().rposition(|first| *first <= slot).unwrap_or(self.slots.len())
    }
}

/// Who calls whom. Each kind has ops and rules of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A guest calls native code through an import.
    #[default]
    Import,
    /// Native code is called on plain C values in memory: an `ffi` call.
    Call,
    /// Native code calls: an `ffi` closure.
    Closure,
    /// Native code calls a guest function.
    Callback,
}

/// A type of guest functions that native code is given.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Callback {
    /// How native code's calls of it are made, of the kind [`Kind::Callback`]. Its lowering is the
    /// wasm type that the guest's function must have.
    pub plan: Arc<Plan>,
    /// What native code gets instead of a result when there is none (`__on_trap`, else zero).
    pub on_trap: i64,
}

/// Least and greatest values, both included.
pub type Intervals = Box<[(i128, i128)]>;

/// The wasm type of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Lowering {
    /// Parameters, one for each guest slot.
    pub params: Vec<WasmType>,
    /// Results, at most one.
    pub results: Vec<WasmType>,
}

/// A wasm value type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the wasm type of that name")]
pub enum WasmType {
    I32,
    I64,
    F32,
    F64,
    V128,
    FuncRef,
    ExternRef,
}

/// A native function that a plan calls beside its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Callee {
    /// Its symbol: of the library of the plan's function if the interface grants it there, else of
    /// the library that it is granted of.
    pub symbol: Arc<str>,
    /// What it is called for, and how.
    pub purpose: Purpose,
}

/// What a [`Callee`] is called for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// `__freed_by`: takes one pointer.
    Free,
    /// `__drop`: takes one pointer. Only its address is used, by the handle table.
    Drop,
    /// An expression: takes integers and handles in integer registers (at most six), returns an
    /// integer. The widths are those of parameters and result.
    Pure {
        /// Of the parameters; `U64` for a handle.
        params: Box<[Width]>,
        /// Of the result.
        result: Width,
    },
}

/// A type of handles that a plan deals with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HandleKind {
    /// Its number.
    pub id: HandleType,
    /// As C spells it: `struct sqlite3`.
    pub name: Arc<str>,
    /// Index into `Plan::callees` of what destroys it.
    pub drop: Option<u16>,
}

/// What holds for a whole plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Facts {
    /// The function never calls back.
    pub leaf: bool,
    /// Ops read or write guest memory.
    pub memory: bool,
    /// The guest's allocator is needed: `Give` ops.
    pub allocates: bool,
    /// `errno` is kept.
    pub errno: bool,
    /// Handles are marked while the call runs.
    pub marks: bool,
    /// There is an *after* section.
    pub after: bool,
    /// The guest's memory is 64-bit: pointers are `i64`s.
    pub wide: bool,
}

/// Gives handle types their numbers: the same number for the same type, never one for two.
pub trait HandleTypes {
    /// The number of an incomplete struct or union that an interface mentions.
    fn number(&self, record: &Record) -> HandleType;
}
