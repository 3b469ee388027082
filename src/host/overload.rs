//! Overloads: several grants of one symbol, told apart by the `__range`s of their parameters.
//!
//! The ranges are looked at before anything else of a call is done, so that a pointer that makes
//! sense to a later overload only is no error. For that they may depend on arguments that are
//! passed by value and on nothing else: what is behind a pointer, what the library computes and
//! what the prototype replaces (`__value`) is not there yet. A range that looks at such a thing is
//! *late*: it restricts its overload, but cannot choose it. A set in which it would have to is
//! refused when it is linked. The plan that is chosen checks its ranges again.
#[cfg(feature = "cli")]
pub(super) mod overlap;

use crate::plan::Plan;
use crate::plan::expression::{Environment, EvaluationError, Expression, Step, evaluate};
use crate::plan::frame::GuestSlot;
use crate::plan::op::{At, DeepOp, Op, Operand, Ranged, Width};
use crate::plan::shape::Target;
use crate::signature::{Diagnostic, NoteKind};

/// The `__range`s of one parameter that is passed by value.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    value: Argument,
    test: Test,
}

/// An integer that is passed by value.
#[derive(Clone, Copy, Debug)]
struct Argument {
    /// Where the plan will have it.
    operand: Operand,
    /// The guest value.
    slot: u16,
    /// What its op makes of the value.
    decode: Decode,
}

/// What must hold.
#[derive(Clone, Debug)]
enum Test {
    /// The value lies in one of the intervals.
    Within(Box<[(i128, i128)]>),
    /// The expression, which reads these, is not zero.
    Holds(Expression, Box<[Argument]>),
}

/// The guards of a plan.
pub(super) fn guards(plan: &Plan) -> Box<[Guard]> {
    plan.ops.iter().filter_map(|op| guard(plan, op)?.ok()).collect()
}

/// The ranges that a plan tests: of which parameter, and whether they choose an overload.
#[cfg(feature = "cli")]
pub(super) fn ranges(plan: &Plan) -> Vec<(u16, bool)> {
    let range = |op: &Op| {
        let late = guard(plan, op)?.err();
        let param = match (late, op) {
            (Some(late), _) => return Some((late.param, false)),
            (None, Op::Range { param, .. }) => *param,
            (None, Op::Require { of: Some(Ranged { param, .. }), .. }) => *param,
            (None, _) => return None,
        };
        Some((param, true))
    };
    plan.ops.iter().filter_map(range).collect()
}

/// A range that cannot choose an overload: see the module.
struct Late<'p> {
    /// The parameter that has it.
    param: u16,
    /// The condition, if its bounds are computed.
    computed: Option<&'p Expression>,
}

/// Whether an integer in the data that a root leads to has a range.
fn has_ranges(plan: &Plan, root: u16) -> bool {
    let mut seen = vec![false; plan.shapes.len()];
    let root = plan.roots.get(usize::from(root));
    let mut next: Vec<Target> = root.iter().map(|link| link.target).collect();
    while let Some(target) = next.pop() {
        let Target::Data(shape) = target else { continue };
        let index = usize::from(shape);
        let Some(shape) = plan.shapes.get(index) else { continue };
        if !shape.tests.is_empty() {
            return true;
        }
        if !std::mem::replace(&mut seen[index], true) {
            next.extend(shape.links.iter().map(|link| link.target));
        }
    }
    false
}

/// The guard that an op makes, if it tests a range.
fn guard<'p>(plan: &'p Plan, op: &Op) -> Option<Result<Guard, Late<'p>>> {
    let (value, late, test) = match *op {
        Op::Range { value, set, param } => {
            let ranges = plan.ranges.get(usize::from(set))?;
            (value, Late { param, computed: None }, Some(Test::Within(ranges.clone())))
        }
        Op::Require { expr, of: Some(Ranged { value, param }) } => {
            let expression = plan.expressions.get(usize::from(expr))?;
            (value, Late { param, computed: Some(expression) }, computed(plan, expression))
        }
        // Ranges in data are looked at when it is copied.
        Op::Deep(DeepOp::Copy { root, param, .. }) if has_ranges(plan, root) => {
            return Some(Err(Late { param, computed: None }));
        }
        Op::Require { of: None, .. }
        | Op::Deep(DeepOp::Copy { .. })
        | Op::Int8 { .. }
        | Op::UInt8 { .. }
        | Op::Int16 { .. }
        | Op::UInt16 { .. }
        | Op::Bool { .. }
        | Op::Int32 { .. }
        | Op::ULong32 { .. }
        | Op::Int64 { .. }
        | Op::Long32 { .. }
        | Op::Float32 { .. }
        | Op::Float64 { .. }
        | Op::Pair { .. }
        | Op::Extended { .. }
        | Op::Vector { .. }
        | Op::Object { .. }
        | Op::Address { .. }
        | Op::Room { .. }
        | Op::Format { .. }
        | Op::FitsObject { .. }
        | Op::StoreObject { .. }
        | Op::Native(_)
        | Op::Upcall(_)
        | Op::Deep(
            DeepOp::Box { .. }
            | DeepOp::Recall { .. }
            | DeepOp::Fill
            | DeepOp::Keep { .. }
            | DeepOp::Fetch
            | DeepOp::KeepFunctions { .. }
            | DeepOp::End { .. }
            | DeepOp::Settle
            | DeepOp::Take { .. }
            | DeepOp::Commit,
        )
        | Op::Callback(_)
        | Op::Life(_)
        | Op::Evaluate { .. }
        | Op::Value { .. }
        | Op::Buffer { .. }
        | Op::Text { .. }
        | Op::Cell { .. }
        | Op::PointerCell { .. }
        | Op::TextCell { .. }
        | Op::Handle { .. }
        | Op::Apart { .. }
        | Op::Reserve { .. }
        | Op::Call { .. }
        | Op::Consume { .. }
        | Op::Measure { .. }
        | Op::Fits { .. }
        | Op::Inside { .. }
        | Op::InsideOr { .. }
        | Op::Take { .. }
        | Op::FreeNative { .. }
        | Op::Give { .. }
        | Op::Adopt { .. }
        | Op::StoreCell { .. }
        | Op::EndLoans { .. }
        | Op::Return { .. } => return None,
    };
    let guard = argument(plan, value).zip(test).map(|(value, test)| Guard { value, test });
    Some(guard.ok_or(late))
}

/// The test of an expression that reads nothing but arguments passed by value.
fn computed(plan: &Plan, expression: &Expression) -> Option<Test> {
    let mut read = Vec::new();
    for step in &expression.steps {
        match *step {
            Step::Load(operand) => read.push(argument(plan, operand)?),
            Step::Call { .. } | Step::Field { .. } | Step::Behind { .. } => return None,
            Step::Constant(_)
            | Step::Large(_)
            | Step::Unary(_)
            | Step::Binary(_)
            | Step::Abs
            | Step::Min
            | Step::Max
            | Step::Truth
            | Step::Jump(_)
            | Step::JumpIfZero(_) => {}
        }
    }
    Some(Test::Holds(expression.clone(), read.into()))
}

/// The argument that the plan will have there, if it is passed by value.
fn argument(plan: &Plan, operand: Operand) -> Option<Argument> {
    let (slot, decode) = plan.ops.iter().find_map(|op| decoder(op, operand.at))?;
    Some(Argument { operand, slot, decode })
}

impl Guard {
    /// Whether the ranges hold for these arguments. Bounds that have no value hold for none.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the upper half of an `i32`'s slot is garbage"
    )]
    pub(super) fn holds(&self, slots: &(impl Given + ?Sized)) -> bool {
        match &self.test {
            // Most are an `int` between two numbers.
            Test::Within(ranges) if self.value.is_int() && ranges.len() == 1 => {
                let Some(low) = slots.low(self.value.slot) else { return false };
                let value = i64::from((low as u32).cast_signed());
                ranges.iter().all(|(low, high)| *low <= value.into() && i128::from(value) <= *high)
            }
            Test::Within(ranges) => {
                let value = self.value.read(slots);
                value.is_some_and(|value| ranges.iter().any(|(l, h)| (*l..=*h).contains(&value)))
            }
            Test::Holds(expression, read) => {
                let missing = read.iter().any(|argument| argument.read(slots).is_none());
                let held = evaluate(expression, &mut Arguments { read, slots });
                !missing && held.is_ok_and(|held| held != 0)
            }
        }
    }

    /// Whether no arguments can satisfy both.
    fn excludes(&self, other: &Guard) -> bool {
        let (Test::Within(one), Test::Within(two)) = (&self.test, &other.test) else {
            return false;
        };
        let (a, b) = (self.value, other.value);
        let same = a.slot == b.slot && a.operand.width == b.operand.width && a.decode == b.decode;
        same && one.iter().all(|(l, h)| two.iter().all(|(low, high)| h < low || high < l))
    }
}

impl Argument {
    /// Whether it is the low half of its slot, with its sign.
    fn is_int(&self) -> bool {
        let what = (self.decode, self.operand.width);
        matches!(what, (Decode::Unsigned(32), Width::I32) | (Decode::Signed(32), Width::I64))
    }

    fn read(&self, slots: &(impl Given + ?Sized)) -> Option<i128> {
        Some(read(self.decode.image(slots.low(self.slot)?), self.operand.width))
    }
}

/// The arguments of a call, wherever the guest has put them.
pub(super) trait Given {
    /// The low half of one; `None` when there is none of that number. Above an `i32` is garbage.
    fn low(&self, slot: u16) -> Option<u64>;
}

impl Given for [GuestSlot] {
    #[inline]
    fn low(&self, slot: u16) -> Option<u64> {
        Some(self.get(usize::from(slot))?.low)
    }
}

/// What an expression reads of a call that has not begun.
struct Arguments<'a, G: ?Sized> {
    read: &'a [Argument],
    slots: &'a G,
}

impl<G: Given + ?Sized> Environment for Arguments<'_, G> {
    fn load(&self, operand: Operand) -> i128 {
        let argument = self.read.iter().find(|argument| argument.operand == operand);
        // All of them are there: see `Guard::holds`.
        argument.and_then(|argument| argument.read(self.slots)).unwrap_or_default()
    }

    fn field(&self, _: u32, _: Width) -> i128 {
        0 // expressions that read data are late
    }

    fn behind(&self, _: At, _: u32, _: Width) -> Result<i128, EvaluationError> {
        Err(EvaluationError::Null) // likewise
    }

    fn call(&mut self, _: u16, arguments: &[i128]) -> Result<i128, EvaluationError> {
        // Expressions that call are late.
        Err(EvaluationError::Argument(arguments.first().copied().unwrap_or_default()))
    }
}

/// Checks that the overloads of a set, in their order, can be told apart by what their guards see.
///
/// # Errors
/// The position of an overload of which a late range would have to decide whether it is taken or a
/// later one that the same arguments suit, and that mistake.
pub(super) fn tell_apart(plans: &[&Plan]) -> Result<(), (usize, Box<Diagnostic>)> {
    for (position, plan) in plans.iter().enumerate() {
        let late = plan.ops.iter().find_map(|op| guard(plan, op)?.err());
        let Some(late) = late else { continue };
        let (own, prototype) = (guards(plan), plan.prototype.to_string());
        let excluded = |later: &&Plan| {
            let others = guards(later);
            // What another interface grants once more fails where this one does.
            later.prototype.to_string() == prototype
                || own.iter().any(|one| others.iter().any(|other| one.excludes(other)))
        };
        if !plans[position + 1..].iter().all(excluded) {
            return Err((position, Box::new(mistake(plan, &late))));
        }
    }
    Ok(())
}

fn mistake(plan: &Plan, late: &Late<'_>) -> Diagnostic {
    let prototype = &plan.prototype;
    let index = usize::from(late.param);
    let param = &prototype.function.params[index];
    let name = match &param.name {
        Some(name) => format!("parameter {} `{name}`", index + 1),
        None => format!("parameter {}", index + 1),
    };
    let types = std::iter::successors(Some(&param.ty), |ty| ty.pointee());
    let mut notes = types.flat_map(|ty| &ty.notes);
    let range = notes.find(|note| matches!(note.kind, NoteKind::Range(..)));
    let needs = late.computed.map_or_else(|| "this".to_owned(), |e| format!("`{}`", e.text));
    Diagnostic::new(
        range.map_or(param.span, |note| note.span),
        format!(
            "the overloads of `{}` cannot be told apart by the `__range` of {name}",
            prototype.name
        ),
    )
    .label(format!("{needs} needs more than arguments that are passed by value"))
    .help(
        "overloads are chosen before anything else of a call is looked at: let constant \
         `__range`s of a parameter that is passed by value differ without overlap",
    )
}

/// What an op makes of the low bits of a guest value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decode {
    /// So many bits, sign-extended.
    Signed(u32),
    /// So many bits, zero-extended.
    Unsigned(u32),
    /// Whether 32 bits are not all zero.
    Truth,
}

impl Decode {
    fn image(self, low: u64) -> u64 {
        match self {
            Decode::Signed(bits) => sign_extend(low, bits),
            Decode::Unsigned(bits) => zero_extend(low, bits),
            Decode::Truth => u64::from(zero_extend(low, 32) != 0),
        }
    }
}

/// The slot that `op` decodes to `at`, and what it makes of the value.
fn decoder(op: &Op, at: At) -> Option<(u16, Decode)> {
    let (slot, to, decode) = match *op {
        Op::Int8 { slot, to } => (slot, to, Decode::Signed(8)),
        Op::UInt8 { slot, to } => (slot, to, Decode::Unsigned(8)),
        Op::Int16 { slot, to } => (slot, to, Decode::Signed(16)),
        Op::UInt16 { slot, to } => (slot, to, Decode::Unsigned(16)),
        Op::Bool { slot, to } => (slot, to, Decode::Truth),
        Op::Int32 { slot, to } | Op::ULong32 { slot, to } => (slot, to, Decode::Unsigned(32)),
        Op::Int64 { slot, to } => (slot, to, Decode::Unsigned(64)),
        Op::Long32 { slot, to } => (slot, to, Decode::Signed(32)),
        Op::Float32 { .. }
        | Op::Float64 { .. }
        | Op::Pair { .. }
        | Op::Extended { .. }
        | Op::Vector { .. }
        | Op::Object { .. }
        | Op::Address { .. }
        | Op::Room { .. }
        | Op::Format { .. }
        | Op::Range { .. }
        | Op::Evaluate { .. }
        | Op::Require { .. }
        | Op::Value { .. }
        | Op::Buffer { .. }
        | Op::Text { .. }
        | Op::Cell { .. }
        | Op::PointerCell { .. }
        | Op::TextCell { .. }
        | Op::Handle { .. }
        | Op::Apart { .. }
        | Op::Reserve { .. }
        | Op::Call { .. }
        | Op::Consume { .. }
        | Op::Measure { .. }
        | Op::Fits { .. }
        | Op::FitsObject { .. }
        | Op::Inside { .. }
        | Op::InsideOr { .. }
        | Op::Take { .. }
        | Op::FreeNative { .. }
        | Op::Give { .. }
        | Op::Adopt { .. }
        | Op::StoreCell { .. }
        | Op::EndLoans { .. }
        | Op::StoreObject { .. }
        | Op::Native(_)
        | Op::Upcall(_)
        | Op::Deep(_)
        | Op::Callback(_)
        | Op::Life(_)
        | Op::Return { .. } => return None,
    };
    (to == at).then_some((slot, decode))
}

fn sign_extend(low: u64, bits: u32) -> u64 {
    let shift = 64 - bits;
    ((low << shift).cast_signed() >> shift).cast_unsigned()
}

fn zero_extend(low: u64, bits: u32) -> u64 {
    let shift = 64 - bits;
    low << shift >> shift
}

/// The low bytes of a register's image as an integer of that width.
fn read(image: u64, width: Width) -> i128 {
    let bits = 8 * u32::try_from(width.bytes().min(8)).unwrap_or(8);
    if width.is_signed() {
        i128::from(sign_extend(image, bits).cast_signed())
    } else {
        i128::from(zero_extend(image, bits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::BinaryOp;

    fn argument(slot: u16, decode: Decode, width: Width) -> Argument {
        let at = At::new(16 + 8 * usize::from(slot)).expect("a place");
        Argument { operand: Operand { at, width }, slot, decode }
    }

    fn guard(decode: Decode, width: Width, ranges: &[(i128, i128)]) -> Guard {
        Guard { value: argument(0, decode, width), test: Test::Within(ranges.into()) }
    }

    fn holds(guard: &Guard, low: &[u64]) -> bool {
        let slots: Vec<_> = low.iter().map(|low| GuestSlot { low: *low, high: 0 }).collect();
        guard.holds(&slots[..])
    }

    #[test]
    fn garbage_above_the_value_is_not_looked_at() {
        let int = guard(Decode::Unsigned(32), Width::I32, &[(-1, -1)]);
        assert!(holds(&int, &[0xffff_ffff]) && holds(&int, &[0xdead_beef_ffff_ffff]));
        assert!(!holds(&int, &[0xffff_ffff_0000_0000]));
        let unsigned = guard(Decode::Unsigned(32), Width::U32, &[(0xffff_ffff, 0xffff_ffff)]);
        assert!(holds(&unsigned, &[0xffff_ffff]));
        let byte = guard(Decode::Signed(8), Width::I8, &[(-128, -128)]);
        assert!(holds(&byte, &[0x1280]) && !holds(&byte, &[0x127f]));
        let truth = guard(Decode::Truth, Width::U8, &[(1, 1)]);
        assert!(holds(&truth, &[0x100]) && !holds(&truth, &[0x1_0000_0000]));
    }

    #[test]
    fn a_slot_that_is_not_there_holds_nothing() {
        let any = guard(Decode::Unsigned(64), Width::I64, &[(i128::MIN, i128::MAX)]);
        assert!(!holds(&any, &[]));
    }

    #[test]
    fn computed_ranges_read_arguments_and_hold_for_none_without_a_value() {
        let (n, by) = (
            argument(0, Decode::Signed(8), Width::I8),
            argument(1, Decode::Unsigned(32), Width::I32),
        );
        let steps = [Step::Load(n.operand), Step::Load(by.operand), Step::Binary(BinaryOp::Divide)];
        let expression = Expression { steps: steps.into(), text: "n / by".into() };
        let divided = Guard { value: n, test: Test::Holds(expression, [n, by].into()) };
        assert!(holds(&divided, &[0x10c, 0xffff_ffff_0000_0006]));
        assert!(!holds(&divided, &[0x10c, 13]));
        assert!(!holds(&divided, &[0x10c, 0]));
        assert!(!holds(&divided, &[0x10c]));
    }

    #[test]
    fn guards_exclude_each_other_if_they_see_the_same_and_share_no_value() {
        let int = |ranges: &[_]| guard(Decode::Unsigned(32), Width::I32, ranges);
        assert!(int(&[(0, 3), (7, 7)]).excludes(&int(&[(4, 6), (8, 9)])));
        assert!(!int(&[(0, 3), (7, 7)]).excludes(&int(&[(4, 7)])));
        assert!(!int(&[(0, 3)]).excludes(&guard(Decode::Unsigned(32), Width::U32, &[(4, 4)])));
    }
}
