//! Whether a tampered plan does what the original does.
//!
//! A mutant that the verifier accepts must be one of these, by arguments that this file computes:
//!
//! - *Order.* Within a phase every place is written once and read after that, so any order computes
//!   the same; it decides only which of several failures is told, and the numbers of new handles.
//! - *Repetition.* A check that is made twice is the same check.
//! - *Names of places.* Cells and locals may lie anywhere among the locals.
//! - *Idle slots.* The wasm type of a guest value that nothing reads (`__value`) has no effect.
//! - *Names of types.* What messages call a shape has no effect; two types may have the same members.
//! - *Arithmetic.* Expressions that have the same value, or fail alike, whatever they read.
use crate::plan::Plan;
use crate::plan::WasmType;
use crate::plan::expression::{Environment, EvaluationError, Expression, evaluate};
use crate::plan::moves::{load, store};
use crate::plan::op::{At, Op, Operand, Returns, Width};
use crate::plan::shape::Shape;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Whether the two plans have the same effect, as far as the arguments above can tell.
pub(super) fn same_effect(one: &Plan, other: &Plan) -> bool {
    let other = &as_declared_by(one, other);
    one.prototype == other.prototype
        && same_lowering(one, other)
        && (one.frame.stack, one.frame.locals) == (other.frame.stack, other.frame.locals)
        && (one.frame.stack_align, &one.slots) == (other.frame.stack_align, &other.slots)
        && one.frame.align == other.frame.align
        && same_moves(one, other)
        && one.ranges == other.ranges
        && one.passed == other.passed
        && one.callees == other.callees
        && one.handle_kinds == other.handle_kinds
        && one.names == other.names
        && one.callbacks == other.callbacks
        && nameless(one) == nameless(other)
        && one.roots == other.roots
        && same_facts(one, other)
        && one.expressions.len() == other.expressions.len()
        && one.expressions.iter().zip(&other.expressions).all(|(a, b)| same_value(a, b))
        && canonical(one) == canonical(other)
}

/// The shapes of a plan without their names. Those of members, which tell objects apart that look the same, stay.
fn nameless(plan: &Plan) -> Vec<Shape> {
    plan.shapes.iter().map(|shape| Shape { name: "".into(), ..shape.clone() }).collect()
}

/// `other` as an import with the result of `one`. A guest declares a `long` as it likes: the one that is
/// wider shows more of the same integer.
fn as_declared_by(one: &Plan, other: &Plan) -> Plan {
    let mut same = other.clone();
    let call = usize::from(other.call);
    if let ([WasmType::I64], [WasmType::I32], Some(Op::Call { stub, returns })) =
        (&*one.lowering.results, &*other.lowering.results, other.ops.get(call))
        && matches!(returns, Returns::Long32 | Returns::ULong32)
    {
        same.ops[call] = Op::Call { stub: *stub, returns: Returns::Int64 };
        same.lowering.results.clone_from(&one.lowering.results);
    }
    same
}

/// Whether values are taken apart and put together to the same bytes, whatever they are.
#[expect(unsafe_code, reason = "moves are made")]
fn same_moves(one: &Plan, other: &Plan) -> bool {
    let effect = |plan: &Plan, fill: u8| -> Vec<(Vec<u8>, Vec<u8>)> {
        let each = plan.moves.iter().map(|moves| {
            let bytes: Vec<u8> = (0..=u8::MAX).cycle().map(|b| b ^ fill).take(1 << 16).collect();
            let (mut frame, mut memory) = (vec![fill; 1 << 17], vec![fill; 1 << 17]);
            // SAFETY: offsets in the frame are below 64 KiB, those of the corpus in memory too.
            unsafe {
                load(moves, frame.as_mut_ptr(), [&bytes[..], &bytes].concat().as_ptr());
                store(moves, [&bytes[..], &bytes].concat().as_ptr(), memory.as_mut_ptr());
            }
            (frame, memory)
        });
        each.collect()
    };
    one.moves == other.moves
        || (one.moves.iter().chain(&other.moves).flatten().all(|one| one.memory < 1 << 16)
            && [0, 0x5a].into_iter().all(|fill| effect(one, fill) == effect(other, fill)))
}

fn same_lowering(one: &Plan, other: &Plan) -> bool {
    let text = format!("{:?}", one.ops);
    let (one, other) = (&one.lowering, &other.lowering);
    let idle = |slot: usize| !text.contains(&format!("slot: {slot},"));
    one.results == other.results
        && one.params.len() == other.params.len()
        && (0..one.params.len()).all(|slot| one.params[slot] == other.params[slot] || idle(slot))
}

/// Facts, but for the data model of a plan that has no pointers.
fn same_facts(one: &Plan, other: &Plan) -> bool {
    let pointerless = !format!("{:?}", one.ops).contains("null:") && !one.facts.memory;
    let mut facts = other.facts;
    if pointerless {
        facts.wide = one.facts.wide;
    }
    one.facts == facts
}

/// The ops without their order inside of phases, without repeated checks, locals renamed in the
/// order of their use.
fn canonical(plan: &Plan) -> Vec<String> {
    let locals = usize::from(plan.frame.locals);
    let mut ops: Vec<(Op, String)> = plan
        .ops
        .iter()
        .map(|op| (*op, with_locals(op, &mut |at| (at < locals).then_some(at))))
        .collect();
    ops.sort_by_key(|(op, text)| (op.phase(), text.clone()));
    let repeatable =
        |op: &Op| matches!(op, Op::Range { .. } | Op::Require { .. } | Op::Apart { .. });
    ops.dedup_by(|(a, _), (b, _)| a == b && repeatable(a));
    let mut names = HashMap::new();
    let rename = |(op, _): (Op, String)| {
        with_locals(&op, &mut |at| {
            let next = 100_000 + names.len();
            Some(if at < locals { at } else { *names.entry(at).or_insert(next) })
        })
    };
    ops.into_iter().map(rename).collect()
}

/// The op as text, its positions replaced: `None` becomes a place without a name.
fn with_locals(op: &Op, rename: &mut dyn FnMut(usize) -> Option<usize>) -> String {
    let text = format!("{op:?}");
    let mut parts = text.split("At(");
    let mut renamed = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (at, rest) = part.split_once(')').expect("a position ends");
        let at = at.parse().expect("a position is a number");
        renamed += &format!("At({:?}){rest}", rename(at));
    }
    renamed
}

/// Values and results of functions that depend only on what is asked for and on a seed.
struct Seeded(u64);

impl Seeded {
    fn draw(&self, what: impl Hash, low: i128, high: i128) -> i128 {
        let mut hasher = DefaultHasher::new();
        (self.0, what).hash(&mut hasher);
        let bits = hasher.finish();
        match bits % 4 {
            0 => low + i128::from(bits >> 60),
            1 => high - i128::from(bits >> 60),
            2 => i128::from(bits >> 58).clamp(low, high),
            _ => low + i128::from(bits >> 2) % (high - low + 1),
        }
    }
}

impl Environment for Seeded {
    fn load(&self, operand: Operand) -> i128 {
        let (low, high) = operand.width.bounds();
        self.draw(operand, low.max(i64::MIN.into()), high.min(u64::MAX.into()))
    }

    fn field(&self, offset: u32, width: Width) -> i128 {
        let (low, high) = width.bounds();
        self.draw(("field", offset, width), low.max(i64::MIN.into()), high.min(u64::MAX.into()))
    }

    fn behind(&self, at: At, offset: u32, width: Width) -> Result<i128, EvaluationError> {
        let (low, high) = width.bounds();
        let (low, high) = (low.max(i64::MIN.into()), high.min(u64::MAX.into()));
        Ok(self.draw((at, offset, width), low, high))
    }

    fn call(&mut self, callee: u16, arguments: &[i128]) -> Result<i128, EvaluationError> {
        Ok(self.draw((callee, arguments), i32::MIN.into(), i32::MAX.into()))
    }
}

fn same_value(one: &Expression, other: &Expression) -> bool {
    let value = |expression, seed| -> Result<i128, EvaluationError> {
        evaluate(expression, &mut Seeded(seed))
    };
    one.steps == other.steps || (0..500).all(|seed| value(one, seed) == value(other, seed))
}
