//! The verifier: decides whether a plan may run.
//!
//! The interpreter and compiled code do what a plan says without looking twice; that they stay
//! inside the frame, that every pointer was checked, that no native address reaches the guest
//! rests on this module. It reads the prototype itself (`demand`) and asks the ABI itself where
//! arguments travel; it shares no code with the compiler, whose mistakes it is there to find.
//!
//! # What it proves
//!
//! *Shape.* There is one `Call`, at `Plan::call`; phases are in order; `Return` comes last;
//! handles that the call takes come after those that it keeps.
//!
//! *Frame.* The parts of the frame follow each other, are 16-aligned and as large as the prototype
//! and the ops need. Every register image and stack slot that the C ABI asks for is written exactly
//! once before the call, by an op that reads that parameter's own guest slot. Cells, lengths and
//! computed values lie among the locals, aligned, never over each other.
//!
//! *Flow.* What an op reads was written by an earlier one, at the same place, with the same width.
//! Integers are read as integers only; native addresses by nothing; a handle's pointer only by pure
//! functions that take 64 bits, and after the call only if the call did not consume it.
//!
//! *Arguments.* A scalar is converted as its C type and wasm type ask. A pointer comes from the op
//! that checks what its type and annotations say: element size, alignment, meaning of 0, direction,
//! widths on both sides; its count *is* the annotation: the parameter itself, the cell behind it,
//! or an expression whose steps, read back, are the annotation. Each `__range`, `__requires` and
//! `__value` is there, and nothing that the prototype does not ask for.
//!
//! *Strings.* They are passed in place only by leaf functions. What native code only reads is told
//! apart from every range that the call may write to; a string that it writes to is all that the
//! call may write to.
//!
//! *Copied data.* What native code may not be given in place is copied by a shape that is the type's: every byte that is no padding is
//! moved once, every pointer leads to what its type and annotations say, every range is tested, counts are the annotations and read
//! fields of the copy or copies that were made before. What goes back is looked through first. Beside copies nothing is read in place.
//!
//! *Formats.* The format that `__format` names is gone through once, as the bytes that native code
//! reads: behind everything that may still copy it. `Plan::passed` is the typed tail, kind by kind,
//! each where it is placed.
//!
//! *Data.* A prototype of data has a call that calls nothing: it reads as many bytes as the type has, to
//! where a function of that type returns its result, or takes the address of an array.
//!
//! *After.* A pointer from native code reaches the guest only as a handle, as an address inside the
//! guest's memory or as a copy, whichever its type and annotations ask for; copies are taken once,
//! with the annotated extent, before the native memory is freed by the annotated function, and given
//! once, to the annotated owner. A handle that lends is not NULL. Handles are consumed and their loans
//! ended as annotated. What goes out through a cell, and a `long` result, was tested to fit. Room for
//! new handles is reserved.
//!
//! *Callbacks.* See `callback`: how guest functions are passed, and the plans of native code's calls of
//! them.
//!
//! *Handles behind pointers.* See `held`: one that the call takes is entered once, and its loss recorded.
//!
//! *Objects that guests mirror.* See `boxed`: a parameter that points at a mirror is copied, and replaced
//! by its object, whose handle is where the struct says; objects are written last and read first.
//!
//! *What outlives the call.* A cookie is made of the parameter's own integer, and comes back only as one. A
//! descriptor is never the guest's integer, and reaches the guest only as a handle, or as a negative
//! number. Each annotation of a handle's owners and captures is recorded once, for the captor that it
//! names, which the call does not consume, and after it was tested that the handle may be kept. A handle
//! that is `__exclusive` is given to the call alone after all handles were entered, and the plan marks handles.
//! Data that is kept is `const` and copied before the call, every byte that was checked, and the copy
//! handed to the captor. What a handle remembers is the annotation's value, once for each annotation;
//! what an expression reads of it was fetched by its name from that parameter's handle.
//!
//! *Tables.* Indices are in bounds, expressions can be evaluated (see `meaning`), callees are
//! called for their purpose, no entry is unused. Facts agree with the ops.
//!
//! # What it does not prove
//!
//! - That annotations are true: they are the promise of whoever grants the prototype.
//! - What only the interface knows: that the function is a leaf, that a type is `__exclusive`, the types and
//!   ranges of pure functions, which numbers handle types have, sizes of types in `sizeof` whose
//!   bodies stand elsewhere. Which function destroys a handle [`verify_drops`] proves, who has the interface's
//!   names.
//! - The bodies of records that a prototype mentions by tag alone (`Plan::records`), and the names in shapes, which messages use.
//! - That two buffers of one call do not overlap: no bound depends on what is in them.
//! - That ops do what they say: differential tests of the tiers show that.
mod after;
mod before;
mod boxed;
mod by_value;
mod call;
mod callback;
mod conditions;
mod constant;
mod crossing;
mod data;
mod deep;
mod demand;
mod drops;
mod error;
mod facts;
mod format;
mod held;
mod life;
mod meaning;
mod moves;
mod outside;
mod scalars;
mod scene;
mod written;

pub use drops::verify_drops;
pub use error::{Fault, VerifyError};

use super::abi::{Abi, Assignment, Location, assign};
use super::disassemble::mnemonic;
use super::frame::{FrameLayout, MAX_STACK_AREA};
use super::layout::DataModel;
use super::op::{At, Null, Phase};
use super::{Callee, Kind, Plan, Purpose};
use crate::signature::{Function, MAX_PARAMS, NoteKind, Scope, Type, TypeKind, Variadic};
use after::{Outcome, once};
use before::Made;
use crossing::{Crossing, all_params};
use deep::{Copies, Data};
use demand::{Argument, Incoming, Owner, Reader};
use life::Outliving;
use scene::Scene;
use std::sync::Arc;
use written::Written;

/// Decides whether `plan` may run on a host with that ABI.
///
/// # Errors
/// The first reason why it may not.
pub fn verify(plan: &Plan, abi: Abi) -> Result<(), VerifyError> {
    match plan.kind {
        Kind::Import => {}
        Kind::Call | Kind::Closure => return outside::verify(plan, abi),
        Kind::Callback => return callback::verify(plan, abi),
    }
    let whole = |context| move |fault| VerifyError { op: None, context, fault };
    let mut verifier = Verifier::new(plan, abi).map_err(whole("prototype"))?;
    verifier.frame_parts().map_err(whole("frame"))?;
    verifier.phases()?;
    for (index, op) in plan.ops.iter().enumerate() {
        verifier.index = index;
        let checked = match op.phase() {
            Phase::Before => verifier.before(op),
            Phase::Call => verifier.ready().and_then(|()| verifier.call(op)),
            Phase::Facts | Phase::Checks | Phase::Guest | Phase::Commit => verifier.after(op),
        };
        checked.map_err(|fault| VerifyError { op: Some(index), context: mnemonic(op), fault })?;
    }
    verifier.done().map_err(whole("end"))?;
    verifier.frame_end().map_err(whole("frame"))?;
    verifier.facts().map_err(whole("facts"))?;
    verifier.tables().map_err(whole("tables"))
}

type Checked<T = ()> = Result<T, Fault>;

/// A plan that is being read, op by op.
struct Verifier<'p> {
    plan: &'p Plan,
    reader: Reader,
    assignment: Assignment,
    params: Vec<Parameter<'p>>,
    /// How the result, if it is a pointer, becomes the guest's.
    result: Option<Incoming<'p>>,
    /// How the result crosses.
    returned: Crossing,
    written: Written,
    made: Made,
    outcome: Outcome,
    life: Outliving,
    copies: Copies,
    data: Data<'p>,
    used: Used,
    /// The op that is being read.
    index: usize,
}

/// One parameter of the prototype.
struct Parameter<'p> {
    ty: &'p Type,
    /// Its first guest slot.
    slot: u16,
    /// Where its argument travels, if it does so in one piece.
    place: Option<At>,
    wants: Argument<'p>,
    /// What becomes of the pointer that native code leaves behind it.
    incoming: Option<Incoming<'p>>,
}

/// Which entries of the plan's tables ops use.
struct Used {
    expressions: Vec<bool>,
    ranges: Vec<bool>,
    callees: Vec<bool>,
    kinds: Vec<bool>,
    moves: Vec<bool>,
    callbacks: Vec<bool>,
}

impl Used {
    fn new(plan: &Plan) -> Used {
        Used {
            expressions: vec![false; plan.expressions.len()],
            ranges: vec![false; plan.ranges.len()],
            callees: vec![false; plan.callees.len()],
            kinds: vec![false; plan.handle_kinds.len()],
            moves: vec![false; plan.moves.len()],
            callbacks: vec![false; plan.callbacks.len()],
        }
    }
}

impl<'p> Verifier<'p> {
    fn new(plan: &'p Plan, abi: Abi) -> Checked<Verifier<'p>> {
        let function = &plan.prototype.function;
        let model = if plan.facts.wide { DataModel::Lp64 } else { DataModel::Ilp32 };
        let reader = Reader { abi, model };
        if all_params(function).len() > MAX_PARAMS {
            return Err(Fault::Prototype(format!("it has more than {MAX_PARAMS} parameters")));
        }
        if let Variadic::Untyped(_) = function.variadic {
            return Err(Fault::Prototype("types of arguments are not known".to_owned()));
        }
        let assignment = assign(function, &Scope::default(), abi)
            .map_err(|error| Fault::Prototype(error.to_string()))?;
        let types = all_params(function);
        let data = Data::new(plan, reader);
        let crossings = types.iter().map(|ty| reader.crossing(ty)).collect::<Result<Vec<_>, _>>();
        let crossings = crossings.map_err(Fault::Prototype)?;
        let returned = reader.crossing(&function.result).map_err(Fault::Prototype)?;
        let slots = reader
            .slots(&plan.lowering, &crossings, returned)
            .map_err(|index| Fault::Lowering(subject(plan, index)))?;
        if *plan.slots != *slots {
            return Err(Fault::Slots);
        }
        let mut params = Vec::with_capacity(types.len());
        for (index, (ty, value)) in types.into_iter().zip(&assignment.params).enumerate() {
            let place = match value.pieces.as_slice() {
                [piece] if value.indirect.is_none() => image(piece.location),
                // A 128-bit integer in two registers, whose images lie side by side.
                [low, high] if matches!(crossings[index], Crossing::Two(_)) => {
                    let (low, high) = (image(low.location), image(high.location));
                    let beside = low.zip(high).is_some_and(|(a, b)| a.offset() + 8 == b.offset());
                    low.filter(|_| beside)
                }
                // A scalar that its struct is aligned for: what else travels is padding.
                [first, ..] if value.indirect.is_none() => match crossings[index] {
                    Crossing::One(scalar) if first.offset == 0 && scalar.host_size() <= 8 => {
                        image(first.location).filter(|_| first.size >= scalar.host_size())
                    }
                    _ => None,
                },
                _ => None,
            };
            let wants = match (crossings[index], data.argument(index).map_err(Fault::Prototype)?) {
                (Crossing::One(_), Some(wants)) => wants,
                (crossing, _) => reader.argument(ty, crossing).map_err(Fault::Prototype)?,
            };
            if place.is_none() && !matches!(wants, Argument::Nothing | Argument::Object) {
                return Err(Fault::Prototype(format!("no place for `{ty}`")));
            }
            let incoming = match (&wants, ty.pointee()) {
                (Argument::Pointer { .. } | Argument::DescriptorCell { .. }, Some(inner)) => Some(
                    reader
                        .incoming(inner, false, data.is_shaped(inner))
                        .map_err(Fault::Prototype)?,
                ),
                _ => None,
            };
            params.push(Parameter { ty, slot: slots[index], place, wants, incoming });
        }
        let result = match function.result.kind {
            TypeKind::Pointer(_) => {
                let shaped = data.is_shaped(&function.result);
                let incoming = reader.incoming(&function.result, true, shaped);
                Some(incoming.map_err(Fault::Prototype)?)
            }
            _ if function.result.has(|note| *note == NoteKind::Handle) => {
                Some(reader.incoming(&function.result, true, false).map_err(Fault::Prototype)?)
            }
            _ => None,
        };
        refuse_null_lenders(function, &mut params, result.as_ref());
        let count = params.len();
        Ok(Verifier {
            plan,
            reader,
            assignment,
            params,
            result,
            returned,
            written: Written::new(plan.frame),
            made: Made::new(count),
            outcome: Outcome::new(count),
            life: Outliving::new(count, plan.names.len()),
            copies: Copies::new(plan, count),
            data,
            used: Used::new(plan),
            index: 0,
        })
    }

    /// What messages call a parameter, or, past the last one, the result.
    fn subject(&self, index: usize) -> String {
        subject(self.plan, index)
    }

    fn disagrees(&self, what: &'static str, index: usize) -> Fault {
        Fault::Disagrees { what, subject: self.subject(index) }
    }

    /// Fails with [`Fault::Disagrees`] unless `holds`.
    fn agrees(&self, holds: bool, what: &'static str, index: usize) -> Checked {
        if holds { Ok(()) } else { Err(self.disagrees(what, index)) }
    }

    /// The parts of the frame are where stubs and ops look for them.
    fn frame_parts(&self) -> Checked {
        let FrameLayout { stack, stack_align, locals, size, align: start } = self.plan.frame;
        let (stack, locals, size) = (usize::from(stack), usize::from(locals), usize::from(size));
        let expected = usize::try_from(self.assignment.stack_size).unwrap_or(usize::MAX);
        let part = |part, expected, found| {
            if expected == found { Ok(()) } else { Err(Fault::Frame { part, expected, found }) }
        };
        part("stack area", expected.next_multiple_of(16).min(MAX_STACK_AREA), stack)?;
        let align = usize::try_from(self.assignment.stack_align).unwrap_or(usize::MAX);
        part("alignment of the stack area", align, stack_align.into())?;
        let behind = self.assignment.params.iter().chain([&self.assignment.result]);
        let behind =
            behind.filter(|value| value.indirect.is_some()).map(|value| value.extent.align);
        let align = usize::try_from(behind.max().unwrap_or(16).max(16)).unwrap_or(usize::MAX);
        part("alignment", align, start.into())?;
        part("start of cells and locals", FrameLayout::STACK + stack, locals)?;
        part("size", size.max(locals).next_multiple_of(16), size)
    }

    /// The frame ends where the last op writes.
    fn frame_end(&self) -> Checked {
        let (expected, found) =
            (self.written.end().next_multiple_of(16), usize::from(self.plan.frame.size));
        if expected == found { Ok(()) } else { Err(Fault::Frame { part: "size", expected, found }) }
    }

    /// Phases are in order, and there is one call, where the plan says.
    fn phases(&self) -> Result<(), VerifyError> {
        let mut last = Phase::Before;
        for (index, op) in self.plan.ops.iter().enumerate() {
            let fault = if op.phase() < last {
                Fault::Order { phase: op.phase(), after: last }
            } else if (op.phase() == Phase::Call) != (index == usize::from(self.plan.call)) {
                Fault::Call
            } else {
                last = op.phase();
                continue;
            };
            return Err(VerifyError { op: Some(index), context: mnemonic(op), fault });
        }
        if last < Phase::Call {
            return Err(VerifyError { op: None, context: "ops", fault: Fault::Call });
        }
        Ok(())
    }

    /// A callee that is called for that purpose.
    fn callee(&mut self, index: u16, purpose: &Purpose) -> Checked<&'p Callee> {
        let index = usize::from(index);
        match self.plan.callees.get(index) {
            None => Err(Fault::Table { table: "callees", index }),
            Some(callee) if callee.purpose == *purpose => {
                self.used.callees[index] = true;
                Ok(callee)
            }
            Some(_) => Err(Fault::Unasked),
        }
    }

    /// Checks that an entry of the table of handle types is the type of that name.
    fn kind(&mut self, kind: u16, name: &str, index: usize) -> Checked {
        let entry = usize::from(kind);
        let Some(found) = self.plan.handle_kinds.get(entry) else {
            return Err(Fault::Table { table: "handle kinds", index: entry });
        };
        self.used.kinds[entry] = true;
        self.agrees(*found.name == *name, "the handle type", index)
    }
}

/// NULL lends nothing: a handle that lends what the call returns must be one.
fn refuse_null_lenders(
    function: &Function,
    params: &mut [Parameter<'_>],
    result: Option<&Incoming<'_>>,
) {
    let incoming = params.iter().filter_map(|param| param.incoming.as_ref()).chain(result);
    let lenders: Vec<Arc<str>> = incoming
        .filter_map(|incoming| match incoming {
            Incoming::Object { lender, .. } => *lender,
            Incoming::Copy { owner: Owner::Lent(name, _), .. } => Some(name),
            Incoming::Descriptor { lender, .. } => *lender,
            Incoming::Copy { .. } | Incoming::Inside | Incoming::Cookie => None,
        })
        .map(|name| Arc::clone(&name.name))
        .collect();
    for (param, declared) in params.iter_mut().zip(&function.params) {
        let name = declared.name.as_ref().map(|name| &name.name);
        if let Argument::Handle { null, .. } = &mut param.wants
            && name.is_some_and(|name| lenders.contains(name))
        {
            *null = Null::Refused;
        }
    }
}

fn subject(plan: &Plan, index: usize) -> String {
    let function = &plan.prototype.function;
    let name = function.params.get(index).and_then(|param| param.name.as_ref());
    match name {
        Some(name) => format!("parameter {} \"{name}\"", index + 1),
        None if index < all_params(function).len() => format!("parameter {}", index + 1),
        None => "the result".to_owned(),
    }
}

/// Where an argument's register or stack slot is in the frame.
fn image(location: Location) -> Option<At> {
    match location {
        Location::Integer(number) => FrameLayout::integer(number),
        Location::Vector(number) => FrameLayout::vector(number),
        Location::Stack(offset) => FrameLayout::stack_slot(offset),
        Location::X87(_) => None,
    }
}

#[cfg(test)]
pub(super) mod tests;
