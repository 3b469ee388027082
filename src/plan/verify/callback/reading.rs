//! A callback's plan that is being read, op by op.
use super::super::after::Outcome;
use super::super::before::Made;
use super::super::crossing::Crossing;
use super::super::deep::{Copies, Data};
use super::super::demand::{Argument, Reader, counted, has};
use super::super::error::Fault;
use super::super::life::Outliving;
use super::super::outside::closure::incoming;
use super::super::written::{What, Written};
use super::super::{Checked, Parameter, Used, Verifier, subject};
use crate::plan::abi::{Abi, assign};
use crate::plan::frame::{FrameLayout, MAX_STACK_AREA};
use crate::plan::layout::{DataModel, scalar_of};
use crate::plan::op::{At, CallbackOp};
use crate::plan::{Facts, Plan};
use crate::signature::{Expr, MAX_PARAMS, NoteKind, Scope, Type, TypeKind, Variadic};

/// Ops must be those of this sequence: the arguments that cross, room for the result, the call, the result.
pub(super) struct Reading<'p> {
    /// Reads shapes and expressions, and knows which entries of tables are used.
    pub(super) inner: Verifier<'p>,
    pub(super) crossings: Vec<Crossing>,
    /// The next argument.
    next: usize,
    room: bool,
    entered: bool,
    replied: bool,
    pub(super) memory: bool,
    pub(super) allocates: bool,
}

impl<'p> Reading<'p> {
    pub(super) fn new(plan: &'p Plan, abi: Abi) -> Checked<Reading<'p>> {
        let function = &plan.prototype.function;
        let model = if plan.facts.wide { DataModel::Lp64 } else { DataModel::Ilp32 };
        let reader = Reader { abi, model };
        if function.params.len() > MAX_PARAMS {
            return Err(Fault::Prototype(format!("it has more than {MAX_PARAMS} parameters")));
        }
        if function.variadic != Variadic::No {
            return Err(Fault::Prototype("a callback with `...`".to_owned()));
        }
        let assignment = assign(function, &Scope::default(), abi)
            .map_err(|error| Fault::Prototype(error.to_string()))?;
        if usize::try_from(assignment.stack_size).is_ok_and(|size| size > MAX_STACK_AREA) {
            return Err(Fault::Prototype("its arguments take too much stack".to_owned()));
        }
        let types: Vec<&Type> = function.params.iter().map(|param| &param.ty).collect();
        let crossings = types.iter().map(|ty| reader.crossing(ty)).collect::<Result<Vec<_>, _>>();
        let crossings = crossings.map_err(Fault::Prototype)?;
        let returned = reader.crossing(&function.result).map_err(Fault::Prototype)?;
        let slots = reader
            .slots(&plan.lowering, &crossings, returned)
            .map_err(|index| Fault::Lowering(subject(plan, index)))?;
        if *plan.slots != *slots {
            return Err(Fault::Slots);
        }
        let data = Data::new(plan, reader);
        let mut written = Written::new(plan.frame);
        let mut copies = Copies::new(plan, types.len());
        let mut params = Vec::with_capacity(types.len());
        for (index, (ty, value)) in types.into_iter().zip(&assignment.params).enumerate() {
            let place = match value.pieces.as_slice() {
                [piece] if value.indirect.is_none() => incoming(piece.location),
                _ => None,
            };
            let wants = match crossings[index] {
                Crossing::One(scalar) if ty.pointee().is_none() => {
                    if let (Some(at), Some(width)) = (place, reader.width(scalar, DataModel::Lp64))
                    {
                        written.add(at, 8, What::Integer(width), 0)?;
                    }
                    Argument::Scalar(scalar)
                }
                _ => Argument::Nothing,
            };
            if can_be_read(&data, ty) {
                copies.read_behind(index, place);
            }
            params.push(Parameter { ty, slot: slots[index], place, wants, incoming: None });
        }
        let count = params.len();
        let inner = Verifier {
            plan,
            reader,
            assignment,
            params,
            result: None,
            returned,
            written,
            made: Made::new(count),
            outcome: Outcome::new(count),
            life: Outliving::new(count, plan.names.len()),
            copies,
            data,
            used: Used::new(plan),
            index: 0,
        };
        Ok(Reading {
            inner,
            crossings,
            next: 0,
            room: false,
            entered: false,
            replied: false,
            memory: false,
            allocates: false,
        })
    }

    pub(super) fn frame(&self) -> Checked {
        let part = |part, expected: usize, found: u16| {
            let found = usize::from(found);
            if expected == found { Ok(()) } else { Err(Fault::Frame { part, expected, found }) }
        };
        let whole = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
        let FrameLayout { stack, stack_align, locals, size, align } = self.inner.plan.frame;
        let assignment = &self.inner.assignment;
        let area = whole(assignment.stack_size).next_multiple_of(16);
        part("stack area", area, stack)?;
        part("alignment of the stack area", whole(assignment.stack_align), stack_align)?;
        part("alignment", 16, align)?;
        part("start of cells and locals", FrameLayout::CALLER_STACK + area, locals)?;
        part("size", FrameLayout::CALLER_STACK + area, size)
    }

    pub(super) fn op(&mut self, op: CallbackOp, index: usize) -> Checked {
        self.inner.index = index;
        while !self.entered && self.crossings.get(self.next) == Some(&Crossing::Nothing) {
            self.nothing(self.next)?;
            self.next += 1;
        }
        if let Some(crossing) = self.crossings.get(self.next).copied() {
            self.arrival(op, self.next, crossing)?;
            self.next += 1;
            return Ok(());
        }
        if self.inner.returns_by_address() && !self.room {
            self.room = true;
            (self.memory, self.allocates) = (true, true);
            let size = self.guest_size(self.result())?;
            return self.equal(op == CallbackOp::Room { size }, self.crossings.len());
        }
        if !self.entered {
            self.entered = true;
            let right = op == CallbackOp::Enter && index == usize::from(self.inner.plan.call);
            return if right { Ok(()) } else { Err(Fault::Call) };
        }
        if self.replied {
            return Err(Fault::Unasked);
        }
        self.replied = true;
        self.reply(op)
    }

    /// An empty struct has no bytes in C either.
    fn nothing(&self, index: usize) -> Checked {
        let value = &self.inner.assignment.params[index];
        let right = value.pieces.is_empty() && value.indirect.is_none();
        self.equal(right, index)
    }

    pub(super) fn equal(&self, right: bool, index: usize) -> Checked {
        self.inner.agrees(right, "the op", index)
    }

    /// The type of the result.
    pub(super) fn result(&self) -> &'p Type {
        &self.inner.plan.prototype.function.result
    }

    pub(super) fn guest_size(&self, ty: &Type) -> Checked<u32> {
        let size = self.inner.reader.guest_size(ty).map_err(Fault::Prototype)?;
        u32::try_from(size).map_err(|error| Fault::Prototype(error.to_string()))
    }

    /// Where the pieces of an argument stand, if C passes it in pieces.
    pub(super) fn places(&self, index: usize) -> Checked<Vec<At>> {
        let value = &self.inner.assignment.params[index];
        let pieces = value.pieces.iter().map(|piece| incoming(piece.location));
        let places = pieces.collect::<Option<Vec<At>>>().filter(|_| value.indirect.is_none());
        places.ok_or_else(|| Fault::Missing(self.inner.subject(index)))
    }

    /// Where an argument that travels in one piece stands.
    pub(super) fn place(&self, index: usize) -> Checked<At> {
        match *self.places(index)? {
            [at] => Ok(at),
            _ => Err(Fault::Missing(self.inner.subject(index))),
        }
    }

    /// An expression is what the annotation says.
    pub(super) fn means(&mut self, expr: u16, annotation: &Expr, index: usize) -> Checked {
        let tree = self.inner.expression(expr.into())?;
        self.equal(self.inner.means(&tree, annotation, false), index)
    }

    pub(super) fn done(&mut self) -> Checked {
        while self.crossings.get(self.next) == Some(&Crossing::Nothing) && !self.entered {
            self.next += 1;
        }
        if !self.entered {
            return Err(Fault::Call);
        }
        if self.inner.returned != Crossing::Nothing && !self.replied {
            return Err(Fault::Missing("the result".to_owned()));
        }
        let plan = self.inner.plan;
        for (table, is_empty) in [
            ("callees", plan.callees.is_empty()),
            ("passed", plan.passed.is_empty()),
            ("names", plan.names.is_empty()),
        ] {
            if !is_empty {
                return Err(Fault::Unused { table, index: 0 });
            }
        }
        if let Some(kind) = plan.handle_kinds.iter().position(|kind| kind.drop.is_some()) {
            return Err(Fault::Table { table: "handle kinds", index: kind });
        }
        self.inner.copies.all_used()?;
        self.inner.tables()?;
        let inner = plan.callbacks.iter().any(|callback| callback.plan.facts.memory);
        let facts = Facts {
            leaf: false,
            memory: self.memory || inner,
            allocates: self.allocates,
            errno: false,
            marks: false,
            after: self.replied,
            wide: plan.facts.wide,
        };
        if plan.facts == facts { Ok(()) } else { Err(Fault::Fact("of a callback")) }
    }
}

/// Whether expressions may read what a parameter points at: one object that is there.
fn can_be_read(data: &Data<'_>, ty: &Type) -> bool {
    let Some(pointee) = ty.pointee() else { return false };
    let is_data = match &pointee.kind {
        TypeKind::Void | TypeKind::Function(_) => false,
        TypeKind::Record(record) => data.body(record).is_some(),
        _ => true,
    };
    is_data && counted(ty).is_none() && !has(ty, &NoteKind::Cookie) && !has(ty, &NoteKind::Out)
}

/// Whether an argument is an integer in the one place where it stands.
pub(super) fn is_integer(ty: &Type) -> bool {
    scalar_of(ty).is_some_and(|scalar| !scalar.is_float()) && ty.pointee().is_none()
}
