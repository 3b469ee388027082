//! Guest functions that native code calls.
//!
//! # What it proves
//!
//! *Passing.* A pointer to a function comes from the op that makes a closure of a table entry, for a
//! callback whose function is the parameter's own, with its `__on_trap`; it is kept exactly by whom the
//! annotations name.
//!
//! *Calls.* The plan of a callback has exactly one op for each argument, in their order, then the call,
//! then at most one op for the result: each is recomputed from the prototype and must be equal. So every
//! guest slot is written, from the place where the C ABI puts that argument; pointers to native memory are
//! copied as far as annotations say; moves are those of the types. Expressions read arguments only, where
//! they stand, and are the annotations. Tables have no other entries.
//!
//! # What it does not prove
//!
//! What `verify` does not; and that what C passes is what its prototype says.
use super::crossing::Crossing;
use super::demand::{Argument, Elements, Reader};
use super::error::{Fault, VerifyError};
use super::meaning::{Names, Tree};
use super::moves::{Room, rooms};
use super::outside::closure::incoming;
use super::shown::{Lead, Shown, refuse_in_callback, writes};
use super::written::What;
use super::{Checked, Verifier, subject};
use crate::plan::abi::{Abi, Assignment, Location, assign};
use crate::plan::disassemble::mnemonic;
use crate::plan::expression::Step;
use crate::plan::frame::{FrameLayout, MAX_STACK_AREA};
use crate::plan::layout::{DataModel, Scalar, Target, extent_of, scalar_of};
use crate::plan::op::{At, CallbackOp, Each, Fetch, Op, Operand, REMOTE, Reach, Width};
use crate::plan::{Callback, Facts, Kind, Plan, WasmType};
use crate::signature::{
    Captor, Expr, Float, MAX_PARAMS, NoteKind, Scope, Type, TypeKind, Variadic,
};

impl Verifier<'_> {
    /// An op of an import.
    pub(super) fn callback(&mut self, op: CallbackOp) -> Checked {
        match op {
            CallbackOp::Pass { slot, to, callback, null, closure, kept } => {
                let index = self.place_bytes(slot, to, 8, What::Address)?;
                let ty = self.params[index].ty;
                let Argument::Function { null: n } = self.params[index].wants else {
                    return Err(self.disagrees("the type", index));
                };
                self.agrees(null == n, "the meaning of 0", index)?;
                self.agrees(kept == captor(ty).is_some(), "whether it is kept", index)?;
                self.written.add_local(closure, 8, What::Closure, self.index)?;
                self.made.closures.push((index, closure));
                self.callback_entry(callback, ty, index)
            }
            CallbackOp::Keep { closure, holder } => {
                let index = self.closure_of(closure)?;
                let right = match captor(self.params[index].ty) {
                    Some(Captor::Global) => holder.is_none(),
                    Some(Captor::Param(name)) => holder.is_some_and(|slot| {
                        let index = self.plan.param_of(slot.number());
                        let is_handle = self.params.get(index).is_some_and(|param| {
                            param.slot == slot.number()
                                && matches!(param.wants, Argument::Handle { .. })
                        });
                        let names = self.plan.prototype.param_index(&name.name);
                        is_handle && names == Some(index)
                    }),
                    Some(Captor::Return) | None => false,
                };
                self.agrees(right, "who keeps it", index)?;
                self.keep(index)
            }
            CallbackOp::KeepReturned { closure, handle } => {
                let index = self.closure_of(closure)?;
                let right = captor(self.params[index].ty) == Some(&Captor::Return);
                self.agrees(right, "who keeps it", index)?;
                let result = self.params.len();
                let adopted = self.plan.ops[..self.index].iter().any(|op| {
                    matches!(op, Op::Adopt { from, to, .. }
                        if *to == handle && *from == FrameLayout::result_integer())
                });
                self.agrees(adopted, "the handle", result)?;
                self.keep(index)
            }
            CallbackOp::Scalar { .. }
            | CallbackOp::Pair { .. }
            | CallbackOp::Vector { .. }
            | CallbackOp::Cookie { .. }
            | CallbackOp::Inside { .. }
            | CallbackOp::Copy { .. }
            | CallbackOp::Handle { .. }
            | CallbackOp::Object { .. }
            | CallbackOp::Room { .. }
            | CallbackOp::Enter
            | CallbackOp::Reply { .. }
            | CallbackOp::ReplyVector
            | CallbackOp::ReplySplit { .. }
            | CallbackOp::ReplyBehind { .. }
            | CallbackOp::ReplyHandle { .. }
            | CallbackOp::ReplyCookie
            | CallbackOp::ReplyText { .. }
            | CallbackOp::ReplyBuffer { .. } => Err(Fault::Unasked),
        }
    }

    fn closure_of(&self, closure: At) -> Checked<usize> {
        let found = self.made.closures.iter().find(|(_, at)| *at == closure);
        found.map(|(index, _)| *index).ok_or(Fault::Unknown { what: "closure", at: closure })
    }

    fn keep(&mut self, index: usize) -> Checked {
        if self.made.kept.contains(&index) {
            return Err(Fault::Unasked);
        }
        self.made.kept.push(index);
        Ok(())
    }

    /// The entry of the table of callbacks is that of a parameter.
    pub(super) fn callback_entry(&mut self, callback: u16, ty: &Type, index: usize) -> Checked {
        let entry = usize::from(callback);
        let Some(Callback { plan, on_trap }) = self.plan.callbacks.get(entry) else {
            return Err(Fault::Table { table: "callbacks", index: entry });
        };
        self.used.callbacks[entry] = true;
        let function = ty.pointee().map(|ty| &ty.kind);
        let same =
            matches!(function, Some(TypeKind::Function(f)) if **f == plan.prototype.function);
        self.agrees(same, "the function", index)?;
        let same = plan.kind == Kind::Callback && plan.facts.wide == self.plan.facts.wide;
        self.agrees(same, "the kind", index)?;
        let wanted = ty.notes.iter().find_map(|note| match &note.kind {
            NoteKind::OnTrap(value) => Some(value),
            _ => None,
        });
        let right = match wanted {
            None => *on_trap == 0,
            Some(value) => {
                let tree = Tree::of_annotation(value, &Nothing, self.reader.abi);
                let value = tree.and_then(|tree| tree.constant());
                value.is_some_and(|value| value.may_be((*on_trap).into()))
            }
        };
        self.agrees(right, "the value after a trap", index)?;
        verify(plan, self.reader.abi)
            .map_err(|error| Fault::Callback { index: entry, error: Box::new(error) })
    }

    /// Every closure that is to be kept is.
    pub(super) fn kept_ready(&self) -> Checked {
        for (index, _) in &self.made.closures {
            if captor(self.params[*index].ty).is_some() && !self.made.kept.contains(index) {
                return Err(Fault::Undone { what: "keeps", subject: self.subject(*index) });
            }
        }
        Ok(())
    }
}

pub(super) fn captor(ty: &Type) -> Option<&Captor> {
    ty.notes.iter().find_map(|note| match &note.kind {
        NoteKind::CapturedBy(captor) => Some(captor),
        _ => None,
    })
}

struct Nothing;

impl Names for Nothing {
    fn param(&self, _: &str) -> Option<Operand> {
        None
    }
    fn behind(&self, _: &str) -> Option<Operand> {
        None
    }
    fn result(&self) -> Option<Operand> {
        None
    }
    fn remembered(&self, _: &str, _: &str) -> Option<Operand> {
        None
    }
    fn data(&self, _: &Expr) -> Option<Tree> {
        None
    }
}

/// Decides whether the plan of a callback may run.
pub(super) fn verify(plan: &Plan, abi: Abi) -> Result<(), VerifyError> {
    let whole = |context| move |fault| VerifyError { op: None, context, fault };
    let mut reading = Reading::new(plan, abi).map_err(whole("prototype"))?;
    reading.frame().map_err(whole("frame"))?;
    for (index, op) in plan.ops.iter().enumerate() {
        let checked = match op {
            Op::Callback(op) => reading.op(*op, index),
            _ => Err(Fault::Unasked),
        };
        checked.map_err(|fault| VerifyError { op: Some(index), context: mnemonic(op), fault })?;
    }
    reading.done().map_err(whole("end"))
}

/// A callback's plan that is being read. Ops must be those of this sequence: the arguments that cross, room
/// for the result, the call, the result.
struct Reading<'p> {
    plan: &'p Plan,
    reader: Reader,
    assignment: Assignment,
    types: Vec<&'p Type>,
    crossings: Vec<Crossing>,
    slots: Vec<u16>,
    returned: Crossing,
    /// The next argument.
    next: usize,
    room: bool,
    entered: bool,
    replied: bool,
    expressions: Vec<bool>,
    moves: Vec<bool>,
    kinds: Vec<bool>,
    memory: bool,
    allocates: bool,
}

impl<'p> Reading<'p> {
    fn new(plan: &'p Plan, abi: Abi) -> Checked<Reading<'p>> {
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
        Ok(Reading {
            plan,
            reader,
            assignment,
            types,
            crossings,
            slots,
            returned,
            next: 0,
            room: false,
            entered: false,
            replied: false,
            expressions: vec![false; plan.expressions.len()],
            moves: vec![false; plan.moves.len()],
            kinds: vec![false; plan.handle_kinds.len()],
            memory: false,
            allocates: false,
        })
    }

    fn frame(&self) -> Checked {
        let part = |part, expected: usize, found: u16| {
            let found = usize::from(found);
            if expected == found { Ok(()) } else { Err(Fault::Frame { part, expected, found }) }
        };
        let whole = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
        let FrameLayout { stack, stack_align, locals, size, align } = self.plan.frame;
        let area = whole(self.assignment.stack_size).next_multiple_of(16);
        part("stack area", area, stack)?;
        part("alignment of the stack area", whole(self.assignment.stack_align), stack_align)?;
        part("alignment", 16, align)?;
        part("start of cells and locals", FrameLayout::CALLER_STACK + area, locals)?;
        part("size", FrameLayout::CALLER_STACK + area, size)
    }

    fn op(&mut self, op: CallbackOp, index: usize) -> Checked {
        while !self.entered && self.crossings.get(self.next) == Some(&Crossing::Nothing) {
            self.nothing(self.next)?;
            self.next += 1;
        }
        if let Some(crossing) = self.crossings.get(self.next).copied() {
            self.arrival(op, self.next, crossing)?;
            self.next += 1;
            return Ok(());
        }
        let hidden = matches!(self.returned, Crossing::Two(_) | Crossing::Address);
        if hidden && !self.room {
            self.room = true;
            (self.memory, self.allocates) = (true, true);
            let size = self.guest_size(&self.plan.prototype.function.result)?;
            return self.equal(op == CallbackOp::Room { size }, self.types.len());
        }
        if !self.entered {
            self.entered = true;
            let right = op == CallbackOp::Enter && index == usize::from(self.plan.call);
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
        let value = &self.assignment.params[index];
        let right = value.pieces.is_empty() && value.indirect.is_none();
        self.equal(right, index)
    }

    fn equal(&self, right: bool, index: usize) -> Checked {
        if right {
            return Ok(());
        }
        Err(Fault::Disagrees { what: "the op", subject: subject(self.plan, index) })
    }

    fn guest_size(&self, ty: &Type) -> Checked<u32> {
        let size = self.reader.guest_size(ty).map_err(Fault::Prototype)?;
        u32::try_from(size).map_err(|error| Fault::Prototype(error.to_string()))
    }

    /// Where an argument that travels in one piece stands, or in two that lie side by side.
    fn place(&self, index: usize) -> Checked<At> {
        let value = &self.assignment.params[index];
        let pieces: Option<Vec<At>> =
            value.pieces.iter().map(|piece| incoming(piece.location)).collect();
        let place = match (value.indirect, pieces.as_deref()) {
            (None, Some([at])) => Some(*at),
            (None, Some([low, high])) if low.offset() + 8 == high.offset() => Some(*low),
            _ => None,
        };
        place.ok_or_else(|| Fault::Missing(subject(self.plan, index)))
    }

    fn arrival(&mut self, op: CallbackOp, index: usize, crossing: Crossing) -> Checked {
        let (ty, slot) = (self.types[index], self.slots[index]);
        let right = match crossing {
            Crossing::Nothing => false,
            Crossing::One(Scalar::Pointer) => return self.pointer(op, index),
            Crossing::One(scalar) => {
                refuse_in_callback(ty).map_err(Fault::Prototype)?;
                let wasm = self.plan.lowering.params.get(usize::from(slot)).copied();
                let returns = wasm.and_then(|wasm| self.reader.returns(scalar, wasm));
                let from = self.place(index)?;
                returns.is_some_and(|returns| op == CallbackOp::Scalar { from, slot, returns })
            }
            Crossing::Two(scalar) => {
                let extended = scalar == Scalar::Float(Float::LongDouble)
                    && self.reader.abi == Abi::SysvX86_64;
                op == CallbackOp::Pair { from: self.place(index)?, slot, extended }
            }
            Crossing::Vector => op == CallbackOp::Vector { from: self.place(index)?, slot },
            Crossing::Address => {
                let size = self.guest_size(ty)?;
                let value = self.assignment.params[index].clone();
                let CallbackOp::Object { slot: s, size: n, moves } = op else {
                    return self.equal(false, index);
                };
                self.equal((s, n) == (slot, size) && value.indirect.is_none(), index)?;
                (self.memory, self.allocates) = (true, true);
                let rooms = rooms(&value, incoming).map_err(Fault::Prototype)?;
                return self.check_moves(ty, moves, &rooms, false, index);
            }
        };
        self.equal(right, index)
    }

    fn pointer(&mut self, op: CallbackOp, index: usize) -> Checked {
        let (ty, slot) = (self.types[index], self.slots[index]);
        let at = self.place(index)?;
        let shown = self.reader.shown(ty, &|expr| self.known(expr)).map_err(Fault::Prototype)?;
        let back = writes(ty);
        match (shown, op) {
            (Shown::Object(name), CallbackOp::Handle { from, slot: s, kind }) => {
                self.memory = true;
                self.equal((from, s) == (at, slot), index)?;
                self.kind(kind, &name, index)
            }
            (Shown::Cookie, CallbackOp::Cookie { from, slot: s }) => {
                self.equal((from, s) == (at, slot), index)
            }
            (
                Shown::Pointers(count, lead),
                CallbackOp::Copy { from, slot: s, reach: Reach::Pointers { expr, each }, back },
            ) => {
                (self.memory, self.allocates) = (true, true);
                self.equal((from, s, back) == (at, slot, false), index)?;
                match (count, expr) {
                    (None, None) => {}
                    (Some(annotation), Some(expr)) => self.means(expr, annotation, index)?,
                    _ => return self.equal(false, index),
                }
                match (lead, each) {
                    (Lead::Text(unit), Each::Text(u)) => self.equal(u32::from(u) == unit, index),
                    (Lead::Object(name), Each::Handle(kind)) => self.kind(kind, &name, index),
                    _ => self.equal(false, index),
                }
            }
            (Shown::Inside, CallbackOp::Inside { from, slot: s }) => {
                self.memory = true;
                self.equal((from, s) == (at, slot), index)
            }
            (shown, CallbackOp::Copy { from, slot: s, reach, back: b }) => {
                (self.memory, self.allocates) = (true, true);
                self.equal((from, s, b) == (at, slot, back), index)?;
                match (shown, reach) {
                    (Shown::Text(unit), Reach::Text(u)) => self.equal(u32::from(u) == unit, index),
                    (Shown::Counted(annotation, size), Reach::Counted { expr, size: n }) => {
                        self.equal(u64::from(n) == size, index)?;
                        self.means(expr, annotation, index)
                    }
                    (Shown::Value, Reach::Object { size, moves }) => {
                        let pointee = ty.pointee().ok_or(Fault::Unasked)?;
                        self.equal(self.guest_size(pointee)? == size, index)?;
                        let room = self.remote(pointee)?;
                        self.check_moves(pointee, moves, &[room], false, index)
                    }
                    _ => self.equal(false, index),
                }
            }
            _ => self.equal(false, index),
        }
    }

    /// A value that lies whole in native memory.
    fn remote(&self, ty: &Type) -> Checked<Room> {
        let extent = extent_of(ty, &Scope::default(), Target::Host(self.reader.abi));
        let bytes = extent.map_err(|error| Fault::Prototype(error.to_string()))?.size;
        let at = At::new(REMOTE).ok_or(Fault::Unasked)?;
        let room = usize::try_from(bytes).unwrap_or(usize::MAX);
        Ok(Room { host: 0, bytes, at, room })
    }

    fn reply(&mut self, op: CallbackOp) -> Checked {
        let index = self.types.len();
        let ty = &self.plan.prototype.function.result;
        let value = self.assignment.result.clone();
        let right = match self.returned {
            Crossing::Nothing => false,
            Crossing::One(Scalar::Pointer) => return self.pointer_reply(op),
            Crossing::One(scalar) => {
                refuse_in_callback(ty).map_err(Fault::Prototype)?;
                let wasm = self.plan.lowering.results.first().copied();
                op == CallbackOp::Reply { fetch: self.fetch(scalar, wasm)? }
            }
            Crossing::Vector => {
                let first = value.pieces.first().map(|piece| piece.location);
                first == Some(Location::Vector(0)) && op == CallbackOp::ReplyVector
            }
            Crossing::Two(_) | Crossing::Address => {
                let wanted = self.guest_size(ty)?;
                return match (value.indirect, op) {
                    (None, CallbackOp::ReplySplit { size, moves }) if size == wanted => {
                        let rooms = rooms(&value, FrameLayout::result_register);
                        let rooms = rooms.map_err(Fault::Prototype)?;
                        self.check_moves(ty, moves, &rooms, true, index)
                    }
                    (Some(location), CallbackOp::ReplyBehind { size, moves, hidden })
                        if size == wanted && incoming(location) == Some(hidden) =>
                    {
                        let room = self.remote(ty)?;
                        self.check_moves(ty, moves, &[room], true, index)
                    }
                    _ => self.equal(false, index),
                };
            }
        };
        self.equal(right, index)
    }

    /// How a scalar result is read.
    fn fetch(&self, scalar: Scalar, wasm: Option<WasmType>) -> Checked<Fetch> {
        let narrow = wasm == Some(WasmType::I32);
        Ok(match scalar {
            Scalar::Bool => Fetch::Bool,
            Scalar::Float(Float::Float) => Fetch::Float32,
            Scalar::Float(Float::Double) => Fetch::Float64,
            _ => Fetch::Integer(match self.reader.width(scalar, DataModel::Lp64) {
                Some(Width::I64) if narrow => Width::I32,
                Some(Width::U64) if narrow => Width::U32,
                Some(width) => width,
                None => return Err(Fault::Prototype("a result without a width".to_owned())),
            }),
        })
    }

    fn pointer_reply(&mut self, op: CallbackOp) -> Checked {
        let index = self.types.len();
        let ty = &self.plan.prototype.function.result;
        let given = self.reader.given(ty).map_err(Fault::Prototype)?;
        match (given, op) {
            (Argument::Cookie { with: None }, CallbackOp::ReplyCookie) => Ok(()),
            (Argument::Handle { name, null, .. }, CallbackOp::ReplyHandle { kind, null: n }) => {
                self.equal(null == n, index)?;
                self.kind(kind, &name, index)
            }
            (
                Argument::Text { unit, null, writable: false },
                CallbackOp::ReplyText { unit: u, null: n },
            ) => {
                self.memory = true;
                self.equal((unit, null) == (u.into(), n), index)
            }
            (
                Argument::Buffer { count, size, align, null, .. },
                CallbackOp::ReplyBuffer { expr, size: s, align: a, null: n },
            ) => {
                self.memory = true;
                let same = (size, align, null) == (s.into(), a.into(), n);
                self.equal(same, index)?;
                match (count, expr) {
                    (Elements::One, None) => Ok(()),
                    (Elements::Counted(annotation), Some(expr)) => {
                        self.means(expr, annotation, index)
                    }
                    _ => self.equal(false, index),
                }
            }
            _ => self.equal(false, index),
        }
    }

    fn kind(&mut self, kind: u16, name: &str, index: usize) -> Checked {
        let entry = usize::from(kind);
        let Some(found) = self.plan.handle_kinds.get(entry) else {
            return Err(Fault::Table { table: "handle kinds", index: entry });
        };
        self.kinds[entry] = true;
        self.equal(*found.name == *name && found.drop.is_none(), index)
    }

    /// An expression is what the annotation says, and reads arguments only.
    fn means(&mut self, expr: u16, annotation: &Expr, index: usize) -> Checked {
        let entry = usize::from(expr);
        let table = || Fault::Table { table: "expressions", index: entry };
        let steps = &self.plan.expressions.get(entry).ok_or_else(table)?.steps;
        self.expressions[entry] = true;
        if steps.iter().any(|step| matches!(step, Step::Call { .. })) {
            return Err(Fault::Expression { index: entry, reason: "it calls a function" });
        }
        let tree = Tree::of_steps(steps, &self.plan.callees)
            .map_err(|reason| Fault::Expression { index: entry, reason })?;
        let wanted = Tree::of_annotation(annotation, &Arguments(self), self.reader.abi);
        self.equal(wanted.is_some_and(|wanted| tree.means(&wanted)), index)
    }

    /// Whether an expression reads only what the callback's own arguments say.
    fn known(&self, expr: &Expr) -> bool {
        Tree::of_annotation(expr, &OwnNames(self.plan), self.reader.abi).is_some()
    }

    fn check_moves(
        &mut self,
        ty: &Type,
        moves: u16,
        rooms: &[Room],
        inward: bool,
        index: usize,
    ) -> Checked {
        let entry = usize::from(moves);
        let Some(list) = self.plan.moves.get(entry) else {
            return Err(Fault::Table { table: "moves", index: entry });
        };
        self.moves[entry] = true;
        let checked = self.reader.check_moves(ty, list, rooms, inward);
        checked.map_err(|reason| Fault::Moves { reason, subject: subject(self.plan, index) })
    }

    fn done(&mut self) -> Checked {
        while self.crossings.get(self.next) == Some(&Crossing::Nothing) && !self.entered {
            self.next += 1;
        }
        if !self.entered {
            return Err(Fault::Call);
        }
        if self.returned != Crossing::Nothing && !self.replied {
            return Err(Fault::Missing("the result".to_owned()));
        }
        let plan = self.plan;
        for (table, is_empty) in [
            ("ranges", plan.ranges.is_empty()),
            ("callees", plan.callees.is_empty()),
            ("passed", plan.passed.is_empty()),
            ("names", plan.names.is_empty()),
            ("shapes", plan.shapes.is_empty()),
            ("roots", plan.roots.is_empty()),
            ("records", plan.records.is_empty()),
            ("callbacks", plan.callbacks.is_empty()),
        ] {
            if !is_empty {
                return Err(Fault::Unused { table, index: 0 });
            }
        }
        for (table, used) in [
            ("expressions", &self.expressions),
            ("handle kinds", &self.kinds),
            ("moves", &self.moves),
        ] {
            if let Some(index) = used.iter().position(|used| !used) {
                return Err(Fault::Unused { table, index });
            }
        }
        let facts = Facts {
            leaf: false,
            memory: self.memory,
            allocates: self.allocates,
            errno: false,
            marks: false,
            after: self.replied,
            wide: self.plan.facts.wide,
        };
        if plan.facts == facts { Ok(()) } else { Err(Fault::Fact("of a callback")) }
    }
}

/// Names of parameters, wherever those are.
struct OwnNames<'p>(&'p Plan);

impl OwnNames<'_> {
    fn any(&self, name: &str) -> Option<Operand> {
        self.0.prototype.param_index(name)?;
        Some(Operand { at: FrameLayout::result_integer(), width: Width::U64 })
    }
}

impl Names for OwnNames<'_> {
    fn param(&self, name: &str) -> Option<Operand> {
        self.any(name)
    }
    fn behind(&self, name: &str) -> Option<Operand> {
        self.any(name)
    }
    fn result(&self) -> Option<Operand> {
        None
    }
    fn remembered(&self, _: &str, _: &str) -> Option<Operand> {
        None
    }
    fn data(&self, _: &Expr) -> Option<Tree> {
        None
    }
}

/// The arguments of a callback, where they stand.
struct Arguments<'v, 'p>(&'v Reading<'p>);

impl Names for Arguments<'_, '_> {
    fn param(&self, name: &str) -> Option<Operand> {
        let index = self.0.plan.prototype.param_index(name)?;
        let scalar = scalar_of(self.0.types[index])?;
        let width = self.0.reader.width(scalar, DataModel::Lp64)?;
        Some(Operand { at: self.0.place(index).ok()?, width })
    }
    fn behind(&self, _: &str) -> Option<Operand> {
        None
    }
    fn result(&self) -> Option<Operand> {
        None
    }
    fn remembered(&self, _: &str, _: &str) -> Option<Operand> {
        None
    }
    fn data(&self, _: &Expr) -> Option<Tree> {
        None
    }
}
